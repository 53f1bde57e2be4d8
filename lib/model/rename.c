/* SPDX-License-Identifier: 0BSD */
/* Renaming values and turning their readers to another one. Names inside subgraphs are bytes that
   are carried, so a name that one mentions cannot change. */
#include "model/model.h"

#include <string.h>

enum {
        IN_NODES_IN = 1,
        IN_NODES_OUT = 2,
        IN_TENSORS = 4,
        IN_INPUTS = 8,
        IN_OUTPUTS = 16,
        IN_VALUES = 32,
        EVERYWHERE = 63
};

static bool
hit(const char **name, const char *from, const char *to)
{
        if (strcmp(*name, from))
                return false;
        *name = to;
        return true;
}

/* Replaces from by to in the places that where names; to lives in the arena. */
static void
replace(rs_graph *g, const char *from, const char *to, int where)
{
        for (size_t i = 0; i < g->n_nodes; i++) {
                rs_node *n = g->nodes[i];
                for (size_t k = 0; where & IN_NODES_IN && k < n->n_in; k++)
                        if (hit(&n->in[k], from, to))
                                rs_node_touch(n);
                for (size_t k = 0; where & IN_NODES_OUT && k < n->n_out; k++)
                        if (hit(&n->out[k], from, to))
                                rs_node_touch(n);
        }
        for (size_t i = 0; where & IN_TENSORS && i < g->n_tensors; i++)
                g->tensors[i]->touched |= hit(&g->tensors[i]->name, from, to);
        for (size_t i = 0; where & IN_INPUTS && i < g->n_inputs; i++)
                g->inputs[i]->touched |= hit(&g->inputs[i]->name, from, to);
        for (size_t i = 0; where & IN_OUTPUTS && i < g->n_outputs; i++)
                g->outputs[i]->touched |= hit(&g->outputs[i]->name, from, to);
        for (size_t i = 0; where & IN_VALUES && i < g->n_values; i++)
                g->values[i]->touched |= hit(&g->values[i]->name, from, to);
}

static bool
refuse_captured(const rs_graph *g, const char *name, resect_error *err)
{
        rs_arena arena = {0};
        bool ok = true;
        for (size_t i = 0; ok && i < g->n_nodes; i++) {
                const char **inner;
                size_t n_inner;
                ok = rs_node_subgraph_names(g->nodes[i], &arena, &inner, &n_inner, err);
                for (size_t k = 0; ok && k < n_inner; k++)
                        if (!strcmp(inner[k], name))
                                ok = rs_fail(err, RESECT_UNSUPPORTED,
                                        "%s is read inside a subgraph of node %s (%s)", name,
                                        g->nodes[i]->name, g->nodes[i]->op);
        }
        rs_arena_free(&arena);
        return ok;
}

static bool
is_sparse(const rs_graph *g, const char *name)
{
        for (size_t i = 0; i < g->n_sparse; i++)
                if (!strcmp(g->sparse[i], name))
                        return true;
        return false;
}

static bool
in_use(const rs_graph *g, const char *name)
{
        for (size_t i = 0; i < g->n_nodes; i++)
                for (size_t k = 0; k < g->nodes[i]->n_out; k++)
                        if (!strcmp(g->nodes[i]->out[k], name))
                                return true;
        for (size_t i = 0; i < g->n_tensors; i++)
                if (!strcmp(g->tensors[i]->name, name))
                        return true;
        return rs_graph_find_input(g, name) || is_sparse(g, name);
}

bool
rs_graph_rename(resect_model *m, const char *from, const char *to, resect_error *err)
{
        rs_graph *g = &m->graph;
        if (!strcmp(from, to))
                return true;
        if (!from[0] || !to[0])
                return rs_fail(err, RESECT_ARG, "a value's name cannot be empty");
        if (in_use(g, to))
                return rs_fail(
                        err, RESECT_GRAPH, "cannot rename %s to %s: that name is taken", from, to);
        if (is_sparse(g, from))
                return rs_fail(
                        err, RESECT_UNSUPPORTED, "cannot rename the sparse initializer %s", from);
        const char *copy = rs_arena_strdup(&m->arena, to, err);
        const char *old = rs_arena_strdup(
                &m->arena, from, err); /* from may be the very string that changes */
        if (!copy || !old || !refuse_captured(g, old, err) || !refuse_captured(g, copy, err))
                return false;
        replace(g, old, copy, EVERYWHERE);
        if (!rs_model_is_frozen(m, old))
                return true;
        return rs_model_set_frozen(m, old, false, err) && rs_model_set_frozen(m, copy, true, err) &&
               rs_model_store_frozen(m, err);
}

static bool
listed(rs_value *const *v, size_t n, const char *name)
{
        for (size_t i = 0; i < n; i++)
                if (!strcmp(v[i]->name, name))
                        return true;
        return false;
}

bool
rs_graph_redirect(resect_model *m, const char *from, const char *to, resect_error *err)
{
        rs_graph *g = &m->graph;
        if (!strcmp(from, to))
                return true;
        const char *old = rs_arena_strdup(&m->arena, from, err),
                   *now = rs_arena_strdup(&m->arena, to, err);
        if (!old || !now || !refuse_captured(g, old, err))
                return false;
        replace(g, old, now, IN_NODES_IN);
        if (!listed(g->outputs, g->n_outputs, old))
                return true;
        /* An output keeps its name: what made it gives the name up, and the value that takes its
         * place takes it over. */
        const char *spare = rs_model_fresh_name(m, old, err);
        if (!spare)
                return false;
        size_t kept = 0;
        for (size_t i = 0; i < g->n_values; i++)
                if (strcmp(g->values[i]->name, old))
                        g->values[kept++] = g->values[i];
        g->n_values = kept;
        replace(g, old, spare, IN_NODES_OUT | IN_TENSORS | IN_INPUTS);
        bool made = false;
        for (size_t i = 0; i < g->n_nodes; i++)
                for (size_t k = 0; k < g->nodes[i]->n_out; k++)
                        made |= !strcmp(g->nodes[i]->out[k], now);
        if (made && !listed(g->outputs, g->n_outputs, now) && refuse_captured(g, now, NULL)) {
                replace(g, now, old, IN_NODES_IN | IN_NODES_OUT | IN_VALUES);
                return true;
        }
        return rs_model_add_node(m, "Identity", "", &now, 1, &old, 1, err);
}
