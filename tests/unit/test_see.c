/* SPDX-License-Identifier: 0BSD */
/*
 * What a network looks at: gradients against finite differences, Grad-CAM by hand, occlusion and
 * Grad-CAM on pictures of which one patch alone counts, and channels whose class means are known.
 */
#include "config.h"
#include "unit.h"

#include <math.h>
#include <string.h>
#include "base/random.h"
#include "forms.h"
#include "resect/look.h"
#include "resect/see.h"
#include "scratch.h"

static const form forms[] = {
        {.blocks = {1, 1}, .width = 4, .size = 8, .classes = 3, .stem = STEM_CIFAR},
        {.blocks = {1, 1},
                .width = 4,
                .size = 8,
                .classes = 3,
                .stem = STEM_CIFAR,
                .bn = BN_FOLDED},
        {.blocks = {1, 1}, .width = 4, .size = 8, .classes = 3, .stem = STEM_CIFAR, .v2 = true},
        {.blocks = {2, 1},
                .width = 4,
                .size = 16,
                .classes = 4,
                .bottleneck = true,
                .stem = STEM_CIFAR,
                .pool = POOL_AVERAGE,
                .affine = AFFINE_CONV,
                .squeeze = SQUEEZE_NONE},
        {.blocks = {1, 1},
                .width = 4,
                .size = 32,
                .classes = 3,
                .pool = POOL_MEAN_ATTR,
                .squeeze = SQUEEZE_NONE,
                .affine = AFFINE_MATMUL,
                .end = END_SOFTMAX},
        {.blocks = {1, 1},
                .width = 4,
                .size = 8,
                .classes = 3,
                .stem = STEM_CIFAR,
                .dropout = true,
                .se = true},
        {.blocks = {1, 1},
                .width = 4,
                .size = 8,
                .stem = STEM_CIFAR,
                .affine = AFFINE_NONE,
                .nhwc = true},
        {.blocks = {1, 1},
                .width = 4,
                .size = 8,
                .classes = 3,
                .stem = STEM_CIFAR,
                .fixed_batch = true,
                .shortcut = SHORTCUT_CONCAT},
};
enum { FORMS = sizeof forms / sizeof *forms };

/* Runs from one value to others, as at inference; outputs are copied. */
static void
run(resect_model *m, const char *from, const resect_tensor *x, const char *const *to, size_t n,
        resect_tensor *out)
{
        resect_error err;
        resect_binding b = {from, *x};
        resect_plan *p = resect_plan_make(m,
                &(resect_plan_options){.inputs = &b,
                        .n_inputs = 1,
                        .outputs = to,
                        .n_outputs = n,
                        .threads = 1,
                        .kernels = RESECT_KERNELS_REFERENCE},
                &err);
        CK_OK(p != NULL, err);
        resect_exec *e = resect_exec_make(p, &err);
        CK_OK(e != NULL, err);
        resect_tensor y[16];
        ck_assert(n <= 16);
        CK_OK(resect_exec_run(e, x, y, &err), err);
        for (size_t i = 0; i < n; i++) {
                CK_OK(resect_tensor_make(&out[i], y[i].dtype, y[i].rank, y[i].dims, &err), err);
                memcpy(out[i].data, y[i].data, y[i].size);
        }
        resect_exec_free(e);
        resect_plan_free(p);
}

static resect_tensor
picture(resect_model *m, const form *f)
{
        resect_value v;
        resect_error err;
        ck_assert(resect_model_input(m, 0, &v));
        int64_t dims[4] = {1, 3, f->size, f->size};
        if (f->nhwc) {
                dims[1] = f->size;
                dims[3] = 3;
        }
        resect_tensor x;
        CK_OK(resect_tensor_make(&x, RESECT_FLOAT, 4, dims, &err), err);
        for (int64_t i = 0; i < resect_tensor_count(&x); i++)
                ((float *)x.data)[i] = (float)rs_normal(5, 6, (uint64_t)i);
        return x;
}

/* Central differences of one output along a direction. ReLU has kinks, which are rare in small
 * steps. */
static double
difference(resect_model *m, const char *from, const resect_tensor *x, const char *to, size_t output,
        const float *direction, double step)
{
        double side[2];
        for (int s = 0; s < 2; s++) {
                resect_tensor moved, y;
                resect_error err;
                CK_OK(resect_tensor_make(&moved, RESECT_FLOAT, x->rank, x->dims, &err), err);
                for (int64_t i = 0; i < resect_tensor_count(x); i++)
                        ((float *)moved.data)[i] =
                                (float)(((float *)x->data)[i] + (s ? step : -step) * direction[i]);
                run(m, from, &moved, &to, 1, &y);
                side[s] = ((float *)y.data)[output];
                resect_tensor_free(&moved);
                resect_tensor_free(&y);
        }
        return (side[1] - side[0]) / (2 * step);
}

static void
check_gradient(
        resect_model *m, const char *from, const resect_tensor *x, const char *to, const char *what)
{
        resect_error err;
        resect_gradient *g = resect_gradient_make(m, from, x, to, 1, &err);
        CK_OK(g != NULL, err);
        int64_t n = resect_tensor_count(x);
        float *dx = calloc((size_t)n, sizeof *dx),
              *direction = calloc((size_t)n, sizeof *direction);
        resect_tensor y;
        run(m, from, x, &to, 1, &y);
        ck_assert_uint_eq(resect_gradient_outputs(g), (size_t)resect_tensor_count(&y));
        for (size_t output = 0; output < 3; output++) {
                double value, dot = 0, size = 0;
                CK_OK(resect_gradient_run(g, x, output, dx, &value, &err), err);
                /* The network runs as at inference: the very numbers. */
                ck_assert_double_eq_tol(value, ((float *)y.data)[output], 1e-5 * (1 + fabs(value)));
                for (int64_t i = 0; i < n; i++) {
                        direction[i] = (float)rs_normal(9, output, (uint64_t)i);
                        dot += (double)direction[i] * dx[i];
                        size += (double)dx[i] * dx[i];
                }
                double measured = difference(m, from, x, to, output, direction, 1e-4);
                ck_assert_msg(fabs(dot - measured) <= 0.02 * sqrt(size) + 1e-3,
                        "%s, %s, output %zu: gradient %g, differences %g (length %g)", what, from,
                        output, dot, measured, sqrt(size));
                ck_assert_msg(size > 0, "%s, %s: no gradient", what, from);
        }
        ck_assert(!resect_gradient_run(g, x, resect_gradient_outputs(g), dx, NULL, &err));
        ck_assert_int_eq(err.code, RESECT_ARG);
        resect_tensor_free(&y);
        free(dx);
        free(direction);
        resect_gradient_free(g);
}

/* From the last maps and from every block, over many forms of network. */
START_TEST(gradients_by_differences)
{
        const form *f = &forms[_i];
        char what[32];
        snprintf(what, sizeof what, "form %d", _i);
        resect_error err;
        resect_model *m = form_make(f, 3);
        resect_anatomy *a = resect_anatomy_find(m, &err);
        CK_OK(a != NULL, err);
        const resect_summary *s = resect_anatomy_summary(a);
        const char *values[8];
        size_t n = 0;
        for (size_t i = 0; resect_anatomy_block(a, i); i++)
                values[n++] = resect_anatomy_block(a, i)->output;
        for (size_t i = 0; i < resect_anatomy_part_count(a); i++)
                if (!strcmp(resect_anatomy_part(a, i)->name, "pool"))
                        values[n++] = resect_anatomy_part(a, i)->input;
        ck_assert_uint_ge(n, 3);
        resect_tensor x = picture(m, f), maps[8];
        resect_value in;
        ck_assert(resect_model_input(m, 0, &in));
        run(m, in.name, &x, values, n, maps);
        const char *to = s->logits ? s->logits : s->features;
        for (size_t i = 0; i < n; i++)
                check_gradient(m, values[i], &maps[i], to, what);
        /* The picture itself is a value, too. */
        check_gradient(m, in.name, &x, to, what);
        /* Nothing flows backwards in time. */
        resect_gradient *g =
                resect_gradient_make(m, values[n - 1], &maps[n - 1], values[0], 1, &err);
        ck_assert_ptr_null(g);
        for (size_t i = 0; i < n; i++)
                resect_tensor_free(&maps[i]);
        resect_tensor_free(&x);
        resect_anatomy_free(a);
        resect_model_free(m);
}
END_TEST

START_TEST(gradcam_by_hand)
{
        const float maps[8] = {1, 2, 3, 4, 1, 0, 0, 1}, gradient[8] = {1, 1, 0, 0, -2, 0, -2, -4};
        float out[4];
        /* weights 0.5 and -2 */
        resect_gradcam(maps, gradient, 2, 2, 2, out);
        const float want[4] = {0, 1, 1.5f, 0};
        for (int i = 0; i < 4; i++)
                ck_assert_float_eq_tol(out[i], want[i], 1e-6);
}
END_TEST

START_TEST(patches_cover_the_picture)
{
        ck_assert_int_eq(resect_occlusion_steps(10, 4, 3), 3);
        ck_assert_int_eq(resect_occlusion_steps(10, 4, 4), 3);
        ck_assert_int_eq(resect_occlusion_at(10, 4, 4, 2), 6);
        ck_assert_int_eq(resect_occlusion_steps(4, 4, 1), 1);
        ck_assert_int_eq(resect_occlusion_steps(4, 5, 1), 0);
        ck_assert_int_eq(resect_occlusion_steps(4, 2, 0), 0);
        for (int side = 1; side < 20; side++)
                for (int patch = 1; patch <= side; patch++)
                        for (int stride = 1; stride <= patch; stride++) {
                                int end = 0, n = resect_occlusion_steps(side, patch, stride);
                                for (int i = 0; i < n; i++) {
                                        int at = resect_occlusion_at(side, patch, stride, i);
                                        ck_assert(at <= end && at + patch <= side);
                                        end = at + patch;
                                }
                                ck_assert_int_eq(end, side);
                        }
}
END_TEST

static double
correlation(const double *a, const double *b, size_t n)
{
        double ma = 0, mb = 0, ab = 0, aa = 0, bb = 0;
        for (size_t i = 0; i < n; i++) {
                ma += a[i] / (double)n;
                mb += b[i] / (double)n;
        }
        for (size_t i = 0; i < n; i++) {
                ab += (a[i] - ma) * (b[i] - mb);
                aa += (a[i] - ma) * (a[i] - ma);
                bb += (b[i] - mb) * (b[i] - mb);
        }
        return ab / sqrt(aa * bb);
}

/*
 * A network without biases says nothing of a black picture, so that of a picture that is black but
 * for one patch the patch alone decides. Its weights are positive and class 2 takes the sum of all,
 * so that light anywhere speaks for it.
 */
static void
plant(resect_model *m)
{
        for (size_t i = 0; i < m->graph.n_tensors; i++) {
                rs_tensor *t = m->graph.tensors[i];
                float *v = (float *)(uintptr_t)t->data.data;
                for (size_t k = 0; t->dtype == RESECT_FLOAT && k < t->count; k++)
                        v[k] = t->rank == 1   ? 0
                               : t->rank == 4 ? fabsf(v[k])
                                              : (float)(k / (size_t)t->dims[1] == 2);
        }
}

/* Makes the score of the planted class 3 for this picture. */
static void
scale_head(resect_model *m, double score)
{
        for (size_t i = 0; i < m->graph.n_tensors; i++) {
                rs_tensor *t = m->graph.tensors[i];
                float *v = (float *)(uintptr_t)t->data.data;
                for (size_t k = 0; t->rank == 2 && k < t->count; k++)
                        v[k] *= (float)(3 / score);
        }
}

START_TEST(a_patch_that_decides)
{
        enum { SIDE = 32, PATCH = 8 };
        const form f = {.blocks = {1, 1},
                .width = 8,
                .size = SIDE,
                .classes = 4,
                .stem = STEM_CIFAR,
                .bn = BN_FOLDED};
        resect_error err;
        int agreed = 0;
        for (uint64_t seed = 1; seed <= 6; seed++) {
                resect_model *m = form_make(&f, seed);
                plant(m);
                int top = (int)rs_below(seed, 1, 0, SIDE - PATCH),
                    left = (int)rs_below(seed, 1, 1, SIDE - PATCH);
                resect_tensor x = picture(m, &f), maps;
                for (int c = 0; c < 3; c++)
                        for (int i = 0; i < SIDE; i++)
                                for (int k = 0; k < SIDE; k++) {
                                        bool in = i >= top && i < top + PATCH && k >= left &&
                                                  k < left + PATCH;
                                        float *v = (float *)x.data + (c * SIDE + i) * SIDE + k;
                                        *v = in ? 8 + *v : 0;
                                }
                resect_anatomy *a = resect_anatomy_find(m, &err);
                CK_OK(a != NULL, err);
                const resect_summary *s = resect_anatomy_summary(a);
                const char *last = NULL;
                for (size_t i = 0; i < resect_anatomy_part_count(a); i++)
                        if (!strcmp(resect_anatomy_part(a, i)->name, "pool"))
                                last = resect_anatomy_part(a, i)->input;
                resect_value in;
                ck_assert(last && resect_model_input(m, 0, &in));
                const char *to[2] = {last, s->logits};
                resect_tensor both[2];
                run(m, in.name, &x, to, 2, both);
                scale_head(m, ((float *)both[1].data)[2]);
                resect_tensor_free(&both[0]);
                resect_tensor_free(&both[1]);
                run(m, in.name, &x, to, 2, both);
                maps = both[0];
                const float *z = both[1].data;
                const int64_t class = 2;
                ck_assert_float_eq_tol(z[2], 3, 1e-3);
                size_t channels = (size_t)maps.dims[1], h = (size_t)maps.dims[2],
                       w = (size_t)maps.dims[3];
                float *dx = calloc(channels * h * w, sizeof *dx), *cam = calloc(h * w, sizeof *cam);
                resect_gradient *g = resect_gradient_make(m, last, &maps, s->logits, 1, &err);
                CK_OK(g != NULL, err);
                CK_OK(resect_gradient_run(g, &maps, (size_t) class, dx, NULL, &err), err);
                resect_gradcam(maps.data, dx, channels, h, w, cam);

                const resect_input input = {.channels = 3, .height = SIDE, .width = SIDE};
                const float black[3] = {0};
                resect_occlusion o = {.input = &input,
                        .patch = PATCH,
                        .stride = 2,
                        .fill = black,
                        .classes = &class,
                        .n_classes = 1,
                        .batch = (size_t)seed, /* the batch is no matter */
                        .threads = 1,
                        .kernels = RESECT_KERNELS_REFERENCE};
                int steps = resect_occlusion_steps(SIDE, PATCH, 2);
                float *fall = calloc((size_t)(steps * steps), sizeof *fall);
                CK_OK(resect_occlude(m, x.data, &o, fall, &err), err);

                /* Where a patch does not touch it nothing falls; where it is covered all that was
                 * known is lost. */
                double sum = 0, p = 0;
                for (int k = 0; k < 4; k++)
                        sum += exp(z[k] - z[class]);
                p = 1 / sum;
                int best = 0;
                for (int i = 0; i < steps * steps; i++) {
                        int t = resect_occlusion_at(SIDE, PATCH, 2, i / steps),
                            l = resect_occlusion_at(SIDE, PATCH, 2, i % steps);
                        if (abs(t - top) >= PATCH || abs(l - left) >= PATCH)
                                ck_assert_float_eq_tol(fall[i], 0, 1e-5);
                        if (t == top && l == left)
                                ck_assert_float_eq_tol(fall[i], (float)(p - 0.25), 1e-4);
                        best = fall[i] > fall[best] ? i : best;
                }
                int t = resect_occlusion_at(SIDE, PATCH, 2, best / steps),
                    l = resect_occlusion_at(SIDE, PATCH, 2, best % steps);
                ck_assert_msg(abs(t - top) < PATCH && abs(l - left) < PATCH,
                        "occlusion: %d %d, not %d %d", t, l, top, left);

                size_t peak = 0;
                for (size_t i = 0; i < h * w; i++)
                        peak = cam[i] > cam[peak] ? i : peak;
                double scale = (double)SIDE / (double)h, y0 = ((double)(peak / w) + 0.5) * scale,
                       x0 = ((double)(peak % w) + 0.5) * scale;
                /* The edge of a patch fires as its inside does, up to three Convs further out. */
                const double room = 3 * scale;
                ck_assert_msg(y0 > top - room && y0 < top + PATCH + room && x0 > left - room &&
                                      x0 < left + PATCH + room,
                        "Grad-CAM: %g %g, not %d %d", y0, x0, top, left);
                /* Each place of the map against the occlusion whose middle is nearest. */
                double *u = calloc(h * w, sizeof *u), *v = calloc(h * w, sizeof *v);
                for (size_t i = 0; i < h * w; i++) {
                        int nearest = 0;
                        double near = INFINITY;
                        for (int k = 0; k < steps * steps; k++) {
                                double dy = resect_occlusion_at(SIDE, PATCH, 2, k / steps) +
                                            PATCH / 2.0 - ((double)(i / w) + 0.5) * scale;
                                double dl = resect_occlusion_at(SIDE, PATCH, 2, k % steps) +
                                            PATCH / 2.0 - ((double)(i % w) + 0.5) * scale;
                                if (dy * dy + dl * dl < near) {
                                        near = dy * dy + dl * dl;
                                        nearest = k;
                                }
                        }
                        u[i] = cam[i];
                        v[i] = fall[nearest];
                }
                agreed += correlation(u, v, h * w) > 0.8;
                free(u);
                free(v);
                free(fall);
                free(dx);
                free(cam);
                resect_gradient_free(g);
                resect_tensor_free(&both[0]);
                resect_tensor_free(&both[1]);
                resect_tensor_free(&x);
                resect_anatomy_free(a);
                resect_model_free(m);
        }
        ck_assert_int_eq(agreed, 6);
}
END_TEST

static bool
stop_at_once(void *ctx, size_t done, size_t total)
{
        (void)total;
        *(int *)ctx += 1;
        return done == 0;
}

START_TEST(occlusion_refuses)
{
        const form f = {.blocks = {1, 1}, .width = 4, .size = 8, .classes = 3, .stem = STEM_CIFAR};
        resect_model *m = form_make(&f, 1);
        resect_tensor x = picture(m, &f);
        const resect_input input = {.channels = 3, .height = 8, .width = 8};
        int64_t class = 3;
        int calls = 0;
        float out[64];
        resect_error err;
        resect_occlusion o = {.input = &input,
                .patch = 9,
                .stride = 1,
                .classes = &class,
                .n_classes = 1,
                .threads = 1};
        ck_assert(!resect_occlude(m, x.data, &o, out, &err));
        ck_assert_int_eq(err.code, RESECT_ARG);
        o.patch = 2;
        ck_assert(!resect_occlude(m, x.data, &o, out, &err));
        ck_assert_int_eq(err.code, RESECT_ARG);
        class = 2;
        o.batch = 5;
        o.progress = stop_at_once;
        o.ctx = &calls;
        ck_assert(!resect_occlude(m, x.data, &o, out, &err));
        ck_assert_int_eq(err.code, RESECT_STOPPED);
        ck_assert_int_eq(calls, 2);
        o.progress = NULL;
        CK_OK(resect_occlude(m, x.data, &o, out, &err), err);
        resect_tensor_free(&x);
        resect_model_free(m);
}
END_TEST

/* IDX pictures of two channels' worth of meaning, through a value whose channels are the picture's
 * own. */
START_TEST(channels_of_known_pictures)
{
        enum { N = 7, SIDE = 4 };
        static const unsigned char labels[N] = {0, 0, 1, 1, 1, 2, 2};
        scratch_make();
        unsigned char images[16 + N * SIDE * SIDE] = {0, 0, 8, 3, 0, 0, 0, N, 0, 0, 0, SIDE, 0, 0,
                0, SIDE},
                                             marks[8 + N] = {0, 0, 8, 1, 0, 0, 0, N};
        for (int i = 0; i < N; i++) {
                marks[8 + i] = labels[i];
                for (int k = 0; k < SIDE * SIDE; k++)
                        images[16 + i * SIDE * SIDE + k] = (unsigned char)(k == 2 * i ? 10 + 30 * i
                                                                           : labels[i] == 1 ? 20
                                                                                            : 0);
        }
        scratch_write("train-images-idx3-ubyte", images, sizeof images);
        scratch_write("train-labels-idx1-ubyte", marks, sizeof marks);
        resect_error err;
        resect_data *d = resect_data_open(scratch_dir, &(resect_data_options){.threads = 1}, &err);
        CK_OK(d != NULL, err);
        /* One Conv 1x1 of weights 1 and -1, a Relu. */
        resect_model *m = rs_model_new(&err);
        CK_OK(m != NULL, err);
        const int64_t dims[4] = {2, 1, 1, 1}, in[4] = {-1, 1, SIDE, SIDE};
        rs_tensor *w = rs_model_add_tensor(m, "w", RESECT_FLOAT, 4, dims, &err);
        CK_OK(w != NULL, err);
        ((float *)(void *)w->data.data)[0] = 1;
        ((float *)(void *)w->data.data)[1] = -1;
        const char *const conv_in[] = {"x", "w"}, *const relu_in[] = {"c"}, *c = "c", *y = "y";
        ck_assert(rs_model_add_node(m, "Conv", "c", conv_in, 2, &c, 1, &err) &&
                  rs_model_add_node(m, "Relu", "r", relu_in, 1, &y, 1, &err));
        rs_value *vi = rs_model_make_value(m, "x", RESECT_FLOAT, 4, in, NULL, &err),
                 *vo = rs_model_make_value(m, "y", RESECT_UNDEFINED, -1, NULL, NULL, &err);
        ck_assert(vi && vo &&
                  rs_array_push(m, (void ***)&m->graph.inputs, &m->graph.n_inputs, vi, &err) &&
                  rs_array_push(m, (void ***)&m->graph.outputs, &m->graph.n_outputs, vo, &err));
        const resect_input input = {
                .channels = 1, .height = SIDE, .width = SIDE, .std = {1.0 / 255}};
        resect_predict_options o = {
                .input = &input, .batch = 2, .threads = 1, .kernels = RESECT_KERNELS_REFERENCE};
        const char *values[] = {"c", "y"};
        resect_channel_study *s = resect_channels(m, d, RESECT_ALL, values, 2, 3, &o, &err);
        CK_OK(s != NULL, err);
        const resect_layer_study *l = resect_channels_of(s, 1);
        ck_assert(
                l && l->channels == 2 && l->height == SIDE && l->width == SIDE && l->n_peaks == 3);
        ck_assert_ptr_null(resect_channels_of(s, 2));
        /* Channel 0 is the picture: the means are those of the pixels. */
        double mean[3] = {0}, n[3] = {0};
        for (int i = 0; i < N; i++) {
                n[labels[i]]++;
                for (int k = 0; k < SIDE * SIDE; k++)
                        mean[labels[i]] += images[16 + i * SIDE * SIDE + k] / 16.0;
        }
        for (int k = 0; k < 3; k++)
                ck_assert_double_eq_tol(l->means[2 * k], mean[k] / n[k], 1e-3);
        double most = mean[1] / 3, rest = (mean[0] / 2 + mean[2] / 2) / 2;
        ck_assert_uint_eq(l->favourite[0], 1);
        ck_assert_double_eq_tol(l->selectivity[0], (most - rest) / (most + rest), 1e-5);
        for (size_t k = 0; k < 3; k++) { /* the brightest pixels are those of the last pictures */
                size_t i = N - 1 - k;
                ck_assert_uint_eq(l->peaks[k].sample, i);
                ck_assert_float_eq_tol(l->peaks[k].value, (float)(10 + 30 * i), 1e-2);
                ck_assert_int_eq(l->peaks[k].row, (int)(2 * i / SIDE));
                ck_assert_int_eq(l->peaks[k].column, (int)(2 * i % SIDE));
        }
        /* Channel 1 never fires: of nothing nothing can be said. */
        ck_assert(isnan(l->selectivity[1]));
        ck_assert_float_eq(l->peaks[3].value, 0);
        ck_assert_uint_eq(l->peaks[3].sample, 0);
        resect_channel_study_free(s);
        values[1] = "nothing";
        ck_assert_ptr_null(resect_channels(m, d, RESECT_ALL, values, 2, 3, &o, &err));
        resect_model_free(m);
        resect_data_free(d);
        scratch_done();
}
END_TEST

START_TEST(colours)
{
        const float map[4] = {0, 1, NAN, 0.5f};
        unsigned char under[3] = {0, 100, 200}, out[3], four[12];
        const float one = 1;
        resect_overlay(&one, 1, 1, 0, 1, 1, NULL, 1, 1, out);
        ck_assert(out[0] == 253 && out[1] == 231 && out[2] == 37);
        resect_overlay(&one, 1, 1, 1, 1, 0, under, 1, 1, out); /* no opacity: the picture */
        ck_assert(!memcmp(out, under, 3));
        resect_overlay(map, 1, 2, 0, 1, 1, NULL, 2, 2, four);
        ck_assert(four[0] == 68 && four[3] == 253 && !memcmp(four, four + 6, 6));
        /* Two channels of three, numbers above; what is outside is not written. */
        const float maps[12] = {0, 1, 0, 1, 5, 5, 5, 5, -1, -1, -1, 0};
        const size_t which[3] = {2, 0, 1};
        int h, w;
        resect_montage_size(3, 2, 2, 2, 20, &h, &w);
        unsigned char *m = calloc((size_t)h * (size_t)w * 3 + 1, 1);
        m[(size_t)h * (size_t)w * 3] = 77;
        resect_montage(maps, which, 3, 2, 2, 2, 20, m);
        ck_assert_int_eq(m[(size_t)h * (size_t)w * 3], 77);
        ck_assert_int_eq(w, 2 * 23 + 3);
        const unsigned char *first = m + 3 * (size_t)((3 + 13) * w + 3),
                            *last = first + 3 * (size_t)(19 * w + 19);
        ck_assert_int_eq(first[0], 68);
        ck_assert_int_eq(last[0], 253);
        ck_assert_int_eq(m[3 * (3 * w + 3)], 215); /* the 2's upper left corner */
        free(m);
}
END_TEST

int
main(void)
{
        Suite *s = suite_create("see");
        TCase *c = tcase_create("all");
        tcase_set_timeout(c, 300);
        tcase_add_loop_test(c, gradients_by_differences, 0, FORMS);
        tcase_add_test(c, gradcam_by_hand);
        tcase_add_test(c, patches_cover_the_picture);
        tcase_add_test(c, a_patch_that_decides);
        tcase_add_test(c, occlusion_refuses);
        tcase_add_test(c, channels_of_known_pictures);
        tcase_add_test(c, colours);
        suite_add_tcase(s, c);
        SRunner *r = srunner_create(s);
        srunner_run_all(r, CK_NORMAL);
        int failed = srunner_ntests_failed(r);
        srunner_free(r);
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
