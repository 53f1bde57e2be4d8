/* SPDX-License-Identifier: 0BSD */
/*
 * Gemm of float32, the classifier, on dense matrices: by oneDNN's inner product, whose weights are
 * packed, where they stay as they are; by its sgemm, forward and backward, elsewhere. The first
 * sgemm of a process takes 35 ms, in which all kernels of that function are generated.
 */
#include "onednn/lower.h"
#include "op/matmul.h"

#include <string.h>

/* C[m, n] = alpha * op(A) op(B) + beta * C, all dense, row-major; t: stored transposed. */
static void
product(bool ta, bool tb, size_t m, size_t n, size_t k, float alpha, const float *a, const float *b,
        float beta, float *c)
{
        /* sizes were checked: it has nothing to refuse */
        (void)dnnl_sgemm(ta ? 'T' : 'N', tb ? 'T' : 'N', (dnnl_dim_t)m, (dnnl_dim_t)n,
                (dnnl_dim_t)k, alpha, a, (dnnl_dim_t)(ta ? m : k), b, (dnnl_dim_t)(tb ? k : n),
                beta, c, (dnnl_dim_t)n);
}

typedef struct gemm {
        const rs_dnn *dnn;
        rs_gemm_facts f;
} gemm;

static const char *
gemm_name(const void *state)
{
        (void)state;
        return "oneDNN sgemm";
}

static void
gemm_forward(const rs_call *c)
{
        const gemm *s = c->state;
        const rs_gemm_facts *f = &s->f;
        const float *add = c->n_in > 2 && c->in[2] && f->beta != 0 ? c->in[2]->data : NULL;
        const float *residual = c->residual ? c->residual->data : NULL;
        float *y = c->out[0]->data;
        for (size_t i = 0; i < f->m; i++)
                for (size_t j = 0; j < f->n; j++)
                        y[i * f->n + j] = (add ? f->beta * add[i * f->ci + j * f->cj] : 0) +
                                          (residual ? residual[i * f->n + j] : 0);
        int before = rs_dnn_threads(s->dnn->threads);
        product(f->ta, f->tb, f->m, f->n, f->k, f->alpha, c->in[0]->data, c->in[1]->data, 1, y);
        rs_dnn_threads(before);
        for (size_t i = 0; c->relu && i < f->m * f->n; i++)
                y[i] = y[i] < 0 ? 0 : y[i];
}

static void
gemm_backward(const rs_call *c)
{
        const gemm *s = c->state;
        const rs_gemm_facts *f = &s->f;
        if (!c->dout[0])
                return;
        const float *dy = c->dout[0]->data, *a = c->in[0]->data, *b = c->in[1]->data;
        float beta_a = c->first & 1 ? 0 : 1, beta_b = c->first & 2 ? 0 : 1;
        int before = rs_dnn_threads(s->dnn->threads);
        if (c->din[0] && !f->ta) /* dA[m, k] = dY B' */
                product(false, !f->tb, f->m, f->k, f->n, f->alpha, dy, b, beta_a, c->din[0]->data);
        else if (c->din[0]) /* dA[k, m] = B dY' */
                product(f->tb, true, f->k, f->m, f->n, f->alpha, b, dy, beta_a, c->din[0]->data);
        if (c->din[1] && !f->tb) /* dB[k, n] = A' dY */
                product(!f->ta, false, f->k, f->n, f->m, f->alpha, a, dy, beta_b, c->din[1]->data);
        else if (c->din[1]) /* dB[n, k] = dY' A */
                product(true, f->ta, f->n, f->k, f->m, f->alpha, dy, a, beta_b, c->din[1]->data);
        rs_dnn_threads(before);
        float *d = c->n_in > 2 && c->din[2] ? c->din[2]->data : NULL;
        for (size_t i = 0; d && i < f->m; i++)
                for (size_t j = 0; j < f->n; j++)
                        d[i * f->ci + j * f->cj] += f->beta * dy[i * f->n + j];
}

static const rs_kernel kernel = {
        .name = gemm_name, .forward = gemm_forward, .backward = gemm_backward};

typedef struct inner {
        rs_lowered head;
        bool has_bias;
        size_t count; /* of y */
} inner;

static void
inner_forward(const rs_call *c)
{
        const inner *s = c->state;
        float *y = c->out[0]->data;
        void *buffers[4] = {c->in[0]->data, c->in[1]->data, y, s->has_bias ? c->in[2]->data : NULL};
        rs_lowered_run(c, 0, buffers, c->scratch);
        for (size_t i = 0; c->relu && i < s->count; i++)
                y[i] = y[i] < 0 ? 0 : y[i];
}

static const rs_kernel inner_kernel = {.name = rs_lowered_name,
        .bind = rs_lowered_bind,
        .unbind = rs_lowered_unbind,
        .forward = inner_forward};

static bool
reads_c(const rs_pstep *s, const rs_gemm_facts *f)
{
        return s->n_in > 2 && s->in[2] >= 0 && f->beta != 0;
}

/* Y = X W' + b, of constant weights and a bias for each column. */
static bool
is_inner(const rs_lower *l, const rs_pstep *s, const rs_gemm_facts *f)
{
        const rs_pvalue *w = &l->p->values[l->p->values[s->in[1]].root];
        if (l->p->training || w->place != RS_PLACE_WEIGHT || s->residual >= 0)
                return false;
        if (reads_c(s, f) && (f->beta != 1 || f->ci || (f->cj != 1 && f->n != 1)))
                return false;
        return !f->ta && f->alpha == 1;
}

static bool
describe(
        rs_lower *l, rs_pstep *s, const rs_gemm_facts *f, inner *k, bool *unable, resect_error *err)
{
        const int64_t m = (int64_t)f->m, n = (int64_t)f->n, depth = (int64_t)f->k;
        dnnl_memory_desc_t x, w, dense, bias, y;
        dnnl_inner_product_desc_t d;
        dnnl_primitive_desc_t pd;
        rs_launch *at = k->head.launches;
        if (!rs_md_dense(&x, 2, (int64_t[]){m, depth}, dnnl_f32, err) ||
                !rs_md_any(&w, 2, (int64_t[]){n, depth}, dnnl_f32, err) ||
                !rs_md_tagged(&dense, 2, (int64_t[]){n, depth}, dnnl_f32, f->tb ? dnnl_ab : dnnl_ba,
                        err) ||
                !rs_md_dense(&bias, 1, (int64_t[]){n}, dnnl_f32, err) ||
                !rs_md_dense(&y, 2, (int64_t[]){m, n}, dnnl_f32, err) ||
                !rs_dnn_check(dnnl_inner_product_forward_desc_init(&d, dnnl_forward_inference, &x,
                                      &w, k->has_bias ? &bias : NULL, &y),
                        unable, err) ||
                !rs_dnn_describe(l->dnn, &d, NULL, NULL, &pd, unable, err))
                return false;
        k->head.name = rs_lower_name(l, pd, err);
        w = *dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0);
        rs_launch_arg(at, DNNL_ARG_SRC, &x);
        rs_launch_arg(at, DNNL_ARG_WEIGHTS, &w);
        rs_launch_arg(at, DNNL_ARG_DST, &y);
        if (k->has_bias)
                rs_launch_arg(at, DNNL_ARG_BIAS, &bias);
        return rs_launch_make(l->dnn, at, pd, err) && k->head.name &&
               (s->in[1] = rs_lower_packed(l, s->in[1], &dense, &w, err)) >= 0;
}

static bool
lower_inner(rs_lower *l, rs_pstep *s, bool *done, resect_error *err)
{
        const rs_gemm_facts *f = s->state;
        bool unable = false;
        inner *k = RS_NEW(&l->p->arena, 1, inner, err);
        if (!k)
                return false;
        k->head.dnn = l->dnn;
        k->has_bias = reads_c(s, f);
        k->count = f->m * f->n;
        if (!describe(l, s, f, k, &unable, err))
                return unable;
        if ((s->in[0] = rs_lower_as(l, s, s->in[0], NULL, err)) < 0 ||
                (k->has_bias && (s->in[2] = rs_lower_as(l, s, s->in[2], NULL, err)) < 0))
                return false;
        s->kernel = &inner_kernel;
        s->state = k;
        s->scratch = k->head.launches[0].scratch;
        s->saved = 0;
        *done = true;
        return true;
}

bool
rs_lower_gemm(rs_lower *l, rs_pstep *s, bool *done, resect_error *err)
{
        const rs_gemm_facts *f = s->state;
        if (f->dtype != RESECT_FLOAT || !f->m || !f->n || !f->k)
                return true;
        if (is_inner(l, s, f) && (!lower_inner(l, s, done, err) || *done))
                return *done;
        gemm *k = RS_NEW(&l->p->arena, 1, gemm, err);
        if (!k)
                return false;
        *k = (gemm){l->dnn, *f};
        for (size_t i = 0; i < s->n_in; i++)
                if (s->in[i] >= 0 && (s->in[i] = rs_lower_as(l, s, s->in[i], NULL, err)) < 0)
                        return false;
        if (s->residual >= 0 && (s->residual = rs_lower_as(l, s, s->residual, NULL, err)) < 0)
                return false;
        s->kernel = &kernel;
        s->state = k;
        s->scratch = s->saved = 0;
        s->overwrites = 3;
        *done = true;
        return true;
}
