/* SPDX-License-Identifier: 0BSD */
/*
 * Statistics of runs over seeds and pictures: small cases by hand or by R and SciPy, and a
 * simulation of what they promise. Two arms that do not differ are told apart in at most 5 % of the
 * trials, intervals hold the truth in 95 %, and what is large enough is found, for several mixes of
 * luck (of the seed), ease (of the picture) and the rest. RESECT_SIMULATE=2000 in the environment
 * repeats more often and prints the table.
 */
#include "unit.h"

#include <math.h>
#include <string.h>
#include "base/random.h"
#include "resect/study.h"

static resect_error err;

START_TEST(holm_by_hand)
{
        /* R: p.adjust(c(0.01, 0.04, 0.03, 0.005, 0.9), "holm") */
        double p[5] = {0.01, 0.04, 0.03, 0.005, 0.9}, q[5];
        static const double want[5] = {0.04, 0.09, 0.09, 0.025, 0.9};
        CK_OK(resect_holm(p, 5, q, &err), err);
        for (int i = 0; i < 5; i++)
                ck_assert_double_eq_tol(q[i], want[i], 1e-15);
        CK_OK(resect_holm(p, 5, p, &err), err);
        ck_assert_mem_eq(p, q, sizeof p);
        CK_OK(resect_holm(p, 0, p, &err), err);
        p[2] = NAN;
        ck_assert(!resect_holm(p, 5, q, &err));
}
END_TEST

START_TEST(ranks_with_ties)
{
        /* scipy.stats.spearmanr and kendalltau */
        static const double x[8] = {1, 2, 2, 4, 5, 5, 5, 9}, y[8] = {3, 1, 4, 4, 2, 8, 8, 7};
        double rho, tau;
        CK_OK(resect_rank_correlation(x, y, 8, &rho, &tau, &err), err);
        ck_assert_double_eq_tol(rho, 0.56531554109761, 1e-12);
        ck_assert_double_eq_tol(tau, 0.4403524229639897, 1e-12);
        static const double down[4] = {4, 3, 2, 1}, flat[4] = {1, 1, 1, 1};
        static const double up[4] = {-2, 0, 1, 1e9};
        CK_OK(resect_rank_correlation(down, up, 4, &rho, NULL, &err), err);
        CK_OK(resect_rank_correlation(down, up, 4, NULL, &tau, &err), err);
        ck_assert_double_eq_tol(rho, -1, 1e-15);
        ck_assert_double_eq_tol(tau, -1, 1e-15);
        CK_OK(resect_rank_correlation(flat, y, 4, &rho, &tau, &err), err);
        ck_assert(isnan(rho) && isnan(tau));
        ck_assert(!resect_rank_correlation(x, y, 1, &rho, &tau, &err));
}
END_TEST

/* One seed, all right of 40: the interval is about Agresti and Coull's, not a point. One seed, half
 * right: about the binomial's. */
START_TEST(proportions)
{
        double x[400];
        resect_crossed c;
        for (int i = 0; i < 400; i++)
                x[i] = 1;
        CK_OK(resect_crossed_mean(x, 1, 40, NULL, &c, &err), err);
        ck_assert_double_eq(c.value, 1);
        ck_assert_double_eq(c.high, 1);
        ck_assert_double_lt(c.low, 0.96);
        ck_assert_double_gt(c.low, 0.85);
        for (int i = 0; i < 400; i++)
                x[i] = i % 2;
        CK_OK(resect_crossed_mean(x, 1, 400, NULL, &c, &err), err);
        ck_assert_double_eq_tol(c.error, sqrt(0.25 / 399), 1e-12);
        ck_assert_double_eq_tol(c.low, 0.5 - 1.96 * 0.025, 0.005);
        ck_assert_double_eq_tol(c.high, 0.5 + 1.96 * 0.025, 0.005);
        ck_assert_double_eq(c.spread, 0);
}
END_TEST

/* Six pictures, a right where b is wrong on all: 2 of 2^6 signs are as far from 0. */
START_TEST(permutation_is_exact)
{
        double a[12], b[12];
        for (int i = 0; i < 12; i++) {
                a[i] = i < 6 || i % 2;
                b[i] = i >= 6 && i % 2;
        }
        resect_crossed c;
        const resect_crossed_options o = {.rounds = 40000};
        CK_OK(resect_crossed_difference(a, b, 1, 6, &o, &c, &err), err);
        ck_assert_double_eq(c.value, 1);
        ck_assert_double_eq_tol(c.p, 2.0 / 64, 0.003);
        CK_OK(resect_crossed_difference(a, b, 1, 12, &o, &c, &err), err);
        ck_assert_double_eq(c.value, 0.5);
        ck_assert_double_eq_tol(c.p, 2.0 / 64, 0.003);
        CK_OK(resect_crossed_difference(b, b, 1, 12, &o, &c, &err), err);
        ck_assert_double_eq(c.value, 0);
        ck_assert_double_eq(c.p, 1);
        ck_assert(c.low < 0 && c.high > 0 && c.detectable > 0);
        resect_crossed again;
        CK_OK(resect_crossed_difference(b, b, 1, 12, &o, &again, &err), err);
        ck_assert_mem_eq(&again, &c, sizeof c);
}
END_TEST

START_TEST(bad_input_is_refused)
{
        double x[4] = {0, 1, 2, NAN};
        resect_crossed c;
        ck_assert(!resect_crossed_mean(x, 0, 2, NULL, &c, &err));
        ck_assert(!resect_crossed_mean(x, 1, 3, NULL, &c, &err));
        ck_assert_int_eq(err.code, RESECT_FORMAT);
        CK_OK(resect_crossed_mean(x, 1, 3, &(resect_crossed_options){.unbounded = true}, &c, &err),
                err);
        ck_assert_double_eq(c.value, 1);
        ck_assert(!resect_crossed_mean(
                x, 2, 2, &(resect_crossed_options){.unbounded = true}, &c, &err));
        ck_assert(!resect_crossed_mean(x, 1, 2, &(resect_crossed_options){.level = 1}, &c, &err));
}
END_TEST

/* A world: hit when shift + ease of the picture (some of it for this arm alone) + luck of the seed
 * + rest > 0. */
struct world {
        const char *name;
        double shared, own, luck, rest, shift; /* standard deviations; the bias */
};

enum { PICTURES = 120 };

static void
arm(const struct world *w, uint64_t trial, uint64_t which, double shift, size_t seeds, double *x)
{
        uint64_t shared = rs_stream("shared", trial, 0), own = rs_stream("own", trial, which),
                 luck = rs_stream("luck", trial, which), rest = rs_stream("rest", trial, which);
        for (size_t s = 0; s < seeds; s++)
                for (size_t i = 0; i < PICTURES; i++)
                        x[s * PICTURES + i] =
                                w->shift + shift + w->shared * rs_normal(1, shared, i) +
                                        w->own * rs_normal(1, own, i) +
                                        w->luck * rs_normal(1, luck, s) +
                                        w->rest * rs_normal(1, rest, s * PICTURES + i) >
                                0;
}

/* The share of hits that such an arm has in the long run. */
static double
truth(const struct world *w, double shift)
{
        double sd = sqrt(
                w->shared * w->shared + w->own * w->own + w->luck * w->luck + w->rest * w->rest);
        return 0.5 * erfc(-(w->shift + shift) / sd / sqrt(2));
}

START_TEST(simulation)
{
        static const struct world worlds[] = {
                {"pictures alone", 1, 1, 0, 0, 0.8},
                {"pictures and rest", 1, 0.5, 0, 1, 1.2},
                {"rest alone", 0, 0, 0, 1, 0.5},
                {"some luck", 1, 0.4, 0.15, 0.6, 1},
                {"much luck", 1, 0.3, 0.5, 0.5, 0.5},
                {"luck alone", 0, 0, 0.5, 1, 0.3},
                {"nearly perfect", 1, 0.5, 0.1, 0.5, 2.8},
        };
        static const size_t seeds[] = {1, 3, 5};
        const char *more = getenv("RESECT_SIMULATE");
        size_t trials = more ? strtoul(more, NULL, 10) : 200, all_found = 0, all_held = 0, all = 0;
        static double a[5 * PICTURES], b[5 * PICTURES], c[5 * PICTURES];
        if (more)
                printf("%-18s S  found  interval(mean)  interval(difference)  power at "
                       "detectable\n",
                        "");
        for (size_t w = 0; w < sizeof worlds / sizeof *worlds; w++)
                for (size_t k = 0; k < 3; k++) {
                        size_t S = seeds[k], found = 0, mean = 0, difference = 0;
                        double detectable = 0;
                        if (S == 1 && worlds[w].luck > 0)
                                continue; /* with one seed nothing is promised about seeds */
                        const resect_crossed_options o = {.rounds = more ? 1999 : 399};
                        resect_crossed e;
                        for (size_t t = 0; t < trials; t++) {
                                arm(&worlds[w], t, 0, 0, S, a);
                                arm(&worlds[w], t, 1, 0, S, b);
                                CK_OK(resect_crossed_mean(a, S, PICTURES, &o, &e, &err), err);
                                double p = truth(&worlds[w], 0);
                                mean += e.low <= p && p <= e.high;
                                CK_OK(resect_crossed_difference(a, b, S, PICTURES, &o, &e, &err),
                                        err);
                                difference += e.low <= 0 && 0 <= e.high;
                                found += e.p <= 0.05;
                                detectable += e.detectable / (double)trials;
                        }
                        /* How often a difference of just the size that is said to be detectable is
                         * found. */
                        double up = 0;
                        for (double step = 4; step > 1e-6; step /= 2)
                                if (truth(&worlds[w], up + step) - truth(&worlds[w], 0) <=
                                        detectable)
                                        up += step;
                        size_t power = 0;
                        for (size_t t = 0; more && t < trials; t++) {
                                arm(&worlds[w], t, 0, up, S, c);
                                arm(&worlds[w], t, 1, 0, S, b);
                                CK_OK(resect_crossed_difference(c, b, S, PICTURES, &o, &e, &err),
                                        err);
                                power += e.p <= 0.05;
                        }
                        double n = (double)trials, noise = 3.5 * sqrt(0.05 * 0.95 / n);
                        if (more)
                                printf("%-18s %zu  %5.3f  %14.3f  %20.3f  %8.3f (%.3f)\n",
                                        worlds[w].name, S, (double)found / n, (double)mean / n,
                                        (double)difference / n, (double)power / n, detectable);
                        ck_assert_msg((double)found / n <= 0.05 + noise,
                                "%s, %zu seeds: %zu of %zu found", worlds[w].name, S, found,
                                trials);
                        ck_assert_msg((double)mean / n >= 0.95 - noise,
                                "%s, %zu seeds: %zu of %zu hold the mean", worlds[w].name, S, mean,
                                trials);
                        ck_assert_msg((double)difference / n >= 0.95 - noise,
                                "%s, %zu seeds: %zu of %zu hold the difference", worlds[w].name, S,
                                difference, trials);
                        all_found += found;
                        all_held += mean + difference;
                        all += trials;
                }
        printf("a difference that is not there is found in %.3f of trials; intervals hold the "
               "truth in %.3f\n",
                (double)all_found / (double)all, (double)all_held / (double)all / 2);
}
END_TEST

UNIT_MAIN("crossed", holm_by_hand, ranks_with_ties, proportions, permutation_is_exact,
        bad_input_is_refused, simulation)
