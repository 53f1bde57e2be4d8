/* SPDX-License-Identifier: 0BSD */
/* Gemm and MatMul against plain loops, on every instruction set that this machine has; gradients by
 * differences. */
#include "op/gemm.h"
#include "op/gemm_pack.h"
#include "op_run.h"

/* What rs_gemm hands out, stored as it comes. */
typedef struct sink {
        double *c;
        size_t m, n;
} sink;

static void
keep(const void *result, const rs_gemm_tile *t)
{
        const sink *s = result;

        for (size_t i = t->i0; i < t->i1; i++)
                for (size_t j = t->j0; j < t->j1; j++)
                        s->c[(t->batch * s->m + i) * s->n + j] +=
                                t->c[(i - t->i0) * t->ldc + (j - t->j0)];
}

/* Bit for bit the plain sum, for shapes on both sides of every block's edge, with 1, 2 and 5
 * threads. */
START_TEST(every_instruction_set_is_the_plain_sum)
{
        static const size_t shapes[][4] = {{1, 1, 1, 1}, {1, 1, 1, 0}, {1, 8, 24, 160},
                {1, 9, 25, 161}, {1, 129, 241, 5}, {1, 7, 300, 33}, {3, 5, 7, 400},
                {2, 150, 49, 170}, {1, 1, 1000, 50}, {1, 130, 3, 2}};
        const struct rs_gemm_isa *isa = rs_gemm_isa_list((size_t)_i);
        resect_error err = {0};

        if (!isa) {
                ck_assert_int_gt(_i, 0);
                return;
        }
        for (size_t k = 0; k < sizeof shapes / sizeof *shapes; k++) {
                const size_t batch = shapes[k][0], m = shapes[k][1], n = shapes[k][2],
                             d = shapes[k][3];
                float *a = rs_alloc(batch * m * d + 1, sizeof *a, &err);
                float *b = rs_alloc(batch * n * d + 1, sizeof *b, &err);
                double *c = rs_alloc(batch * m * n, sizeof *c, &err);
                for (size_t i = 0; i < batch * m * d; i++)
                        a[i] = (float)op_noise(1, i);
                for (size_t i = 0; i < batch * n * d; i++)
                        b[i] = (float)op_noise(2, i);
                for (int threads = 1; threads < 18;
                        threads = threads * 2 + threads / 2) { /* 1 2 5 12 */
                        const rs_rows ra = {
                                .data = a, .batch = m * d, .sj = d, .len = d ? d : 1, .sr = 1};
                        const rs_rows rb = {
                                .data = b, .batch = n * d, .sj = 1, .len = d ? d : 1, .sr = n};
                        const sink to = {c, m, n};
                        const rs_gemm g = {.batch = batch,
                                .m = m,
                                .n = n,
                                .k = d,
                                .pack_a = rs_rows_packer(RESECT_FLOAT),
                                .a = &ra,
                                .pack_b = rs_rows_packer(RESECT_FLOAT),
                                .b = &rb,
                                .emit = keep,
                                .c = &to,
                                .isa = isa};
                        void *scratch = rs_alloc_aligned(rs_gemm_scratch(threads), &err);
                        memset(c, 0, batch * m * n * sizeof *c);
                        rs_gemm_run(&g, threads, scratch);
                        rs_free_aligned(scratch);
                        for (size_t e = 0; e < batch * m * n; e++) {
                                const size_t p = e / (m * n), i = e / n % m, j = e % n;
                                double want = 0;
                                for (size_t q = 0; q < d; q++)
                                        want += (double)a[(p * m + i) * d + q] *
                                                (double)b[(p * d + q) * n + j];
                                ck_assert_msg(c[e] == want,
                                        "%s: shape %zu element %zu: %.17g, want %.17g",
                                        rs_gemm_isa_name(isa), k, e, c[e], want);
                        }
                }
                rs_free(a);
                rs_free(b);
                rs_free(c);
        }
}
END_TEST

/* transA, transB and each shape that C may have. */
START_TEST(gemm_forms)
{
        op_run r;
        const int ta = _i & 1, tb = _i >> 1 & 1, form = _i >> 2;
        const int m = 5, n = 7, k = 3;
        static const int c_dims[5][3] = {{0, 0, 0}, {2, 5, 7}, {1, 7, 0}, {2, 5, 1}, {0, 0, 0}};

        for (int grad = 0; grad < 2; grad++) {
                const int dtype = grad ? RESECT_DOUBLE : RESECT_FLOAT;
                op_start(&r, "Gemm", 11);
                op_int(&r, "transA", ta);
                op_int(&r, "transB", tb);
                op_float(&r, "alpha", 0.5F);
                op_float(&r, "beta", -2);
                op_in(&r, dtype, 2, ta ? k : m, ta ? m : k);
                op_in(&r, dtype, 2, tb ? n : k, tb ? k : n);
                if (form < 4)
                        op_in(&r, dtype, c_dims[form][0], c_dims[form][1], c_dims[form][2]);
                if (grad) {
                        op_gradients(&r, form < 4 ? 7 : 3, 1e-3, 1e-8);
                        op_free(&r);
                        continue;
                }
                op_forward(&r);
                for (int i = 0; i < m; i++)
                        for (int j = 0; j < n; j++) {
                                double want = 0;
                                for (int q = 0; q < k; q++)
                                        want += 0.5 * op_get(&r.in[0], ta ? q * m + i : i * k + q) *
                                                op_get(&r.in[1], tb ? j * k + q : q * n + j);
                                if (form < 4)
                                        want += -2 * op_get(&r.in[2], form == 0   ? 0
                                                                      : form == 1 ? i * n + j
                                                                      : form == 2 ? j
                                                                                  : i);
                                ck_assert_double_eq_tol(op_get(&r.out[0], i * n + j), want, 1e-6);
                        }
                op_free(&r);
        }
}
END_TEST

START_TEST(matmul_gradients)
{
        op_run r;

        op_start(&r, "MatMul", 13);
        op_in(&r, RESECT_DOUBLE, 4, 2, 1, 3, 4);
        op_in(&r, RESECT_DOUBLE, 3, 3, 4, 2);
        op_gradients(&r, 3, 1e-3, 1e-8);
        ck_assert_int_eq(r.out[0].rank, 4);
        ck_assert_int_eq(r.out[0].dims[1], 3);
        op_free(&r);
        op_start(&r, "MatMul", 13); /* vectors on both sides */
        op_in(&r, RESECT_DOUBLE, 1, 4);
        op_in(&r, RESECT_DOUBLE, 1, 4);
        op_gradients(&r, 3, 1e-3, 1e-8);
        ck_assert_int_eq(r.out[0].rank, 0);
        op_free(&r);
        op_start(&r, "MatMul", 13); /* one right side for a stack */
        op_in(&r, RESECT_DOUBLE, 3, 3, 2, 4);
        op_in(&r, RESECT_DOUBLE, 2, 4, 5);
        op_gradients(&r, 3, 1e-3, 1e-8);
        op_free(&r);
        op_start(&r, "MatMul", 13);
        op_in(&r, RESECT_DOUBLE, 3, 3, 2, 4);
        op_in(&r, RESECT_DOUBLE, 1, 4);
        op_gradients(&r, 3, 1e-3, 1e-8);
        op_free(&r);
}
END_TEST

START_TEST(integers_wrap)
{
        op_run r;

        op_start(&r, "MatMul", 13);
        op_in(&r, RESECT_INT32, 2, 1, 2);
        op_in(&r, RESECT_INT32, 2, 2, 1);
        ((int32_t *)r.in[0].data)[0] = 1 << 30;
        ((int32_t *)r.in[0].data)[1] = 3;
        ((int32_t *)r.in[1].data)[0] = 4;
        ((int32_t *)r.in[1].data)[1] = -7;
        op_forward(&r);
        ck_assert_int_eq(((int32_t *)r.out[0].data)[0], -21);
        op_free(&r);
}
END_TEST

int
main(void)
{
        Suite *s = suite_create("op_product");
        TCase *c = tcase_create("all");

        tcase_set_timeout(c, 300);
        tcase_add_loop_test(c, every_instruction_set_is_the_plain_sum, 0, 3);
        tcase_add_loop_test(c, gemm_forms, 0, 20);
        tcase_add_test(c, matmul_gradients);
        tcase_add_test(c, integers_wrap);
        suite_add_tcase(s, c);
        SRunner *r = srunner_create(s);
        srunner_run_all(r, CK_NORMAL);
        const int failed = srunner_ntests_failed(r);
        srunner_free(r);
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
