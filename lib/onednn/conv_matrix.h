/* SPDX-License-Identifier: 0BSD */
/*
 * The gradients of a 1x1 Conv in bfloat16 as products of matrices: channels last, a tensor is a matrix of positions by channels, and
 *
 *     dx [P, I] = dy [P, O]  w [O, I]            dw [O, I] = dy [P, O]^T  x [P, I]
 *
 * which oneDNN 2.6 multiplies two to five times as fast as its convolutions' gradients with AMX, and leaves the gradient of the
 * weight as it is wanted, dense. Where the Conv has strides, the positions that it reads are first brought together, or dx is first made of those
 * alone and then spread among zeros.
 */
#ifndef RS_ONEDNN_CONV_MATRIX_H
#define RS_ONEDNN_CONV_MATRIX_H

#include "onednn/conv_shape.h"

/* The launches, with the arguments in the order of rs_conv_launch's; form: of the weight, for INPUT. *able: false, and
   nothing is made, when they are not to be had. */
bool rs_conv_matrix(const rs_conv_shape *c, int which, rs_launch *direct, rs_launch *form, bool *able, resect_error *err) RESECT_MUST;

#endif
