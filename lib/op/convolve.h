/* SPDX-License-Identifier: 0BSD */
/*
 * Convolution as three products, for Conv, its quantised forms and, with the roles of input and
 * output exchanged, ConvTranspose:
 *
 *   apply        y = w * x          rows: output channels, columns: positions of all images, depth:
 * (input channel, tap) spread       x += w' * y        the gradient of the input: columns are the
 * input's positions, class by class of (position modulo stride), for each of which a fixed set of
 * taps counts, so that nothing is multiplied by zeros that strides would insert correlate    w += y
 * * x'        the gradient of the weights: depth is the positions
 *
 * Columns run on across the images of a batch, so that pictures of 1 x 1 or 2 x 2 make full panels
 * as well. Taps that see nothing but padding are left out.
 */
#ifndef RS_OP_CONVOLVE_H
#define RS_OP_CONVOLVE_H

#include "op/gemm_pack.h"
#include "op/window.h"

/* The input's positions that are congruent modulo stride. */
typedef struct rs_phase {
        int64_t first[RS_AXES_MAX], grid[RS_AXES_MAX];
        size_t places; /* product of grid */
        const rs_tap *taps;
        const size_t *index; /* [n_taps] their weights */
        size_t n_taps;
} rs_phase;

typedef struct rs_conv {
        size_t images, groups;
        size_t cin, cout; /* of one group */
        int axes;         /* at least 1 */
        int64_t in[RS_AXES_MAX], out[RS_AXES_MAX], stride[RS_AXES_MAX];
        size_t in_plane, out_plane, volume; /* products of in, out and kernel */
        const rs_tap *taps;                 /* those that see something */
        const size_t *index;
        size_t n_taps;
        const rs_phase *phases;
        size_t n_phases;
} rs_conv;

/* Works out taps and phases; c's images, groups, cin, cout are set. in and out are numbers. */
bool rs_conv_make(const rs_infer *x, rs_conv *c, const rs_window *w, const int64_t *in,
        const int64_t *out, resect_error *err) RESECT_MUST;

/* What becomes of a value v of the result, element e of the tensor, in channel ch. */
typedef struct rs_finish {
        int32_t dtype;
        void *y;
        bool add;             /* y += v; else y = v + bias, then + residual, then relu */
        const void *bias;     /* [channels] of dtype, or NULL */
        const void *residual; /* as y, or NULL */
        bool relu;
} rs_finish;

/* Float kinds; x and w are of f->dtype. scratch: rs_gemm_scratch(threads). */
void rs_conv_apply(const rs_conv *c, const void *x, const void *w, const rs_finish *f, int threads,
        void *scratch);
void rs_conv_spread(const rs_conv *c, const void *y, const void *w, const rs_finish *f, int threads,
        void *scratch);
void rs_conv_correlate(const rs_conv *c, const void *x, const void *y, int32_t dtype, void *w,
        int threads, void *scratch);
/* b[ch] += sum of y over images and places, ch in 0..channels. */
void rs_conv_sum(int32_t dtype, const void *y, size_t images, size_t channels, size_t plane,
        void *b, int threads);

/* The product behind apply, for callers with types and an end of their own (quantised). */
typedef struct rs_conv_product {
        rs_gemm g;
        rs_rows w;
        rs_patches x;
} rs_conv_product;
void rs_conv_product_make(const rs_conv *c, int32_t xtype, const void *x, int32_t wtype,
        const void *w, rs_conv_product *p);

#endif
