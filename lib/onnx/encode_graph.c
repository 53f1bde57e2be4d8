/* SPDX-License-Identifier: 0BSD */
/*
 * The graph as spans. What nothing touched is the bytes that were read. What was touched is encoded
 * from its decoded fields, followed by those fields of its old bytes that are not decoded: doc
 * strings, metadata, fields of newer schemas.
 */
#include "onnx/encode.h"

#include <string.h>
#include "onnx/scan.h"
#include "onnx/wire.h"

enum { G_NODE = 1, G_NAME = 2, G_TENSOR = 5, G_INPUT = 11, G_OUTPUT = 12, G_VALUE = 13 };
enum { N_INPUT = 1, N_OUTPUT = 2, N_NAME = 3, N_OP = 4, N_ATTRIBUTE = 5, N_DOMAIN = 7 };
enum {
        A_NAME = 1,
        A_FLOAT = 2,
        A_INT = 3,
        A_STRING = 4,
        A_TENSOR = 5,
        A_FLOATS = 7,
        A_INTS = 8,
        A_STRINGS = 9,
        A_TYPE = 20
};
enum {
        V_NAME = 1,
        V_TYPE = 2,
        T_TENSOR = 1,
        T_DENOTATION = 6,
        T_ELEMENT = 1,
        T_SHAPE = 2,
        S_DIM = 1,
        D_VALUE = 1,
        D_SYMBOL = 2,
        D_DENOTATION = 3
};
enum { EXTERNAL = 1 };

#define BIT(n) (UINT64_C(1) << (n))

/* The fields of an old message that are not among the encoded ones. */
static void
encode_others(rs_encoder *e, rs_span wire, uint64_t encoded)
{
        for (rs_field f; rs_wire_next(&wire, &f);)
                if (f.number >= 64 || !(encoded >> f.number & 1))
                        rs_encode_span(e, f.whole);
}

/* The first such field of a message; a body of {NULL, 0} when there is none. */
static rs_span
find(rs_span wire, uint32_t number)
{
        for (rs_field f; rs_wire_next(&wire, &f);)
                if (f.number == number && f.type == RS_WIRE_LEN)
                        return f.body;
        return (rs_span){NULL, 0};
}

static void
encode_text_if(rs_encoder *e, uint32_t field, const char *text)
{
        if (text && text[0])
                rs_encode_text(e, field, text);
}

static void
encode_entry(rs_encoder *e, const char *key, const char *value)
{
        rs_mark mark = rs_encode_begin(e);
        rs_encode_text(e, 1, key);
        rs_encode_text(e, 2, value);
        rs_encode_end(e, RS_TENSOR_EXTERNAL_DATA, mark);
}

static void
encode_decimal(rs_encoder *e, const char *key, uint64_t value)
{
        char digits[24], *at = digits + sizeof digits - 1;
        *at = '\0';
        do
                *--at = (char)('0' + value % 10);
        while (value /= 10);
        encode_entry(e, key, at);
}

/* Where the values are. The old entries stay when they still say the same (a checksum then too). */
static void
encode_location(rs_encoder *e, const rs_tensor *t)
{
        rs_scan old;
        bool same = t->wire.size && rs_scan_tensor(t->wire, &old, NULL) && old.external &&
                    old.offset == t->offset && old.bytes == t->bytes &&
                    old.location.size == strlen(t->location) &&
                    memcmp(old.location.data, t->location, old.location.size) == 0;
        rs_span rest = t->wire;
        if (same) {
                for (rs_field f; rs_wire_next(&rest, &f);)
                        if (f.number == RS_TENSOR_EXTERNAL_DATA)
                                rs_encode_span(e, f.whole);
        } else {
                encode_entry(e, "location", t->location);
                encode_decimal(e, "offset", t->offset);
                encode_decimal(e, "length", t->bytes);
        }
        rs_encode_number(e, RS_TENSOR_DATA_LOCATION, EXTERNAL);
}

static void
encode_typed(rs_encoder *e, rs_span wire)
{
        for (rs_field f; rs_wire_next(&wire, &f);)
                if (rs_scan_is_payload(f.number) && f.number != RS_TENSOR_RAW_DATA)
                        rs_encode_span(e, f.whole);
}

static void
encode_tensor(rs_encoder *e, uint32_t field, const rs_tensor *t)
{
        if (!t->touched && t->wire.size) {
                rs_encode_old(e, field, t->wire);
                return;
        }
        rs_mark mark = rs_encode_begin(e);
        for (int i = 0; i < t->rank; i++)
                rs_encode_number(e, RS_TENSOR_DIMS, t->dims[i]);
        rs_encode_number(e, RS_TENSOR_DTYPE, t->dtype);
        encode_text_if(e, RS_TENSOR_NAME, t->name);
        uint64_t encoded = BIT(RS_TENSOR_DIMS) | BIT(RS_TENSOR_DTYPE) | BIT(RS_TENSOR_NAME) |
                           BIT(RS_TENSOR_EXTERNAL_DATA) | BIT(RS_TENSOR_DATA_LOCATION);
        for (uint32_t n = 0; n < 64; n++)
                if (rs_scan_is_payload(n))
                        encoded |= BIT(n);
        encode_others(e, t->wire, encoded);
        if (t->where == RS_EXTERNAL)
                encode_location(e, t);
        else if (t->where == RS_TYPED)
                encode_typed(e, t->wire);
        else
                rs_encode_bytes(e, RS_TENSOR_RAW_DATA, t->data);
        rs_encode_end(e, field, mark);
}

static void
encode_attr(rs_encoder *e, const rs_attr *a)
{
        if (a->wire.size) {
                rs_encode_old(e, N_ATTRIBUTE, a->wire);
                return;
        }
        rs_mark mark = rs_encode_begin(e);
        rs_encode_text(e, A_NAME, a->name);
        switch (a->type) {
        case RS_ATTR_FLOAT:
                rs_encode_float(e, A_FLOAT, a->f);
                break;
        case RS_ATTR_INT:
                rs_encode_number(e, A_INT, a->i);
                break;
        case RS_ATTR_STRING:
                rs_encode_bytes(e, A_STRING, a->s);
                break;
        case RS_ATTR_TENSOR:
                encode_tensor(e, A_TENSOR, a->t);
                break;
        case RS_ATTR_FLOATS:
                for (size_t i = 0; i < a->n; i++)
                        rs_encode_float(e, A_FLOATS, a->floats[i]);
                break;
        case RS_ATTR_INTS:
                for (size_t i = 0; i < a->n; i++)
                        rs_encode_number(e, A_INTS, a->ints[i]);
                break;
        case RS_ATTR_STRINGS:
                for (size_t i = 0; i < a->n; i++)
                        rs_encode_bytes(e, A_STRINGS, a->strings[i]);
                break;
        default:
                break;
        }
        rs_encode_number(e, A_TYPE, a->type);
        rs_encode_end(e, N_ATTRIBUTE, mark);
}

static void
encode_node(rs_encoder *e, const rs_node *n)
{
        if (!n->touched && n->wire.size) {
                rs_encode_old(e, G_NODE, n->wire);
                return;
        }
        rs_mark mark = rs_encode_begin(e);
        for (size_t i = 0; i < n->n_in; i++)
                rs_encode_text(e, N_INPUT, n->in[i]);
        for (size_t i = 0; i < n->n_out; i++)
                rs_encode_text(e, N_OUTPUT, n->out[i]);
        encode_text_if(e, N_NAME, n->name);
        rs_encode_text(e, N_OP, n->op);
        for (size_t i = 0; i < n->n_attrs; i++)
                encode_attr(e, &n->attrs[i]);
        encode_text_if(e, N_DOMAIN, n->domain);
        encode_others(e, n->wire,
                BIT(N_INPUT) | BIT(N_OUTPUT) | BIT(N_NAME) | BIT(N_OP) | BIT(N_ATTRIBUTE) |
                        BIT(N_DOMAIN));
        rs_encode_end(e, G_NODE, mark);
}

/* A shape; the meanings (denotations) of the old dimensions stay when there are as many. */
static void
encode_shape(rs_encoder *e, const rs_value *v, rs_span old)
{
        int old_rank = 0;
        rs_field f;
        for (rs_span rest = old; rs_wire_next(&rest, &f);)
                old_rank += f.number == S_DIM;
        rs_mark shape = rs_encode_begin(e);
        for (int i = 0; i < v->rank; i++) {
                rs_mark dim = rs_encode_begin(e);
                if (v->dims[i] >= 0)
                        rs_encode_number(e, D_VALUE, v->dims[i]);
                else if (v->symbols && v->symbols[i])
                        rs_encode_text(e, D_SYMBOL, v->symbols[i]);
                rs_span denotation = {NULL, 0};
                if (old_rank == v->rank && rs_wire_next(&old, &f))
                        denotation = find(f.body, D_DENOTATION);
                if (denotation.data)
                        rs_encode_bytes(e, D_DENOTATION, denotation);
                rs_encode_end(e, S_DIM, dim);
        }
        rs_encode_end(e, T_SHAPE, shape);
}

static void
encode_value(rs_encoder *e, uint32_t field, const rs_value *v)
{
        if (!v->touched && v->wire.size) {
                rs_encode_old(e, field, v->wire);
                return;
        }
        rs_span old_type = find(v->wire, V_TYPE);
        rs_mark mark = rs_encode_begin(e);
        rs_encode_text(e, V_NAME, v->name);
        if (!v->is_tensor) {
                if (old_type.data)
                        rs_encode_bytes(e, V_TYPE, old_type);
        } else if (v->dtype || v->rank >= 0) {
                rs_mark type = rs_encode_begin(e);
                rs_mark tensor = rs_encode_begin(e);
                rs_encode_number(e, T_ELEMENT, v->dtype);
                if (v->rank >= 0)
                        encode_shape(e, v, find(find(old_type, T_TENSOR), T_SHAPE));
                rs_encode_end(e, T_TENSOR, tensor);
                rs_span denotation = find(old_type, T_DENOTATION);
                if (denotation.data)
                        rs_encode_bytes(e, T_DENOTATION, denotation);
                rs_encode_end(e, V_TYPE, type);
        }
        encode_others(e, v->wire, BIT(V_NAME) | BIT(V_TYPE));
        rs_encode_end(e, field, mark);
}

void
rs_encode_graph(rs_encoder *e, uint32_t field, const rs_graph *g)
{
        rs_mark mark = rs_encode_begin(e);
        for (size_t i = 0; i < g->n_nodes; i++)
                encode_node(e, g->nodes[i]);
        encode_text_if(e, G_NAME, g->name);
        for (size_t i = 0; i < g->n_tensors; i++)
                encode_tensor(e, G_TENSOR, g->tensors[i]);
        for (size_t i = 0; i < g->n_inputs; i++)
                encode_value(e, G_INPUT, g->inputs[i]);
        for (size_t i = 0; i < g->n_outputs; i++)
                encode_value(e, G_OUTPUT, g->outputs[i]);
        for (size_t i = 0; i < g->n_values; i++)
                encode_value(e, G_VALUE, g->values[i]);
        for (size_t i = 0; i < g->n_rest; i++) {
                rs_span rest = g->rest[i];
                rs_field f;
                bool second_name =
                        g->name && g->name[0] && rs_wire_next(&rest, &f) && f.number == G_NAME;
                if (!second_name)
                        rs_encode_span(e, g->rest[i]);
        }
        rs_encode_end(e, field, mark);
}
