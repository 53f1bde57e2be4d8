/* SPDX-License-Identifier: 0BSD */
/*
 * Winograd's gradient of the weights. x and dy are transformed a run of tiles at a time, v and z
 * [point][blocks][tile][16]; the gradients of transformed weights are sums over tiles, of units of
 * 16 channels by 64 outputs, du [unit][point][16][64]. Few tiles are one run: threads share out the
 * units, each of which is transformed back while its sums are in a core's cache, and z of 64
 * outputs stays in a cache while all channels pass by. With many tiles threads share out the
 * points, so that they read less of what the others have transformed, and transform back at the
 * end.
 */
#include "onednn/pointconv_kernels.h"
#include "onednn/winograd_tiles.h"

enum {
        RUN_BYTES = 8 << 20, /* of v and z */
        RUN_LEAST = 28,      /* tiles, at least */
        PANEL = 112,         /* of many runs' tiles at a time, about, at most */
};

/* All that follows from an rs_winograd. */
typedef struct shape {
        rs_wino_tiles t;
        size_t ib, ob, units; /* blocks of 16 in and out; of 16 channels by 64 outputs */
        size_t runs, run;     /* runs of at most run tiles */
        size_t x_plane, z_plane, u_plane; /* floats */
        size_t threads;
} shape;

static shape
shape_of(const rs_winograd *p)
{
        shape s = {.t = rs_wino_tiles_of(p),
                .ib = p->c / 16,
                .ob = p->o / 16,
                .threads = p->threads < 1 ? 1 : (size_t)p->threads};
        s.units = s.ib * rs_up(s.ob, RS_POINT_VECTORS);
        /* the sums of all weights are kept from run to run: where one run takes no more room than
         * they do, there is one */
        const size_t tile = (p->c + p->o) * sizeof(float),
                     sums = s.units * 16 * RS_POINT_CHUNK * sizeof(float);
        const size_t most = (s.t.count * tile <= sums ? sums : RUN_BYTES / s.t.points) / tile;

        s.runs = rs_up(s.t.count, most < RUN_LEAST ? RUN_LEAST : most);
        s.run = rs_up(s.t.count, s.runs);
        s.x_plane = rs_wino_plane(s.run * p->c);
        s.z_plane = rs_wino_plane(s.run * p->o);
        s.u_plane = rs_wino_plane(16 * RS_POINT_CHUNK);
        return s;
}

size_t
rs_winograd_gradient_scratch(const rs_winograd *p)
{
        const shape s = shape_of(p);
        const size_t sums = s.runs > 1 ? s.units : s.threads;

        return s.t.points * (s.x_plane + s.z_plane + sums * s.u_plane) * sizeof(float);
}

typedef struct gradient {
        shape s;
        rs_wino_map x_map, dy_map;
        const float *x, *dy;
        float *dw, *v, *z, *du;
} gradient;

static void
transform_run(const gradient *g, rs_wino_team t, size_t first, size_t n)
{
        const shape *s = &g->s;
        const size_t end = rs_part(n, t.rank + 1, t.size);

        for (size_t i = rs_part(n, t.rank, t.size); i < end; i++) {
                const rs_wino_place at = rs_wino_place_of(&s->t, first + i);
                s->t.k->spread(&g->x_map, g->x + at.picture * s->ib * g->x_map.h * g->x_map.w * 16,
                        at.y, at.x, 0, s->ib, g->v + i * 16, s->x_plane, n * 32, n * 16);
                s->t.k->widen(&g->dy_map,
                        g->dy + at.picture * s->ob * g->dy_map.h * g->dy_map.w * 16, at.y, at.x, 0,
                        s->ob, g->z + i * 16, s->z_plane, n * 32, n * 16);
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
                        s->t.k->taps(du + (k * vectors + j) * 16, s->u_plane, taps + k * 9 * 16);
                for (size_t k = 0; k < 9; k++)
                        rs_wino_transpose(taps + k * 256, 16, dw + k * 16, per_o);
        }
}

static float *
sums_of(const gradient *g, size_t unit, size_t point)
{
        return g->du + (unit * g->s.t.points + point) * g->s.u_plane;
}

/* The only run: all points of one unit after the other. */
static void
multiply_units(const gradient *g, rs_wino_team t, size_t n)
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
                for (size_t point = 0; point < s->t.points; point++) {
                        const size_t step = point + 1 < s->t.points ? 1 : 0;
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
multiply_points(const gradient *g, rs_wino_team t, size_t n, bool more)
{
        const shape *s = &g->s;
        const size_t chunks = s->units / s->ib, work = s->t.points * chunks,
                     panels = rs_up(n, PANEL);
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

        g.z = g.v + g.s.t.points * g.s.x_plane;
        g.du = g.z + g.s.t.points * g.s.z_plane;
        const size_t threads = g.s.threads;
#pragma omp parallel num_threads(threads)
        {
                for (size_t r = 0; r < g.s.runs; r++) {
                        const size_t first = rs_part(g.s.t.count, r, g.s.runs);
                        const size_t n = rs_part(g.s.t.count, r + 1, g.s.runs) - first;
#pragma omp for schedule(static)
                        for (size_t i = 0; i < threads; i++)
                                transform_run(&g, (rs_wino_team){i, threads}, first, n);
#pragma omp for schedule(static)
                        for (size_t i = 0; i < threads; i++)
                                if (g.s.runs == 1)
                                        multiply_units(&g, (rs_wino_team){i, threads}, n);
                                else
                                        multiply_points(&g, (rs_wino_team){i, threads}, n, r > 0);
                }
                if (g.s.runs > 1)
#pragma omp for schedule(static)
                        for (size_t i = 0; i < g.s.units; i++)
                                finish(&g, i, sums_of(&g, i, 0));
        }
}
