/* SPDX-License-Identifier: 0BSD */
/* Pools: the corners of the specification by hand, the definition by plain loops, gradients by
 * differences. */
#include "op_run.h"

typedef struct pool_case {
        int h, w, kh, kw, sh, sw, dh, dw, pt, pl, pb, pr, ceil, include, oh, ow;
} pool_case;

static const pool_case cases[] = {
        {8, 8, 3, 3, 2, 2, 1, 1, 1, 1, 1, 1, 0, 0, 4, 4}, /* a stem */
        {7, 7, 7, 7, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 1, 1}, /* a head */
        {5, 6, 2, 2, 2, 2, 1, 1, 0, 0, 0, 0, 1, 0, 3, 3}, /* a shortcut of variant d */
        {5, 6, 2, 2, 2, 2, 1, 1, 0, 0, 0, 0, 1, 1, 3, 3},
        {6, 7, 3, 2, 1, 2, 2, 3, 1, 0, 1, 2, 0, 1, 4, 3}, /* dilations, uneven paddings */
        {4, 4, 3, 3, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 3,
                3}, /* the last window sticks out of the padding */
        {4, 4, 1, 1, 3, 3, 1, 1, 0, 0, 1, 1, 1, 0, 2,
                2}, /* a window that would begin in the padding is dropped */
        {1, 1, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 0, 1, 1, 1},
};
enum { N_CASES = sizeof cases / sizeof *cases };

static void
start(op_run *r, const char *op, const pool_case *t, int dtype)
{
        op_start(r, op, 19);
        op_ints(r, "kernel_shape", 2, t->kh, t->kw);
        op_ints(r, "strides", 2, t->sh, t->sw);
        op_ints(r, "dilations", 2, t->dh, t->dw);
        op_ints(r, "pads", 4, t->pt, t->pl, t->pb, t->pr);
        op_int(r, "ceil_mode", t->ceil);
        op_in(r, dtype, 4, 2, 3, t->h, t->w);
}

START_TEST(is_the_definition)
{
        const pool_case *t = &cases[_i];
        op_run max, mean;

        start(&max, "MaxPool", t, RESECT_FLOAT);
        op_outs(&max, 2);
        op_forward(&max);
        start(&mean, "AveragePool", t, RESECT_FLOAT);
        op_int(&mean, "count_include_pad", t->include);
        op_forward(&mean);
        ck_assert_int_eq(max.out[0].dims[2], t->oh);
        ck_assert_int_eq(max.out[0].dims[3], t->ow);
        for (int64_t o = 0; o < resect_tensor_count(&max.out[0]); o++) {
                const int64_t plane = o / (t->oh * t->ow), oy = o / t->ow % t->oh, ox = o % t->ow;
                double best = -INFINITY, sum = 0;
                int64_t at = -1, count = 0;
                for (int i = 0; i < t->kh; i++)
                        for (int j = 0; j < t->kw; j++) {
                                const int64_t y = oy * t->sh + i * t->dh - t->pt,
                                              x = ox * t->sw + j * t->dw - t->pl;
                                if (t->include && y < t->h + t->pb && x < t->w + t->pr)
                                        count++;
                                if (y < 0 || y >= t->h || x < 0 || x >= t->w)
                                        continue;
                                const int64_t e = (plane * t->h + y) * t->w + x;
                                count += !t->include;
                                sum += op_get(&max.in[0], e);
                                if (op_get(&max.in[0], e) > best)
                                        best = op_get(&max.in[0], at = e);
                        }
                ck_assert(op_get(&max.out[0], o) == best);
                ck_assert_int_eq(((int64_t *)max.out[1].data)[o], at);
                ck_assert_msg((float)op_get(&mean.out[0], o) == (float)(sum / (double)count),
                        "case %d output %d: %g, want %g / %d", _i, (int)o, op_get(&mean.out[0], o),
                        sum, (int)count);
        }
        op_run plain; /* without Indices another loop runs */
        start(&plain, "MaxPool", t, RESECT_FLOAT);
        op_forward(&plain);
        ck_assert_mem_eq(plain.out[0].data, max.out[0].data, max.out[0].size);
        op_free(&plain);
        op_free(&max);
        op_free(&mean);
}
END_TEST

START_TEST(gradients)
{
        const pool_case *t = &cases[_i];
        op_run r;

        start(&r, "MaxPool", t, RESECT_DOUBLE);
        op_gradients(&r, 1, 1e-6, 1e-6);
        op_free(&r);
        start(&r, "AveragePool", t, RESECT_DOUBLE);
        op_int(&r, "count_include_pad", t->include);
        op_gradients(&r, 1, 1e-3, 1e-9);
        op_free(&r);
}
END_TEST

START_TEST(global)
{
        static const char *const names[] = {"GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool"};
        op_run r;

        for (int k = 0; k < 3; k++) {
                op_start(&r, names[k], 13);
                op_in(&r, RESECT_DOUBLE, 5, 2, 3, 2, 3, 4);
                if (k < 2) {
                        op_gradients(&r, 1, 1e-6, 1e-6);
                } else {
                        double sum = 0;
                        op_forward(&r);
                        for (int64_t i = 24; i < 48; i++)
                                sum += op_get(&r.in[0], i) * op_get(&r.in[0], i);
                        ck_assert_double_eq_tol(op_get(&r.out[0], 1), sqrt(sum), 1e-12);
                }
                ck_assert_int_eq(r.out[0].rank, 5);
                ck_assert_int_eq(resect_tensor_count(&r.out[0]), 6);
                op_free(&r);
        }
}
END_TEST

/* One, three and four axes; SAME paddings: the odd one after the picture, or before it. */
START_TEST(axes_and_automatic_padding)
{
        op_run r;

        op_start(&r, "MaxPool", 12);
        op_ints(&r, "kernel_shape", 1, 2);
        op_string(&r, "auto_pad", "SAME_LOWER");
        resect_tensor *x = op_in(&r, RESECT_INT8, 3, 1, 1, 3);
        memcpy(x->data, (int8_t[]){5, -1, -7}, 3);
        op_forward(&r);
        ck_assert_mem_eq(r.out[0].data, ((int8_t[]){5, 5, -1}), 3);
        op_free(&r);
        op_start(&r, "MaxPool", 12);
        op_ints(&r, "kernel_shape", 1, 2);
        op_string(&r, "auto_pad", "SAME_UPPER");
        x = op_in(&r, RESECT_UINT8, 3, 1, 1, 3);
        memcpy(x->data, (uint8_t[]){5, 200, 7}, 3);
        op_forward(&r);
        ck_assert_mem_eq(r.out[0].data, ((uint8_t[]){200, 200, 7}), 3);
        op_free(&r);
        for (int n = 3; n < 5; n++) {
                op_start(&r, "AveragePool", 11);
                if (n == 3) {
                        op_ints(&r, "kernel_shape", 3, 2, 2, 2);
                        op_in(&r, RESECT_DOUBLE, 5, 1, 2, 3, 4, 3);
                } else {
                        op_ints(&r, "kernel_shape", 4, 2, 1, 2, 2);
                        op_ints(&r, "pads", 8, 1, 0, 0, 1, 0, 0, 1, 1);
                        op_in(&r, RESECT_DOUBLE, 6, 1, 2, 2, 2, 3, 2);
                }
                op_gradients(&r, 1, 1e-3, 1e-9);
                op_free(&r);
        }
}
END_TEST

START_TEST(nan_wins)
{
        op_run r;

        for (int outs = 1; outs < 3; outs++) {
                op_start(&r, "MaxPool", 12);
                op_ints(&r, "kernel_shape", 1, 3);
                op_outs(&r, (size_t)outs);
                resect_tensor *x = op_in(&r, RESECT_FLOAT, 3, 1, 1, 8);
                memcpy(x->data, (float[]){1, NAN, 2, 3, 4, -5, -7, -6}, 32);
                op_forward(&r);
                for (int64_t i = 0; i < 2; i++)
                        ck_assert(isnan(op_get(&r.out[0], i)));
                ck_assert(op_get(&r.out[0], 2) == 4 && op_get(&r.out[0], 5) == -5);
                op_free(&r);
        }
}
END_TEST

int
main(void)
{
        Suite *s = suite_create("op_pool");
        TCase *c = tcase_create("all");

        tcase_set_timeout(c, 300);
        tcase_add_loop_test(c, is_the_definition, 0, N_CASES);
        tcase_add_loop_test(c, gradients, 0, N_CASES);
        tcase_add_test(c, global);
        tcase_add_test(c, axes_and_automatic_padding);
        tcase_add_test(c, nan_wins);
        suite_add_tcase(s, c);
        SRunner *r = srunner_create(s);
        srunner_run_all(r, CK_NORMAL);
        const int failed = srunner_ntests_failed(r);
        srunner_free(r);
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
