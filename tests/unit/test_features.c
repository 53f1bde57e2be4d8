/* SPDX-License-Identifier: 0BSD */
/* The judges of features: numbers that scikit-learn and NumPy gave (tests/peers/features.py
 * compares many more cases), and data that has nothing to judge. */
#include "unit.h"

#include <math.h>
#include <string.h>
#include "resect/features.h"

/* The same small integers as in the peer that gave the numbers. */
static void
fill(float *x, int64_t *y, int n, int d, int k, int s)
{
        for (int i = 0; i < n; i++) {
                y[i] = i % k;
                for (int j = 0; j < d; j++)
                        x[i * d + j] = (float)((7 * i * i + 13 * j + 5 * i * j + s) % 17) / 4 +
                                       (float)(i % k == j % k);
        }
}

START_TEST(logistic_is_scikit_learns)
{
        static const double c = 0.5,
                            w[9] = {0.429903912544, 0.050416464145, -0.474705499312,
                                    -0.437163219861, 0.213975015436, -0.116249502623,
                                    0.007259307317, -0.26439147958, 0.590955001936},
                            b[3] = {0.009121176568, 0.033413087865, -0.042534264433};
        static const int64_t predicted[10] = {2, 0, 2, 1, 0, 0, 1, 0, 2, 0};
        float x[36], other[30], scores[30];
        int64_t y[12], unused[10];
        resect_error err;
        fill(x, y, 12, 3, 3, 0);
        fill(other, unused, 10, 3, 3, 5);
        resect_logistic_options o = {.penalties = &c, .n_penalties = 1, .tolerance = 1e-10};
        resect_logistic *l = resect_logistic_fit(x, y, 12, 3, 3, &o, &err);
        CK_OK(l != NULL, err);
        resect_logistic_facts f = resect_logistic_about(l);
        ck_assert(f.converged && f.folds == 5 && !f.at_edge);
        for (int i = 0; i < 9; i++)
                ck_assert_double_eq_tol(f.standard_weights[i], w[i], 1e-8);
        for (int i = 0; i < 3; i++)
                ck_assert_double_eq_tol(f.standard_bias[i], b[i], 1e-7);
        CK_OK(resect_logistic_scores(l, other, 10, scores, &err), err);
        for (int i = 0; i < 10; i++)
                for (int k = 0; k < 3; k++)
                        ck_assert(scores[i * 3 + k] <= scores[i * 3 + predicted[i]]);
        resect_logistic_free(l);
}
END_TEST

/* More features than samples: solved in the span of the samples. */
START_TEST(wide_logistic_is_scikit_learns)
{
        static const double c = 0.5, w[5] = {-0.100370912257, 0.123334680093, -0.099172653816,
                                             0.063040839229, -0.013879956281};
        float x[120];
        int64_t y[6];
        resect_error err;
        fill(x, y, 6, 20, 2, 3);
        resect_logistic_options o = {.penalties = &c, .n_penalties = 1, .tolerance = 1e-10};
        resect_logistic *l = resect_logistic_fit(x, y, 6, 20, 2, &o, &err);
        CK_OK(l != NULL, err);
        resect_logistic_facts f = resect_logistic_about(l);
        for (int i = 0; i < 5; i++) {
                ck_assert_double_eq_tol(f.standard_weights[20 + i], w[i], 1e-8);
                ck_assert_double_eq_tol(f.standard_weights[i], -w[i], 1e-8);
        }
        ck_assert_double_eq_tol(f.standard_bias[1], -0.0008652648, 1e-8);
        resect_logistic_free(l);
}
END_TEST

/* Two clouds far apart: C is chosen among several, nothing held out is mistaken; one thread or
 * three, the bits are the same. */
START_TEST(penalty_is_chosen)
{
        float x[40 * 6], held[80], again[80];
        int64_t y[40];
        resect_error err;
        fill(x, y, 40, 6, 2, 1);
        for (int i = 0; i < 40; i++)
                x[i * 6] += y[i] ? 9.0f : -9.0f;
        for (int threads = 1; threads <= 3; threads += 2) {
                resect_logistic *l = resect_logistic_fit(
                        x, y, 40, 6, 2, &(resect_logistic_options){.threads = threads}, &err);
                CK_OK(l != NULL, err);
                resect_logistic_facts f = resect_logistic_about(l);
                ck_assert(f.converged && f.penalty > 1e-5 && f.folds == 5);
                ck_assert_double_eq(f.cv_accuracy, 1);
                ck_assert_double_lt(f.cv_loss, 0.1);
                CK_OK(resect_logistic_held_out(l, x, y, threads == 1 ? held : again, &err), err);
                resect_logistic_free(l);
        }
        ck_assert_mem_eq(held, again, sizeof held);
        for (int i = 0; i < 40; i++)
                ck_assert((held[2 * i + 1] > held[2 * i]) == (y[i] == 1));
}
END_TEST

START_TEST(little_to_go_by)
{
        const float two[2] = {1, 2}, flat[6] = {3, 3, 3, 3, 3, 3}, nan_[2] = {1, NAN};
        const int64_t y[6] = {0, 1, 0, 1, 1, 1}, one[2] = {1, 1}, outside[2] = {0, 2};
        float scores[18];
        resect_error err;
        /* Two samples: none can be held out. */
        resect_logistic *l = resect_logistic_fit(two, y, 2, 1, 2, NULL, &err);
        CK_OK(l != NULL, err);
        ck_assert_uint_eq(resect_logistic_about(l).folds, 0);
        ck_assert(!resect_logistic_held_out(l, two, y, scores, &err));
        ck_assert_int_eq(err.code, RESECT_ARG);
        CK_OK(resect_logistic_scores(l, two, 2, scores, &err), err);
        ck_assert(scores[0] > scores[1] && scores[3] > scores[2]);
        resect_logistic_free(l);
        /* Constant features: the odds of the classes; a class without samples is never predicted.
         */
        for (int wide = 0; wide < 2; wide++) {
                size_t n = wide ? 2 : 6, d = wide ? 3 : 1;
                l = resect_logistic_fit(flat, y, n, d, 3, NULL, &err);
                CK_OK(l != NULL, err);
                CK_OK(resect_logistic_scores(l, flat, 1, scores, &err), err);
                ck_assert_double_eq_tol(scores[1] - scores[0], wide ? 0 : log(2), 1e-4);
                ck_assert(scores[2] < scores[0] - 20);
                resect_logistic_free(l);
        }
        ck_assert(resect_logistic_fit(two, one, 2, 1, 2, NULL, &err) == NULL);
        ck_assert_int_eq(err.code, RESECT_ARG);
        ck_assert(strstr(err.msg, "one class") != NULL);
        ck_assert(resect_logistic_fit(two, outside, 2, 1, 2, NULL, &err) == NULL);
        ck_assert(resect_logistic_fit(nan_, y, 2, 1, 2, NULL, &err) == NULL);
        ck_assert_int_eq(err.code, RESECT_FORMAT);
        ck_assert(resect_logistic_fit(
                          two, y, 2, 1, 2, &(resect_logistic_options){.folds = 1}, &err) == NULL);
        const double down[2] = {1, 0.5};
        ck_assert(resect_logistic_fit(two, y, 2, 1, 2,
                          &(resect_logistic_options){.penalties = down, .n_penalties = 2},
                          &err) == NULL);
}
END_TEST

/* But for ties of 5 neighbours, of classes 2 1 1 0 0 and 2 0 0 2 1: scikit-learn takes the first
 * class.
 */
START_TEST(neighbours_are_scikit_learns)
{
        static const int64_t want[3][10] = {{2, 2, 0, 0, 2, 0, 0, 0, 2, 2},
                {2, 1, 2, 0, 1, 1, 0, 1, 2, 0}, {2, 1, 2, 1, 1, 1, 1, 0, 2, 2}};
        float x[36], other[30];
        int64_t y[12], unused[10], got[10];
        size_t k;
        resect_error err;
        fill(x, y, 12, 3, 3, 0);
        fill(other, unused, 10, 3, 3, 5);
        for (size_t q = 0; q < 3; q++) {
                size_t ks = 2 * q + 1;
                CK_OK(resect_knn(x, y, 12, 3, 3, other, 10,
                              &(resect_knn_options){.ks = &ks, .n_ks = 1}, got, &k, &err),
                        err);
                ck_assert_uint_eq(k, ks);
                ck_assert_mem_eq(got, want[q], sizeof got);
        }
}
END_TEST

/* On a line: -1 and 1 are as near to 0, and the earlier row wins; of two votes each the nearest. */
START_TEST(ties_are_settled)
{
        const float x[4] = {-1, 1, -2, 2}, at = 0, beside = 0.1f;
        const int64_t y[4] = {1, 0, 0, 1};
        size_t ks = 1, k;
        int64_t got;
        resect_error err;
        resect_knn_options o = {.ks = &ks, .n_ks = 1};
        CK_OK(resect_knn(x, y, 4, 1, 2, &at, 1, &o, &got, NULL, &err), err);
        ck_assert_int_eq(got, 1);
        ks = 99; /* three at most */
        CK_OK(resect_knn(x, y, 4, 1, 2, &beside, 1, &o, &got, &k, &err), err);
        ck_assert_uint_eq(k, 3);
        ks = 2;
        CK_OK(resect_knn(x, y, 4, 1, 2, &beside, 1, &o, &got, &k, &err), err);
        ck_assert_int_eq(got, 0);
        ks = 0;
        ck_assert(!resect_knn(x, y, 4, 1, 2, &beside, 1, &o, &got, &k, &err));
}
END_TEST

START_TEST(logme_is_numpys)
{
        float x[120];
        int64_t y[12];
        double v, w;
        resect_error err;
        fill(x, y, 12, 3, 3, 0);
        CK_OK(resect_logme(x, y, 12, 3, 3, 1, &v, &err), err);
        ck_assert_double_eq_tol(v, -0.768085484138, 1e-9);
        fill(x, y, 6, 20, 2, 8);
        CK_OK(resect_logme(x, y, 6, 20, 2, 2, &v, &err), err);
        ck_assert_double_eq_tol(v, -0.898793710383417, 1e-8);
        for (int i = 0; i < 120; i++) /* the scale does not matter */
                x[i] *= 1024;
        CK_OK(resect_logme(x, y, 6, 20, 2, 2, &w, &err), err);
        ck_assert_double_eq_tol(v, w, 1e-8);
        memset(x, 0, sizeof x);
        CK_OK(resect_logme(x, y, 6, 20, 2, 2, &v, &err), err);
        ck_assert(isfinite(v));
}
END_TEST

START_TEST(auc_counts_pairs)
{
        const double s[7] = {1, 3, 2, 2, 2, 1, 3};
        const bool p[7] = {false, true, false, true, true, false, false};
        double v;
        resect_error err;
        CK_OK(resect_auc(s, p, 7, &v, &err), err);
        ck_assert_double_eq_tol(v, 0.7083333333333333, 1e-12);
        ck_assert(!resect_auc(s, p, 1, &v, &err));
        ck_assert_int_eq(err.code, RESECT_ARG);
        const double bad[2] = {NAN, 1};
        ck_assert(!resect_auc(bad, p, 2, &v, &err));
        ck_assert_int_eq(err.code, RESECT_FORMAT);
}
END_TEST

UNIT_MAIN("features", logistic_is_scikit_learns, wide_logistic_is_scikit_learns, penalty_is_chosen,
        little_to_go_by, neighbours_are_scikit_learns, ties_are_settled, logme_is_numpys,
        auc_counts_pairs)
