/* SPDX-License-Identifier: 0BSD */
/* ArgMax and ArgMin: where along an axis the extreme stands, the first or the last of equals; a NaN
 * counts as the extreme. */
#include "op/move.h"

#include <math.h>
#include <string.h>

struct state {
        size_t outer, axis, inner;
        bool least, last, integer, is_unsigned;
};

static bool
infer(rs_infer *x, resect_error *err)
{
        int64_t given, keep, last, dims[RESECT_RANK_MAX];
        int axis = 0, rank = 0;
        if (!rs_op_counts(x, 1, 1, 1, err) || !rs_op_dtype(x, 0, RS_NUMBERS, err) ||
                !rs_op_int(x, "axis", 0, &given, err) || !rs_op_int(x, "keepdims", 1, &keep, err) ||
                !rs_op_int(x, "select_last_index", 0, &last, err) ||
                !rs_op_axis(x, given, x->in[0]->rank, &axis, err))
                return false;
        const rs_type *t = x->in[0];
        for (int d = 0; d < t->rank; d++)
                if (d != axis || keep)
                        dims[rank++] = d == axis ? 1 : t->dims[d];
        if (!t->dims[axis])
                return rs_op_fail(x, err, RESECT_GRAPH, "axis %d is empty", axis);
        if (!rs_op_out(x, 0, RESECT_INT64, rank, dims, err))
                return false;
        if (!x->concrete)
                return true;
        struct state *s = RS_STATE(x, struct state, err);
        if (!s)
                return false;
        *s = (struct state){.outer = 1,
                .axis = (size_t)t->dims[axis],
                .inner = 1,
                .least = !strcmp(x->node->op, "ArgMin"),
                .last = last != 0,
                .integer = rs_dtype_in(t->dtype, RS_INTEGERS),
                .is_unsigned = t->dtype == RESECT_UINT64};
        for (int d = 0; d < axis; d++)
                s->outer *= (size_t)t->dims[d];
        for (int d = axis + 1; d < t->rank; d++)
                s->inner *= (size_t)t->dims[d];
        return true;
}

/* Whether v beats best, the extreme so far. */
static bool
beats(const struct state *s, double v, double best)
{
        if (isnan(best) || isnan(v))
                return isnan(v) && (!isnan(best) || s->last);
        return s->least ? v < best || (s->last && v == best) : v > best || (s->last && v == best);
}

static bool
beats_int(const struct state *s, int64_t v, int64_t best)
{
        if (v == best)
                return s->last;
        return (s->is_unsigned ? (uint64_t)v > (uint64_t)best : v > best) != s->least;
}

static int64_t
find(const struct state *s, const resect_tensor *x, int64_t base)
{
        size_t best = 0;
        double most = 0;
        int64_t most_int = 0;
        for (size_t k = 0; k < s->axis; k++) {
                double v = 0;
                int64_t i = 0;
                int64_t at = base + (int64_t)(k * s->inner);
                if (s->integer)
                        rs_row_load_int(x->data, (int32_t)x->dtype, at, 1, 1, &i);
                else
                        v = rs_load(x->data, (int32_t)x->dtype, (size_t)at);
                if (k && !(s->integer ? beats_int(s, i, most_int) : beats(s, v, most)))
                        continue;
                best = k;
                most = v;
                most_int = i;
        }
        return (int64_t)best;
}

static void
forward(const rs_call *c)
{
        const struct state *s = c->state;
        size_t n = s->outer * s->inner;
        int64_t *y = c->out[0]->data;
        int threads = rs_threads_for(c->threads, n * s->axis);
        RS_PARALLEL(threads)
        for (size_t i = 0; i < n; i++)
                y[i] = find(
                        s, c->in[0], (int64_t)(i / s->inner * s->axis * s->inner + i % s->inner));
}

const rs_op rs_op_argmax = {.name = "ArgMax",
        .domain = "",
        .since = 1,
        .alias = -1,
        .infer = infer,
        .forward = forward};
const rs_op rs_op_argmin = {.name = "ArgMin",
        .domain = "",
        .since = 1,
        .alias = -1,
        .infer = infer,
        .forward = forward};
