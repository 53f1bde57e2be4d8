/* SPDX-License-Identifier: 0BSD */
/*
 * One or two passes of row kernels over the channels of a tensor: the first sums, the second writes
 * what the sums told. An operation says what a channel's numbers are before and between; where its
 * elements lie, and who does which when, is known here.
 */
#ifndef RS_ONEDNN_BLOCKS_H
#define RS_ONEDNN_BLOCKS_H

#include "onednn/norm_kernels.h"
#include "onednn/rows.h"

/* Where the rows of a block are. */
typedef struct rs_blocks {
        size_t images, image_stride; /* summed apart; one when a sum goes over the batch */
        size_t blocks, block_stride; /* of an image */
        size_t channels;             /* of a block; the lanes of a row take turns on them */
        size_t groups;               /* rows side by side */
        size_t runs, run_stride;     /* stretches of neighbouring rows */
        size_t rows, row_stride;     /* of a run, */
        size_t tail;                 /* and the elements of a last one that is not full */
        size_t width;                /* of all groups together */
        bool columns;                /* NHWC: the last block is narrower, and has no padding */
        size_t parts;
} rs_blocks;

/* What a channel is given for the first pass, what comes out of it, what the second is given; see
 * rs_lanes. */
typedef struct rs_block_channel {
        double s, q;
        float m, a, b, c;
} rs_block_channel;

typedef struct rs_block_job {
        const rs_bn_shape *shape;
        rs_blocks by;
        rs_row_kernel *first, *second; /* either may be NULL */
        rs_rows in_first, in_second;   /* the whole tensors */
        bool sample; /* m is to be about the channel's mean before the first pass */
        /* `write`: results for the caller are to be stored, too */
        void (*before)(const struct rs_block_job *j, size_t image, size_t ch, rs_block_channel *v);
        void (*after)(const struct rs_block_job *j, size_t image, size_t ch, rs_block_channel *v, bool write);
        const void *work;
} rs_block_job;

/* The layout of a tensor; `apart`: an image at a time. */
rs_blocks rs_blocks_of(const rs_bn_shape *shape, bool apart);
void rs_blocks_run(const rs_block_job *job);

#endif
