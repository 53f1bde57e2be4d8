/* SPDX-License-Identifier: 0BSD */
/*
 * Standardising, products, and the reduction to the span of the samples: a pivoted Cholesky
 * factorisation of the Gram matrix, which stops where the samples' rank ends. (A penalised linear
 * model's weights are a combination of its samples, so that nothing outside of their span matters.)
 */
#include "study/features.h"

#include <math.h>
#include <string.h>
#include "op/gemm_pack.h"
#include "resect/tensor.h"

bool
rs_features_finite(const float *x, size_t n, size_t d, resect_error *err)
{
        for (size_t i = 0; i < n; i++)
                for (size_t j = 0; j < d; j++)
                        if (!isfinite(x[i * d + j]))
                                return rs_fail(err, RESECT_FORMAT,
                                        "feature %zu of sample %zu is not a finite number", j, i);
        return true;
}

bool
rs_features_check(const float *x, const int64_t *y, size_t n, size_t d, size_t classes,
        size_t least, size_t *counts, resect_error *err)
{
        size_t present = 0;
        memset(counts, 0, classes * sizeof *counts);
        if (!n || !d)
                return rs_fail(err, RESECT_ARG, "%zu samples of %zu features", n, d);
        for (size_t i = 0; i < n; i++) {
                if (y[i] < 0 || (size_t)y[i] >= classes)
                        return rs_fail(err, RESECT_ARG,
                                "sample %zu: label %lld, but there are %zu classes", i,
                                (long long)y[i], classes);
                present += counts[y[i]]++ == 0;
        }
        if (present < least)
                return rs_fail(err, RESECT_ARG,
                        "all %zu samples are of one class: there is nothing to tell apart", n);
        return rs_features_finite(x, n, d, err);
}

void
rs_features_moments(const float *x, size_t n, size_t d, double *mean, double *scale)
{
        memset(mean, 0, d * sizeof *mean);
        memset(scale, 0, d * sizeof *scale);
        for (size_t i = 0; i < n; i++)
                for (size_t j = 0; j < d; j++)
                        mean[j] += x[i * d + j];
        for (size_t j = 0; j < d; j++)
                mean[j] /= (double)n;
        for (size_t i = 0; i < n; i++)
                for (size_t j = 0; j < d; j++) {
                        double c = x[i * d + j] - mean[j];
                        scale[j] += c * c;
                }
        /* The mean of equal floats may miss them by a rounding error; what deviates no more than
         * that is constant. */
        for (size_t j = 0; j < d; j++) {
                double deviation = sqrt(scale[j] / (double)n);
                scale[j] = deviation > 1e-12 * fabs(mean[j]) ? 1 / deviation : 0;
        }
}

void
rs_features_scale(
        const float *x, size_t n, size_t d, const double *mean, const double *scale, double *out)
{
        for (size_t i = 0; i < n; i++)
                for (size_t j = 0; j < d; j++)
                        out[i * d + j] = (x[i * d + j] - mean[j]) * scale[j];
}

typedef struct result {
        double *c;
        size_t columns;
} result;

static void
emit(const void *to, const rs_gemm_tile *t)
{
        const result *r = to;
        for (size_t i = t->i0; i < t->i1; i++)
                memcpy(r->c + i * r->columns + t->j0, t->c + (i - t->i0) * t->ldc,
                        (t->j1 - t->j0) * sizeof(double));
}

bool
rs_rows_product(const double *a, const double *b, size_t m, size_t n, size_t k, bool transposed,
        int threads, double *c, resect_error *err)
{
        void *scratch = rs_alloc_aligned(rs_gemm_scratch(threads), err);
        if (!scratch)
                return false;
        const rs_rows
                ra = {.data = a, .sj = transposed ? 1 : k, .len = k, .sr = transposed ? m : 1},
                rb = {.data = b, .sj = transposed ? 1 : k, .len = k, .sr = transposed ? n : 1};
        const result r = {c, n};
        const rs_gemm g = {.batch = 1,
                .m = m,
                .n = n,
                .k = k,
                .pack_a = rs_rows_packer(RESECT_DOUBLE),
                .a = &ra,
                .pack_b = rs_rows_packer(RESECT_DOUBLE),
                .b = &rb,
                .emit = emit,
                .c = &r};
        rs_gemm_run(&g, threads, scratch);
        rs_free_aligned(scratch);
        return true;
}

/* rest[i] is what of g[i, i] the columns so far do not explain. */
static size_t
largest(const double *rest, size_t n)
{
        size_t best = 0;
        for (size_t i = 1; i < n; i++)
                best = rest[i] > rest[best] ? i : best;
        return best;
}

static size_t
factor(const double *g, size_t n, double *rest, double *l /* [n, n] */, size_t *pivot)
{
        double most = 0;
        for (size_t i = 0; i < n; i++) {
                rest[i] = g[i * n + i];
                most = rest[i] > most ? rest[i] : most;
        }
        for (size_t k = 0; k < n; k++) {
                size_t p = largest(rest, n);
                if (!(rest[p] > 1e-12 * most))
                        return k;
                double root = sqrt(rest[p]);
                pivot[k] = p;
                for (size_t i = 0; i < n; i++) {
                        if (rest[i] < 0) /* a pivot already: zero right of its diagonal */
                                continue;
                        double v = i == p ? root
                                          : (g[p * n + i] - rs_dot(l + i * n, l + p * n, k)) / root;
                        l[i * n + k] = v;
                        rest[i] = fmax(rest[i] - v * v, 0);
                }
                rest[p] = -1;
        }
        return n;
}

bool
rs_reduce(rs_reduced *out, double *x, size_t n, size_t d, int threads, resect_error *err)
{
        size_t cells;
        *out = (rs_reduced){.n = n, .d = d, .r = d, .z = x};
        if (d <= n)
                return true;
        out->z = NULL;
        if (!rs_mul(n, n, &cells))
                return rs_fail_nomem(err);
        double *g = rs_alloc(cells, sizeof *g, err),
               *rest = g ? rs_alloc(n, sizeof *rest, err) : NULL;
        out->pivot = rest ? rs_alloc(n, sizeof *out->pivot, err) : NULL;
        out->z = out->pivot ? rs_alloc(cells, sizeof *out->z, err) : NULL;
        bool ok = out->z && rs_rows_product(x, x, n, n, d, false, threads, g, err);
        if (ok) {
                out->r = factor(g, n, rest, out->z, out->pivot);
                for (size_t i = 1; i < n; i++)
                        memmove(out->z + i * out->r, out->z + i * n, out->r * sizeof *out->z);
        } else {
                rs_reduce_free(out);
        }
        rs_free(g);
        rs_free(rest);
        return ok;
}

void
rs_reduce_free(rs_reduced *r)
{
        if (r->pivot)
                rs_free(r->z);
        rs_free(r->pivot);
        *r = (rs_reduced){0};
}

void
rs_reduce_expand(const rs_reduced *r, const double *x, double *v, double *w)
{
        if (!r->pivot) {
                memcpy(w, v, r->d * sizeof *w);
                return;
        }
        /* With T the triangle of the pivots' rows, x's rows there are T times an orthonormal basis:
         * w = x' (T')^-1 v. */
        memset(w, 0, r->d * sizeof *w);
        for (size_t k = r->r; k-- > 0;) {
                const double *row = r->z + r->pivot[k] * r->r;
                v[k] /= row[k];
                rs_axpy(-v[k], row, v, k);
                rs_axpy(v[k], x + r->pivot[k] * r->d, w, r->d);
        }
}

bool
rs_cholesky(double *a, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                double *row = a + i * n;
                for (size_t j = 0; j < i; j++)
                        row[j] = (row[j] - rs_dot(row, a + j * n, j)) / a[j * n + j];
                double left = row[i] - rs_dot(row, row, i);
                if (!(left > 0))
                        return false;
                row[i] = sqrt(left);
        }
        return true;
}

void
rs_cholesky_solve(const double *l, size_t n, double *x)
{
        for (size_t i = 0; i < n; i++)
                x[i] = (x[i] - rs_dot(l + i * n, x, i)) / l[i * n + i];
        for (size_t i = n; i-- > 0;) {
                x[i] /= l[i * n + i];
                rs_axpy(-x[i], l + i * n, x, i);
        }
}
