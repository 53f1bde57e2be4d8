/* SPDX-License-Identifier: 0BSD */
/*
 * The inner kernels for one instruction set: c[MR, NV * VL] += a[k, MR]' * b[k, NV * VL], the tile
 * held in registers for the whole depth. Included by gemm.c with V (a vector of doubles), VL, NAME,
 * TARGET, BROADCAST and FMA defined; MR is 8, 4 or 1 where 32 registers allow a tile of 8 x 3
 * vectors, else half of that.
 */
#define KERNEL(mr, nv)                                                                            \
        static TARGET void NAME(mr, nv)(                                                          \
                size_t k, const double *a, const double *b, double *c, size_t ldc)                \
        {                                                                                         \
                V acc[mr][nv], bv[nv];                                                            \
                UNROLL for (size_t i = 0; i < (mr); i++) UNROLL for (size_t v = 0; v < (nv); v++) \
                        acc[i][v] = *(const VU *)(c + i * ldc + v * VL);                          \
                for (size_t p = 0; p < k; p++, a += (mr), b += (nv)*VL) {                         \
                        UNROLL for (size_t v = 0; v < (nv); v++) bv[v] =                          \
                                *(const VU *)(b + v * VL);                                        \
                        UNROLL for (size_t i = 0; i < (mr); i++)                                  \
                        {                                                                         \
                                const V ai = BROADCAST(a[i]);                                     \
                                UNROLL for (size_t v = 0; v < (nv); v++) acc[i][v] =              \
                                        FMA(ai, bv[v], acc[i][v]);                                \
                        }                                                                         \
                }                                                                                 \
                UNROLL for (size_t i = 0; i < (mr); i++)                                          \
                                UNROLL for (size_t v = 0; v < (nv); v++) *                        \
                        (VU *)(c + i * ldc + v * VL) = acc[i][v];                                 \
        }
KERNEL(MR0, 1)
KERNEL(MR0, 2)
KERNEL(MR0, 3)
KERNEL(MR1, 1)
KERNEL(MR1, 2)
KERNEL(MR1, 3)
KERNEL(1, 1)
KERNEL(1, 2)
KERNEL(1, 3)
#undef KERNEL
