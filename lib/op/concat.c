/* SPDX-License-Identifier: 0BSD */
/* Concat and Split: runs of bytes between one tensor and its pieces along an axis. */
#include "op/move.h"

#include <string.h>

struct state {
        size_t outer, inner;       /* blocks before the axis; elements of one step along it */
        size_t lengths[RS_IN_MAX]; /* of each piece along the axis */
        size_t n, whole;           /* pieces; their sum */
};

static bool
make_state(rs_infer *x, const rs_type *whole, int axis, const int64_t *lengths, size_t n,
        resect_error *err)
{
        struct state *s = RS_STATE(x, struct state, err);
        if (!s)
                return false;
        s->outer = s->inner = 1;
        for (int d = 0; d < axis; d++)
                s->outer *= (size_t)whole->dims[d];
        for (int d = axis + 1; d < whole->rank; d++)
                s->inner *= (size_t)whole->dims[d];
        s->n = n;
        for (size_t i = 0; i < n; i++) {
                s->lengths[i] = (size_t)lengths[i];
                s->whole += s->lengths[i];
        }
        return true;
}

/* Concatenated shapes are shapes. */
static bool
concat_ints(rs_infer *x, resect_error *err)
{
        size_t n = 0;
        for (size_t i = 0; i < x->n_in; i++) {
                if (!x->in[i]->ints || x->in[i]->rank != 1)
                        return true;
                n += x->in[i]->n_ints;
        }
        int64_t *v = n <= RS_INTS_MAX ? RS_NEW(x->arena, n + 1, int64_t, err) : NULL;
        if (!v)
                return n > RS_INTS_MAX;
        n = 0;
        for (size_t i = 0; i < x->n_in; n += x->in[i++]->n_ints)
                memcpy(v + n, x->in[i]->ints, x->in[i]->n_ints * sizeof *v);
        x->out[0].ints = v;
        x->out[0].n_ints = n;
        return true;
}

static bool
infer_concat(rs_infer *x, resect_error *err)
{
        int64_t given, dims[RESECT_RANK_MAX], lengths[RS_IN_MAX];
        int axis = 0;
        if (!rs_op_counts(x, 1, RS_IN_MAX, 1, err) || !rs_op_counts(x, x->n_in, x->n_in, 1, err) ||
                !rs_op_dtype(x, 0, RS_ANY, err) || !rs_op_int(x, "axis", 1, &given, err))
                return false;
        const rs_type *t = x->in[0];
        if (x->opset >= 4 && !rs_node_attr(x->node, "axis"))
                return rs_op_fail(x, err, RESECT_GRAPH, "attribute axis is missing");
        if (!rs_op_axis(x, given, t->rank, &axis, err))
                return false;
        memcpy(dims, t->dims, sizeof dims);
        dims[axis] = 0;
        for (size_t i = 0; i < x->n_in; i++) {
                const rs_type *p = x->in[i];
                if (!rs_op_same_dtype(x, 0, i, err))
                        return false;
                if (p->rank != t->rank)
                        return rs_op_fail(x, err, RESECT_GRAPH,
                                "input 0 has rank %d, input %zu has rank %d", t->rank, i, p->rank);
                for (int d = 0; d < t->rank; d++)
                        if (d != axis && !rs_size_equal(dims[d], p->dims[d], &dims[d]))
                                return rs_op_fail(x, err, RESECT_GRAPH,
                                        "sizes %lld and %lld of axis %d differ (input %zu)",
                                        (long long)dims[d], (long long)p->dims[d], d, i);
                if (!rs_op_size_add(x, dims[axis], p->dims[axis], &dims[axis], err))
                        return false;
                lengths[i] = p->dims[axis];
        }
        return rs_op_out(x, 0, t->dtype, t->rank, dims, err) && concat_ints(x, err) &&
               (!x->concrete || make_state(x, &x->out[0], axis, lengths, x->n_in, err));
}

/* The lengths of the pieces: given, or equal ones of which the last may be shorter (opset 18). */
static bool
split_lengths(rs_infer *x, int64_t size, int64_t *lengths, resect_error *err)
{
        const int64_t *v;
        int64_t n, sum = 0, count = (int64_t)x->n_out;
        if (!rs_op_ints_or_input(x, "split", 1, &v, &n, err))
                return false;
        if (v) {
                if (n != count)
                        return rs_op_fail(x, err, RESECT_GRAPH, "%lld lengths for %lld outputs",
                                (long long)n, (long long)count);
                for (int64_t i = 0; i < n; i++) {
                        lengths[i] = v[i];
                        if ((v[i] < 0 && !rs_is_symbol(v[i])) ||
                                !rs_op_size_add(x, sum, v[i], &sum, err))
                                return v[i] >= 0 ? false
                                                 : rs_op_fail(x, err, RESECT_GRAPH, "length %lld",
                                                           (long long)v[i]);
                }
                return rs_size_equal(sum, size, NULL) ||
                       rs_op_fail(x, err, RESECT_GRAPH,
                               "the lengths sum to %lld, the axis has %lld", (long long)sum,
                               (long long)size);
        }
        if (!n && rs_node_attr(x->node, "num_outputs")) {
                int64_t outputs;
                if (!rs_op_int(x, "num_outputs", 0, &outputs, err))
                        return false;
                if (outputs != count)
                        return rs_op_fail(x, err, RESECT_GRAPH,
                                "num_outputs is %lld, there are %lld", (long long)outputs,
                                (long long)count);
        }
        if (n || size < 0) {
                for (int64_t i = 0; i < count; i++)
                        if (!rs_op_size_new(x, &lengths[i], err))
                                return false;
                return true;
        }
        if (x->opset < 18 && size % count)
                return rs_op_fail(x, err, RESECT_GRAPH,
                        "size %lld does not split into %lld equal parts", (long long)size,
                        (long long)count);
        int64_t each = size / count + (size % count != 0), left = size;
        for (int64_t i = 0; i < count; i++) {
                lengths[i] = left < each ? left : each;
                left -= lengths[i];
        }
        return true;
}

static bool
infer_split(rs_infer *x, resect_error *err)
{
        int64_t given, lengths[RS_OUT_MAX], dims[RESECT_RANK_MAX];
        int axis = 0;
        if (!rs_op_counts(x, 1, 2, RS_OUT_MAX, err) || !rs_op_dtype(x, 0, RS_ANY, err) ||
                !rs_op_int(x, "axis", 0, &given, err) ||
                !rs_op_axis(x, given, x->in[0]->rank, &axis, err) ||
                !split_lengths(x, x->in[0]->dims[axis], lengths, err))
                return false;
        const rs_type *t = x->in[0];
        memcpy(dims, t->dims, sizeof dims);
        size_t at = 0;
        for (size_t i = 0; i < x->n_out; i++) {
                dims[axis] = lengths[i];
                if (!rs_op_out(x, i, t->dtype, t->rank, dims, err))
                        return false;
                if (t->rank == 1 && t->ints && lengths[i] >= 0 &&
                        at + (size_t)lengths[i] <= t->n_ints) {
                        x->out[i].ints = t->ints + at;
                        x->out[i].n_ints = (size_t)lengths[i];
                }
                at = lengths[i] < 0 ? SIZE_MAX / 2 : at + (size_t)lengths[i];
        }
        return !x->concrete || make_state(x, t, axis, lengths, x->n_out, err);
}

/* Copies piece p into (or out of) the whole, in blocks that threads share. */
static void
copy_piece(const struct state *s, size_t p, size_t before, char *whole, char *piece, size_t size,
        bool into, int threads)
{
        size_t run = s->lengths[p] * s->inner * size, stride = s->whole * s->inner * size;
        if (!run)
                return;
        threads = rs_threads_for(threads, s->outer * s->lengths[p] * s->inner);
        RS_PARALLEL(threads)
        for (size_t o = 0; o < s->outer; o++) {
                char *w = whole + o * stride + before * s->inner * size, *q = piece + o * run;
                if (into)
                        memcpy(w, q, run);
                else
                        memcpy(q, w, run);
        }
}

/* to += from, where to (or from) is piece p of the whole. */
static void
add_piece(const struct state *s, size_t p, size_t before, resect_tensor *to,
        const resect_tensor *from, bool to_whole, int threads)
{
        size_t run = s->lengths[p] * s->inner, stride = s->whole * s->inner;
        threads = rs_threads_for(threads, s->outer * run);
        RS_PARALLEL(threads)
        for (size_t o = 0; o < s->outer; o++)
                for (size_t i = 0; i < run; i += RS_ROW) {
                        double v[RS_ROW];
                        size_t n = run - i < RS_ROW ? run - i : RS_ROW,
                               in_whole = o * stride + before * s->inner + i,
                               in_piece = o * run + i;
                        rs_row_load(from->data, (int32_t)from->dtype,
                                (int64_t)(to_whole ? in_piece : in_whole), 1, n, v);
                        rs_row_add(
                                to->data, (int32_t)to->dtype, to_whole ? in_whole : in_piece, n, v);
                }
}

static void
forward_concat(const rs_call *c)
{
        const struct state *s = c->state;
        size_t size = rs_dtype_size((int32_t)c->out[0]->dtype), before = 0;
        for (size_t p = 0; p < s->n; before += s->lengths[p++])
                copy_piece(s, p, before, c->out[0]->data, c->in[p]->data, size, true, c->threads);
}

static void
backward_concat(const rs_call *c)
{
        const struct state *s = c->state;
        size_t before = 0;
        for (size_t p = 0; c->dout[0] && p < s->n; before += s->lengths[p++])
                if (c->din[p])
                        add_piece(s, p, before, c->din[p], c->dout[0], false, c->threads);
}

static void
forward_split(const rs_call *c)
{
        const struct state *s = c->state;
        size_t size = rs_dtype_size((int32_t)c->in[0]->dtype), before = 0;
        for (size_t p = 0; p < s->n; before += s->lengths[p++])
                if (c->out[p])
                        copy_piece(s, p, before, c->in[0]->data, c->out[p]->data, size, false,
                                c->threads);
}

static void
backward_split(const rs_call *c)
{
        const struct state *s = c->state;
        size_t before = 0;
        for (size_t p = 0; c->din[0] && p < s->n; before += s->lengths[p++])
                if (c->dout[p])
                        add_piece(s, p, before, c->din[0], c->dout[p], true, c->threads);
}

const rs_op rs_op_concat = {.name = "Concat",
        .domain = "",
        .since = 1,
        .alias = -1,
        .infer = infer_concat,
        .forward = forward_concat,
        .backward = backward_concat};
const rs_op rs_op_split = {.name = "Split",
        .domain = "",
        .since = 2,
        .alias = -1,
        .infer = infer_split,
        .forward = forward_split,
        .backward = backward_split};
