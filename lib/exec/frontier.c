/* SPDX-License-Identifier: 0BSD */
/*
 * The frozen boundary of a model. A value is alive when training can change it for a given picture:
 * a parameter or a running statistic that is not frozen reaches it, or the randomness of Dropout.
 * The frontier is made of the dead values that living nodes read; what lies before them can be
 * computed once for each picture.
 */
#include "exec/exec.h"
#include "op/op.h"

#include <string.h>

struct walk {
        resect_model *m;
        rs_index index;
        rs_map alive, after, listed; /* value names */
};

/* Whether the node itself holds something that training changes. */
static bool
changes(struct walk *w, const rs_node *node)
{
        const rs_op *op = rs_op_of(w->m, node, NULL);
        if (!op)
                return false;
        if (!strcmp(op->name, "Dropout"))
                return true;
        bool downstream = false;
        for (size_t i = 0; i < node->n_in; i++)
                downstream |= rs_map_get(&w->after, node->in[i]) != NULL;
        for (size_t i = 0; i < node->n_in && i < 32; i++) {
                const rs_link *l = rs_index_find(&w->index, node->in[i]);
                bool slot = op->trains >> i & 1 || op->statistics >> i & 1 ||
                            (op->adjusts >> i & 1 && downstream);
                if (slot && l && l->tensor && l->tensor->dtype == RESECT_FLOAT &&
                        !rs_model_is_frozen(w->m, node->in[i]) &&
                        (l->tensor->count > 1 || !(op->adjusts >> i & 1)))
                        return true;
        }
        return false;
}

static bool
has_weight(struct walk *w, const rs_node *node)
{
        const rs_op *op = rs_op_of(w->m, node, NULL);
        for (size_t i = 0; i < node->n_in && i < 32; i++) {
                const rs_link *l = rs_index_find(&w->index, node->in[i]);
                if (rs_map_get(&w->after, node->in[i]) ||
                        (op && op->trains >> i & 1 && l && l->tensor))
                        return true;
        }
        return false;
}

static bool
mark(struct walk *w, rs_map *map, const rs_node *node, resect_error *err)
{
        for (size_t j = 0; j < node->n_out; j++)
                if (*node->out[j] && !rs_map_put(map, node->out[j], w, NULL, err))
                        return false;
        return true;
}

/* Whether some graph input reaches `name` without passing through the frontier. */
static bool
reaches_input(struct walk *w, const char *name, int depth)
{
        if (rs_map_get(&w->listed, name))
                return false;
        const rs_link *l = rs_index_find(&w->index, name);
        if (!l || l->tensor)
                return false;
        if (l->input || !l->maker || depth > 64)
                return true;
        for (size_t i = 0; i < l->maker->n_in; i++)
                if (*l->maker->in[i] && reaches_input(w, l->maker->in[i], depth + 1))
                        return true;
        return false;
}

/* Dead values that living nodes read: pictures and features are listed; a shape computed from them
 * is followed back instead. */
static bool
list(struct walk *w, const rs_types *types, const char **names, size_t *n, bool *whole,
        resect_error *err)
{
        const rs_graph *g = &w->m->graph;
        for (int pass = 0; pass < 2; pass++)
                for (size_t k = 0; k < g->n_nodes; k++) {
                        const rs_node *node = g->nodes[k];
                        bool living = false;
                        for (size_t j = 0; j < node->n_out; j++)
                                living |= rs_map_get(&w->alive, node->out[j]) != NULL;
                        for (size_t i = 0; living && i < node->n_in; i++) {
                                const rs_link *l = rs_index_find(&w->index, node->in[i]);
                                if (!l || l->tensor || rs_map_get(&w->alive, node->in[i]) ||
                                        rs_map_get(&w->listed, node->in[i]))
                                        continue;
                                const rs_type *t = rs_types_find(types, node->in[i]);
                                bool number = t && (t->dtype == RESECT_FLOAT ||
                                                           t->dtype == RESECT_DOUBLE ||
                                                           t->dtype == RESECT_FLOAT16);
                                if (pass == 0 && number && (l->maker || l->input)) {
                                        if (l->input ||
                                                !rs_map_put(&w->listed, node->in[i], w, NULL, err))
                                                return l->input ? !(*whole = false) : false;
                                        names[(*n)++] = l->name;
                                } else if (pass == 1 && reaches_input(w, node->in[i], 0)) {
                                        *whole = false;
                                        return true;
                                }
                        }
                }
        return true;
}

static bool
find(struct walk *w, rs_arena *arena, const char ***names, size_t *n, resect_error *err)
{
        const rs_graph *g = &w->m->graph;
        for (size_t k = 0; k < g->n_nodes; k++) {
                const rs_node *node = g->nodes[k];
                bool alive = changes(w, node);
                for (size_t i = 0; i < node->n_in && !alive; i++)
                        alive = rs_map_get(&w->alive, node->in[i]) != NULL;
                if (alive && !mark(w, &w->alive, node, err))
                        return false;
                if (has_weight(w, node) && !mark(w, &w->after, node, err))
                        return false;
        }
        rs_types types;
        if (!rs_types_make(&types, w->m, NULL, NULL, err))
                return false;
        size_t reads = 1;
        for (size_t k = 0; k < g->n_nodes; k++)
                reads += g->nodes[k]->n_in;
        bool whole = true;
        *names = RS_NEW(arena, reads, const char *, err);
        bool ok = *names && list(w, &types, *names, n, &whole, err);
        if (!whole)
                *n = 0;
        rs_types_free(&types);
        return ok;
}

bool
rs_frontier(resect_model *m, rs_arena *arena, const char ***names, size_t *n, resect_error *err)
{
        struct walk w = {.m = m};
        *n = 0;
        bool ok = rs_graph_sort(m, err) && rs_index_make(&w.index, &m->graph, err) &&
                  find(&w, arena, names, n, err);
        rs_index_free(&w.index);
        rs_map_free(&w.alive);
        rs_map_free(&w.after);
        rs_map_free(&w.listed);
        return ok;
}
