/* SPDX-License-Identifier: 0BSD */
/*
 * strip-docs: doc strings and the notes that exporters leave on nodes and tensors (stack traces
 * with the paths of the author's machine). They are fields of the wire that nothing else depends
 * on, so each message is copied without them and stays otherwise the very bytes that were read. The
 * model's own metadata_props, which are resect's too, stay.
 */
#include "edit/rewrite.h"

#include <string.h>

#include "onnx/wire.h"

/* Field numbers of doc_string and metadata_props, 0 where a message has none. */
enum {
        NODE_DOC = 6,
        NODE_META = 9,
        TENSOR_DOC = 12,
        TENSOR_META = 16,
        VALUE_DOC = 3,
        VALUE_META = 4,
        GRAPH_DOC = 10,
        GRAPH_META = 16,
        MODEL_DOC = 6
};

/* A message without two of its fields, in the model's arena; *wire stays when it has neither. */
static bool
without(resect_model *m, rs_span *wire, uint32_t a, uint32_t b, size_t *bytes, resect_error *err)
{
        rs_span rest = *wire;
        rs_field f;
        size_t gone = 0;
        while (rs_wire_next(&rest, &f))
                if (f.number == a || f.number == b)
                        gone += f.whole.size;
        if (gone == 0)
                return true;
        unsigned char *copy = RS_NEW(&m->arena, wire->size - gone + 1, unsigned char, err);
        if (copy == NULL)
                return false;
        size_t at = 0;
        for (rest = *wire; rs_wire_next(&rest, &f);)
                if (f.number != a && f.number != b) {
                        memcpy(copy + at, f.whole.data, f.whole.size);
                        at += f.whole.size;
                }
        *wire = (rs_span){copy, at};
        *bytes += gone;
        return true;
}

/* Of undecoded fields, each of which stands there whole: those with these numbers go. */
static void
drop_rest(rs_span *rest, size_t *n, uint32_t a, uint32_t b, size_t *bytes)
{
        size_t k = 0;
        for (size_t i = 0; i < *n; i++) {
                rs_span one = rest[i];
                rs_field f;
                if (rs_wire_next(&one, &f) && (f.number == a || f.number == b))
                        *bytes += rest[i].size;
                else
                        rest[k++] = rest[i];
        }
        *n = k;
}

static bool
from_values(resect_model *m, rs_value **v, size_t n, size_t *bytes, resect_error *err)
{
        for (size_t i = 0; i < n; i++)
                if (!without(m, &v[i]->wire, VALUE_DOC, VALUE_META, bytes, err))
                        return false;
        return true;
}

bool
rs_strip_docs(rs_surgery *s, resect_error *err)
{
        resect_model *m = s->m;
        rs_graph *g = &m->graph;
        size_t bytes = 0;
        for (size_t i = 0; i < g->n_nodes; i++) {
                rs_node *n = g->nodes[i];
                if (!without(m, &n->wire, NODE_DOC, NODE_META, &bytes, err))
                        return false;
        }
        for (size_t i = 0; i < g->n_tensors; i++)
                if (!without(m, &g->tensors[i]->wire, TENSOR_DOC, TENSOR_META, &bytes, err))
                        return false;
        if (!from_values(m, g->inputs, g->n_inputs, &bytes, err) ||
                !from_values(m, g->outputs, g->n_outputs, &bytes, err) ||
                !from_values(m, g->values, g->n_values, &bytes, err))
                return false;
        drop_rest(g->rest, &g->n_rest, GRAPH_DOC, GRAPH_META, &bytes);
        drop_rest(m->rest, &m->n_rest, MODEL_DOC, MODEL_DOC, &bytes);
        rs_note(s, "stripped %zu bytes of notes", bytes);
        return true;
}
