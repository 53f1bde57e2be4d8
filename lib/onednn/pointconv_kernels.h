/* SPDX-License-Identifier: 0BSD */
/* What pointconv.c and pointgrad.c ask of the processor: products of a few positions or channels with a few vectors of 16
   outputs. */
#ifndef RS_ONEDNN_POINTCONV_KERNELS_H
#define RS_ONEDNN_POINTCONV_KERNELS_H

#include <stdbool.h>
#include <stddef.h>

enum {
        RS_POINT_BLOCK = 6,   /* positions, at most */
        RS_POINT_VECTORS = 4, /* of outputs, at most */
        RS_POINT_CHUNK = RS_POINT_VECTORS * 16,
};

/* Vectors of 16 floats: [..][position][16], the outer steps that many floats apart. NULL: none. */
typedef struct rs_point_plane {
        float *at;
        size_t step;
} rs_point_plane;

/*
 * s = start + x' u over depth blocks of 16 channels, then also = s + more_also, y = relu(s + more + bias + y): every term but s
 * where there is one. x is [depth][.][16], u is [depth * 16][vectors * 16].
 * Meanwhile the positions at x_next and the outputs at y_next are fetched, and from further away, for each block of channels, so
 * many lines from far[0] and far[1].
 */
typedef struct rs_point_product {
        const float *x, *u;
        size_t x_step, depth;
        rs_point_plane start, more, more_also, also, y;
        const float *bias;
        bool add, relu;
        const float *x_next, *y_next;
        size_t x_next_step, y_next_step, far_lines[2];
        const char *far[2];
} rs_point_product;

/*
 * du[16][vectors * 16] (+)= x' dy, summed over positions of a few pictures: x is [pictures][positions][16], dy the same for each
 * vector, dy_vector floats apart. Meanwhile what lies at x_next as x does, du_next and dy_next, which may be dy, are fetched, and two
 * more things that lie so, pictures far_picture floats apart, from further away.
 */
typedef struct rs_point_outer {
        const float *x, *dy, *x_next, *dy_next, *du_next, *far[2];
        size_t pictures, positions, x_picture, dy_picture, dy_vector, far_picture[2];
        float *du;
        bool more; /* du is added to */
} rs_point_outer;

bool rs_point_able(void);
void rs_point_run(size_t positions, size_t vectors, const rs_point_product *p);
void rs_point_sum_outer(size_t vectors, const rs_point_outer *p);
/* Of [blocks][.][16] a11, a21 = a11 + half, a12 = a11 + across and a22: a21 + a22 and this - a11, a11 - a21, and a12 - the
   second, each [blocks][half / 16][16], one after the other. */
void rs_point_combine(const float *a11, size_t half, size_t across, size_t step, size_t blocks, float *to);

/* Of 16 rows of 16 weights in each of b11, b21, b12 and b22, rows `row` floats apart: what the seven products read, in their order
   (pointconv.c), `step` floats apart, rows RS_POINT_CHUNK. */
void rs_point_mix(const float *const b[4], size_t row, float *u, size_t step);

#endif
