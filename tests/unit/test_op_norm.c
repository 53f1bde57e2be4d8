/* SPDX-License-Identifier: 0BSD */
/* BatchNormalization in its forms, InstanceNormalization, Softmax: values by hand, gradients by
 * differences. */
#include "op_run.h"

/* x [3, 2, 2, 2]-like input, four parameters; variance positive. */
static void
start(op_run *r, int opset, int dtype, int n, int ch, int h, int w)
{
        op_start(r, "BatchNormalization", opset);
        op_float(r, "epsilon", 1e-3F);
        op_in(r, dtype, 4, n, ch, h, w);
        for (int i = 1; i < 5; i++)
                op_in(r, dtype, 1, ch);
        for (int i = 0; i < ch; i++)
                rs_store(r->in[4].data, dtype, (size_t)i, 0.5 + i);
}

/* Mean and population variance of one channel. */
static void
moments(const resect_tensor *x, int64_t ch, double *mean, double *var)
{
        const int64_t c = x->dims[1], plane = x->dims[2] * x->dims[3], n = x->dims[0] * plane;

        *mean = *var = 0;
        for (int64_t i = 0; i < n; i++)
                *mean += op_get(x, (i / plane * c + ch) * plane + i % plane) / (double)n;
        for (int64_t i = 0; i < n; i++) {
                const double d = op_get(x, (i / plane * c + ch) * plane + i % plane) - *mean;
                *var += d * d / (double)n;
        }
}

static void
check_output(const op_run *r, int64_t ch, double mean, double var)
{
        const resect_tensor *x = &r->in[0];
        const int64_t c = x->dims[1], plane = x->dims[2] * x->dims[3];

        for (int64_t i = 0; i < x->dims[0] * plane; i++) {
                const int64_t e = (i / plane * c + ch) * plane + i % plane;
                const double want =
                        (op_get(x, e) - mean) / sqrt(var + (double)1e-3F) * op_get(&r->in[1], ch) +
                        op_get(&r->in[2], ch);
                ck_assert_double_eq_tol(op_get(&r->out[0], e), want, 1e-5);
        }
}

START_TEST(inference_uses_what_is_given)
{
        static const int opsets[] = {1, 6, 7, 9, 14, 15};
        op_run r;

        for (size_t i = 0; i < 6; i++) {
                start(&r, opsets[i], RESECT_FLOAT, 2, 3, 5, 7);
                op_forward(&r);
                for (int64_t ch = 0; ch < 3; ch++)
                        check_output(&r, ch, op_get(&r.in[3], ch), op_get(&r.in[4], ch));
                op_free(&r);
        }
}
END_TEST

/* Form 0: a training plan; 1: the same, as PyTorch counts; 2: training_mode; 3: opset 9 with five
 * outputs. */
START_TEST(batch_statistics)
{
        const int form = _i;
        op_run r;

        start(&r, form == 3 ? 9 : 15, RESECT_FLOAT, 4, 3, 3, 3);
        op_float(&r, "momentum", 0.75F);
        if (form == 2)
                op_int(&r, "training_mode", 1);
        if (form < 2)
                r.x.training = true;
        r.x.unbiased = form == 1;
        if (form < 2)
                r.x.n_out = 3; /* unnamed: a training plan makes them all the same */
        else
                op_outs(&r, form == 3 ? 5 : 3);
        op_forward(&r);
        for (int64_t ch = 0; ch < 3; ch++) {
                double mean, var;
                moments(&r.in[0], ch, &mean, &var);
                check_output(&r, ch, mean, var);
                const double counted = form == 1 ? var * 36 / 35 : var;
                ck_assert_double_eq_tol(
                        op_get(&r.out[1], ch), 0.75 * op_get(&r.in[3], ch) + 0.25 * mean, 1e-6);
                ck_assert_double_eq_tol(
                        op_get(&r.out[2], ch), 0.75 * op_get(&r.in[4], ch) + 0.25 * counted, 1e-6);
                if (form == 3) {
                        ck_assert_double_eq_tol(op_get(&r.out[3], ch), mean, 1e-6);
                        ck_assert_double_eq_tol(op_get(&r.out[4], ch), var, 1e-6);
                }
        }
        op_free(&r);
}
END_TEST

START_TEST(frozen_stays_frozen)
{
        op_run r;

        start(&r, 15, RESECT_FLOAT, 2, 3, 4, 4);
        r.x.training = r.x.frozen = true;
        op_int(&r, "training_mode", 1);
        op_outs(&r, 3);
        op_forward(&r);
        for (int64_t ch = 0; ch < 3; ch++)
                check_output(&r, ch, op_get(&r.in[3], ch), op_get(&r.in[4], ch));
        ck_assert_mem_eq(r.out[1].data, r.in[3].data, r.in[3].size);
        ck_assert_mem_eq(r.out[2].data, r.in[4].data, r.in[4].size);
        op_free(&r);
}
END_TEST

/* The running statistics may be updated where they lie. */
START_TEST(running_in_place)
{
        op_run r;

        start(&r, 15, RESECT_FLOAT, 4, 3, 3, 3);
        r.x.training = true;
        r.x.n_out = 3;
        op_make(&r);
        r.op->forward(&r.call);
        for (int i = 0; i < 2; i++)
                r.call.out[1 + i] = &r.in[3 + i];
        r.op->forward(&r.call);
        ck_assert_mem_eq(r.in[3].data, r.out[1].data, r.in[3].size);
        ck_assert_mem_eq(r.in[4].data, r.out[2].data, r.in[4].size);
        op_free(&r);
}
END_TEST

/* spatial = 0: a number for each element; or, as MXNet wrote it, still one for each channel. */
START_TEST(spatial_zero)
{
        op_run r;

        op_start(&r, "BatchNormalization", 7);
        op_int(&r, "spatial", 0);
        op_in(&r, RESECT_FLOAT, 4, 2, 3, 2, 2);
        for (int i = 1; i < 5; i++)
                op_in(&r, RESECT_FLOAT, 3, 3, 2, 2);
        for (size_t i = 0; i < 12; i++)
                ((float *)r.in[4].data)[i] = (float)i + 1;
        op_forward(&r);
        for (int64_t i = 0; i < 24; i++) {
                const int64_t p = i % 12;
                const double want = (op_get(&r.in[0], i) - op_get(&r.in[3], p)) /
                                            sqrt(op_get(&r.in[4], p) + (double)1e-5F) *
                                            op_get(&r.in[1], p) +
                                    op_get(&r.in[2], p);
                ck_assert_double_eq_tol(op_get(&r.out[0], i), want, 1e-5);
        }
        op_free(&r);
        start(&r, 7, RESECT_FLOAT, 2, 3, 2, 2);
        op_int(&r, "spatial", 0);
        op_forward(&r);
        check_output(&r, 2, op_get(&r.in[3], 2), op_get(&r.in[4], 2));
        op_free(&r);
}
END_TEST

START_TEST(half_with_float_parameters)
{
        op_run r;

        op_start(&r, "BatchNormalization", 15);
        op_in(&r, RESECT_FLOAT16, 4, 2, 3, 2, 2);
        for (int i = 1; i < 5; i++)
                op_in(&r, RESECT_FLOAT, 1, 3);
        for (size_t i = 0; i < 3; i++)
                ((float *)r.in[4].data)[i] = 1;
        op_forward(&r);
        ck_assert_double_eq_tol(op_get(&r.out[0], 5),
                (op_get(&r.in[0], 5) - op_get(&r.in[3], 1)) / sqrt(1 + 1e-5) * op_get(&r.in[1], 1) +
                        op_get(&r.in[2], 1),
                2e-3);
        op_free(&r);
}
END_TEST

START_TEST(gradients)
{
        op_run r;

        for (int frozen = 0; frozen < 2; frozen++)
                for (int plane = 1; plane < 4; plane += 2) {
                        start(&r, 15, RESECT_DOUBLE, 5, 3, plane, 4);
                        r.x.frozen = frozen;
                        op_gradients(&r, 7, 1e-5, 1e-6);
                        op_free(&r);
                }
        op_start(&r, "InstanceNormalization", 6);
        op_in(&r, RESECT_DOUBLE, 4, 3, 2, 3, 4);
        op_in(&r, RESECT_DOUBLE, 1, 2);
        op_in(&r, RESECT_DOUBLE, 1, 2);
        op_gradients(&r, 7, 1e-5, 1e-6);
        op_free(&r);
}
END_TEST

START_TEST(threads_change_nothing)
{
        op_run a, b;

        for (int k = 0; k < 2; k++) {
                op_run *r = k ? &b : &a;
                resect_error err = {0};
                start(r, 15, RESECT_FLOAT, 9, 20, 17, 16);
                r->x.training = true;
                r->x.n_out = 3;
                op_make(r);
                r->call.threads = k ? 7 : 1;
                r->op->forward(&r->call);
                CK_OK(resect_tensor_make(&r->din[0], RESECT_FLOAT, 4, r->in[0].dims, &err), err);
                r->call.din[0] = &r->din[0];
                r->call.dout[0] = &r->in[0];
                r->op->backward(&r->call);
        }
        for (int i = 0; i < 3; i++)
                ck_assert_mem_eq(a.out[i].data, b.out[i].data, a.out[i].size);
        ck_assert_mem_eq(a.din[0].data, b.din[0].data, a.din[0].size);
        op_free(&a);
        op_free(&b);
}
END_TEST

START_TEST(softmax_gradients)
{
        static const char *const names[] = {"Softmax", "LogSoftmax"};
        static const int opsets[] = {11, 13};
        op_run r;

        for (int k = 0; k < 4; k++)
                for (int axis = -3; axis < 3; axis++) {
                        op_start(&r, names[k / 2], opsets[k % 2]);
                        op_int(&r, "axis", axis);
                        op_in(&r, RESECT_DOUBLE, 3, 2, 3, 4);
                        op_gradients(&r, 1, 1e-5, 1e-7);
                        op_free(&r);
                }
}
END_TEST

/* Opset 11's default axis 1 takes all that follows together; opset 13 one axis. */
START_TEST(softmax_versions)
{
        op_run r;
        double sum = 0;

        op_start(&r, "Softmax", 11);
        op_in(&r, RESECT_FLOAT, 3, 2, 3, 4);
        op_forward(&r);
        for (int64_t i = 0; i < 12; i++)
                sum += op_get(&r.out[0], i);
        ck_assert_double_eq_tol(sum, 1, 1e-6);
        op_free(&r);
        op_start(&r, "Softmax", 13);
        op_in(&r, RESECT_FLOAT, 3, 2, 3, 4);
        op_forward(&r);
        sum = 0;
        for (int64_t i = 0; i < 4; i++)
                sum += op_get(&r.out[0], i);
        ck_assert_double_eq_tol(sum, 1, 1e-6);
        op_free(&r);
}
END_TEST

int
main(void)
{
        Suite *s = suite_create("op_norm");
        TCase *c = tcase_create("all");

        tcase_set_timeout(c, 300);
        tcase_add_test(c, inference_uses_what_is_given);
        tcase_add_loop_test(c, batch_statistics, 0, 4);
        tcase_add_test(c, frozen_stays_frozen);
        tcase_add_test(c, running_in_place);
        tcase_add_test(c, spatial_zero);
        tcase_add_test(c, half_with_float_parameters);
        tcase_add_test(c, gradients);
        tcase_add_test(c, threads_change_nothing);
        tcase_add_test(c, softmax_gradients);
        tcase_add_test(c, softmax_versions);
        suite_add_tcase(s, c);
        SRunner *r = srunner_create(s);
        srunner_run_all(r, CK_NORMAL);
        const int failed = srunner_ntests_failed(r);
        srunner_free(r);
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
