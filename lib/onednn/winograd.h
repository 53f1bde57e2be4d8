/* SPDX-License-Identifier: 0BSD */
/*
 * 3x3 convolutions with stride 1 by Winograd's minimal filtering (Lavin and Gray, "Fast algorithms for convolutional neural
 * networks", arXiv 1509.09308): forward, the gradient of the data and the gradient of the weights, in float32, for machines with
 * AVX-512. Activations lie as nChw16c, [N][C / 16][H][W][16]; C and O are multiples of 16.
 *
 * A call neither allocates nor fails, and gives the same bits for any number of threads. Against a direct convolution the results
 * differ by rounding: a few 1e-6 of the largest output with tiles of 4 and 5, a few 1e-5 with tiles of 7.
 */
#ifndef RS_ONEDNN_WINOGRAD_H
#define RS_ONEDNN_WINOGRAD_H

#include <stdbool.h>
#include <stddef.h>

typedef struct rs_winograd {
        size_t n, c, o;
        size_t h, w;            /* input */
        size_t oh, ow;          /* output */
        int before_h, before_w; /* zeros above and to the left; those below and to the right follow from oh and ow */
        int threads;
        enum { RS_WINO_PACKED, RS_WINO_DENSE, RS_WINO_TURNED } weights; /* what a forward call is given as u */
        bool kept; /* packed weights are read by many calls: it is worth more room to have less to do */
} rs_winograd;

/* Whether this machine can and the shape is one of these: sizes at least 1, C and O multiples of 16, nothing overflows. All
   calls below are for a p that passed. */
bool rs_winograd_able(const rs_winograd *p);

/* The data gradient as a forward call, x being dy. */
rs_winograd rs_winograd_turned(const rs_winograd *p);

/* Transformed weights. Their layout follows from all of p but threads. */
size_t rs_winograd_weight_bytes(const rs_winograd *p);
/* gradient: the weights of the data gradient, which p is that of; w is then dense [p->c, p->o, 3, 3], the very tensor of the forward
   pass. */
void rs_winograd_weights(const rs_winograd *p, const float *w /* [O, C, 3, 3] dense */, bool gradient, float *u);

/* Whether each weight is read once only in a forward call, so that packing those that change with each call costs more than it saves:
   they are given dense then, p->weights being RS_WINO_DENSE, or RS_WINO_TURNED for the data gradient. Nothing else follows from that. */
bool rs_winograd_reads_once(const rs_winograd *p);

size_t rs_winograd_scratch(const rs_winograd *p); /* bytes, for either of the calls below; 64-byte aligned */

/* y = relu(conv(x, w) + bias + y), bias, the old y and relu only where asked for. */
void rs_winograd_forward(const rs_winograd *p, const float *x /* [N, C/16, H, W, 16] */, const float *u,
        const float *bias /* [O] or NULL */, bool add, bool relu, float *y /* [N, O/16, OH, OW, 16] */, void *scratch);
/* The same for the first `pictures` of the n alone, to the same bits; the others' part of y is left as it is. u and scratch are
   those of all n. */
void rs_winograd_forward_first(const rs_winograd *p, size_t pictures, const float *x, const float *u, const float *bias, bool add,
        bool relu, float *y, void *scratch);
/* dw is overwritten. */
void rs_winograd_weight_gradient(const rs_winograd *p, const float *x /* [N, C/16, H, W, 16] */,
        const float *dy /* [N, O/16, OH, OW, 16] */, float *dw /* [O, C, 3, 3] dense */, void *scratch);

#endif
