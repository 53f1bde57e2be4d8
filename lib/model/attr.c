/* SPDX-License-Identifier: 0BSD */
/* Attributes of a node: reading them with a default, and setting them. */
#include "model/model.h"

#include <string.h>

const rs_attr *
rs_node_attr(const rs_node *n, const char *name)
{
        for (size_t i = 0; i < n->n_attrs; i++)
                if (!strcmp(n->attrs[i].name, name))
                        return &n->attrs[i];
        return NULL;
}

int64_t
rs_node_int(const rs_node *n, const char *name, int64_t otherwise)
{
        const rs_attr *a = rs_node_attr(n, name);
        return a && a->type == RS_ATTR_INT ? a->i : otherwise;
}

float
rs_node_float(const rs_node *n, const char *name, float otherwise)
{
        const rs_attr *a = rs_node_attr(n, name);
        return a && a->type == RS_ATTR_FLOAT ? a->f : otherwise;
}

rs_span
rs_node_string(const rs_node *n, const char *name)
{
        const rs_attr *a = rs_node_attr(n, name);
        return a && a->type == RS_ATTR_STRING ? a->s : (rs_span){0};
}

bool
rs_span_is(rs_span s, const char *text)
{
        size_t n = strlen(text);
        return s.size == n && (!n || !memcmp(s.data, text, n));
}

/* A blank attribute of that name, in place of one that is there or at the end. */
static rs_attr *
blank(resect_model *m, rs_node *n, const char *name, int32_t type, resect_error *err)
{
        rs_attr *a = (rs_attr *)rs_node_attr(n, name);
        if (!a) {
                rs_attr *attrs = RS_NEW(&m->arena, n->n_attrs + 1, rs_attr, err);
                char *copy = rs_arena_strdup(&m->arena, name, err);
                if (!attrs || !copy)
                        return NULL;
                if (n->n_attrs)
                        memcpy(attrs, n->attrs, n->n_attrs * sizeof *attrs);
                n->attrs = attrs;
                a = &attrs[n->n_attrs++];
                a->name = copy;
        }
        *a = (rs_attr){.name = a->name, .type = type};
        rs_node_touch(n);
        return a;
}

bool
rs_node_set_int(resect_model *m, rs_node *n, const char *name, int64_t value, resect_error *err)
{
        rs_attr *a = blank(m, n, name, RS_ATTR_INT, err);
        if (a)
                a->i = value;
        return a;
}

bool
rs_node_set_float(resect_model *m, rs_node *n, const char *name, float value, resect_error *err)
{
        rs_attr *a = blank(m, n, name, RS_ATTR_FLOAT, err);
        if (a)
                a->f = value;
        return a;
}

bool
rs_node_set_ints(resect_model *m, rs_node *n, const char *name, const int64_t *v, size_t count,
        resect_error *err)
{
        int64_t *copy = RS_NEW(&m->arena, count, int64_t, err);
        if (!copy)
                return false;
        if (count)
                memcpy(copy, v, count * sizeof *v);
        rs_attr *a = blank(m, n, name, RS_ATTR_INTS, err);
        if (a) {
                a->ints = copy;
                a->n = count;
        }
        return a;
}

void
rs_node_drop_attr(rs_node *n, const char *name)
{
        for (size_t i = 0; i < n->n_attrs; i++)
                if (!strcmp(n->attrs[i].name, name)) {
                        memmove(&n->attrs[i], &n->attrs[i + 1],
                                (n->n_attrs - i - 1) * sizeof *n->attrs);
                        n->n_attrs--;
                        rs_node_touch(n);
                        return;
                }
}
