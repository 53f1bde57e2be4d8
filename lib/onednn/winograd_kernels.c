/* SPDX-License-Identifier: 0BSD */
/*
 * Winograd's transforms and products in AVX-512: a vector is 16 channels of one pixel. The products
 * keep up to 14 x 2 vectors of sums in registers, so that 28 multiply-adds wait for 16 loads.
 */
#include "onednn/winograd_kernels.h"

#include <math.h>
#include <stdint.h>

#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif
#define INLINE inline __attribute__((always_inline)) TARGET

#if defined(__x86_64__)
#include <immintrin.h>
#define TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma")))
typedef __m512 V;
#define SET _mm512_set1_ps
#define LOAD _mm512_loadu_ps
#define LOAD_IF(inside, p) _mm512_maskz_loadu_ps(inside, p)
#define STORE _mm512_storeu_ps
#define ADD _mm512_add_ps
#define SUB _mm512_sub_ps
#define MUL _mm512_mul_ps
#define MAX _mm512_max_ps /* the second when one is not a number */
#define MADD _mm512_fmadd_ps
#define MSUB _mm512_fmsub_ps
#define NMADD _mm512_fnmadd_ps
#define PICK(a, lanes, b) _mm512_permutex2var_ps(a, _mm512_loadu_si512(lanes), b)

bool
rs_wino_able(void)
{
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
               __builtin_cpu_supports("fma");
}
#else /* right, and too slow to be offered */
#define TARGET
typedef float V __attribute__((vector_size(64)));
typedef float VU __attribute__((vector_size(64), aligned(4), may_alias));
typedef int32_t I __attribute__((vector_size(64)));
#define SET(x) ((V){0} + (float)(x))
#define LOAD(p) ((V)(*(const VU *)(p)))
#define LOAD_IF(inside, p) ((inside) ? LOAD(p) : SET(0))
#define STORE(p, v) (*(VU *)(p) = (v))
#define ADD(a, b) ((a) + (b))
#define SUB(a, b) ((a) - (b))
#define MUL(a, b) ((a) * (b))
#define MAX(a, b) ((V)(((I)((a) > (b)) & (I)(a)) | (~(I)((a) > (b)) & (I)(b))))
#define MADD(a, b, c) ((a) * (b) + (c))
#define MSUB(a, b, c) ((a) * (b) - (c))
#define NMADD(a, b, c) ((c) - (a) * (b))
#define PICK pick

static inline V
pick(V a, const int32_t *lanes, V b)
{
        V v = a;

        for (int i = 0; i < 16; i++)
                v[i] = lanes[i] < 16 ? a[lanes[i]] : b[lanes[i] - 16];
        return v;
}

bool
rs_wino_able(void)
{
        return false;
}
#endif

/* Where `count` rows from `first` lie that are `step` apart, and which of them are in [0, size).
 * True when all are. */
static inline bool
edges(size_t size, ptrdiff_t first, size_t step, int count, size_t *at, uint16_t *in)
{
        bool whole = true;

        for (int i = 0; i < count; i++) {
                const ptrdiff_t r = first + i;
                const bool inside = r >= 0 && r < (ptrdiff_t)size;
                at[i] = inside ? (size_t)r * step : 0;
                in[i] = inside ? 0xffff : 0;
                whole &= inside;
        }
        return whole;
}

/* Two rows, `step` apart, of a matrix that is being transposed exchange every other `step` lanes.
 */
#define LOW(i, step) ((i) & (step) ? 16 + (i) - (step) : (i))
#define HIGH(i, step) ((i) & (step) ? 16 + (i) : (i) + (step))
#define LANES(f, s)                                                                              \
        {                                                                                        \
                f(0, s), f(1, s), f(2, s), f(3, s), f(4, s), f(5, s), f(6, s), f(7, s), f(8, s), \
                        f(9, s), f(10, s), f(11, s), f(12, s), f(13, s), f(14, s), f(15, s)      \
        }
static const int32_t exchange[4][2][16] = {{LANES(LOW, 1), LANES(HIGH, 1)},
        {LANES(LOW, 2), LANES(HIGH, 2)}, {LANES(LOW, 4), LANES(HIGH, 4)},
        {LANES(LOW, 8), LANES(HIGH, 8)}};

TARGET void
rs_wino_transpose(const float *from, size_t from_step, float *to, size_t to_step)
{
        V r[16];

        UNROLL for (int i = 0; i < 16; i++) r[i] = LOAD(from + (size_t)i * from_step);
        UNROLL for (int k = 0; k < 4; k++) UNROLL for (int i = 0; i < 16; i++)
        {
                if (i & 1 << k)
                        continue;
                const V a = r[i], b = r[i + (1 << k)];
                r[i] = PICK(a, exchange[k][0], b);
                r[i + (1 << k)] = PICK(a, exchange[k][1], b);
        }
        UNROLL for (int i = 0; i < 16; i++) STORE(to + (size_t)i * to_step, r[i]);
}

/* Errors, for 256 channels of unit normals: 2e-6 of the largest output with these points (9e-6 with
 * 1 and 2). */
static const float points_4[2] = {0.75f, 1.5f};
static const float scales_4[3] = {
        -1 / (2 * 0.5625f * 1.6875f), 1 / (2 * 2.25f * 1.6875f), 1 / (0.5625f * 2.25f)};
/* 6e-6 with these (18e-6 with 1/2, 1 and 2). */
#define D_5(p, q) ((p) * (p) - (q) * (q))
static const float points_5[3] = {0.375f, 0.875f, 1.5f};
static const float scales_5[3] = {1 / (2 * 0.375f * D_5(0.375f, 0.875f) * D_5(0.375f, 1.5f)),
        1 / (2 * 0.875f * D_5(0.875f, 0.375f) * D_5(0.875f, 1.5f)),
        1 / (2 * 1.5f * D_5(1.5f, 0.375f) * D_5(1.5f, 0.875f))};

/* 5e-5 with these. */
#define D_7(p, q, r, s) (1 / (2 * (p)*D_5(p, q) * D_5(p, r) * D_5(p, s)))
static const float points_7[4] = {0.25f, 0.6875f, 1.125f, 2.125f};
static const float scales_7[4] = {D_7(0.25f, 0.6875f, 1.125f, 2.125f),
        D_7(0.6875f, 0.25f, 1.125f, 2.125f), D_7(1.125f, 0.25f, 0.6875f, 2.125f),
        D_7(2.125f, 0.25f, 0.6875f, 1.125f)};

#define P(k) points_4[k]
#define N(k) scales_4[k]
#define M 4
#define NAME(name) name##_4
#include "onednn/winograd_tile.inc.h"
#undef P
#undef N
#undef M
#undef NAME
#define P(k) points_5[k]
#define N(k) scales_5[k]
#define M 5
#define NAME(name) name##_5
#include "onednn/winograd_tile.inc.h"
#undef P
#undef N
#undef M
#undef NAME
#define P(k) points_7[k]
#define N(k) scales_7[k]
#define M 7
#define NAME(name) name##_7
#include "onednn/winograd_tile.inc.h"

const rs_wino_kernels rs_wino_4 = {4, 6, 6, spread_4, widen_4, gather_4, weights_4, taps_4};
const rs_wino_kernels rs_wino_5 = {5, 7, 6, spread_5, widen_5, gather_5, weights_5, taps_5};
const rs_wino_kernels rs_wino_7 = {7, 9, 8, spread_7, widen_7, gather_7, weights_7, taps_7};

static INLINE void
product(int tiles, int vectors, const rs_wino_sums *r)
{
        const float *v = r->v, *u = r->u;
        const char *ahead = r->ahead;
        V sum[RS_WINO_BLOCK][2];

        UNROLL for (int t = 0; t < tiles; t++) UNROLL for (int j = 0; j < vectors; j++) sum[t][j] =
                r->more ? LOAD(r->s + (size_t)j * r->step + t * 16) : SET(0);
        for (size_t b = 0; b < r->depth; b++, v += (tiles - 1) * 16)
                for (int q = 0; q < 4; q++) {
                        for (size_t i = 0; i < r->lines; i++, ahead += 64)
                                __builtin_prefetch(ahead, 0, 2);
                        UNROLL for (int c = 0; c < 4; c++, v++, u += vectors * 16)
                        {
                                V w[2];
                                UNROLL for (int j = 0; j < vectors; j++) w[j] = LOAD(u + j * 16);
                                UNROLL for (int t = 0; t < tiles; t++)
                                {
                                        const V x = SET(v[t * 16]);
                                        UNROLL for (int j = 0; j < vectors; j++) sum[t][j] =
                                                MADD(x, w[j], sum[t][j]);
                                }
                        }
                }
        UNROLL for (int t = 0; t < tiles; t++) UNROLL for (int j = 0; j < vectors; j++)
                STORE(r->s + (size_t)j * r->step + t * 16, sum[t][j]);
}

#define TILES(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14)
#define PRODUCT(t)                                                \
        static TARGET void product_##t##_1(const rs_wino_sums *r) \
        {                                                         \
                product(t, 1, r);                                 \
        }                                                         \
        static TARGET void product_##t##_2(const rs_wino_sums *r) \
        {                                                         \
                product(t, 2, r);                                 \
        }
TILES(PRODUCT)

void
rs_wino_product(size_t tiles, size_t vectors, const rs_wino_sums *r)
{
#define ROW(t) {product_##t##_1, product_##t##_2},
        static void (*const table[RS_WINO_BLOCK][2])(const rs_wino_sums *) = {TILES(ROW)};

        table[tiles - 1][vectors - 1](r);
}
