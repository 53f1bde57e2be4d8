/* SPDX-License-Identifier: 0BSD */
/* Are two nodes the same operator? Attributes are compared by value, in any order; those that are
 * carried as bytes, by their bytes. */
#include "model/model.h"

#include <string.h>

static bool
same_bytes(rs_span a, rs_span b)
{
        return a.size == b.size && (!a.size || !memcmp(a.data, b.data, a.size));
}

static bool
same_tensor(const rs_tensor *a, const rs_tensor *b)
{
        if (a->dtype != b->dtype || a->rank != b->rank || a->where != b->where)
                return false;
        for (int i = 0; i < a->rank; i++)
                if (a->dims[i] != b->dims[i])
                        return false;
        return a->where == RS_HERE ? same_bytes(a->data, b->data) : same_bytes(a->wire, b->wire);
}

static bool
same_attr(const rs_attr *a, const rs_attr *b)
{
        if (a->type != b->type)
                return false;
        switch (a->type) {
        case RS_ATTR_INT:
                return a->i == b->i;
        case RS_ATTR_FLOAT:
                return !memcmp(&a->f, &b->f, sizeof a->f);
        case RS_ATTR_STRING:
                return same_bytes(a->s, b->s);
        case RS_ATTR_INTS:
                return a->n == b->n && (!a->n || !memcmp(a->ints, b->ints, a->n * sizeof *a->ints));
        case RS_ATTR_FLOATS:
                return a->n == b->n &&
                       (!a->n || !memcmp(a->floats, b->floats, a->n * sizeof *a->floats));
        case RS_ATTR_STRINGS:
                for (size_t i = 0; a->n == b->n && i < a->n; i++)
                        if (!same_bytes(a->strings[i], b->strings[i]))
                                return false;
                return a->n == b->n;
        case RS_ATTR_TENSOR:
                return a->t && b->t ? same_tensor(a->t, b->t) : a->t == b->t;
        default:
                return same_bytes(a->wire, b->wire);
        }
}

bool
resect_model_same_node(const resect_model *a, size_t i, const resect_model *b, size_t j)
{
        if (i >= a->graph.n_nodes || j >= b->graph.n_nodes)
                return false;
        const rs_node *p = a->graph.nodes[i], *q = b->graph.nodes[j];
        if (strcmp(p->op, q->op) || strcmp(p->domain, q->domain) || p->n_attrs != q->n_attrs)
                return false;
        for (size_t k = 0; k < p->n_attrs; k++) {
                const rs_attr *other = rs_node_attr(q, p->attrs[k].name);
                if (!other || !same_attr(&p->attrs[k], other))
                        return false;
        }
        return true;
}
