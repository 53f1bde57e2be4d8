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
};

static void
free_axis(struct axis *a)
{
        rs_free(a->first);
        rs_free(a->count);
        rs_free(a->weights);
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
                for (int k = 0; k < last; k++, p += 3) {
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
        bool ok = (same || make_axis(&a, from.width, full, left, width, err)) &&
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
