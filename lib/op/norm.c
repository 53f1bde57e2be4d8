/* SPDX-License-Identifier: 0BSD */
/*
 * BatchNormalization, InstanceNormalization and LRN. A channel is `images` runs of `plane`
 * neighbours; InstanceNormalization is the same with one image at a time. Every sum is made by one
 * thread in an order of its own: eight lanes, added at the end.
 */
#include <math.h>
#include <string.h>
#include "op/norm.h"
#include "op/util.h"

/* The elements of one channel: run i is x[i * stride .. + plane]. */
typedef struct channel {
        size_t images, stride, plane;
} channel;

#define T float
#define NAME(f) f##_f32
#define LOAD(v) ((double)(v))
#define STORE(v) ((float)(v))
#include "op/norm.inc.h"
#define T double
#define NAME(f) f##_f64
#define LOAD(v) (v)
#define STORE(v) (v)
#include "op/norm.inc.h"
#define T uint16_t
#define NAME(f) f##_f16
#define LOAD(v) ((double)rs_half_to_float(v))
#define STORE(v) rs_float_to_half((float)(v))
#include "op/norm.inc.h"
#define T uint16_t
#define NAME(f) f##_bf16
#define LOAD(v) ((double)rs_bfloat_to_float(v))
#define STORE(v) rs_float_to_bfloat((float)(v))
#include "op/norm.inc.h"

/* The functions for a dtype. */
typedef struct kind {
        void (*moments)(const void *x, size_t at, const channel *c, double *mean, double *var);
        void (*affine)(const void *x, void *y, size_t at, const channel *c, double mean, double a,
                double b);
        void (*sums)(const void *x, const void *dy, size_t at, const channel *c, double mean,
                double *s, double *sx);
        void (*spread)(const void *x, const void *dy, void *dx, size_t at, const channel *c,
                double mean, double a, double b, double d);
        void (*lrn)(const void *x, void *y, size_t at, size_t ch, size_t channels, size_t plane,
                const struct lrn *s);
} kind;
#define KIND(t)                                                        \
        {                                                              \
                moments_##t, affine_##t, sums_##t, spread_##t, lrn_##t \
        }
static const kind kinds[] = {KIND(f32), KIND(f64), KIND(f16), KIND(bf16)};

static const kind *
kind_of(int32_t dtype)
{
        return &kinds[dtype == RESECT_FLOAT     ? 0
                      : dtype == RESECT_DOUBLE  ? 1
                      : dtype == RESECT_FLOAT16 ? 2
                                                : 3];
}

typedef struct norm {
        const kind *k;
        int32_t dtype;
        size_t images, channels, plane;
        double epsilon, momentum;
        bool batch;    /* BatchNormalization by the batch's own statistics */
        bool unbiased; /* its running variance takes N - 1 */
} norm;

static void
add_to(const resect_tensor *t, size_t i, double v)
{
        rs_store(t->data, t->dtype, i, rs_load(t->data, t->dtype, i) + v);
}

/* Rank and sizes of x as images, channels, plane; input of rank 1 is one channel. */
static void
split(const rs_type *x, norm *s)
{
        s->images = (size_t)x->dims[0];
        s->channels = x->rank > 1 ? (size_t)x->dims[1] : 1;
        s->plane = 1;
        for (int i = 2; i < x->rank; i++)
                s->plane *= (size_t)x->dims[i]; /* the type's maker checked the product of all */
}

/* spatial = 0 of the first opsets: a scale for each element of an image. */
static bool
is_elementwise(const rs_infer *x)
{
        const rs_type *in = x->in[0], *scale = x->in[1];

        if (scale->rank != in->rank - 1 || in->rank < 3)
                return false;
        for (int i = 0; i < scale->rank; i++)
                if (!rs_size_equal(scale->dims[i], in->dims[i + 1], NULL))
                        return false;
        return true;
}

/* Input i is one number for each channel, or all of like's sizes when elementwise. */
static bool
check_parameter(const rs_infer *x, size_t i, int64_t channels, bool elementwise, resect_error *err)
{
        static const char *const names[] = {"", "scale", "bias", "mean", "variance"};
        const rs_type *p = x->in[i], *like = x->in[1];

        if (elementwise) {
                bool same = p->rank == like->rank;
                for (int d = 0; same && d < p->rank; d++)
                        same = rs_size_equal(p->dims[d], like->dims[d], NULL);
                return same ||
                       rs_op_fail(x, err, RESECT_GRAPH, "%s and scale differ in shape", names[i]);
        }
        if (p->rank != 1)
                return rs_op_fail(
                        x, err, RESECT_GRAPH, "%s has rank %d, wants 1", names[i], p->rank);
        if (!rs_size_equal(p->dims[0], channels, NULL))
                return rs_op_fail(x, err, RESECT_GRAPH, "input has %lld channels, %s has %lld",
                        (long long)channels, names[i], (long long)p->dims[0]);
        return true;
}

/* Does the node ask for the batch's statistics? By attribute, in older opsets by naming more than
 * one output. */
static bool
asks_for_batch(const rs_infer *x, bool *asks, resect_error *err)
{
        int64_t mode, is_test;
        bool more = false;

        if (!rs_op_int(x, "training_mode", 0, &mode, err) ||
                !rs_op_int(x, "is_test", 0, &is_test, err))
                return false;
        for (size_t i = 1; i < x->n_out; i++)
                more = more || x->wanted[i];
        *asks = x->opset >= 14 ? mode != 0 : more && (x->opset >= 7 || !is_test);
        if (x->opset >= 14 && more && !mode)
                return rs_op_fail(
                        x, err, RESECT_GRAPH, "has more than one output but training_mode is 0");
        return true;
}

static bool
batch_infer(rs_infer *x, resect_error *err)
{
        float epsilon, momentum;
        int64_t spatial;
        bool asks;

        if (!rs_op_counts(x, 5, 5, x->opset >= 14 ? 3 : 5, err) ||
                !rs_op_float(x, "epsilon", 1e-5F, &epsilon, err) ||
                !rs_op_float(x, "momentum", 0.9F, &momentum, err) ||
                !rs_op_int(x, "spatial", 1, &spatial, err) || !asks_for_batch(x, &asks, err))
                return false;
        for (size_t i = 0; i < 5; i++)
                if (!rs_op_dtype(x, i, RS_FLOATS, err))
                        return false;
        const rs_type *in = x->in[0];
        if (in->rank < 1)
                return rs_op_fail(x, err, RESECT_GRAPH, "input is a scalar");
        const bool elementwise = !spatial && x->opset < 9 && is_elementwise(x);
        for (size_t i = 1; i < 5; i++)
                if (!check_parameter(x, i, in->rank > 1 ? in->dims[1] : 1, elementwise, err))
                        return false;
        if (!rs_op_out_like(x, 0, in, err))
                return false;
        const bool batch = (x->training || asks) && !x->frozen;
        for (size_t i = 1; i < 5; i++)
                if ((i < x->n_out && x->wanted[i]) || (x->training && i < 3))
                        if (!rs_op_out_like(x, i, x->in[i % 2 ? 3 : 4], err))
                                return false;
        if (!x->concrete)
                return true;
        norm *s = RS_STATE(x, norm, err);
        if (!s)
                return false;
        split(in, s);
        if (elementwise) {
                s->channels *= s->plane;
                s->plane = 1;
        }
        s->k = kind_of(in->dtype);
        s->dtype = in->dtype;
        s->epsilon = (double)epsilon;
        s->momentum = (double)momentum;
        s->batch = batch;
        s->unbiased = x->unbiased;
        if (x->training && !rs_mul(s->channels, 2 * sizeof(double), &x->saved))
                return rs_fail_nomem(err);
        return true;
}

rs_norm_facts
rs_norm_facts_of(const void *state)
{
        const norm *s = state;
        return (rs_norm_facts){s->channels, s->epsilon, s->momentum, s->batch, s->unbiased};
}

/* One channel's parameters. */
static double
parameter(const rs_call *c, size_t i, size_t ch)
{
        return rs_load(c->in[i]->data, c->in[i]->dtype, ch);
}

static void
put(const rs_call *c, size_t i, size_t ch, double v)
{
        if (i < c->n_out && c->out[i])
                rs_store(c->out[i]->data, c->out[i]->dtype, ch, v);
}

/* Statistics of channel ch as this call uses them; writes the running ones and what backward wants.
 */
static void
statistics(const norm *s, const rs_call *c, size_t ch, double *mean, double *inverse)
{
        const channel shape = {s->images, s->channels * s->plane, s->plane};
        const double running_mean = parameter(c, 3, ch), running_var = parameter(c, 4, ch);
        const double n = (double)s->images * (double)s->plane, m = s->momentum;
        double var = running_var;

        *mean = running_mean;
        if (s->batch && n > 0) {
                s->k->moments(c->in[0]->data, ch * s->plane, &shape, mean, &var);
                const double v = s->unbiased && n > 1 ? var * n / (n - 1) : var;
                put(c, 1, ch, running_mean * m + *mean * (1 - m));
                put(c, 2, ch, running_var * m + v * (1 - m));
        } else {
                put(c, 1, ch, running_mean);
                put(c, 2, ch, running_var);
        }
        put(c, 3, ch, *mean);
        put(c, 4, ch, var);
        *inverse = 1 / sqrt(var + s->epsilon);
        if (c->training && c->saved) {
                ((double *)c->saved)[2 * ch] = *mean;
                ((double *)c->saved)[2 * ch + 1] = *inverse;
        }
}

static void
batch_forward(const rs_call *c)
{
        const norm *s = c->state;
        const channel shape = {s->images, s->channels * s->plane, s->plane};

        RS_PARALLEL(rs_threads_for(c->threads, s->images * s->channels * s->plane))
        for (size_t ch = 0; ch < s->channels; ch++) {
                double mean, inverse;
                statistics(s, c, ch, &mean, &inverse);
                s->k->affine(c->in[0]->data, c->out[0]->data, ch * s->plane, &shape, mean,
                        parameter(c, 1, ch) * inverse, parameter(c, 2, ch));
        }
}

/*
 * With a = scale / sqrt(var + eps), x^ = (x - mean) / sqrt(var + eps) and means over the channel,
 * dx = a (dy - mean(dy) - x^ mean(dy x^)) when mean and variance are the batch's own (Ioffe and
 * Szegedy, arXiv 1502.03167), and a dy when they are constants.
 */
static void
batch_backward(const rs_call *c)
{
        const norm *s = c->state;
        const channel shape = {s->images, s->channels * s->plane, s->plane};
        const double n = (double)s->images * (double)s->plane;

        if (!c->dout[0] || n < 1)
                return;
        const void *x = c->in[0]->data, *dy = c->dout[0]->data;
        RS_PARALLEL(rs_threads_for(c->threads, s->images * s->channels * s->plane))
        for (size_t ch = 0; ch < s->channels; ch++) {
                const double *saved = (const double *)c->saved + 2 * ch;
                const double a = parameter(c, 1, ch) * saved[1];
                double sum = 0, sum_x = 0;
                if (s->batch || c->din[1] || c->din[2])
                        s->k->sums(x, dy, ch * s->plane, &shape, saved[0], &sum, &sum_x);
                if (c->din[1])
                        add_to(c->din[1], ch, sum_x * saved[1]);
                if (c->din[2])
                        add_to(c->din[2], ch, sum);
                if (c->din[0])
                        s->k->spread(x, dy, c->din[0]->data, ch * s->plane, &shape, saved[0], a,
                                s->batch ? sum / n : 0,
                                s->batch ? sum_x * saved[1] * saved[1] / n : 0);
        }
}

const rs_op rs_op_batch_normalization = {.name = "BatchNormalization",
        .domain = "",
        .since = 1,
        .reads = RS_READS_IN(0) | RS_READS_IN(1),
        .alias = 0,
        .trains = 1u << 1 | 1u << 2,
        .statistics = 1u << 3 | 1u << 4,
        .infer = batch_infer,
        .forward = batch_forward,
        .backward = batch_backward};

static bool
instance_infer(rs_infer *x, resect_error *err)
{
        float epsilon;

        if (!rs_op_counts(x, 3, 3, 1, err) || !rs_op_float(x, "epsilon", 1e-5F, &epsilon, err) ||
                !rs_op_dtype(x, 0, RS_FLOATS, err) || !rs_op_same_dtype(x, 0, 1, err) ||
                !rs_op_same_dtype(x, 0, 2, err))
                return false;
        const rs_type *in = x->in[0];
        if (in->rank < 3)
                return rs_op_fail(
                        x, err, RESECT_GRAPH, "input has rank %d, wants 3 or more", in->rank);
        for (size_t i = 1; i < 3; i++)
                if (!check_parameter(x, i, in->dims[1], false, err))
                        return false;
        if (!rs_op_out_like(x, 0, in, err))
                return false;
        if (!x->concrete)
                return true;
        norm *s = RS_STATE(x, norm, err);
        if (!s)
                return false;
        split(in, s);
        s->k = kind_of(in->dtype);
        s->epsilon = (double)epsilon;
        s->batch = true;
        return true;
}

static void
instance_forward(const rs_call *c)
{
        const norm *s = c->state;
        const channel shape = {1, 0, s->plane};

        RS_PARALLEL(rs_threads_for(c->threads, s->images * s->channels * s->plane))
        for (size_t p = 0; p < s->images * s->channels; p++) {
                const size_t ch = p % s->channels;
                double mean, var;
                s->k->moments(c->in[0]->data, p * s->plane, &shape, &mean, &var);
                s->k->affine(c->in[0]->data, c->out[0]->data, p * s->plane, &shape, mean,
                        parameter(c, 1, ch) / sqrt(var + s->epsilon), parameter(c, 2, ch));
        }
}

static void
instance_backward(const rs_call *c)
{
        const norm *s = c->state;
        const channel shape = {1, 0, s->plane};
        const double n = (double)s->plane;

        if (!c->dout[0] || !s->plane)
                return;
        const void *x = c->in[0]->data, *dy = c->dout[0]->data;
        RS_PARALLEL(rs_threads_for(c->threads, s->images * s->channels * s->plane))
        for (size_t ch = 0; ch < s->channels; ch++)
                for (size_t i = 0; i < s->images; i++) {
                        const size_t at = (i * s->channels + ch) * s->plane;
                        double mean, var, sum, sum_x;
                        s->k->moments(x, at, &shape, &mean, &var);
                        const double inverse = 1 / sqrt(var + s->epsilon);
                        s->k->sums(x, dy, at, &shape, mean, &sum, &sum_x);
                        if (c->din[1])
                                add_to(c->din[1], ch, sum_x * inverse);
                        if (c->din[2])
                                add_to(c->din[2], ch, sum);
                        if (c->din[0])
                                s->k->spread(x, dy, c->din[0]->data, at, &shape, mean,
                                        parameter(c, 1, ch) * inverse, sum / n,
                                        sum_x * inverse * inverse / n);
                }
}

const rs_op rs_op_instance_normalization = {.name = "InstanceNormalization",
        .domain = "",
        .since = 1,
        .reads = RS_READS_IN(0) | RS_READS_IN(1),
        .alias = 0,
        .trains = 1u << 1 | 1u << 2,
        .infer = instance_infer,
        .forward = instance_forward,
        .backward = instance_backward};

static bool
lrn_infer(rs_infer *x, resect_error *err)
{
        float alpha, beta, bias;
        int64_t size;

        if (!rs_op_counts(x, 1, 1, 1, err) || !rs_op_dtype(x, 0, RS_FLOATS, err) ||
                !rs_op_float(x, "alpha", 0.0001F, &alpha, err) ||
                !rs_op_float(x, "beta", 0.75F, &beta, err) ||
                !rs_op_float(x, "bias", 1, &bias, err) || !rs_op_int(x, "size", 0, &size, err))
                return false;
        if (size < 1)
                return rs_op_fail(x, err, RESECT_GRAPH, "size is %lld", (long long)size);
        if (x->in[0]->rank < 2)
                return rs_op_fail(
                        x, err, RESECT_GRAPH, "input has rank %d, wants 2 or more", x->in[0]->rank);
        if (!rs_op_out_like(x, 0, x->in[0], err))
                return false;
        if (!x->concrete)
                return true;
        struct lrn *s = RS_STATE(x, struct lrn, err);
        if (!s)
                return false;
        norm shape;
        split(x->in[0], &shape);
        *s = (struct lrn){shape.images, shape.channels, shape.plane, (double)alpha / (double)size,
                (double)beta, (double)bias, (uint64_t)size};
        return true;
}

static void
lrn_forward(const rs_call *c)
{
        const struct lrn *s = c->state;
        const kind *k = kind_of((int32_t)c->in[0]->dtype);

        RS_PARALLEL(rs_threads_for(c->threads, s->images * s->channels * s->plane))
        for (size_t p = 0; p < s->images * s->channels; p++)
                k->lrn(c->in[0]->data, c->out[0]->data, p / s->channels * s->channels * s->plane,
                        p % s->channels, s->channels, s->plane, s);
}

const rs_op rs_op_lrn = {.name = "LRN",
        .domain = "",
        .since = 1,
        .alias = -1,
        .infer = lrn_infer,
        .forward = lrn_forward};
