/* SPDX-License-Identifier: 0BSD */
/*
 * A Conv by one of the methods of our own: Winograd's (winograd.h) for 3x3, Strassen's (pointconv.h) for 1x1, behind which what a
 * stride takes is brought together (strided.h). Both read and write blocks of 16 channels, [N][C / 16][H][W][16], and say for which
 * shapes they are; what is asked of them is the same.
 */
#ifndef RS_ONEDNN_OWN_H
#define RS_ONEDNN_OWN_H

#include "onednn/pointconv.h"
#include "onednn/strided.h"
#include "onednn/winograd.h"

typedef struct rs_own {
        enum { RS_OWN_NONE, RS_OWN_WINOGRAD, RS_OWN_POINT } method;
        union {
                rs_winograd winograd;
                rs_pointconv point;
        };
        rs_strided from, to; /* of a 1x1: what it reads of x; what it writes of y, the rest being zeros */
} rs_own;

/* All calls below are for an o that passed. */
bool rs_own_able(const rs_own *o);
const char *rs_own_name(const rs_own *o);
/* Packed weights; turned: those of the gradient of x, for which C and O are exchanged in o. */
size_t rs_own_weight_bytes(const rs_own *o);
void rs_own_weights(const rs_own *o, const float *w /* dense */, bool turned, float *u);
/* For weights that change with each call: o reads them dense from now on where that is faster. What it reads then: w itself, or u,
   into which they have been packed. */
void rs_own_trained(rs_own *o, bool turned);
float *rs_own_form(const rs_own *o, float *w, bool turned, float *u);
size_t rs_own_scratch(const rs_own *o); /* bytes, enough for each call; 64-byte aligned */
/* y = relu(conv(x, w) + bias + y): bias, the old y and relu only where asked for; the old y alone where `to` has a stride. */
void rs_own_forward(const rs_own *o, const float *x, const float *u, const float *bias, bool add, bool relu, float *y,
        void *scratch);
/* The same for the first `pictures` of the batch alone (at most all of them), to the same bits. u and scratch are those of all. */
void rs_own_forward_first(const rs_own *o, size_t pictures, const float *x, const float *u, const float *bias, bool add, bool relu,
        float *y, void *scratch);
/* dw = the gradient of w, dense. */
void rs_own_weight_gradient(const rs_own *o, const float *x, const float *dy, float *dw, void *scratch);

#endif
