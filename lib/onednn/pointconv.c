/* SPDX-License-Identifier: 0BSD */
/*
 * How a 1x1 convolution walks. A picture's positions are cut into tiles whose inputs stay in the
 * caches; for each 64 outputs the weights, [C][64], stream through once a tile, those of 128
 * channels at a time, which a first-level cache holds while the tile's positions pass by; sums stay
 * in registers meanwhile, 6 positions by 4 vectors at a time.
 *
 * With enough channels a tile is done by seven products of half its positions, half the channels
 * and half the outputs, not eight (Winograd's variant of Strassen's method). With a tile's inputs
 * A, its halves by position over its halves by channel, and the weights B, channels over outputs:
 *
 *   s1 = a21 + a22   s2 = s1 - a11    s3 = a11 - a21   s4 = a12 - s2
 *   t1 = b12 - b11   t2 = b22 - t1    t3 = b22 - b12   t4 = b21 - t2
 *
 *   p = a11 b11      c11 = p + a12 b21
 *   q = p + s2 t2    r = q + s3 t3    c21 = r + a22 t4
 *   c22 = r + s1 t1  c12 = q + s1 t1 + s4 b22
 *
 * The t are made when weights are packed, and every product adds to what the one before it left, so
 * that only p, q and r (of 64 outputs) are written between them.
 */
#include "onednn/pointconv.h"
#include "onednn/pointconv_kernels.h"
#include "onednn/share.h"
#include "onednn/winograd_kernels.h"

#include <stdint.h>
#include <string.h>
#include <unistd.h>
#include "base/mem.h"

enum {
        CHUNK = RS_POINT_CHUNK, /* outputs that are done at a time */
        TILE_LEAST = 112,
        TILE_MOST = 224, /* positions, at most */
        DEPTH = 8,       /* blocks of channels that are done at a time */
        PRODUCTS = 7,
};

/* All that follows from an rs_pointconv. */
typedef struct shape {
        size_t n, c, o, s, ib, ob, chunks; /* blocks of 16 in and out, chunks of outputs */
        size_t tile;                       /* positions, at most */
        size_t tiles;                      /* of a picture */
        bool seven;
        size_t combined, scratch; /* floats: one of the s; all that a thread has for itself */
        int threads;
} shape;

/* A tile, and what is combined from it, should stay in four fifths of a second-level cache: the
 * larger it is, the less often weights stream by. */
static size_t
tile_for(size_t channels)
{
        static _Atomic long known;
        long cache = known;
        if (!cache) {
                cache = sysconf(_SC_LEVEL2_CACHE_SIZE);
                known = cache = cache > 0 ? cache : 1L << 20;
        }
        const size_t most = (size_t)cache / 10 * 8 / (2 * sizeof(float) * channels);
        return most < TILE_LEAST ? TILE_LEAST : most > TILE_MOST ? TILE_MOST : most / 2 * 2;
}

static shape
shape_of(const rs_pointconv *p)
{
        shape s = {.n = p->n, .c = p->c, .o = p->o, .s = p->s, .ib = p->c / 16, .ob = p->o / 16};

        /* an eighth of the products saved outweighs passes over x and over y */
        s.seven = p->s % 2 == 0 && p->c % 32 == 0 && p->o % (2 * CHUNK) == 0 &&
                  p->c * p->o > 128 * p->c + 85 * p->o;
        s.chunks = s.seven ? p->o / (2 * CHUNK) : rs_up(p->o, CHUNK);
        s.tile = tile_for(p->c);
        s.tiles = rs_up(p->s, s.tile);
        s.threads = p->threads < 1 ? 1 : p->threads;
        s.scratch = s.tile * CHUNK;
        if (s.seven) {
                s.combined = s.tile / 2 * p->c / 2;
                s.scratch = 4 * s.combined + 3 * s.tile / 2 * CHUNK;
        }
        return s;
}

bool
rs_pointconv_able(const rs_pointconv *p)
{
        const size_t most = SIZE_MAX >> 24;
        size_t x, u;

        if (!rs_point_able() || !p->n || !p->c || !p->o || !p->s || p->c % 16 || p->o % 16)
                return false;
        if (p->c > most || p->o > most)
                return false;
        /* whatever is counted is below this much times 1 << 24 */
        return rs_mul(p->n, p->s, &x) && rs_mul(x, p->c + p->o, &x) && rs_mul(p->c, p->o, &u) &&
               rs_add(x, u, &x) && x < most;
}

size_t
rs_pointconv_weight_bytes(const rs_pointconv *p)
{
        return (shape_of(p).seven ? p->c * p->o / 4 * PRODUCTS : p->c * p->o) * sizeof(float);
}

size_t
rs_pointconv_scratch(const rs_pointconv *p)
{
        const shape s = shape_of(p);
        const size_t forward = (size_t)s.threads * s.scratch * sizeof(float);
        const size_t gradient = rs_point_gradient_scratch(p);

        return forward > gradient ? forward : gradient;
}

/* Weights of 16 channels from c by 16 outputs from o, rows of outputs `step` floats apart. */
static void
weights_of(const rs_pointconv *p, const float *w, bool turned, size_t o, size_t c, float *to,
        size_t step)
{
        if (!turned)
                rs_wino_transpose(w + o * p->c + c, p->c, to, step);
        else
                for (size_t i = 0; i < 16; i++)
                        memcpy(to + i * step, w + (c + i) * p->o + o, 16 * sizeof *w);
}

/* What the products read of 16 channels and outputs of the first halves, in the order in which they
 * are done. Of weights as many rows are read at a time as no processor follows by itself. */
static void
combine_weights(const rs_pointconv *p, const float *w, bool turned, size_t o, size_t c, float *u)
{
        enum { N = 16 * 16, AHEAD = 32 };
        const size_t h = p->c / 2, step = h * CHUNK, row = turned ? p->o : p->c;
        const size_t down = p->o / 2 * (turned ? 1 : p->c), across = h * (turned ? p->o : 1);
        const float *at = turned ? w + c * p->o + o : w + o * p->c + c;
        const float *b[4] = {at, at + across, at + down, at + across + down};
        _Alignas(64) float columns[4][N];

        for (size_t k = 0; k < 4; k++) {
                for (size_t i = 0; i < 16; i++)
                        __builtin_prefetch(
                                (const void *)((uintptr_t)b[k] + (i * row + AHEAD) * sizeof *w));
                if (!turned) {
                        rs_wino_transpose(b[k], row, columns[k], 16);
                        b[k] = columns[k];
                }
        }
        rs_point_mix(b, turned ? row : 16, u + o / CHUNK * PRODUCTS * step + c * CHUNK + o % CHUNK,
                step);
}

void
rs_pointconv_weights(const rs_pointconv *p, const float *w, bool turned, float *u)
{
        const shape s = shape_of(p);
        const size_t ob = s.seven ? s.ob / 2 : s.ob, ib = s.seven ? s.ib / 2 : s.ib;

#pragma omp parallel for num_threads(s.threads) schedule(static)
        for (size_t unit = 0; unit < ob * ib; unit++) {
                /* along the rows of w */
                const size_t o = (turned ? unit % ob : unit / ib) * 16;
                const size_t c = (turned ? unit / ob : unit % ib) * 16;
                if (s.seven) {
                        combine_weights(p, w, turned, o, c, u);
                        continue;
                }
                const size_t first = o / CHUNK * CHUNK;
                const size_t wide = s.o - first < CHUNK ? s.o - first : CHUNK;
                weights_of(p, w, turned, o, c, u + first * s.c + c * wide + o - first, wide);
        }
}

typedef struct forward {
        shape s;
        const float *x, *u, *bias;
        bool add, relu;
        float *y;
} forward;

static inline rs_point_plane
moved(rs_point_plane p, size_t positions)
{
        if (p.at)
                p.at += positions * 16;
        return p;
}

/* The inputs of a tile that will be read later, and how far they have been fetched. */
typedef struct later {
        const float *at;               /* [blocks][n][16], blocks `step` floats apart */
        size_t blocks, step, n, lines; /* lines: at a time */
        size_t block, done;
} later;

static later
later_of(const shape *s, const float *at, size_t n, size_t times)
{
        return (later){at, s->ib, s->s * 16, n, rs_up(s->ib * n, times), 0, 0};
}

/* From where on what is next, for a product of `times` blocks of channels. */
static const char *
fetch_more(later *l, size_t times, size_t *lines)
{
        *lines = l->block < l->blocks ? l->lines : 0;
        const float *at = *lines ? l->at + l->block * l->step + l->done * 16 : l->at;
        l->done += *lines * times;
        if (l->done >= l->n) {
                l->done = 0;
                l->block++;
        }
        return (const char *)at;
}

/* A product for n positions; next is the one that follows. Its weights come from far away. So many
 * channels are done at a time as have weights that stay in the first-level cache while the
 * positions pass by; in between, sums of all positions lie in `sums`. */
static void
multiply(const rs_point_product *of, const rs_point_product *next, size_t n, size_t vectors,
        float *sums, later *after)
{
        const size_t blocks = rs_up(n, RS_POINT_BLOCK), passes = rs_up(of->depth, DEPTH);
        const size_t wide = n / blocks, wider = n % blocks, far = rs_up(16 * vectors, blocks);
        rs_point_plane start = of->start;
        const float *x = of->x, *u = of->u;
        const char *u_next = (const char *)next->u;

        for (size_t pass = 1; pass <= passes; pass++) {
                const bool ends = pass == passes;
                rs_point_product p = *of;
                p.depth = of->depth / passes + (pass <= of->depth % passes);
                p.u = u;
                p.far_lines[0] = far;
                if (!ends) {
                        p.y = (rs_point_plane){sums, n * 16};
                        p.more.at = p.also.at = NULL;
                        p.bias = NULL;
                        p.add = p.relu = false;
                }
                const rs_point_plane y = p.y;
                p.x = x;
                p.start = start;
                for (size_t b = 0; b < blocks; b++) {
                        const size_t now = wide + (b < wider);
                        p.far[0] = u_next;
                        u_next += far * p.depth * 64;
                        p.far[1] = fetch_more(after, p.depth, &p.far_lines[1]);
                        p.x_next = p.x + now * 16;
                        p.y_next = p.y.at + now * 16;
                        p.x_next_step = p.x_step;
                        p.y_next_step = p.y.step;
                        if (b + 1 == blocks) {
                                p.x_next = ends ? next->x : x + p.depth * of->x_step;
                                p.x_next_step = ends ? next->x_step : of->x_step;
                                p.y_next = ends ? next->y.at : of->y.at;
                                p.y_next_step = ends ? next->y.step : of->y.step;
                        }
                        rs_point_run(now, vectors, &p);
                        p.x += now * 16;
                        p.start = moved(p.start, now);
                        p.more = moved(p.more, now);
                        p.also = moved(p.also, now);
                        p.more_also = moved(p.more_also, now);
                        p.y = moved(p.y, now);
                }
                x += p.depth * of->x_step;
                u += p.depth * 16 * vectors * 16;
                start = y;
        }
}

/* Chunks of outputs [from, to) of a tile: n positions at `first` of a picture. */
typedef struct piece {
        size_t picture, first, n, from, to;
} piece;

/* The tile's inputs. */
static const float *
inputs_of(const forward *f, const piece *at)
{
        return f->x + (at->picture * f->s.ib * f->s.s + at->first) * 16;
}

static float *
outputs_of(const forward *f, const piece *at, size_t block)
{
        return f->y + ((at->picture * f->s.ob + block) * f->s.s + at->first) * 16;
}

static void
plain(const forward *f, const piece *at, float *own)
{
        const shape *s = &f->s;
        rs_point_product p[2];
        later none = {0};

        for (size_t k = at->from; k <= at->to; k++) {
                const size_t o = k * CHUNK, i = k - at->from;
                if (k < at->to)
                        p[i % 2] = (rs_point_product){.x = inputs_of(f, at),
                                .u = f->u + o * s->c,
                                .x_step = s->s * 16,
                                .depth = s->ib,
                                .y = {outputs_of(f, at, o / 16), s->s * 16},
                                .bias = f->bias ? f->bias + o : NULL,
                                .add = f->add,
                                .relu = f->relu};
                if (i == 0)
                        continue;
                const size_t left = s->ob - (k - 1) * RS_POINT_VECTORS;
                multiply(&p[(i + 1) % 2], k < at->to ? &p[i % 2] : &p[(i + 1) % 2], at->n,
                        left < RS_POINT_VECTORS ? left : RS_POINT_VECTORS, own, &none);
        }
}

/* The same by seven products; a chunk is one in each half of the outputs. n is even. What the next
 * tile begins with is read once only, by the combinations, and is fetched meanwhile. */
static void
seven(const forward *f, const piece *at, const piece *then, float *own)
{
        const shape *s = &f->s;
        const size_t half = at->n / 2, step = s->s * 16, h = s->ib / 2, each = half * h * 16;
        const float *a11 = inputs_of(f, at), *a12 = a11 + h * step;
        const rs_point_plane none = {NULL, 0}, q = {own + 4 * s->combined, half * 16},
                             r = {q.at + s->tile / 2 * CHUNK, half * 16};

        later after = {0};

        if (then)
                after = later_of(s, inputs_of(f, then), then->n,
                        PRODUCTS * (at->to - at->from) * rs_up(half, RS_POINT_BLOCK) * h);
        rs_point_combine(a11, half * 16, h * step, step, h, own);
        for (size_t k = at->from; k < at->to; k++) {
                float *y = outputs_of(f, at, k * RS_POINT_VECTORS);
                const rs_point_plane c11 = {y, step}, c21 = moved(c11, half),
                                     c12 = {y + s->ob / 2 * step, step}, c22 = moved(c12, half);
                const struct {
                        const float *x;
                        size_t x_step;
                        rs_point_plane start, y;
                        int side; /* of the outputs, or -1 */
                } steps[PRODUCTS] = {{a11, step, none, q, -1}, {a12, step, q, c11, 0},
                        {own + each, half * 16, q, q, -1}, {own + 2 * each, half * 16, q, r, -1},
                        {a12 + half * 16, step, r, c21, 0}, {own, half * 16, none, c22, 1},
                        {own + 3 * each, half * 16, q, c12, 1}};
                rs_point_product p[PRODUCTS];
                for (size_t i = 0; i < PRODUCTS; i++) {
                        const bool ends = steps[i].side >= 0;
                        const size_t o = k * CHUNK + (steps[i].side == 1 ? s->o / 2 : 0);
                        p[i] = (rs_point_product){.x = steps[i].x,
                                .u = f->u + (k * PRODUCTS + i) * (s->c / 2) * CHUNK,
                                .x_step = steps[i].x_step,
                                .depth = h,
                                .start = steps[i].start,
                                .y = steps[i].y,
                                .bias = ends && f->bias ? f->bias + o : NULL,
                                .add = ends && f->add,
                                .relu = ends && f->relu};
                }
                p[5].more = r;
                p[5].more_also = p[5].also = q;
                for (size_t i = 0; i < PRODUCTS; i++) {
                        rs_point_product next = p[i + 1 < PRODUCTS ? i + 1 : 0];
                        if (i + 1 == PRODUCTS && k + 1 < at->to)
                                next.u = p[i].u + s->c / 2 * CHUNK;
                        multiply(&p[i], &next, half, RS_POINT_VECTORS, r.at + s->tile / 2 * CHUNK,
                                &after);
                }
        }
}

/* Units are chunks of outputs of tiles, a tile's one after the other; whose they are changes no
 * sum. What [i, end) has of the tile of unit i. */
static piece
piece_of(const shape *s, size_t i, size_t end)
{
        const size_t tile = i / s->chunks, t = tile % s->tiles, by = s->seven ? 2 : 1;
        const size_t first = rs_part(s->s / by, t, s->tiles) * by;
        const size_t left = end - tile * s->chunks;

        return (piece){tile / s->tiles, first, rs_part(s->s / by, t + 1, s->tiles) * by - first,
                i - tile * s->chunks, left < s->chunks ? left : s->chunks};
}

static void
share(const forward *f, size_t rank, float *own)
{
        const shape *s = &f->s;
        const size_t units = s->n * s->tiles * s->chunks, threads = (size_t)s->threads;
        const size_t end = rs_part(units, rank + 1, threads);

        for (size_t i = rs_part(units, rank, threads), next; i < end; i = next) {
                const piece at = piece_of(s, i, end);
                next = i + at.to - at.from;
                const piece then = piece_of(s, next < end ? next : i, end);
                if (s->seven)
                        seven(f, &at, next < end ? &then : NULL, own);
                else
                        plain(f, &at, own);
        }
}

void
rs_pointconv_forward(const rs_pointconv *p, const float *x, const float *u, const float *bias,
        bool add, bool relu, float *y, void *scratch)
{
        const forward f = {shape_of(p), x, u, bias, add, relu, y};

#pragma omp parallel for num_threads(f.s.threads) schedule(static)
        for (size_t i = 0; i < (size_t)f.s.threads; i++)
                share(&f, i, (float *)scratch + i * f.s.scratch);
}
