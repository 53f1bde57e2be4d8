/* SPDX-License-Identifier: 0BSD */
/*
 * Mean and variance of each channel over batches, in double. A batch's own are computed in two
 * passes and joined to those so far (Chan, Golub and LeVeque, "Algorithms for computing the sample
 * variance", 1983), so that a mean far from zero costs no digits.
 */
#include "adapt/adapt.h"

#include <math.h>
#include "op/util.h"
#include "tensor/dtype.h"

bool
rs_moments_make(rs_moments *s, rs_arena *a, size_t channels, resect_error *err)
{
        *s = (rs_moments){.channels = channels,
                .mean = RS_NEW(a, channels + 1, double, err),
                .m2 = RS_NEW(a, channels + 1, double, err)};
        return s->mean && s->m2;
}

void
rs_moments_clear(rs_moments *s)
{
        s->count = 0;
        for (size_t c = 0; c < s->channels; c++)
                s->mean[c] = s->m2[c] = 0;
}

double
rs_moments_var(const rs_moments *s, size_t channel)
{
        return s->count > 0 ? s->m2[channel] / s->count : 0;
}

void
rs_moments_join(rs_moments *s, const rs_moments *other)
{
        const double all = s->count + other->count;
        for (size_t c = 0; all > 0 && c < s->channels; c++) {
                const double apart = other->mean[c] - s->mean[c];
                s->m2[c] += other->m2[c] + apart * apart * s->count * other->count / all;
                s->mean[c] += apart * other->count / all;
        }
        s->count = all;
}

/* The sum over a run of numbers of (x - about), or of its square. */
static double
sum(const resect_tensor *x, size_t at, size_t n, double about, bool square)
{
        double s = 0;
        if (x->dtype == RESECT_FLOAT) {
                const float *v = (const float *)x->data + at;
                if (square) {
#pragma omp simd reduction(+ : s)
                        for (size_t i = 0; i < n; i++)
                                s += (v[i] - about) * (v[i] - about);
                } else {
#pragma omp simd reduction(+ : s)
                        for (size_t i = 0; i < n; i++)
                                s += v[i] - about;
                }
                return s;
        }
        for (size_t i = 0; i < n; i++) {
                double d = rs_load(x->data, (int32_t)x->dtype, at + i) - about;
                s += square ? d * d : d;
        }
        return s;
}

void
rs_moments_add(rs_moments *s, const resect_tensor *x, size_t rows, int threads)
{
        size_t plane = 1;
        for (int i = 2; i < x->rank; i++)
                plane *= (size_t)x->dims[i];
        const double n = (double)rows * (double)plane, all = s->count + n;
        if (n < 1)
                return;
        RS_PARALLEL(rs_threads_for(threads, s->channels * rows * plane))
        for (size_t c = 0; c < s->channels; c++) {
                double total = 0, square = 0;
                for (size_t i = 0; i < rows; i++)
                        total += sum(x, (i * s->channels + c) * plane, plane, 0, false);
                const double mean = total / n, apart = mean - s->mean[c];
                for (size_t i = 0; i < rows; i++)
                        square += sum(x, (i * s->channels + c) * plane, plane, mean, true);
                s->m2[c] += square + apart * apart * s->count * n / all;
                s->mean[c] += apart * n / all;
        }
        s->count = all;
}

double
resect_gauss_distance(double mean_a, double var_a, double mean_b, double var_b)
{
        const double apart = mean_a - mean_b;
        if (!(var_a >= 0 && var_b >= 0))
                return NAN;
        if (var_a == 0 || var_b == 0) /* points: the same, or endlessly far */
                return var_a == 0 && var_b == 0 && apart == 0 ? 0 : INFINITY;
        return ((var_a - var_b) * (var_a - var_b) / (var_a * var_b) +
                       apart * apart * (1 / var_a + 1 / var_b)) /
               2;
}
