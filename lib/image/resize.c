/* SPDX-License-Identifier: 0BSD */
/*
 * Resizing with a triangle filter whose width follows the reduction, in 22-bit fixed point, columns
 * first: Pillow's ImagingResample for BILINEAR (src/libImaging/Resample.c), to the bit, because
 * pretrained models saw pictures that came through it. Each output pixel is a sum over a run of
 * input pixels; the runs and weights are worked out once an axis, and for the wanted part of the
 * output alone, so that a crop costs no more than its own pixels.
 */
#include "image/image.h"

#include <math.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#define RS_X86
#endif

enum { FRACTION_BITS = 32 - 8 - 2 };

struct axis {
        int *first, *count; /* [n] the run of input pixels */
        int *weights;       /* [n, most] */
        int most;
        int16_t *fours; /* [n, most / 4][2][16]: of long runs, four weights at a time in halves; or
                           NULL */
};

static void
free_axis(struct axis *a)
{
        rs_free(a->first);
        rs_free(a->count);
        rs_free(a->weights);
        rs_free_aligned(a->fours);
}

static void
weigh(struct axis *a, int i, double centre, double support, double scale, int from,
        double *w /* [most] */)
{
        int lo = (int)(centre - support + 0.5), hi = (int)(centre + support + 0.5);
        lo = lo < 0 ? 0 : lo;
        hi = hi > from ? from : hi;
        double sum = 0;
        for (int x = lo; x < hi; x++) {
                double t = fabs((x - centre + 0.5) * (1.0 / scale));
                w[x - lo] = t < 1 ? 1 - t : 0;
                sum += w[x - lo];
        }
        for (int x = 0; x < hi - lo; x++) {
                double v = sum != 0 ? w[x] / sum : w[x];
                a->weights[(size_t)i * (size_t)a->most + (size_t)x] =
                        (int)(0.5 + v * (1 << FRACTION_BITS));
        }
        a->first[i] = lo;
        a->count[i] = hi - lo;
}

/* The weights of output pixels at .. at + n - 1 of the `to` that `from` pixels become. */
static bool
make_axis(struct axis *a, int from, int to, int at, int n, resect_error *err)
{
        double step = (double)from / to, scale = step < 1 ? 1 : step;
        a->most = (int)ceil(scale) * 2 + 1;
        size_t total;
        double *w = NULL;
        bool ok = rs_mul((size_t)n, (size_t)a->most, &total) &&
                  (a->first = rs_alloc((size_t)n, sizeof(int), err)) &&
                  (a->count = rs_alloc((size_t)n, sizeof(int), err)) &&
                  (a->weights = rs_alloc(total, sizeof(int), err)) &&
                  (w = rs_alloc((size_t)a->most, sizeof *w, err));
        for (int i = 0; ok && i < n; i++)
                weigh(a, i, (at + i + 0.5) * step, scale, scale, from, w);
        rs_free(w);
        return ok;
}

static unsigned char
round_off(int sum)
{
        int v = sum >> FRACTION_BITS;
        return (unsigned char)(v < 0 ? 0 : v > 255 ? 255 : v);
}

typedef void row_passes(const unsigned char *restrict s, unsigned char *restrict to, int width,
        const struct axis *a, int channels);
typedef void column_passes(const rs_view from, unsigned char *to, int y, const struct axis *a,
        int *sums /* [n] */, size_t n);

static void
row_pass(const unsigned char *restrict s, unsigned char *restrict to, int width,
        const struct axis *a, int channels)
{
        for (int x = 0; x < width; x++) {
                const int *w = a->weights + (size_t)x * (size_t)a->most;
                const unsigned char *p = s + (size_t)a->first[x] * (size_t)channels;
                int n = a->count[x];
                if (channels == 3) {
                        int r = 1 << (FRACTION_BITS - 1), g = r, b = r;
                        for (int k = 0; k < n; k++, p += 3) {
                                r += p[0] * w[k];
                                g += p[1] * w[k];
                                b += p[2] * w[k];
                        }
                        *to++ = round_off(r);
                        *to++ = round_off(g);
                        *to++ = round_off(b);
                } else {
                        int v = 1 << (FRACTION_BITS - 1);
                        for (int k = 0; k < n; k++)
                                v += p[k] * w[k];
                        *to++ = round_off(v);
                }
        }
}

/* Sums whole rows, so that the inner loop runs along memory. */
static inline __attribute__((always_inline)) void
add_up(const rs_view from, unsigned char *to, int y, const struct axis *a, int *sums, size_t n)
{
        const int *w = a->weights + (size_t)y * (size_t)a->most;
        for (size_t i = 0; i < n; i++)
                sums[i] = 1 << (FRACTION_BITS - 1);
        for (int k = 0; k < a->count[y]; k++) {
                const unsigned char *row = from.pixels + (size_t)(a->first[y] + k) * from.stride;
                for (size_t i = 0; i < n; i++)
                        sums[i] += row[i] * w[k];
        }
        for (size_t i = 0; i < n; i++)
                to[i] = round_off(sums[i]);
}

static void
column_pass(const rs_view from, unsigned char *to, int y, const struct axis *a, int *sums, size_t n)
{
        add_up(from, to, y, a, sums, n);
}

#ifdef RS_X86
/* The same integers: here the compiler has vectors that multiply 32 bits, */
__attribute__((target("avx2"))) static void
column_pass_avx2(
        const rs_view from, unsigned char *to, int y, const struct axis *a, int *sums, size_t n)
{
        add_up(from, to, y, a, sums, n);
}

/* A weight has 22 bits and more: with its upper and lower half by themselves, two pixels are one
 * multiplication of 16 bits each. Four pixels take a register: in each half of it two, both of a
 * colour side by side. */
enum { HALF_BITS = 11, LONG_RUN = 16 };

static bool
halve_weights(struct axis *a, int n, resect_error *err)
{
        const size_t each = (size_t)(a->most / 4);
        size_t bytes;
        if (a->most < LONG_RUN)
                return true;
        if (!rs_mul((size_t)n, each * 32 * sizeof *a->fours, &bytes))
                return rs_fail_nomem(err);
        if (!(a->fours = rs_alloc_aligned(bytes, err)))
                return false;
        int16_t *to = a->fours;
        for (int x = 0; x < n; x++) {
                const int *from = a->weights + (size_t)x * (size_t)a->most;
                for (int k = 0; k < (int)each * 4; k += 4, to += 32)
                        for (int at = 0; at < 4; at++) {
                                const int w = k + at < a->count[x] ? from[k + at] : 0;
                                for (int c = 0; c < 4; c++) {
                                        int16_t *here = to + at / 2 * 8 + c * 2 + at % 2;
                                        here[0] = (int16_t)(w >> HALF_BITS);
                                        here[16] = (int16_t)(w & ((1 << HALF_BITS) - 1));
                                }
                        }
        }
        return true;
}

/* The sums of the first pixels of a run, as many fours as leave nothing behind the run to be read;
 * *done: how many pixels these are. */
__attribute__((target("avx2"))) static inline __m128i
add_fours(const unsigned char *p, int count, const int16_t *w, int *done)
{
        const __m256i pairs = _mm256_setr_epi8(0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1,
                -1, 6, -1, 9, -1, 7, -1, 10, -1, 8, -1, 11, -1, -1, -1, -1, -1);
        __m256i upper = _mm256_setzero_si256(), lower = upper;
        int k = 0;
        for (; k + 6 <= count; k += 4, p += 12, w += 32) { /* 16 bytes are read, of 12 that count */
                const __m256i pixels = _mm256_shuffle_epi8(
                        _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)p)), pairs);
                upper = _mm256_add_epi32(
                        upper, _mm256_madd_epi16(pixels, _mm256_load_si256((const __m256i *)w)));
                lower = _mm256_add_epi32(lower,
                        _mm256_madd_epi16(pixels, _mm256_load_si256((const __m256i *)(w + 16))));
        }
        *done = k;
        upper = _mm256_add_epi32(_mm256_slli_epi32(upper, HALF_BITS), lower);
        return _mm_add_epi32(_mm256_castsi256_si128(upper), _mm256_extracti128_si256(upper, 1));
}

/* Each byte of a pixel times w. */
static inline __attribute__((always_inline, target("avx2"))) __m128i
times(uint32_t pixel, int w)
{
        return _mm_mullo_epi32(_mm_cvtepu8_epi32(_mm_cvtsi32_si128((int)pixel)), _mm_set1_epi32(w));
}

/* and here a pixel is one. Of the last pixel of a run, which may be the last of all, no fourth byte
 * is read. */
__attribute__((target("avx2"))) static void
row_pass_avx2(const unsigned char *restrict s, unsigned char *restrict to, int width,
        const struct axis *a, int channels)
{
        if (channels != 3) {
                row_pass(s, to, width, a, channels);
                return;
        }
        for (int x = 0; x < width; x++, to += 3) {
                const int *w = a->weights + (size_t)x * (size_t)a->most;
                const unsigned char *p = s + (size_t)a->first[x] * 3;
                const int last = a->count[x] - 1;
                __m128i sum = _mm_set1_epi32(1 << (FRACTION_BITS - 1));
                uint32_t pixel;
                int k = 0;
                if (a->fours) {
                        sum = _mm_add_epi32(sum,
                                add_fours(p, a->count[x],
                                        a->fours + (size_t)x * (size_t)(a->most / 4) * 32, &k));
                        p += 3 * (size_t)k;
                }
                for (; k < last; k++, p += 3) {
                        memcpy(&pixel, p, sizeof pixel);
                        sum = _mm_add_epi32(sum, times(pixel, w[k]));
                }
                pixel = p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16;
                if (last >= 0)
                        sum = _mm_add_epi32(sum, times(pixel, w[last]));
                sum = _mm_srai_epi32(sum, FRACTION_BITS);
                pixel = (uint32_t)_mm_cvtsi128_si32(
                        _mm_packus_epi16(_mm_packs_epi32(sum, sum), _mm_setzero_si128()));
                to[0] = (unsigned char)pixel;
                to[1] = (unsigned char)(pixel >> 8);
                to[2] = (unsigned char)(pixel >> 16);
        }
}
#endif

#ifndef RS_X86
static bool
halve_weights(struct axis *a, int n, resect_error *err)
{
        (void)a;
        (void)n;
        (void)err;
        return true;
}
#endif

static row_passes *
best_rows(void)
{
#ifdef RS_X86
        if (__builtin_cpu_supports("avx2"))
                return row_pass_avx2;
#endif
        return row_pass;
}

static column_passes *
best_columns(void)
{
#ifdef RS_X86
        if (__builtin_cpu_supports("avx2"))
                return column_pass_avx2;
#endif
        return column_pass;
}

/* An axis that keeps its size is copied, not filtered: one weight of 1 gives the same bits, slower.
 */
static bool
resize_columns(rs_picture *out, rs_view from, int full, int left, int width, resect_error *err)
{
        struct axis a = {0};
        size_t n = (size_t)width * (size_t)from.channels;
        bool same = full == from.width;
        row_passes *pass = best_rows();
        bool ok =
                (same || make_axis(&a, from.width, full, left, width, err)) &&
                (pass == row_pass || from.channels != 3 || same || halve_weights(&a, width, err)) &&
                rs_picture_make(out, width, from.height, from.channels, err);
        for (int y = 0; ok && y < from.height; y++) {
                const unsigned char *s = from.pixels + (size_t)y * from.stride;
                if (same)
                        memcpy(out->pixels + (size_t)y * n,
                                s + (size_t)left * (size_t)from.channels, n);
                else
                        pass(s, out->pixels + (size_t)y * n, width, &a, from.channels);
        }
        free_axis(&a);
        return ok;
}

static bool
resize_rows(rs_picture *out, rs_view from, const struct axis *rows, int height, resect_error *err)
{
        size_t n = (size_t)from.width * (size_t)from.channels;
        int *sums = rs_alloc(n, sizeof *sums, err);
        column_passes *pass = best_columns();
        bool ok = sums && rs_picture_make(out, from.width, height, from.channels, err);
        for (int y = 0; ok && y < height; y++)
                pass(from, out->pixels + (size_t)y * n, y, rows, sums, n);
        rs_free(sums);
        return ok;
}

bool
rs_picture_resize_part(rs_picture *out, rs_view from, int full_width, int full_height, int left,
        int top, int width, int height, resect_error *err)
{
        *out = (rs_picture){0};
        if (full_height == from.height)
                return resize_columns(out, rs_view_part(from, 0, top, from.width, height),
                        full_width, left, width, err);
        struct axis rows = {0};
        rs_picture strip = {0};
        bool ok = make_axis(&rows, from.height, full_height, top, height, err);
        if (ok) { /* only the rows that the part is made of */
                int lo = rows.first[0], hi = rows.first[height - 1] + rows.count[height - 1];
                for (int y = 0; y < height; y++)
                        rows.first[y] -= lo;
                ok = resize_columns(&strip, rs_view_part(from, 0, lo, from.width, hi - lo),
                             full_width, left, width, err) &&
                     resize_rows(out, rs_picture_view(&strip), &rows, height, err);
        }
        rs_picture_free(&strip);
        free_axis(&rows);
        return ok;
}

bool
rs_picture_resize(rs_picture *out, rs_view from, int width, int height, resect_error *err)
{
        *out = (rs_picture){0};
        if (width < 1 || height < 1 || width > RS_PICTURE_SIDE || height > RS_PICTURE_SIDE)
                return rs_fail(
                        err, RESECT_ARG, "a picture cannot be resized to %dx%d", width, height);
        return rs_picture_resize_part(out, from, width, height, 0, 0, width, height, err);
}
