/* SPDX-License-Identifier: 0BSD */
/*
 * The kernels of rows.inc.h for each element type and set of instructions, in the compilers' own
 * vectors, and the choice among them. bfloat16 is rounded to nearest, ties to even, by arithmetic
 * on the bits: the processor's instruction for it (avx512_bf16) takes subnormals for zero, so that
 * results would depend on the machine.
 */
#include "onednn/rows.h"

#include <stdint.h>

#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

/* Vectors for VL floats: V and I of floats and their bits, U the bits unsigned, B as many bfloat16,
 * E and H half as many floats and bfloat16, D as many doubles as E has floats. _U: as they lie in
 * memory. */
#define VECTORS(vl)                                                                           \
        typedef float V_##vl __attribute__((vector_size((vl)*4)));                            \
        typedef float VU_##vl __attribute__((vector_size((vl)*4), aligned(4), may_alias));    \
        typedef int32_t I_##vl __attribute__((vector_size((vl)*4)));                          \
        typedef uint32_t U_##vl __attribute__((vector_size((vl)*4)));                         \
        typedef uint16_t B_##vl __attribute__((vector_size((vl)*2)));                         \
        typedef uint16_t BU_##vl __attribute__((vector_size((vl)*2), aligned(2), may_alias)); \
        typedef float EU_##vl __attribute__((vector_size((vl)*2), aligned(4), may_alias));    \
        typedef float E_##vl __attribute__((vector_size((vl)*2)));                            \
        typedef uint32_t F_##vl __attribute__((vector_size((vl)*2)));                         \
        typedef uint16_t HU_##vl __attribute__((vector_size(vl), aligned(2), may_alias));     \
        typedef double D_##vl __attribute__((vector_size((vl)*4)));                           \
        typedef double DU_##vl __attribute__((vector_size((vl)*4), aligned(8), may_alias));
VECTORS(4)
VECTORS(8)
VECTORS(16)
#define PASTE_(a, b) a##_##b
#define PASTE(a, b) PASTE_(a, b)
#define V PASTE(V, VL)
#define VU PASTE(VU, VL)
#define I PASTE(I, VL)
#define U PASTE(U, VL)
#define B PASTE(B, VL)
#define BU PASTE(BU, VL)
#define E PASTE(E, VL)
#define EU PASTE(EU, VL)
#define F PASTE(F, VL)
#define HU PASTE(HU, VL)
#define D PASTE(D, VL)
#define DU PASTE(DU, VL)

#define LOAD_f32(p) (*(const VU *)(p))
#define LOAD_HALF_f32(p) (*(const EU *)(p))
#define STORE_f32(p, v) (*(VU *)(p) = (v))
#define LOAD_bf16(p) ((V)(__builtin_convertvector(*(const BU *)(p), U) << 16))
#define LOAD_HALF_bf16(p) ((E)(__builtin_convertvector(*(const HU *)(p), F) << 16))
/* A NaN stays one: the sum below could carry its fraction away. */
#define STORE_bf16(p, v)                                                          \
        do {                                                                      \
                const V value_ = (v);                                             \
                const U bits_ = (U)value_, nan_ = (U)(value_ != value_);          \
                const U round_ = (bits_ + 0x7fff + (bits_ >> 16 & 1)) >> 16;      \
                const U kept_ = (round_ & ~nan_) | ((bits_ >> 16 | 0x40) & nan_); \
                *(BU *)(p) = __builtin_convertvector(kept_, B);                   \
        } while (0)

#define TABLE(isa, type)                                                                       \
        static const rs_row_kernels isa##_##type = {isa##_##type##_sums, isa##_##type##_apply, \
                isa##_##type##_gather, isa##_##type##_spread};

#define VL 4
#define TARGET
#define T float
#define LOAD LOAD_f32
#define LOAD_HALF LOAD_HALF_f32
#define STORE STORE_f32
#define NAME(f) plain_f32_##f
#include "onednn/rows.inc.h"
#undef T
#undef LOAD
#undef LOAD_HALF
#undef STORE
#undef NAME
#define T uint16_t
#define LOAD LOAD_bf16
#define LOAD_HALF LOAD_HALF_bf16
#define STORE STORE_bf16
#define NAME(f) plain_bf16_##f
#include "onednn/rows.inc.h"
#undef VL
#undef TARGET
#undef NAME
TABLE(plain, f32)
TABLE(plain, bf16)

#if defined(__x86_64__) || defined(__i386__)
#define RS_X86 1
#define VL 8
#define TARGET __attribute__((target("avx2")))
#define NAME(f) avx2_bf16_##f
#include "onednn/rows.inc.h"
#undef T
#undef LOAD
#undef LOAD_HALF
#undef STORE
#undef NAME
#define T float
#define LOAD LOAD_f32
#define LOAD_HALF LOAD_HALF_f32
#define STORE STORE_f32
#define NAME(f) avx2_f32_##f
#include "onednn/rows.inc.h"
#undef VL
#undef TARGET
#undef NAME
TABLE(avx2, f32)
TABLE(avx2, bf16)

#define VL 16
#define TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl")))
#define NAME(f) avx512_f32_##f
#include "onednn/rows.inc.h"
#undef T
#undef LOAD
#undef LOAD_HALF
#undef STORE
#undef NAME
#define T uint16_t
#define LOAD LOAD_bf16
#define LOAD_HALF LOAD_HALF_bf16
#define STORE STORE_bf16
#define NAME(f) avx512_bf16_##f
#include "onednn/rows.inc.h"
TABLE(avx512, f32)
TABLE(avx512, bf16)
#endif

const rs_row_kernels *
rs_row_kernels_list(size_t i, bool bf16)
{
#ifdef RS_X86
        if (__builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                __builtin_cpu_supports("avx512vl") && !i--)
                return bf16 ? &avx512_bf16 : &avx512_f32;
        if (__builtin_cpu_supports("avx2") && !i--)
                return bf16 ? &avx2_bf16 : &avx2_f32;
#endif
        return i ? NULL : bf16 ? &plain_bf16 : &plain_f32;
}
