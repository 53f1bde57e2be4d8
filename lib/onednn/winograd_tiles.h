/* SPDX-License-Identifier: 0BSD */
/* How Winograd's kernels cut the outputs of a batch into tiles, for winograd.c and winograd_grad.c. */
#ifndef RS_ONEDNN_WINOGRAD_TILES_H
#define RS_ONEDNN_WINOGRAD_TILES_H

#include "onednn/share.h"
#include "onednn/winograd.h"
#include "onednn/winograd_kernels.h"

typedef struct rs_wino_tiles {
        const rs_wino_kernels *k;
        size_t points;     /* products a tile becomes */
        size_t rows, cols; /* tiles of a picture */
        size_t count;      /* of the whole batch */
} rs_wino_tiles;

/* The size of tile with which there is least to do. */
static inline rs_wino_tiles
rs_wino_tiles_of(const rs_winograd *p)
{
        const rs_wino_kernels *const all[] = {&rs_wino_4, &rs_wino_5, &rs_wino_7};
        rs_wino_tiles best = {0};
        size_t least = 0;

        for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
                const rs_wino_kernels *k = all[i];
                rs_wino_tiles t = {k, k->a * k->a, rs_up(p->oh, k->m), rs_up(p->ow, k->m), 0};
                t.count = p->n * t.rows * t.cols;
                const size_t work = t.points * (t.count + k->weigh);
                if (!i || work < least) {
                        best = t;
                        least = work;
                }
        }
        return best;
}

/* Where a tile's outputs begin, and in which picture. */
typedef struct rs_wino_place {
        size_t picture, y, x;
} rs_wino_place;

static inline rs_wino_place
rs_wino_place_of(const rs_wino_tiles *t, size_t tile)
{
        const size_t each = t->rows * t->cols, in = tile % each;

        return (rs_wino_place){tile / each, in / t->cols * t->k->m, in % t->cols * t->k->m};
}

/* Floats from one plane of an array to the next: an odd number of cache lines, which use all sets of a cache. */
static inline size_t
rs_wino_plane(size_t floats)
{
        return (rs_up(floats, 16) | 1) * 16;
}

/* One of the shares into which work is cut, as many as there are threads. */
typedef struct rs_wino_team {
        size_t rank, size;
} rs_wino_team;

/* bytes for rs_winograd_weight_gradient */
size_t rs_winograd_gradient_scratch(const rs_winograd *p);

#endif
