/* SPDX-License-Identifier: 0BSD */
/* The public questions about a graph: its inputs, outputs and initializers. */
#include "model/model.h"

#include <string.h>
#include "tensor/dtype.h"

static void
describe(const rs_value *v, resect_value *out)
{
        *out = (resect_value){.name = v->name,
                .dtype = v->is_tensor ? (resect_dtype)v->dtype : RESECT_UNDEFINED,
                .rank = -1};
        if (!v->is_tensor || v->rank < 0 || v->rank > RESECT_RANK_MAX)
                return;
        out->rank = v->rank;
        for (int i = 0; i < v->rank; i++) {
                out->dims[i] = v->dims[i] < 0 ? -1 : v->dims[i];
                out->symbols[i] = v->symbols ? v->symbols[i] : NULL;
        }
}

/* Calls see each input that is no initializer, until it is the one wanted. Before IR 4 every
   initializer is an input too, so the names go into a table first; where there is no memory for it,
   the slow way does. */
static size_t
walk_inputs(const resect_model *m, size_t wanted, resect_value *out, bool *found)
{
        const rs_graph *g = &m->graph;
        rs_map names = {0};
        static char yes;
        bool mapped = true;
        for (size_t i = 0; mapped && i < g->n_tensors; i++)
                mapped = rs_map_put(&names, g->tensors[i]->name, &yes, NULL, NULL);
        for (size_t i = 0; mapped && i < g->n_sparse; i++)
                mapped = rs_map_put(&names, g->sparse[i], &yes, NULL, NULL);
        size_t n = 0;
        *found = false;
        for (size_t i = 0; i < g->n_inputs && !*found; i++) {
                const char *name = g->inputs[i]->name;
                if (mapped ? rs_map_get(&names, name) != NULL : rs_model_is_initializer(m, name))
                        continue;
                if (n++ == wanted) {
                        describe(g->inputs[i], out);
                        *found = true;
                }
        }
        rs_map_free(&names);
        return n;
}

int64_t
resect_model_ir_version(const resect_model *m)
{
        return m->ir_version;
}

bool
resect_model_opset(const resect_model *m, size_t i, const char **domain, int64_t *version)
{
        if (i >= m->n_opsets)
                return false;
        *domain = m->opsets[i].domain;
        *version = m->opsets[i].version;
        return true;
}

size_t
resect_model_input_count(const resect_model *m)
{
        resect_value v;
        bool found;
        return walk_inputs(m, SIZE_MAX, &v, &found);
}

size_t
resect_model_output_count(const resect_model *m)
{
        return m->graph.n_outputs;
}

bool
resect_model_input(const resect_model *m, size_t i, resect_value *out)
{
        bool found;
        walk_inputs(m, i, out, &found);
        return found;
}

bool
resect_model_output(const resect_model *m, size_t i, resect_value *out)
{
        if (i >= m->graph.n_outputs)
                return false;
        describe(m->graph.outputs[i], out);
        return true;
}

size_t
resect_model_tensor_count(const resect_model *m)
{
        return m->graph.n_tensors;
}

bool
resect_model_tensor(const resect_model *m, size_t i, resect_tensor_info *out)
{
        if (i >= m->graph.n_tensors)
                return false;
        const rs_tensor *t = m->graph.tensors[i];
        *out = (resect_tensor_info){.name = t->name,
                .dtype = (resect_dtype)t->dtype,
                .rank = t->rank,
                .dims = t->dims,
                .size = t->bytes,
                .location = t->where == RS_EXTERNAL ? t->location : NULL,
                .frozen = rs_model_is_frozen((resect_model *)m, t->name)};
        return true;
}

bool
resect_model_node(const resect_model *m, size_t i, resect_node *out)
{
        if (i >= m->graph.n_nodes)
                return false;
        const rs_node *n = m->graph.nodes[i];
        *out = (resect_node){.name = n->name,
                .op = n->op,
                .domain = n->domain,
                .inputs = n->in,
                .n_inputs = n->n_in,
                .outputs = n->out,
                .n_outputs = n->n_out};
        return true;
}
