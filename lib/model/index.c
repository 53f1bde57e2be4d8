/* SPDX-License-Identifier: 0BSD */
/* Who makes a value and who reads it, by name. */
#include "model/model.h"

static rs_link *
link_of(rs_index *ix, const char *name, resect_error *err)
{
        rs_link *l = rs_map_get(&ix->map, name);
        if (l)
                return l;
        l = RS_NEW(&ix->arena, 1, rs_link, err);
        if (!l || !rs_map_put(&ix->map, name, l, NULL, err))
                return NULL;
        l->name = name;
        return l;
}

/* The tables first: what a node must not make again. */
static bool
add_tables(rs_index *ix, const rs_graph *g, resect_error *err)
{
        for (size_t i = 0; i < g->n_tensors; i++) {
                rs_link *l = link_of(ix, g->tensors[i]->name, err);
                if (!l)
                        return false;
                if (l->tensor)
                        return rs_fail(
                                err, RESECT_GRAPH, "two initializers are called %s", l->name);
                l->tensor = g->tensors[i];
        }
        for (size_t i = 0; i < g->n_inputs; i++) {
                rs_link *l = link_of(ix, g->inputs[i]->name, err);
                if (!l)
                        return false;
                if (l->input)
                        return rs_fail(err, RESECT_GRAPH, "two inputs are called %s", l->name);
                l->input = g->inputs[i];
        }
        for (size_t i = 0; i < g->n_outputs; i++) {
                rs_link *l = link_of(ix, g->outputs[i]->name, err);
                if (!l)
                        return false;
                l->is_output = true;
        }
        return true;
}

static bool
add_use(rs_index *ix, rs_node *n, size_t slot, resect_error *err)
{
        rs_link *l = link_of(ix, n->in[slot], err);
        rs_use *u = l ? RS_NEW(&ix->arena, 1, rs_use, err) : NULL;
        if (!u)
                return false;
        *u = (rs_use){n, slot, NULL};
        *(l->last_use ? &l->last_use->next : &l->uses) = u;
        l->last_use = u;
        l->n_uses++;
        return true;
}

static bool
add_node(rs_index *ix, rs_node *n, resect_error *err)
{
        for (size_t i = 0; i < n->n_out; i++) {
                if (!n->out[i][0])
                        continue;
                rs_link *l = link_of(ix, n->out[i], err);
                if (!l)
                        return false;
                if (l->maker)
                        return rs_fail(err, RESECT_GRAPH, "%s is made by two nodes, %s and %s",
                                l->name, l->maker->op, n->op);
                if (l->tensor || l->input)
                        return rs_fail(err, RESECT_GRAPH, "%s is made by a node (%s) and is %s too",
                                l->name, n->op, l->tensor ? "an initializer" : "an input");
                l->maker = n;
                l->maker_slot = i;
        }
        for (size_t i = 0; i < n->n_in; i++)
                if (n->in[i][0] && !add_use(ix, n, i, err))
                        return false;
        const char **inner;
        size_t n_inner;
        if (!rs_node_subgraph_names(n, &ix->arena, &inner, &n_inner, err))
                return false;
        for (size_t i = 0; i < n_inner; i++) {
                rs_link *l = link_of(ix, inner[i], err);
                if (!l)
                        return false;
                l->captured = true;
        }
        return true;
}

bool
rs_index_make(rs_index *ix, const rs_graph *g, resect_error *err)
{
        *ix = (rs_index){0};
        bool ok = add_tables(ix, g, err);
        for (size_t i = 0; ok && i < g->n_nodes; i++)
                ok = add_node(ix, g->nodes[i], err);
        if (!ok)
                rs_index_free(ix);
        return ok;
}

rs_link *
rs_index_find(const rs_index *ix, const char *name)
{
        return name && name[0] ? rs_map_get(&ix->map, name) : NULL;
}

void
rs_index_free(rs_index *ix)
{
        rs_map_free(&ix->map);
        rs_arena_free(&ix->arena);
        *ix = (rs_index){0};
}
