/* SPDX-License-Identifier: 0BSD */
/*
 * 1x1 convolutions with stride 1 and their gradients, in float32, for machines with AVX-512. Activations lie as nChw16c,
 * [N][C / 16][positions][16]; C and O are multiples of 16. Where it pays, an eighth of the multiplications is saved by one level
 * of Strassen's method as Winograd has it (15 additions).
 *
 * A call neither allocates nor fails, and gives the same bits for any number of threads. Against plain sums the results differ by
 * rounding: about 1e-5 of the largest output.
 */
#ifndef RS_ONEDNN_POINTCONV_H
#define RS_ONEDNN_POINTCONV_H

#include <stdbool.h>
#include <stddef.h>

typedef struct rs_pointconv {
        size_t n, c, o;
        size_t s; /* positions of a picture */
        int threads;
} rs_pointconv;

/* Whether this machine can and the shape is one of these: sizes at least 1, C and O multiples of 16, nothing overflows. All
   calls below are for a p that passed. */
bool rs_pointconv_able(const rs_pointconv *p);

/* Packed weights. Their layout follows from all of p but n and threads. */
size_t rs_pointconv_weight_bytes(const rs_pointconv *p);
/* turned: w is [C, O]. So the gradient of x is the forward product of dy with the weights turned, C and O exchanged. */
void rs_pointconv_weights(const rs_pointconv *p, const float *w /* [O, C] dense */, bool turned, float *u);

size_t rs_pointconv_scratch(const rs_pointconv *p); /* bytes, enough for each call; 64-byte aligned */

/* y = relu(w x + bias + y), bias, the old y and relu only where asked for. */
void rs_pointconv_forward(const rs_pointconv *p, const float *x /* [N, C/16, S, 16] */, const float *u,
        const float *bias /* [O] or NULL */, bool add, bool relu, float *y /* [N, O/16, S, 16] */, void *scratch);

/* pointgrad.c's part of the scratch. */
size_t rs_point_gradient_scratch(const rs_pointconv *p);
/* dw = the gradient of w. */
void rs_pointconv_weight_gradient(const rs_pointconv *p, const float *x /* [N, C/16, S, 16] */,
        const float *dy /* [N, O/16, S, 16] */, float *dw /* [O, C] dense */, void *scratch);

#endif
