/* SPDX-License-Identifier: 0BSD */
/* Gemm of float32 by oneDNN's sgemm, on dense matrices: the classifier, forward and backward. */
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

bool
rs_lower_gemm(rs_lower *l, rs_pstep *s, bool *done, resect_error *err)
{
        const rs_gemm_facts *f = s->state;
        if (f->dtype != RESECT_FLOAT || !f->m || !f->n || !f->k)
                return true;
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
