/* SPDX-License-Identifier: 0BSD */
/*
 * The one matrix multiply: C = A * B for every product of the library, dense, transposed, quantised
 * or a convolution. What the operands look like in memory is known to two functions that pack a
 * block of them into panels of doubles, and what becomes of the result to a third that is shown
 * finished tiles; the multiply in between is the same for all.
 *
 * Element (i, j) is the sum over k = 0, 1, 2 ... in this order, in double, however the work is cut:
 * by blocks, threads or the instruction set. A product of two floats (or of two integers of 8 bits)
 * is exact in double, so that a fused multiply-add rounds as the two operations do, and all
 * machines and thread counts give the same bits.
 */
#ifndef RS_OP_GEMM_H
#define RS_OP_GEMM_H

#include <stdbool.h>
#include <stddef.h>

enum {
        RS_GEMM_COLUMNS = 240, /* of a tile, at most */
        RS_GEMM_WIDEST = 24    /* rows of a panel, at most */
};

/*
 * Packs rows j0..j1 of A (or columns j0..j1 of B), depth k0..k1, of product number `batch`. The
 * block is cut into panels of nr rows: panel p, which begins at out + p * nr * (k1 - k0), holds
 * rows j0 + p * nr ..., depth by depth: [k1 - k0, width]. width is nr, in the last panel `last`;
 * places beyond j1 are zero.
 */
typedef struct rs_gemm_block {
        size_t batch, k0, k1, j0, j1;
        size_t nr;   /* of a full panel */
        size_t last; /* width of the last panel */
        double *out;
} rs_gemm_block;
typedef void rs_gemm_pack(const void *operand, const rs_gemm_block *b);

/* A finished tile, rows i0..i1 and columns j0..j1 of product `batch`; c[(i - i0) * ldc + (j - j0)].
 * Each element is shown once. */
typedef struct rs_gemm_tile {
        size_t batch, i0, i1, j0, j1;
        const double *c;
        size_t ldc;
} rs_gemm_tile;
typedef void rs_gemm_emit(const void *result, const rs_gemm_tile *t);

typedef struct rs_gemm {
        size_t batch; /* products of one shape, independent of each other */
        size_t m, n, k;
        rs_gemm_pack *pack_a, *pack_b;
        const void *a, *b;
        rs_gemm_emit *emit; /* called from several threads */
        const void *c;
        const struct rs_gemm_isa *isa; /* NULL: the best of this machine */
} rs_gemm;

/* Bytes of scratch for products of any shape on so many threads. */
size_t rs_gemm_scratch(int threads);
void rs_gemm_run(const rs_gemm *g, int threads, void *scratch);

/* The sets of inner kernels that this machine can run, best first; NULL past the end. For tests. */
const struct rs_gemm_isa *rs_gemm_isa_list(size_t i);
const char *rs_gemm_isa_name(const struct rs_gemm_isa *isa);

#endif
