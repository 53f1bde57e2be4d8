/* SPDX-License-Identifier: 0BSD */
/* Making and changing parts of a graph, in the few shapes that the surgeries need. */
#include "edit/edit.h"

#include <stdarg.h>
#include <string.h>

#include "tensor/dtype.h"

rs_node *
rs_build(rs_surgery *s, const char *op, const char *name, const char *out, resect_error *err,
        const char *in0, ...)
{
        const char *in[8] = {in0};
        size_t n = 1;
        va_list ap;
        va_start(ap, in0);
        for (const char *p; n < 8 && (p = va_arg(ap, const char *)) != NULL; n++)
                in[n] = p;
        va_end(ap);
        return rs_model_add_node(s->m, op, name, in, n, &out, 1, err);
}

rs_tensor *
rs_build_ints(rs_surgery *s, const char *name, const int64_t *v, size_t n, resect_error *err)
{
        int64_t dims[1] = {(int64_t)n};
        rs_tensor *t = rs_model_add_tensor(s->m, name, RESECT_INT64, 1, dims, err);
        if (t != NULL)
                rs_from_little((void *)(uintptr_t)t->data.data, v, RESECT_INT64, n);
        return t;
}

rs_tensor *
rs_find_tensor(const rs_graph *g, const char *name)
{
        for (size_t i = 0; i < g->n_tensors; i++)
                if (strcmp(g->tensors[i]->name, name) == 0)
                        return g->tensors[i];
        return NULL;
}

rs_tensor *
rs_constant(const rs_index *ix, const char *value)
{
        for (int hops = 0; hops < 100; hops++) {
                const rs_link *l = rs_index_find(ix, value);
                if (l == NULL || l->tensor != NULL)
                        return l != NULL ? l->tensor : NULL;
                if (l->maker == NULL || strcmp(l->maker->op, "Identity") != 0 ||
                        l->maker->n_in != 1)
                        return NULL;
                value = l->maker->in[0];
        }
        return NULL;
}

bool
rs_tensor_doubles(
        const resect_model *m, rs_arena *a, const rs_tensor *t, double **out, resect_error *err)
{
        rs_arena bytes = {0};
        rs_span raw;
        if (rs_dtype_bits(t->dtype) < 8)
                return rs_fail(err, RESECT_UNSUPPORTED,
                        "%s: values of type %s are not computed with", t->name,
                        resect_dtype_name((resect_dtype)t->dtype));
        double *v = RS_NEW(a, t->count + 1, double, err);
        bool ok = v != NULL && rs_tensor_bytes(m, t, &bytes, &raw, err);
        const size_t width = ok && t->count != 0 ? t->bytes / t->count : 0;
        for (size_t i = 0; ok && i < t->count; i++) {
                double one[2];
                rs_from_little(one, raw.data + i * width, t->dtype, 1);
                v[i] = rs_load(one, t->dtype, 0);
        }
        rs_arena_free(&bytes);
        *out = v;
        return ok;
}

void
rs_tensor_put_at(rs_tensor *t, size_t i, double v)
{
        const size_t width = t->bytes / t->count;
        double one[2];
        rs_store(one, t->dtype, 0, v);
        rs_from_little((unsigned char *)(uintptr_t)t->data.data + i * width, one, t->dtype, 1);
}

void
rs_tensor_put(rs_tensor *t, const double *v, size_t n)
{
        for (size_t i = 0; i < n; i++)
                rs_tensor_put_at(t, i, v[i]);
}

void
rs_graph_remove(rs_graph *g, const rs_node *n)
{
        size_t k = 0;
        for (size_t i = 0; i < g->n_nodes; i++)
                if (g->nodes[i] != n)
                        g->nodes[k++] = g->nodes[i];
        g->n_nodes = k;
}

static void
place(rs_graph *g, rs_node *n, const rs_node *at, size_t after)
{
        rs_graph_remove(g, n);
        size_t k = 0;
        while (k < g->n_nodes && g->nodes[k] != at)
                k++;
        k += k < g->n_nodes ? after : 0;
        memmove(g->nodes + k + 1, g->nodes + k, (g->n_nodes - k) * sizeof *g->nodes);
        g->nodes[k] = n;
        g->n_nodes++;
}

void
rs_graph_place(rs_graph *g, rs_node *n, const rs_node *behind)
{
        place(g, n, behind, 1);
}

void
rs_graph_place_before(rs_graph *g, rs_node *n, const rs_node *before)
{
        place(g, n, before, 0);
}

bool
rs_is_op(const rs_node *n, const char *op)
{
        return n != NULL && n->domain[0] == '\0' && strcmp(n->op, op) == 0;
}

const char *
rs_node_title(const rs_node *n)
{
        return n->name[0] != '\0' ? n->name : n->n_out != 0 ? n->out[0] : n->op;
}

bool
rs_set_symbol(resect_model *m, rs_value *v, int axis, const char *symbol, resect_error *err)
{
        if (v->symbols == NULL)
                v->symbols = RS_NEW(&m->arena, (size_t)v->rank, const char *, err);
        if (v->symbols == NULL)
                return false;
        v->dims[axis] = -1;
        v->symbols[axis] = rs_arena_strdup(&m->arena, symbol, err);
        v->touched = true;
        return v->symbols[axis] != NULL;
}

rs_value *
rs_value_of_type(rs_surgery *s, const char *name, const rs_type *t, const rs_symbols *symbols,
        resect_error *err)
{
        int64_t dims[RESECT_RANK_MAX];
        const char *names[RESECT_RANK_MAX] = {NULL};
        int rank = t != NULL ? t->rank : -1;
        for (int i = 0; i < rank; i++) {
                dims[i] = t->dims[i] >= 0 ? t->dims[i] : -1;
                if (rs_is_symbol(t->dims[i]) && rs_symbol_index(t->dims[i]) < symbols->count)
                        names[i] = symbols->names[rs_symbol_index(t->dims[i])];
        }
        return rs_model_make_value(s->m, name, t != NULL ? t->dtype : 0, rank, dims, names, err);
}

static void
shrug(void *ctx, const rs_node *n, const char *msg)
{
        (void)ctx, (void)n, (void)msg;
}

bool
rs_infer_all(const resect_model *m, rs_types *types, resect_error *err)
{
        return rs_types_make(types, m, shrug, NULL, err);
}

static rs_value *
output_entry(const rs_graph *g, const char *name)
{
        for (size_t i = 0; i < g->n_outputs; i++)
                if (strcmp(g->outputs[i]->name, name) == 0)
                        return g->outputs[i];
        return NULL;
}

bool
rs_set_outputs_typed(
        rs_surgery *s, const char *const *names, size_t n, const rs_types *types, resect_error *err)
{
        rs_graph *g = &s->m->graph;
        rs_value **list = RS_NEW(&s->m->arena, n, rs_value *, err);
        bool ok = list != NULL;
        for (size_t i = 0; ok && i < n; i++) {
                list[i] = output_entry(g, names[i]);
                if (list[i] == NULL)
                        list[i] = rs_value_of_type(
                                s, names[i], rs_types_find(types, names[i]), &types->symbols, err);
                ok = list[i] != NULL;
                if (ok && list[i]->is_tensor &&
                        list[i]->dtype ==
                                0) { /* ONNX wants one; what cannot be inferred is as the rest */
                        list[i]->dtype = RESECT_FLOAT;
                        list[i]->touched = true;
                }
        }
        if (!ok)
                return false;
        g->outputs = list;
        g->n_outputs = n;
        return rs_graph_prune(s->m, err);
}

bool
rs_set_outputs(rs_surgery *s, const char *const *names, size_t n, resect_error *err)
{
        rs_types types = {0};
        bool ok = rs_infer_all(s->m, &types, err) && rs_set_outputs_typed(s, names, n, &types, err);
        rs_types_free(&types);
        return ok;
}

const char *
rs_sibling_name(resect_model *m, const char *name, const char *suffix, resect_error *err)
{
        size_t n = strlen(name);
        if (n > 7 && strcmp(name + n - 7, ".weight") == 0)
                n -= 7;
        char *wish = rs_arena_printf(&m->arena, err, "%.*s%c%s", (int)(n > 4096 ? 4096 : n), name,
                name[n] == '.' ? '.' : '_', suffix);
        return wish != NULL ? rs_model_fresh_name(m, wish, err) : NULL;
}
