/* SPDX-License-Identifier: 0BSD */
/*
 * MaxPool, AveragePool and LpPool, and their global forms, which are one window over the whole
 * plane. Which taps of a window lie inside is worked out axis by axis when the node is inferred;
 * kernels only walk. A plane belongs to one thread, so that backward may add into overlapping
 * windows.
 */
#include <math.h>
#include <string.h>
#include "op/window.h"

enum {
        AXES_MAX = RS_WINDOW_AXES < 2 ? 2 : RS_WINDOW_AXES,
        PADDING_MAX =
                1 << 20 /* positions beyond the input's own, each of which takes a table's row */
};

/* An output position along an axis: taps first .. end of the kernel are inside, at start + tap *
   dilation; counted of them, padding included, are what AveragePool may divide by. */
typedef struct reach {
        int64_t start, first, end, counted;
} reach;

typedef struct pool {
        int32_t dtype;
        int axes; /* at least 2; the last two are the inner loops */
        size_t planes, in_plane, out_plane;
        int64_t in[AXES_MAX], out[AXES_MAX], dilation[AXES_MAX];
        const reach *reach[AXES_MAX]; /* [out] each */
        size_t outer;                 /* product of out but for the last two */
        bool include_pad, by_column;
        int64_t taps; /* of the last axis, when rows are long enough to be gone through tap by tap;
                         else 0 */
        double p;
} pool;

/* The outer axes of a window, tap by tap: offset is of the plane they lead to. The inner two are
 * begun by the caller. */
typedef struct walk {
        const pool *s;
        const reach *r[AXES_MAX];
        int64_t tap[AXES_MAX];
        int64_t base; /* in elements */
        bool done;
} walk;

static void
walk_place(walk *w)
{
        w->base = 0;
        for (int a = 0; a < w->s->axes - 2; a++)
                w->base = w->base * w->s->in[a] + w->r[a]->start + w->tap[a] * w->s->dilation[a];
        w->base *= w->s->in[w->s->axes - 2] * w->s->in[w->s->axes - 1];
}

/* Begins the window of outer position number o. */
static void
walk_start(walk *w, const pool *s, size_t o)
{
        w->s = s;
        w->done = false;
        for (int a = s->axes - 3; a >= 0; a--) {
                w->r[a] = &s->reach[a][o % (size_t)s->out[a]];
                o /= (size_t)s->out[a];
                w->tap[a] = w->r[a]->first;
                w->done = w->done || w->r[a]->first >= w->r[a]->end;
        }
        walk_place(w);
}

static void
walk_next(walk *w)
{
        int a = w->s->axes - 3;

        while (a >= 0 && ++w->tap[a] >= w->r[a]->end) {
                w->tap[a] = w->r[a]->first;
                a--;
        }
        w->done = a < 0;
        if (!w->done)
                walk_place(w);
}

/* What AveragePool divides by. */
static double
divisor(const pool *s, const walk *w, const reach *y, const reach *x)
{
        double n = s->include_pad ? (double)y->counted * (double)x->counted
                                  : (double)(y->end - y->first) * (double)(x->end - x->first);

        for (int a = 0; a < s->axes - 2; a++)
                n *= s->include_pad ? (double)w->r[a]->counted
                                    : (double)(w->r[a]->end - w->r[a]->first);
        return n;
}

/* Element e of a plane counted with the first axis fastest. */
static int64_t
by_column(const pool *s, int64_t e)
{
        int64_t index = 0, scale = 1, at[AXES_MAX] = {0};

        for (int a = s->axes - 1; a >= 0; a--) {
                at[a] = e % s->in[a];
                e /= s->in[a];
        }
        for (int a = 0; a < s->axes; a++) {
                index += at[a] * scale;
                scale *= s->in[a];
        }
        return index;
}

#define T float
#define NAME(f) f##_f32
#define LOAD(v) ((double)(v))
#define STORE(v) ((float)(v))
#define LEAST (-INFINITY)
#define ORDER(v) (v)
#include "op/pool.inc.h"
#define T double
#define NAME(f) f##_f64
#define LOAD(v) (v)
#define STORE(v) (v)
#define LEAST (-INFINITY)
#define ORDER(v) (v)
#include "op/pool.inc.h"
#define T uint16_t
#define NAME(f) f##_f16
#define LOAD(v) ((double)rs_half_to_float(v))
#define STORE(v) rs_float_to_half((float)(v))
#define LEAST 0xFC00
#define ORDER(v) LOAD(v)
#include "op/pool.inc.h"
#define T uint16_t
#define NAME(f) f##_bf16
#define LOAD(v) ((double)rs_bfloat_to_float(v))
#define STORE(v) rs_float_to_bfloat((float)(v))
#define LEAST 0xFF80
#define ORDER(v) LOAD(v)
#include "op/pool.inc.h"
#define T uint8_t
#define NAME(f) f##_u8
#define LOAD(v) ((double)(v))
#define STORE(v) ((T)(v))
#define LEAST 0
#define ORDER(v) ((float)(v))
#include "op/pool.inc.h"
#define T int8_t
#define NAME(f) f##_s8
#define LOAD(v) ((double)(v))
#define STORE(v) ((T)(v))
#define LEAST INT8_MIN
#define ORDER(v) ((float)(v))
#include "op/pool.inc.h"

typedef void plane_forward(const pool *s, const void *x, void *y, int64_t *index, size_t plane);
typedef void plane_backward(const pool *s, const void *x, const void *dy, void *dx, size_t plane);
#define SIX(f)                                      \
        (dtype == RESECT_FLOAT            ? f##_f32 \
                : dtype == RESECT_DOUBLE  ? f##_f64 \
                : dtype == RESECT_FLOAT16 ? f##_f16 \
                : dtype == RESECT_UINT8   ? f##_u8  \
                : dtype == RESECT_INT8    ? f##_s8  \
                                          : f##_bf16)

/* The positions of one axis. */
static const reach *
reach_make(const rs_infer *x, const rs_window *w, int a, int64_t in, int64_t out, resect_error *err)
{
        reach *r = RS_NEW(x->arena, (size_t)out + 1, reach, err);
        const int64_t d = w->dilation[a], kernel = w->kernel[a];

        if (!r)
                return NULL;
        for (int64_t o = 0; o < out; o++) {
                const int64_t start = o * w->stride[a] - w->before[a];
                const int64_t inside = start >= in ? 0 : (in - start + d - 1) / d;
                const int64_t padded = in + w->after[a] - start;
                r[o].start = start;
                r[o].first = start < 0 ? (-start + d - 1) / d : 0;
                r[o].end = inside < kernel ? inside : kernel;
                if (r[o].first > r[o].end)
                        r[o].first = r[o].end;
                r[o].counted = padded <= 0                     ? 0
                               : (padded + d - 1) / d < kernel ? (padded + d - 1) / d
                                                               : kernel;
        }
        return r;
}

/* State for windows w over inputs of known sizes. */
static pool *
pool_make(rs_infer *x, const rs_window *w, const int64_t *in, const int64_t *out, resect_error *err)
{
        static const reach whole = {0, 0, 1, 1};
        pool *s = RS_STATE(x, pool, err);
        const int lead = w->axes < 2 ? 2 - w->axes : 0; /* axes of size 1 put before */

        if (!s)
                return NULL;
        for (int i = 0; i < w->axes; i++)
                if (out[i] - in[i] > PADDING_MAX) {
                        rs_op_fail(x, err, RESECT_UNSUPPORTED,
                                "padding makes %lld of %lld positions", (long long)out[i],
                                (long long)in[i]);
                        return NULL;
                }
        s->dtype = x->in[0]->dtype;
        s->axes = w->axes + lead;
        s->in_plane = s->out_plane = s->outer = 1;
        for (int a = 0; a < s->axes; a++) {
                const int i = a - lead;
                s->in[a] = i < 0 ? 1 : in[i];
                s->out[a] = i < 0 ? 1 : out[i];
                s->dilation[a] = i < 0 ? 1 : w->dilation[i];
                s->reach[a] = i < 0 ? &whole : reach_make(x, w, i, in[i], out[i], err);
                if (!s->reach[a])
                        return NULL;
                s->in_plane *= (size_t)s->in[a];
                s->out_plane *= (size_t)s->out[a];
                if (a < s->axes - 2)
                        s->outer *= (size_t)s->out[a];
        }
        if (out[w->axes - 1] >= 4 && w->kernel[w->axes - 1] <= 32)
                s->taps = w->kernel[w->axes - 1];
        s->planes = (size_t)x->in[0]->dims[0] * (size_t)x->in[0]->dims[1];
        return s;
}

/* One pass over all planes. */
static void
run(const rs_call *c, plane_forward *f)
{
        const pool *s = c->state;
        int64_t *index = c->n_out > 1 && c->out[1] ? c->out[1]->data : NULL;

        RS_PARALLEL(rs_threads_for(c->threads, s->planes * s->in_plane))
        for (size_t p = 0; p < s->planes; p++)
                f(s, c->in[0]->data, c->out[0]->data, index, p);
}

static void
run_back(const rs_call *c, plane_backward *f)
{
        const pool *s = c->state;

        if (!c->dout[0] || !c->din[0])
                return;
        RS_PARALLEL(rs_threads_for(c->threads, s->planes * s->in_plane))
        for (size_t p = 0; p < s->planes; p++)
                f(s, c->in[0]->data, c->dout[0]->data, c->din[0]->data, p);
}

/* What all pools with windows check; *s stays NULL unless concrete. */
static bool
window_infer(rs_infer *x, size_t outs, uint32_t types, pool **s, resect_error *err)
{
        int64_t ceil_mode;
        rs_window w;

        *s = NULL;
        if (!rs_op_counts(x, 1, 1, outs, err) || !rs_op_dtype(x, 0, types, err) ||
                !rs_op_int(x, "ceil_mode", 0, &ceil_mode, err))
                return false;
        const rs_type *in = x->in[0];
        int64_t out[RESECT_RANK_MAX] = {in->dims[0], in->dims[1]};
        if (in->rank < 3)
                return rs_op_fail(
                        x, err, RESECT_GRAPH, "input has rank %d, wants 3 or more", in->rank);
        if (!rs_window_read(x, in->rank - 2, NULL, &w, err) ||
                !rs_window_sizes(x, &w, ceil_mode != 0, in->dims + 2, out + 2, err) ||
                !rs_op_out(x, 0, in->dtype, in->rank, out, err))
                return false;
        return !x->concrete || (*s = pool_make(x, &w, in->dims + 2, out + 2, err));
}

static bool
max_infer(rs_infer *x, resect_error *err)
{
        int64_t order;
        pool *s;

        if (!rs_op_int(x, "storage_order", 0, &order, err) ||
                !window_infer(
                        x, 2, RS_FLOATS | RS_BIT(RESECT_UINT8) | RS_BIT(RESECT_INT8), &s, err))
                return false;
        if (order != 0 && order != 1)
                return rs_op_fail(x, err, RESECT_GRAPH, "storage_order is %lld", (long long)order);
        if (s)
                s->by_column = order;
        return x->n_out < 2 || rs_op_out(x, 1, RESECT_INT64, x->out[0].rank, x->out[0].dims, err);
}

static void
max_forward(const rs_call *c)
{
        const int32_t dtype = ((const pool *)c->state)->dtype;

        run(c, SIX(max));
}

static void
max_backward(const rs_call *c)
{
        run_back(c, ((const pool *)c->state)->dtype == RESECT_FLOAT ? max_back_f32 : max_back_f64);
}

const rs_op rs_op_max_pool = {.name = "MaxPool",
        .domain = "",
        .since = 1,
        .reads = RS_READS_IN(0),
        .alias = -1,
        .infer = max_infer,
        .forward = max_forward,
        .backward = max_backward};

static bool
average_infer(rs_infer *x, resect_error *err)
{
        int64_t include;
        pool *s;

        if (!rs_op_int(x, "count_include_pad", 0, &include, err) ||
                !window_infer(x, 1, RS_FLOATS, &s, err))
                return false;
        if (s)
                s->include_pad = include != 0;
        return true;
}

static void
average_forward(const rs_call *c)
{
        const int32_t dtype = ((const pool *)c->state)->dtype;

        run(c, SIX(average));
}

static void
average_backward(const rs_call *c)
{
        run_back(c, ((const pool *)c->state)->dtype == RESECT_FLOAT ? average_back_f32
                                                                    : average_back_f64);
}

const rs_op rs_op_average_pool = {.name = "AveragePool",
        .domain = "",
        .since = 1,
        .alias = -1,
        .reads = 0,
        .infer = average_infer,
        .forward = average_forward,
        .backward = average_backward};

/* p: a float in the first opset, an int later. */
static bool
read_p(const rs_infer *x, double *p, resect_error *err)
{
        float old;
        int64_t now;

        if (x->opset < 2 ? !rs_op_float(x, "p", 2, &old, err) : !rs_op_int(x, "p", 2, &now, err))
                return false;
        *p = x->opset < 2 ? (double)old : (double)now;
        return *p > 0 || rs_op_fail(x, err, RESECT_GRAPH, "p is %g", *p);
}

static bool
lp_infer(rs_infer *x, resect_error *err)
{
        double p;
        pool *s;

        if (!read_p(x, &p, err) || !window_infer(x, 1, RS_FLOATS, &s, err))
                return false;
        if (s)
                s->p = p;
        return true;
}

static void
lp_forward(const rs_call *c)
{
        const int32_t dtype = ((const pool *)c->state)->dtype;

        run(c, SIX(lp));
}

const rs_op rs_op_lp_pool = {.name = "LpPool",
        .domain = "",
        .since = 1,
        .alias = -1,
        .infer = lp_infer,
        .forward = lp_forward};

/* One window over all of the plane, which may have any number of axes. */
static bool
global_infer(rs_infer *x, resect_error *err)
{
        if (!rs_op_counts(x, 1, 1, 1, err) || !rs_op_dtype(x, 0, RS_FLOATS, err))
                return false;
        const rs_type *in = x->in[0];
        int64_t out[RESECT_RANK_MAX], size = 1;
        if (in->rank < 2)
                return rs_op_fail(
                        x, err, RESECT_GRAPH, "input has rank %d, wants 2 or more", in->rank);
        for (int i = 0; i < in->rank; i++) {
                out[i] = i < 2 ? in->dims[i] : 1;
                if (in->dims[i] == 0 && i >= 2)
                        return rs_op_fail(x, err, RESECT_GRAPH, "input has size 0 in axis %d", i);
        }
        if (!rs_op_out(x, 0, in->dtype, in->rank, out, err))
                return false;
        if (!x->concrete)
                return true;
        for (int i = 2; i < in->rank; i++)
                if (__builtin_mul_overflow(size, in->dims[i], &size))
                        return rs_op_fail(x, err, RESECT_GRAPH, "sizes do not fit into memory");
        const rs_window w = {.axes = 1, .kernel = {size}, .stride = {1}, .dilation = {1}};
        const int64_t one = 1;
        return pool_make(x, &w, &size, &one, err) != NULL;
}

static bool
global_lp_infer(rs_infer *x, resect_error *err)
{
        double p;

        if (!read_p(x, &p, err) || !global_infer(x, err))
                return false;
        if (x->concrete)
                ((pool *)x->state)->p = p;
        return true;
}

const rs_op rs_op_global_average_pool = {.name = "GlobalAveragePool",
        .domain = "",
        .since = 1,
        .alias = -1,
        .reads = 0,
        .infer = global_infer,
        .forward = average_forward,
        .backward = average_backward};
const rs_op rs_op_global_max_pool = {.name = "GlobalMaxPool",
        .domain = "",
        .since = 1,
        .alias = -1,
        .reads = RS_READS_IN(0),
        .infer = global_infer,
        .forward = max_forward,
        .backward = max_backward};
const rs_op rs_op_global_lp_pool = {.name = "GlobalLpPool",
        .domain = "",
        .since = 1,
        .alias = -1,
        .infer = global_lp_infer,
        .forward = lp_forward};
