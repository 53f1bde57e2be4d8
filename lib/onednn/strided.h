/* SPDX-License-Identifier: 0BSD */
/*
 * What lies at every few rows and columns, brought together and back: a 1x1 convolution with a stride reads nothing else, so that it
 * is one without a stride between the two. A call neither allocates nor fails; the same bits for any
 * number of threads.
 */
#ifndef RS_ONEDNN_STRIDED_H
#define RS_ONEDNN_STRIDED_H

#include <stdbool.h>
#include <stddef.h>

typedef struct rs_strided {
        size_t planes;         /* N * C / 16, or N where channels come last */
        size_t bytes;          /* that lie together at a position: of 16 floats, or of all channels */
        size_t h, w, oh, ow;   /* rows and columns of all; of those at 0, step, 2 step ... */
        size_t step_h, step_w; /* 0: no stride, and nothing below is for it */
        int threads;
} rs_strided;

size_t rs_strided_bytes(const rs_strided *s); /* of what is brought together */
void rs_strided_gather(const rs_strided *s, const void *x /* [planes, h, w, bytes] */, void *some /* [planes, oh, ow, bytes] */);
/* x = some where that stands and 0 elsewhere; add, of floats: x += that. */
void rs_strided_spread(const rs_strided *s, const void *some, bool add, void *x);

#endif
