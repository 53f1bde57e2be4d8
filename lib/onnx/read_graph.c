/* SPDX-License-Identifier: 0BSD */
/* The GraphProto: nodes, attributes, initializers and values, each with the span of bytes that it
 * was read from. */
#include "config.h"
#include "onnx/read.h"

#include <string.h>
#include "onnx.pb-c.h"
#include "onnx/payload.h"
#include "onnx/scan.h"

/* Fields by number. */
enum {
        G_NODE = 1,
        G_NAME = 2,
        G_TENSOR = 5,
        G_INPUT = 11,
        G_OUTPUT = 12,
        G_VALUE = 13,
        G_SPARSE = 15
};
enum { N_ATTRIBUTE = 5, N_DOC = 6, N_PROPS = 9, N_DEVICES = 10 };
enum {
        A_STRING = 4,
        A_TENSOR = 5,
        A_GRAPH = 6,
        A_STRINGS = 9,
        A_TENSORS = 10,
        A_GRAPHS = 11,
        A_DOC = 13,
        A_SPARSE = 22,
        A_SPARSES = 23
};
enum { V_DOC = 3, V_PROPS = 4 };
#define BIT(n) (UINT64_C(1) << (n))

static bool
scan_to_tensor(rs_reader *r, rs_span wire, rs_tensor *t)
{
        rs_scan s;
        if (!rs_scan_tensor(wire, &s, r->err))
                return false;
        int64_t *dims = RS_TAKE(r, (size_t)s.rank, int64_t);
        t->name = dims ? rs_reader_text(r, s.name) : NULL;
        t->location = t->name && s.external ? rs_reader_text(r, s.location) : NULL;
        if (!t->name || (s.external && !t->location))
                return false;
        memcpy(dims, s.dims, (size_t)s.rank * sizeof *dims);
        t->dims = dims;
        t->rank = s.rank;
        t->dtype = s.dtype;
        t->count = s.count;
        t->bytes = s.bytes;
        t->where = s.external ? RS_EXTERNAL : s.raw ? RS_HERE : RS_TYPED;
        t->offset = s.offset;
        t->length = s.length;
        t->wire = wire;
        if (s.raw)
                t->data = s.data;
        return true;
}

/* Files of before IR version 2 do not say an attribute's type. */
static int32_t
infer_type(const Onnx__AttributeProto *p, const rs_attr *a)
{
        if (p->has_f)
                return RS_ATTR_FLOAT;
        if (p->has_i)
                return RS_ATTR_INT;
        if (a->s.data)
                return RS_ATTR_STRING;
        if (a->t)
                return RS_ATTR_TENSOR;
        if (a->floats)
                return RS_ATTR_FLOATS;
        if (a->ints)
                return RS_ATTR_INTS;
        return a->strings ? RS_ATTR_STRINGS : 0;
}

/* What of an attribute is not protobuf-c's: byte strings and the tensor stay where they are. */
static bool
read_attr_spans(rs_reader *r, rs_attr *a, size_t *n_strings)
{
        rs_field f;
        *n_strings = 0;
        for (rs_span rest = a->wire; rs_wire_next(&rest, &f);) {
                *n_strings += f.number == A_STRINGS;
                if (f.number == A_STRING)
                        a->s = f.body;
                if (f.number == A_TENSOR) {
                        a->t = RS_TAKE(r, 1, rs_tensor);
                        if (!a->t || !scan_to_tensor(r, f.body, a->t))
                                return false;
                }
        }
        if (*n_strings == 0)
                return true;
        rs_span *strings = RS_TAKE(r, *n_strings, rs_span);
        if (!strings)
                return false;
        a->strings = strings;
        for (rs_span rest = a->wire; rs_wire_next(&rest, &f);)
                if (f.number == A_STRINGS)
                        *strings++ = f.body;
        return true;
}

static bool
read_attr(rs_reader *r, rs_attr *a, rs_span wire)
{
        uint64_t without = BIT(A_STRING) | BIT(A_TENSOR) | BIT(A_GRAPH) | BIT(A_STRINGS) |
                           BIT(A_TENSORS) | BIT(A_GRAPHS) | BIT(A_DOC) | BIT(A_SPARSE) |
                           BIT(A_SPARSES);
        size_t n_strings;
        a->wire = wire;
        if (!read_attr_spans(r, a, &n_strings))
                return false;
        const Onnx__AttributeProto *p =
                rs_reader_unpack(r, &onnx__attribute_proto__descriptor, wire, without);
        if (!p)
                return false;
        a->name = p->name ? p->name : "";
        a->i = p->i;
        a->f = p->f;
        a->ints = p->n_ints ? p->ints : NULL;
        a->floats = p->n_floats ? p->floats : NULL;
        a->type = p->has_type ? (int32_t)p->type : infer_type(p, a);
        a->n = a->type == RS_ATTR_INTS      ? p->n_ints
               : a->type == RS_ATTR_FLOATS  ? p->n_floats
               : a->type == RS_ATTR_STRINGS ? n_strings
                                            : 0;
        if (a->type == RS_ATTR_TENSOR && !a->t)
                return rs_fail(r->err, RESECT_FORMAT,
                        "attribute %s: a tensor is announced, and there is none", a->name);
        return true;
}

static bool
read_node(rs_reader *r, rs_node *n, rs_span wire)
{
        const Onnx__NodeProto *p = rs_reader_unpack(r, &onnx__node_proto__descriptor, wire,
                BIT(N_ATTRIBUTE) | BIT(N_DOC) | BIT(N_PROPS) | BIT(N_DEVICES));
        if (!p)
                return false;
        n->name = p->name ? p->name : "";
        n->op = p->op_type ? p->op_type : "";
        n->domain = p->domain && strcmp(p->domain, "ai.onnx") ? p->domain : "";
        n->in = (const char **)p->input;
        n->n_in = p->n_input;
        n->out = (const char **)p->output;
        n->n_out = p->n_output;
        n->wire = wire;
        size_t count = 0;
        rs_field f;
        for (rs_span rest = wire; rs_wire_next(&rest, &f);)
                count += f.number == N_ATTRIBUTE;
        n->attrs = RS_TAKE(r, count, rs_attr);
        if (!n->attrs)
                return false;
        for (rs_span rest = wire; rs_wire_next(&rest, &f);)
                if (f.number == N_ATTRIBUTE && !read_attr(r, &n->attrs[n->n_attrs++], f.body))
                        return rs_fail_at(r->err, "node %s (%s)", n->name, n->op);
        return true;
}

static bool
read_shape(rs_reader *r, rs_value *v, const Onnx__TensorShapeProto *shape)
{
        if (shape->n_dim > RS_SCAN_RANK)
                return rs_fail(r->err, RESECT_UNSUPPORTED, "%zu dimensions, more than %d",
                        shape->n_dim, RS_SCAN_RANK);
        v->rank = (int)shape->n_dim;
        v->dims = RS_TAKE(r, shape->n_dim, int64_t);
        v->symbols = v->dims ? RS_TAKE(r, shape->n_dim, const char *) : NULL;
        if (!v->symbols)
                return false;
        for (size_t i = 0; i < shape->n_dim; i++) {
                const Onnx__TensorShapeProto__Dimension *d = shape->dim[i];
                v->dims[i] = -1; /* also for the negative sizes that some exporters write for
                                    "unknown" */
                if (d->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE &&
                        d->dim_value >= 0)
                        v->dims[i] = d->dim_value;
                if (d->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM &&
                        d->dim_param[0])
                        v->symbols[i] = d->dim_param;
        }
        return true;
}

static bool
read_value(rs_reader *r, rs_value *v, rs_span wire)
{
        const Onnx__ValueInfoProto *p = rs_reader_unpack(
                r, &onnx__value_info_proto__descriptor, wire, BIT(V_DOC) | BIT(V_PROPS));
        if (!p)
                return false;
        v->name = p->name ? p->name : "";
        v->wire = wire;
        v->rank = -1;
        v->is_tensor = !p->type || p->type->value_case == ONNX__TYPE_PROTO__VALUE__NOT_SET ||
                       p->type->value_case == ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
        if (!p->type || p->type->value_case != ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE)
                return true;
        v->dtype = p->type->tensor_type->elem_type;
        const Onnx__TensorShapeProto *shape = p->type->tensor_type->shape;
        return !shape || read_shape(r, v, shape) || rs_fail_at(r->err, "value %s", v->name);
}

/* A sparse initializer goes by the name of its values. */
static bool
read_sparse(rs_reader *r, rs_span wire)
{
        rs_graph *g = &r->m->graph;
        rs_span name = {(const unsigned char *)"", 0};
        rs_field f;
        for (rs_span rest = wire; rs_wire_next(&rest, &f);) {
                if (f.number != 1)
                        continue;
                rs_scan s;
                if (!rs_scan_tensor(f.body, &s, r->err))
                        return false;
                name = s.name;
        }
        const char *text = rs_reader_text(r, name);
        g->sparse[g->n_sparse++] = text;
        return text;
}

/* Pointers to n objects in one piece of memory. */
#define POINTERS(r, array, n, type)                               \
        do {                                                      \
                type *objects = RS_TAKE(r, n, type);              \
                (array) = objects ? RS_TAKE(r, n, type *) : NULL; \
                if (!(array))                                     \
                        return false;                             \
                for (size_t i = 0; i < (n); i++)                  \
                        (array)[i] = &objects[i];                 \
        } while (0)

static bool
make_arrays(rs_reader *r, rs_span body)
{
        rs_graph *g = &r->m->graph;
        size_t counts[G_SPARSE + 1] = {0}, all = 0;
        rs_field f;
        for (rs_span rest = body; rs_wire_next(&rest, &f); all++)
                if (f.number <= G_SPARSE)
                        counts[f.number]++;
        all -= counts[G_NODE] + counts[G_TENSOR] + counts[G_INPUT] + counts[G_OUTPUT] +
               counts[G_VALUE];
        POINTERS(r, g->nodes, counts[G_NODE], rs_node);
        POINTERS(r, g->tensors, counts[G_TENSOR], rs_tensor);
        POINTERS(r, g->inputs, counts[G_INPUT], rs_value);
        POINTERS(r, g->outputs, counts[G_OUTPUT], rs_value);
        POINTERS(r, g->values, counts[G_VALUE], rs_value);
        g->sparse = RS_TAKE(r, counts[G_SPARSE], const char *);
        g->rest = g->sparse ? RS_TAKE(r, all, rs_span) : NULL;
        return g->rest;
}

static bool
read_graph_field(rs_reader *r, const rs_field *f)
{
        rs_graph *g = &r->m->graph;
        switch (f->number) {
        case G_NODE:
                return read_node(r, g->nodes[g->n_nodes++], f->body);
        case G_TENSOR:
                return scan_to_tensor(r, f->body, g->tensors[g->n_tensors++]);
        case G_INPUT:
                return read_value(r, g->inputs[g->n_inputs++], f->body);
        case G_OUTPUT:
                return read_value(r, g->outputs[g->n_outputs++], f->body);
        case G_VALUE:
                return read_value(r, g->values[g->n_values++], f->body);
        case G_NAME:
                g->name = rs_reader_text(r, f->body);
                if (!g->name)
                        return false;
                if (g->name[0])
                        return true;
                break; /* there but empty: kept as it is */
        case G_SPARSE:
                if (!read_sparse(r, f->body))
                        return false;
                break;
        default:
                break;
        }
        g->rest[g->n_rest++] = f->whole;
        return true;
}

bool
rs_reader_graph(rs_reader *r, rs_span body)
{
        if (!make_arrays(r, body))
                return false;
        rs_field f;
        for (rs_span rest = body; rs_wire_next(&rest, &f);)
                if (!read_graph_field(r, &f))
                        return false;
        return true;
}
