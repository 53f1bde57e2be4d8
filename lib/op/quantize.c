/* SPDX-License-Identifier: 0BSD */
/*
 * QuantizeLinear, DequantizeLinear, DynamicQuantizeLinear: y = saturate(round(x / scale) + zero),
 * halves to even, and back. Scales are one number, one for each step along an axis, or one for each
 * block of steps (opset 21).
 */
#include "op/walk.h"

#include <math.h>
#include <string.h>

#define QUANTISED \
        (RS_BIT(RESECT_UINT8) | RS_BIT(RESECT_INT8) | RS_BIT(RESECT_UINT16) | RS_BIT(RESECT_INT16))
#define REALS (RS_BIT(RESECT_FLOAT) | RS_BIT(RESECT_FLOAT16) | RS_BIT(RESECT_BFLOAT16))

struct state {
        size_t outer, axis, inner; /* rows of inner elements */
        size_t block, blocks;      /* steps along the axis that share a scale; scales along it */
        bool one;                  /* a single scale */
        bool spread;               /* blocked: each inner element has its own */
        double least, most;        /* of the quantised dtype */
};

static void
range_of(int32_t dtype, double *least, double *most)
{
        unsigned bits = rs_dtype_bits(dtype);
        bool is_signed = rs_dtype_in(dtype, RS_SIGNED);
        *least = is_signed ? -ldexp(1, (int)bits - 1) : 0;
        *most = ldexp(1, (int)bits - is_signed) - 1;
}

/* Checks scale (input 1) and zero point (input 2) against x, and says how they are laid along it.
 */
static bool
lay_out(rs_infer *x, struct state *s, resect_error *err)
{
        const rs_type *t = x->in[0], *scale = x->in[1], *zero = rs_op_in(x, 2);
        int64_t given, block;
        int axis = 0;
        if (!rs_op_int(x, "axis", 1, &given, err) || !rs_op_int(x, "block_size", 0, &block, err))
                return false;
        if (block < 0)
                return rs_op_fail(x, err, RESECT_GRAPH, "block_size is %lld", (long long)block);
        if (zero && zero->rank != scale->rank && !(zero->rank <= 1 && scale->rank <= 1))
                return rs_op_fail(x, err, RESECT_GRAPH, "scale and zero point differ in rank");
        for (int d = 0; zero && zero->rank == scale->rank && d < scale->rank; d++)
                if (!rs_size_equal(scale->dims[d], zero->dims[d], NULL))
                        return rs_op_fail(
                                x, err, RESECT_GRAPH, "scale and zero point differ in shape");
        s->one = !block && (!scale->rank || (scale->rank == 1 && scale->dims[0] == 1));
        if (s->one && zero && zero->rank == 1 && !rs_size_equal(zero->dims[0], 1, NULL))
                return rs_op_fail(x, err, RESECT_GRAPH, "one scale and %lld zero points",
                        (long long)zero->dims[0]);
        if (!s->one && !rs_op_axis(x, given, t->rank, &axis, err))
                return false;
        if (!s->one && !block &&
                (scale->rank != 1 || !rs_size_equal(scale->dims[0], t->dims[axis], NULL)))
                return rs_op_fail(x, err, RESECT_GRAPH,
                        "the scales do not fit axis %d of size %lld", axis,
                        (long long)t->dims[axis]);
        if (block && scale->rank != t->rank)
                return rs_op_fail(x, err, RESECT_GRAPH, "blocked scales have rank %d, the input %d",
                        scale->rank, t->rank);
        for (int d = 0; block && d < t->rank; d++) {
                int64_t want = t->dims[d] < 0 || d != axis
                                       ? t->dims[d]
                                       : t->dims[d] / block + (t->dims[d] % block != 0);
                if (!(d == axis && t->dims[d] < 0) && !rs_size_equal(want, scale->dims[d], NULL))
                        return rs_op_fail(x, err, RESECT_GRAPH,
                                "blocked scales have %lld along axis %d, %lld are wanted",
                                (long long)scale->dims[d], d, (long long)want);
        }
        if (!x->concrete)
                return true;
        s->outer = s->axis = s->inner = 1;
        for (int d = 0; d < t->rank; d++)
                *(s->one            ? &s->inner
                        : d < axis  ? &s->outer
                        : d == axis ? &s->axis
                                    : &s->inner) *= (size_t)t->dims[d];
        s->block = block ? (size_t)block : 1;
        s->blocks = (s->axis + s->block - 1) / s->block;
        s->spread = block != 0;
        return true;
}

static bool
keep(rs_infer *x, const struct state *s, resect_error *err)
{
        if (!x->concrete)
                return true;
        struct state *p = RS_STATE(x, struct state, err);
        if (p)
                *p = *s;
        return p != NULL;
}

static bool
infer_quantize(rs_infer *x, resect_error *err)
{
        struct state s = {0};
        int64_t dtype;
        if (!rs_op_counts(x, 2, 3, 1, err) ||
                !rs_op_dtype(x, 0, REALS | RS_BIT(RESECT_INT32), err) ||
                !rs_op_dtype(x, 1, REALS, err) || !rs_op_dtype(x, 2, QUANTISED, err) ||
                !rs_op_int(x, "output_dtype", 0, &dtype, err))
                return false;
        const rs_type *zero = rs_op_in(x, 2);
        if (zero && dtype && dtype != zero->dtype)
                return rs_op_fail(x, err, RESECT_GRAPH, "output_dtype is not the zero point's");
        dtype = zero ? zero->dtype : dtype ? dtype : RESECT_UINT8;
        if (dtype < 0 || dtype > 31 || !rs_dtype_in((int32_t)dtype, QUANTISED))
                return rs_op_fail(x, err, RESECT_UNSUPPORTED, "to dtype %lld", (long long)dtype);
        range_of((int32_t)dtype, &s.least, &s.most);
        return lay_out(x, &s, err) &&
               rs_op_out(x, 0, (int32_t)dtype, x->in[0]->rank, x->in[0]->dims, err) &&
               keep(x, &s, err);
}

static bool
infer_dequantize(rs_infer *x, resect_error *err)
{
        struct state s = {0};
        int64_t dtype;
        if (!rs_op_counts(x, 2, 3, 1, err) ||
                !rs_op_dtype(x, 0, QUANTISED | RS_BIT(RESECT_INT32), err) ||
                !rs_op_dtype(x, 1, REALS, err) || !rs_op_same_dtype(x, 0, 2, err) ||
                !rs_op_int(x, "output_dtype", 0, &dtype, err))
                return false;
        dtype = dtype ? dtype : x->in[1]->dtype;
        if (dtype < 0 || dtype > 31 || !rs_dtype_in((int32_t)dtype, REALS))
                return rs_op_fail(x, err, RESECT_UNSUPPORTED, "to dtype %lld", (long long)dtype);
        return lay_out(x, &s, err) &&
               rs_op_out(x, 0, (int32_t)dtype, x->in[0]->rank, x->in[0]->dims, err) &&
               keep(x, &s, err);
}

/* n scales (or zero points) for the elements from i on of row r; 0 when there are none. */
static void
parameters(const struct state *s, const resect_tensor *t, size_t r, size_t i, size_t n, double *v)
{
        if (!t) {
                memset(v, 0, n * sizeof *v);
                return;
        }
        size_t o = r / s->axis, b = r % s->axis / s->block;
        size_t at = s->one ? 0 : s->spread ? (o * s->blocks + b) * s->inner + i : b;
        rs_row_load(t->data, (int32_t)t->dtype, (int64_t)at, s->spread && !s->one, n, v);
}

/* The quotient is a float, as everybody computes it: a double one would round halves elsewhere. */
static double
quantized(double x, double scale, double zero, double least, double most)
{
        float quotient = (float)x / (float)scale;
        double v = rs_nearest((double)quotient) + zero;
        v = v >= least ? v : least; /* NaN too */
        return v > most ? most : v;
}

static void
run(const rs_call *c, bool quantize)
{
        const struct state *s = c->state;
        const resect_tensor *x = c->in[0], *scale = c->in[1], *zero = c->n_in > 2 ? c->in[2] : NULL;
        resect_tensor *y = c->out[0];
        size_t pieces = (s->inner + RS_ROW - 1) / RS_ROW, units = s->outer * s->axis * pieces;
        int threads = rs_threads_for(c->threads, s->outer * s->axis * s->inner);
        RS_PARALLEL(threads)
        for (size_t u = 0; u < units; u++) {
                double v[RS_ROW], vs[RS_ROW], vz[RS_ROW];
                size_t r = u / pieces, i = u % pieces * RS_ROW,
                       n = s->inner - i < RS_ROW ? s->inner - i : RS_ROW, at = r * s->inner + i;
                rs_row_load(x->data, (int32_t)x->dtype, (int64_t)at, 1, n, v);
                parameters(s, scale, r, i, n, vs);
                parameters(s, zero, r, i, n, vz);
                if (quantize) {
                        int64_t whole[RS_ROW];
                        for (size_t k = 0; k < n; k++)
                                whole[k] =
                                        (int64_t)quantized(v[k], vs[k], vz[k], s->least, s->most);
                        rs_row_store_int(y->data, (int32_t)y->dtype, at, n, whole);
                        continue;
                }
                for (size_t k = 0; k < n; k++)
                        v[k] = (v[k] - vz[k]) * vs[k];
                rs_row_store(y->data, (int32_t)y->dtype, at, n, v);
        }
}

static void
forward_quantize(const rs_call *c)
{
        run(c, true);
}

static void
forward_dequantize(const rs_call *c)
{
        run(c, false);
}

static bool
infer_dynamic(rs_infer *x, resect_error *err)
{
        if (!rs_op_counts(x, 1, 1, 3, err) || !rs_op_dtype(x, 0, RS_BIT(RESECT_FLOAT), err) ||
                !rs_op_out(x, 0, RESECT_UINT8, x->in[0]->rank, x->in[0]->dims, err))
                return false;
        return (x->n_out < 2 || rs_op_out(x, 1, RESECT_FLOAT, 0, NULL, err)) &&
               (x->n_out < 3 || rs_op_out(x, 2, RESECT_UINT8, 0, NULL, err));
}

static void
forward_dynamic(const rs_call *c)
{
        const float *x = c->in[0]->data;
        size_t n = (size_t)resect_tensor_count(c->in[0]);
        float least = 0, most = 0; /* 0 is always in range */
        for (size_t i = 0; i < n; i++) {
                least = x[i] < least ? x[i] : least;
                most = x[i] > most ? x[i] : most;
        }
        float scale = most > least ? (most - least) / 255 : 1;
        double zero = quantized(-(double)least, (double)scale, 0, 0, 255);
        if (c->out[0]) {
                uint8_t *y = c->out[0]->data;
                int threads = rs_threads_for(c->threads, n);
                RS_PARALLEL(threads)
                for (size_t i = 0; i < n; i++)
                        y[i] = (uint8_t)quantized((double)x[i], (double)scale, zero, 0, 255);
        }
        if (c->out[1])
                *(float *)c->out[1]->data = scale;
        if (c->out[2])
                *(uint8_t *)c->out[2]->data = (uint8_t)zero;
}

const rs_op rs_op_quantize_linear = {.name = "QuantizeLinear",
        .domain = "",
        .since = 10,
        .alias = -1,
        .infer = infer_quantize,
        .forward = forward_quantize};
const rs_op rs_op_dequantize_linear = {.name = "DequantizeLinear",
        .domain = "",
        .since = 10,
        .alias = -1,
        .infer = infer_dequantize,
        .forward = forward_dequantize};
const rs_op rs_op_dynamic_quantize_linear = {.name = "DynamicQuantizeLinear",
        .domain = "",
        .since = 11,
        .alias = -1,
        .infer = infer_dynamic,
        .forward = forward_dynamic};
