/* SPDX-License-Identifier: 0BSD */
/*
 * Packing. What a tap sees is worked out position by position once (bounds, places) and then used
 * for all channels, so that the inner loops are loads, conversions and stores. The same source is
 * compiled for each element type.
 */
#include "op/gemm_pack.h"

#include <string.h>
#include "tensor/dtype.h"

enum { WIDEST = RS_GEMM_WIDEST, DEEPEST = 160 };

/* A position of the grid times step, and its image's place. */
typedef struct position {
        int64_t at[RS_AXES_MAX];
        int64_t image;
} position;

/* Positions number j0 .. j0 + n, images counted in. */
static void
positions_make(const rs_patches *o, size_t j0, size_t n, position *p)
{
        size_t image = j0 / o->places, rest = j0 % o->places;
        int64_t g[RS_AXES_MAX] = {0};

        for (int a = o->axes - 1; a >= 0; a--) {
                g[a] = (int64_t)(rest % (size_t)o->grid[a]);
                rest /= (size_t)o->grid[a];
        }
        for (size_t j = 0; j < n; j++) {
                p[j].image = (int64_t)(image * o->image);
                for (int a = 0; a < o->axes; a++)
                        p[j].at[a] = g[a] * o->step[a];
                int a = o->axes - 1;
                while (a >= 0 && ++g[a] == o->grid[a])
                        g[a--] = 0;
                if (a < 0)
                        image++;
        }
}

/* Where a tap reads for each position, in channel 0 of its image; -1 outside. */
static void
positions_see(const rs_patches *o, const rs_tap *tap, const position *p, size_t n, int64_t *at)
{
        if (o->axes == 2) {
                const int64_t h = o->size[0], w = o->size[1], dy = tap->at[0], dx = tap->at[1];
                for (size_t j = 0; j < n; j++) {
                        const int64_t y = p[j].at[0] + dy, x = p[j].at[1] + dx;
                        const bool in = (uint64_t)y < (uint64_t)h && (uint64_t)x < (uint64_t)w;
                        at[j] = in ? p[j].image + y * w + x : -1;
                }
                return;
        }
        for (size_t j = 0; j < n; j++) {
                int64_t place = 0;
                bool in = true;
                for (int a = 0; a < o->axes; a++) {
                        const int64_t v = p[j].at[a] + tap->at[a];
                        in = in && v >= 0 && v < o->size[a];
                        place = place * o->size[a] + v;
                }
                at[j] = in ? p[j].image + place : -1;
        }
}

/* Zeros the last panel, whose last columns have no row. */
static void
clear_tail(const rs_gemm_block *b)
{
        const size_t panel = (b->j1 - b->j0 - 1) / b->nr, depth = b->k1 - b->k0;

        memset(b->out + panel * b->nr * depth, 0, b->last * depth * sizeof *b->out);
}

/* Where row j at depth k goes, and how far the next depth is. */
static double *
place(const rs_gemm_block *b, size_t j, size_t k, size_t *width)
{
        const size_t panel = (j - b->j0) / b->nr, in = (j - b->j0) % b->nr;

        *width = panel == (b->j1 - b->j0 - 1) / b->nr ? b->last : b->nr;
        return b->out + panel * b->nr * (b->k1 - b->k0) + (k - b->k0) * *width + in;
}

#define T float
#define LOAD(v) ((double)(v))
#define NAME(f) f##_f32
#define ZERO(o) ((void)(o), (T)0)
#define OFFSET(zero) 0
#include "op/gemm_pack.inc.h"

#define T double
#define LOAD(v) (v)
#define NAME(f) f##_f64
#define ZERO(o) ((void)(o), (T)0)
#define OFFSET(zero) 0
#include "op/gemm_pack.inc.h"

#define T uint16_t
#define LOAD(v) ((double)rs_half_to_float(v))
#define NAME(f) f##_f16
#define ZERO(o) ((void)(o), (T)0)
#define OFFSET(zero) 0
#include "op/gemm_pack.inc.h"

#define T uint16_t
#define LOAD(v) ((double)rs_bfloat_to_float(v))
#define NAME(f) f##_bf16
#define ZERO(o) ((void)(o), (T)0)
#define OFFSET(zero) 0
#include "op/gemm_pack.inc.h"

/* Quantised: what lies outside is the zero point, so that it counts as 0. */
#define T uint8_t
#define LOAD(v) ((double)(v))
#define NAME(f) f##_u8
#define ZERO(o) ((o)->zero_point ? *(const T *)(o)->zero_point : (T)0)
#define OFFSET(zero) LOAD(zero)
#define QUANTISED
#include "op/gemm_pack.inc.h"

#define T int8_t
#define LOAD(v) ((double)(v))
#define NAME(f) f##_s8
#define ZERO(o) ((o)->zero_point ? *(const T *)(o)->zero_point : (T)0)
#define OFFSET(zero) LOAD(zero)
#define QUANTISED
#include "op/gemm_pack.inc.h"

#define CHOOSE(f)                \
        switch (dtype) {         \
        case RESECT_FLOAT:       \
                return f##_f32;  \
        case RESECT_DOUBLE:      \
                return f##_f64;  \
        case RESECT_FLOAT16:     \
                return f##_f16;  \
        case RESECT_BFLOAT16:    \
                return f##_bf16; \
        case RESECT_UINT8:       \
                return f##_u8;   \
        case RESECT_INT8:        \
                return f##_s8;   \
        default:                 \
                return NULL;     \
        }

rs_gemm_pack *
rs_rows_packer(int32_t dtype){CHOOSE(rows)}

rs_gemm_pack *rs_patches_packer(int32_t dtype){CHOOSE(patches)}

rs_gemm_pack *rs_patches_across_packer(int32_t dtype)
{
        CHOOSE(patches_across)
}
