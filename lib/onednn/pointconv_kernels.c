/* SPDX-License-Identifier: 0BSD */
/*
 * Products of 6 positions by 4 vectors of outputs in AVX-512: 24 multiply-adds wait for 10 loads,
 * and what comes next is fetched from afar between them.
 */
#include "onednn/pointconv_kernels.h"

#include <stdint.h>

#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif
#define INLINE inline __attribute__((always_inline)) TARGET

#if defined(__x86_64__)
#include <immintrin.h>
#define TARGET __attribute__((target("avx512f,fma")))
typedef __m512 V;
#define SET _mm512_set1_ps
#define LOAD _mm512_loadu_ps
#define STORE _mm512_storeu_ps
#define ADD _mm512_add_ps
#define SUB _mm512_sub_ps
#define MAX _mm512_max_ps /* the second when one is not a number */
#define MADD _mm512_fmadd_ps

bool
rs_point_able(void)
{
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("fma");
}
#else /* right, and too slow to be offered */
#define TARGET
typedef float V __attribute__((vector_size(64)));
typedef float VU __attribute__((vector_size(64), aligned(4), may_alias));
typedef int32_t I __attribute__((vector_size(64)));
#define SET(x) ((V){0} + (float)(x))
#define LOAD(p) ((V)(*(const VU *)(p)))
#define STORE(p, v) (*(VU *)(p) = (v))
#define ADD(a, b) ((a) + (b))
#define SUB(a, b) ((a) - (b))
#define MAX(a, b) ((V)(((I)((a) > (b)) & (I)(a)) | (~(I)((a) > (b)) & (I)(b))))
#define MADD(a, b, c) ((a) * (b) + (c))

bool
rs_point_able(void)
{
        return false;
}
#endif

#define EACH(t, j, tiles) \
        UNROLL for (int t = 0; t < tiles; t++) UNROLL for (int j = 0; j < vectors; j++)
#define AT(plane, t, j) ((plane).at + (size_t)(j) * (plane).step + (t)*16)

static INLINE void
product(int tiles, int vectors, const rs_point_product *p)
{
        const float *x = p->x, *u = p->u, *x_next = p->x_next, *y_next = p->y_next;
        const char *far[2] = {p->far[0], p->far[1]};
        V s[RS_POINT_BLOCK][RS_POINT_VECTORS];

        EACH(t, j, tiles) s[t][j] = p->start.at ? LOAD(AT(p->start, t, j)) : SET(0);
        for (size_t b = 0; b < p->depth; b++, x += p->x_step, x_next += p->x_next_step) {
                UNROLL for (int k = 0; k < 2; k++) for (size_t i = 0; i < p->far_lines[k];
                                                        i++, far[k] += 64)
                        __builtin_prefetch(far[k], 0, 2);
                const float *from = x, *soon = x_next, *then = y_next;
                if (b + 1 < (size_t)vectors)
                        y_next += p->y_next_step;
                for (int q = 0; q < 4; q++, from += 4)
                        UNROLL for (int c = 0; c < 4; c++, u += vectors * 16)
                        {
                                V w[RS_POINT_VECTORS];
                                if (q * 4 + c < tiles) {
                                        __builtin_prefetch(soon, 0, 3);
                                        __builtin_prefetch(then, 0, 3);
                                        soon += 16;
                                        then += 16;
                                }
                                UNROLL for (int j = 0; j < vectors; j++) w[j] = LOAD(u + j * 16);
                                UNROLL for (int t = 0; t < tiles; t++)
                                {
                                        const V v = SET(from[t * 16 + c]);
                                        UNROLL for (int j = 0; j < vectors; j++) s[t][j] =
                                                MADD(v, w[j], s[t][j]);
                                }
                        }
        }
        if (p->also.at)
                EACH(t, j, tiles)
        STORE(AT(p->also, t, j), ADD(s[t][j], LOAD(AT(p->more_also, t, j))));
        if (p->more.at)
                EACH(t, j, tiles) s[t][j] = ADD(s[t][j], LOAD(AT(p->more, t, j)));
        if (p->bias)
                EACH(t, j, tiles) s[t][j] = ADD(s[t][j], LOAD(p->bias + j * 16));
        if (p->add)
                EACH(t, j, tiles) s[t][j] = ADD(s[t][j], LOAD(AT(p->y, t, j)));
        if (p->relu)
                EACH(t, j, tiles) s[t][j] = MAX(SET(0), s[t][j]);
        EACH(t, j, tiles) STORE(AT(p->y, t, j), s[t][j]);
}

#define TILES(X) X(1) X(2) X(3) X(4) X(5) X(6)
#define VECTORS(X, t) X(t, 1) X(t, 2) X(t, 3) X(t, 4)
#define PRODUCT(t, j)                                                   \
        static TARGET void product_##t##_##j(const rs_point_product *p) \
        {                                                               \
                product(t, j, p);                                       \
        }
#define PRODUCTS(t) VECTORS(PRODUCT, t)
TILES(PRODUCTS)

void
rs_point_run(size_t positions, size_t vectors, const rs_point_product *p)
{
#define NAMED(t, j) product_##t##_##j,
#define ROW(t) {VECTORS(NAMED, t)},
        static void (*const table[RS_POINT_BLOCK][RS_POINT_VECTORS])(const rs_point_product *) = {
                TILES(ROW)};

        table[positions - 1][vectors - 1](p);
}

/* Channels [first, first + channels) of x. The first pass fetches what comes next, the others what
 * comes later. */
static INLINE void
outer(int pass, int first, int channels, int vectors, const rs_point_outer *p)
{
        float *du = p->du + first * vectors * 16;
        const float *du_next = p->du_next, *const du_end = du_next + vectors * 16 * 16;
        V s[RS_POINT_BLOCK][RS_POINT_VECTORS];

#define SUM(c, j) (du + ((c)*vectors + (j)) * 16)
        EACH(c, j, channels) s[c][j] = p->more ? LOAD(SUM(c, j)) : SET(0);
        for (size_t i = 0; i < p->pictures; i++) {
                const float *x = p->x + i * p->x_picture + first, *dy = p->dy + i * p->dy_picture;
                const float *soon = pass ? p->far[pass - 1] + i * p->far_picture[pass - 1]
                                         : p->x_next + i * p->x_picture;
                const int half = pass ? (pass - 1) * 2 : 0;
                const float *then = p->dy_next + i * p->dy_picture + (size_t)half * p->dy_vector;
                for (size_t k = 0; k < p->positions; k++, x += 16, dy += 16, soon += 16) {
                        V g[RS_POINT_VECTORS];
                        if (pass) {
                                __builtin_prefetch(soon, 0, 2);
                                if (half < vectors)
                                        __builtin_prefetch(then, 0, 3);
                                if (half + 1 < vectors)
                                        __builtin_prefetch(then + p->dy_vector, 0, 3);
                                then += 16;
                        } else {
                                __builtin_prefetch(soon, 0, 3);
                        }
                        if (!pass && du_next < du_end) {
                                __builtin_prefetch(du_next, 1, 3);
                                du_next += 16;
                        }
                        UNROLL for (int j = 0; j < vectors; j++) g[j] =
                                LOAD(dy + (size_t)j * p->dy_vector);
                        UNROLL for (int c = 0; c < channels; c++)
                        {
                                const V v = SET(x[c]);
                                UNROLL for (int j = 0; j < vectors; j++) s[c][j] =
                                        MADD(v, g[j], s[c][j]);
                        }
                }
        }
        EACH(c, j, channels) STORE(SUM(c, j), s[c][j]);
}

#define OUTER(vectors)                                              \
        static TARGET void outer_##vectors(const rs_point_outer *p) \
        {                                                           \
                outer(0, 0, 6, vectors, p);                         \
                outer(1, 6, 5, vectors, p);                         \
                outer(2, 11, 5, vectors, p);                        \
        }
#define COUNTS(X) X(1) X(2) X(3) X(4)
COUNTS(OUTER)

void
rs_point_sum_outer(size_t vectors, const rs_point_outer *p)
{
#define OUTER_NAME(vectors) outer_##vectors,
        static void (*const table[RS_POINT_VECTORS])(const rs_point_outer *) = {COUNTS(OUTER_NAME)};

        table[vectors - 1](p);
}

TARGET void
rs_point_combine(
        const float *a11, size_t half, size_t across, size_t step, size_t blocks, float *to)
{
        const size_t each = blocks * half;

        for (size_t b = 0; b < blocks; b++, a11 += step)
                for (size_t i = 0; i < half; i += 16, to += 16) {
                        const V a = LOAD(a11 + i), a21 = LOAD(a11 + half + i);
                        const V s1 = ADD(a21, LOAD(a11 + across + half + i)), s2 = SUB(s1, a);
                        STORE(to, s1);
                        STORE(to + each, s2);
                        STORE(to + 2 * each, SUB(a, a21));
                        STORE(to + 3 * each, SUB(LOAD(a11 + across + i), s2));
                }
}

TARGET void
rs_point_mix(const float *const b[4], size_t row, float *u, size_t step)
{
        for (size_t i = 0; i < 16; i++, u += RS_POINT_CHUNK) {
                const V b11 = LOAD(b[0] + i * row), b21 = LOAD(b[1] + i * row),
                        b12 = LOAD(b[2] + i * row), b22 = LOAD(b[3] + i * row);
                const V t1 = SUB(b12, b11), t2 = SUB(b22, t1);
                STORE(u, b11);
                STORE(u + step, b21);
                STORE(u + 2 * step, t2);
                STORE(u + 3 * step, SUB(b22, b12));
                STORE(u + 4 * step, SUB(b21, t2));
                STORE(u + 5 * step, t1);
                STORE(u + 6 * step, b22);
        }
}
