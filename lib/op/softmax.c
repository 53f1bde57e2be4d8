/* SPDX-License-Identifier: 0BSD */
/*
 * Softmax and LogSoftmax. Before opset 13 the input is seen as a matrix, cut at axis, and a row is
 * normalised; from 13 on it is one axis alone. Both are `outer` times `inner` strands of `size`
 * elements, inner apart.
 */
#include <math.h>
#include "op/util.h"

typedef struct softmax {
        int32_t dtype;
        size_t outer, size, inner;
} softmax;

#define T float
#define NAME(f) f##_f32
#define LOAD(v) ((double)(v))
#define STORE(v) ((float)(v))
#include "op/softmax.inc.h"
#define T double
#define NAME(f) f##_f64
#define LOAD(v) (v)
#define STORE(v) (v)
#include "op/softmax.inc.h"
#define T uint16_t
#define NAME(f) f##_f16
#define LOAD(v) ((double)rs_half_to_float(v))
#define STORE(v) rs_float_to_half((float)(v))
#include "op/softmax.inc.h"
#define T uint16_t
#define NAME(f) f##_bf16
#define LOAD(v) ((double)rs_bfloat_to_float(v))
#define STORE(v) rs_float_to_bfloat((float)(v))
#include "op/softmax.inc.h"

static bool
softmax_infer(rs_infer *x, resect_error *err)
{
        const bool matrix = x->opset < 13;
        int64_t wish;
        int axis;

        if (!rs_op_counts(x, 1, 1, 1, err) || !rs_op_dtype(x, 0, RS_FLOATS, err) ||
                !rs_op_int(x, "axis", matrix ? 1 : -1, &wish, err))
                return false;
        const rs_type *in = x->in[0];
        if (!rs_op_axis(x, wish, in->rank, &axis, err) || !rs_op_out_like(x, 0, in, err))
                return false;
        if (!x->concrete)
                return true;
        softmax *s = RS_STATE(x, softmax, err);
        if (!s)
                return false;
        *s = (softmax){in->dtype, 1, 1, 1};
        for (int i = 0; i < in->rank; i++)
                *(i < axis                    ? &s->outer
                        : i == axis || matrix ? &s->size
                                              : &s->inner) *= (size_t)in->dims[i];
        return true;
}

#define CHOOSE(f)                                      \
        (s->dtype == RESECT_FLOAT            ? f##_f32 \
                : s->dtype == RESECT_DOUBLE  ? f##_f64 \
                : s->dtype == RESECT_FLOAT16 ? f##_f16 \
                                             : f##_bf16)

static void
forward(const rs_call *c, bool log_form)
{
        const softmax *s = c->state;
        void (*const f)(const softmax *, const void *, void *, size_t, bool) = CHOOSE(strand);

        RS_PARALLEL(rs_threads_for(c->threads, s->outer * s->size * s->inner))
        for (size_t i = 0; i < s->outer * s->inner; i++)
                f(s, c->in[0]->data, c->out[0]->data, i, log_form);
}

static void
backward(const rs_call *c, bool log_form)
{
        const softmax *s = c->state;
        void (*const f)(const softmax *, const void *, const void *, void *, size_t, bool) =
                CHOOSE(strand_back);

        if (!c->dout[0] || !c->din[0])
                return;
        RS_PARALLEL(rs_threads_for(c->threads, s->outer * s->size * s->inner))
        for (size_t i = 0; i < s->outer * s->inner; i++)
                f(s, c->out[0]->data, c->dout[0]->data, c->din[0]->data, i, log_form);
}

static void
softmax_forward(const rs_call *c)
{
        forward(c, false);
}
static void
softmax_backward(const rs_call *c)
{
        backward(c, false);
}
static void
log_forward(const rs_call *c)
{
        forward(c, true);
}
static void
log_backward(const rs_call *c)
{
        backward(c, true);
}

const rs_op rs_op_softmax = {.name = "Softmax",
        .domain = "",
        .since = 1,
        .reads = RS_READS_OUT(0),
        .alias = 0,
        .infer = softmax_infer,
        .forward = softmax_forward,
        .backward = softmax_backward};
const rs_op rs_op_log_softmax = {.name = "LogSoftmax",
        .domain = "",
        .since = 1,
        .reads = RS_READS_OUT(0),
        .alias = 0,
        .infer = softmax_infer,
        .forward = log_forward,
        .backward = log_backward};
