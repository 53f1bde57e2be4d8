/* SPDX-License-Identifier: 0BSD */
/*
 * ONNX Runtime's com.microsoft operators that quantised residual networks are made of: QLinearAdd
 * and QLinearGlobalAveragePool (their definitions: ONNX Runtime's docs/ContribOperators.md). Each
 * is the float operator between a dequantisation and a quantisation.
 */
#include "op/walk.h"

#define BYTES (RS_BIT(RESECT_UINT8) | RS_BIT(RESECT_INT8))

/* Scale and zero point: inputs i and i + 1, one number each; the zero point may be absent and has
 * dtype's type. */
static bool
check_pair(const rs_infer *x, size_t i, int32_t dtype, resect_error *err)
{
        for (size_t k = i; k < i + 2; k++) {
                const rs_type *t = rs_op_in(x, k);
                if (!t && k > i)
                        continue;
                if (!t || t->rank > 1 || (t->rank && !rs_size_equal(t->dims[0], 1, NULL)))
                        return rs_op_fail(x, err, RESECT_GRAPH, "input %zu is not one number", k);
                if (t->dtype != (k == i ? RESECT_FLOAT : dtype))
                        return rs_op_fail(x, err, RESECT_GRAPH, "input %zu is %s", k,
                                resect_dtype_name((resect_dtype)t->dtype));
        }
        return true;
}

static double
number(const rs_call *c, size_t i)
{
        return i < c->n_in && c->in[i] && c->in[i]->size
                       ? rs_load(c->in[i]->data, (int32_t)c->in[i]->dtype, 0)
                       : 0;
}

static double
saturate(double v, int32_t dtype)
{
        double least = dtype == RESECT_INT8 ? -128 : 0;
        return !(v >= least) ? least : v > least + 255 ? least + 255 : v;
}

static bool
infer_add(rs_infer *x, resect_error *err)
{
        int rank;
        int64_t dims[RESECT_RANK_MAX];
        if (x->n_in < 7 || x->n_in > 8 || x->n_out != 1 || !x->in[0] || !x->in[3])
                return rs_op_fail(x, err, RESECT_GRAPH, "inputs are missing");
        if (!rs_op_dtype(x, 0, BYTES, err) || !rs_op_same_dtype(x, 0, 3, err))
                return false;
        const rs_type *both[] = {x->in[0], x->in[3]};
        int32_t dtype = x->in[0]->dtype;
        if (!check_pair(x, 1, dtype, err) || !check_pair(x, 4, dtype, err) ||
                !check_pair(x, 6, dtype, err) || !rs_op_broadcast(x, both, 2, &rank, dims, err) ||
                !rs_op_out(x, 0, dtype, rank, dims, err))
                return false;
        if (!x->concrete)
                return true;
        rs_walk *w = RS_STATE(x, rs_walk, err);
        return w && rs_walk_broadcast(w, x->arena, &x->out[0], both, 2, err);
}

static void
forward_add(const rs_call *c)
{
        const rs_walk *w = c->state;
        const resect_tensor *a = c->in[0], *b = c->in[3];
        int32_t dtype = (int32_t)a->dtype;
        double sa = number(c, 1), za = number(c, 2), sb = number(c, 4), zb = number(c, 5),
               sc = number(c, 6), zc = number(c, 7);
        int threads = rs_threads_for(c->threads, w->count);
        RS_PARALLEL(threads)
        for (size_t u = 0; u < w->units; u++) {
                rs_row r;
                double va[RS_ROW], vb[RS_ROW];
                int64_t whole[RS_ROW];
                rs_walk_row(w, u, &r);
                rs_row_load(a->data, dtype, rs_walk_at(w, &r, 0), rs_walk_step(w, 0), r.n, va);
                rs_row_load(b->data, dtype, rs_walk_at(w, &r, 1), rs_walk_step(w, 1), r.n, vb);
                for (size_t i = 0; i < r.n; i++)
                        whole[i] = (int64_t)saturate(
                                rs_nearest((sa * (va[i] - za) + sb * (vb[i] - zb)) / sc) + zc,
                                dtype);
                rs_row_store_int(c->out[0]->data, dtype, r.at, r.n, whole);
        }
}

struct pool {
        size_t images, channels, area;
        bool channels_last;
};

static bool
infer_pool(rs_infer *x, resect_error *err)
{
        int64_t last, dims[RESECT_RANK_MAX];
        if (x->n_in < 4 || x->n_in > 5 || x->n_out != 1 || !x->in[0] || !x->in[1] || !x->in[3])
                return rs_op_fail(x, err, RESECT_GRAPH, "inputs are missing");
        const rs_type *t = x->in[0];
        if (!rs_op_dtype(x, 0, BYTES, err) || !check_pair(x, 1, t->dtype, err) ||
                !check_pair(x, 3, t->dtype, err) || !rs_op_int(x, "channels_last", 0, &last, err))
                return false;
        if (t->rank < 3)
                return rs_op_fail(
                        x, err, RESECT_GRAPH, "the input has rank %d, wants 3 at least", t->rank);
        int channel = last ? t->rank - 1 : 1;
        for (int d = 0; d < t->rank; d++)
                dims[d] = d == 0 || d == channel ? t->dims[d] : 1;
        if (!rs_op_out(x, 0, t->dtype, t->rank, dims, err))
                return false;
        if (!x->concrete)
                return true;
        struct pool *s = RS_STATE(x, struct pool, err);
        if (!s)
                return false;
        *s = (struct pool){(size_t)t->dims[0], (size_t)t->dims[channel], 1, last != 0};
        for (int d = 1; d < t->rank; d++)
                s->area *= d == channel ? 1 : (size_t)t->dims[d];
        return true;
}

static void
forward_pool(const rs_call *c)
{
        const struct pool *s = c->state;
        const resect_tensor *x = c->in[0];
        int32_t dtype = (int32_t)x->dtype;
        double sx = number(c, 1), zx = number(c, 2), sy = number(c, 3), zy = number(c, 4);
        int threads = rs_threads_for(c->threads, s->images * s->channels * s->area);
        RS_PARALLEL(threads)
        for (size_t k = 0; k < s->images * s->channels; k++) {
                size_t image = k / s->channels, channel = k % s->channels,
                       step = s->channels_last ? s->channels : 1;
                size_t at =
                        s->channels_last ? image * s->area * s->channels + channel : k * s->area;
                double sum = 0;
                for (size_t i = 0; i < s->area; i++)
                        sum += rs_load(x->data, dtype, at + i * step);
                double mean = s->area ? (sum / (double)s->area - zx) * sx : 0;
                rs_store(c->out[0]->data, dtype, k, saturate(rs_nearest(mean / sy) + zy, dtype));
        }
}

const rs_op rs_op_qlinear_add = {.name = "QLinearAdd",
        .domain = "com.microsoft",
        .since = 1,
        .alias = -1,
        .infer = infer_add,
        .forward = forward_add};
const rs_op rs_op_qlinear_global_average_pool = {.name = "QLinearGlobalAveragePool",
        .domain = "com.microsoft",
        .since = 1,
        .alias = -1,
        .infer = infer_pool,
        .forward = forward_pool};
