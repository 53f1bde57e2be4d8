/* SPDX-License-Identifier: 0BSD */
/* 1x1 convolutions against the reference Conv, and their gradients against sums in double, on
 * noise; what a stride takes, against plain loops. */
#include "onednn/pointconv.h"
#include "onednn/strided.h"
#include "op_run.h"

static const struct shape {
        int n, c, o, h, w;
        double error; /* of the largest output */
} shapes[] = {
        {1, 16, 16, 1, 1, 1e-6},     /* one position */
        {2, 16, 64, 3, 7, 1e-6},     /* blocks of uneven positions */
        {3, 48, 112, 5, 5, 1e-6},    /* the last chunk has three vectors */
        {1, 32, 96, 15, 15, 1e-6},   /* two vectors; tiles */
        {2, 64, 80, 11, 13, 1e-6},   /* one vector; tiles of uneven positions */
        {1, 512, 128, 7, 7, 2e-6},   /* plain: positions are odd */
        {1, 512, 128, 8, 8, 2e-6},   /* plain: does not pay */
        {1, 256, 256, 1, 2, 1e-5},   /* seven products, one position in each half */
        {2, 256, 256, 6, 5, 1e-5},   /* halves of uneven blocks */
        {3, 288, 384, 14, 14, 2e-5}, /* tiles */
        {1, 128, 640, 15, 14, 1e-5}, /* tiles of uneven positions */
        {6, 48, 80, 7, 6, 2e-6},     /* gradients: panels of two pictures */
};
enum { N_SHAPES = sizeof shapes / sizeof *shapes };

static float *
buffer(size_t bytes)
{
        resect_error err = {0};
        float *p = rs_alloc_aligned(bytes + 64, &err);

        ck_assert_ptr_nonnull(p);
        memset(p, 0xff, bytes + 64); /* not a number */
        return p;
}

/* [N, C, H, W] to [N, C/16, H, W, 16] */
static float *
blocked(const resect_tensor *t)
{
        const size_t c = (size_t)t->dims[1], pixels = (size_t)(t->dims[2] * t->dims[3]);
        float *b = buffer(t->size);

        for (size_t e = 0; e < t->size / 4; e++) {
                const size_t n = e / (c * pixels), k = e / pixels % c, at = e % pixels;
                b[((n * (c / 16) + k / 16) * pixels + at) * 16 + k % 16] = ((float *)t->data)[e];
        }
        return b;
}

/* y for `threads`, into a new buffer that held `old` when it is to be added. */
static float *
convolve(rs_pointconv p, int threads, const float *x, const float *w, const float *bias,
        const float *old, bool relu)
{
        const size_t size = p.n * p.o * p.s * sizeof(float);

        p.threads = threads;
        float *u = buffer(rs_pointconv_weight_bytes(&p)), *y = buffer(size);
        float *scratch = buffer(rs_pointconv_scratch(&p));
        if (old)
                memcpy(y, old, size);
        rs_pointconv_weights(&p, w, false, u);
        rs_pointconv_forward(&p, x, u, bias, old != NULL, relu, y, scratch);
        for (size_t i = 0; i < 64; i++) { /* nothing was written behind the buffers */
                ck_assert_int_eq(((unsigned char *)y)[size + i], 0xff);
                ck_assert_int_eq(((unsigned char *)scratch)[rs_pointconv_scratch(&p) + i], 0xff);
                ck_assert_int_eq(((unsigned char *)u)[rs_pointconv_weight_bytes(&p) + i], 0xff);
        }
        rs_free_aligned(u);
        rs_free_aligned(scratch);
        return y;
}

START_TEST(test_forward)
{
        const struct shape *t = &shapes[_i];
        const rs_pointconv p = {
                (size_t)t->n, (size_t)t->c, (size_t)t->o, (size_t)t->h * (size_t)t->w, 1};
        if (!rs_pointconv_able(&p)) {
                fprintf(stderr, "no AVX-512: 1x1 convolutions are not tested\n");
                return;
        }
        op_run r;
        op_start(&r, "Conv", 11);
        op_in(&r, RESECT_FLOAT, 4, t->n, t->c, t->h, t->w);
        op_in(&r, RESECT_FLOAT, 4, t->o, t->c, 1, 1);
        op_in(&r, RESECT_FLOAT, 1, t->o);
        for (size_t i = 0; i < 3; i++)
                for (size_t k = 0; k < r.in[i].size / 4; k++)
                        ((float *)r.in[i].data)[k] = (float)op_noise(i + 1, k);
        op_forward(&r);
        float *x = blocked(&r.in[0]), *want = blocked(&r.out[0]);
        const float *w = r.in[1].data, *bias = r.in[2].data;
        const size_t n = p.n * p.o * p.s;
        double most = 0;

        for (size_t i = 0; i < n; i++)
                most = fmax(most, fabs(want[i]));
        float *old = buffer(n * 4);
        for (size_t i = 0; i < n; i++)
                old[i] = (float)op_noise(7, i);
        for (int way = 0; way < 8; way++) { /* bias, add, relu */
                float *y =
                        convolve(p, 1, x, w, way & 1 ? bias : NULL, way & 2 ? old : NULL, way & 4);
                for (size_t i = 0; i < n; i++) {
                        const size_t o = i / (p.s * 16) % (p.o / 16) * 16 + i % 16;
                        double right =
                                (double)want[i] - (way & 1 ? 0 : bias[o]) + (way & 2 ? old[i] : 0);
                        if (way & 4)
                                right = fmax(right, 0);
                        ck_assert_msg(fabs(y[i] - right) <= t->error * fmax(most, 1),
                                "shape %d, way %d: %zu is %g, not %g, of %g", _i, way, i, y[i],
                                right, most);
                }
                for (int threads = 2; threads <= 5; threads += 3) {
                        float *same = convolve(p, threads, x, w, way & 1 ? bias : NULL,
                                way & 2 ? old : NULL, way & 4);
                        ck_assert_int_eq(memcmp(same, y, n * 4), 0);
                        rs_free_aligned(same);
                }
                rs_free_aligned(y);
        }
        rs_free_aligned(x);
        rs_free_aligned(want);
        rs_free_aligned(old);
        op_free(&r);
}
END_TEST

/* Element (n, channel, position) of [N, channels/16, S, 16]. */
static size_t
at(const rs_pointconv *p, size_t channels, size_t n, size_t c, size_t s)
{
        return ((n * (channels / 16) + c / 16) * p->s + s) * 16 + c % 16;
}

static float *
noise(uint64_t seed, size_t n)
{
        float *f = buffer(n * 4);

        for (size_t i = 0; i < n; i++)
                f[i] = (float)op_noise(seed, i);
        return f;
}

static void
near(const char *what, const float *got, const double *want, size_t n, double error)
{
        double most = 0;

        for (size_t i = 0; i < n; i++)
                most = fmax(most, fabs(want[i]));
        for (size_t i = 0; i < n; i++)
                ck_assert_msg(fabs(got[i] - want[i]) <= error * most,
                        "%s: %zu is %g, not %g, of %g", what, i, got[i], want[i], most);
}

START_TEST(test_gradients)
{
        const struct shape *t = &shapes[_i];
        rs_pointconv p = {(size_t)t->n, (size_t)t->c, (size_t)t->o, (size_t)t->h * (size_t)t->w, 1};
        if (!rs_pointconv_able(&p)) {
                fprintf(stderr, "no AVX-512: gradients of 1x1 convolutions are not tested\n");
                return;
        }
        const size_t nx = p.n * p.c * p.s, nw = p.c * p.o;
        float *x = noise(1, nx), *dy = noise(2, p.n * p.o * p.s), *w = noise(3, nw);
        double *dx_want = calloc(nx, sizeof *dx_want), *dw_want = calloc(nw, sizeof *dw_want);
        for (size_t n = 0; n < p.n; n++)
                for (size_t o = 0; o < p.o; o++)
                        for (size_t c = 0; c < p.c; c++)
                                for (size_t s = 0; s < p.s; s++) {
                                        const double g = dy[at(&p, p.o, n, o, s)];
                                        dx_want[at(&p, p.c, n, c, s)] += g * w[o * p.c + c];
                                        dw_want[o * p.c + c] += g * x[at(&p, p.c, n, c, s)];
                                }
        float *dx_first = NULL, *dw_first = NULL;
        for (p.threads = 1; p.threads <= 5; p.threads += 2) {
                const rs_pointconv back = {p.n, p.o, p.c, p.s, p.threads};
                float *u = buffer(rs_pointconv_weight_bytes(&back)), *dx = buffer(nx * 4);
                float *scratch = buffer(rs_pointconv_scratch(&back));
                rs_pointconv_weights(&back, w, true, u);
                rs_pointconv_forward(&back, dy, u, NULL, false, false, dx, scratch);
                rs_free_aligned(scratch);
                float *dw = buffer(nw * 4);
                scratch = buffer(rs_pointconv_scratch(&p));
                rs_pointconv_weight_gradient(&p, x, dy, dw, scratch);
                for (size_t i = 0; i < 64; i++) { /* nothing was written behind the buffers */
                        ck_assert_int_eq(((unsigned char *)dw)[nw * 4 + i], 0xff);
                        ck_assert_int_eq(
                                ((unsigned char *)scratch)[rs_pointconv_scratch(&p) + i], 0xff);
                }
                rs_free_aligned(scratch);
                rs_free_aligned(u);
                near("dx", dx, dx_want, nx, t->error);
                near("dw", dw, dw_want, nw, t->error);
                if (!dx_first) {
                        dx_first = dx;
                        dw_first = dw;
                        continue;
                }
                ck_assert_mem_eq(dx, dx_first, nx * 4);
                ck_assert_mem_eq(dw, dw_first, nw * 4);
                rs_free_aligned(dx);
                rs_free_aligned(dw);
        }
        rs_free_aligned(dx_first);
        rs_free_aligned(dw_first);
        rs_free_aligned(x);
        rs_free_aligned(dy);
        rs_free_aligned(w);
        free(dx_want);
        free(dw_want);
}
END_TEST

START_TEST(test_able)
{
        const rs_pointconv good = {2, 32, 48, 9, 1};
        if (!rs_pointconv_able(&good)) {
                fprintf(stderr, "no AVX-512: 1x1 convolutions are not tested\n");
                return;
        }
        for (int k = 0; k < 8; k++) {
                rs_pointconv p = good;
                size_t *const at[] = {&p.n, &p.c, &p.o, &p.s};
                *at[k % 4] = k < 4 ? 0 : SIZE_MAX / 16 * 16;
                ck_assert_msg(!rs_pointconv_able(&p), "%d", k);
        }
        ck_assert(!rs_pointconv_able(&(rs_pointconv){1, 24, 16, 4, 1}));
        ck_assert(!rs_pointconv_able(&(rs_pointconv){1, 16, 17, 4, 1}));
}
END_TEST

/* Even and uneven sizes, steps that differ, rows and columns left over at the end. */
START_TEST(test_strided)
{
        static const rs_strided all[] = {{3, 64, 6, 8, 3, 4, 2, 2, 1}, {2, 64, 7, 9, 4, 5, 2, 2, 3},
                {1, 64, 8, 10, 3, 4, 3, 3, 2}, {2, 64, 5, 6, 5, 2, 1, 3, 2},
                {1, 64, 1, 1, 1, 1, 2, 2, 1}, {1, 64, 9, 9, 2, 2, 3, 3, 2}};
        const rs_strided *s = &all[_i];
        const size_t n = s->planes * s->h * s->w * 16, m = s->planes * s->oh * s->ow * 16;
        float *x = buffer(n * sizeof *x), *some = buffer(m * sizeof *some),
              *want = buffer(n * sizeof *x);

        ck_assert_uint_eq(rs_strided_bytes(s), m * sizeof *some);
        for (size_t i = 0; i < n; i++)
                x[i] = (float)i;
        rs_strided_gather(s, x, some);
        memcpy(want, x, n * sizeof *x);
        for (size_t i = 0; i < m; i++) {
                const size_t lane = i % 16, ow = i / 16 % s->ow, oh = i / 16 / s->ow % s->oh,
                             plane = i / 16 / s->ow / s->oh;
                const size_t at =
                        ((plane * s->h + oh * s->step_h) * s->w + ow * s->step_w) * 16 + lane;
                ck_assert(some[i] == (float)at);
                some[i] = (float)(i % 1000) + 1;
                want[at] += some[i];
        }
        rs_strided_spread(s, some, true, x);
        ck_assert_mem_eq(x, want, n * sizeof *x);
        for (size_t i = 0; i < n; i++)
                want[i] -= (float)i;
        memset(x, 0xff, n * sizeof *x);
        rs_strided_spread(s, some, false, x);
        for (size_t i = 0; i < n; i++)
                ck_assert(x[i] == want[i]);
        rs_free_aligned(x);
        rs_free_aligned(some);
        rs_free_aligned(want);
}
END_TEST

int
main(void)
{
        Suite *s = suite_create("pointconv");
        TCase *t = tcase_create("pointconv");

        tcase_set_timeout(t, 120);
        tcase_add_loop_test(t, test_forward, 0, N_SHAPES);
        tcase_add_loop_test(t, test_gradients, 0, N_SHAPES);
        tcase_add_test(t, test_able);
        tcase_add_loop_test(t, test_strided, 0, 6);
        suite_add_tcase(s, t);
        SRunner *r = srunner_create(s);
        srunner_run_all(r, CK_NORMAL);
        const int failed = srunner_ntests_failed(r);
        srunner_free(r);
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
