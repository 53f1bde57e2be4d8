/* SPDX-License-Identifier: 0BSD */
/*
 * How Winograd's convolution walks. The output is cut into tiles of M x M, each a sum over input
 * channels of A * A products, so that for every point there is a product of matrices, [tiles, C] x
 * [C, O]. Tiles are taken in groups; what is between the transforms stays in the caches:
 *
 *   v   a group's inputs, transformed: [point][block of at most 14 tiles][C / 16][tile][16]
 *   s   sums of a group for 32 outputs, before their transform: [point][2][tile][16]
 *   u   weights, read in the order in which they lie: [O / 32][point][C][32], the last chunk
 * [..][16]
 *
 * Either every thread has groups of its own and reads all transformed weights for each of them
 * (many tiles, few weights), or all threads transform the inputs of many groups together and then
 * share out the chunks of outputs (few tiles, many weights). Then transformed weights, which are 4
 * or 5 times as large, are made where they are used, for a few channels at a time, and never leave
 * a core's cache: what is kept of the weights is [O / 32][C][2][9][16].
 *
 * An output's sum runs over channels in their order whatever the groups and threads.
 */
#include "onednn/winograd.h"
#include "onednn/pointconv_kernels.h"
#include "onednn/share.h"
#include "onednn/winograd_kernels.h"

#include <stdint.h>
#include <string.h>
#include "base/mem.h"

enum {
        OWN_BYTES = 640 << 10,  /* of v and s of a group that one thread has for itself */
        OWN_WEIGHTS = 3 << 20,  /* of weights beyond which threads share them */
        SUM_BYTES = 480 << 10,  /* of s of a group that is shared */
        SHARED_BYTES = 8 << 20, /* of v of the groups that are done at a time */
        RUN_BYTES = 8 << 20,    /* of the weight gradient's v and z */
        PANEL = 112,            /* of its tiles at a time, about, at most */
        DEPTH = 8,              /* blocks of channels whose weights are transformed at a time */
        U_TILES = 6,            /* transforming weights takes as long as the products of these */
};

/* All that follows from an rs_winograd. */
typedef struct shape {
        const rs_wino_kernels *k;
        size_t points, rows, cols, tiles; /* of the whole batch */
        size_t ib, ob, chunks;            /* blocks of 16 in and out, chunks of 32 out */
        size_t groups, together;          /* groups of tiles, and how many are done at a time */
        size_t v_plane, v_group, s_plane, w_plane; /* floats */
        int threads;
        bool shared;
        size_t runs, run;                 /* of the weight gradient: runs of at most run tiles */
        size_t x_plane, z_plane, u_plane; /* its planes */
        size_t units;                     /* of 16 channels by RS_POINT_CHUNK outputs */
} shape;

/* One of the shares into which work is cut, as many as there are threads. */
typedef struct team {
        size_t rank, size;
} team;

/* Planes an odd number of cache lines apart use all sets of a cache. */
static inline size_t
plane(size_t floats)
{
        return (rs_up(floats, 16) | 1) * 16;
}

static size_t
tiles_of(const rs_winograd *p, const rs_wino_kernels *k)
{
        return p->n * rs_up(p->oh, k->m) * rs_up(p->ow, k->m);
}

static size_t
at_most(size_t n, size_t least)
{
        return n < least ? least : n;
}

static shape
shape_of(const rs_winograd *p)
{
        shape s = {.threads = p->threads < 1 ? 1 : p->threads, .ib = p->c / 16, .ob = p->o / 16};
        const size_t cost_4 = 36 * (tiles_of(p, &rs_wino_4) + U_TILES);
        const size_t cost_5 = 49 * (tiles_of(p, &rs_wino_5) + U_TILES);

        s.k = cost_5 < cost_4 ? &rs_wino_5 : &rs_wino_4;
        s.points = s.k->a * s.k->a;
        s.rows = rs_up(p->oh, s.k->m);
        s.cols = rs_up(p->ow, s.k->m);
        s.tiles = p->n * s.rows * s.cols;
        s.chunks = rs_up(s.ob, 2);
        s.shared = s.points * p->c * p->o * sizeof(float) > OWN_WEIGHTS;
        const size_t v_tile = s.points * p->c * sizeof(float);
        const size_t s_tile = s.points * RS_WINO_CHUNK * sizeof(float);
        if (s.shared) {
                s.groups = rs_up(s.tiles, at_most(SUM_BYTES / s_tile, RS_WINO_BLOCK));
                s.together = at_most(SHARED_BYTES / (rs_up(s.tiles, s.groups) * v_tile), 1);
        } else {
                s.groups = rs_up(s.tiles, at_most(OWN_BYTES / (v_tile + s_tile), RS_WINO_BLOCK));
                s.together = 1;
        }
        if (s.together > s.groups)
                s.together = s.groups;
        const size_t most = rs_up(s.tiles, s.groups);
        s.v_plane = plane(most * p->c);
        s.v_group = s.points * s.v_plane;
        s.s_plane = plane(most * RS_WINO_CHUNK);
        s.w_plane = plane((s.shared ? DEPTH * 16 : p->c) * RS_WINO_CHUNK);

        s.run = RUN_BYTES / (s.points * (p->c + p->o) * sizeof(float));
        s.runs = rs_up(s.tiles, at_most(s.run, 2 * RS_WINO_BLOCK));
        s.run = rs_up(s.tiles, s.runs);
        s.x_plane = plane(s.run * p->c);
        s.z_plane = plane(s.run * p->o);
        s.u_plane = plane(16 * RS_POINT_CHUNK);
        s.units = s.ib * rs_up(s.ob, RS_POINT_VECTORS);
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
        /* whatever is counted is below this much times 1 << 24: pictures with tiles half empty, 49
         * points, floats, 256 threads */
        return rs_mul(p->n, p->h + 8, &x) && rs_mul(x, p->w + 8, &x) && rs_mul(x, p->c, &x) &&
               rs_mul(p->n, p->oh + 8, &y) && rs_mul(y, p->ow + 8, &y) &&
               rs_mul(y, p->c + p->o, &y) && rs_mul(p->c, p->o, &u) && rs_add(x, y, &x) &&
               rs_add(x, u, &x) && x < most;
}

size_t
rs_winograd_weight_bytes(const rs_winograd *p)
{
        const shape s = shape_of(p);

        return (s.shared ? 9 * p->c * p->o : s.chunks * s.points * s.w_plane) * sizeof(float);
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
        return s->points * (s->s_plane + (s->shared ? s->w_plane : s->v_plane));
}

size_t
rs_winograd_scratch(const rs_winograd *p)
{
        const shape s = shape_of(p);
        const size_t forward =
                (s.shared ? s.together * s.v_group : 0) + (size_t)s.threads * per_thread(&s);
        const size_t sums = s.runs > 1 ? s.units : (size_t)s.threads;
        const size_t gradient = s.points * (s.x_plane + s.z_plane + sums * s.u_plane);

        return (forward > gradient ? forward : gradient) * sizeof(float);
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
                                s.k->weights(from, u + b / 2 * s.points * s.w_plane + at * 16,
                                        s.w_plane);
                }
        }
}

/* Where a tile's outputs begin, and in which picture. */
typedef struct place {
        size_t picture, y, x;
} place;

static inline place
place_of(const shape *s, size_t tile)
{
        const size_t each = s->rows * s->cols, in = tile % each;

        return (place){tile / each, in / s->cols * s->k->m, in % s->cols * s->k->m};
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
spread(const forward *f, team t, size_t group, float *v)
{
        const shape *s = &f->s;
        const size_t first = rs_part(s->tiles, group, s->groups),
                     n = rs_part(s->tiles, group + 1, s->groups) - first;
        const size_t blocks = rs_up(n, RS_WINO_BLOCK), end = rs_part(n, t.rank + 1, t.size);

        for (size_t i = rs_part(n, t.rank, t.size), b = 0; i < end; i++) {
                while (i >= rs_part(n, b + 1, blocks))
                        b++;
                const size_t from = rs_part(n, b, blocks),
                             size = (rs_part(n, b + 1, blocks) - from) * 16;
                const place at = place_of(s, first + i);
                s->k->spread(&f->in, f->x + at.picture * s->ib * f->in.h * f->in.w * 16, at.y, at.x,
                        0, s->ib, v + from * s->ib * 16 + (i - from) * 16, s->v_plane, 2 * size,
                        size);
        }
}

/* Sums of a group's products with u, [point][channels of depth blocks from `first`][32]. */
static void
multiply(const shape *s, size_t n, size_t vectors, size_t first, size_t depth, const float *v,
        const float *u, size_t u_plane, float *sums)
{
        const size_t blocks = rs_up(n, RS_WINO_BLOCK), of = s->points * blocks;
        rs_wino_sums r = {.step = n * 16, .depth = depth, .more = first > 0};

        for (size_t i = 0; i < of; i++) {
                const size_t point = i / blocks, b = i % blocks, from = rs_part(n, b, blocks);
                const size_t tiles = rs_part(n, b + 1, blocks) - from;
                /* the inputs of the product after this one, which come from far away */
                const size_t then = i + 1 < of ? (i + 1) / blocks : point,
                             b2 = i + 1 < of ? (i + 1) % blocks : b;
                const size_t from2 = rs_part(n, b2, blocks),
                             tiles2 = rs_part(n, b2 + 1, blocks) - from2;

                r.v = v + point * s->v_plane + (from * s->ib + first * tiles) * 16;
                r.u = u + point * u_plane;
                r.s = sums + point * s->s_plane + from * 16;
                r.ahead = (const char *)(v + then * s->v_plane +
                                         (from2 * s->ib + first * tiles2) * 16);
                r.lines = s->shared ? rs_up(tiles2, 4) : 0;
                rs_wino_product(tiles, vectors, &r);
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
                        s->k->weights(taps + i * 9 * 16, w + i * 16, s->w_plane);
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
                        s->k->weights(taps + c * 9 * 16, w + ((k * 16 + c) * vectors + j) * 16,
                                s->w_plane);
        }
}

/* A group's outputs of one chunk; w is room for a few channels' weights when they are shared. */
static void
outputs(const forward *f, size_t group, size_t chunk, const float *v, float *sums, float *w)
{
        const shape *s = &f->s;
        const size_t first = rs_part(s->tiles, group, s->groups),
                     n = rs_part(s->tiles, group + 1, s->groups) - first;
        const size_t vectors = vectors_of(s, chunk);

        if (!s->shared)
                multiply(s, n, vectors, 0, s->ib, v, f->u + chunk * s->points * s->w_plane,
                        s->w_plane, sums);
        else
                for (size_t b = 0; b < s->ib; b += DEPTH) {
                        const size_t depth = s->ib - b < DEPTH ? s->ib - b : DEPTH;
                        transform_weights(f, chunk, b, depth, vectors, w);
                        multiply(s, n, vectors, b, depth, v, w, s->w_plane, sums);
                }
        for (size_t i = 0; i < n; i++) {
                const place at = place_of(s, first + i);
                for (size_t j = 0; j < vectors; j++) {
                        const size_t b = chunk * 2 + j;
                        const rs_wino_end end = {
                                f->bias ? f->bias + b * 16 : NULL, f->add, f->relu};
                        s->k->gather(&f->out, sums + (j * n + i) * 16, s->s_plane, at.y, at.x, &end,
                                f->y + (at.picture * s->ob + b) * f->out.h * f->out.w * 16);
                }
        }
}

/* Every thread on its own. */
static void
alone(const forward *f, team t, float *scratch)
{
        const shape *s = &f->s;
        float *v = scratch + t.rank * per_thread(s), *sums = v + s->v_group;
        const size_t end = rs_part(s->groups, t.rank + 1, t.size);

        for (size_t g = rs_part(s->groups, t.rank, t.size); g < end; g++) {
                spread(f, (team){0, 1}, g, v);
                for (size_t chunk = 0; chunk < s->chunks; chunk++)
                        outputs(f, g, chunk, v, sums, NULL);
        }
}

/* A thread's part of the outputs of the groups from g, whose inputs are transformed. */
static void
share(const forward *f, team t, size_t g, size_t n, float *scratch)
{
        const shape *s = &f->s;
        const size_t units = n * s->chunks, end = rs_part(units, t.rank + 1, t.size);
        float *w = scratch + s->together * s->v_group + t.rank * per_thread(s);

        for (size_t i = rs_part(units, t.rank, t.size); i < end; i++)
                outputs(f, g + i % n, i / n, scratch + i % n * s->v_group,
                        w + s->points * s->w_plane, w);
}

void
rs_winograd_forward(const rs_winograd *p, const float *x, const float *u, const float *bias,
        bool add, bool relu, float *y, void *scratch)
{
        const forward f = {shape_of(p), p, {p->c / 16, p->h, p->w, p->before_h, p->before_w},
                {p->o / 16, p->oh, p->ow, 0, 0}, x, u, bias, add, relu, y};
        const shape *s = &f.s;
        const size_t threads = (size_t)s->threads;
        float *v = scratch;

        if (!s->shared) {
#pragma omp parallel for num_threads(s->threads) schedule(static)
                for (size_t i = 0; i < threads; i++)
                        alone(&f, (team){i, threads}, scratch);
                return;
        }
#pragma omp parallel num_threads(s->threads)
        for (size_t g = 0; g < s->groups; g += s->together) {
                const size_t n = s->groups - g < s->together ? s->groups - g : s->together;
#pragma omp for schedule(static)
                for (size_t i = 0; i < threads; i++)
                        for (size_t k = 0; k < n; k++)
                                spread(&f, (team){i, threads}, g + k, v + k * s->v_group);
#pragma omp for schedule(static)
                for (size_t i = 0; i < threads; i++)
                        share(&f, (team){i, threads}, g, n, scratch);
        }
}

/*
 * The gradient of the weights. x and dy are transformed a run of tiles at a time, v and z
 * [point][blocks][tile][16]; the gradients of transformed weights are sums over tiles, of units of
 * 16 channels by 64 outputs, du [unit][point][16][64]. Few tiles are one run: threads share out the
 * units, each of which is transformed back while its sums are in a core's cache, and z of 64
 * outputs stays in a cache while all channels pass by. With many tiles threads share out the
 * points, so that they read less of what the others have transformed, and transform back at the
 * end.
 */
typedef struct gradient {
        shape s;
        rs_wino_map x_map, dy_map;
        const float *x, *dy;
        float *dw, *v, *z, *du;
} gradient;

static void
transform_run(const gradient *g, team t, size_t first, size_t n)
{
        const shape *s = &g->s;
        const size_t end = rs_part(n, t.rank + 1, t.size);

        for (size_t i = rs_part(n, t.rank, t.size); i < end; i++) {
                const place at = place_of(s, first + i);
                s->k->spread(&g->x_map, g->x + at.picture * s->ib * g->x_map.h * g->x_map.w * 16,
                        at.y, at.x, 0, s->ib, g->v + i * 16, s->x_plane, n * 32, n * 16);
                s->k->widen(&g->dy_map, g->dy + at.picture * s->ob * g->dy_map.h * g->dy_map.w * 16,
                        at.y, at.x, 0, s->ob, g->z + i * 16, s->z_plane, n * 32, n * 16);
        }
}

/* Units are blocks of 16 channels by chunks of 64 outputs, a chunk's one after the other. */
static size_t
wide(const shape *s, size_t unit)
{
        const size_t left = s->ob - unit / s->ib * RS_POINT_VECTORS;

        return left < RS_POINT_VECTORS ? left : RS_POINT_VECTORS;
}

/* The weights' own gradients of a unit. */
static void
finish(const gradient *g, size_t unit, const float *du)
{
        const shape *s = &g->s;
        const size_t vectors = wide(s, unit), per_o = s->ib * 16 * 9;
        float *dw = g->dw + unit / s->ib * RS_POINT_CHUNK * per_o + unit % s->ib * 16 * 9;
        _Alignas(64) float taps[16 * 9 * 16];

        for (size_t j = 0; j < vectors; j++, dw += 16 * per_o) {
                for (size_t k = 0; k < 16; k++)
                        s->k->taps(du + (k * vectors + j) * 16, s->u_plane, taps + k * 9 * 16);
                for (size_t k = 0; k < 9; k++)
                        rs_wino_transpose(taps + k * 256, 16, dw + k * 16, per_o);
        }
}

static float *
sums_of(const gradient *g, size_t unit, size_t point)
{
        return g->du + (unit * g->s.points + point) * g->s.u_plane;
}

/* The only run: all points of one unit after the other. */
static void
multiply_units(const gradient *g, team t, size_t n)
{
        const shape *s = &g->s;
        const size_t end = rs_part(s->units, t.rank + 1, t.size);

        for (size_t i = rs_part(s->units, t.rank, t.size); i < end; i++) {
                const size_t b = i % s->ib, later = i + 1 < end ? (i + 1) % s->ib : b;
                rs_point_outer p = {.pictures = 1,
                        .positions = n,
                        .x = g->v + b * n * 16,
                        .dy = g->z + i / s->ib * RS_POINT_VECTORS * n * 16,
                        .dy_vector = n * 16};
                for (size_t point = 0; point < s->points; point++) {
                        const size_t step = point + 1 < s->points ? 1 : 0;
                        p.x_next = p.x + step * s->x_plane;
                        p.dy_next = p.dy + step * s->z_plane;
                        p.du = sums_of(g, t.rank, point);
                        p.du_next = p.du + step * s->u_plane;
                        p.far[0] = p.far[1] = g->v + point * s->x_plane + later * n * 16;
                        rs_point_sum_outer(wide(s, i), &p);
                        p.x += s->x_plane;
                        p.dy += s->z_plane;
                }
                finish(g, i, sums_of(g, t.rank, 0));
        }
}

/* One of many runs: all channels of 64 outputs of one point after the other. */
static void
multiply_points(const gradient *g, team t, size_t n, bool more)
{
        const shape *s = &g->s;
        const size_t chunks = s->units / s->ib, work = s->points * chunks, panels = rs_up(n, PANEL);
        const size_t end = rs_part(work, t.rank + 1, t.size);

        for (size_t i = rs_part(work, t.rank, t.size); i < end; i++) {
                const size_t point = i / chunks, unit = i % chunks * s->ib;
                const float *v = g->v + point * s->x_plane,
                            *z = g->z + point * s->z_plane + i % chunks * RS_POINT_VECTORS * n * 16;
                for (size_t k = 0; k < panels * s->ib; k++) {
                        const size_t panel = k / s->ib, b = k % s->ib, last = b + 1 == s->ib;
                        const size_t first = rs_part(n, panel, panels),
                                     positions = rs_part(n, panel + 1, panels) - first;
                        rs_point_outer p = {.pictures = 1,
                                .positions = positions,
                                .x = v + (b * n + first) * 16,
                                .dy = z + first * 16,
                                .dy_vector = n * 16,
                                .du = sums_of(g, unit + b, point),
                                .du_next = sums_of(g, unit + (last ? 0 : b + 1), point),
                                .more = more || panel > 0};
                        p.x_next = last ? v + first * 16 : p.x + n * 16;
                        p.far[0] = p.far[1] = p.x;
                        p.dy_next = p.dy;
                        rs_point_sum_outer(wide(s, unit), &p);
                }
        }
}

void
rs_winograd_weight_gradient(
        const rs_winograd *p, const float *x, const float *dy, float *dw, void *scratch)
{
        gradient g = {shape_of(p), {p->c / 16, p->h, p->w, p->before_h, p->before_w},
                {p->o / 16, p->oh, p->ow, 0, 0}, x, dy, dw, scratch, NULL, NULL};

        g.z = g.v + g.s.points * g.s.x_plane;
        g.du = g.z + g.s.points * g.s.z_plane;
        const size_t threads = (size_t)g.s.threads;
#pragma omp parallel num_threads(g.s.threads)
        {
                for (size_t r = 0; r < g.s.runs; r++) {
                        const size_t first = rs_part(g.s.tiles, r, g.s.runs);
                        const size_t n = rs_part(g.s.tiles, r + 1, g.s.runs) - first;
#pragma omp for schedule(static)
                        for (size_t i = 0; i < threads; i++)
                                transform_run(&g, (team){i, threads}, first, n);
#pragma omp for schedule(static)
                        for (size_t i = 0; i < threads; i++)
                                if (g.s.runs == 1)
                                        multiply_units(&g, (team){i, threads}, n);
                                else
                                        multiply_points(&g, (team){i, threads}, n, r > 0);
                }
                if (g.s.runs > 1)
#pragma omp for schedule(static)
                        for (size_t i = 0; i < g.s.units; i++)
                                finish(&g, i, sums_of(&g, i, 0));
        }
}
