/* SPDX-License-Identifier: 0BSD */
/*
 * Means over seeds and pictures. The two-way table is boiled down to its pictures' means and three
 * mean squares; intervals and tests draw from these, so that a draw costs no pass over the table.
 */
#include "study/crossed.h"

#include <math.h>
#include <string.h>
#include "base/random.h"

bool
rs_crossed_make(rs_crossed *c, const double *a, const double *b, size_t seeds, size_t pictures,
        resect_error *err)
{
        *c = (rs_crossed){.seeds = seeds, .pictures = pictures};
        size_t cells;
        if (!seeds || !pictures)
                return rs_fail(err, RESECT_ARG,
                        "%zu seeds of %zu pictures: there is nothing to average", seeds, pictures);
        if (!rs_mul(seeds, pictures, &cells))
                return rs_fail_nomem(err);
        if (!(c->column = rs_alloc(pictures, sizeof *c->column, err)))
                return false;
        double S = (double)seeds, N = (double)pictures, rows = 0, columns = 0, all = 0;
        for (size_t k = 0; k < cells; k++)
                c->column[k % pictures] += a[k] - (b ? b[k] : 0);
        for (size_t i = 0; i < pictures; i++) {
                c->mean += c->column[i];
                c->column[i] /= S;
        }
        c->mean /= S * N;
        for (size_t i = 0; i < pictures; i++)
                columns += (c->column[i] - c->mean) * (c->column[i] - c->mean);
        for (size_t s = 0; s < seeds; s++) {
                double row = 0;
                for (size_t i = 0; i < pictures; i++) {
                        double x = a[s * pictures + i] - (b ? b[s * pictures + i] : 0);
                        row += x;
                        all += (x - c->mean) * (x - c->mean);
                }
                rows += (row / N - c->mean) * (row / N - c->mean);
        }
        if (seeds > 1)
                c->between = N * rows / (S - 1);
        if (pictures > 1)
                c->within = S * columns / (N - 1);
        if (seeds > 1 && pictures > 1)
                c->rest = fmax(0, all - N * rows - S * columns) / ((S - 1) * (N - 1));
        return true;
}

void
rs_crossed_free(rs_crossed *c)
{
        rs_free(c->column);
        c->column = NULL;
}

double
rs_crossed_error(const rs_crossed *c)
{
        double cells = (double)c->seeds * (double)c->pictures;
        return sqrt((c->within + fmax(0, c->between - c->rest)) / cells);
}

double
rs_crossed_luck(const rs_crossed *c, uint64_t seed, uint64_t r)
{
        if (c->seeds < 2 || c->between <= 0)
                return 0;
        uint64_t stream = rs_stream("seeds", r, 0);
        double chi2 = 0;
        for (size_t k = 1; k < c->seeds; k++) {
                double z = rs_normal(seed, stream, k);
                chi2 += z * z;
        }
        double part = c->between * (double)(c->seeds - 1) / fmax(chi2, 1e-12) - c->rest;
        double cells = (double)c->seeds * (double)c->pictures;
        return part > 0 ? sqrt(part / cells) * rs_normal(seed, stream, 0) : 0;
}

/* The sum of as many columns as there are, drawn from them and `extra` more that stand for two
 * pictures: at 2 to 5 their values, at half a picture's weight each. */
static double
resampled(const rs_crossed *c, const double extra[4], uint64_t seed, uint64_t r)
{
        uint64_t stream = rs_stream("pictures", r, 0);
        size_t n = c->pictures, choices = 2 * n + (extra ? 4 : 0);
        double sum = 0;
        if (choices > UINT32_MAX) { /* 32 bits would not reach all of them */
                for (size_t i = 0; i < n; i++) {
                        size_t k = rs_below(seed, stream, i, choices);
                        sum += k < 2 * n ? c->column[k / 2] : extra[k - 2 * n];
                }
                return sum;
        }
        uint32_t bits[4];
        for (size_t i = 0; i < n; i++) {
                if (i % 4 == 0)
                        rs_philox(seed, stream, i / 4, bits);
                size_t k = (size_t)((uint64_t)bits[i % 4] * choices >> 32);
                sum += k < 2 * n ? c->column[k / 2] : extra[k - 2 * n];
        }
        return sum;
}

static double
clamp(double x, double low, double high)
{
        return x < low ? low : x > high ? high : x;
}

static bool
estimate(const rs_crossed *c, bool difference, const resect_crossed_options *o, resect_crossed *out,
        resect_error *err)
{
        static const double of_mean[4] = {1, 1, 0, 0}, of_difference[4] = {1, -1, 0, 0};
        const double *extra = o->unbounded ? NULL : difference ? of_difference : of_mean;
        size_t rounds = o->rounds ? o->rounds : 9999;
        double level = o->level > 0 ? o->level : 0.95, n = (double)c->pictures;
        double *draw = rs_alloc(rounds, sizeof *draw, err), centre = c->mean;
        if (!draw)
                return false;
        if (extra)
                centre = (c->mean * n + (difference ? 0 : 1)) / (n + 2);
        for (size_t r = 0; r < rounds; r++)
                draw[r] = resampled(c, extra, o->seed, r) / n + rs_crossed_luck(c, o->seed, r);
        rs_sort(draw, rounds);
        double least = o->unbounded ? -INFINITY
                       : difference ? -1
                                    : 0,
               most = o->unbounded ? INFINITY : 1;
        *out = (resect_crossed){.value = c->mean,
                .low = clamp(rs_quantile(draw, rounds, (1 - level) / 2), least, most),
                .high = clamp(rs_quantile(draw, rounds, (1 + level) / 2), least, most),
                .error = rs_crossed_error(c),
                .spread = sqrt(c->between / n),
                .p = 1};
        out->low = fmin(out->low, out->value);
        out->high = fmax(out->high, out->value);
        if (difference) {
                /* A test at this level finds what lies further out than the reach of chance; four
                   in five of its measurements do when the truth lies 0.84 errors further. */
                double alpha = (1 - level) / (double)(o->family ? o->family : 1);
                for (size_t r = 0; r < rounds; r++)
                        draw[r] = fabs(draw[r] - centre);
                rs_sort(draw, rounds);
                out->detectable =
                        rs_quantile(draw, rounds, 1 - alpha) + 0.8416212335729143 * out->error;
                if (!o->unbounded) /* k pictures have 2^k signs, two of which are as they are */
                        out->detectable = fmin(1, fmax(out->detectable, ceil(1 - log2(alpha)) / n));
                out->p = rs_crossed_chance(c, rounds, o->seed);
        }
        rs_free(draw);
        return true;
}

static bool
check(const double *x, size_t cells, const resect_crossed_options *o, resect_error *err)
{
        for (size_t k = 0; x && k < cells; k++)
                if (!isfinite(x[k]) || (!o->unbounded && (x[k] < 0 || x[k] > 1)))
                        return rs_fail(err, RESECT_FORMAT, "score %zu is %g, not a number%s", k,
                                x[k], o->unbounded ? "" : " in 0..1");
        return true;
}

static bool
judge(const double *a, const double *b, size_t seeds, size_t pictures,
        const resect_crossed_options *options, resect_crossed *out, resect_error *err)
{
        resect_crossed_options o = options ? *options : (resect_crossed_options){0};
        size_t cells;
        if (!rs_mul(seeds, pictures, &cells))
                return rs_fail_nomem(err);
        if (o.level < 0 || !(o.level < 1))
                return rs_fail(err, RESECT_ARG, "a level of %g: it must lie in 0..1", o.level);
        if (!check(a, cells, &o, err) || !check(b, cells, &o, err))
                return false;
        rs_crossed c;
        bool ok = rs_crossed_make(&c, a, b, seeds, pictures, err) &&
                  estimate(&c, b != NULL, &o, out, err);
        rs_crossed_free(&c);
        return ok;
}

bool
resect_crossed_mean(const double *x, size_t seeds, size_t pictures,
        const resect_crossed_options *options, resect_crossed *out, resect_error *err)
{
        return judge(x, NULL, seeds, pictures, options, out, err);
}

bool
resect_crossed_difference(const double *a, const double *b, size_t seeds, size_t pictures,
        const resect_crossed_options *options, resect_crossed *out, resect_error *err)
{
        return judge(a, b, seeds, pictures, options, out, err);
}
