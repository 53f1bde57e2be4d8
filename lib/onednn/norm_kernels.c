/* SPDX-License-Identifier: 0BSD */
/*
 * What each operation tells a channel before and between the passes of blocks.h.
 */
#include "onednn/norm_kernels.h"

#include <math.h>
#include <stdint.h>
#include "onednn/blocks.h"

/* m is the nearest float to the mean; what the rounding took away goes into b. */
static void
set_affine(const rs_bn *bn, size_t ch, double mean, double inverse, rs_block_channel *v)
{
        const double a = (double)bn->scale[ch] * inverse;

        v->m = (float)mean;
        v->a = (float)a;
        v->b = (float)((double)bn->shift[ch] - (mean - (double)v->m) * a);
}

static void
save(double *saved, size_t channels, size_t ch, double mean, double var, double inverse)
{
        if (!saved)
                return;
        saved[ch] = mean;
        saved[channels + ch] = var;
        saved[2 * channels + ch] = inverse;
}

static void
forward_after(const rs_block_job *j, size_t image, size_t ch, rs_block_channel *v, bool write)
{
        const rs_bn *bn = j->work;
        const double n = (double)j->shape->n * (double)j->shape->s, off = v->s / n;
        const double mean = (double)v->m + off, rest = v->q / n - off * off,
                     var = rest < 0 ? 0 : rest;
        const double inverse = 1 / sqrt(var + bn->eps);

        (void)image;
        if (write)
                save(bn->saved, j->shape->c, ch, mean, var, inverse);
        set_affine(bn, ch, mean, inverse, v);
}

static void
frozen_before(const rs_block_job *j, size_t image, size_t ch, rs_block_channel *v)
{
        const rs_bn *bn = j->work;
        const double mean = bn->mean ? (double)bn->mean[ch] : 0;

        (void)image;
        set_affine(bn, ch, mean, bn->mean ? 1 / sqrt((double)bn->var[ch] + bn->eps) : 1, v);
}

static void
again_before(const rs_block_job *j, size_t image, size_t ch, rs_block_channel *v)
{
        const rs_bn *bn = j->work;

        (void)image;
        set_affine(bn, ch, bn->saved[ch], bn->saved[2 * j->shape->c + ch], v);
}

void
rs_bn_again(const rs_bn_shape *shape, const rs_bn *bn)
{
        const rs_row_kernels *k = rs_row_kernels_list(0, shape->bf16);
        void *const x = (void *)(uintptr_t)bn->x, *const residual = (void *)(uintptr_t)bn->residual;
        rs_block_job j = {.shape = shape,
                .by = rs_blocks_of(shape, false),
                .second = k->apply,
                .in_second = {.at = {[RS_X] = x, [RS_RESIDUAL] = residual, [RS_OUT] = bn->y},
                        .relu = bn->relu},
                .before = again_before,
                .after = forward_after,
                .work = bn};

        rs_blocks_run(&j);
}

void
rs_bn_forward(const rs_bn_shape *shape, const rs_bn *bn)
{
        const rs_row_kernels *k = rs_row_kernels_list(0, shape->bf16);
        void *const x = (void *)(uintptr_t)bn->x, *const residual = (void *)(uintptr_t)bn->residual;
        rs_block_job j = {.shape = shape,
                .by = rs_blocks_of(shape, false),
                .first = bn->training ? k->sums : NULL,
                .second = k->apply,
                .in_first = {.at = {[RS_X] = x}},
                .in_second = {.at = {[RS_X] = x, [RS_RESIDUAL] = residual, [RS_OUT] = bn->y},
                        .relu = bn->relu},
                .sample = bn->training,
                .before = frozen_before,
                .after = forward_after,
                .work = bn};

        rs_blocks_run(&j);
        for (size_t ch = 0; !bn->training && bn->mean && bn->saved && ch < shape->c; ch++)
                save(bn->saved, shape->c, ch, (double)bn->mean[ch], (double)bn->var[ch],
                        1 / sqrt((double)bn->var[ch] + bn->eps));
}

static double
mean_of(const rs_block_job *j, size_t ch)
{
        const rs_bn_grad *g = j->work;

        return g->saved ? g->saved[ch] : 0;
}

static double
inverse_of(const rs_block_job *j, size_t ch)
{
        const rs_bn_grad *g = j->work;

        return g->saved ? g->saved[2 * j->shape->c + ch] : 1;
}

static void
backward_before(const rs_block_job *j, size_t image, size_t ch, rs_block_channel *v)
{
        const rs_bn_grad *g = j->work;

        (void)image;
        if (g->relu) { /* as forward had it, to the last bit */
                const rs_bn bn = {.scale = g->scale, .shift = g->shift};
                set_affine(&bn, ch, mean_of(j, ch), inverse_of(j, ch), v);
                return;
        }
        v->m = (float)mean_of(j, ch);
        v->a = (float)((double)g->scale[ch] * inverse_of(j, ch));
}

/* dx = a g + b (x - m) + c, with b = -a mean(g x^) / sqrt(var + eps) and c = -a mean(g), and what
 * m's rounding took away. */
static void
backward_after(const rs_block_job *j, size_t image, size_t ch, rs_block_channel *v, bool write)
{
        const rs_bn_grad *g = j->work;
        const double n = (double)j->shape->n * (double)j->shape->s;
        const double mean = mean_of(j, ch), inverse = inverse_of(j, ch),
                     a = (double)g->scale[ch] * inverse;
        const double rest = mean - (double)v->m,
                     q = v->q - rest * v->s; /* rest: what m's rounding took away */
        const double b = -a * inverse * inverse * q / n;

        (void)image;
        if (write && g->dscale)
                g->dscale[ch] = (float)((double)g->dscale[ch] + q * inverse);
        if (write && g->dshift)
                g->dshift[ch] = (float)((double)g->dshift[ch] + v->s);
        v->b = (float)b;
        v->c = (float)(-a * v->s / n - b * rest);
}

void
rs_bn_backward(const rs_bn_shape *shape, const rs_bn_grad *grad)
{
        const rs_row_kernels *k = rs_row_kernels_list(0, shape->bf16);
        void *const x = (void *)(uintptr_t)grad->x, *const y = (void *)(uintptr_t)grad->y;
        void *const dy = (void *)(uintptr_t)grad->dy, *const dy2 = (void *)(uintptr_t)grad->dy2;
        const bool two = grad->training && grad->dx, kept = y || dy2 || grad->relu;
        void *const g = grad->dres ? grad->dres : two && kept ? grad->dx : NULL;
        rs_block_job j = {.shape = shape,
                .by = rs_blocks_of(shape, false),
                .first = k->gather,
                .second = two ? k->spread : NULL,
                .in_first = {.at = {[RS_DY] = dy, [RS_DY2] = dy2, [RS_Y] = y, [RS_G] = g},
                        .relu = grad->relu},
                .in_second = {.at = {[RS_X] = x, [RS_G] = g ? g : dy, [RS_OUT] = grad->dx}},
                .before = backward_before,
                .after = backward_after,
                .work = grad};

        if (two || grad->dscale || grad->relu)
                j.in_first.at[RS_X] = x;
        if (!two)
                j.in_first.at[RS_OUT] = grad->dx;
        rs_blocks_run(&j);
}

static void
sum_before(const rs_block_job *j, size_t image, size_t ch, rs_block_channel *v)
{
        (void)j, (void)image, (void)ch;
        v->a = 1;
}

void
rs_sum_into(void *y, const void *x, size_t count, bool bf16, int threads)
{
        const rs_bn_shape shape = {
                .n = 1, .c = 1, .s = count, .block = 1, .bf16 = bf16, .threads = threads};
        rs_block_job j = {.shape = &shape,
                .by = rs_blocks_of(&shape, false),
                .second = rs_row_kernels_list(0, bf16)->apply,
                .in_second =
                        {.at = {[RS_X] = (void *)(uintptr_t)x, [RS_RESIDUAL] = y, [RS_OUT] = y}},
                .before = sum_before};

        rs_blocks_run(&j);
}

typedef struct mean_work {
        const float *dy;
        float *y;
} mean_work;

static void
mean_before(const rs_block_job *j, size_t image, size_t ch, rs_block_channel *v)
{
        const mean_work *w = j->work;

        if (w->dy)
                v->b = (float)((double)w->dy[image * j->shape->c + ch] / (double)j->shape->s);
}

static void
mean_after(const rs_block_job *j, size_t image, size_t ch, rs_block_channel *v, bool write)
{
        const mean_work *w = j->work;

        if (write)
                w->y[image * j->shape->c + ch] = (float)(v->s / (double)j->shape->s);
}

void
rs_mean_forward(const rs_bn_shape *shape, const void *x, float *y)
{
        const mean_work w = {.y = y};
        rs_block_job j = {.shape = shape,
                .by = rs_blocks_of(shape, true),
                .first = rs_row_kernels_list(0, shape->bf16)->sums,
                .in_first = {.at = {[RS_X] = (void *)(uintptr_t)x}},
                .before = mean_before,
                .after = mean_after,
                .work = &w};

        rs_blocks_run(&j);
}

void
rs_mean_backward(const rs_bn_shape *shape, const float *dy, void *dx, bool add)
{
        const mean_work w = {.dy = dy};
        rs_block_job j = {.shape = shape,
                .by = rs_blocks_of(shape, true),
                .second = rs_row_kernels_list(0, shape->bf16)->apply,
                .in_second = {.at = {[RS_RESIDUAL] = add ? dx : NULL, [RS_OUT] = dx}},
                .before = mean_before,
                .work = &w};

        rs_blocks_run(&j);
}
