/* SPDX-License-Identifier: 0BSD */
/*
 * Clip between two bounds: attributes before opset 11, then inputs of one element each. Where least
 * exceeds most, most wins, as in the specification's formula min(max(x, least), most).
 */
#include "op/walk.h"

#include <math.h>
#include <string.h>

struct state {
        bool integer, is_unsigned;
        double least, most; /* attributes */
};

static bool
is_scalar(const rs_type *t)
{
        return !t || !t->rank || (t->rank == 1 && rs_size_equal(t->dims[0], 1, NULL));
}

static bool
infer(rs_infer *x, resect_error *err)
{
        bool attrs = x->opset < 11;
        float least, most;
        if (!rs_op_counts(x, 1, attrs ? 1 : 3, 1, err) ||
                !rs_op_dtype(x, 0, attrs ? RS_FLOATS : RS_NUMBERS, err) ||
                !rs_op_same_dtype(x, 0, 1, err) || !rs_op_same_dtype(x, 0, 2, err) ||
                !rs_op_float(x, "min", -INFINITY, &least, err) ||
                !rs_op_float(x, "max", INFINITY, &most, err) ||
                !rs_op_out_like(x, 0, x->in[0], err))
                return false;
        if (!is_scalar(rs_op_in(x, 1)) || !is_scalar(rs_op_in(x, 2)))
                return rs_op_fail(x, err, RESECT_GRAPH, "a bound is not one number");
        if (!x->concrete)
                return true;
        struct state *s = RS_STATE(x, struct state, err);
        if (!s)
                return false;
        s->integer = rs_dtype_in(x->in[0]->dtype, RS_INTEGERS);
        s->is_unsigned = x->in[0]->dtype == RESECT_UINT64;
        s->least = attrs ? (double)least : -INFINITY;
        s->most = attrs ? (double)most : INFINITY;
        return true;
}

/* Bound k of a call, or the one given. */
static double
bound(const rs_call *c, size_t k, double otherwise)
{
        return c->n_in > k && c->in[k] ? rs_load(c->in[k]->data, (int32_t)c->in[k]->dtype, 0)
                                       : otherwise;
}

static void
row_int(const rs_call *c, bool is_unsigned, size_t at, size_t n)
{
        const resect_tensor *x = c->in[0];
        int64_t v[RS_ROW], limit;
        rs_row_load_int(x->data, (int32_t)x->dtype, (int64_t)at, 1, n, v);
        for (size_t k = 1; k < 3; k++) {
                if (c->n_in <= k || !c->in[k])
                        continue;
                rs_row_load_int(c->in[k]->data, (int32_t)c->in[k]->dtype, 0, 0, 1, &limit);
                for (size_t i = 0; i < n; i++) {
                        bool below = is_unsigned ? (uint64_t)v[i] < (uint64_t)limit : v[i] < limit;
                        v[i] = below == (k == 1) ? limit : v[i];
                }
        }
        rs_row_store_int(c->out[0]->data, (int32_t)c->out[0]->dtype, at, n, v);
}

static void
row_real(const rs_call *c, double least, double most, size_t at, size_t n)
{
        const resect_tensor *x = c->in[0];
        double v[RS_ROW];
        rs_row_load(x->data, (int32_t)x->dtype, (int64_t)at, 1, n, v);
        for (size_t i = 0; i < n; i++) {
                double low = v[i] < least ? least : v[i];
                v[i] = low > most ? most : low;
        }
        rs_row_store(c->out[0]->data, (int32_t)c->out[0]->dtype, at, n, v);
}

static void
forward(const rs_call *c)
{
        const struct state *s = c->state;
        size_t count = (size_t)resect_tensor_count(c->in[0]), rows = (count + RS_ROW - 1) / RS_ROW;
        double least = s->integer ? 0 : bound(c, 1, s->least),
               most = s->integer ? 0 : bound(c, 2, s->most);
        int threads = rs_threads_for(c->threads, count);
        RS_PARALLEL(threads)
        for (size_t u = 0; u < rows; u++) {
                size_t at = u * RS_ROW, n = count - at < RS_ROW ? count - at : RS_ROW;
                if (s->integer)
                        row_int(c, s->is_unsigned, at, n);
                else
                        row_real(c, least, most, at, n);
        }
}

/* The slope is 1 inside, both ends included, as in PyTorch; the bounds themselves get no gradient.
 */
static void
backward(const rs_call *c)
{
        const struct state *s = c->state;
        const resect_tensor *x = c->in[0], *g = c->dout[0];
        if (!g || !c->din[0])
                return;
        size_t count = (size_t)resect_tensor_count(x), rows = (count + RS_ROW - 1) / RS_ROW;
        double least = bound(c, 1, s->least), most = bound(c, 2, s->most);
        int threads = rs_threads_for(c->threads, count);
        RS_PARALLEL(threads)
        for (size_t u = 0; u < rows; u++) {
                size_t at = u * RS_ROW, n = count - at < RS_ROW ? count - at : RS_ROW;
                double v[RS_ROW], vg[RS_ROW];
                rs_row_load(x->data, (int32_t)x->dtype, (int64_t)at, 1, n, v);
                rs_row_load(g->data, (int32_t)g->dtype, (int64_t)at, 1, n, vg);
                for (size_t i = 0; i < n; i++)
                        vg[i] = v[i] >= least && v[i] <= most ? vg[i] : 0;
                rs_row_add(c->din[0]->data, (int32_t)c->din[0]->dtype, at, n, vg);
        }
}

const rs_op rs_op_clip = {.name = "Clip",
        .domain = "",
        .since = 1,
        .reads = RS_READS_IN(0) | RS_READS_IN(1) | RS_READS_IN(2),
        .infer = infer,
        .forward = forward,
        .backward = backward};
