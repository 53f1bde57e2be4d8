/* SPDX-License-Identifier: 0BSD */
/* The percentile bootstrap. Draw i of round r is a pure function of (seed, r, i), so that intervals
 * are reproducible. */
#include <math.h>
#include <stdlib.h>
#include "base/random.h"
#include "study/crossed.h"
#include "study/metrics.h"

enum { FIGURES = 6 };

static void
figures_of(const resect_scores *s, double v[FIGURES])
{
        const double all[FIGURES] = {s->loss, s->top1, s->top5, s->balanced, s->macro_f1, s->ece};
        for (int f = 0; f < FIGURES; f++)
                v[f] = all[f];
}

static int
ascending(const void *a, const void *b)
{
        double x = *(const double *)a, y = *(const double *)b;
        return (x > y) - (x < y);
}

/* NumPy's default ("linear", method 7 of Hyndman and Fan 1996). */
double
rs_quantile(const double *sorted, size_t n, double q)
{
        double at = q * (double)(n - 1);
        size_t i = (size_t)at;
        return i + 1 < n ? sorted[i] + (at - (double)i) * (sorted[i + 1] - sorted[i])
                         : sorted[n - 1];
}

void
rs_sort(double *v, size_t n)
{
        qsort(v, n, sizeof *v, ascending);
}

static resect_scores
quantiles(const double *const columns[FIGURES], size_t rounds, double q, size_t n)
{
        double v[FIGURES];
        for (int f = 0; f < FIGURES; f++)
                v[f] = rs_quantile(columns[f], rounds, q);
        return (resect_scores){n, v[0], v[1], v[2], v[3], v[4], v[5]};
}

bool
resect_scores_bootstrap(const resect_outcome *o, size_t n, size_t classes, size_t rounds,
        double level, uint64_t seed, resect_scores *low, resect_scores *high, resect_error *err)
{
        if (!n || !rounds || !(level > 0 && level < 1))
                return rs_fail(err, RESECT_ARG,
                        "bootstrap of %zu samples in %zu rounds at level %g: all must be above 0, "
                        "the level below 1",
                        n, rounds, level);
        size_t cells;
        double *table = rs_mul(rounds, FIGURES, &cells) ? rs_alloc(cells, sizeof *table, err)
                                                        : RS_NOMEM_NULL(err);
        resect_class_scores *per_class = table ? rs_alloc(classes, sizeof *per_class, err) : NULL;
        if (!per_class) {
                rs_free(table);
                return false;
        }
        rs_tally t = {.classes = classes, .per_class = per_class};
        for (size_t r = 0; r < rounds; r++) {
                uint64_t stream = rs_stream("bootstrap", r, 0);
                rs_tally_clear(&t);
                for (size_t i = 0; i < n; i++)
                        rs_tally_add(&t, &o[rs_below(seed, stream, i, n)]);
                resect_scores s;
                double v[FIGURES];
                rs_tally_scores(&t, &s);
                figures_of(&s, v);
                for (int f = 0; f < FIGURES; f++)
                        table[(size_t)f * rounds + r] = v[f];
        }
        const double *columns[FIGURES];
        for (int f = 0; f < FIGURES; f++) {
                columns[f] = table + (size_t)f * rounds;
                rs_sort(table + (size_t)f * rounds, rounds);
        }
        *low = quantiles(columns, rounds, (1 - level) / 2, n);
        *high = quantiles(columns, rounds, (1 + level) / 2, n);
        rs_free(per_class);
        rs_free(table);
        return true;
}
