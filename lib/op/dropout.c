/* SPDX-License-Identifier: 0BSD */
/*
 * Dropout, all versions: the identity unless the plan trains (opset 12 and later: and
 * training_mode, when given, is true; before 7: and is_test is 0). An element is dropped by a
 * random number that is a function of (seed, the plan's step and the training step, its index), so
 * that backward needs no mask: it draws the same one.
 */
#include "op/move.h"

#include <math.h>
#include <string.h>

#include "base/random.h"

struct state {
        bool training;
        bool ratio_input; /* in[1] has the ratio */
        bool mode_input;  /* in[2] has training_mode */
        double ratio;
};

static bool
infer(rs_infer *x, resect_error *err)
{
        bool inputs = x->opset >= 12;
        float ratio;
        int64_t is_test;
        if (!rs_op_counts(x, 1, inputs ? 3 : 1, 2, err) || !rs_op_dtype(x, 0, RS_FLOATS, err) ||
                !rs_op_dtype(x, 1, RS_FLOATS, err) || !rs_op_dtype(x, 2, RS_BOOLS, err) ||
                !rs_op_float(x, "ratio", 0.5f, &ratio, err) ||
                !rs_op_int(x, "is_test", 0, &is_test, err) || !rs_op_out_like(x, 0, x->in[0], err))
                return false;
        for (size_t i = 1; i < 3; i++) {
                const rs_type *t = rs_op_in(x, i);
                if (t && (t->rank > 1 || (t->rank && !rs_size_equal(t->dims[0], 1, NULL))))
                        return rs_op_fail(x, err, RESECT_GRAPH, "input %zu is not one number", i);
        }
        if (!(ratio >= 0 && ratio < 1))
                return rs_op_fail(x, err, RESECT_GRAPH, "ratio %g is not in [0, 1)", (double)ratio);
        /* the mask was a float tensor before it was one of bools */
        if (x->n_out > 1 && !rs_op_out(x, 1, x->opset < 10 ? x->in[0]->dtype : RESECT_BOOL,
                                    x->in[0]->rank, x->in[0]->dims, err))
                return false;
        if (!x->concrete)
                return true;
        /* a constant training_mode is how models are exported; one that the caller sets is a wish
         */
        const rs_type *mode = rs_op_in(x, 2);
        if (!x->training && x->model && mode && mode->ints && mode->n_ints && mode->ints[0] &&
                rs_graph_find_input(&x->model->graph, x->node->in[2]) &&
                !rs_model_is_initializer(x->model, x->node->in[2]))
                return rs_op_fail(x, err, RESECT_UNSUPPORTED,
                        "training_mode is fed, but the plan does not train");
        struct state *s = RS_STATE(x, struct state, err);
        if (!s)
                return false;
        *s = (struct state){.ratio = (double)ratio,
                .ratio_input = rs_op_in(x, 1) != NULL,
                .mode_input = rs_op_in(x, 2) != NULL};
        s->training = x->training && !x->frozen && !(x->opset < 7 && is_test);
        return true;
}

/* The ratio of this call; 0 when nothing is dropped. */
static double
ratio_of(const rs_call *c)
{
        const struct state *s = c->state;
        if (!s->training || !c->training)
                return 0;
        if (s->mode_input && (!c->in[2]->size || !*(const unsigned char *)c->in[2]->data))
                return 0;
        double ratio = s->ratio_input && c->in[1]->size
                               ? rs_load(c->in[1]->data, (int32_t)c->in[1]->dtype, 0)
                               : s->ratio;
        return ratio > 0 && ratio < 1 ? ratio : 0;
}

/* v times 0 or 1 / (1 - ratio). */
static void
mask_row(const rs_call *c, uint64_t stream, double ratio, size_t at, size_t n, double *v)
{
        double scale = 1 / (1 - ratio);
        for (size_t i = 0; i < n; i++)
                v[i] = rs_uniform(c->seed, stream, at + i) < ratio ? 0 : v[i] * scale;
}

static void
forward(const rs_call *c)
{
        const resect_tensor *x = c->in[0];
        double ratio = ratio_of(c);
        uint64_t stream = rs_stream("dropout", c->stream, c->step);
        size_t count = (size_t)resect_tensor_count(x), rows = (count + RS_ROW - 1) / RS_ROW;
        int threads = rs_threads_for(c->threads, ratio > 0 ? count * 16 : count);
        if (!(ratio > 0))
                rs_view_forward(c);
        if (!(ratio > 0) && !c->out[1])
                return;
        RS_PARALLEL(threads)
        for (size_t u = 0; u < rows; u++) {
                size_t at = u * RS_ROW, n = count - at < RS_ROW ? count - at : RS_ROW;
                double v[RS_ROW];
                if (ratio > 0 && c->out[0]) {
                        rs_row_load(x->data, (int32_t)x->dtype, (int64_t)at, 1, n, v);
                        mask_row(c, stream, ratio, at, n, v);
                        rs_row_store(c->out[0]->data, (int32_t)c->out[0]->dtype, at, n, v);
                }
                for (size_t i = 0; c->out[1] && i < n; i++)
                        v[i] = !(ratio > 0) || !(rs_uniform(c->seed, stream, at + i) < ratio);
                if (c->out[1])
                        rs_row_store(c->out[1]->data, (int32_t)c->out[1]->dtype, at, n, v);
        }
}

static void
backward(const rs_call *c)
{
        const resect_tensor *g = c->dout[0];
        resect_tensor *d = c->din[0];
        if (!g || !d)
                return;
        double ratio = ratio_of(c);
        if (!(ratio > 0)) {
                rs_accumulate(d, g, c->threads);
                return;
        }
        uint64_t stream = rs_stream("dropout", c->stream, c->step);
        size_t count = (size_t)resect_tensor_count(d), rows = (count + RS_ROW - 1) / RS_ROW;
        int threads = rs_threads_for(c->threads, count * 16);
        RS_PARALLEL(threads)
        for (size_t u = 0; u < rows; u++) {
                size_t at = u * RS_ROW, n = count - at < RS_ROW ? count - at : RS_ROW;
                double v[RS_ROW];
                rs_row_load(g->data, (int32_t)g->dtype, (int64_t)at, 1, n, v);
                mask_row(c, stream, ratio, at, n, v);
                rs_row_add(d->data, (int32_t)d->dtype, at, n, v);
        }
}

const rs_op rs_op_dropout = {.name = "Dropout",
        .domain = "",
        .since = 1,
        .reads = RS_READS_IN(1) | RS_READS_IN(2),
        .infer = infer,
        .forward = forward,
        .backward = backward};
