/* SPDX-License-Identifier: 0BSD */
/* The loss and the optimisers against numbers that PyTorch 1.13 printed, the gradient also against
   finite differences, and the schedules against PyTorch's traces. */
#include "unit.h"

#include <math.h>
#include <string.h>
#include "train/loss.h"
#include "train/optim.h"
#include "train/schedule.h"

static const float logits[12] = {0.5f, -1.25f, 2, 3, 0.25f, -0.5f, -2, 1.5f, 1, 0.125f, 0, -0.75f};
static const int64_t first[4] = {2, 1, 1, 0}, second[4] = {0, 2, 1, 1};
static const double weights[3] = {0.5, 2, 1.25};

START_TEST(loss_is_pytorchs)
{
        static const struct {
                double smoothing, mix, loss, gradient[3];
                bool weighted;
        } cases[] = {
                {0, 1, 1.099476667930, {0.0442050472, 0.00768168503, -0.0518867299}, false},
                {0.1, 1, 1.164060001264, {0.0358717106, -0.000651648268, -0.0352200642}, false},
                {0, 1, 1.282156752029, {0.0384391695, 0.0066797263, -0.0451188944}, true},
                {0.1, 1, 1.310598468240, {0.035540618, -0.00491447654, -0.0306261424}, true},
                {0.1, 0.7, 1.324372501264, {-0.0316282883, -0.000651648268, 0.0322799385}, false},
        };
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                rs_targets t = {first, cases[i].mix < 1 ? second : NULL, cases[i].mix,
                        cases[i].smoothing, cases[i].weighted ? weights : NULL};
                float gradient[12];
                size_t hits = 0;
                double loss = rs_cross_entropy(logits, &t, 4, 3, gradient, &hits);
                ck_assert_double_eq_tol(loss, cases[i].loss, 1e-11);
                ck_assert_uint_eq(hits, 3);
                for (int k = 0; k < 3; k++)
                        ck_assert_double_eq_tol((double)gradient[k], cases[i].gradient[k], 1e-8);
        }
}
END_TEST

START_TEST(gradient_is_the_slope)
{
        rs_targets t = {first, second, 0.3, 0.2, weights};
        float gradient[12], scratch[12], moved[12];
        (void)rs_cross_entropy(logits, &t, 4, 3, gradient, NULL);
        for (int i = 0; i < 12; i++) {
                double at[2];
                for (int side = 0; side < 2; side++) {
                        memcpy(moved, logits, sizeof moved);
                        moved[i] += side ? 0x1p-10f : -0x1p-10f;
                        at[side] = rs_cross_entropy(moved, &t, 4, 3, scratch, NULL);
                }
                ck_assert_double_eq_tol((at[1] - at[0]) / 0x1p-9, (double)gradient[i], 1e-6);
        }
}
END_TEST

START_TEST(extreme_logits_stay_finite)
{
        const float far[4] = {3e38f, -3e38f, -1e4f, 1e4f};
        const int64_t y[2] = {0, 0};
        rs_targets t = {y, NULL, 1, 0, NULL};
        float g[4];
        double loss = rs_cross_entropy(far, &t, 2, 2, g, NULL);
        ck_assert_double_eq_tol(loss, 1e4, 1e-6);
        ck_assert_float_eq(g[2], -0.5f);
        const float bad[2] = {NAN, 0};
        ck_assert(!isfinite(rs_cross_entropy(bad, &t, 1, 2, g, NULL)));
}
END_TEST

/* A slab of two pieces with a gap, as execs make them. */
enum { SECOND = 16, COUNT = 32 };

static void
optimise(const resect_train_options *o, float *values, double second_rate)
{
        rs_piece pieces[2] = {{"w", 0, 4, 2, {2, 2}}, {"b", SECOND, 4, 1, {4}}};
        rs_slab slab = {pieces, 2, COUNT, values};
        rs_optim m;
        resect_error err;
        static const float start[4] = {1, -2, 0.5f, 4}, slope[4] = {0.5f, -0.25f, 1, 0};
        memset(values, 0, COUNT * sizeof *values);
        memcpy(values, start, sizeof start);
        memcpy(values + SECOND, start, sizeof start);
        CK_OK(rs_optim_make(&m, o, &slab, &err), err);
        m.rate[1] = second_rate;
        for (int k = 0; k < 5; k++) {
                float g[COUNT] = {0};
                for (int i = 0; i < 4; i++) {
                        g[i] = slope[i] * (float)(k + 1) - 0.1f * (float)k * values[i];
                        g[SECOND + i] =
                                slope[i] * (float)(k + 1) - 0.1f * (float)k * values[SECOND + i];
                }
                rs_optim_step(&m, &slab, g, 0.1, 2);
        }
        rs_optim_free(&m);
}

START_TEST(optimisers_are_pytorchs)
{
        static const struct {
                const char *name;
                bool nesterov;
                double beta2, decay;
                float end[4];
        } cases[] = {
                {"sgd", false, 0.999, 0.01, {-0.482244462f, -1.5259217f, -2.73153281f, 4.7121172f}},
                {"sgd", true, 0.999, 0.01, {-1.09750211f, -1.3498944f, -4.09364939f, 5.06305504f}},
                {"adamw", false, 0.99, 0.05,
                        {0.493534088f, -1.45697963f, 0.00824137032f, 4.23108721f}},
        };
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                resect_train_options o;
                resect_train_defaults(&o);
                o.optimizer = cases[i].name;
                o.nesterov = cases[i].nesterov;
                o.beta2 = cases[i].beta2;
                o.weight_decay = cases[i].decay;
                float v[COUNT];
                optimise(&o, v, 1);
                for (int k = 0; k < 4; k++) {
                        ck_assert_float_eq_tol(v[k], cases[i].end[k], 2e-6f);
                        ck_assert_float_eq(v[SECOND + k], v[k]);
                }
                for (int k = 4; k < SECOND; k++)
                        ck_assert_float_eq(v[k], 0);
                o.no_bias_decay = true;
                optimise(&o, v, 0);
                ck_assert_float_eq(v[SECOND], 1); /* rate 0 stands still */
                optimise(&o, v, 1);
                ck_assert_float_eq_tol(v[0], cases[i].end[0], 2e-6f);
                ck_assert(fabsf(v[SECOND + 3] - cases[i].end[3]) >
                          1e-3f); /* the vector was not decayed */
        }
}
END_TEST

START_TEST(norm_is_the_same_for_any_number_of_threads)
{
        enum { N = 300001 };
        float *g = malloc(N * sizeof *g);
        double plain = 0;
        for (int i = 0; i < N; i++) {
                g[i] = (float)sin(i) * 1e3f;
                plain += (double)g[i] * g[i];
        }
        double one = rs_gradient_norm(g, N, 1), four = rs_gradient_norm(g, N, 4);
        ck_assert(memcmp(&one, &four, sizeof one) == 0);
        ck_assert_double_eq_tol(one / sqrt(plain), 1, 1e-12);
        rs_gradient_scale(g, N, 0.5, 3);
        ck_assert_double_eq_tol(rs_gradient_norm(g, N, 2) / one, 0.5, 1e-7);
        g[200000] = INFINITY;
        ck_assert(!isfinite(rs_gradient_norm(g, N, 4)));
        free(g);
}
END_TEST

START_TEST(schedules_are_pytorchs)
{
        static const struct {
                const char *name;
                double rates[12];
        } cases[] = {
                {"constant", {0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5}},
                {"cosine", {0.5, 0.492333311, 0.469855716, 0.434099026, 0.3875, 0.333234285, 0.275,
                                   0.216765715, 0.1625, 0.115900974, 0.0801442841, 0.0576666891}},
                {"step", {0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.05, 0.05, 0.05, 0.05, 0.05, 0.05}},
                {"onecycle", {0.02, 0.174894827, 0.43964258, 0.497207718, 0.466506485, 0.405872827,
                                     0.323689499, 0.231318551, 0.141530499, 0.0667387651,
                                     0.0172834937, 2e-06}},
                {"restarts", {0.5, 0.3875, 0.1625, 0.5, 0.469855716, 0.3875, 0.275, 0.1625,
                                     0.0801442841, 0.5, 0.492333311, 0.469855716}},
        };
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                resect_train_options o;
                resect_train_defaults(&o);
                o.schedule = cases[i].name;
                o.epochs = 4;
                o.lr = 0.5;
                o.lr_floor = 0.1;
                o.warmup = 0;
                o.step_every = 2;
                o.restart_every = 1;
                o.restart_stretch = 2;
                rs_schedule s;
                resect_error err;
                CK_OK(rs_schedule_make(&s, &o, 3, &err), err);
                for (size_t k = 0; k < 12; k++)
                        ck_assert_double_eq_tol(rs_schedule_rate(&s, k), cases[i].rates[k], 1e-8);
        }
}
END_TEST

START_TEST(warmup_rises_and_nonsense_is_refused)
{
        resect_train_options o;
        rs_schedule s;
        resect_error err;
        resect_train_defaults(&o);
        o.lr = 1;
        o.warmup = 1;
        CK_OK(rs_schedule_make(&s, &o, 4, &err), err);
        for (size_t k = 0; k < 4; k++)
                ck_assert_double_eq_tol(rs_schedule_rate(&s, k), (double)(k + 1) / 5, 1e-12);
        ck_assert_double_eq(rs_schedule_rate(&s, 4), 1);
        o.warmup = 11;
        ck_assert(!rs_schedule_make(&s, &o, 4, &err));
        o.warmup = -1;
        o.schedule = "onecycle";
        CK_OK(rs_schedule_make(&s, &o, 4, &err), err);
        o.warmup = 1;
        ck_assert(!rs_schedule_make(&s, &o, 4, &err));
        o.schedule = "steep";
        ck_assert(!rs_schedule_make(&s, &o, 4, &err));
        ck_assert_int_eq(err.code, RESECT_ARG);
        resect_train_defaults(&o);
        o.lr = NAN;
        ck_assert(!rs_schedule_make(&s, &o, 4, &err));
        resect_train_defaults(&o);
        o.schedule = "restarts";
        o.restart_stretch = 0.5;
        ck_assert(!rs_schedule_make(&s, &o, 4, &err));
}
END_TEST

UNIT_MAIN("loss", loss_is_pytorchs, gradient_is_the_slope, extreme_logits_stay_finite,
        optimisers_are_pytorchs, norm_is_the_same_for_any_number_of_threads, schedules_are_pytorchs,
        warmup_rises_and_nonsense_is_refused)
