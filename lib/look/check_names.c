/* SPDX-License-Identifier: 0BSD */
/* Names: each value is made once, by a node, as an input or as an initializer. (An initializer may
   be an input too, its default; before IR 4 it must be.) */
#include "look/check.h"

const char rs_made_by_node[] = "a node's output";
static const char input[] = "an input", initializer[] = "an initializer",
                  sparse[] = "a sparse initializer";

/* Takes a name; finds out when it is taken. */
static bool
take(rs_check *c, const char *name, const char *kind)
{
        const char *old = rs_map_get(&c->made, name);
        if (!name[0])
                rs_found(c, "", "%s has an empty name", kind);
        else if (old == kind)
                rs_found(c, name,
                        kind == rs_made_by_node ? "is made by two nodes"
                                                : "is the name of %s twice",
                        kind);
        else if (old && !(old == input && kind != rs_made_by_node))
                rs_found(c, name, "is %s and %s", old, kind);
        return old || rs_map_put(&c->made, name, (void *)kind, NULL, c->err);
}

static bool
check_outputs(rs_check *c)
{
        const rs_graph *g = &c->m->graph;
        rs_map seen = {0};
        bool ok = true;
        if (!g->n_outputs)
                rs_found(c, "", "the graph has no outputs");
        for (size_t i = 0; ok && i < g->n_outputs; i++) {
                void *old = NULL;
                const char *name = g->outputs[i]->name;
                ok = rs_map_put(&seen, name, g->outputs[i], &old, c->err);
                if (!name[0])
                        rs_found(c, "", "an output has an empty name");
                else if (old)
                        rs_found(c, name, "is an output twice");
                else if (!rs_map_get(&c->made, name))
                        rs_found(c, name, "is an output that nothing makes");
        }
        rs_map_free(&seen);
        return ok;
}

static bool
check_initializers(rs_check *c)
{
        const rs_graph *g = &c->m->graph;
        rs_map initializers = {0};
        bool ok = true;
        const char *first = NULL;
        size_t unlisted = 0;
        for (size_t i = 0; ok && i < g->n_tensors;
                i++) { /* a map of their own: made holds "an input" for those that are both */
                void *old = NULL;
                const char *name = g->tensors[i]->name;
                ok = rs_map_put(&initializers, name, g->tensors[i], &old, c->err);
                bool listed = rs_map_get(&c->made, name) == input;
                if (ok && old && listed)
                        rs_found(c, name, "is the name of an initializer twice");
                else if (ok)
                        ok = take(c, name, initializer);
                if (!listed && c->m->ir_version < 4 && !old) {
                        unlisted++;
                        first = first ? first : name;
                }
        }
        rs_map_free(&initializers);
        if (unlisted)
                rs_found(c, first,
                        "before IR version 4 every initializer is an input too: %zu %s not",
                        unlisted, unlisted == 1 ? "is" : "are");
        for (size_t i = 0; ok && i < g->n_sparse; i++)
                ok = take(c, g->sparse[i], sparse);
        return ok;
}

bool
rs_check_names(rs_check *c)
{
        const rs_graph *g = &c->m->graph;
        for (size_t i = 0; i < g->n_inputs; i++)
                if (!take(c, g->inputs[i]->name, input))
                        return false;
        if (!check_initializers(c))
                return false;
        for (size_t i = 0; i < g->n_nodes; i++)
                for (size_t k = 0; k < g->nodes[i]->n_out; k++)
                        if (g->nodes[i]->out[k][0] &&
                                !take(c, g->nodes[i]->out[k], rs_made_by_node))
                                return false;
        return check_outputs(c);
}
