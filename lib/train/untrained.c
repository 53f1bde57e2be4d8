/* SPDX-License-Identifier: 0BSD */
/*
 * Only float32 weights can be trained. A model that was cast to float16 or to bytes computes, and
 * so does its gradient as far as it goes, but its kernels would stay what they are without a word.
 */
#include <string.h>
#include "train/run.h"

/* Which input of a node is what it multiplies by; 0: none. */
static size_t
weight_slot(const rs_node *n)
{
        static const struct {
                const char *op;
                size_t slot;
        } ops[] = {{"Conv", 1}, {"ConvTranspose", 1}, {"Gemm", 1}, {"MatMul", 1},
                {"ConvInteger", 1}, {"MatMulInteger", 1}, {"QLinearConv", 3}, {"QLinearMatMul", 3}};
        for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
                if (!strcmp(n->op, ops[i].op) && n->n_in > ops[i].slot)
                        return ops[i].slot;
        return 0;
}

/* The tensor that a value is made of, through what only changes its type or shape. */
static const rs_tensor *
origin(const rs_index *ix, const char *value)
{
        static const char *const ways[] = {
                "Cast", "DequantizeLinear", "Identity", "Reshape", "Transpose"};
        for (int depth = 0; depth < 8; depth++) {
                const rs_link *l = rs_index_find(ix, value);
                bool through = false;
                if (!l || l->tensor || !l->maker)
                        return l ? l->tensor : NULL;
                for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
                        through |= !strcmp(l->maker->op, ways[i]) && l->maker->n_in > 0;
                if (!through)
                        return NULL;
                value = l->maker->in[0];
        }
        return NULL;
}

bool
rs_untrained(resect_model *m, const rs_tensor **first, size_t *n, resect_error *err)
{
        rs_index ix;
        *first = NULL;
        *n = 0;
        if (!rs_index_make(&ix, &m->graph, err))
                return false;
        for (size_t i = 0; i < m->graph.n_nodes; i++) {
                const rs_node *node = m->graph.nodes[i];
                const size_t slot = weight_slot(node);
                const rs_tensor *t = slot ? origin(&ix, node->in[slot]) : NULL;
                if (!t || t->dtype == RESECT_FLOAT || rs_model_is_frozen(m, t->name))
                        continue;
                if (!*first)
                        *first = t;
                ++*n;
        }
        rs_index_free(&ix);
        return true;
}
