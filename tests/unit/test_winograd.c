/* SPDX-License-Identifier: 0BSD */
/* Winograd's convolutions against the reference Conv, forward and both gradients, on unit normals.
 */
#include "onednn/winograd.h"
#include "op_run.h"

static const struct shape {
        int n, c, o, h, w, pt, pl, pb, pr;
        bool once;  /* trained weights are read as they lie */
        double off; /* at most, of the largest value */
} shapes[] = {
        {1, 16, 16, 1, 1, 1, 1, 1, 1, false, 2e-5},     /* one pixel */
        {1, 16, 32, 5, 7, 0, 0, 0, 0, false, 2e-5},     /* no padding */
        {3, 48, 16, 9, 6, 1, 0, 0, 2, false, 2e-5},     /* uneven, one vector of outputs */
        {2, 32, 48, 8, 13, 1, 1, 1, 1, false, 2e-5},    /* the last chunk has one vector */
        {2, 16, 64, 3, 33, 2, 2, 2, 2, false, 2e-5},    /* as much padding as there can be */
        {1, 16, 16, 2, 3, 0, 1, 2, 2, false, 2e-5},     /* mostly padding */
        {1, 256, 32, 14, 14, 1, 1, 1, 1, false, 2e-5},  /* tiles of 5 */
        {8, 256, 32, 14, 14, 1, 1, 1, 1, false, 1e-4},  /* tiles of 7, whole */
        {9, 144, 176, 10, 10, 1, 1, 1, 1, true, 2e-5},  /* tiles of 5, shared */
        {4, 160, 160, 7, 7, 1, 1, 1, 1, true, 2e-5},    /* tiles of 4, shared */
        {2, 160, 160, 34, 34, 1, 1, 1, 1, false, 1e-4}, /* tiles of 7, in groups, shared */
        {3, 64, 64, 56, 60, 1, 1, 1, 1, false, 1e-4},   /* tiles of 7, many groups, runs */
};
enum { N_SHAPES = sizeof shapes / sizeof *shapes };

/* Unit normals (Box and Muller). */
static void
fill(float *p, size_t n, uint64_t seed)
{
        for (size_t i = 0; i < n; i++) {
                const double a = fabs(op_noise(seed, 2 * i)) / 1.02, b = op_noise(seed, 2 * i + 1);
                p[i] = (float)(sqrt(-2 * log(a)) * cos(3.14159265358979 * b));
        }
}

/* What both sides compute, in nChw16c on one and plain on the other. */
typedef struct side {
        op_run r;
        rs_winograd p;
        float *x, *y, *dy, *dx, *dw;
} side;

static float *
buffer(size_t bytes)
{
        resect_error err = {0};
        float *p = rs_alloc_aligned(bytes, &err);

        ck_assert_ptr_nonnull(p);
        memset(p, 0xff, bytes); /* not a number */
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

/* The largest difference against the largest value is that of rounding. */
static void
near(const char *what, const float *got, const float *want, size_t n, double bound)
{
        double most = 0, off = 0;

        for (size_t i = 0; i < n; i++) {
                const double d = fabs((double)got[i] - want[i]);
                most = fmax(most, fabs(want[i]));
                if (!(d <= off))
                        off = d;
        }
        ck_assert_msg(off <= bound * most, "shape %s: off by %g of %g", what, off, most);
}

/* The reference: y without relu, and the gradients. */
static void
reference(side *s, const struct shape *t)
{
        resect_error err = {0};
        op_run *r = &s->r;

        op_start(r, "Conv", 11);
        op_ints(r, "pads", 4, t->pt, t->pl, t->pb, t->pr);
        op_in(r, RESECT_FLOAT, 4, t->n, t->c, t->h, t->w);
        op_in(r, RESECT_FLOAT, 4, t->o, t->c, 3, 3);
        op_in(r, RESECT_FLOAT, 1, t->o);
        for (size_t i = 0; i < 3; i++)
                fill(r->in[i].data, r->in[i].size / 4, i + 1);
        op_forward(r);
        CK_OK(resect_tensor_make(&r->dout[0], RESECT_FLOAT, 4, r->out[0].dims, &err), err);
        fill(r->dout[0].data, r->dout[0].size / 4, 4);
        r->call.dout[0] = &r->dout[0];
        for (size_t i = 0; i < 2; i++) {
                CK_OK(resect_tensor_make(&r->din[i], RESECT_FLOAT, 4, r->in[i].dims, &err), err);
                r->call.din[i] = &r->din[i];
        }
        r->op->backward(&r->call);
        const int64_t *d = r->out[0].dims;
        s->p = (rs_winograd){(size_t)t->n, (size_t)t->c, (size_t)t->o, (size_t)t->h, (size_t)t->w,
                (size_t)d[2], (size_t)d[3], t->pt, t->pl, 1, RS_WINO_PACKED, false};
        s->x = blocked(&r->in[0]);
        s->y = blocked(&r->out[0]);
        s->dy = blocked(&r->dout[0]);
        s->dx = blocked(&r->din[0]);
        s->dw = r->din[1].data;
}

static void
free_side(side *s)
{
        float *const all[] = {s->x, s->y, s->dy, s->dx};

        for (size_t i = 0; i < 4; i++)
                rs_free_aligned(all[i]);
        op_free(&s->r);
}

static int dense_too; /* how often they were */

/* y or dx, into a new buffer that held `old` when it is to be added. */
static float *
convolve(const rs_winograd *p, const float *x, const float *w, bool gradient, const float *bias,
        const float *old, bool relu)
{
        const size_t size = p->n * p->o * p->oh * p->ow * sizeof(float);
        float *u = buffer(rs_winograd_weight_bytes(p)), *scratch = buffer(rs_winograd_scratch(p));
        float *y = buffer(size);

        ck_assert(rs_winograd_able(p));
        if (old)
                memcpy(y, old, size);
        rs_winograd_weights(p, w, gradient, u);
        rs_winograd_forward(p, x, u, bias, old != NULL, relu, y, scratch);
        if (rs_winograd_reads_once(p) && !p->kept) { /* not packed: the same bits */
                rs_winograd dense = *p;
                float *z = buffer(size);
                dense.weights = gradient ? RS_WINO_TURNED : RS_WINO_DENSE;
                if (old)
                        memcpy(z, old, size);
                rs_winograd_forward(&dense, x, w, bias, old != NULL, relu, z, scratch);
                ck_assert_mem_eq(y, z, size);
                rs_free_aligned(z);
                dense_too++;
        }
        rs_free_aligned(u);
        rs_free_aligned(scratch);
        return y;
}

static float *
weight_gradient(const rs_winograd *p, const float *x, const float *dy)
{
        float *scratch = buffer(rs_winograd_scratch(p));
        float *dw = buffer(p->o * p->c * 9 * sizeof(float));

        rs_winograd_weight_gradient(p, x, dy, dw, scratch);
        rs_free_aligned(scratch);
        return dw;
}

START_TEST(is_the_reference)
{
        const struct shape *t = &shapes[_i];
        side s = {0};

        reference(&s, t);
        if (!rs_winograd_able(&s.p)) {
                puts("SKIP: no AVX-512 here");
                free_side(&s);
                return;
        }
        const float *w = s.r.in[1].data, *bias = s.r.in[2].data;
        const size_t ny = s.r.out[0].size / 4, nx = s.r.in[0].size / 4, nw = s.r.in[1].size / 4;
        for (s.p.threads = 1; s.p.threads <= 3; s.p.threads++) {
                const rs_winograd back = rs_winograd_turned(&s.p);
                float *y = convolve(&s.p, s.x, w, false, bias, NULL, false);
                float *dx = convolve(&back, s.dy, w, true, NULL, NULL, false);
                float *dw = weight_gradient(&s.p, s.x, s.dy);
                char what[40];

                snprintf(what, sizeof what, "%d, %d threads, y", _i, s.p.threads);
                near(what, y, s.y, ny, t->off);
                snprintf(what, sizeof what, "%d, %d threads, dx", _i, s.p.threads);
                near(what, dx, s.dx, nx, t->off);
                snprintf(what, sizeof what, "%d, %d threads, dw", _i, s.p.threads);
                near(what, dw, s.dw, nw, t->off);
                rs_winograd kept = s.p;
                kept.kept = true;
                float *again = convolve(&kept, s.x, w, false, bias, NULL, false);
                ck_assert_mem_eq(again, y, ny * 4);
                rs_free_aligned(again);
                if (s.p.n > 1) { /* all pictures but the last */
                        const size_t some = ny / s.p.n * (s.p.n - 1);
                        float *u = buffer(rs_winograd_weight_bytes(&s.p));
                        float *scratch = buffer(rs_winograd_scratch(&s.p)), *z = buffer(ny * 4);
                        rs_winograd_weights(&s.p, w, false, u);
                        rs_winograd_forward_first(
                                &s.p, s.p.n - 1, s.x, u, bias, false, false, z, scratch);
                        ck_assert_mem_eq(z, y, some * 4);
                        for (size_t i = some; i < ny; i++)
                                ck_assert(isnan(z[i]));
                        rs_free_aligned(u);
                        rs_free_aligned(scratch);
                        rs_free_aligned(z);
                }
                /* one thread's results are what those of more are compared with, bit for bit */
                if (s.p.threads == 1) {
                        memcpy(s.y, y, ny * 4);
                        memcpy(s.dx, dx, nx * 4);
                        memcpy(s.dw, dw, nw * 4);
                }
                ck_assert_mem_eq(y, s.y, ny * 4);
                ck_assert_mem_eq(dx, s.dx, nx * 4);
                ck_assert_mem_eq(dw, s.dw, nw * 4);
                rs_free_aligned(y);
                rs_free_aligned(dx);
                rs_free_aligned(dw);
        }
        ck_assert_int_eq(dense_too, t->once ? 2 * 3 : 0);
        free_side(&s);
}
END_TEST

/* Bias, what is added and relu, each alone and together, to the bit: a sum is rounded after each.
 */
START_TEST(ends)
{
        const struct shape *t = &shapes[3];
        side s = {0};

        reference(&s, t);
        if (!rs_winograd_able(&s.p)) {
                puts("SKIP: no AVX-512 here");
                free_side(&s);
                return;
        }
        const float *w = s.r.in[1].data, *bias = s.r.in[2].data;
        const size_t ny = s.r.out[0].size / 4, pixels = s.p.oh * s.p.ow;
        float *plain = convolve(&s.p, s.x, w, false, NULL, NULL, false);
        for (int k = 1; k < 8; k++) {
                float *y = convolve(
                        &s.p, s.x, w, false, k & 1 ? bias : NULL, k & 2 ? s.dy : NULL, k & 4);
                for (size_t i = 0; i < ny; i++) {
                        float want = plain[i];
                        if (k & 1)
                                want += bias[i / (pixels * 16) % (s.p.o / 16) * 16 + i % 16];
                        if (k & 2)
                                want += s.dy[i];
                        if (k & 4)
                                want = want > 0 ? want : 0;
                        ck_assert_msg(
                                y[i] == want, "%d, %zu: want %.9g, got %.9g", k, i, want, y[i]);
                }
                rs_free_aligned(y);
        }
        rs_free_aligned(plain);
        free_side(&s);
}
END_TEST

/* What is not a number stays visible, through relu too, in the picture where it is and no other. */
START_TEST(not_a_number)
{
        const rs_winograd p = {3, 16, 16, 9, 9, 9, 9, 1, 1, 2, RS_WINO_PACKED, false};
        const size_t each = 16 * 81;

        if (!rs_winograd_able(&p)) {
                puts("SKIP: no AVX-512 here");
                return;
        }
        float *x = buffer(3 * each * 4), *w = buffer(16 * 16 * 9 * 4);
        fill(x, 3 * each, 1);
        fill(w, 16 * 16 * 9, 2);
        x[each + (4 * 9 + 4) * 16 + 3] = NAN;
        float *y = convolve(&p, x, w, false, NULL, NULL, true);
        for (size_t i = 0; i < 3 * each; i++)
                if (i / each != 1)
                        ck_assert(!isnan(y[i]));
        for (int i = 0; i < 9; i++)
                for (int o = 0; o < 16; o++)
                        ck_assert(isnan(
                                y[each + (size_t)((3 + i / 3) * 9 + 3 + i % 3) * 16 + (size_t)o]));
        rs_free_aligned(x);
        rs_free_aligned(w);
        rs_free_aligned(y);
}
END_TEST

START_TEST(refuses)
{
        const rs_winograd good = {1, 16, 32, 8, 8, 8, 8, 1, 1, 1, RS_WINO_PACKED, false};

        if (!rs_winograd_able(&good)) {
                puts("SKIP: no AVX-512 here");
                return;
        }
        for (int k = 0; k < 18; k++) {
                rs_winograd p = good;
                size_t *const sizes[] = {&p.n, &p.c, &p.o, &p.h, &p.w, &p.oh, &p.ow};
                if (k < 7)
                        *sizes[k] = 0;
                else if (k < 9)
                        *sizes[k - 6] = 24; /* channels that are not of blocks of 16 */
                else if (k < 11)
                        *sizes[k - 9] = SIZE_MAX / 64 * 16;
                else
                        *sizes[k - 11] = SIZE_MAX - 15; /* a multiple of 16 that wraps round */
                ck_assert_msg(!rs_winograd_able(&p), "%d", k);
        }
}
END_TEST

int
main(void)
{
        Suite *s = suite_create("winograd");
        TCase *c = tcase_create("all");

        tcase_set_timeout(c, 300);
        tcase_add_loop_test(c, is_the_reference, 0, N_SHAPES);
        tcase_add_test(c, ends);
        tcase_add_test(c, not_a_number);
        tcase_add_test(c, refuses);
        suite_add_tcase(s, c);
        SRunner *r = srunner_create(s);
        srunner_run_all(r, CK_NORMAL);
        const int failed = srunner_ntests_failed(r);
        srunner_free(r);
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
