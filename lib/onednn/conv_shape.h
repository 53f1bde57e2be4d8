/* SPDX-License-Identifier: 0BSD */
/* What oneDNN is told of a Conv: its three products, the value, the gradient of the input and the gradient of the weight, have a
   shape in common. */
#ifndef RS_ONEDNN_CONV_SHAPE_H
#define RS_ONEDNN_CONV_SHAPE_H

#include "onednn/lower.h"
#include "onednn/strided.h"

enum { RS_CONV_FORWARD, RS_CONV_INPUT, RS_CONV_WEIGHT, RS_CONV_PRODUCTS };

typedef struct rs_conv_shape {
        rs_lower *l;
        int rank, w_rank;
        dnnl_dims_t w;                               /* [G,] O, I, kernel */
        dnnl_dims_t stride, dilation, before, after; /* [rank - 2] */
        dnnl_memory_desc_t src, weight, bias, dst;   /* what the value is asked to be: any, or as it is */
        dnnl_memory_desc_t w_dense;                  /* float32 */
        bool has_bias, sum, relu, training, maybe_winograd, maybe_point;
        char key[160]; /* says all of it, for choose.h */
} rs_conv_shape;

/* *able is false when oneDNN is not to be asked. */
bool rs_conv_read(rs_lower *l, rs_pstep *s, rs_conv_shape *c, bool *able, resect_error *err) RESECT_MUST;
/* One of the products: its description, the caller's to destroy. Sets *unable when there is none. hint: the forward's. */
bool rs_conv_describe(const rs_conv_shape *c, int which, dnnl_primitive_desc_t hint, dnnl_primitive_desc_t *pd, bool *unable,
        resect_error *err) RESECT_MUST;
/* The layout of its input, weight or output (0, 1, 2) or, for the other products, of their gradients. */
dnnl_memory_desc_t rs_conv_md(dnnl_primitive_desc_t pd, int which, int side);
/* A described product as a launch of input, weight, output, bias. Destroys pd. */
bool rs_conv_launch(const rs_conv_shape *c, int which, dnnl_primitive_desc_t pd, rs_launch *l, resect_error *err) RESECT_MUST;
/* Of a Conv that maybe_point is true of, in a layout that rs_md_block knows: what it reads of x; false when that is everything. */
bool rs_conv_strided(const rs_conv_shape *c, rs_strided *s);

#endif
