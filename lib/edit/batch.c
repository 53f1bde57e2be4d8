/* SPDX-License-Identifier: 0BSD */
/*
 * batch and size: another first dimension, or other sizes, from the inputs through to the outputs.
 * Exporters bake the batch into the constants of Reshape; each that reshapes a value of the picture
 * and begins with the old batch is opened. Whether that was all is not believed but tried: the
 * model is run with batches of 1 and 3 (or of the new size) and must answer row by row as it did
 * before.
 */
#include "edit/rewrite.h"
#include "edit/run.h"

#include <string.h>

#include "base/map.h"
#include "tensor/dtype.h"

/* An entry of outputs or value_info after the change: what inference says, where it says something.
 */
static bool
refresh(rs_surgery *s, rs_value *v, const rs_type *t, const rs_symbols *symbols, resect_error *err)
{
        if (t == NULL || t->rank < 0 || !v->is_tensor)
                return true;
        bool same = v->rank == t->rank;
        for (int i = 0; same && i < t->rank; i++)
                same = v->dims[i] == (t->dims[i] >= 0 ? t->dims[i] : -1);
        if (same)
                return true;
        rs_value *now = rs_value_of_type(s, v->name, t, symbols, err);
        if (now == NULL)
                return false;
        v->rank = now->rank;
        v->dims = now->dims;
        v->symbols = now->symbols;
        v->touched = true;
        return true;
}

bool
rs_refresh_types(rs_surgery *s, resect_error *err)
{
        const rs_graph *g = &s->m->graph;
        rs_types types = {0};
        bool ok = rs_infer_all(s->m, &types, err);
        for (size_t i = 0; ok && i < g->n_outputs; i++)
                ok = refresh(s, g->outputs[i], rs_types_find(&types, g->outputs[i]->name),
                        &types.symbols, err);
        for (size_t i = 0; ok && i < g->n_values; i++)
                ok = refresh(s, g->values[i], rs_types_find(&types, g->values[i]->name),
                        &types.symbols, err);
        rs_types_free(&types);
        return ok;
}

/* Values computed from an input. */
static bool
find_live(const rs_graph *g, rs_map *live, resect_error *err)
{
        static char yes;
        for (size_t i = 0; i < g->n_inputs; i++)
                if (rs_find_tensor(g, g->inputs[i]->name) == NULL &&
                        !rs_map_put(live, g->inputs[i]->name, &yes, NULL, err))
                        return false;
        for (size_t i = 0; i < g->n_nodes; i++) {
                const rs_node *n = g->nodes[i];
                bool reads = false;
                for (size_t k = 0; k < n->n_in; k++)
                        reads |= rs_map_get(live, n->in[k]) != NULL;
                for (size_t k = 0; reads && k < n->n_out; k++)
                        if (!rs_map_put(live, n->out[k], &yes, NULL, err))
                                return false;
        }
        return true;
}

/* Opens the first size of a Reshape's constant: to -1 when no other is, else to 0, "as in the
 * input". */
static bool
open_reshape(rs_surgery *s, rs_node *n, const int64_t *old, size_t count, bool attribute,
        resect_error *err)
{
        int64_t shape[RESECT_RANK_MAX];
        bool open = false;
        memcpy(shape, old, count * sizeof *shape);
        for (size_t i = 1; i < count; i++)
                open |= shape[i] == -1;
        if (open && rs_node_int(n, "allowzero", 0) != 0)
                return rs_fail(err, RESECT_UNSUPPORTED,
                        "%s: a Reshape with allowzero and -1 leaves no way to open the batch",
                        rs_node_title(n));
        shape[0] = open ? 0 : -1;
        if (attribute)
                return rs_node_set_ints(s->m, n, "shape", shape, count, err);
        const char *name = rs_model_fresh_name(s->m, n->in[1], err);
        rs_tensor *t = name != NULL ? rs_build_ints(s, name, shape, count, err) : NULL;
        if (t == NULL)
                return false;
        n->in[1] = t->name;
        rs_node_touch(n);
        return true;
}

static bool
open_reshapes(rs_surgery *s, int64_t batch, size_t *opened, resect_error *err)
{
        const rs_graph *g = &s->m->graph;
        rs_map live = {0};
        rs_index ix;
        *opened = 0;
        if (!rs_index_make(&ix, g, err))
                return false;
        bool ok = find_live(g, &live, err);
        for (size_t i = 0; ok && i < g->n_nodes; i++) {
                rs_node *n = g->nodes[i];
                if (!rs_is_op(n, "Reshape") || n->n_in == 0 || rs_map_get(&live, n->in[0]) == NULL)
                        continue;
                const rs_attr *a = n->n_in == 1 ? rs_node_attr(n, "shape") : NULL;
                const rs_tensor *t = n->n_in > 1 ? rs_constant(&ix, n->in[1]) : NULL;
                const bool attribute = a != NULL && a->type == RS_ATTR_INTS;
                int64_t shape[RESECT_RANK_MAX];
                size_t count = attribute                               ? a->n
                               : t != NULL && t->dtype == RESECT_INT64 ? t->count
                                                                       : 0;
                if (count == 0 || count > RESECT_RANK_MAX)
                        continue;
                if (attribute) {
                        memcpy(shape, a->ints, count * sizeof *shape);
                } else {
                        rs_span raw;
                        ok = rs_tensor_bytes(s->m, t, &s->arena, &raw, err);
                        if (ok)
                                rs_from_little(shape, raw.data, RESECT_INT64, count);
                }
                if (!ok || shape[0] != batch)
                        continue;
                ok = open_reshape(s, n, shape, count, attribute, err);
                ++*opened;
        }
        rs_map_free(&live);
        rs_index_free(&ix);
        return ok;
}

/* Sets the first dimension of every input that is a picture, or a row for each. */
static bool
set_inputs(rs_surgery *s, int64_t n, const char *symbol, int64_t *old, resect_error *err)
{
        const rs_graph *g = &s->m->graph;
        *old = 0;
        for (size_t i = 0; i < g->n_inputs; i++) {
                rs_value *v = g->inputs[i];
                if (rs_find_tensor(g, v->name) != NULL || !v->is_tensor || v->rank < 2)
                        continue;
                if (*old != 0 && *old != v->dims[0])
                        return rs_fail(err, RESECT_UNSUPPORTED,
                                "--batch: the inputs have different batches (%lld and %lld)",
                                (long long)*old, (long long)v->dims[0]);
                *old = v->dims[0];
                if (symbol != NULL) {
                        if (!rs_set_symbol(s->m, v, 0, symbol, err))
                                return false;
                } else {
                        v->dims[0] = n;
                        if (v->symbols != NULL)
                                v->symbols[0] = NULL;
                        v->touched = true;
                }
        }
        return *old != 0 ||
               rs_fail(err, RESECT_UNSUPPORTED, "--batch: no input with a batch was found");
}

/* Rows 0, 1, ... of x, over and over, as a batch of n. */
static bool
cycle(const resect_tensor *x, int64_t n, resect_tensor *out, resect_error *err)
{
        int64_t dims[RESECT_RANK_MAX];
        memcpy(dims, x->dims, sizeof dims);
        dims[0] = n;
        if (!resect_tensor_make(out, x->dtype, x->rank, dims, err))
                return false;
        const size_t row = x->dims[0] > 0 ? x->size / (size_t)x->dims[0] : 0;
        for (int64_t i = 0; i < n && row != 0; i++)
                memcpy((char *)out->data + (size_t)i * row,
                        (char *)x->data + (size_t)(i % x->dims[0]) * row, row);
        return true;
}

typedef struct trial {
        resect_binding *in;
        size_t n_in, n_out;
        const char **names;
        resect_tensor *out;
} trial;

static bool
try_before(rs_surgery *s, trial *t, int64_t batch, resect_error *err)
{
        const rs_graph *g = &s->m->graph;
        t->n_out = g->n_outputs;
        t->names = RS_NEW(&s->arena, t->n_out + 1, const char *, err);
        t->out = RS_NEW(&s->arena, t->n_out + 1, resect_tensor, err);
        if (t->names == NULL || t->out == NULL)
                return false;
        for (size_t i = 0; i < t->n_out; i++)
                t->names[i] = g->outputs[i]->name;
        return rs_random_inputs(s, batch, 64, &t->in, &t->n_in, err) &&
               rs_run(s->m, &s->how, t->in, t->n_in, t->names, t->n_out, t->out, err);
}

static bool
try_after(rs_surgery *s, const trial *t, int64_t n, resect_error *err)
{
        resect_binding *in = RS_NEW(&s->arena, t->n_in + 1, resect_binding, err);
        resect_tensor *out = RS_NEW(&s->arena, t->n_out + 1, resect_tensor, err);
        bool ok = in != NULL && out != NULL;
        for (size_t i = 0; ok && i < t->n_in; i++) {
                in[i].name = t->in[i].name;
                ok = cycle(&t->in[i].tensor, n, &in[i].tensor, err);
        }
        if (ok && !rs_run(s->m, &s->how, in, t->n_in, t->names, t->n_out, out, err))
                ok = rs_fail_at(err, "--batch: does not run with %lld pictures", (long long)n);
        for (size_t i = 0; ok && i < t->n_out; i++) {
                resect_tensor want = {0};
                resect_difference d;
                ok = cycle(&t->out[i], n, &want, err) &&
                     resect_tensor_compare(&out[i], &want, 1e-5, 1e-5, &d, err);
                if (ok && d.unequal != 0 && !(d.max_rel <= 1e-5))
                        ok = rs_fail(err, RESECT_GRAPH,
                                "--batch: with %lld pictures %s differs by %g of its scale",
                                (long long)n, t->names[i], d.max_rel);
                if (ok && s->to.verified != NULL)
                        s->to.verified(s->to.ctx, t->names[i], &d);
                resect_tensor_free(&want);
        }
        if (in != NULL)
                rs_bindings_free(in, t->n_in);
        for (size_t i = 0; out != NULL && i < t->n_out; i++)
                resect_tensor_free(&out[i]);
        return ok;
}

static bool
set_batch(rs_surgery *s, const char *batch, trial *t, bool can_run, resect_error *err)
{
        const bool number = batch[0] >= '0' && batch[0] <= '9';
        const char *symbol = number ? NULL : strcmp(batch, "sym") == 0 ? "N" : batch;
        int64_t n = 0, old;
        size_t opened = 0;
        if (number && !rs_parse_int("--batch", batch, 1, INT32_MAX, &n, err))
                return false;
        if (!set_inputs(s, n, symbol, &old, err) ||
                (old > 0 && !open_reshapes(s, old, &opened, err)) || !rs_refresh_types(s, err))
                return false;
        rs_note(s, "batch %s; opened %zu Reshape", number ? batch : symbol, opened);
        if (!can_run)
                return true;
        if (number ? !try_after(s, t, n, err)
                   : !try_after(s, t, 1, err) || !try_after(s, t, 3, err))
                return false;
        s->proved = true;
        rs_note(s, "verified: with %s pictures each row is what it was",
                number ? batch : "1 and 3");
        return true;
}

bool
rs_set_batch(rs_surgery *s, const char *batch, resect_error *err)
{
        trial t = {0};
        size_t constants;
        resect_error why = {0};
        if (!rs_graph_sort(s->m, err) || !rs_constants_out(s, &constants, err))
                return false;
        const bool can_run = try_before(s, &t, 2, &why);
        bool ok = true;
        if (!can_run && (why.code == RESECT_NOMEM || rs_given(s, "verify"))) {
                if (err != NULL)
                        *err = why;
                ok = false;
        } else if (!can_run) {
                rs_note(s, "not verified, because the model cannot be run: %s", why.msg);
        }
        ok = ok && set_batch(s, batch, &t, can_run, err);
        if (t.in != NULL)
                rs_bindings_free(t.in, t.n_in);
        for (size_t i = 0; t.out != NULL && i < t.n_out; i++)
                resect_tensor_free(&t.out[i]);
        return ok;
}

/* --size: strict inference afterwards, because a head that pools over a fixed window does not
 * survive another size. */
bool
rs_set_size(rs_surgery *s, const char *size, resect_error *err)
{
        const char **items;
        size_t n;
        int64_t hw[2];
        rs_value *x = NULL;
        const rs_graph *g = &s->m->graph;
        if (!rs_split(&s->arena, "--size", size, ',', &items, &n, err))
                return false;
        if (n > 2)
                return rs_fail(err, RESECT_ARG, "--size: \"%s\" is not H or H,W", size);
        for (size_t i = 0; i < 2; i++)
                if (!rs_parse_int("--size", items[i < n ? i : 0], 1, 1 << 16, &hw[i], err))
                        return false;
        for (size_t i = 0; i < g->n_inputs && x == NULL; i++)
                if (g->inputs[i]->rank == 4 && rs_find_tensor(g, g->inputs[i]->name) == NULL)
                        x = g->inputs[i];
        if (x == NULL)
                return rs_fail(err, RESECT_UNSUPPORTED, "--size: no input has four dimensions");
        const int first = x->dims[1] > 4 && (x->dims[3] == 3 || x->dims[3] == 1)
                                  ? 1
                                  : 2; /* [N, H, W, C] or [N, C, H, W] */
        for (int i = 0; i < 2; i++) {
                x->dims[first + i] = hw[i];
                if (x->symbols != NULL)
                        x->symbols[first + i] = NULL;
        }
        x->touched = true;
        if (!rs_refresh_types(s, err))
                return false;
        rs_types types = {0};
        bool ok = rs_types_make(&types, s->m, NULL, NULL, err) ||
                  rs_fail_at(
                          err, "--size %lld,%lld does not fit", (long long)hw[0], (long long)hw[1]);
        rs_types_free(&types);
        if (ok)
                rs_note(s, "input %s is now %lld x %lld", x->name, (long long)hw[0],
                        (long long)hw[1]);
        return ok;
}
