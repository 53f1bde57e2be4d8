/* SPDX-License-Identifier: 0BSD */
/*
 * The arithmetic under norm_kernels.c, on rows of sixteen neighbouring elements. Whatever the layout, element l of a row has
 * the parameters of lane l, so that a row needs no knowledge of channels. A kernel exists once an element type and a set of
 * instructions; all of them do the same operations in the same order (no fused multiply-add), and so give the same bits, but for
 * subnormal bfloat16, which some machines round to zero.
 */
#ifndef RS_ONEDNN_ROWS_H
#define RS_ONEDNN_ROWS_H

#include <stdbool.h>
#include <stddef.h>

enum { RS_LANES = 16 };

/* The buffers that a kernel reads or writes; NULL when it is not asked to. OUT and G may be any of the others. */
enum rs_stream { RS_X, RS_RESIDUAL, RS_Y, RS_DY, RS_DY2, RS_G, RS_OUT, RS_STREAMS };

typedef struct rs_rows {
        void *at[RS_STREAMS]; /* the first row */
        size_t count, stride; /* rows, and elements from one to the next, in all buffers alike */
        bool relu;
} rs_rows;

typedef struct rs_lanes {
        double s[RS_LANES], q[RS_LANES]; /* sums, added to */
        float m[RS_LANES], a[RS_LANES], b[RS_LANES], c[RS_LANES];
} rs_lanes;

typedef void rs_row_kernel(const rs_rows *r, rs_lanes *l);
typedef struct rs_row_kernels {
        /* s += x - m, q += (x - m)^2 */
        rs_row_kernel *sums;
        /* OUT = a (x - m) + b, without X: b; then + RESIDUAL; then relu: max(0, OUT) */
        rs_row_kernel *apply;
        /* g = DY (+ DY2), rounded to the element type, 0 unless y > 0: where Y is given, or with relu, y then being what apply makes
           of X alone; G = g, OUT = a g; s += g, and where X is given q += g (x - m) */
        rs_row_kernel *gather;
        /* OUT = a g + b (x - m) + c, g from G */
        rs_row_kernel *spread;
} rs_row_kernels;

/* The sets of kernels that this machine can run, best first; NULL past the end. */
const rs_row_kernels *rs_row_kernels_list(size_t i, bool bf16);

#endif
