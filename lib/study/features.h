/* SPDX-License-Identifier: 0BSD */
/*
 * What the judges of features share. Standardised features; products of rows with rows (Gram
 * matrices), by the library's one multiply; and coordinates in the span of the samples, so that 2048
 * features of 200 pictures cost as much as 200.
 */
#ifndef RS_STUDY_FEATURES_H
#define RS_STUDY_FEATURES_H

#include "base/mem.h"
#include "resect/features.h"

/* Checks what all of features.h says of x and y. counts[c] becomes the samples of class c; at least
 * `least` classes must have some. */
bool rs_features_check(const float *x /* [n, d] */, const int64_t *y /* [n] */, size_t n, size_t d,
        size_t classes, size_t least, size_t *counts /* [classes] */, resect_error *err)
        RESECT_MUST;
bool rs_features_finite(const float *x /* [n, d] */, size_t n, size_t d, resect_error *err)
        RESECT_MUST;

/* mean and 1 / standard deviation of each column; 0 instead of that for a constant column. */
void rs_features_moments(const float *x /* [n, d] */, size_t n, size_t d, double *mean /* [d] */,
        double *scale /* [d] */);
void rs_features_scale(const float *x /* [n, d] */, size_t n, size_t d, const double *mean,
        const double *scale, double *out /* [n, d] */);

/* c[i, j] = sum over k of a[i, k] b[j, k]; transposed: of a[k, i] b[k, j], with a [k, m] and
 * b [k, n]. */
bool rs_rows_product(const double *a, const double *b, size_t m, size_t n, size_t k,
        bool transposed, int threads, double *c /* [m, n] */, resect_error *err) RESECT_MUST;

/* Coordinates z with z[i] . z[j] = x[i] . x[j], r <= min(n, d) of them. */
typedef struct rs_reduced {
        size_t n, d, r;
        double *z;     /* [n, r] */
        size_t *pivot; /* [r] the samples whose rows of z make a lower triangle; NULL: z is x */
} rs_reduced;

/* x is borrowed while the coordinates live when d <= n. */
bool rs_reduce(rs_reduced *out, double *x /* [n, d] */, size_t n, size_t d, int threads,
        resect_error *err) RESECT_MUST;
void rs_reduce_free(rs_reduced *r);
/* The direction in x's space that v is in z's: w . x[i] = v . z[i]. v is spoilt. */
void rs_reduce_expand(const rs_reduced *r, const double *x /* [n, d] */, double *v /* [r] */,
        double *w /* [d] */);

/* Two doubles: what every machine has. */
typedef double rs_pair __attribute__((vector_size(16), aligned(8), may_alias));

/* A sum in an order that depends on n alone. */
static inline double
rs_dot(const double *a, const double *b, size_t n)
{
        rs_pair s0 = {0, 0}, s1 = s0, s2 = s0, s3 = s0;
        double rest = 0;
        size_t i = 0;
        for (; i + 8 <= n; i += 8) {
                s0 += *(const rs_pair *)(a + i) * *(const rs_pair *)(b + i);
                s1 += *(const rs_pair *)(a + i + 2) * *(const rs_pair *)(b + i + 2);
                s2 += *(const rs_pair *)(a + i + 4) * *(const rs_pair *)(b + i + 4);
                s3 += *(const rs_pair *)(a + i + 6) * *(const rs_pair *)(b + i + 6);
        }
        for (; i < n; i++)
                rest += a[i] * b[i];
        s0 = (s0 + s1) + (s2 + s3);
        return s0[0] + s0[1] + rest;
}

static inline void
rs_axpy(double s, const double *a, double *out, size_t n)
{
        const rs_pair ss = {s, s};
        size_t i = 0;
        for (; i + 2 <= n; i += 2)
                *(rs_pair *)(out + i) += ss * *(const rs_pair *)(a + i);
        for (; i < n; i++)
                out[i] += s * a[i];
}

/* The lower Cholesky factor of a symmetric positive definite matrix, in place (the lower triangle is
 * read and written); false when it is not positive definite. */
bool rs_cholesky(double *a /* [n, n] */, size_t n) RESECT_MUST;
/* x becomes the solution of L L' x = x. */
void rs_cholesky_solve(const double *l /* [n, n] */, size_t n, double *x /* [n] */);

#endif
