/* SPDX-License-Identifier: 0BSD */
/*
 * Subgraphs of If, Loop and Scan are carried as bytes and never decoded, but the names inside them
 * tie outer values down: a node that only a subgraph reads must not be pruned, sorted behind its
 * reader or renamed. So this walks the wire for names alone: AttributeProto.g and .graphs,
 * GraphProto.node and .output, NodeProto.input, .output and .attribute.
 */
#include "model/model.h"

#include <string.h>

enum { DEPTH_MAX = 64, TYPE_GRAPH = 5, TYPE_GRAPHS = 10 };

enum level { ATTRIBUTE, GRAPH, NODE, VALUE };

struct walk {
        rs_arena *arena;
        const char **names;
        size_t count, cap;
        resect_error *err;
};

static bool
varint(rs_span *s, uint64_t *v)
{
        *v = 0;
        for (unsigned shift = 0; s->size && shift < 64; shift += 7) {
                unsigned char b = *s->data++;
                s->size--;
                *v |= (uint64_t)(b & 0x7f) << shift;
                if (!(b & 0x80))
                        return true;
        }
        return false;
}

/* The next length-delimited field of a message; others are stepped over. False at the end or where
 * the bytes make no sense. */
static bool
next_field(rs_span *s, uint64_t *number, rs_span *body)
{
        uint64_t tag, n;
        while (s->size && varint(s, &tag)) {
                *number = tag >> 3;
                size_t skip = 0;
                switch (tag & 7) {
                case 0:
                        if (!varint(s, &n))
                                return false;
                        break;
                case 1:
                        skip = 8;
                        break;
                case 2:
                        if (!varint(s, &n) || n > s->size)
                                return false;
                        *body = (rs_span){s->data, (size_t)n};
                        s->data += n;
                        s->size -= (size_t)n;
                        return true;
                case 5:
                        skip = 4;
                        break;
                default: /* groups: nothing of ONNX's */
                        return false;
                }
                if (skip > s->size)
                        return false;
                s->data += skip;
                s->size -= skip;
        }
        return false;
}

static bool
take_name(struct walk *w, rs_span s)
{
        if (!s.size)
                return true;
        if (w->count == w->cap) {
                size_t cap = w->cap ? w->cap * 2 : 16;
                const char **names = RS_NEW(w->arena, cap, const char *, w->err);
                if (!names)
                        return false;
                if (w->count)
                        memcpy(names, w->names, w->count * sizeof *names);
                w->names = names;
                w->cap = cap;
        }
        char *name = rs_arena_strndup(w->arena, (const char *)s.data, s.size, w->err);
        w->names[w->count] = name;
        w->count += name != NULL;
        return name;
}

static bool
walk_message(struct walk *w, enum level level, rs_span s, int depth)
{
        uint64_t number;
        rs_span body;
        if (depth > DEPTH_MAX)
                return rs_fail(w->err, RESECT_FORMAT, "subgraphs are nested too deeply");
        while (next_field(&s, &number, &body)) {
                bool ok = true;
                switch (level) {
                case ATTRIBUTE:
                        if (number == 6 || number == 11)
                                ok = walk_message(w, GRAPH, body, depth + 1);
                        break;
                case GRAPH:
                        if (number == 1)
                                ok = walk_message(w, NODE, body, depth + 1);
                        else if (number == 12)
                                ok = walk_message(w, VALUE, body, depth + 1);
                        break;
                case NODE:
                        if (number == 1 || number == 2)
                                ok = take_name(w, body);
                        else if (number == 5)
                                ok = walk_message(w, ATTRIBUTE, body, depth + 1);
                        break;
                case VALUE:
                        if (number == 1)
                                ok = take_name(w, body);
                        break;
                }
                if (!ok)
                        return false;
        }
        return true;
}

bool
rs_node_subgraph_names(
        const rs_node *n, rs_arena *arena, const char ***names, size_t *count, resect_error *err)
{
        struct walk w = {.arena = arena, .err = err};
        for (size_t i = 0; i < n->n_attrs; i++) {
                const rs_attr *a = &n->attrs[i];
                if ((a->type == TYPE_GRAPH || a->type == TYPE_GRAPHS) &&
                        !walk_message(&w, ATTRIBUTE, a->wire, 0))
                        return false;
        }
        *names = w.names;
        *count = w.count;
        return true;
}
