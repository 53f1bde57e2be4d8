/* SPDX-License-Identifier: 0BSD */
/*
 * Batch normalisation, with the residual's addition and the ReLU behind it, forward and backward; the sum of two tensors; the
 * global average. None of it allocates or fails. Every function gives the same bits on any number of threads and any set of
 * instructions (but for bfloat16 that is subnormal: rows.h).
 *
 * A tensor is [N, C / block, S, block], S = H * W, of float32 or bfloat16: block 16 and 8 are oneDNN's nChw16c and nChw8c, with C
 * padded up to whole blocks by zeros, which stay zeros; block 1 is NCHW; block C is NHWC, which has no padding.
 */
#ifndef RS_ONEDNN_NORM_KERNELS_H
#define RS_ONEDNN_NORM_KERNELS_H

#include <stdbool.h>
#include <stddef.h>

typedef struct rs_bn_shape {
        size_t n, c, s, block; /* block: 1, 8, 16 or c */
        bool bf16;             /* the tensors' elements; parameters are float always */
        int threads;
} rs_bn_shape;

/*
 * y = scale * (x - mean) / sqrt(var + eps) + shift (+ residual), then max(0, y) with relu. In training mean and var are those of
 * the batch; else what is given here, and without it y = scale * x + shift (+ residual).
 */
typedef struct rs_bn {
        const void *x, *residual;  /* tensors; residual may be NULL */
        void *y;                   /* tensor; may be x or residual */
        const float *scale, *shift; /* [C] */
        const float *mean, *var;   /* [C], both or neither; not read in training */
        double eps;
        bool training, relu;
        double *saved; /* [3, C] or NULL: mean, var (of the population), 1 / sqrt(var + eps), for running statistics and backward */
} rs_bn;
void rs_bn_forward(const rs_bn_shape *shape, const rs_bn *bn);
/* The same y once more, the same bits, from what forward saved. */
void rs_bn_again(const rs_bn_shape *shape, const rs_bn *bn);

/*
 * With g = dy (+ dy2), 0 where y is not above 0, and x^ = (x - mean) / sqrt(var + eps), or x where saved is NULL:
 * dres = g, dscale += sum g x^, dshift += sum g, and
 * dx = scale / sqrt(var + eps) * (g - mean(g) - x^ mean(g x^)) in training, scale / sqrt(var + eps) * g else.
 */
typedef struct rs_bn_grad {
        const void *dy, *dy2; /* tensors; dy2 may be NULL */
        const void *y;        /* tensor, what forward made with relu; NULL without, and where x tells */
        const void *x;        /* tensor; may be NULL when neither training nor dscale nor relu needs it */
        bool relu;            /* relu without a residual: y is made of x once more, so that it need not be read */
        const float *scale;   /* [C] */
        const float *shift;   /* [C], with relu */
        const double *saved;  /* [3, C], forward's; NULL for scale * x + shift */
        bool training;
        void *dx;              /* tensor; may be dy or dy2 */
        void *dres;            /* tensor or NULL; may be dy or dy2, but not dx */
        float *dscale, *dshift; /* [C] or NULL, added to */
} rs_bn_grad;
void rs_bn_backward(const rs_bn_shape *shape, const rs_bn_grad *grad);

/* y += x, elements of float or bfloat16. */
void rs_sum_into(void *y, const void *x, size_t count, bool bf16, int threads);

/* y[n, c] = mean of x over S, and its gradient: dx = dy / S, or dx += dy / S; padding becomes (stays) zero. */
void rs_mean_forward(const rs_bn_shape *shape, const void *x, float *y /* [N, C] */);
void rs_mean_backward(const rs_bn_shape *shape, const float *dy /* [N, C] */, void *dx, bool add);

#endif
