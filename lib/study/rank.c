/* SPDX-License-Identifier: 0BSD */
/* Rank correlations, for lists as short as a network has blocks: Kendall's is counted pair by pair.
 */
#include <math.h>
#include <stdlib.h>
#include "base/mem.h"
#include "resect/study.h"

struct ranked {
        double value;
        size_t at;
};

static int
by_value(const void *a, const void *b)
{
        const struct ranked *x = a, *y = b;
        return (x->value > y->value) - (x->value < y->value);
}

/* Ranks less their mean; equal values share the mean of their ranks. */
static void
centred_ranks(const double *v, size_t n, struct ranked *work, double *rank)
{
        for (size_t i = 0; i < n; i++)
                work[i] = (struct ranked){v[i], i};
        qsort(work, n, sizeof *work, by_value);
        for (size_t i = 0, end; i < n; i = end) {
                for (end = i + 1; end < n && work[end].value == work[i].value; end++)
                        ;
                for (size_t k = i; k < end; k++)
                        rank[work[k].at] = (double)(i + end - 1) / 2 - (double)(n - 1) / 2;
        }
}

static double
spearman(const double *x, const double *y, size_t n)
{
        double xx = 0, yy = 0, xy = 0;
        for (size_t i = 0; i < n; i++) {
                xx += x[i] * x[i];
                yy += y[i] * y[i];
                xy += x[i] * y[i];
        }
        return xx > 0 && yy > 0 ? xy / sqrt(xx * yy) : NAN;
}

static double
kendall(const double *x, const double *y, size_t n)
{
        double agree = 0, in_x = 0, in_y = 0; /* pairs that agree less those that do not; untied */
        for (size_t i = 0; i < n; i++)
                for (size_t j = 0; j < i; j++) {
                        int a = (x[i] > x[j]) - (x[i] < x[j]), b = (y[i] > y[j]) - (y[i] < y[j]);
                        agree += a * b;
                        in_x += a != 0;
                        in_y += b != 0;
                }
        return in_x > 0 && in_y > 0 ? agree / sqrt(in_x) / sqrt(in_y) : NAN;
}

bool
resect_rank_correlation(
        const double *x, const double *y, size_t n, double *rho, double *tau, resect_error *err)
{
        if (n < 2)
                return rs_fail(err, RESECT_ARG, "a correlation of %zu pairs: it takes two", n);
        for (size_t i = 0; i < n; i++)
                if (!isfinite(x[i]) || !isfinite(y[i]))
                        return rs_fail(err, RESECT_FORMAT, "pair %zu is not of finite numbers", i);
        double *rank = rs_alloc(n, 2 * sizeof *rank, err);
        struct ranked *work = rank ? rs_alloc(n, sizeof *work, err) : NULL;
        if (work) {
                centred_ranks(x, n, work, rank);
                centred_ranks(y, n, work, rank + n);
                if (rho)
                        *rho = spearman(rank, rank + n, n);
                if (tau)
                        *tau = kendall(x, y, n);
        }
        rs_free(rank);
        rs_free(work);
        return work != NULL;
}
