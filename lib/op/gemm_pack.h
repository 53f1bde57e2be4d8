/* SPDX-License-Identifier: 0BSD */
/*
 * The operands that products are made of, and the functions that pack them for each element type.
 * Two kinds cover all: rows at regular places (matrices, transposed or not, weights, gradients of
 * an output) and patches (what the taps of a kernel see of a picture: im2col, a block at a time and
 * never in memory as a whole).
 */
#ifndef RS_OP_GEMM_PACK_H
#define RS_OP_GEMM_PACK_H

#include "op/gemm.h"

#include <stdint.h>

/*
 * Element (j, k) of product b is data[start + j * sj + k / len * sq + at(k % len)], where start is
 * offsets[b] or b * batch, and at(r) is index[r] or r * sr. j is a row of A or a column of B. For
 * 8-bit types zero_point[j * zs] is subtracted.
 */
typedef struct rs_rows {
        const void *data;
        const size_t *offsets; /* or NULL */
        size_t batch, sj;
        size_t len, sq, sr;
        const size_t *index;    /* [len] or NULL */
        const void *zero_point; /* of the same type, or NULL */
        size_t zs, zero_batch;
} rs_rows;

enum { RS_AXES_MAX = 6 };

/* One place of a kernel: what it adds to a position, and where its weight is. */
typedef struct rs_tap {
        int64_t at[RS_AXES_MAX];
        size_t weight;
} rs_tap;

/*
 * Row (of A; column of B) and depth are (c, tap) and (image, position), one or the other first.
 * Positions form a grid; position g under a tap sees x[image, b * channels + c, g * step + tap.at],
 * or 0 outside.
 */
typedef struct rs_patches {
        const void *data;
        size_t image;    /* elements from an image to the next */
        size_t channels; /* of one product: b * channels is its first */
        int axes;        /* the last one is the fastest */
        int64_t size[RS_AXES_MAX], grid[RS_AXES_MAX], step[RS_AXES_MAX];
        size_t plane, places; /* products of size and of grid */
        const rs_tap *taps;
        size_t n_taps;
        const void *zero_point; /* one, or NULL */
} rs_patches;

/* For a dtype that can be multiplied (float32, float64, float16, bfloat16, uint8, int8); else NULL.
 */
rs_gemm_pack *rs_rows_packer(int32_t dtype); /* an rs_rows */
rs_gemm_pack *rs_patches_packer(
        int32_t dtype); /* an rs_patches: rows are positions, depth is (c, tap) */
rs_gemm_pack *rs_patches_across_packer(
        int32_t dtype); /* an rs_patches: rows are (c, tap), depth is positions */

#endif
