/* SPDX-License-Identifier: 0BSD */
/*
 * The gradient of a 1x1 convolution's weights: dw[o][c] is a sum over the positions of all pictures
 * of dy[o] x[c]. Positions are taken a panel at a time, so that the gradients of 64 outputs stay in
 * the first-level cache while the channels of x pass by them, and sums of 16 channels by 64 outputs
 * are read, added to in registers, and written. Threads share the sums, not the positions.
 */
#include "onednn/pointconv.h"
#include "onednn/pointconv_kernels.h"
#include "onednn/share.h"
#include "onednn/winograd_kernels.h"

enum { CHUNK = RS_POINT_CHUNK, PANEL = 112 /* positions, about, at most */ };

typedef struct gradient {
        size_t n, ib, ob, s;
        size_t parts, together; /* panels of a picture; pictures of a panel */
        const float *x, *dy;
        float *dw, *du; /* [chunk][C][up to 64 outputs] */
} gradient;

size_t
rs_point_gradient_scratch(const rs_pointconv *p)
{
        return p->c * p->o * sizeof(float);
}

/* Units are blocks of 16 channels by chunks of outputs, a chunk's one after the other. */
static size_t
vectors_of(const gradient *g, size_t unit)
{
        const size_t left = g->ob - unit / g->ib * RS_POINT_VECTORS;

        return left < RS_POINT_VECTORS ? left : RS_POINT_VECTORS;
}

static float *
sums_of(const gradient *g, size_t unit)
{
        return g->du + unit / g->ib * CHUNK * g->ib * 16 +
               unit % g->ib * 16 * vectors_of(g, unit) * 16;
}

/* Positions of all channels: `pictures` from `picture`, of each `positions` from `first`. */
typedef struct panel {
        size_t picture, pictures, first, positions;
} panel;

static panel
panel_of(const gradient *g, size_t i)
{
        const size_t first = i / g->parts * g->together, k = i % g->parts,
                     at = rs_part(g->s, k, g->parts);
        const size_t left = g->n - first;

        return (panel){first, left < g->together ? left : g->together, at,
                rs_part(g->s, k + 1, g->parts) - at};
}

/* What a panel has of block b of a tensor of that many blocks. */
static const float *
piece(const gradient *g, const panel *p, const float *tensor, size_t blocks, size_t b)
{
        return tensor + ((p->picture * blocks + b) * g->s + p->first) * 16;
}

/* Piece i of all that units [from, to) will read of a panel, the gradients first. */
static void
look_ahead(const gradient *g, const panel *next, size_t from, size_t to, size_t i, const float **at,
        size_t *picture)
{
        const size_t first = from / g->ib * RS_POINT_VECTORS,
                     end = rs_up(to, g->ib) * RS_POINT_VECTORS;
        const size_t outputs = (end < g->ob ? end : g->ob) - first;

        if (i < outputs) {
                *at = piece(g, next, g->dy, g->ob, first + i);
                *picture = g->ob * g->s * 16;
                return;
        }
        /* of a single chunk, only those channels that it needs */
        const size_t b = to - from < g->ib ? (from + i - outputs) % g->ib : i - outputs;
        *at = piece(g, next, g->x, g->ib, b < g->ib ? b : 0);
        *picture = g->ib * g->s * 16;
}

/* The weights' own gradients of a unit. */
static void
finish(const gradient *g, size_t unit)
{
        const size_t vectors = vectors_of(g, unit), row = g->ib * 16;
        float *dw = g->dw + unit / g->ib * CHUNK * row + unit % g->ib * 16;

        for (size_t j = 0; j < vectors; j++)
                rs_wino_transpose(sums_of(g, unit) + j * 16, vectors * 16, dw + j * 16 * row, row);
}

/* A panel's part of units [from, to), and meanwhile what they read of the next one is fetched. */
static void
add_panel(const gradient *g, const panel *at, const panel *next, size_t from, size_t to)
{
        rs_point_outer p = {.pictures = at->pictures,
                .positions = at->positions,
                .x_picture = g->ib * g->s * 16,
                .dy_picture = g->ob * g->s * 16,
                .dy_vector = g->s * 16,
                .more = at->picture > 0 || at->first > 0};

        for (size_t i = from; i < to; i++) {
                const size_t then = i + 1 < to ? i + 1 : from;
                p.x = piece(g, at, g->x, g->ib, i % g->ib);
                p.x_next = piece(g, i + 1 < to ? at : next, g->x, g->ib, then % g->ib);
                p.dy = p.dy_next = piece(g, at, g->dy, g->ob, i / g->ib * RS_POINT_VECTORS);
                for (size_t k = 0; k < 2; k++)
                        look_ahead(g, next, from, to, 2 * (i - from) + k, &p.far[k],
                                &p.far_picture[k]);
                p.du = sums_of(g, i);
                p.du_next = sums_of(g, then);
                rs_point_sum_outer(vectors_of(g, i), &p);
                if (at == next)
                        finish(g, i);
        }
}

static void
share(const gradient *g, size_t from, size_t to)
{
        const size_t panels = rs_up(g->n, g->together) * g->parts;
        panel at = panel_of(g, 0);

        for (size_t i = 1; i < panels; i++) {
                const panel next = panel_of(g, i);
                add_panel(g, &at, &next, from, to);
                at = next;
        }
        add_panel(g, &at, &at, from, to);
}

void
rs_pointconv_weight_gradient(
        const rs_pointconv *p, const float *x, const float *dy, float *dw, void *scratch)
{
        const size_t threads = p->threads < 1 ? 1 : (size_t)p->threads;
        const gradient g = {p->n, p->c / 16, p->o / 16, p->s, rs_up(p->s, PANEL),
                p->s < PANEL ? PANEL / p->s : 1, x, dy, dw, scratch};
        const size_t units = g.ib * rs_up(g.ob, RS_POINT_VECTORS);

#pragma omp parallel for num_threads(threads) schedule(static)
        for (size_t i = 0; i < threads; i++)
                share(&g, rs_part(units, i, threads), rs_part(units, i + 1, threads));
}
