/* SPDX-License-Identifier: 0BSD */
/* Metrics on a case small enough to count by hand (tests/peers compares larger ones with
 * scikit-learn), and their intervals. */
#include "unit.h"

#include <math.h>
#include <string.h>
#include "resect/study.h"

/* Four samples of three classes; class 2 has no sample but one prediction. ln of the odds chosen so
 * that p is round. */
static void
outcomes(resect_outcome o[4])
{
        const float z[12] = {logf(8), 0, 0, 0, logf(8), 0, 0, 0, logf(2), logf(3), 0, 0};
        const int64_t y[4] = {0, 1, 0, 1};
        resect_error err;
        CK_OK(resect_outcomes(z, y, 4, 3, o, &err), err);
}

START_TEST(counted_by_hand)
{
        resect_outcome o[4];
        outcomes(o);
        static const int64_t predicted[4] = {0, 1, 2, 0};
        static const double p_label[4] = {0.8, 0.8, 0.25, 0.2},
                            p_predicted[4] = {0.8, 0.8, 0.5, 0.6};
        static const size_t rank[4] = {0, 0, 1, 1};
        for (int i = 0; i < 4; i++) {
                ck_assert_int_eq(o[i].predicted, predicted[i]);
                ck_assert_uint_eq(o[i].rank, rank[i]);
                ck_assert_double_eq_tol(o[i].loss, -log(p_label[i]), 1e-6);
                ck_assert_double_eq_tol(o[i].confidence, p_predicted[i], 1e-6);
        }
        resect_scores s;
        resect_class_scores k[3];
        size_t confusion[9];
        resect_error err;
        CK_OK(resect_scores_of(o, 4, 3, &s, k, confusion, &err), err);
        ck_assert_double_eq_tol(s.top1, 0.5, 1e-12);
        ck_assert_double_eq_tol(s.top5, 1, 1e-12);
        ck_assert_double_eq_tol(s.balanced, 0.5, 1e-12);
        ck_assert_double_eq_tol(s.macro_f1, (0.5 + 2.0 / 3) / 3, 1e-12);
        ck_assert_double_eq_tol(s.loss, -(2 * log(0.8) + log(0.25) + log(0.2)) / 4, 1e-6);
        ck_assert_double_eq_tol(s.ece, (0.4 + 0.5 + 0.6) / 4, 1e-6);
        static const size_t want[9] = {1, 0, 1, 1, 1, 0, 0, 0, 0};
        ck_assert_mem_eq(confusion, want, sizeof want);
        ck_assert_uint_eq(k[2].predicted, 1);
        ck_assert_double_eq(k[2].f1, 0);
        ck_assert_double_eq_tol(k[1].precision, 1, 1e-12);
}
END_TEST

START_TEST(bad_input_is_refused)
{
        const float z[2] = {0, NAN};
        const int64_t y = 0, outside = 2;
        resect_outcome o;
        resect_error err;
        resect_scores s, t;
        ck_assert(!resect_outcomes(z, &y, 1, 2, &o, &err));
        ck_assert_int_eq(err.code, RESECT_FORMAT);
        ck_assert(!resect_outcomes(z, &outside, 1, 2, &o, &err));
        ck_assert_int_eq(err.code, RESECT_ARG);
        CK_OK(resect_scores_of(&o, 0, 2, &s, NULL, NULL, &err), err);
        ck_assert_double_eq(s.top1, 0);
        ck_assert(!resect_scores_bootstrap(&o, 0, 2, 10, 0.95, 1, &s, &t, &err));
}
END_TEST

/* 60 of 100 right: the binomial's 95 % interval is about 0.6 +- 1.96 sqrt(0.24 / 100) = 0.504 ..
 * 0.696. */
START_TEST(interval_is_the_binomials)
{
        resect_outcome o[100];
        resect_error err;
        for (int i = 0; i < 100; i++) {
                float z[2] = {i < 60 ? 1.0f : -1.0f, 0};
                int64_t y = 0;
                CK_OK(resect_outcomes(z, &y, 1, 2, &o[i], &err), err);
        }
        resect_scores low, high, again;
        CK_OK(resect_scores_bootstrap(o, 100, 2, 2000, 0.95, 1, &low, &high, &err), err);
        ck_assert_double_eq_tol(low.top1, 0.504, 0.015);
        ck_assert_double_eq_tol(high.top1, 0.696, 0.015);
        CK_OK(resect_scores_bootstrap(o, 100, 2, 2000, 0.95, 1, &again, &high, &err), err);
        ck_assert_mem_eq(&low, &again, sizeof low);
        CK_OK(resect_scores_bootstrap(o, 100, 2, 2000, 0.95, 2, &again, &high, &err), err);
        ck_assert(memcmp(&low, &again, sizeof low) != 0);
}
END_TEST

UNIT_MAIN("metrics", counted_by_hand, bad_input_is_refused, interval_is_the_binomials)
