/* SPDX-License-Identifier: 0BSD */
/*
 * The randomisation test for pairs, and Holm's correction. Pictures on which the two never differ
 * take no sign, so that a round costs what the disagreements cost.
 */
#include <math.h>
#include <stdlib.h>
#include "base/random.h"
#include "study/crossed.h"

/* The sum of the n differences with signs by chance: 128 signs a draw. */
static double
signed_sum(const double *d, size_t n, uint64_t seed, uint64_t r)
{
        uint64_t stream = rs_stream("signs", r, 0);
        double sum = 0;
        uint32_t bits[4] = {0};
        for (size_t i = 0; i < n; i++) {
                if (i % 128 == 0)
                        rs_philox(seed, stream, i / 128, bits);
                sum += bits[i / 32 % 4] >> i % 32 & 1 ? d[i] : -d[i];
        }
        return sum;
}

double
rs_crossed_chance(const rs_crossed *c, size_t rounds, uint64_t seed)
{
        /* The differences that are not 0 are moved to the front: the table is not needed any more
           and the mean does not change. */
        size_t n = 0, as_far = 1;
        for (size_t i = 0; i < c->pictures; i++)
                if (c->column[i] != 0)
                        c->column[n++] = c->column[i];
        for (size_t i = n; i < c->pictures; i++)
                c->column[i] = 0;
        /* Sums of the same numbers in another order of signs may differ in the last bits. */
        double seen = fabs(c->mean) - 1e-12;
        for (size_t r = 0; r < rounds; r++) {
                double mean = signed_sum(c->column, n, seed, r) / (double)c->pictures;
                as_far += fabs(mean + rs_crossed_luck(c, seed ^ 0x5a5a, r)) >= seen;
        }
        return (double)as_far / (double)(rounds + 1);
}

struct ranked {
        double p;
        size_t at;
};

static int
by_p(const void *a, const void *b)
{
        const struct ranked *x = a, *y = b;
        return x->p != y->p ? (x->p > y->p) - (x->p < y->p) : (x->at > y->at) - (x->at < y->at);
}

bool
resect_holm(const double *p, size_t n, double *adjusted, resect_error *err)
{
        struct ranked *rank = rs_alloc(n ? n : 1, sizeof *rank, err);
        if (!rank)
                return false;
        for (size_t i = 0; i < n; i++) {
                if (!(p[i] >= 0 && p[i] <= 1)) {
                        rs_free(rank);
                        return rs_fail(err, RESECT_ARG, "p-value %zu is %g, not in 0..1", i, p[i]);
                }
                rank[i] = (struct ranked){p[i], i};
        }
        qsort(rank, n, sizeof *rank, by_p);
        double most = 0;
        for (size_t i = 0; i < n; i++) {
                most = fmax(most, fmin(1, rank[i].p * (double)(n - i)));
                adjusted[rank[i].at] = most;
        }
        rs_free(rank);
        return true;
}
