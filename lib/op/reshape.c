/* SPDX-License-Identifier: 0BSD */
/*
 * Operators that give the same elements another shape: Identity, Reshape, Flatten, Squeeze,
 * Unsqueeze. They are views. The work is in keeping symbols: Reshape of [N, 2048, 1, 1] to [-1,
 * 2048] is [N, 2048], because what stands on both sides cancels.
 */
#include "op/move.h"

#include <string.h>

void
rs_accumulate(resect_tensor *to, const resect_tensor *from, int threads)
{
        size_t count = (size_t)resect_tensor_count(to), rows = (count + RS_ROW - 1) / RS_ROW;
        threads = rs_threads_for(threads, count);
        RS_PARALLEL(threads)
        for (size_t u = 0; u < rows; u++) {
                double v[RS_ROW];
                size_t at = u * RS_ROW, n = count - at < RS_ROW ? count - at : RS_ROW;
                rs_row_load(from->data, (int32_t)from->dtype, (int64_t)at, 1, n, v);
                rs_row_add(to->data, (int32_t)to->dtype, at, n, v);
        }
}

void
rs_view_forward(const rs_call *c)
{
        if (c->out[0] && c->out[0]->data != c->in[0]->data && c->out[0]->size)
                memcpy(c->out[0]->data, c->in[0]->data, c->out[0]->size);
}

void
rs_view_backward(const rs_call *c)
{
        if (c->dout[0] && c->din[0])
                rs_accumulate(c->din[0], c->dout[0], c->threads);
}

/* The elements of a shape stay what they are when it is reshaped. */
static void
keep_ints(rs_infer *x)
{
        if (x->out[0].rank >= 0 && x->out[0].rank <= 1) {
                x->out[0].ints = x->in[0]->ints;
                x->out[0].n_ints = x->in[0]->n_ints;
        }
}

static bool
infer_identity(rs_infer *x, resect_error *err)
{
        if (!rs_op_counts(x, 1, 1, 1, err) || !rs_op_dtype(x, 0, RS_ANY, err) ||
                !rs_op_out_like(x, 0, x->in[0], err))
                return false;
        keep_ints(x);
        return true;
}

static bool
infer_flatten(rs_infer *x, resect_error *err)
{
        const rs_type *t = x->in[0];
        int64_t axis, dims[2] = {1, 1};
        if (!rs_op_counts(x, 1, 1, 1, err) || !rs_op_dtype(x, 0, RS_ANY, err) ||
                !rs_op_int(x, "axis", 1, &axis, err))
                return false;
        if (axis < (x->opset < 11 ? 0 : -t->rank) || axis > t->rank)
                return rs_op_fail(x, err, RESECT_GRAPH, "axis %lld is not one of rank %d",
                        (long long)axis, t->rank);
        if (axis < 0)
                axis += t->rank;
        bool sized[2] = {true, true};
        for (int d = 0; d < t->rank;
                d++) /* a size of 0 settles a product, whatever the symbols beside it are */
                if (!t->dims[d])
                        sized[d >= axis] = false;
        for (int d = 0; d < t->rank; d++)
                if (sized[d >= axis] &&
                        !rs_op_size_mul(x, dims[d >= axis], t->dims[d], &dims[d >= axis], err))
                        return false;
        for (int i = 0; i < 2; i++)
                dims[i] = sized[i] ? dims[i] : 0;
        return rs_op_out(x, 0, t->dtype, 2, dims, err);
}

/* A product of sizes, with what stands on both sides of an equation taken out. */
struct product {
        int64_t number;
        int64_t symbols[RESECT_RANK_MAX];
        int n;
        bool overflow;
};

static struct product
product_of(const int64_t *v, int n)
{
        struct product p = {.number = 1};
        bool zero = false;
        for (int i = 0; i < n; i++)
                if (v[i] < 0)
                        p.symbols[p.n++] = v[i];
                else if (!v[i])
                        zero = true;
                else
                        p.overflow |= __builtin_mul_overflow(p.number, v[i], &p.number);
        if (zero) {
                p.number = 0;
                p.overflow = false;
        }
        return p;
}

static void
cancel(struct product *a, struct product *b)
{
        for (int i = 0; i < a->n; i++)
                for (int j = 0; j < b->n; j++)
                        if (a->symbols[i] == b->symbols[j]) {
                                a->symbols[i--] = a->symbols[--a->n];
                                b->symbols[j] = b->symbols[--b->n];
                                break;
                        }
}

/* dims[hole] so that dims has as many elements as t; hole -1: only compares. */
static bool
balance(rs_infer *x, const rs_type *t, int64_t *dims, int rank, int hole, resect_error *err)
{
        int64_t others[RESECT_RANK_MAX];
        int n = 0;
        for (int d = 0; d < rank; d++)
                if (d != hole)
                        others[n++] = dims[d];
        struct product in = product_of(t->dims, t->rank), out = product_of(others, n);
        cancel(&in, &out);
        if (in.overflow || out.overflow)
                return rs_op_fail(x, err, RESECT_GRAPH, "a size does not fit");
        bool numbers = !in.n && !out.n;
        if (hole < 0)
                return !numbers || in.number == out.number ||
                       rs_op_fail(x, err, RESECT_GRAPH, "%lld elements do not fit a shape of %lld",
                               (long long)in.number, (long long)out.number);
        if (numbers && (!out.number || in.number % out.number))
                return rs_op_fail(x, err, RESECT_GRAPH, "%lld elements are no multiple of %lld",
                        (long long)in.number, (long long)out.number);
        if (numbers)
                dims[hole] = in.number / out.number;
        else if (in.n == 1 && !out.n && in.number == out.number)
                dims[hole] = in.symbols[0];
        else
                return rs_op_size_new(x, &dims[hole], err);
        return true;
}

static bool
infer_reshape(rs_infer *x, resect_error *err)
{
        const rs_type *t = x->in[0];
        const int64_t *v;
        int64_t n, zeros, dims[RESECT_RANK_MAX];
        if (!rs_op_counts(x, x->opset < 5 ? 1 : 2, x->opset < 5 ? 1 : 2, 1, err) ||
                !rs_op_dtype(x, 0, RS_ANY, err) ||
                !rs_op_ints_or_input(x, "shape", 1, &v, &n, err) ||
                !rs_op_int(x, "allowzero", 0, &zeros, err))
                return false;
        if (x->opset < 5 && !v)
                return rs_op_fail(x, err, RESECT_GRAPH, "attribute shape is missing");
        if (!v && n < 0) {
                x->out[0] = (rs_type){.dtype = t->dtype, .rank = -1};
                return true;
        }
        if (n > RESECT_RANK_MAX)
                return rs_op_fail(x, err, RESECT_UNSUPPORTED,
                        "the shape has %lld sizes, at most %d go", (long long)n, RESECT_RANK_MAX);
        int hole = -1;
        for (int i = 0; i < n; i++) {
                if (!v) {
                        if (!rs_op_size_new(x, &dims[i], err))
                                return false;
                        continue;
                }
                dims[i] = v[i];
                if (!v[i] && !zeros) {
                        if (i >= t->rank)
                                return rs_op_fail(x, err, RESECT_GRAPH,
                                        "shape's 0 at %d copies an axis that the input does not "
                                        "have",
                                        i);
                        dims[i] = t->dims[i];
                } else if (v[i] == -1) {
                        if (hole >= 0)
                                return rs_op_fail(x, err, RESECT_GRAPH, "the shape has -1 twice");
                        hole = i;
                } else if (v[i] < 0 && !rs_is_symbol(v[i]))
                        return rs_op_fail(x, err, RESECT_GRAPH, "the shape has the size %lld",
                                (long long)v[i]);
        }
        if (v && !balance(x, t, dims, (int)n, hole, err))
                return false;
        if (!rs_op_out(x, 0, t->dtype, (int)n, dims, err))
                return false;
        keep_ints(x);
        return true;
}

static bool
infer_squeeze(rs_infer *x, resect_error *err)
{
        const rs_type *t = x->in[0];
        const int64_t *v;
        int64_t n, dims[RESECT_RANK_MAX];
        uint32_t set = 0;
        if (!rs_op_counts(x, 1, x->opset < 13 ? 1 : 2, 1, err) || !rs_op_dtype(x, 0, RS_ANY, err) ||
                !rs_op_ints_or_input(x, "axes", 1, &v, &n, err))
                return false;
        bool unknown = !v && n;
        if (!v && !n)
                for (int d = 0; d < t->rank; d++) {
                        set |= t->dims[d] == 1 ? 1u << d : 0;
                        unknown |= t->dims[d] < 0;
                }
        if (unknown) {
                x->out[0] = (rs_type){.dtype = t->dtype, .rank = -1};
                return true;
        }
        if (v && !rs_op_axes(x, v, (size_t)n, t->rank, &set, err))
                return false;
        int rank = 0;
        for (int d = 0; d < t->rank; d++)
                if (!(set & 1u << d))
                        dims[rank++] = t->dims[d];
                else if (!rs_size_equal(t->dims[d], 1, NULL))
                        return rs_op_fail(x, err, RESECT_GRAPH, "axis %d has size %lld, not 1", d,
                                (long long)t->dims[d]);
        if (!rs_op_out(x, 0, t->dtype, rank, dims, err))
                return false;
        keep_ints(x);
        return true;
}

static bool
infer_unsqueeze(rs_infer *x, resect_error *err)
{
        const rs_type *t = x->in[0];
        const int64_t *v;
        int64_t n, dims[RESECT_RANK_MAX];
        uint32_t set;
        if (!rs_op_counts(x, x->opset < 13 ? 1 : 2, x->opset < 13 ? 1 : 2, 1, err) ||
                !rs_op_dtype(x, 0, RS_ANY, err) || !rs_op_ints_or_input(x, "axes", 1, &v, &n, err))
                return false;
        if (!v && n) {
                x->out[0] = (rs_type){.dtype = t->dtype, .rank = -1};
                return true;
        }
        if (!v)
                return rs_op_fail(x, err, RESECT_GRAPH, "axes are missing");
        if (n > RESECT_RANK_MAX - t->rank)
                return rs_op_fail(x, err, RESECT_UNSUPPORTED,
                        "the output would have rank %lld, at most %d go", (long long)n + t->rank,
                        RESECT_RANK_MAX);
        int rank = t->rank + (int)n;
        if (!rs_op_axes(x, v, (size_t)n, rank, &set, err))
                return false;
        for (int d = 0, from = 0; d < rank; d++)
                dims[d] = set & 1u << d ? 1 : t->dims[from++];
        if (!rs_op_out(x, 0, t->dtype, rank, dims, err))
                return false;
        keep_ints(x);
        return true;
}

#define VIEW(id, op_name, how)                     \
        const rs_op rs_op_##id = {.name = op_name, \
                .domain = "",                      \
                .since = 1,                        \
                .view = true,                      \
                .infer = how,                      \
                .forward = rs_view_forward,        \
                .backward = rs_view_backward};
VIEW(identity, "Identity", infer_identity)
VIEW(flatten, "Flatten", infer_flatten)
VIEW(reshape, "Reshape", infer_reshape)
VIEW(squeeze, "Squeeze", infer_squeeze)
VIEW(unsqueeze, "Unsqueeze", infer_unsqueeze)
