/* SPDX-License-Identifier: 0BSD */
/*
 * Dropping what no output needs: nodes first (marked backwards from the outputs, with a stack of
 * our own), then initializers, their entries among the inputs, value_info and frozen names that
 * nothing speaks of any more. The graph's inputs are its interface and stay.
 */
#include "model/model.h"

#include <string.h>

struct mark {
        rs_arena arena;
        rs_map makers; /* value -> its maker's entry in alive */
        rs_map wanted; /* values that something alive reads or makes, or an output shows */
        bool *alive;   /* [n_nodes] */
        size_t *stack, size;
};

static char yes;

static bool
want(struct mark *k, const char *name, resect_error *err)
{
        if (!name[0] || rs_map_get(&k->wanted, name))
                return true;
        bool *alive = rs_map_get(&k->makers, name);
        if (alive && !*alive) {
                *alive = true;
                k->stack[k->size++] = (size_t)(alive - k->alive);
        }
        return rs_map_put(&k->wanted, name, &yes, NULL, err);
}

static bool
mark_all(struct mark *k, const rs_graph *g, resect_error *err)
{
        for (size_t i = 0; i < g->n_nodes; i++)
                for (size_t o = 0; o < g->nodes[i]->n_out; o++)
                        if (g->nodes[i]->out[o][0] && !rs_map_put(&k->makers, g->nodes[i]->out[o],
                                                              &k->alive[i], NULL, err))
                                return false;
        for (size_t i = 0; i < g->n_outputs; i++)
                if (!want(k, g->outputs[i]->name, err))
                        return false;
        while (k->size) {
                const rs_node *n = g->nodes[k->stack[--k->size]];
                const char **inner;
                size_t n_inner;
                for (size_t i = 0; i < n->n_in; i++)
                        if (!want(k, n->in[i], err))
                                return false;
                for (size_t i = 0; i < n->n_out; i++)
                        if (n->out[i][0] && !rs_map_put(&k->wanted, n->out[i], &yes, NULL, err))
                                return false;
                if (!rs_node_subgraph_names(n, &k->arena, &inner, &n_inner, err))
                        return false;
                for (size_t i = 0; i < n_inner; i++)
                        if (!want(k, inner[i], err))
                                return false;
        }
        return true;
}

/* Sparse initializers live as bytes among rest, one field 15 each, in the order of their names. */
static void
drop_sparse(rs_graph *g, const rs_map *wanted)
{
        size_t kept_rest = 0, kept = 0, k = 0;
        for (size_t i = 0; i < g->n_rest; i++) {
                bool is_sparse =
                        g->rest[i].size && g->rest[i].data[0] == (15 << 3 | 2) && k < g->n_sparse;
                if (is_sparse && !rs_map_get(wanted, g->sparse[k])) {
                        k++;
                        continue;
                }
                if (is_sparse)
                        g->sparse[kept++] = g->sparse[k++];
                g->rest[kept_rest++] = g->rest[i];
        }
        g->n_sparse = kept;
        g->n_rest = kept_rest;
}

static bool
sweep(resect_model *m, struct mark *k, resect_error *err)
{
        rs_graph *g = &m->graph;
        size_t kept = 0;
        bool thawed = false;
        rs_map dropped = {0};
        for (size_t i = 0; i < g->n_nodes; i++)
                if (k->alive[i])
                        g->nodes[kept++] = g->nodes[i];
        g->n_nodes = kept;
        kept = 0;
        bool ok = true;
        for (size_t i = 0; ok && i < g->n_tensors; i++) {
                const char *name = g->tensors[i]->name;
                if (rs_map_get(&k->wanted, name)) {
                        g->tensors[kept++] = g->tensors[i];
                        continue;
                }
                ok = rs_map_put(&dropped, name, &yes, NULL, err);
                if (ok && rs_model_is_frozen(m, name)) {
                        ok = rs_model_set_frozen(m, name, false, err);
                        thawed = true;
                }
        }
        if (ok) {
                g->n_tensors = kept;
                for (size_t i = kept = 0; i < g->n_inputs; i++)
                        if (!rs_map_get(&dropped, g->inputs[i]->name))
                                g->inputs[kept++] = g->inputs[i];
                g->n_inputs = kept;
                for (size_t i = kept = 0; i < g->n_values; i++)
                        if (rs_map_get(&k->wanted, g->values[i]->name))
                                g->values[kept++] = g->values[i];
                g->n_values = kept;
                drop_sparse(g, &k->wanted);
        }
        rs_map_free(&dropped);
        return ok && (!thawed || rs_model_store_frozen(m, err));
}

bool
rs_graph_prune(resect_model *m, resect_error *err)
{
        struct mark k = {0};
        k.alive = RS_NEW(&k.arena, m->graph.n_nodes, bool, err);
        k.stack = RS_NEW(&k.arena, m->graph.n_nodes, size_t, err);
        bool ok = k.alive && k.stack && mark_all(&k, &m->graph, err) && sweep(m, &k, err);
        rs_map_free(&k.makers);
        rs_map_free(&k.wanted);
        rs_arena_free(&k.arena);
        return ok;
}
