/* SPDX-License-Identifier: 0BSD */
/* Types and shapes: every node's operator looks at its inputs, and what the model declares is
 * compared with what comes out. */
#include "look/check.h"

#include <stdio.h>
#include "op/op.h"

static void
misfit(void *ctx, const rs_node *n, const char *msg)
{
        rs_found(ctx, rs_node_where(n), "%s: %s", n->op, msg);
}

/* "float32 [N, 64, 56, 56]" */
static void
spell(char *out, size_t size, int32_t dtype, int rank, const int64_t *dims)
{
        int n = snprintf(out, size, "%s", dtype ? resect_dtype_name((resect_dtype)dtype) : "?");
        if (rank < 0)
                return;
        for (int i = 0; i < rank && (size_t)n < size; i++)
                n += dims[i] < 0 ? snprintf(out + n, size - (size_t)n, i ? ", ?" : " [?")
                                 : snprintf(out + n, size - (size_t)n, i ? ", %lld" : " [%lld",
                                           (long long)dims[i]);
        if ((size_t)n < size)
                snprintf(out + n, size - (size_t)n, rank ? "]" : " scalar");
}

static void
compare(rs_check *c, const rs_types *types, const rs_value *v, const char *kind)
{
        const rs_type *t = rs_types_find(types, v->name);
        if (!t || !v->is_tensor)
                return;
        bool differs = t->dtype && v->dtype && t->dtype != v->dtype;
        bool shapes = t->rank >= 0 && v->rank >= 0;
        differs |= shapes && t->rank != v->rank;
        for (int i = 0; shapes && !differs && i < t->rank; i++)
                differs |= t->dims[i] >= 0 && v->dims[i] >= 0 && t->dims[i] != v->dims[i];
        if (!differs)
                return;
        char declared[160], inferred[160];
        spell(declared, sizeof declared, v->dtype, v->rank, v->dims);
        spell(inferred, sizeof inferred, t->dtype, t->rank, t->dims);
        rs_found(c, v->name, "%s is declared %s, the nodes make %s", kind, declared, inferred);
}

static void
compare_input(rs_check *c, const rs_value *v, const rs_tensor *t)
{
        bool differs = v->is_tensor &&
                       ((v->dtype && v->dtype != t->dtype) || (v->rank >= 0 && v->rank != t->rank));
        for (int i = 0; v->is_tensor && !differs && v->rank >= 0 && i < t->rank; i++)
                differs |= v->dims[i] >= 0 && v->dims[i] != t->dims[i];
        if (!differs)
                return;
        char declared[160], given[160];
        spell(declared, sizeof declared, v->dtype, v->rank, v->dims);
        spell(given, sizeof given, t->dtype, t->rank, t->dims);
        rs_found(c, v->name, "the input is declared %s, its initializer is %s", declared, given);
}

static bool
compare_inputs(rs_check *c)
{
        const rs_graph *g = &c->m->graph;
        rs_map tensors = {0};
        bool ok = true;
        for (size_t i = 0; ok && i < g->n_tensors; i++)
                ok = rs_map_put(&tensors, g->tensors[i]->name, g->tensors[i], NULL, c->err);
        for (size_t i = 0; ok && i < g->n_inputs; i++) {
                const rs_tensor *t = rs_map_get(&tensors, g->inputs[i]->name);
                if (t)
                        compare_input(c, g->inputs[i], t);
                if (g->inputs[i]->is_tensor && !g->inputs[i]->dtype)
                        rs_found(c, g->inputs[i]->name, "the input has no element type");
        }
        rs_map_free(&tensors);
        return ok;
}

bool
rs_check_types(rs_check *c)
{
        const rs_graph *g = &c->m->graph;
        rs_types types;
        if (!compare_inputs(c) || !rs_types_make(&types, c->m, misfit, c, c->err))
                return false;
        for (size_t i = 0; i < g->n_outputs; i++)
                compare(c, &types, g->outputs[i], "the output");
        for (size_t i = 0; i < g->n_values; i++)
                compare(c, &types, g->values[i], "the value");
        rs_types_free(&types);
        return true;
}
