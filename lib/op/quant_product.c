/* SPDX-License-Identifier: 0BSD */
/*
 * Quantised products: ConvInteger and MatMulInteger, whose result is the sum itself, and
 * QLinearConv and QLinearMatMul, which scale it back to 8 bits. Sums of products of 8-bit numbers
 * are exact in double, so that one multiply serves them as well.
 */
#include <math.h>
#include <string.h>
#include "op/convolve.h"
#include "op/matmul.h"

enum { EIGHT_BITS = RS_BIT(RESECT_UINT8) | RS_BIT(RESECT_INT8) };

/* Which input is what, for the two kinds of operator. */
typedef struct slots {
        size_t a, a_scale, a_zero, b, b_scale, b_zero, y_scale, y_zero,
                bias; /* 0 (but for a): none */
} slots;
static const slots integer_slots = {.a = 0, .a_zero = 2, .b = 1, .b_zero = 3};
static const slots linear_slots = {0, 1, 2, 3, 4, 5, 6, 7, 8};

typedef struct quantised {
        rs_conv c;   /* convolutions */
        rs_matmul m; /* products of matrices */
        const slots *at;
        int32_t atype, btype;
        size_t a_scale_step, a_zero_step, b_scale_step,
                b_zero_step; /* 0: one for all, 1: one for each row (channel, column) */
} quantised;

/* Input i is a scalar or has one number for each of n; *step tells which. Ranks beyond 1 only with
 * one element. */
static bool
check_per(const rs_infer *x, size_t i, int64_t n, const char *what, size_t *step, resect_error *err)
{
        const rs_type *t = i ? rs_op_in(x, i) : NULL;

        *step = 0;
        if (!t)
                return true;
        const int64_t count = rs_type_count(t);
        if (count == 1 || (count < 0 && t->rank == 1)) /* a symbol may turn out to be 1 */
                return true;
        if (t->rank > 1)
                return rs_op_fail(x, err, RESECT_UNSUPPORTED,
                        "%s has rank %d, wants a scalar or a vector", what, t->rank);
        *step = 1;
        if (n < 0 && !rs_is_symbol(n))
                return rs_op_fail(x, err, RESECT_GRAPH, "%s has %lld numbers, wants 1", what,
                        (long long)count);
        if (!rs_size_equal(t->rank ? t->dims[0] : 1, n, NULL))
                return rs_op_fail(x, err, RESECT_GRAPH, "%s has %lld numbers, wants 1 or %lld",
                        what, (long long)count, (long long)n);
        return true;
}

/* Types of all inputs; the output's dtype. */
static bool
check_types(const rs_infer *x, const slots *at, int32_t *dtype, resect_error *err)
{
        if (!rs_op_dtype(x, at->a, EIGHT_BITS, err) || !rs_op_dtype(x, at->b, EIGHT_BITS, err) ||
                !rs_op_same_dtype(x, at->a, at->a_zero, err) ||
                !rs_op_same_dtype(x, at->b, at->b_zero, err))
                return false;
        *dtype = RESECT_INT32;
        if (!at->y_scale)
                return true;
        *dtype = x->in[at->y_zero]->dtype;
        return rs_op_dtype(x, at->a_scale, RS_FLOATS, err) &&
               rs_op_dtype(x, at->b_scale, RS_FLOATS, err) &&
               rs_op_dtype(x, at->y_scale, RS_FLOATS, err) &&
               rs_op_dtype(x, at->y_zero, EIGHT_BITS, err);
}

/* Scales and zero points: a's may be one for each of rows (-1: only one), b's for each of columns.
 */
static bool
check_scales(const rs_infer *x, const slots *at, int64_t rows, int64_t columns, quantised *q,
        resect_error *err)
{
        size_t none;

        return check_per(x, at->a_scale, rows, "the first scale", &q->a_scale_step, err) &&
               check_per(x, at->a_zero, rows, "the first zero point", &q->a_zero_step, err) &&
               check_per(x, at->b_scale, columns, "the second scale", &q->b_scale_step, err) &&
               check_per(x, at->b_zero, columns, "the second zero point", &q->b_zero_step, err) &&
               check_per(x, at->y_scale, -1, "the output's scale", &none, err) &&
               check_per(x, at->y_zero, -1, "the output's zero point", &none, err);
}

static bool
conv_infer(rs_infer *x, const slots *at, resect_error *err)
{
        int64_t group;
        int32_t dtype;
        rs_window win;
        quantised q = {.at = at};

        if (!check_types(x, at, &dtype, err) || !rs_op_int(x, "group", 1, &group, err))
                return false;
        const rs_type *in = x->in[at->a], *w = x->in[at->b],
                      *bias = at->bias ? rs_op_in(x, at->bias) : NULL;
        if (in->rank < 3 || w->rank != in->rank)
                return rs_op_fail(x, err, RESECT_GRAPH,
                        "input has rank %d, weight %d; both want the same, 3 or more", in->rank,
                        w->rank);
        int64_t all, out[RESECT_RANK_MAX] = {in->dims[0], w->dims[0]};
        if (group < 1 || (!rs_is_symbol(w->dims[0]) && (w->dims[0] < 1 || w->dims[0] % group)))
                return rs_op_fail(x, err, RESECT_GRAPH,
                        "group %lld does not divide %lld output channels", (long long)group,
                        (long long)w->dims[0]);
        if (!rs_is_symbol(in->dims[1]) && !rs_is_symbol(w->dims[1]) &&
                (__builtin_mul_overflow(w->dims[1], group, &all) || all != in->dims[1] || all < 1))
                return rs_op_fail(x, err, RESECT_GRAPH,
                        "input has %lld channels, weight wants %lld (group %lld)",
                        (long long)in->dims[1], (long long)w->dims[1], (long long)group);
        if (bias && (!rs_op_dtype(x, at->bias, RS_BIT(RESECT_INT32), err)))
                return false;
        if (bias && (bias->rank != 1 || !rs_size_equal(bias->dims[0], w->dims[0], NULL)))
                return rs_op_fail(x, err, RESECT_GRAPH,
                        "bias has not one number for each of %lld channels", (long long)w->dims[0]);
        if (!check_scales(x, at, -1, w->dims[0], &q, err) ||
                !rs_window_read(x, in->rank - 2, w->dims + 2, &win, err) ||
                !rs_window_sizes(x, &win, false, in->dims + 2, out + 2, err) ||
                !rs_op_out(x, 0, dtype, in->rank, out, err))
                return false;
        if (!x->concrete)
                return true;
        q.c.images = (size_t)in->dims[0];
        q.c.groups = (size_t)group;
        q.c.cin = (size_t)w->dims[1];
        q.c.cout = (size_t)(w->dims[0] / group);
        q.atype = in->dtype;
        q.btype = w->dtype;
        if (!rs_conv_make(x, &q.c, &win, in->dims + 2, out + 2, err))
                return false;
        quantised *s = RS_STATE(x, quantised, err);
        if (!s)
                return false;
        *s = q;
        x->scratch = rs_gemm_scratch(x->threads);
        x->macs =
                (uint64_t)q.c.images * (uint64_t)w->dims[0] * q.c.out_plane * q.c.cin * q.c.volume;
        return true;
}

static bool
product_infer(rs_infer *x, const slots *at, resect_error *err)
{
        int32_t dtype;
        quantised q = {.at = at};

        if (!check_types(x, at, &dtype, err))
                return false;
        const rs_type *a = x->in[at->a], *b = x->in[at->b];
        const int64_t rows = a->rank > 1 ? a->dims[a->rank - 2] : -1,
                      columns = b->rank > 1 ? b->dims[b->rank - 1] : -1;
        if (!check_scales(x, at, rows, columns, &q, err) ||
                !rs_matmul_infer(x, a, b, dtype, q.a_zero_step || q.a_scale_step, err))
                return false;
        if (!x->concrete)
                return true;
        q.m = *(rs_matmul *)x->state;
        q.atype = a->dtype;
        q.btype = b->dtype;
        quantised *s = RS_STATE(x, quantised, err);
        if (!s)
                return false;
        *s = q;
        return true;
}

/* Where a tile goes: row i, column j of product b at y[b * batch + i * row + ...]. */
typedef struct result {
        const quantised *q;
        const rs_call *c;
        size_t rows;         /* of one product */
        size_t plane, image; /* columns run over planes of images this far apart */
        bool weights_first;  /* rows are channels of the weight b, columns positions of a */
} result;

/* A sum as an element of the output: itself, or y = round(v * a_scale * b_scale / y_scale) +
 * y_zero, ties to even, saturated. */
static void
store(const result *r, double v, size_t row, size_t column, size_t e)
{
        const rs_call *c = r->c;
        const quantised *q = r->q;
        const slots *at = q->at;
        resect_tensor *y = c->out[0];

        if (!at->y_scale) {
                ((int32_t *)y->data)[e] =
                        (int32_t)(uint32_t)(uint64_t)(int64_t)v; /* wraps as 32 bits do */
                return;
        }
        const size_t ia = r->weights_first ? 0 : row, ib = r->weights_first ? row : column;
        const resect_tensor *sa = c->in[at->a_scale], *sb = c->in[at->b_scale],
                            *sy = c->in[at->y_scale];
        const double scale = rs_load(sa->data, sa->dtype, ia * q->a_scale_step) *
                             rs_load(sb->data, sb->dtype, ib * q->b_scale_step) /
                             rs_load(sy->data, sy->dtype, 0);
        rs_store(y->data, y->dtype, e,
                nearbyint(v * scale) + rs_load(c->in[at->y_zero]->data, y->dtype, 0));
}

static void
emit(const void *to, const rs_gemm_tile *t)
{
        const result *r = to;
        const slots *at = r->q->at;
        const resect_tensor *bias =
                r->weights_first && at->bias && at->bias < r->c->n_in ? r->c->in[at->bias] : NULL;

        for (size_t i = t->i0; i < t->i1; i++) {
                const size_t row = r->weights_first ? t->batch * r->rows + i : i;
                const double add = bias ? (double)((const int32_t *)bias->data)[row] : 0;
                const double *v = t->c + (i - t->i0) * t->ldc;
                for (size_t j = t->j0; j < t->j1; j++) {
                        const size_t e =
                                r->weights_first
                                        ? j / r->plane * r->image + row * r->plane + j % r->plane
                                        : r->q->m.at_y[t->batch] + i * r->plane + j;
                        store(r, v[j - t->j0] + add, row, j, e);
                }
        }
}

static const void *
data_of(const rs_call *c, size_t i)
{
        return i && i < c->n_in && c->in[i] ? c->in[i]->data : NULL;
}

static void
conv_forward(const rs_call *c)
{
        const quantised *q = c->state;
        const slots *at = q->at;
        const result r = {
                q, c, q->c.cout, q->c.out_plane, q->c.groups * q->c.cout * q->c.out_plane, true};
        rs_conv_product p;

        rs_conv_product_make(&q->c, q->atype, c->in[at->a]->data, q->btype, c->in[at->b]->data, &p);
        p.x.zero_point = data_of(c, at->a_zero);
        p.w.zero_point = data_of(c, at->b_zero);
        p.w.zs = q->b_zero_step;
        p.w.zero_batch = q->b_zero_step * q->c.cout;
        p.g.emit = emit;
        p.g.c = &r;
        rs_gemm_run(&p.g, c->threads, c->scratch);
}

static void
product_forward(const rs_call *c)
{
        const quantised *q = c->state;
        const slots *at = q->at;
        const rs_matmul *m = &q->m;
        const size_t len = m->k ? m->k : 1;
        const result r = {.q = q, .c = c, .rows = m->m, .plane = m->n};
        const rs_rows a = {.data = c->in[at->a]->data,
                .offsets = m->at_a,
                .sj = m->k,
                .len = len,
                .sr = 1,
                .zero_point = data_of(c, at->a_zero),
                .zs = q->a_zero_step};
        const rs_rows b = {.data = c->in[at->b]->data,
                .offsets = m->at_b,
                .sj = 1,
                .len = len,
                .sr = m->n,
                .zero_point = data_of(c, at->b_zero),
                .zs = q->b_zero_step};
        const rs_gemm g = {.batch = m->batch,
                .m = m->m,
                .n = m->n,
                .k = m->k,
                .pack_a = rs_rows_packer(q->atype),
                .a = &a,
                .pack_b = rs_rows_packer(q->btype),
                .b = &b,
                .emit = emit,
                .c = &r};

        rs_gemm_run(&g, c->threads, c->scratch);
}

static bool
conv_integer_infer(rs_infer *x, resect_error *err)
{
        return rs_op_counts(x, 2, 4, 1, err) && conv_infer(x, &integer_slots, err);
}
static bool
matmul_integer_infer(rs_infer *x, resect_error *err)
{
        return rs_op_counts(x, 2, 4, 1, err) && product_infer(x, &integer_slots, err);
}
static bool
qlinear_conv_infer(rs_infer *x, resect_error *err)
{
        return rs_op_counts(x, 8, 9, 1, err) && conv_infer(x, &linear_slots, err);
}
static bool
qlinear_matmul_infer(rs_infer *x, resect_error *err)
{
        return rs_op_counts(x, 8, 8, 1, err) && product_infer(x, &linear_slots, err);
}

const rs_op rs_op_conv_integer = {.name = "ConvInteger",
        .domain = "",
        .since = 10,
        .alias = -1,
        .infer = conv_integer_infer,
        .forward = conv_forward};
const rs_op rs_op_matmul_integer = {.name = "MatMulInteger",
        .domain = "",
        .since = 10,
        .alias = -1,
        .infer = matmul_integer_infer,
        .forward = product_forward};
const rs_op rs_op_qlinear_conv = {.name = "QLinearConv",
        .domain = "",
        .since = 10,
        .alias = -1,
        .infer = qlinear_conv_infer,
        .forward = conv_forward};
const rs_op rs_op_qlinear_matmul = {.name = "QLinearMatMul",
        .domain = "",
        .since = 10,
        .alias = -1,
        .infer = qlinear_matmul_infer,
        .forward = product_forward};
