/* SPDX-License-Identifier: 0BSD */
/*
 * What winograd.c asks of the processor. A tile of M x M outputs needs A x A inputs, A = M + 2, and becomes A * A products: its
 * points. Where an array holds a plane for each point, plane is the distance between them, in floats.
 */
#ifndef RS_ONEDNN_WINOGRAD_KERNELS_H
#define RS_ONEDNN_WINOGRAD_KERNELS_H

#include <stdbool.h>
#include <stddef.h>

enum {
        RS_WINO_LANES = 16,
        RS_WINO_CHUNK = 32, /* outputs that a product works on at a time */
        RS_WINO_BLOCK = 14, /* tiles, at most, that it does */
};

/* Pictures, [N][blocks][h][w][16]. */
typedef struct rs_wino_map {
        size_t blocks, h, w;
        int before_h, before_w;
} rs_wino_map;

/* What becomes of outputs. */
typedef struct rs_wino_end {
        const float *bias; /* of this block of 16, or NULL */
        bool add, relu;
} rs_wino_end;

/* The kernels for tiles of one size. */
typedef struct rs_wino_kernels {
        size_t m, a;
        size_t weigh; /* transforming weights takes as long as the products of so many tiles */
        /* B' d B of the tile whose outputs begin at (y, x), for channel blocks [from, to): block b goes to
           v + b / 2 * pair + b % 2 * odd. */
        void (*spread)(const rs_wino_map *map, const float *picture, size_t y, size_t x, size_t from, size_t to, float *v,
                size_t plane, size_t pair, size_t odd);
        /* A d A' of the tile of outputs: the same for the gradient of y. */
        void (*widen)(const rs_wino_map *map, const float *picture, size_t y, size_t x, size_t from, size_t to, float *v,
                size_t plane, size_t pair, size_t odd);
        /* A' s A, scaled, to the outputs at (y, x) that there are; out is the map of one block of channels, [h, w, 16]. */
        void (*gather)(const rs_wino_map *map, const float *s, size_t plane, size_t y, size_t x, const rs_wino_end *end,
                float *out);
        void (*weights)(const float *w /* [9][16] */, float *u, size_t plane); /* G w G' of 16 lanes */
        void (*taps)(const float *u, size_t plane, float *w /* [9][16] */);    /* G' u G, scaled */
} rs_wino_kernels;

extern const rs_wino_kernels rs_wino_4, rs_wino_5, rs_wino_7;

bool rs_wino_able(void);

/* s[vectors][.][16] (+)= v[depth][tiles][16]' * u[depth * 16][vectors * 16], s + j * step being vector j; tiles <= RS_WINO_BLOCK,
   vectors 1 or 2. Meanwhile lines of 64 bytes at ahead are brought near, `lines` for every 4 channels. */
typedef struct rs_wino_sums {
        const float *v, *u;
        float *s;
        size_t step, depth;
        bool more;
        const char *ahead;
        size_t lines;
} rs_wino_sums;
void rs_wino_product(size_t tiles, size_t vectors, const rs_wino_sums *r);
/* A matrix of 16 x 16, rows that many floats apart. */
void rs_wino_transpose(const float *from, size_t from_step, float *to, size_t to_step);

#endif
