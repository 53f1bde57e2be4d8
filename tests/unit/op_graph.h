/* SPDX-License-Identifier: 0BSD */
/*
 * The simplest interpreter of a graph, for tests of operators: every node in file order, infer then
 * forward, each value a tensor of its own, small integers always known. It shares nothing with the
 * plan, so that the two can be held against each other.
 */
#ifndef OP_GRAPH_H
#define OP_GRAPH_H

#include <string.h>
#include "base/map.h"
#include "base/mem.h"
#include "model/model.h"
#include "op/op.h"
#include "tensor/dtype.h"
#include "unit.h"

typedef struct op_graph {
        rs_arena arena;
        rs_map values; /* name -> resect_tensor * */
        rs_symbols symbols;
        resect_tensor *made[4096];
        size_t n_made;
        int threads;
} op_graph;

static inline resect_tensor *
op_graph_new(op_graph *g, const char *name, resect_error *err)
{
        resect_tensor *t = RS_NEW(&g->arena, 1, resect_tensor, err);
        if (!t || g->n_made == 4096 || !rs_map_put(&g->values, name, t, NULL, err))
                return NULL;
        return g->made[g->n_made++] = t;
}

static inline void
op_graph_free(op_graph *g)
{
        for (size_t i = 0; i < g->n_made; i++)
                resect_tensor_free(g->made[i]);
        rs_map_free(&g->values);
        rs_arena_free(&g->arena);
}

static inline int64_t
op_graph_opset(const resect_model *m, const char *domain)
{
        for (size_t i = 0; i < m->n_opsets; i++)
                if (!strcmp(m->opsets[i].domain, domain))
                        return m->opsets[i].version;
        return 0;
}

/* Whether the library has every operator of the graph; else *missing is one that it has not. */
static inline bool
op_graph_ours(const resect_model *m, const char **missing)
{
        for (size_t i = 0; i < m->graph.n_nodes; i++) {
                const rs_node *n = m->graph.nodes[i];
                *missing = n->op;
                if (!rs_op_find(n->domain, n->op, op_graph_opset(m, n->domain)))
                        return false;
        }
        return true;
}

static inline bool
op_graph_node(op_graph *g, const resect_model *m, const rs_node *n, resect_error *err)
{
        const int64_t opset = op_graph_opset(m, n->domain);
        const rs_op *op = rs_op_find(n->domain, n->op, opset);
        rs_infer *x = RS_NEW(&g->arena, 1, rs_infer, err);
        rs_call *c = RS_NEW(&g->arena, 1, rs_call, err);
        rs_type *types = RS_NEW(&g->arena, n->n_in + 1, rs_type, err);
        if (!op || !x || !c || !types || n->n_in > RS_IN_MAX || n->n_out > RS_OUT_MAX)
                return rs_fail(err, RESECT_UNSUPPORTED, "%s", n->op);
        *x = (rs_infer){.arena = &g->arena,
                .model = m,
                .symbols = &g->symbols,
                .node = n,
                .opset = opset,
                .n_in = n->n_in,
                .n_out = n->n_out,
                .concrete = true,
                .threads = g->threads};
        *c = (rs_call){.threads = g->threads, .n_in = n->n_in, .n_out = n->n_out};
        for (size_t i = 0; i < n->n_in; i++) {
                if (!*n->in[i])
                        continue;
                const resect_tensor *t = rs_map_get(&g->values, n->in[i]);
                if (!t)
                        return rs_fail(err, RESECT_GRAPH, "no value %s", n->in[i]);
                types[i] = (rs_type){.dtype = (int32_t)t->dtype, .rank = t->rank};
                memcpy(types[i].dims, t->dims, sizeof t->dims);
                if (!rs_type_set_ints(&types[i], &g->arena, t->data, err))
                        return false;
                x->in[i] = &types[i];
                c->in[i] = t;
        }
        for (size_t i = 0; i < n->n_out; i++)
                x->wanted[i] = *n->out[i] != '\0';
        if (!op->infer(x, err))
                return false;
        for (size_t i = 0; i < n->n_out; i++) {
                if (!x->wanted[i])
                        continue;
                c->out[i] = op_graph_new(g, n->out[i], err);
                if (!c->out[i] || !resect_tensor_make(c->out[i], (resect_dtype)x->out[i].dtype,
                                          x->out[i].rank, x->out[i].dims, err))
                        return false;
        }
        c->state = x->state;
        c->scratch = rs_alloc_aligned(x->scratch + 1, err);
        c->saved = rs_alloc_aligned(x->saved + 1, err);
        if (c->scratch && c->saved)
                op->forward(c);
        rs_free_aligned(c->scratch);
        rs_free_aligned(c->saved);
        return c->scratch && c->saved;
}

/* Initializers, then every node. The inputs' values were put before. */
static inline bool
op_graph_run(op_graph *g, const resect_model *m, resect_error *err)
{
        for (size_t i = 0; i < m->graph.n_tensors; i++) {
                const rs_tensor *from = m->graph.tensors[i];
                rs_span raw;
                if (rs_map_get(&g->values, from->name))
                        continue;
                resect_tensor *t = op_graph_new(g, from->name, err);
                if (!t || !rs_tensor_bytes(m, from, &g->arena, &raw, err) ||
                        !resect_tensor_make(
                                t, (resect_dtype)from->dtype, from->rank, from->dims, err))
                        return false;
                rs_from_little(t->data, raw.data, from->dtype, from->count);
        }
        for (size_t i = 0; i < m->graph.n_nodes; i++)
                if (!op_graph_node(g, m, m->graph.nodes[i], err))
                        return false;
        return true;
}

#endif
