/* SPDX-License-Identifier: 0BSD */
/*
 * The normalisation kernels, in every layout and element type, with and without each optional part,
 * in place and not: against the formulas in double, against the reference operator, against finite
 * differences; the same bits on any number of threads and any set of instructions; padding stays
 * zero.
 */
#include "op_run.h"
#include "onednn/norm_kernels.h"
#include "onednn/rows.h"

static const double eps = 1e-5;

/* Where element (n, c, s) lies; NHWC is one block of all channels. */
static size_t
place(const rs_bn_shape *b, size_t n, size_t c, size_t s)
{
        const size_t blocks = (b->c + b->block - 1) / b->block;

        return ((n * blocks + c / b->block) * b->s + s) * b->block + c % b->block;
}

static size_t
elements(const rs_bn_shape *b)
{
        return b->n * ((b->c + b->block - 1) / b->block) * b->block * b->s;
}

static int
dtype_of(const rs_bn_shape *b)
{
        return b->bf16 ? RESECT_BFLOAT16 : RESECT_FLOAT;
}

static size_t
bytes(const rs_bn_shape *b)
{
        return elements(b) * (b->bf16 ? 2 : 4);
}

static void *
new_bytes(size_t size)
{
        void *p = calloc(size, 1);

        ck_assert_ptr_nonnull(p);
        return p;
}

/* Numbers as the element type holds them, plain [N, C, S]. */
static double *
noise(const rs_bn_shape *b, uint64_t seed, double offset, double spread)
{
        const size_t n = b->n * b->c * b->s;
        double *v = new_bytes(n * sizeof *v);
        float cell[1];

        for (size_t i = 0; i < n; i++) {
                rs_store(cell, dtype_of(b), 0, offset + spread * op_noise(seed, i));
                v[i] = rs_load(cell, dtype_of(b), 0);
        }
        return v;
}

/* Plain numbers into the layout, and back; the padding must be zeros. */
static void *
put(const rs_bn_shape *b, const double *v)
{
        void *p = new_bytes(bytes(b));

        for (size_t i = 0; i < b->n * b->c * b->s; i++)
                rs_store(
                        p, dtype_of(b), place(b, i / b->s / b->c, i / b->s % b->c, i % b->s), v[i]);
        return p;
}

static double *
get(const rs_bn_shape *b, const void *p)
{
        const size_t padded = (b->c + b->block - 1) / b->block * b->block;
        double *v = new_bytes(b->n * b->c * b->s * sizeof *v);

        for (size_t n = 0; n < b->n; n++)
                for (size_t c = 0; c < padded; c++)
                        for (size_t s = 0; s < b->s; s++) {
                                const double e = rs_load(p, dtype_of(b), place(b, n, c, s));
                                if (c < b->c)
                                        v[(n * b->c + c) * b->s + s] = e;
                                else if (e != 0)
                                        ck_abort_msg("padding of channel %zu is %g", c, e);
                        }
        return v;
}

static float *
parameters(size_t c, uint64_t seed, double offset)
{
        float *p = new_bytes(c * sizeof *p);

        for (size_t i = 0; i < c; i++)
                p[i] = (float)(offset + op_noise(seed, i));
        return p;
}

/* |got - want| against the size of what was added up to make want, and the rounding of the element
 * type. */
static void
near(const rs_bn_shape *b, const char *what, size_t i, double got, double want, double size)
{
        const double rounding = b->bf16 ? fabs(want) / 256 : 0;

        if (!(fabs(got - want) <= 1e-6 * size + rounding + 1e-30))
                ck_abort_msg("%s[%zu] of [%zu, %zu, %zu] in blocks of %zu%s, %d threads: %.9g, "
                             "wants %.9g",
                        what, i, b->n, b->c, b->s, b->block, b->bf16 ? " (bfloat16)" : "",
                        b->threads, got, want);
}

static const struct form {
        size_t n, c, s;
        double offset, spread;
} forms[] = {
        {1, 1, 1, 0, 1},
        {1, 16, 1, 0, 1},
        {2, 3, 5, 0, 1},
        {5, 19, 1, 1, 1},
        {1, 70, 49, -3, 2},
        {3, 24, 9, 0, 1e-3},
        {4, 33, 37, 1000, 1},
        {2, 130, 49, 30000, 0.5},
        {3, 40, 600, 0.5, 1},
        {4, 17, 4200, 0, 1},
};
enum { N_FORMS = sizeof forms / sizeof *forms, VARIANTS = 8 };

/* Form, layout and element type of test number i. */
static rs_bn_shape
shape_of(int i, double *offset, double *spread)
{
        const struct form *f = &forms[i / VARIANTS];
        const size_t blocks[] = {1, 8, 16, f->c};

        *offset = f->offset;
        *spread = f->spread;
        return (rs_bn_shape){f->n, f->c, f->s, blocks[i % 4], i % VARIANTS > 3, 1};
}

/* Mean and variance of a channel, in double, in two passes. */
static void
moments(const rs_bn_shape *b, const double *x, size_t c, double *mean, double *var)
{
        const double n = (double)b->n * (double)b->s;

        *mean = *var = 0;
        for (size_t i = 0; i < b->n; i++)
                for (size_t s = 0; s < b->s; s++)
                        *mean += x[(i * b->c + c) * b->s + s];
        *mean /= n;
        for (size_t i = 0; i < b->n; i++)
                for (size_t s = 0; s < b->s; s++) {
                        const double d = x[(i * b->c + c) * b->s + s] - *mean;
                        *var += d * d;
                }
        *var /= n;
}

/* The forward pass in double: y (float or not is the caller's matter) and the size of its terms. */
static void
reference_forward(const rs_bn_shape *b, const rs_bn *bn, const double *x, const double *residual,
        double *y, double *size)
{
        for (size_t c = 0; c < b->c; c++) {
                double mean = 0, var = 1 - eps;
                if (bn->training)
                        moments(b, x, c, &mean, &var);
                else if (bn->mean)
                        mean = (double)bn->mean[c], var = (double)bn->var[c];
                const double a = (double)bn->scale[c] / sqrt(var + eps);
                for (size_t i = 0; i < b->n * b->s; i++) {
                        const size_t e = (i / b->s * b->c + c) * b->s + i % b->s;
                        const double r = residual ? residual[e] : 0;
                        y[e] = a * (x[e] - mean) + (double)bn->shift[c] + r;
                        if (bn->relu && y[e] < 0)
                                y[e] = 0;
                        size[e] = fabs(a * (x[e] - mean)) + fabs((double)bn->shift[c]) + fabs(r);
                }
        }
}

/* One forward call: y in a buffer of its own (0), in x's (1), in the residual's (2). */
static void *
run_forward(const rs_bn_shape *b, rs_bn bn, const double *x, const double *residual, int in_place)
{
        void *px = put(b, x), *pr = residual ? put(b, residual) : NULL, *py = new_bytes(bytes(b));

        memset(py, 0x7f, bytes(b));
        bn.x = px;
        bn.residual = pr;
        bn.y = in_place == 1 ? px : in_place == 2 ? pr : py;
        rs_bn_forward(b, &bn);
        if (!in_place && bn.saved && (bn.training || bn.mean)) {
                bn.y = new_bytes(bytes(b));
                memset(bn.y, 0x7f, bytes(b));
                rs_bn_again(b, &bn);
                ck_assert_mem_eq(bn.y, py, bytes(b));
                free(bn.y);
                bn.y = py;
        }
        if (bn.y != px)
                free(px);
        if (bn.y != pr)
                free(pr);
        if (bn.y != py)
                free(py);
        return bn.y;
}

static void
check_forward(rs_bn_shape b, const rs_bn *given, const double *x, const double *residual)
{
        const size_t n = b.n * b.c * b.s;
        double *want = new_bytes(n * sizeof *want), *size = new_bytes(n * sizeof *size);
        double *saved = new_bytes(3 * b.c * sizeof *saved),
               *first_saved = new_bytes(3 * b.c * sizeof *saved);
        rs_bn bn = *given;
        void *first = NULL;

        reference_forward(&b, given, x, residual, want, size);
        for (int t = 0; t < 4; t++) {
                b.threads = t + 1;
                bn.saved = saved;
                void *p = run_forward(&b, bn, x, residual, residual ? t % 3 : t % 2);
                double *y = get(&b, p);
                for (size_t i = 0; i < n; i++)
                        near(&b, "y", i, y[i], want[i], size[i]);
                if (t) {
                        ck_assert_mem_eq(p, first, bytes(&b));
                        ck_assert_mem_eq(saved, first_saved, 3 * b.c * sizeof *saved);
                        free(p);
                } else {
                        first = p;
                        memcpy(first_saved, saved, 3 * b.c * sizeof *saved);
                }
                free(y);
        }
        for (size_t c = 0; bn.training && c < b.c; c++) {
                double mean, var;
                const rs_bn_shape exact = {
                        .n = b.n, .c = b.c, .s = b.s, .block = b.block, .threads = 4};
                moments(&b, x, c, &mean, &var);
                near(&exact, "mean", c, saved[c], mean, sqrt(var) + fabs(mean) * 1e-6);
                near(&exact, "var", c, saved[b.c + c], var, var);
                near(&exact, "inverse", c, saved[2 * b.c + c], 1 / sqrt(var + eps),
                        1 / sqrt(var + eps));
        }
        free(first);
        free(want);
        free(size);
        free(saved);
        free(first_saved);
}

/* Training, frozen, plain affine; with and without residual and relu. */
START_TEST(forward)
{
        double offset, spread;
        const rs_bn_shape b = shape_of(_i, &offset, &spread);
        double *x = noise(&b, 1, offset, spread), *residual = noise(&b, 2, 0, 1);
        float *scale = parameters(b.c, 3, 0.5), *shift = parameters(b.c, 4, 0);
        float *mean = parameters(b.c, 5, offset), *var = parameters(b.c, 6, 2);

        for (int kind = 0; kind < 3; kind++)
                for (int with = 0; with < 4; with++) {
                        const rs_bn bn = {.scale = scale,
                                .shift = shift,
                                .mean = kind == 1 ? mean : NULL,
                                .var = kind == 1 ? var : NULL,
                                .eps = eps,
                                .training = !kind,
                                .relu = with & 1};
                        check_forward(b, &bn, x, with & 2 ? residual : NULL);
                }
        free(x);
        free(residual);
        free(scale);
        free(shift);
        free(mean);
        free(var);
}
END_TEST

/* The backward pass in double, from g as the element type holds it. */
typedef struct wanted {
        double *g, *dx, *size, *dscale, *dshift, *dscale_size, *dshift_size;
} wanted;

static wanted
wanted_new(const rs_bn_shape *b)
{
        const size_t n = b->n * b->c * b->s * sizeof(double), c = b->c * sizeof(double);

        return (wanted){new_bytes(n), new_bytes(n), new_bytes(n), new_bytes(c), new_bytes(c),
                new_bytes(c), new_bytes(c)};
}

static void
wanted_free(wanted *w)
{
        free(w->g);
        free(w->dx);
        free(w->size);
        free(w->dscale);
        free(w->dshift);
        free(w->dscale_size);
        free(w->dshift_size);
}

static void
reference_backward(const rs_bn_shape *b, const rs_bn_grad *grad, const double *x, const double *dy,
        const double *dy2, const double *y, wanted *w)
{
        const double n = (double)b->n * (double)b->s;

        for (size_t c = 0; c < b->c; c++) {
                const double mean = grad->saved ? grad->saved[c] : 0;
                const double inverse = grad->saved ? grad->saved[2 * b->c + c] : 1;
                const double a = (double)grad->scale[c] * inverse;
                double s = 0, q = 0, ss = 0, qs = 0;
                for (size_t i = 0; i < b->n * b->s; i++) {
                        const size_t e = (i / b->s * b->c + c) * b->s + i % b->s;
                        float cell[1];
                        rs_store(cell, dtype_of(b), 0,
                                y && y[e] <= 0 ? 0 : dy[e] + (dy2 ? dy2[e] : 0));
                        w->g[e] = rs_load(cell, dtype_of(b), 0);
                        s += w->g[e];
                        q += w->g[e] * (x[e] - mean) * inverse;
                        ss += fabs(w->g[e]);
                        qs += fabs(w->g[e] * (x[e] - mean) * inverse);
                }
                for (size_t i = 0; i < b->n * b->s; i++) {
                        const size_t e = (i / b->s * b->c + c) * b->s + i % b->s;
                        const double xh = (x[e] - mean) * inverse;
                        w->dx[e] =
                                grad->training ? a * (w->g[e] - s / n - xh * q / n) : a * w->g[e];
                        w->size[e] = fabs(a) * (fabs(w->g[e]) + ss / n + fabs(xh) * qs / n);
                }
                w->dscale[c] = q;
                w->dshift[c] = s;
                w->dscale_size[c] = qs + 1;
                w->dshift_size[c] = ss + 1;
        }
}

enum { WITH_Y = 1, WITH_DY2 = 2, WITH_DRES = 4, WITH_SUMS = 8, SETS = 16 };

/* Without dx, everything else is as with it. Leaves the sums as they were. */
static void
check_without_dx(const rs_bn_shape *b, rs_bn_grad grad)
{
        const size_t sums = b->c * sizeof(float);
        rs_bn_grad with = grad;
        void *all[] = {new_bytes(bytes(b)), new_bytes(bytes(b)), new_bytes(bytes(b)),
                new_bytes(sums), new_bytes(sums), new_bytes(sums), new_bytes(sums)};

        with.dx = all[0];
        with.dres = grad.dres ? all[1] : NULL;
        with.dscale = grad.dscale ? all[3] : NULL;
        with.dshift = grad.dshift ? all[4] : NULL;
        rs_bn_backward(b, &with);
        grad.dx = NULL;
        grad.dres = with.dres ? all[2] : NULL;
        grad.dscale = with.dscale ? all[5] : NULL;
        grad.dshift = with.dshift ? all[6] : NULL;
        grad.x = grad.dscale ? grad.x : NULL;
        rs_bn_backward(b, &grad);
        ck_assert_mem_eq(all[1], all[2], bytes(b));
        ck_assert_mem_eq(all[3], all[5], sums);
        ck_assert_mem_eq(all[4], all[6], sums);
        for (size_t i = 0; i < sizeof all / sizeof *all; i++)
                free(all[i]);
}

/* dx in a buffer of its own (0), in dy's (1) or in dy2's; dres in dy2's where that is free. */
static void
check_backward(rs_bn_shape b, const rs_bn_grad *given, const double *x, const double *dy,
        const double *dy2, const double *y, unsigned with)
{
        const size_t n = b.n * b.c * b.s;
        rs_bn_grad grad = *given;
        wanted w = wanted_new(&b);
        void *first = NULL;

        dy2 = with & WITH_DY2 ? dy2 : NULL;
        y = with & WITH_Y ? y : NULL;
        reference_backward(&b, given, x, dy, dy2, y, &w);
        for (int t = 0; t < 4; t++) {
                void *px = put(&b, x), *pdy = put(&b, dy), *pdy2 = dy2 ? put(&b, dy2) : NULL,
                     *py = y ? put(&b, y) : NULL;
                void *own = new_bytes(bytes(&b)), *own_res = new_bytes(bytes(&b));
                float *dscale = new_bytes(b.c * sizeof(float)),
                      *dshift = new_bytes(b.c * sizeof(float));
                memset(own, 0x7f, bytes(&b));
                memset(own_res, 0x7f, bytes(&b));
                for (size_t c = 0; c < b.c; c++)
                        dscale[c] = dshift[c] = 1;
                b.threads = t + 1;
                grad.x = given->training || with & WITH_SUMS ? px : NULL;
                grad.dy = pdy;
                grad.dy2 = pdy2;
                grad.y = py;
                grad.dx = t == 1 || t == 2 ? pdy : t == 3 && dy2 ? pdy2 : own;
                grad.dres = !(with & WITH_DRES) ? NULL
                            : t == 2 && dy2     ? pdy2
                            : t == 3 && dy2     ? pdy
                                                : own_res;
                grad.dscale = with & WITH_SUMS ? dscale : NULL;
                grad.dshift = with & WITH_SUMS ? dshift : NULL;
                if (!t)
                        check_without_dx(&b, grad);
                rs_bn_backward(&b, &grad);
                double *dx = get(&b, grad.dx), *g = grad.dres ? get(&b, grad.dres) : NULL;
                for (size_t i = 0; i < n; i++) {
                        near(&b, "dx", i, dx[i], w.dx[i], w.size[i]);
                        if (g && g[i] != w.g[i])
                                ck_abort_msg("dres[%zu] is %g, wants %g", i, g[i], w.g[i]);
                }
                const rs_bn_shape exact = {b.n, b.c, b.s, b.block, false, b.threads};
                for (size_t c = 0; c < b.c; c++) {
                        near(&exact, "dscale", c, dscale[c], with & WITH_SUMS ? 1 + w.dscale[c] : 1,
                                w.dscale_size[c]);
                        near(&exact, "dshift", c, dshift[c], with & WITH_SUMS ? 1 + w.dshift[c] : 1,
                                w.dshift_size[c]);
                }
                if (!first) {
                        first = new_bytes(bytes(&b));
                        memcpy(first, grad.dx, bytes(&b));
                }
                ck_assert_mem_eq(first, grad.dx, bytes(&b));
                void *all[] = {px, pdy, pdy2, py, own, own_res, dscale, dshift, dx, g};
                for (size_t i = 0; i < sizeof all / sizeof *all; i++)
                        free(all[i]);
        }
        free(first);
        wanted_free(&w);
}

START_TEST(backward)
{
        double offset, spread;
        const rs_bn_shape b = shape_of(_i, &offset, &spread);
        double *x = noise(&b, 1, offset, spread), *dy = noise(&b, 2, 0.1, 1),
               *dy2 = noise(&b, 3, 0, 1), *y = noise(&b, 4, 0, 1);
        float *scale = parameters(b.c, 5, 0.5);
        double *saved = new_bytes(3 * b.c * sizeof *saved);

        for (size_t c = 0; c < b.c; c++) {
                moments(&b, x, c, &saved[c], &saved[b.c + c]);
                saved[2 * b.c + c] = 1 / sqrt(saved[b.c + c] + eps);
        }
        for (size_t i = 0; i < b.n * b.c * b.s; i += 3)
                y[i] = 0; /* what relu makes is 0 exactly, and has no gradient */
        for (int kind = 0; kind < 3; kind++)
                for (unsigned with = 0; with < SETS; with++) {
                        if (b.n * b.c * b.s > 50000 && (with + (unsigned)_i) % 5)
                                continue; /* large ones: some */
                        const rs_bn_grad grad = {.scale = scale,
                                .saved = kind < 2 ? saved : NULL,
                                .training = !kind};
                        check_backward(b, &grad, x, dy, dy2, y, with);
                }
        free(x);
        free(dy);
        free(dy2);
        free(y);
        free(scale);
        free(saved);
}
END_TEST

/* Whether y is read or made of x once more: the same bits. */
START_TEST(relu_of_x)
{
        double offset, spread;
        const rs_bn_shape b = shape_of(_i, &offset, &spread);
        double *x = noise(&b, 1, offset, spread), *dy = noise(&b, 2, 0.1, 1);
        float *scale = parameters(b.c, 5, 0.5), *shift = parameters(b.c, 6, 0),
              *mean = parameters(b.c, 7, offset), *var = parameters(b.c, 8, 2),
              *sums = new_bytes(4 * b.c * sizeof *sums);
        double *saved = new_bytes(3 * b.c * sizeof *saved);
        void *px = put(&b, x), *pdy = put(&b, dy), *y = new_bytes(bytes(&b)),
             *dx[] = {new_bytes(bytes(&b)), new_bytes(bytes(&b))};

        for (int kind = 0; kind < 3; kind++) {
                rs_bn bn = {.x = px,
                        .y = y,
                        .scale = scale,
                        .shift = shift,
                        .mean = kind == 1 ? mean : NULL,
                        .var = kind == 1 ? var : NULL,
                        .eps = eps,
                        .training = !kind,
                        .relu = true,
                        .saved = kind < 2 ? saved : NULL};
                rs_bn_forward(&b, &bn);
                memset(sums, 0, 4 * b.c * sizeof *sums);
                for (size_t made = 0; made < 2; made++)
                        rs_bn_backward(&b, &(rs_bn_grad){.dy = pdy,
                                                   .y = made ? NULL : y,
                                                   .relu = made,
                                                   .x = px,
                                                   .scale = scale,
                                                   .shift = shift,
                                                   .saved = bn.saved,
                                                   .training = bn.training,
                                                   .dx = dx[made],
                                                   .dscale = sums + 2 * made * b.c,
                                                   .dshift = sums + (2 * made + 1) * b.c});
                ck_assert_mem_eq(dx[0], dx[1], bytes(&b));
                ck_assert_mem_eq(sums, sums + 2 * b.c, 2 * b.c * sizeof *sums);
        }
        void *all[] = {x, dy, scale, shift, mean, var, sums, saved, px, pdy, y, dx[0], dx[1]};
        for (size_t i = 0; i < sizeof all / sizeof *all; i++)
                free(all[i]);
}
END_TEST

/* The reference operator on the same numbers: outputs, running statistics, gradients. */
START_TEST(reference_operator)
{
        const size_t blocks[] = {1, 8, 16, 21};
        rs_bn_shape b = {3, 21, 35, blocks[_i % 4], _i > 3, 2};
        resect_error err = {0};
        op_run r;

        op_start(&r, "BatchNormalization", 15);
        op_float(&r, "epsilon", 1e-5F);
        op_float(&r, "momentum", 0.75F);
        op_in(&r, dtype_of(&b), 4, 3, 21, 5, 7);
        for (int i = 1; i < 5; i++)
                op_in(&r, RESECT_FLOAT, 1, 21);
        r.x.training = true;
        r.x.n_out = 3; /* unnamed: a training plan makes them all the same */
        op_forward(&r);
        CK_OK(resect_tensor_make(&r.dout[0], (resect_dtype)dtype_of(&b), 4, r.out[0].dims, &err),
                err);
        r.call.dout[0] = &r.dout[0];
        double *dy = noise(&b, 7, 0, 1);
        for (size_t i = 0; i < b.n * b.c * b.s; i++)
                rs_store(r.dout[0].data, dtype_of(&b), i, dy[i]);
        for (size_t i = 0; i < 3; i++) {
                CK_OK(resect_tensor_make(&r.din[i], (resect_dtype)r.in[i].dtype, r.in[i].rank,
                              r.in[i].dims, &err),
                        err);
                memset(r.din[i].data, 0, r.din[i].size);
                r.call.din[i] = &r.din[i];
        }
        r.op->backward(&r.call);

        double *x = new_bytes(b.n * b.c * b.s * sizeof *x), saved[3 * 21];
        for (size_t i = 0; i < b.n * b.c * b.s; i++)
                x[i] = op_get(&r.in[0], (int64_t)i);
        float dscale[21] = {0}, dshift[21] = {0};
        const rs_bn bn = {.scale = r.in[1].data,
                .shift = r.in[2].data,
                .eps = (double)1e-5F,
                .training = true,
                .saved = saved};
        void *py = run_forward(&b, bn, x, NULL, 0), *px = put(&b, x), *pdy = put(&b, dy);
        rs_bn_grad grad = {
                .dy = pdy, .x = px, .scale = bn.scale, .saved = saved, .training = true, .dx = pdy};
        grad.dscale = dscale;
        grad.dshift = dshift;
        rs_bn_backward(&b, &grad);
        double *y = get(&b, py), *dx = get(&b, pdy);
        for (size_t i = 0; i < b.n * b.c * b.s; i++) {
                near(&b, "y", i, y[i], op_get(&r.out[0], (int64_t)i), 2);
                near(&b, "dx", i, dx[i], op_get(&r.din[0], (int64_t)i), 4);
        }
        b.bf16 = false; /* what follows is float */
        for (size_t c = 0; c < b.c; c++) {
                const int64_t i = (int64_t)c;
                near(&b, "mean", c, 0.75 * op_get(&r.in[3], i) + 0.25 * saved[c],
                        op_get(&r.out[1], i), 1);
                near(&b, "var", c, 0.75 * op_get(&r.in[4], i) + 0.25 * saved[b.c + c],
                        op_get(&r.out[2], i), 1);
                near(&b, "dscale", c, dscale[c], op_get(&r.din[1], i), 10);
                near(&b, "dshift", c, dshift[c], op_get(&r.din[2], i), 10);
        }
        void *all[] = {dy, x, py, px, pdy, y, dx};
        for (size_t i = 0; i < sizeof all / sizeof *all; i++)
                free(all[i]);
        op_free(&r);
}
END_TEST

/* sum of w1 y + w2 y, y the forward pass in double */
static double
objective(const rs_bn_shape *b, const rs_bn *bn, const double *x, const double *residual,
        const double *w1, const double *w2)
{
        double y[2 * 3 * 5], size[2 * 3 * 5], sum = 0;

        reference_forward(b, bn, x, residual, y, size);
        for (size_t i = 0; i < 2 * 3 * 5; i++)
                sum += y[i] * (w1[i] + w2[i]);
        return sum;
}

/* Finite differences of the forward pass in double, for x, residual, scale and shift. */
START_TEST(differences)
{
        const rs_bn_shape b = {2, 3, 5, 1 + 7 * ((size_t)_i / 2), false, 1};
        const double h = 1e-4;
        double *x = noise(&b, 1, 0, 1), *residual = noise(&b, 2, 0, 1), *w1 = noise(&b, 3, 0, 1),
               *w2 = noise(&b, 4, 0, 1);
        float scale[] = {0.7F, -1.2F, 2}, shift[] = {0.1F, 0.2F, -0.3F}, mean[] = {0.1F, -0.1F, 0},
              var[] = {1, 2, 0.5F};
        float dscale[3] = {0}, dshift[3] = {0};
        double saved[9];
        const rs_bn bn = {.scale = scale,
                .shift = shift,
                .mean = mean,
                .var = var,
                .eps = eps,
                .training = !(_i % 2),
                .relu = true,
                .saved = saved};
        void *y = run_forward(&b, bn, x, residual, 0), *px = put(&b, x), *dy = put(&b, w1),
             *dy2 = put(&b, w2);
        const rs_bn_grad grad = {.dy = dy,
                .dy2 = dy2,
                .y = y,
                .x = px,
                .scale = scale,
                .saved = saved,
                .training = bn.training,
                .dx = dy,
                .dres = dy2,
                .dscale = dscale,
                .dshift = dshift};
        rs_bn_backward(&b, &grad);
        double *dx = get(&b, dy), *dres = get(&b, dy2);
        for (size_t i = 0; i < b.n * b.c * b.s; i++) {
                double *const at[] = {&x[i], &residual[i]}, got[] = {dx[i], dres[i]};
                for (int k = 0; k < 2; k++) {
                        const double was = *at[k];
                        *at[k] = was + h;
                        const double up = objective(&b, &bn, x, residual, w1, w2);
                        *at[k] = was - h;
                        const double down = objective(&b, &bn, x, residual, w1, w2);
                        *at[k] = was;
                        near(&b, k ? "dres" : "dx", i, got[k], (up - down) / (2 * h), 10);
                }
        }
        for (size_t c = 0; c < 3; c++) {
                float *const at[] = {&scale[c], &shift[c]}, got[] = {dscale[c], dshift[c]};
                for (int k = 0; k < 2; k++) {
                        const float was = *at[k];
                        *at[k] = was + 0x1p-12F;
                        const double high = *at[k], up = objective(&b, &bn, x, residual, w1, w2);
                        *at[k] = was - 0x1p-12F;
                        const double low = *at[k], down = objective(&b, &bn, x, residual, w1, w2);
                        *at[k] = was;
                        near(&b, k ? "dshift" : "dscale", c, got[k], (up - down) / (high - low),
                                10);
                }
        }
        void *all[] = {x, residual, w1, w2, y, px, dy, dy2, dx, dres};
        for (size_t i = 0; i < sizeof all / sizeof *all; i++)
                free(all[i]);
}
END_TEST

START_TEST(sums_and_means)
{
        double offset, spread;
        rs_bn_shape b = shape_of(_i, &offset, &spread);
        const size_t n = b.n * b.c * b.s;
        double *x = noise(&b, 1, offset, spread), *y = noise(&b, 2, 0, 1);
        float *dy = parameters(b.n * b.c, 3, 0), *mean = parameters(b.n * b.c, 4, 0);
        void *px = put(&b, x);

        for (int t = 1; t <= 4; t++) {
                void *py = put(&b, y), *dx = put(&b, y);
                b.threads = t;
                rs_sum_into(py, px, elements(&b), b.bf16, t);
                double *sum = get(&b, py);
                rs_mean_forward(&b, px, mean);
                rs_mean_backward(&b, dy, dx, t % 2);
                double *back = get(&b, dx);
                for (size_t i = 0; i < n; i++) {
                        const double d = (double)dy[i / b.s] / (double)b.s, was = t % 2 ? y[i] : 0;
                        near(&b, "sum", i, sum[i], x[i] + y[i], fabs(x[i]) + fabs(y[i]));
                        near(&b, "dx", i, back[i], d + was, fabs(d) + fabs(was));
                }
                for (size_t i = 0; i < b.n * b.c; i++) {
                        const rs_bn_shape exact = {b.n, b.c, b.s, b.block, false, t};
                        double want = 0;
                        for (size_t s = 0; s < b.s; s++)
                                want += x[i * b.s + s] / (double)b.s;
                        near(&exact, "mean", i, mean[i], want, fabs(want) + spread);
                }
                free(py);
                free(dx);
                free(sum);
                free(back);
        }
        free(x);
        free(y);
        free(dy);
        free(mean);
        free(px);
}
END_TEST

/* A bfloat16 as processors that know the type round to it: what is subnormal is zero. */
static double
flushed(const void *tensor, bool bf16, size_t i)
{
        const double v = rs_load(tensor, bf16 ? RESECT_BFLOAT16 : RESECT_FLOAT, i);

        return bf16 && fabs(v) < 0x1p-126 ? copysign(0, v) : v;
}

/* Every set of instructions makes the same bits of the same rows, among them infinities, NaN and,
 * but for bfloat16, subnormals. */
START_TEST(same_on_every_machine)
{
        enum { ROWS = 21, N = ROWS * RS_LANES };
        const bool bf16 = _i;
        static const double odd[] = {
                -0.0, 0, INFINITY, -INFINITY, 1e-40, -3e-41, 3.4e38, 1.00390625, 1.01171875};
        enum { KERNELS = 5, GATHER = 2 };
        unsigned char tensors[RS_STREAMS][N * 4], first[KERNELS][RS_STREAMS][N * 4];
        rs_lanes lanes[KERNELS], first_lanes[KERNELS];
        size_t sets = 0;

        for (const rs_row_kernels *k; (k = rs_row_kernels_list(sets, bf16)); sets++) {
                rs_row_kernel *const all[KERNELS] = {
                        k->sums, k->apply, k->gather, k->spread, k->gather};
                for (size_t i = 0; i < KERNELS; i++) {
                        rs_rows r = {.count = ROWS, .stride = RS_LANES, .relu = true};
                        for (uint64_t s = 0; s < RS_STREAMS; s++) {
                                for (uint64_t e = 0; e < N; e++)
                                        rs_store(tensors[s], bf16 ? RESECT_BFLOAT16 : RESECT_FLOAT,
                                                (size_t)e,
                                                i && e % 97 == s ? odd[e / 97 % 9]
                                                                 : op_noise(s, e));
                                r.at[s] = tensors[s];
                        }
                        for (uint64_t l = 0; l < RS_LANES; l++) {
                                lanes[i].s[l] = lanes[i].q[l] = 0;
                                lanes[i].m[l] = (float)op_noise(11, l);
                                lanes[i].a[l] = (float)op_noise(12, l);
                                lanes[i].b[l] = (float)op_noise(13, l);
                                lanes[i].c[l] = (float)op_noise(14, l);
                        }
                        if (i > GATHER && all[i] == k->gather)
                                r.at[RS_Y] = NULL; /* made of X then */
                        all[i](&r, &lanes[i]);
                        if (!sets) {
                                memcpy(first[i], tensors, sizeof tensors);
                                first_lanes[i] = lanes[i];
                        }
                        for (int s = 0; s < RS_STREAMS; s++)
                                for (size_t e = 0; e < N; e++) {
                                        const double got = flushed(tensors[s], bf16, e),
                                                     want = flushed(first[i][s], bf16, e);
                                        ck_assert_msg(got == want ? signbit(got) == signbit(want)
                                                                  : isnan(got) && isnan(want),
                                                "set %zu, kernel %zu, stream %d, element %zu: %g, "
                                                "the first has %g",
                                                sets, i, s, e, got, want);
                                }
                        for (size_t l = 0; all[i] != k->gather && l < RS_LANES; l++) {
                                ck_assert(lanes[i].s[l] == first_lanes[i].s[l]);
                                ck_assert(lanes[i].q[l] == first_lanes[i].q[l]);
                        }
                }
        }
        printf("%zu sets of kernels for %s\n", sets, bf16 ? "bfloat16" : "float");
        ck_assert_uint_ge(sets, 1);
}
END_TEST

int
main(void)
{
        const struct {
                const TTest *test;
                int end;
        } all[] = {{forward, N_FORMS * VARIANTS}, {backward, N_FORMS * VARIANTS},
                {relu_of_x, N_FORMS * VARIANTS}, {reference_operator, 8}, {differences, 4},
                {sums_and_means, N_FORMS * VARIANTS}, {same_on_every_machine, 2}};
        Suite *s = suite_create("norm kernels");
        TCase *c = tcase_create("all");

        tcase_set_timeout(c, 300);
        for (size_t i = 0; i < sizeof all / sizeof *all; i++)
                tcase_add_loop_test(c, all[i].test, 0, all[i].end);
        suite_add_tcase(s, c);
        SRunner *r = srunner_create(s);
        srunner_run_all(r, CK_NORMAL);
        const int failed = srunner_ntests_failed(r);
        srunner_free(r);
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
