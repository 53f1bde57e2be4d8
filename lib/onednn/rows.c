/* SPDX-License-Identifier: 0BSD */
/*
 * The kernels of rows.inc.h for each element type and set of instructions, in the compilers' own
 * vectors, and the choice among them. bfloat16 is rounded to nearest, ties to even: by arithmetic
 * on the bits, or by the processor's instruction for it (avx512_bf16), a tenth of the work, which
 * takes subnormals for zero.
 */
#include "onednn/rows.h"

#include <stdint.h>
#if defined(__x86_64__) || defined(__i386__)
#include <immintrin.h>
#define RS_X86 1
#endif

#if defined(__SANITIZE_ADDRESS__)
#define UNROLL /* checked loops, unrolled, take minutes to compile */
#elif defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif
#define ALWAYS __attribute__((always_inline))
enum { PAGE = 4096 };

/* Vectors for VL floats: V and I of floats and their bits, U the bits unsigned, B as many bfloat16,
 * E half as many floats, D as many doubles as E has floats. VU, BU, EU, DU: as they lie in memory.
 */
#define VECTORS(vl)                                                                           \
        typedef float V_##vl __attribute__((vector_size((vl)*4)));                            \
        typedef float VU_##vl __attribute__((vector_size((vl)*4), aligned(4), may_alias));    \
        typedef int32_t I_##vl __attribute__((vector_size((vl)*4)));                          \
        typedef uint32_t U_##vl __attribute__((vector_size((vl)*4)));                         \
        typedef uint16_t B_##vl __attribute__((vector_size((vl)*2)));                         \
        typedef uint16_t BU_##vl __attribute__((vector_size((vl)*2), aligned(2), may_alias)); \
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
#define D PASTE(D, VL)
#define DU PASTE(DU, VL)

/* How an element type lies in memory. ROUND: to what it can hold; CUT: stores what has been
 * rounded. */
typedef float T_f32;
#define LOAD_f32(p) (*(const VU *)(p))
#define STORE_f32(p, v) (*(VU *)(p) = (v))
#define CUT_f32 STORE_f32
#define ROUND_f32(v) (v)
typedef uint16_t T_bf16;
#define LOAD_bf16(p) ((V)(FROM_16(p) << 16))
#define CUT_bf16(p, v) TO_16(p, (U)(v) >> 16)
#define STORE_bf16(p, v) CUT_bf16(p, NAME(nearest)(v))
#define ROUND_bf16(v) ((V)((U)NAME(nearest)(v) & 0xffff0000))
/* Numbers of 32 bits with an empty half, and the processor's own rounding. */
typedef uint16_t T_native;
#define LOAD_native LOAD_bf16
#define STORE_native(p, v) \
        _mm256_storeu_si256((__m256i *)(p), (__m256i)_mm512_cvtneps_pbh((__m512)(v)))
#define CUT_native STORE_native
#define ROUND_native(v) \
        ((V)((U)_mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh((__m512)(v))) << 16))
#define T PASTE(T, TYPE)
#define LOAD PASTE(LOAD, TYPE)
#define STORE PASTE(STORE, TYPE)
#define CUT PASTE(CUT, TYPE)
#define ROUND PASTE(ROUND, TYPE)
#define NAME(f) PASTE(ISA, PASTE(TYPE, f))

#define TABLE(isa)                                                                     \
        static const rs_row_kernels isa##_tables[] = {                                 \
                {isa##_f32_sums, isa##_f32_apply, isa##_f32_gather, isa##_f32_spread}, \
                {isa##_bf16_sums, isa##_bf16_apply, isa##_bf16_gather, isa##_bf16_spread}};

/* A set says how it widens halves of a vector to doubles, 16-bit numbers to vectors and back, and
 * how it chooses: max(0, v) keeps NaN and -0, as v < 0 ? 0 : v does. */
#define ISA plain
#define TARGET
#define VL 4
#define LOW(v) ((D){(double)(v)[0], (double)(v)[1]})
#define HIGH(v) ((D){(double)(v)[2], (double)(v)[3]})
#define FROM_16(p) ((U){(p)[0], (p)[1], (p)[2], (p)[3]})
#define TO_16(p, u) (*(BU *)(p) = __builtin_convertvector((u), B))
#define CHOOSE(if_, then_, else_) ((V)(((I)(then_) & (if_)) | ((I)(else_) & ~(if_))))
#define RELU(v) CHOOSE((v) < (V){0}, (V){0}, v)
#define IF_ABOVE_0(y, v) CHOOSE((y) > (V){0}, v, (V){0})
#define IF_NAN(v, then_, else_) CHOOSE((v) != (v), then_, else_)
#define TYPE f32
#include "onednn/rows.inc.h"
#undef TYPE
#define TYPE bf16
#include "onednn/rows.inc.h"
TABLE(plain)

#ifdef RS_X86
#undef ISA
#undef TARGET
#undef VL
#undef TYPE
#undef LOW
#undef HIGH
#undef FROM_16
#undef TO_16
#undef RELU
#undef IF_ABOVE_0
#undef IF_NAN
#define ISA avx2
#define TARGET __attribute__((target("avx2")))
#define VL 8
#define LOW(v) ((D)_mm256_cvtps_pd(_mm256_castps256_ps128(v)))
#define HIGH(v) ((D)_mm256_cvtps_pd(_mm256_extractf128_ps(v, 1)))
#define FROM_16(p) ((U)_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(p))))
#define TO_16(p, u)                                                                             \
        _mm_storeu_si128((__m128i *)(p), _mm_packus_epi32(_mm256_castsi256_si128((__m256i)(u)), \
                                                 _mm256_extracti128_si256((__m256i)(u), 1)))
#define RELU(v) _mm256_max_ps((V){0}, v)
#define IF_ABOVE_0(y, v) _mm256_and_ps(_mm256_cmp_ps(y, (V){0}, _CMP_GT_OQ), v)
#define IF_NAN(v, then_, else_) _mm256_blendv_ps(else_, then_, _mm256_cmp_ps(v, v, _CMP_UNORD_Q))
#define TYPE f32
#include "onednn/rows.inc.h"
#undef TYPE
#define TYPE bf16
#include "onednn/rows.inc.h"
TABLE(avx2)

#undef ISA
#undef TARGET
#undef VL
#undef TYPE
#undef LOW
#undef HIGH
#undef FROM_16
#undef TO_16
#undef RELU
#undef IF_ABOVE_0
#undef IF_NAN
#define ISA avx512
#define TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl")))
#define VL 16
#define LOW(v) ((D)_mm512_cvtps_pd(_mm512_castps512_ps256(v)))
#define HIGH(v) ((D)_mm512_cvtps_pd(_mm512_extractf32x8_ps(v, 1)))
#define FROM_16(p) ((U)_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(p))))
#define TO_16(p, u) _mm256_storeu_si256((__m256i *)(p), _mm512_cvtepi32_epi16((__m512i)(u)))
#define RELU(v) _mm512_max_ps((V){0}, v)
#define IF_ABOVE_0(y, v) _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(y, (V){0}, _CMP_GT_OQ), v)
#define IF_NAN(v, then_, else_) \
        _mm512_mask_mov_ps(else_, _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q), then_)
#define TYPE f32
#include "onednn/rows.inc.h"
#undef TYPE
#define TYPE bf16
#include "onednn/rows.inc.h"
TABLE(avx512)

#undef TARGET
#undef TYPE
#define TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")))
#define TYPE native
#include "onednn/rows.inc.h"
static const rs_row_kernels native = {
        avx512_native_sums, avx512_native_apply, avx512_native_gather, avx512_native_spread};
#endif

const rs_row_kernels *
rs_row_kernels_list(size_t i, bool bf16)
{
#ifdef RS_X86
        if (bf16 && __builtin_cpu_supports("avx512bf16") && !i--)
                return &native;
        if (__builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                __builtin_cpu_supports("avx512vl") && !i--)
                return &avx512_tables[bf16];
        if (__builtin_cpu_supports("avx2") && !i--)
                return &avx2_tables[bf16];
#endif
        return i ? NULL : &plain_tables[bf16];
}
