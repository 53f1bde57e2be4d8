/* SPDX-License-Identifier: 0BSD */
/*
 * How Winograd's convolution walks. The output is cut into tiles of M x M, each a sum over input
 * channels of A * A products, so that for every point there is a product of matrices, [tiles, C] x
 * [C, O]. Tiles are taken in groups; what is between the transforms stays in the caches:
 *
 *   v   a group's inputs, transformed: [point][block of at most 14 tiles][C / 16][tile][16]
 *   s   sums of a group for 32 outputs, before their transform: [point][2][tile][16]
 *   u   weights, read in the order in which they lie: [O / 32][point][C][32]; of the last chunk
 *       [point][C][16] where O / 16 is odd
 *
 * Either every thread has groups of its own and reads all transformed weights for each of them
 * (many tiles, few weights), or all threads transform the inputs of many groups together and then
 * share out the chunks of outputs (few tiles, many weights). Then transformed weights, which are 4
 * to 9 times as large, are made where they are used, for a few channels at a time, and never leave
 * a core's cache: what is kept of the weights is [O / 32][C][2][9][16], or they are read as they
 * lie where that happens once only.
 *
 * An output's sum runs over channels in their order whatever the groups and threads.
 */
#include "onednn/winograd_tiles.h"

#include <stdint.h>
#include <string.h>
#include "base/mem.h"

enum {
        OWN_BYTES = 640 << 10,    /* of v and s of a group that one thread has for itself */
        OWN_WEIGHTS = 3 << 20,    /* of weights beyond which threads share them */
        KEPT_WEIGHTS = 6 << 20,   /* of weights that are kept */
        SUM_BYTES = 480 << 10,    /* of s of a group that is shared */
        SHARED_BYTES = 8 << 20,   /* of v of the groups that are done at a time */
        WEIGHT_BYTES = 400 << 10, /* of shared weights that are transformed at a time */
        /* of tiles in a group, the smallest of whose sums are 36 x 32 floats */
        MOST_BLOCKS = OWN_BYTES / (36 * RS_WINO_CHUNK * 4) / RS_WINO_BLOCK + 2,
};
_Static_assert(SUM_BYTES <= OWN_BYTES, "MOST_BLOCKS counts those of the larger");

/* All that follows from an rs_winograd. */
typedef struct shape {
        rs_wino_tiles t;
        size_t ib, ob, chunks;   /* blocks of 16 in and out, chunks of 32 out */
        size_t groups, together; /* groups of tiles, and how many are done at a time */
        size_t depth;            /* blocks of channels whose weights are transformed at a time */
        size_t v_plane, v_group, s_plane, w_plane; /* floats */
        int threads;
        bool shared;
} shape;

static size_t
at_least(size_t n, size_t least)
{
        return n < least ? least : n;
}

static shape
shape_of(const rs_winograd *p)
{
        shape s = {.t = rs_wino_tiles_of(p),
                .threads = p->threads < 1 ? 1 : p->threads,
                .ib = p->c / 16,
                .ob = p->o / 16};

        s.chunks = rs_up(s.ob, 2);
        s.shared =
                s.t.points * p->c * p->o * sizeof(float) > (p->kept ? KEPT_WEIGHTS : OWN_WEIGHTS);
        const size_t v_tile = s.t.points * p->c * sizeof(float);
        const size_t s_tile = s.t.points * RS_WINO_CHUNK * sizeof(float);

        s.depth = at_least(WEIGHT_BYTES / (s_tile * 16), 1);
        if (s.shared) {
                s.groups = rs_up(s.t.count, at_least(SUM_BYTES / s_tile, RS_WINO_BLOCK));
                s.together = at_least(SHARED_BYTES / (rs_up(s.t.count, s.groups) * v_tile), 1);
        } else {
                s.groups = rs_up(s.t.count, at_least(OWN_BYTES / (v_tile + s_tile), RS_WINO_BLOCK));
                s.together = 1;
        }
        if (s.together > s.groups)
                s.together = s.groups;
        const size_t most = rs_up(s.t.count, s.groups);
        s.v_plane = rs_wino_plane(most * p->c);
        s.v_group = s.t.points * s.v_plane;
        s.s_plane = rs_wino_plane(most * RS_WINO_CHUNK);
        s.w_plane = rs_wino_plane((s.shared ? s.depth * 16 : p->c) * RS_WINO_CHUNK);
        return s;
}

bool
rs_winograd_able(const rs_winograd *p)
{
        size_t x, y, u;

        if (!rs_wino_able() || !p->n || !p->c || !p->o || !p->h || !p->w || !p->oh || !p->ow)
                return false;
        if (p->c % 16 || p->o % 16)
                return false;
        const size_t most = SIZE_MAX >> 24;
        if (p->c > most || p->o > most || p->h > most || p->w > most || p->oh > most ||
                p->ow > most)
                return false;
        /* whatever is counted is below this much times 1 << 24: pictures with tiles half empty, 81
         * points, floats, 256 threads */
        return rs_mul(p->n, p->h + 8, &x) && rs_mul(x, p->w + 8, &x) && rs_mul(x, p->c, &x) &&
               rs_mul(p->n, p->oh + 8, &y) && rs_mul(y, p->ow + 8, &y) &&
               rs_mul(y, p->c + p->o, &y) && rs_mul(p->c, p->o, &u) && rs_add(x, y, &x) &&
               rs_add(x, u, &x) && x < most;
}

rs_winograd
rs_winograd_turned(const rs_winograd *p)
{
        return (rs_winograd){.n = p->n,
                .c = p->o,
                .o = p->c,
                .h = p->oh,
                .w = p->ow,
                .oh = p->h,
                .ow = p->w,
                .before_h = 2 - p->before_h,
                .before_w = 2 - p->before_w,
                .threads = p->threads,
                .kept = p->kept};
}

size_t
rs_winograd_weight_bytes(const rs_winograd *p)
{
        const shape s = shape_of(p);

        return (s.shared ? 9 * p->c * p->o : s.chunks * s.t.points * s.w_plane) * sizeof(float);
}

bool
rs_winograd_reads_once(const rs_winograd *p)
{
        const shape s = shape_of(p);

        return s.shared && s.groups == 1;
}

/* Floats that a thread has for itself in a forward call. */
static size_t
per_thread(const shape *s)
{
        return s->t.points * (s->s_plane + (s->shared ? s->w_plane : s->v_plane));
}

size_t
rs_winograd_scratch(const rs_winograd *p)
{
        const shape s = shape_of(p);
        const size_t forward =
                (s.shared ? s.together * s.v_group : 0) + (size_t)s.threads * per_thread(&s);
        const size_t gradient = rs_winograd_gradient_scratch(p);

        return forward * sizeof(float) > gradient ? forward * sizeof(float) : gradient;
}

/* How many of the two vectors of a chunk there are. */
static inline size_t
vectors_of(const shape *s, size_t chunk)
{
        return s->ob - chunk * 2 < 2 ? 1 : 2;
}

/* The taps of 16 by 16 channels, [16 c][9][16 o]. Taps of the data gradient are turned round. */
static void
taps_of(const rs_winograd *p, const float *w, bool gradient, size_t o, size_t c, float *taps)
{
        if (!gradient) {
                for (size_t i = 0; i < 9; i++)
                        rs_wino_transpose(
                                w + (o * p->c + c) * 9 + i * 16, p->c * 9, taps + i * 256, 16);
                return;
        }
        for (size_t i = 0; i < 16; i++, taps += 9 * 16) {
                /* rows of 9 are read as rows of 16, which must not reach behind the last */
                const size_t at = ((c + i) * p->o + o) * 9;
                const size_t shift = at + 15 * 9 + 16 > p->c * p->o * 9 ? 7 : 0;
                _Alignas(64) float columns[16 * 16];
                rs_wino_transpose(w + at - shift, 9, columns, 16);
                for (size_t k = 0; k < 9; k++)
                        memcpy(taps + k * 16, columns + (8 - k + shift) * 16, 16 * sizeof *taps);
        }
}

void
rs_winograd_weights(const rs_winograd *p, const float *w, bool gradient, float *u)
{
        const shape s = shape_of(p);

#pragma omp parallel for num_threads(s.threads) schedule(static)
        for (size_t unit = 0; unit < s.ob * s.ib; unit++) {
                /* along the rows of w */
                const size_t b = gradient ? unit % s.ob : unit / s.ib;
                const size_t c = (gradient ? unit / s.ob : unit % s.ib) * 16;
                const size_t vectors = vectors_of(&s, b / 2);
                _Alignas(64) float taps[16 * 9 * 16];

                taps_of(p, w, gradient, b * 16, c, taps);
                for (size_t i = 0; i < 16; i++) {
                        const size_t at = (c + i) * vectors + b % 2;
                        const float *from = taps + i * 9 * 16;
                        if (s.shared)
                                memcpy(u + b / 2 * 2 * p->c * 9 * 16 + at * 9 * 16, from,
                                        9 * 16 * sizeof *u);
                        else
                                s.t.k->weights(from, u + b / 2 * s.t.points * s.w_plane + at * 16,
                                        s.w_plane);
                }
        }
}

typedef struct forward {
        shape s;
        const rs_winograd *p;
        rs_wino_map in, out;
        const float *x, *u, *bias;
        bool add, relu;
        float *y;
} forward;

/* The thread's part of the transformed inputs of a group. */
static void
spread(const forward *f, rs_wino_team t, size_t group, float *v)
{
        const shape *s = &f->s;
        const size_t first = rs_part(s->t.count, group, s->groups),
                     n = rs_part(s->t.count, group + 1, s->groups) - first;
        const size_t blocks = rs_up(n, RS_WINO_BLOCK), end = rs_part(n, t.rank + 1, t.size);

        for (size_t i = rs_part(n, t.rank, t.size), b = 0; i < end; i++) {
                while (i >= rs_part(n, b + 1, blocks))
                        b++;
                const size_t from = rs_part(n, b, blocks),
                             size = (rs_part(n, b + 1, blocks) - from) * 16;
                const rs_wino_place at = rs_wino_place_of(&s->t, first + i);
                s->t.k->spread(&f->in, f->x + at.picture * s->ib * f->in.h * f->in.w * 16, at.y,
                        at.x, 0, s->ib, v + from * s->ib * 16 + (i - from) * 16, s->v_plane,
                        2 * size, size);
        }
}

/* Sums of a group's products with u, [point][channels of depth blocks from `first`][32]. */
static void
multiply(const shape *s, size_t n, size_t vectors, size_t first, size_t depth, const float *v,
        const float *u, size_t u_plane, float *sums)
{
        const size_t blocks = rs_up(n, RS_WINO_BLOCK);
        rs_wino_sums r = {.u = u, .step = n * 16, .depth = depth, .more = first > 0};
        /* found once: a division takes a tenth of a product */
        size_t start[MOST_BLOCKS + 1], at[MOST_BLOCKS + 1];

        for (size_t b = 0; b <= blocks; b++)
                start[b] = rs_part(n, b, blocks);
        for (size_t b = 0; b < blocks; b++)
                at[b] = (start[b] * s->ib + first * (start[b + 1] - start[b])) * 16;
        for (size_t point = 0; point < s->t.points; point++) {
                const float *next = point + 1 < s->t.points ? v + s->v_plane : v;
                for (size_t b = 0; b < blocks; b++) {
                        /* the inputs of the product after this one, which come from far away */
                        const size_t then = b + 1 < blocks ? b + 1 : 0;

                        r.v = v + at[b];
                        r.s = sums + start[b] * 16;
                        r.ahead = (const char *)((then ? v : next) + at[then]);
                        r.lines = s->shared ? rs_up(start[then + 1] - start[then], 4) : 0;
                        rs_wino_product(start[b + 1] - start[b], vectors, &r);
                }
                v = next;
                r.u += u_plane;
                sums += s->s_plane;
        }
}

/* Fetches what taps_of will read. */
static void
fetch_taps(const rs_winograd *p, const float *w, bool gradient, size_t o, size_t c)
{
        const float *at = gradient ? w + (c * p->o + o) * 9 : w + (o * p->c + c) * 9;

        for (size_t i = 0; i < 16; i++, at += (gradient ? p->o : p->c) * 9)
                for (size_t k = 0; k < 9; k++)
                        __builtin_prefetch(at + k * 16);
}

/* Transformed weights of depth blocks of channels from b, [point][depth * 16][vectors * 16]. */
static void
transform_weights(const forward *f, size_t chunk, size_t b, size_t depth, size_t vectors, float *w)
{
        const shape *s = &f->s;
        const size_t channels = s->ib * 16;

        if (f->p->weights == RS_WINO_PACKED) {
                const float *taps = f->u + (chunk * 2 * channels + b * 16 * vectors) * 9 * 16;
                for (size_t i = 0; i < depth * 16 * vectors; i++)
                        s->t.k->weights(taps + i * 9 * 16, w + i * 16, s->w_plane);
                return;
        }
        const bool turned = f->p->weights == RS_WINO_TURNED;
        _Alignas(64) float taps[16 * 9 * 16];
        for (size_t i = 0; i < depth * vectors; i++) {
                const size_t j = i % vectors, k = i / vectors, then = i + 1;
                if (then < depth * vectors)
                        fetch_taps(f->p, f->u, turned, (chunk * 2 + then % vectors) * 16,
                                (b + then / vectors) * 16);
                taps_of(f->p, f->u, turned, (chunk * 2 + j) * 16, (b + k) * 16, taps);
                for (size_t c = 0; c < 16; c++)
                        s->t.k->weights(taps + c * 9 * 16, w + ((k * 16 + c) * vectors + j) * 16,
                                s->w_plane);
        }
}

/* A group's outputs of one chunk; w is room for a few channels' weights when they are shared. */
static void
outputs(const forward *f, size_t group, size_t chunk, const float *v, float *sums, float *w)
{
        const shape *s = &f->s;
        const size_t first = rs_part(s->t.count, group, s->groups),
                     n = rs_part(s->t.count, group + 1, s->groups) - first;
        const size_t vectors = vectors_of(s, chunk);

        if (!s->shared)
                multiply(s, n, vectors, 0, s->ib, v, f->u + chunk * s->t.points * s->w_plane,
                        s->w_plane, sums);
        else
                for (size_t b = 0; b < s->ib; b += s->depth) {
                        const size_t depth = s->ib - b < s->depth ? s->ib - b : s->depth;
                        transform_weights(f, chunk, b, depth, vectors, w);
                        multiply(s, n, vectors, b, depth, v, w, s->w_plane, sums);
                }
        for (size_t i = 0; i < n; i++) {
                const rs_wino_place at = rs_wino_place_of(&s->t, first + i);
                for (size_t j = 0; j < vectors; j++) {
                        const size_t b = chunk * 2 + j;
                        const rs_wino_end end = {
                                f->bias ? f->bias + b * 16 : NULL, f->add, f->relu};
                        s->t.k->gather(&f->out, sums + (j * n + i) * 16, s->s_plane, at.y, at.x,
                                &end, f->y + (at.picture * s->ob + b) * f->out.h * f->out.w * 16);
                }
        }
}

/* Every thread on its own. */
static void
alone(const forward *f, rs_wino_team t, float *scratch)
{
        const shape *s = &f->s;
        float *v = scratch + t.rank * per_thread(s), *sums = v + s->v_group;
        const size_t end = rs_part(s->groups, t.rank + 1, t.size);

        for (size_t g = rs_part(s->groups, t.rank, t.size); g < end; g++) {
                spread(f, (rs_wino_team){0, 1}, g, v);
                for (size_t chunk = 0; chunk < s->chunks; chunk++)
                        outputs(f, g, chunk, v, sums, NULL);
        }
}

/* A thread's part of the outputs of the groups from g, whose inputs are transformed. */
static void
share(const forward *f, rs_wino_team t, size_t g, size_t n, float *scratch)
{
        const shape *s = &f->s;
        const size_t units = n * s->chunks, end = rs_part(units, t.rank + 1, t.size);
        float *w = scratch + s->together * s->v_group + t.rank * per_thread(s);

        for (size_t i = rs_part(units, t.rank, t.size); i < end; i++)
                outputs(f, g + i % n, i / n, scratch + i % n * s->v_group,
                        w + s->t.points * s->w_plane, w);
}

/* The shape for the first pictures alone: fewer groups, each at most as large as the whole's are,
 * so that all buffers and the form of the weights stay what they were. */
static shape
shape_of_first(const rs_winograd *p, size_t pictures)
{
        shape s = shape_of(p);
        const size_t most = rs_up(s.t.count, s.groups);

        if (pictures >= p->n)
                return s;
        s.t.count = pictures * s.t.rows * s.t.cols;
        s.groups = rs_up(s.t.count, most);
        if (s.together > s.groups)
                s.together = s.groups;
        return s;
}

void
rs_winograd_forward(const rs_winograd *p, const float *x, const float *u, const float *bias,
        bool add, bool relu, float *y, void *scratch)
{
        rs_winograd_forward_first(p, p->n, x, u, bias, add, relu, y, scratch);
}

void
rs_winograd_forward_first(const rs_winograd *p, size_t pictures, const float *x, const float *u,
        const float *bias, bool add, bool relu, float *y, void *scratch)
{
        const forward f = {shape_of_first(p, pictures), p,
                {p->c / 16, p->h, p->w, p->before_h, p->before_w}, {p->o / 16, p->oh, p->ow, 0, 0},
                x, u, bias, add, relu, y};
        const shape *s = &f.s;
        const size_t threads = (size_t)s->threads;
        float *v = scratch;

        if (!s->shared) {
#pragma omp parallel for num_threads(s->threads) schedule(static)
                for (size_t i = 0; i < threads; i++)
                        alone(&f, (rs_wino_team){i, threads}, scratch);
                return;
        }
#pragma omp parallel num_threads(s->threads)
        for (size_t g = 0; g < s->groups; g += s->together) {
                const size_t n = s->groups - g < s->together ? s->groups - g : s->together;
#pragma omp for schedule(static)
                for (size_t i = 0; i < threads; i++)
                        for (size_t k = 0; k < n; k++)
                                spread(&f, (rs_wino_team){i, threads}, g + k, v + k * s->v_group);
#pragma omp for schedule(static)
                for (size_t i = 0; i < threads; i++)
                        share(&f, (rs_wino_team){i, threads}, g, n, scratch);
        }
}
