/* SPDX-License-Identifier: 0BSD */
/* The model object: making an empty one, freeing it, and the small queries that everybody asks. */
#include "model/model.h"

#include <string.h>

resect_model *
rs_model_new(resect_error *err)
{
        resect_model *m = rs_alloc(1, sizeof *m, err);
        if (m) {
                m->path = m->producer = m->producer_version = "";
                m->graph.name = "";
        }
        return m;
}

void
resect_model_free(resect_model *m)
{
        if (!m)
                return;
        if (m->release)
                m->release(m);
        rs_map_free(&m->frozen);
        rs_arena_free(&m->arena);
        rs_free(m);
}

int64_t
rs_model_opset(const resect_model *m)
{
        for (size_t i = 0; i < m->n_opsets; i++)
                if (!m->opsets[i].domain[0])
                        return m->opsets[i].version;
        return 0;
}

rs_value *
rs_graph_find_input(const rs_graph *g, const char *name)
{
        for (size_t i = 0; i < g->n_inputs; i++)
                if (!strcmp(g->inputs[i]->name, name))
                        return g->inputs[i];
        return NULL;
}

bool
rs_model_is_initializer(const resect_model *m, const char *name)
{
        for (size_t i = 0; i < m->graph.n_tensors; i++)
                if (!strcmp(m->graph.tensors[i]->name, name))
                        return true;
        for (size_t i = 0; i < m->graph.n_sparse; i++)
                if (!strcmp(m->graph.sparse[i], name))
                        return true;
        return false;
}

void
rs_node_touch(rs_node *n)
{
        n->touched = true;
}
