/* SPDX-License-Identifier: 0BSD */
/* See convolve.h. */
#include "op/convolve.h"

#include <string.h>

enum { TAPS_MAX = 1 << 22 };

/* For one axis: the taps k0 .. that see the input from some position, and where. */
typedef struct axis {
        int64_t in, out, kernel, stride, dilation, before;
} axis;

static int64_t
floor_div(int64_t a, int64_t b)
{
        return a / b - (a % b < 0);
}

/* Tap k reads position o * stride + shift(k). */
static int64_t
shift(const axis *a, int64_t k)
{
        return k * a->dilation - a->before;
}

static bool
tap_lives(const axis *a, int64_t k)
{
        const int64_t s = shift(a, k);
        const int64_t o =
                s >= 0 ? 0 : -floor_div(s, a->stride); /* the first with o * stride + s >= 0 */

        return o < a->out && o * a->stride + s < a->in;
}

/* Counts the taps of one axis that live, and in class r of positions modulo stride when r >= 0. */
static size_t
taps_of(const axis *a, int64_t r, int64_t *k /* NULL: count only */)
{
        size_t n = 0;

        for (int64_t i = 0; i < a->kernel; i++) {
                if (!tap_lives(a, i))
                        continue;
                if (r >= 0 && shift(a, i) - floor_div(shift(a, i), a->stride) * a->stride != r)
                        continue;
                if (k)
                        k[n] = i;
                n++;
        }
        return n;
}

/* The product of the axes' lists of taps. at: how far tap k lies from position 0, in the forward or
 * the backward sense. */
static bool
taps_make(const rs_infer *x, const axis *a, int axes,
        const int64_t *first /* of a phase, or NULL */, rs_tap **taps, size_t **index,
        size_t *n_taps, resect_error *err)
{
        int64_t *lists[RS_AXES_MAX] = {NULL};
        size_t counts[RS_AXES_MAX] = {0}, n = 1, at[RS_AXES_MAX] = {0};

        for (int i = 0; i < axes; i++) {
                counts[i] = taps_of(&a[i], first ? first[i] : -1, NULL);
                if (!rs_mul(n, counts[i], &n) || n > TAPS_MAX)
                        return rs_op_fail(x, err, RESECT_UNSUPPORTED,
                                "the kernel has more than %d places", (int)TAPS_MAX);
                if (!(lists[i] = RS_NEW(x->arena, counts[i] + 1, int64_t, err)))
                        return false;
                taps_of(&a[i], first ? first[i] : -1, lists[i]);
        }
        *n_taps = n;
        if (!(*taps = RS_NEW(x->arena, n + 1, rs_tap, err)) ||
                !(*index = RS_NEW(x->arena, n + 1, size_t, err)))
                return false;
        for (size_t t = 0; t < n; t++) {
                rs_tap *tap = &(*taps)[t];
                for (int i = 0; i < axes; i++) {
                        const int64_t k = lists[i][at[i]], s = shift(&a[i], k);
                        tap->at[i] = first ? (first[i] - s) / a[i].stride : s;
                        tap->weight = tap->weight * (size_t)a[i].kernel + (size_t)k;
                }
                (*index)[t] = tap->weight;
                for (int i = axes - 1; i >= 0 && ++at[i] == counts[i]; i--)
                        at[i] = 0;
        }
        return true;
}

/* The classes of one axis that some tap reaches, at most one for each tap. */
static bool
classes_of(const rs_infer *x, const axis *a, int64_t **classes, size_t *n, resect_error *err)
{
        *n = 0;
        if (!(*classes = RS_NEW(x->arena, (size_t)a->kernel, int64_t, err)))
                return false;
        for (int64_t k = 0; k < a->kernel && *n < (size_t)a->stride; k++) {
                if (!tap_lives(a, k))
                        continue;
                const int64_t r = shift(a, k) - floor_div(shift(a, k), a->stride) * a->stride;
                size_t i = 0;
                while (i < *n && (*classes)[i] != r)
                        i++;
                if (i == *n)
                        (*classes)[(*n)++] = r;
        }
        return true;
}

static bool
phases_make(const rs_infer *x, const axis *a, int axes, rs_conv *c, resect_error *err)
{
        int64_t *classes[RS_AXES_MAX] = {NULL};
        size_t counts[RS_AXES_MAX] = {0}, n = 1, at[RS_AXES_MAX] = {0};
        rs_phase *phases;

        for (int i = 0; i < axes; i++) {
                if (!classes_of(x, &a[i], &classes[i], &counts[i], err))
                        return false;
                n *= counts[i]; /* at most the number of taps */
        }
        if (!(phases = RS_NEW(x->arena, n + 1, rs_phase, err)))
                return false;
        for (size_t p = 0; p < n; p++) {
                rs_phase *f = &phases[p];
                rs_tap *taps;
                size_t *index;
                f->places = 1;
                for (int i = 0; i < axes; i++) {
                        f->first[i] = classes[i][at[i]];
                        f->grid[i] = (a[i].in - f->first[i] + a[i].stride - 1) / a[i].stride;
                        f->places *= (size_t)f->grid[i];
                }
                if (!taps_make(x, a, axes, f->first, &taps, &index, &f->n_taps, err))
                        return false;
                f->taps = taps;
                f->index = index;
                for (int i = axes - 1; i >= 0 && ++at[i] == counts[i]; i--)
                        at[i] = 0;
        }
        c->phases = phases;
        c->n_phases = n;
        return true;
}

bool
rs_conv_make(const rs_infer *x, rs_conv *c, const rs_window *w, const int64_t *in,
        const int64_t *out, resect_error *err)
{
        axis a[RS_AXES_MAX];
        rs_tap *taps;
        size_t *index;

        c->axes = w->axes;
        c->in_plane = c->out_plane = c->volume = 1;
        for (int i = 0; i < w->axes; i++) {
                a[i] = (axis){
                        in[i], out[i], w->kernel[i], w->stride[i], w->dilation[i], w->before[i]};
                c->in[i] = in[i];
                c->out[i] = out[i];
                c->stride[i] = w->stride[i];
                if (!rs_mul(c->in_plane, (size_t)in[i], &c->in_plane) ||
                        !rs_mul(c->out_plane, (size_t)out[i], &c->out_plane) ||
                        !rs_mul(c->volume, (size_t)w->kernel[i], &c->volume))
                        return rs_op_fail(x, err, RESECT_GRAPH, "sizes do not fit into memory");
        }
        if (!taps_make(x, a, w->axes, NULL, &taps, &index, &c->n_taps, err))
                return false;
        c->taps = taps;
        c->index = c->n_taps == c->volume ? NULL : index;
        return phases_make(x, a, w->axes, c, err);
}

/* Where a finished tile goes: places of a grid within an image's planes. */
typedef struct target {
        rs_finish f;
        size_t image, channels, plane; /* elements of an image; channels of one group */
        int axes;
        int64_t first[RS_AXES_MAX], grid[RS_AXES_MAX], step[RS_AXES_MAX], size[RS_AXES_MAX];
        size_t places;
        bool dense; /* the grid is the whole plane, in order */
} target;

/* Offsets within channel 0 of columns j0..j1. */
static void
places_of(const target *t, size_t j0, size_t j1, size_t *at)
{
        size_t image = j0 / t->places, rest = j0 % t->places;
        int64_t g[RS_AXES_MAX] = {0};

        for (int a = t->axes - 1; a >= 0; a--) {
                g[a] = (int64_t)(rest % (size_t)t->grid[a]);
                rest /= (size_t)t->grid[a];
        }
        for (size_t j = j0; j < j1; j++) {
                int64_t place = 0;
                for (int a = 0; a < t->axes; a++)
                        place = place * t->size[a] + t->first[a] + g[a] * t->step[a];
                *at++ = image * t->image + (size_t)place;
                int a = t->axes - 1;
                while (a >= 0 && ++g[a] == t->grid[a])
                        g[a--] = 0;
                if (a < 0)
                        image++;
        }
}

#define T float
#define NAME(f) f##_f32
#define LOAD(v) ((double)(v))
#define STORE(v) ((float)(v))
#include "op/convolve.inc.h"

#define T double
#define NAME(f) f##_f64
#define LOAD(v) (v)
#define STORE(v) (v)
#include "op/convolve.inc.h"

#define T uint16_t
#define NAME(f) f##_f16
#define LOAD(v) ((double)rs_half_to_float(v))
#define STORE(v) rs_float_to_half((float)(v))
#include "op/convolve.inc.h"

#define T uint16_t
#define NAME(f) f##_bf16
#define LOAD(v) ((double)rs_bfloat_to_float(v))
#define STORE(v) rs_float_to_bfloat((float)(v))
#include "op/convolve.inc.h"

/* Weights' gradients. Columns are (input channel, tap). */
typedef struct weights {
        void *w;
        const rs_conv *c;
} weights;

#define WEIGHTS(T, NAME)                                                                     \
        static void emit_weights_##NAME(const void *result, const rs_gemm_tile *tile)        \
        {                                                                                    \
                const weights *t = result;                                                   \
                const rs_conv *c = t->c;                                                     \
                for (size_t i = tile->i0; i < tile->i1; i++) {                               \
                        T *w = (T *)t->w + (tile->batch * c->cout + i) * c->cin * c->volume; \
                        const double *v = tile->c + (i - tile->i0) * tile->ldc;              \
                        for (size_t j = tile->j0; j < tile->j1; j++, v++) {                  \
                                T *e = w + j / c->n_taps * c->volume +                       \
                                       c->taps[j % c->n_taps].weight;                        \
                                *e = (T)((double)*e + *v);                                   \
                        }                                                                    \
                }                                                                            \
        }                                                                                    \
        static void sum_channel_##NAME(                                                      \
                const T *y, size_t images, size_t channels, size_t plane, size_t ch, T *b)   \
        {                                                                                    \
                double lanes[8] = {0}, sum = 0;                                              \
                for (size_t n = 0; n < images; n++) {                                        \
                        const T *p = y + (n * channels + ch) * plane;                        \
                        size_t i = 0;                                                        \
                        for (; i + 8 <= plane; i += 8)                                       \
                                for (size_t l = 0; l < 8; l++)                               \
                                        lanes[l] += (double)p[i + l];                        \
                        for (size_t l = 0; i + l < plane; l++)                               \
                                lanes[l] += (double)p[i + l];                                \
                }                                                                            \
                for (size_t l = 0; l < 8; l++)                                               \
                        sum += lanes[l];                                                     \
                b[ch] = (T)((double)b[ch] + sum);                                            \
        }
WEIGHTS(float, f32)
WEIGHTS(double, f64)

#define CHOOSE(f)                                   \
        (dtype == RESECT_FLOAT            ? f##_f32 \
                : dtype == RESECT_DOUBLE  ? f##_f64 \
                : dtype == RESECT_FLOAT16 ? f##_f16 \
                                          : f##_bf16)

static rs_gemm_emit *
emitter(int32_t dtype)
{
        return CHOOSE(emit);
}

void
rs_conv_product_make(const rs_conv *c, int32_t xtype, const void *x, int32_t wtype, const void *w,
        rs_conv_product *p)
{
        const size_t filter = c->cin * c->volume;

        memset(p, 0, sizeof *p);
        p->w = (rs_rows){
                .data = w, .batch = c->cout * filter, .sj = filter, .len = filter, .sr = 1};
        if (c->index) {
                p->w.len = c->n_taps;
                p->w.sq = c->volume;
                p->w.index = c->index;
        }
        p->x = (rs_patches){.data = x,
                .image = c->groups * c->cin * c->in_plane,
                .channels = c->cin,
                .axes = c->axes,
                .plane = c->in_plane,
                .places = c->out_plane,
                .taps = c->taps,
                .n_taps = c->n_taps};
        memcpy(p->x.size, c->in, sizeof c->in);
        memcpy(p->x.grid, c->out, sizeof c->out);
        memcpy(p->x.step, c->stride, sizeof c->stride);
        p->g = (rs_gemm){.batch = c->groups,
                .m = c->cout,
                .n = c->images * c->out_plane,
                .k = c->cin * c->n_taps,
                .pack_a = rs_rows_packer(wtype),
                .a = &p->w,
                .pack_b = rs_patches_packer(xtype),
                .b = &p->x};
}

void
rs_conv_apply(const rs_conv *c, const void *x, const void *w, const rs_finish *f, int threads,
        void *scratch)
{
        rs_conv_product p;
        target t = {.f = *f,
                .image = c->groups * c->cout * c->out_plane,
                .channels = c->cout,
                .plane = c->out_plane,
                .places = c->out_plane,
                .dense = true,
                .axes = c->axes};

        for (int i = 0; i < c->axes; i++) {
                t.grid[i] = t.size[i] = c->out[i];
                t.step[i] = 1;
        }
        rs_conv_product_make(c, f->dtype, x, f->dtype, w, &p);
        p.g.emit = emitter(f->dtype);
        p.g.c = &t;
        rs_gemm_run(&p.g, threads, scratch);
}

/* Everything that no tap reaches is bias and residual alone. */
static void
fill(int32_t dtype, const target *t, size_t images, size_t channels, int threads)
{
        void (*const f)(const target *, size_t, size_t) = CHOOSE(fill_plane);

        RS_PARALLEL(rs_threads_for(threads, images * channels * t->plane))
        for (size_t i = 0; i < images * channels; i++)
                f(t, i, i % channels);
}

void
rs_conv_spread(const rs_conv *c, const void *y, const void *w, const rs_finish *f, int threads,
        void *scratch)
{
        target t = {.f = *f,
                .image = c->groups * c->cin * c->in_plane,
                .channels = c->cin,
                .plane = c->in_plane,
                .axes = c->axes};
        size_t reached = 0;

        for (int i = 0; i < c->axes; i++) {
                t.size[i] = c->in[i];
                t.step[i] = c->stride[i];
        }
        for (size_t i = 0; i < c->n_phases; i++)
                reached += c->phases[i].places;
        if (!f->add && reached < c->in_plane)
                fill(f->dtype, &t, c->images, c->groups * c->cin, threads);
        for (size_t i = 0; i < c->n_phases; i++) {
                const rs_phase *p = &c->phases[i];
                const rs_rows a = {.data = w,
                        .batch = c->cout * c->cin * c->volume,
                        .sj = c->volume,
                        .len = p->n_taps,
                        .sq = c->cin * c->volume,
                        .index = p->index};
                rs_patches b = {.data = y,
                        .image = c->groups * c->cout * c->out_plane,
                        .channels = c->cout,
                        .axes = c->axes,
                        .plane = c->out_plane,
                        .places = p->places,
                        .taps = p->taps,
                        .n_taps = p->n_taps};
                for (int k = 0; k < c->axes; k++)
                        b.step[k] = 1;
                memcpy(b.size, c->out, sizeof b.size);
                memcpy(b.grid, p->grid, sizeof b.grid);
                memcpy(t.grid, p->grid, sizeof t.grid);
                memcpy(t.first, p->first, sizeof t.first);
                t.places = p->places;
                t.dense = p->places == c->in_plane;
                const rs_gemm g = {.batch = c->groups,
                        .m = c->cin,
                        .n = c->images * p->places,
                        .k = c->cout * p->n_taps,
                        .pack_a = rs_rows_packer(f->dtype),
                        .a = &a,
                        .pack_b = rs_patches_packer(f->dtype),
                        .b = &b,
                        .emit = emitter(f->dtype),
                        .c = &t};
                rs_gemm_run(&g, threads, scratch);
        }
}

/* Is the patch of each position the position itself? */
static bool
is_pointwise(const rs_conv *c)
{
        if (c->volume != 1 || c->n_taps != 1)
                return false;
        for (int i = 0; i < c->axes; i++)
                if (c->stride[i] != 1 || c->taps[0].at[i] != 0 || c->in[i] != c->out[i])
                        return false;
        return true;
}

void
rs_conv_correlate(const rs_conv *c, const void *x, const void *y, int32_t dtype, void *w,
        int threads, void *scratch)
{
        rs_conv_product p;
        const rs_rows a = {.data = y,
                .batch = c->cout * c->out_plane,
                .sj = c->out_plane,
                .len = c->out_plane,
                .sq = c->groups * c->cout * c->out_plane,
                .sr = 1};
        const rs_rows same = {.data = x,
                .batch = c->cin * c->in_plane,
                .sj = c->in_plane,
                .len = c->in_plane,
                .sq = c->groups * c->cin * c->in_plane,
                .sr = 1};
        const weights t = {w, c};

        rs_conv_product_make(c, dtype, x, dtype, w, &p);
        p.g.n = c->cin * c->n_taps;
        p.g.k = c->images * c->out_plane;
        p.g.a = &a;
        p.g.pack_b = rs_patches_across_packer(dtype);
        if (is_pointwise(c)) {
                p.g.b = &same;
                p.g.pack_b = rs_rows_packer(dtype);
        }
        p.g.emit = dtype == RESECT_FLOAT ? emit_weights_f32 : emit_weights_f64;
        p.g.c = &t;
        rs_gemm_run(&p.g, threads, scratch);
}

void
rs_conv_sum(int32_t dtype, const void *y, size_t images, size_t channels, size_t plane, void *b,
        int threads)
{
        RS_PARALLEL(rs_threads_for(threads, images * channels * plane))
        for (size_t ch = 0; ch < channels; ch++)
                if (dtype == RESECT_FLOAT)
                        sum_channel_f32(y, images, channels, plane, ch, b);
                else
                        sum_channel_f64(y, images, channels, plane, ch, b);
}
