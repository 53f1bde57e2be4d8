/* SPDX-License-Identifier: 0BSD */
/*
 * C is cut into tiles, one task each. A task packs, depth block by depth block, its rows of A and
 * its columns of B into its thread's scratch and multiplies panel by panel into a tile of doubles
 * that stays in the cache until it is finished. Sizes are such that tile, block of A and block of B
 * share a second-level cache of 1 MiB, and a panel of B the first level.
 */
#include "op/gemm.h"

#include <stdint.h>
#include <string.h>
#ifdef _OPENMP
#include <omp.h>
#endif
#if defined(__x86_64__) || defined(__i386__)
#include <immintrin.h>
#define RS_X86 1
#endif

enum { DEPTH = 160, ROWS = 128, COLUMNS = RS_GEMM_COLUMNS, LINE = 64 };

typedef void kernel(size_t k, const double *a, const double *b, double *c, size_t ldc);
struct rs_gemm_isa {
        const char *name;
        size_t vl;         /* doubles in a vector; a panel of B is up to three vectors wide */
        size_t mr[3];      /* heights of a panel of A, largest first; the last is 1 */
        kernel *run[3][3]; /* [height][vectors - 1] */
};

#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 8")
#endif

#define TABLE(isa, wide, high, low)                                                \
        static const struct rs_gemm_isa isa##_table = {#isa, wide, {high, low, 1}, \
                {{isa##_##high##_1, isa##_##high##_2, isa##_##high##_3},           \
                        {isa##_##low##_1, isa##_##low##_2, isa##_##low##_3},       \
                        {isa##_1_1, isa##_1_2, isa##_1_3}}};

/* Two doubles at a time: SSE2, NEON, or whatever the compiler makes of it. */
#define V v2
#define VU v2u
typedef double v2 __attribute__((vector_size(16)));
typedef double v2u __attribute__((vector_size(16), aligned(8), may_alias));
#define VL 2
#define TARGET
#define BROADCAST(s) ((v2){(s), (s)})
#define FMA(a, b, c) ((a) * (b) + (c))
#define NAME_(mr, nv) plain_##mr##_##nv
#define NAME(mr, nv) NAME_(mr, nv)
#define MR0 4
#define MR1 2
#include "op/gemm_kernel.inc.h"
#undef V
#undef VU
#undef VL
#undef TARGET
#undef BROADCAST
#undef FMA
#undef NAME_
#undef MR0
#undef MR1
TABLE(plain, 2, 4, 2)

#ifdef RS_X86
#define V __m256d
#define VU v4u
typedef double v4u __attribute__((vector_size(32), aligned(8), may_alias));
#define VL 4
#define TARGET __attribute__((target("avx2,fma")))
#define BROADCAST _mm256_set1_pd
#define FMA _mm256_fmadd_pd
#define NAME_(mr, nv) avx2_##mr##_##nv
#define MR0 4
#define MR1 2
#include "op/gemm_kernel.inc.h"
#undef V
#undef VU
#undef VL
#undef TARGET
#undef BROADCAST
#undef FMA
#undef NAME_
#undef MR0
#undef MR1
TABLE(avx2, 4, 4, 2)

#define V __m512d
#define VU v8u
typedef double v8u __attribute__((vector_size(64), aligned(8), may_alias));
#define VL 8
#define TARGET __attribute__((target("avx512f")))
#define BROADCAST _mm512_set1_pd
#define FMA _mm512_fmadd_pd
#define NAME_(mr, nv) avx512_##mr##_##nv
#define MR0 8
#define MR1 4
#include "op/gemm_kernel.inc.h"
TABLE(avx512, 8, 8, 4)
#endif

const struct rs_gemm_isa *
rs_gemm_isa_list(size_t i)
{
#ifdef RS_X86
        if (__builtin_cpu_supports("avx512f") && !i--)
                return &avx512_table;
        if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && !i--)
                return &avx2_table;
#endif
        return i ? NULL : &plain_table;
}

const char *
rs_gemm_isa_name(const struct rs_gemm_isa *isa)
{
        return isa->name;
}

/* How a product is cut. Rows are a multiple of every panel's height, columns of every panel's
 * width. */
typedef struct cut {
        size_t rows, columns, n_rows, n_columns; /* of a tile; tiles down and across */
} cut;

static size_t
round_up(size_t a, size_t b)
{
        return (a + b - 1) / b * b;
}

static size_t
smaller(size_t a, size_t b)
{
        return a < b ? a : b;
}

/* The tile for one dimension: at most `most`, all about the same. */
static void
cut_evenly(size_t size, size_t most, size_t unit, size_t *tile, size_t *count)
{
        *count = size / most + (size % most != 0);
        *tile = round_up(size / *count + (size % *count != 0), unit);
        *count = size / *tile + (size % *tile != 0);
}

static cut
cut_make(const struct rs_gemm_isa *isa, size_t batch, size_t m, size_t n, int threads)
{
        cut c;
        const size_t nr = 3 * isa->vl, t = (size_t)threads;

        cut_evenly(m, ROWS, isa->mr[0], &c.rows, &c.n_rows);
        cut_evenly(n, COLUMNS, isa->vl, &c.columns, &c.n_columns);
        /* few tiles: narrower ones, then lower ones, so that no thread waits for the last */
        for (size_t most = COLUMNS - nr; most >= nr && t > 1; most -= nr) {
                const size_t tiles = batch * c.n_rows * c.n_columns;
                if (tiles % t == 0 || tiles >= 6 * t)
                        break;
                cut_evenly(n, most, isa->vl, &c.columns, &c.n_columns);
        }
        for (size_t most = ROWS / 2; most >= 2 * isa->mr[0] && batch * c.n_rows * c.n_columns < t;
                most /= 2)
                cut_evenly(m, most, isa->mr[0], &c.rows, &c.n_rows);
        return c;
}

static size_t
scratch_per_thread(void)
{
        const size_t doubles = ROWS * COLUMNS + DEPTH * ROWS + DEPTH * COLUMNS;

        return round_up(doubles * sizeof(double), LINE) + LINE;
}

size_t
rs_gemm_scratch(int threads)
{
        return (size_t)(threads < 1 ? 1 : threads) * scratch_per_thread();
}

typedef struct job {
        const rs_gemm *g;
        const struct rs_gemm_isa *isa;
        cut cut;
        unsigned char *scratch;
} job;

/* Multiplies the packed blocks into the tile. */
static void
multiply(const struct rs_gemm_isa *isa, const double *a, const double *b, double *c, size_t ldc,
        size_t rows, size_t columns, size_t depth)
{
        const size_t nr = 3 * isa->vl, mr = isa->mr[0];

        for (size_t j = 0; j < columns; j += nr, b += nr * depth) {
                const size_t vectors = smaller(nr, columns - j) / isa->vl;
                const double *ap = a;
                for (size_t i = 0; i < rows; i += mr, ap += mr * depth) {
                        const size_t left = rows - i;
                        const int h = left > isa->mr[1] ? 0 : left > 1 ? 1 : 2;
                        isa->run[h][vectors - 1](depth, ap, b, c + i * ldc + j, ldc);
                }
        }
}

/* The height that the last panel of A is packed with. */
static size_t
last_height(const struct rs_gemm_isa *isa, size_t rows)
{
        const size_t left = (rows - 1) % isa->mr[0] + 1;

        return left > isa->mr[1] ? isa->mr[0] : left > 1 ? isa->mr[1] : 1;
}

static void
run_tile(const job *j, size_t number, int thread)
{
        const rs_gemm *g = j->g;
        const cut *by = &j->cut;
        const struct rs_gemm_isa *isa = j->isa;
        const size_t nr = 3 * isa->vl;
        double *const c = (double *)(j->scratch + (size_t)thread * scratch_per_thread());
        double *const a = c + (size_t)ROWS * COLUMNS, *const b = a + (size_t)DEPTH * ROWS;
        rs_gemm_tile t = {.c = c};

        /* neighbours in number share their columns of B, the operand that is dearer to fetch */
        t.i0 = number % by->n_rows * by->rows;
        t.j0 = number / by->n_rows % by->n_columns * by->columns;
        t.batch = number / by->n_rows / by->n_columns;
        t.i1 = smaller(g->m, t.i0 + by->rows);
        t.j1 = smaller(g->n, t.j0 + by->columns);
        const size_t rows = t.i1 - t.i0, columns = round_up(t.j1 - t.j0, isa->vl);
        t.ldc = columns;
        memset(c, 0, round_up(rows, isa->mr[0]) * columns * sizeof(double));
        for (size_t k = 0; k < g->k; k += DEPTH) {
                const size_t depth = smaller(DEPTH, g->k - k);
                const rs_gemm_block pa = {.batch = t.batch,
                        .k0 = k,
                        .k1 = k + depth,
                        .j0 = t.i0,
                        .j1 = t.i1,
                        .nr = isa->mr[0],
                        .last = last_height(isa, rows),
                        .out = a};
                const rs_gemm_block pb = {.batch = t.batch,
                        .k0 = k,
                        .k1 = k + depth,
                        .j0 = t.j0,
                        .j1 = t.j1,
                        .nr = nr,
                        .last = (columns - 1) % nr + 1,
                        .out = b};
                g->pack_a(g->a, &pa);
                g->pack_b(g->b, &pb);
                multiply(isa, a, b, c, t.ldc, rows, columns, depth);
        }
        g->emit(g->c, &t);
}

void
rs_gemm_run(const rs_gemm *g, int threads, void *scratch)
{
        if (!g->batch || !g->m || !g->n)
                return;
        job j = {.g = g, .isa = g->isa ? g->isa : rs_gemm_isa_list(0)};
        const double work = (double)g->batch * (double)g->m * (double)g->n * (double)(g->k + 8);
        if (threads < 1 || work < 65536)
                threads = 1;
        j.cut = cut_make(j.isa, g->batch, g->m, g->n, threads);
        j.scratch = (unsigned char *)(((uintptr_t)scratch + LINE - 1) / LINE * LINE);
        const size_t tiles = g->batch * j.cut.n_rows * j.cut.n_columns;
#ifdef _OPENMP
        if (threads > 1 && tiles > 1) {
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads)
                for (size_t i = 0; i < tiles; i++)
                        run_tile(&j, i, omp_get_thread_num());
                return;
        }
#endif
        for (size_t i = 0; i < tiles; i++)
                run_tile(&j, i, 0);
}
