/* SPDX-License-Identifier: 0BSD */
/* Conv and ConvTranspose against the sums of their definitions, written as plainly as can be, and
   gradients against finite differences. */
#include "op_run.h"

/* A two-dimensional case. */
typedef struct conv_case {
        int n, c, h, w, m, kh, kw, group, sh, sw, dh, dw, pt, pl, pb, pr, bias;
} conv_case;

static const conv_case cases[] = {
        {1, 3, 9, 8, 4, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, /* the common one */
        {2, 4, 7, 7, 6, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0}, /* pointwise */
        {3, 4, 6, 6, 8, 1, 1, 1, 2, 2, 1, 1, 0, 0, 0, 0, 1}, /* pointwise, strided: a downsample */
        {2, 3, 15, 13, 5, 7, 7, 1, 2, 2, 1, 1, 3, 3, 3, 3, 0}, /* a stem */
        {5, 6, 1, 1, 9, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, /* only the middle tap sees anything */
        {4, 5, 2, 2, 7, 3, 3, 1, 2, 2, 1, 1, 1, 1, 1, 1, 0}, /* tiny, strided */
        {2, 6, 8, 9, 6, 3, 2, 6, 1, 2, 1, 1, 1, 0, 1, 1, 1}, /* depthwise */
        {2, 6, 8, 9, 4, 3, 3, 2, 3, 2, 2, 3, 2, 4, 0, 1,
                1}, /* groups, strides, dilations, uneven paddings */
        {1, 1, 5, 5, 1, 5, 5, 1, 1, 1, 1, 1, 4, 4, 4, 4, 0}, /* more padding than picture */
        {1, 2, 6, 5, 3, 2, 2, 1, 5, 4, 1, 1, 0, 0, 0, 0, 1}, /* stride beyond the kernel */
        {33, 24, 3, 3, 130, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1,
                1}, /* several tiles and blocks of depth */
        {3, 33, 20, 21, 20, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1,
                1}, /* images that end within a panel */
};
enum { N_CASES = sizeof cases / sizeof *cases };

static void
attributes(op_run *r, const conv_case *t)
{
        op_int(r, "group", t->group);
        op_ints(r, "strides", 2, t->sh, t->sw);
        op_ints(r, "dilations", 2, t->dh, t->dw);
        op_ints(r, "pads", 4, t->pt, t->pl, t->pb, t->pr);
}

static void
start(op_run *r, const conv_case *t, int dtype)
{
        op_start(r, "Conv", 11);
        attributes(r, t);
        op_in(r, dtype, 4, t->n, t->c, t->h, t->w);
        op_in(r, dtype, 4, t->m, t->c / t->group, t->kh, t->kw);
        if (t->bias)
                op_in(r, dtype, 1, t->m);
}

/* The definition, for one output. */
static double
naive(const op_run *r, const conv_case *t, int64_t n, int64_t m, int64_t oy, int64_t ox)
{
        const int cg = t->c / t->group, first = (int)m / (t->m / t->group) * cg;
        double sum = 0;

        for (int c = 0; c < cg; c++)
                for (int i = 0; i < t->kh; i++)
                        for (int j = 0; j < t->kw; j++) {
                                const int64_t y = oy * t->sh + i * t->dh - t->pt;
                                const int64_t x = ox * t->sw + j * t->dw - t->pl;
                                if (y < 0 || y >= t->h || x < 0 || x >= t->w)
                                        continue;
                                sum += op_get(&r->in[1], ((m * cg + c) * t->kh + i) * t->kw + j) *
                                       op_get(&r->in[0],
                                               ((n * t->c + first + c) * t->h + y) * t->w + x);
                        }
        return sum;
}

/* floats: the very sum in double, rounded once. So the result has the same bits on any machine. */
START_TEST(is_the_definition)
{
        const conv_case *t = &cases[_i];
        op_run r;

        start(&r, t, RESECT_FLOAT);
        op_forward(&r);
        const int64_t *d = r.out[0].dims;
        ck_assert_int_eq(d[2], (t->h + t->pt + t->pb - (t->kh - 1) * t->dh - 1) / t->sh + 1);
        ck_assert_int_eq(d[3], (t->w + t->pl + t->pr - (t->kw - 1) * t->dw - 1) / t->sw + 1);
        int64_t e = 0;
        for (int64_t n = 0; n < d[0]; n++)
                for (int64_t m = 0; m < d[1]; m++)
                        for (int64_t y = 0; y < d[2]; y++)
                                for (int64_t x = 0; x < d[3]; x++, e++) {
                                        double v = naive(&r, t, n, m, y, x);
                                        if (t->bias)
                                                v += op_get(&r.in[2], m);
                                        ck_assert_msg((float)v == (float)op_get(&r.out[0], e),
                                                "case %d [%d %d %d %d]: want %.9g, got %.9g", _i,
                                                (int)n, (int)m, (int)y, (int)x, v,
                                                op_get(&r.out[0], e));
                                }
        op_free(&r);
}
END_TEST

START_TEST(threads_change_nothing)
{
        const conv_case *t = &cases[_i];
        op_run a, b;

        start(&a, t, RESECT_FLOAT);
        start(&b, t, RESECT_FLOAT);
        a.x.threads = a.call.threads = 1;
        b.x.threads = b.call.threads = 5;
        op_forward(&a);
        op_forward(&b);
        ck_assert_mem_eq(a.out[0].data, b.out[0].data, a.out[0].size);
        resect_error err = {0};
        for (size_t i = 0; i < a.x.n_in; i++)
                for (int k = 0; k < 2; k++) {
                        op_run *r = k ? &b : &a;
                        CK_OK(resect_tensor_make(
                                      &r->din[i], RESECT_FLOAT, r->in[i].rank, r->in[i].dims, &err),
                                err);
                        r->call.din[i] = &r->din[i];
                }
        a.call.dout[0] = &a.out[0];
        b.call.dout[0] = &b.out[0];
        a.op->backward(&a.call);
        b.op->backward(&b.call);
        for (size_t i = 0; i < a.x.n_in; i++)
                ck_assert_mem_eq(a.din[i].data, b.din[i].data, a.din[i].size);
        op_free(&a);
        op_free(&b);
}
END_TEST

START_TEST(gradients)
{
        const conv_case *t = &cases[_i];
        op_run r;

        if (t->n > 30 || t->c > 30)
                return; /* large ones: see adjoint */
        start(&r, t, RESECT_DOUBLE);
        op_gradients(&r, t->bias ? 7 : 3, 1e-3, 1e-8);
        op_free(&r);
}
END_TEST

/* Conv is bilinear: <dy, conv(x, w)> = <dx, x> = <dw, w>. Sees large cases, where differences are
 * slow. */
START_TEST(adjoint)
{
        const conv_case *t = &cases[_i];
        resect_error err = {0};
        op_run r;
        double forward = 0, sums[2] = {0, 0};

        start(&r, t, RESECT_DOUBLE);
        if (t->bias)
                memset(r.in[2].data, 0, r.in[2].size);
        op_forward(&r);
        CK_OK(resect_tensor_make(&r.dout[0], RESECT_DOUBLE, 4, r.out[0].dims, &err), err);
        r.call.dout[0] = &r.dout[0];
        for (int64_t e = 0; e < resect_tensor_count(&r.out[0]); e++) {
                ((double *)r.dout[0].data)[e] = op_noise(7, (uint64_t)e);
                forward += op_get(&r.out[0], e) * op_get(&r.dout[0], e);
        }
        for (int i = 0; i < 2; i++) {
                CK_OK(resect_tensor_make(&r.din[i], RESECT_DOUBLE, 4, r.in[i].dims, &err), err);
                r.call.din[i] = &r.din[i];
        }
        r.op->backward(&r.call);
        for (int i = 0; i < 2; i++) {
                for (int64_t e = 0; e < resect_tensor_count(&r.in[i]); e++)
                        sums[i] += op_get(&r.in[i], e) * op_get(&r.din[i], e);
                ck_assert_double_eq_tol(sums[i], forward, 1e-9 * (1 + fabs(forward)));
        }
        op_free(&r);
}
END_TEST

/* Fused residual and relu give the bits that Add and Relu would have given. */
START_TEST(fused)
{
        const conv_case *t = &cases[_i];
        resect_error err = {0};
        op_run r, plain;

        start(&plain, t, RESECT_FLOAT);
        op_forward(&plain);
        start(&r, t, RESECT_FLOAT);
        op_make(&r);
        CK_OK(resect_tensor_make(&r.residual, RESECT_FLOAT, 4, r.out[0].dims, &err), err);
        for (int64_t e = 0; e < resect_tensor_count(&r.out[0]); e++)
                ((float *)r.residual.data)[e] = (float)op_noise(5, (uint64_t)e);
        r.call.residual = &r.residual;
        r.call.relu = true;
        r.op->forward(&r.call);
        for (int64_t e = 0; e < resect_tensor_count(&r.out[0]); e++) {
                const float sum = ((float *)plain.out[0].data)[e] + ((float *)r.residual.data)[e];
                ck_assert(((float *)r.out[0].data)[e] == (sum < 0 ? 0 : sum));
        }
        op_free(&r);
        op_free(&plain);
}
END_TEST

/* ConvTranspose is Conv's adjoint: <convT(y), x> = <y, conv(x)>. */
START_TEST(transpose_is_the_adjoint)
{
        const conv_case *t = &cases[_i];
        op_run f, b;
        double left = 0, right = 0;

        start(&f, t, RESECT_DOUBLE);
        if (t->bias)
                memset(f.in[2].data, 0, f.in[2].size);
        op_forward(&f);
        op_start(&b, "ConvTranspose", 11);
        attributes(&b, t);
        /* the sizes that a stride swallowed come back as output_padding */
        const int ph = (t->h + t->pt + t->pb - (t->kh - 1) * t->dh - 1) % t->sh;
        const int pw = (t->w + t->pl + t->pr - (t->kw - 1) * t->dw - 1) % t->sw;
        op_ints(&b, "output_padding", 2, ph, pw);
        op_in(&b, RESECT_DOUBLE, 4, t->n, t->m, (int)f.out[0].dims[2], (int)f.out[0].dims[3]);
        op_in(&b, RESECT_DOUBLE, 4, t->m, t->c / t->group, t->kh, t->kw);
        memcpy(b.in[1].data, f.in[1].data, f.in[1].size);
        op_forward(&b);
        ck_assert_mem_eq(b.out[0].dims, f.in[0].dims, 4 * sizeof(int64_t));
        for (int64_t e = 0; e < resect_tensor_count(&b.out[0]); e++)
                left += op_get(&b.out[0], e) * op_get(&f.in[0], e);
        for (int64_t e = 0; e < resect_tensor_count(&f.out[0]); e++)
                right += op_get(&f.out[0], e) * op_get(&b.in[0], e);
        ck_assert_double_eq_tol(left, right, 1e-9 * (1 + fabs(left)));
        op_free(&f);
        op_free(&b);
}
END_TEST

START_TEST(transpose_gradients)
{
        op_run r;

        op_start(&r, "ConvTranspose", 11);
        op_int(&r, "group", 2);
        op_ints(&r, "strides", 2, 2, 3);
        op_ints(&r, "dilations", 2, 1, 2);
        op_ints(&r, "pads", 4, 1, 0, 0, 1);
        op_ints(&r, "output_padding", 2, 1, 2);
        op_in(&r, RESECT_DOUBLE, 4, 2, 4, 3, 4);
        op_in(&r, RESECT_DOUBLE, 4, 4, 3, 3, 2);
        op_in(&r, RESECT_DOUBLE, 1, 6);
        op_gradients(&r, 7, 1e-3, 1e-8);
        op_free(&r);
}
END_TEST

int
main(void)
{
        Suite *s = suite_create("op_conv");
        TCase *c = tcase_create("all");

        tcase_set_timeout(c, 300);
        tcase_add_loop_test(c, is_the_definition, 0, N_CASES);
        tcase_add_loop_test(c, threads_change_nothing, 0, N_CASES);
        tcase_add_loop_test(c, gradients, 0, N_CASES);
        tcase_add_loop_test(c, adjoint, 0, N_CASES);
        tcase_add_loop_test(c, fused, 0, N_CASES);
        tcase_add_loop_test(c, transpose_is_the_adjoint, 0, N_CASES);
        tcase_add_test(c, transpose_gradients);
        suite_add_tcase(s, c);
        SRunner *r = srunner_create(s);
        srunner_run_all(r, CK_NORMAL);
        const int failed = srunner_ntests_failed(r);
        srunner_free(r);
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
