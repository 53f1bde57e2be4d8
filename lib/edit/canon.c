/* SPDX-License-Identifier: 0BSD */
/*
 * canon: one form for the many in which exporters write the same network. Each pass is small and
 * keeps the function:
 *
 *   initializers that are listed as inputs too   -> initializers alone (IR version 4 allows it)
 *   Constant nodes                               -> initializers
 *   Identity                                     -> nothing: its readers read what it reads
 *   Sum of two                                   -> Add
 *   Conv biases of zeros that are shared, or that a BatchNormalization undoes -> none
 *   auto_pad                                     -> pads, where sizes are known
 *   kernel_shape, pads, strides, dilations, group left to their defaults     -> written out
 *   names of tensors and nodes                   -> torchvision's, by structure (names.c)
 */
#include "edit/rewrite.h"

#include <string.h>

#include "base/map.h"
#include "tensor/dtype.h"

static bool
drop_listed_inputs(rs_surgery *s, size_t *count, resect_error *err)
{
        static char yes;
        rs_graph *g = &s->m->graph;
        rs_map names = {0};
        bool ok = true;
        for (size_t i = 0; ok && i < g->n_tensors; i++)
                ok = rs_map_put(&names, g->tensors[i]->name, &yes, NULL, err);
        size_t k = 0;
        for (size_t i = 0; ok && i < g->n_inputs; i++)
                if (rs_map_get(&names, g->inputs[i]->name) == NULL)
                        g->inputs[k++] = g->inputs[i];
        if (ok) {
                *count = g->n_inputs - k;
                g->n_inputs = k;
                if (s->m->ir_version < 4)
                        s->m->ir_version = 4;
        }
        rs_map_free(&names);
        return ok;
}

/* The dtype, shape and bytes that a Constant node holds; false when it is a kind that stays a node.
 */
static bool
constant_value(
        rs_surgery *s, const rs_node *n, const char *name, rs_tensor **out, resect_error *err)
{
        *out = NULL;
        for (size_t i = 0; i < n->n_attrs; i++) {
                const rs_attr *a = &n->attrs[i];
                const bool one = a->type == RS_ATTR_FLOAT || a->type == RS_ATTR_INT;
                const int64_t count = (int64_t)a->n;
                if (strcmp(a->name, "value") == 0 && a->type == RS_ATTR_TENSOR && a->t != NULL &&
                        a->t->bytes != 0) {
                        rs_span raw;
                        if (!rs_tensor_bytes(s->m, a->t, &s->arena, &raw, err))
                                return false;
                        *out = rs_model_add_tensor(
                                s->m, name, a->t->dtype, a->t->rank, a->t->dims, err);
                        if (*out != NULL)
                                memcpy((void *)(uintptr_t)(*out)->data.data, raw.data, raw.size);
                        return *out != NULL;
                }
                if (strncmp(a->name, "value_", 6) != 0 ||
                        (!one && a->type != RS_ATTR_INTS && a->type != RS_ATTR_FLOATS))
                        continue;
                const bool whole = a->type == RS_ATTR_INT || a->type == RS_ATTR_INTS;
                *out = rs_model_add_tensor(
                        s->m, name, whole ? RESECT_INT64 : RESECT_FLOAT, one ? 0 : 1, &count, err);
                if (*out != NULL)
                        rs_from_little((void *)(uintptr_t)(*out)->data.data,
                                a->type == RS_ATTR_INT     ? (const void *)&a->i
                                : a->type == RS_ATTR_FLOAT ? (const void *)&a->f
                                : whole                    ? (const void *)a->ints
                                                           : (const void *)a->floats,
                                (*out)->dtype, (*out)->count);
                return *out != NULL;
        }
        return true;
}

bool
rs_constants_out(rs_surgery *s, size_t *count, resect_error *err)
{
        rs_graph *g = &s->m->graph;
        rs_index ix;
        size_t k = 0;
        *count = 0;
        if (!rs_index_make(&ix, g, err))
                return false;
        bool ok = true;
        for (size_t i = 0; i < g->n_nodes; i++) {
                const rs_node *n = g->nodes[i];
                rs_tensor *t = NULL;
                const rs_link *l = n->n_out == 1 ? rs_index_find(&ix, n->out[0]) : NULL;
                if (ok && rs_is_op(n, "Constant") && l != NULL && !l->is_output)
                        ok = constant_value(s, n, n->out[0], &t, err);
                if (t != NULL)
                        ++*count;
                else
                        g->nodes[k++] = g->nodes[i];
        }
        g->n_nodes = k;
        rs_index_free(&ix);
        return ok;
}

static bool
is_output(const rs_graph *g, const char *name)
{
        for (size_t i = 0; i < g->n_outputs; i++)
                if (strcmp(g->outputs[i]->name, name) == 0)
                        return true;
        return false;
}

/* An Identity that makes an output of something that is no node's is all that gives the output its
 * name. */
static bool
bypass_identities(rs_surgery *s, size_t *count, resect_error *err)
{
        rs_graph *g = &s->m->graph;
        *count = 0;
        for (size_t i = 0; i < g->n_nodes; i++) {
                rs_node *n = g->nodes[i];
                if (!rs_is_op(n, "Identity") || n->n_in != 1 || n->n_out != 1)
                        continue;
                const char *from = n->out[0], *to = n->in[0];
                if (is_output(g, from) && (is_output(g, to) || rs_find_tensor(g, to) != NULL ||
                                                  rs_graph_find_input(g, to) != NULL))
                        continue;
                rs_graph_remove(g, n);
                i--;
                if (!rs_graph_redirect(s->m, from, to, err))
                        return false;
                ++*count;
        }
        return true;
}

/* All of a tensor's numbers 0? */
static bool
is_zero(rs_surgery *s, const rs_tensor *t, bool *zero, resect_error *err)
{
        rs_arena a = {0};
        rs_span raw;
        bool ok = rs_tensor_bytes(s->m, t, &a, &raw, err);
        *zero = ok;
        for (size_t i = 0; ok && i < raw.size; i++)
                *zero &= raw.data[i] == 0;
        rs_arena_free(&a);
        return ok;
}

static bool
drop_zero_biases(rs_surgery *s, size_t *count, resect_error *err)
{
        const rs_graph *g = &s->m->graph;
        rs_index ix;
        *count = 0;
        if (!rs_index_make(&ix, g, err))
                return false;
        bool ok = true;
        for (size_t i = 0; ok && i < g->n_nodes; i++) {
                rs_node *n = g->nodes[i];
                const rs_link *b =
                        rs_is_op(n, "Conv") && n->n_in == 3 ? rs_index_find(&ix, n->in[2]) : NULL;
                const rs_link *y =
                        b != NULL && b->tensor != NULL ? rs_index_find(&ix, n->out[0]) : NULL;
                const bool norm = y != NULL && y->n_uses == 1 &&
                                  rs_is_op(y->uses->node, "BatchNormalization");
                bool zero = false;
                if (y == NULL || (b->n_uses < 2 && !norm))
                        continue;
                /* Missing external data is no reason to fail here: then nobody knows, and the bias
                 * stays. */
                resect_error why = {0};
                if (!is_zero(s, b->tensor, &zero, &why) && why.code == RESECT_NOMEM) {
                        *err = why;
                        ok = false;
                }
                if (!zero)
                        continue;
                n->n_in = 2;
                rs_node_touch(n);
                ++*count;
        }
        rs_index_free(&ix);
        return ok;
}

static void
sums_to_adds(rs_surgery *s, size_t *count)
{
        const rs_graph *g = &s->m->graph;
        *count = 0;
        for (size_t i = 0; i < g->n_nodes; i++)
                if (rs_is_op(g->nodes[i], "Sum") && g->nodes[i]->n_in == 2) {
                        g->nodes[i]->op = "Add";
                        rs_node_drop_attr(g->nodes[i], "consumed_inputs");
                        rs_node_touch(g->nodes[i]);
                        ++*count;
                }
}

/* The window of a Conv or pool over space. */
typedef struct window {
        int n; /* spatial axes */
        int64_t kernel[RESECT_RANK_MAX], stride[RESECT_RANK_MAX], dilation[RESECT_RANK_MAX],
                pads[2 * RESECT_RANK_MAX];
} window;

static void
read_ints(const rs_node *n, const char *name, int64_t *out, size_t count)
{
        const rs_attr *a = rs_node_attr(n, name);
        for (size_t i = 0; a != NULL && a->type == RS_ATTR_INTS && i < count && i < a->n; i++)
                out[i] = a->ints[i];
}

/* SAME_UPPER and SAME_LOWER as the operators' text defines them; false when a size that matters is
 * unknown. */
static bool
resolve_same(window *w, const rs_type *x, bool upper)
{
        for (int i = 0; i < w->n; i++) {
                const int64_t in = x->dims[i + 2], k = (w->kernel[i] - 1) * w->dilation[i] + 1,
                              step = w->stride[i];
                int64_t total;
                if (step == 1)
                        total = k - 1;
                else if (in < 0 || step <= 0)
                        return false;
                else
                        total = ((in + step - 1) / step - 1) * step + k - in;
                total = total > 0 ? total : 0;
                w->pads[upper ? i : w->n + i] = total / 2;
                w->pads[upper ? w->n + i : i] = total - total / 2;
        }
        return true;
}

/* 1 when the node was completed, 0 when there was nothing to do or too little is known, -1 on
 * error. */
static int
complete(rs_surgery *s, rs_node *n, const rs_type *x, const rs_type *weight, resect_error *err)
{
        static const char *const names[] = {"kernel_shape", "pads", "strides", "dilations"};
        const bool conv = rs_is_op(n, "Conv"), max = rs_is_op(n, "MaxPool");
        const rs_attr *k = rs_node_attr(n, "kernel_shape");
        const int64_t opset = rs_model_opset(s->m);
        window w = {.n = 0};
        if (k != NULL && k->type == RS_ATTR_INTS)
                w.n = (int)k->n;
        else if (conv && weight != NULL && weight->rank > 2)
                w.n = weight->rank - 2;
        if (w.n < 1 || w.n > RESECT_RANK_MAX - 2)
                return 0;
        for (int i = 0; i < w.n; i++) {
                w.kernel[i] =
                        conv && weight != NULL && weight->rank == w.n + 2 ? weight->dims[i + 2] : 0;
                w.stride[i] = w.dilation[i] = 1;
        }
        read_ints(n, "kernel_shape", w.kernel, (size_t)w.n);
        read_ints(n, "strides", w.stride, (size_t)w.n);
        read_ints(n, "dilations", w.dilation, (size_t)w.n);
        read_ints(n, "pads", w.pads, 2 * (size_t)w.n);
        for (int i = 0; i < w.n; i++)
                if (w.kernel[i] <= 0)
                        return 0;
        const rs_span pad = rs_node_string(n, "auto_pad");
        const bool upper = rs_span_is(pad, "SAME_UPPER"), lower = rs_span_is(pad, "SAME_LOWER");
        if (upper || lower) {
                if (x == NULL || x->rank != w.n + 2 || !resolve_same(&w, x, upper)) {
                        rs_note(s,
                                "%s: auto_pad stays, because the size that it depends on is open",
                                rs_node_title(n));
                        return 0;
                }
        } else if (rs_span_is(pad, "VALID")) {
                memset(w.pads, 0, sizeof w.pads);
        }
        const bool dilates = conv || (max && opset >= 10);
        bool whole = pad.size == 0 && (!conv || rs_node_attr(n, "group") != NULL);
        for (size_t i = 0; i < (dilates ? 4u : 3u); i++)
                whole = whole && rs_node_attr(n, names[i]) != NULL;
        if (whole)
                return 0;
        rs_node_drop_attr(n, "auto_pad");
        const bool ok =
                rs_node_set_ints(s->m, n, names[0], w.kernel, (size_t)w.n, err) &&
                rs_node_set_ints(s->m, n, names[1], w.pads, 2 * (size_t)w.n, err) &&
                rs_node_set_ints(s->m, n, names[2], w.stride, (size_t)w.n, err) &&
                (!dilates || rs_node_set_ints(s->m, n, names[3], w.dilation, (size_t)w.n, err)) &&
                (!conv || rs_node_set_int(s->m, n, "group", rs_node_int(n, "group", 1), err));
        return ok ? 1 : -1;
}

static bool
complete_windows(rs_surgery *s, size_t *count, resect_error *err)
{
        const rs_graph *g = &s->m->graph;
        rs_types types = {0};
        bool ok = rs_infer_all(s->m, &types, err);
        *count = 0;
        for (size_t i = 0; ok && i < g->n_nodes; i++) {
                rs_node *n = g->nodes[i];
                const bool conv = rs_is_op(n, "Conv");
                if (n->n_in == 0 ||
                        (!conv && !rs_is_op(n, "MaxPool") && !rs_is_op(n, "AveragePool")))
                        continue;
                const int done = complete(s, n, rs_types_find(&types, n->in[0]),
                        conv && n->n_in > 1 ? rs_types_find(&types, n->in[1]) : NULL, err);
                ok = done >= 0;
                *count += done > 0;
        }
        rs_types_free(&types);
        return ok;
}

bool
rs_canon(rs_surgery *s, resect_error *err)
{
        size_t inputs, constants, identities, sums, biases, windows;
        if (!drop_listed_inputs(s, &inputs, err) || !rs_constants_out(s, &constants, err) ||
                !bypass_identities(s, &identities, err) || !rs_graph_prune(s->m, err))
                return false;
        sums_to_adds(s, &sums);
        if (!drop_zero_biases(s, &biases, err) || !complete_windows(s, &windows, err) ||
                !rs_graph_prune(s->m, err))
                return false;
        rs_note(s,
                "canon: %zu initializers were inputs, %zu Constant, %zu Identity, %zu Sum, %zu "
                "zero biases, %zu incomplete "
                "windows",
                inputs, constants, identities, sums, biases, windows);
        return rs_canon_names(s, err);
}
