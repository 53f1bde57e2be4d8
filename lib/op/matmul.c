/* SPDX-License-Identifier: 0BSD */
/* Gemm and MatMul: products of matrices, stacked and broadcast. Floats go through rs_gemm; integers
   of 32 and 64 bits, whose sums wrap, through a plain loop. */
#include "op/matmul.h"

#include <math.h>

typedef struct rs_gemm_facts gemm;

static bool
gemm_infer(rs_infer *x, resect_error *err)
{
        const uint32_t types = RS_FLOATS | RS_BIT(RESECT_INT32) | RS_BIT(RESECT_INT64) |
                               RS_BIT(RESECT_UINT32) | RS_BIT(RESECT_UINT64);
        int64_t ta, tb, old, k;
        float alpha, beta;

        if (!rs_op_counts(x, x->opset < 11 ? 3 : 2, 3, 1, err) || !rs_op_dtype(x, 0, types, err) ||
                !rs_op_same_dtype(x, 0, 1, err) || !rs_op_same_dtype(x, 0, 2, err) ||
                !rs_op_int(x, "transA", 0, &ta, err) || !rs_op_int(x, "transB", 0, &tb, err) ||
                !rs_op_int(x, "broadcast", 0, &old, err) ||
                !rs_op_float(x, "alpha", 1, &alpha, err) || !rs_op_float(x, "beta", 1, &beta, err))
                return false;
        const rs_type *a = x->in[0], *b = x->in[1], *c = rs_op_in(x, 2);
        if (a->rank != 2 || b->rank != 2)
                return rs_op_fail(x, err, RESECT_GRAPH, "A has rank %d and B %d, both want 2",
                        a->rank, b->rank);
        const int64_t y[2] = {a->dims[ta != 0], b->dims[tb == 0]};
        if (!rs_size_equal(a->dims[ta == 0], b->dims[tb != 0], &k))
                return rs_op_fail(x, err, RESECT_GRAPH, "A has %lld columns, B %lld rows",
                        (long long)a->dims[ta == 0], (long long)b->dims[tb != 0]);
        size_t stride[2] = {0, 0};
        if (c) {
                if (c->rank > 2)
                        return rs_op_fail(
                                x, err, RESECT_GRAPH, "C has rank %d, wants 2 or less", c->rank);
                for (int i = 0; i < c->rank; i++) {
                        const int64_t size = c->dims[i], want = y[2 - c->rank + i];
                        if (size != 1 && !rs_size_equal(size, want, NULL))
                                return rs_op_fail(x, err, RESECT_GRAPH,
                                        "C has size %lld where the product has %lld",
                                        (long long)size, (long long)want);
                }
                if (c->rank >= 1 && c->dims[c->rank - 1] != 1)
                        stride[1] = 1;
                if (c->rank == 2 && c->dims[0] != 1)
                        stride[0] = c->dims[1] > 0 ? (size_t)c->dims[1] : 0;
        }
        if (!rs_op_out(x, 0, a->dtype, 2, y, err))
                return false;
        if (!x->concrete)
                return true;
        gemm *s = RS_STATE(x, gemm, err);
        if (!s)
                return false;
        *s = (struct rs_gemm_facts){.dtype = a->dtype,
                .m = (size_t)y[0],
                .n = (size_t)y[1],
                .k = (size_t)k,
                .ta = ta != 0,
                .tb = tb != 0,
                .alpha = alpha,
                .beta = beta,
                .ci = stride[0],
                .cj = stride[1]};
        x->scratch = rs_gemm_scratch(x->threads);
        x->macs = (uint64_t)s->m * s->n * s->k;
        return true;
}

/* Where element (i, j) of the product goes. */
typedef struct place {
        void *y;
        const void *c; /* Gemm's addend, or NULL */
        size_t ci, cj;
        double alpha, beta;
        bool add;              /* y += alpha * v */
        size_t si, sj;         /* y's strides */
        const size_t *offsets; /* of each product, or NULL */
        const void *residual;  /* as y */
        bool relu;
} place;

#define T float
#define NAME(f) f##_f32
#define LOAD(v) ((double)(v))
#define STORE(v) ((float)(v))
#include "op/matmul.inc.h"
#define T double
#define NAME(f) f##_f64
#define LOAD(v) (v)
#define STORE(v) (v)
#include "op/matmul.inc.h"
#define T uint16_t
#define NAME(f) f##_f16
#define LOAD(v) ((double)rs_half_to_float(v))
#define STORE(v) rs_float_to_half((float)(v))
#include "op/matmul.inc.h"
#define T uint16_t
#define NAME(f) f##_bf16
#define LOAD(v) ((double)rs_bfloat_to_float(v))
#define STORE(v) rs_float_to_bfloat((float)(v))
#include "op/matmul.inc.h"

static rs_gemm_emit *
emitter(int32_t dtype)
{
        return dtype == RESECT_FLOAT     ? emit_f32
               : dtype == RESECT_DOUBLE  ? emit_f64
               : dtype == RESECT_FLOAT16 ? emit_f16
                                         : emit_bf16;
}

/* A matrix as the rows (or columns) of a product: element (j, k) at j * sj + k * sk. */
static rs_rows
matrix(const void *data, size_t k, size_t sj, size_t sk)
{
        return (rs_rows){.data = data, .sj = sj, .len = k ? k : 1, .sr = sk};
}

static void
product(int32_t dtype, size_t m, size_t n, size_t k, const rs_rows *a, const rs_rows *b,
        size_t batch, const place *p, const rs_call *c)
{
        const rs_gemm g = {.batch = batch,
                .m = m,
                .n = n,
                .k = k,
                .pack_a = rs_rows_packer(dtype),
                .a = a,
                .pack_b = rs_rows_packer(dtype),
                .b = b,
                .emit = emitter(dtype),
                .c = p};

        rs_gemm_run(&g, c->threads, c->scratch);
}

/* alpha * A B + beta * C for integers: exact modulo 2^64 with whole factors, as everybody's are. */
static void
gemm_integers(const gemm *s, const rs_call *c)
{
        const resect_tensor *cc = c->n_in > 2 ? c->in[2] : NULL;

        RS_PARALLEL(rs_threads_for(c->threads, s->m * s->n * s->k))
        for (size_t i = 0; i < s->m; i++)
                for (size_t j = 0; j < s->n; j++) {
                        uint64_t sum = 0;
                        for (size_t k = 0; k < s->k; k++)
                                sum += (uint64_t)rs_load_int(c->in[0]->data, s->dtype,
                                               s->ta ? k * s->m + i : i * s->k + k) *
                                       (uint64_t)rs_load_int(c->in[1]->data, s->dtype,
                                               s->tb ? j * s->k + k : k * s->n + j);
                        if (s->alpha != 1)
                                sum = (uint64_t)rs_whole(s->alpha * (double)(int64_t)sum);
                        if (cc) {
                                uint64_t v = (uint64_t)rs_load_int(
                                        cc->data, s->dtype, i * s->ci + j * s->cj);
                                if (s->beta != 1)
                                        v = (uint64_t)rs_whole(s->beta * (double)(int64_t)v);
                                sum += v;
                        }
                        rs_store_wrapped(c->out[0]->data, s->dtype, i * s->n + j, sum);
                }
}

static void
gemm_forward(const rs_call *c)
{
        const gemm *s = c->state;

        if (!rs_dtype_in(s->dtype, RS_FLOATS)) {
                gemm_integers(s, c);
                return;
        }
        const resect_tensor *cc = c->n_in > 2 ? c->in[2] : NULL;
        const rs_rows a = matrix(c->in[0]->data, s->k, s->ta ? 1 : s->k, s->ta ? s->m : 1);
        const rs_rows b = matrix(c->in[1]->data, s->k, s->tb ? s->k : 1, s->tb ? 1 : s->n);
        const place p = {.y = c->out[0]->data,
                .c = cc && s->beta != 0 ? cc->data : NULL,
                .ci = s->ci,
                .cj = s->cj,
                .alpha = s->alpha,
                .beta = s->beta,
                .si = s->n,
                .sj = 1,
                .residual = c->residual ? c->residual->data : NULL,
                .relu = c->relu};
        product(s->dtype, s->m, s->n, s->k, &a, &b, 1, &p, c);
}

static void
gemm_backward(const rs_call *c)
{
        const gemm *s = c->state;

        if (!c->dout[0])
                return;
        const void *dy = c->dout[0]->data;
        if (c->din[0]) { /* dA[i, k] += alpha * sum over n of dY[i, n] B[k, n] */
                const rs_rows a = matrix(dy, s->n, s->n, 1);
                const rs_rows b = matrix(c->in[1]->data, s->n, s->tb ? 1 : s->n, s->tb ? s->k : 1);
                const place p = {.y = c->din[0]->data,
                        .alpha = s->alpha,
                        .add = true,
                        .si = s->ta ? 1 : s->k,
                        .sj = s->ta ? s->m : 1};
                product(s->dtype, s->m, s->k, s->n, &a, &b, 1, &p, c);
        }
        if (c->din[1]) { /* dB[k, j] += alpha * sum over m of A[m, k] dY[m, j] */
                const rs_rows a = matrix(c->in[0]->data, s->m, s->ta ? s->m : 1, s->ta ? 1 : s->k);
                const rs_rows b = matrix(dy, s->m, 1, s->n);
                const place p = {.y = c->din[1]->data,
                        .alpha = s->alpha,
                        .add = true,
                        .si = s->tb ? 1 : s->n,
                        .sj = s->tb ? s->k : 1};
                product(s->dtype, s->k, s->n, s->m, &a, &b, 1, &p, c);
        }
        if (c->n_in > 2 && c->din[2]) {
                if (s->dtype == RESECT_FLOAT)
                        addend_f32(s, dy, c->din[2]->data);
                else
                        addend_f64(s, dy, c->din[2]->data);
        }
}

const rs_op rs_op_gemm = {.name = "Gemm",
        .domain = "",
        .since = 1,
        .reads = RS_READS_IN(0) | RS_READS_IN(1),
        .alias = -1,
        .fuses = true,
        .trains = 1u << 1 | 1u << 2,
        .infer = gemm_infer,
        .forward = gemm_forward,
        .backward = gemm_backward};

bool
rs_matmul_infer(rs_infer *x, const rs_type *a, const rs_type *b, int32_t dtype, bool stacked,
        resect_error *err)
{
        int64_t dims[RESECT_RANK_MAX], k;
        int rank;

        if (a->rank < 1 || b->rank < 1)
                return rs_op_fail(x, err, RESECT_GRAPH,
                        "A has rank %d and B %d, both want 1 or more", a->rank, b->rank);
        const int64_t inner_a = a->dims[a->rank - 1],
                      inner_b = b->dims[b->rank == 1 ? 0 : b->rank - 2];
        if (!rs_size_equal(inner_a, inner_b, &k))
                return rs_op_fail(x, err, RESECT_GRAPH, "A has %lld columns, B %lld rows",
                        (long long)inner_a, (long long)inner_b);
        /* what lies before the matrices broadcasts */
        rs_type outer_a = *a, outer_b = *b;
        outer_a.rank = a->rank < 2 ? 0 : a->rank - 2;
        outer_b.rank = b->rank < 2 ? 0 : b->rank - 2;
        const rs_type *const outer[2] = {&outer_a, &outer_b};
        if (!rs_op_broadcast(x, outer, 2, &rank, dims, err))
                return false;
        const int outer_rank = rank;
        if (a->rank > 1)
                dims[rank++] = a->dims[a->rank - 2];
        if (b->rank > 1)
                dims[rank++] = b->dims[b->rank - 1];
        if (!rs_op_out(x, 0, dtype, rank, dims, err))
                return false;
        if (!x->concrete)
                return true;
        rs_matmul *s = RS_STATE(x, rs_matmul, err);
        if (!s)
                return false;
        s->dtype = a->dtype;
        s->m = a->rank > 1 ? (size_t)a->dims[a->rank - 2] : 1;
        s->n = b->rank > 1 ? (size_t)b->dims[b->rank - 1] : 1;
        s->k = (size_t)k;
        s->batch = s->m && s->n ? 1 : 0;
        for (int i = 0; i < outer_rank && s->batch; i++)
                s->batch *= (size_t)dims[i]; /* at most the elements, which rs_op_out checked */
        if (outer_b.rank == 0 && s->batch && !stacked) { /* one B for all: one tall product */
                s->m *= s->batch;
                s->batch = 1;
        }
        size_t *const at = RS_NEW(x->arena, 3 * s->batch + 1, size_t, err);
        if (!at)
                return false;
        for (size_t i = 0; i < s->batch; i++) {
                size_t rest = i, pa = 0, pb = 0, na = s->m * s->k, nb = s->k * s->n;
                for (int d = 1; d <= outer_rank; d++) {
                        const size_t size = (size_t)dims[outer_rank - d], at_d = rest % size;
                        rest /= size;
                        if (d <= outer_a.rank) {
                                const size_t own = (size_t)outer_a.dims[outer_a.rank - d];
                                pa += own == 1 ? 0 : at_d * na;
                                na *= own;
                        }
                        if (d <= outer_b.rank) {
                                const size_t own = (size_t)outer_b.dims[outer_b.rank - d];
                                pb += own == 1 ? 0 : at_d * nb;
                                nb *= own;
                        }
                }
                at[i] = pa;
                at[s->batch + i] = pb;
                at[2 * s->batch + i] = i * s->m * s->n;
        }
        s->at_a = at;
        s->at_b = at + s->batch;
        s->at_y = at + 2 * s->batch;
        x->scratch = rs_gemm_scratch(x->threads);
        x->macs = (uint64_t)s->batch * s->m * s->n * s->k;
        return true;
}

static bool
matmul_infer(rs_infer *x, resect_error *err)
{
        const uint32_t types = RS_FLOATS | RS_BIT(RESECT_INT32) | RS_BIT(RESECT_INT64) |
                               RS_BIT(RESECT_UINT32) | RS_BIT(RESECT_UINT64);

        return rs_op_counts(x, 2, 2, 1, err) && rs_op_dtype(x, 0, types, err) &&
               rs_op_same_dtype(x, 0, 1, err) &&
               rs_matmul_infer(x, x->in[0], x->in[1], x->in[0]->dtype, false, err);
}

static void
matmul_integers(const rs_matmul *s, const rs_call *c)
{
        RS_PARALLEL(rs_threads_for(c->threads, s->batch * s->m * s->n * s->k))
        for (size_t r = 0; r < s->batch * s->m; r++) {
                const size_t p = r / s->m, i = r % s->m;
                for (size_t j = 0; j < s->n; j++) {
                        uint64_t sum = 0;
                        for (size_t k = 0; k < s->k; k++)
                                sum += (uint64_t)rs_load_int(c->in[0]->data, s->dtype,
                                               s->at_a[p] + i * s->k + k) *
                                       (uint64_t)rs_load_int(
                                               c->in[1]->data, s->dtype, s->at_b[p] + k * s->n + j);
                        rs_store_wrapped(c->out[0]->data, s->dtype, r * s->n + j, sum);
                }
        }
}

static void
matmul_forward(const rs_call *c)
{
        const rs_matmul *s = c->state;

        if (!rs_dtype_in(s->dtype, RS_FLOATS)) {
                matmul_integers(s, c);
                return;
        }
        rs_rows a = matrix(c->in[0]->data, s->k, s->k, 1),
                b = matrix(c->in[1]->data, s->k, 1, s->n);
        a.offsets = s->at_a;
        b.offsets = s->at_b;
        const place p = {.y = c->out[0]->data,
                .alpha = 1,
                .si = s->n,
                .sj = 1,
                .offsets = s->at_y,
                .residual = c->residual ? c->residual->data : NULL,
                .relu = c->relu};
        product(s->dtype, s->m, s->n, s->k, &a, &b, s->batch, &p, c);
}

/* Product by product: where an operand was broadcast, several add into one place, and always in
 * this order. */
static void
matmul_backward(const rs_call *c)
{
        const rs_matmul *s = c->state;
        const size_t size = s->dtype == RESECT_FLOAT ? sizeof(float) : sizeof(double);

        if (!c->dout[0])
                return;
        for (size_t i = 0; i < s->batch; i++) {
                const unsigned char *dy =
                        (const unsigned char *)c->dout[0]->data + s->at_y[i] * size;
                const size_t at_a = s->at_a[i] * size, at_b = s->at_b[i] * size;
                if (c->din[0]) {
                        const rs_rows a = matrix(dy, s->n, s->n, 1);
                        const rs_rows b =
                                matrix((const unsigned char *)c->in[1]->data + at_b, s->n, s->n, 1);
                        const place p = {.y = (unsigned char *)c->din[0]->data + at_a,
                                .alpha = 1,
                                .add = true,
                                .si = s->k,
                                .sj = 1};
                        product(s->dtype, s->m, s->k, s->n, &a, &b, 1, &p, c);
                }
                if (c->din[1]) {
                        const rs_rows a =
                                matrix((const unsigned char *)c->in[0]->data + at_a, s->m, 1, s->k);
                        const rs_rows b = matrix(dy, s->m, 1, s->n);
                        const place p = {.y = (unsigned char *)c->din[1]->data + at_b,
                                .alpha = 1,
                                .add = true,
                                .si = s->n,
                                .sj = 1};
                        product(s->dtype, s->k, s->n, s->m, &a, &b, 1, &p, c);
                }
        }
}

const rs_op rs_op_matmul = {.name = "MatMul",
        .domain = "",
        .since = 1,
        .reads = RS_READS_IN(0) | RS_READS_IN(1),
        .alias = -1,
        .fuses = true,
        .trains = 1u << 1,
        .infer = matmul_infer,
        .forward = matmul_forward,
        .backward = matmul_backward};
