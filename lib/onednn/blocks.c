/* SPDX-License-Identifier: 0BSD */
/*
 * A tensor is cut into blocks of channels, a block into parts, whose number depends on the shape
 * alone. A block's second pass follows its first at once and begins where that ended, while the
 * block is still in the cache, so that memory is read once and written once. A part is summed from
 * its beginning to its end, and parts are added in their order, so that the sums do not depend on
 * the threads: these take a block each, or, where blocks are few or too large for a cache, all of
 * them the parts of one block.
 */
#include "onednn/blocks.h"

#include <stdint.h>
#include <string.h>
#ifdef _OPENMP
#include <omp.h>
#endif
#include "op/util.h"

enum {
        GROUPS = 32, /* of lanes in a block, at most: NHWC is cut into columns of 512 channels */
        PARTS = 32,  /* of a block, at most, */
        WIDE_PARTS = 16,   /* and of one of more groups */
        PART_ROWS = 1024,  /* of a part's groups, at least */
        SAMPLE = 32,       /* rows of a block that the sums' origin is taken from */
        PANEL = 16,        /* rows that the groups of a block take turns on */
        TOGETHER = 1 << 20 /* bytes of a block that the threads' caches hold better in pieces */
};

static size_t
smaller(size_t a, size_t b)
{
        return a < b ? a : b;
}

rs_blocks
rs_blocks_of(const rs_bn_shape *s, bool apart)
{
        rs_blocks l = {
                .images = apart ? s->n : 1, .groups = 1, .row_stride = RS_LANES, .width = RS_LANES};
        const size_t images = apart ? 1 : s->n;

        if (s->block == 1 || s->block == 8 || s->block == RS_LANES) {
                const size_t run = s->s * s->block;
                l.channels = s->block;
                l.blocks = (s->c + s->block - 1) / s->block;
                l.block_stride = run;
                l.runs = images;
                l.run_stride = l.image_stride = l.blocks * run;
                l.rows = run / RS_LANES;
                l.tail = run % RS_LANES;
        } else {
                l.columns = true;
                l.channels = l.block_stride = l.width = smaller(s->c, (size_t)GROUPS * RS_LANES);
                l.groups = (l.channels + RS_LANES - 1) / RS_LANES;
                l.blocks = (s->c + l.channels - 1) / l.channels;
                l.image_stride = s->s * s->c;
                l.runs = 1;
                l.rows = images * s->s;
                l.row_stride = s->c;
        }
        l.parts = l.runs * (l.rows + (l.tail != 0)) * l.groups / PART_ROWS;
        l.parts = l.parts < 1 ? 1 : smaller(l.parts, l.groups > 1 ? WIDE_PARTS : PARTS);
        return l;
}

static size_t
element_size(const rs_bn_shape *s)
{
        return s->bf16 ? sizeof(uint16_t) : sizeof(float);
}

/* Rows of fewer elements than lanes: through buffers that are as wide. */
static void
run_narrow(rs_row_kernel *kernel, const rs_rows *rows, size_t width, size_t size, rs_lanes *l)
{
        enum { ONCE = 16 };
        _Alignas(64) unsigned char buffer[RS_STREAMS][ONCE * RS_LANES * sizeof(float)];
        static const int written[] = {RS_G, RS_OUT};

        for (size_t i = 0; i < rows->count; i += ONCE) {
                rs_rows some = {.count = smaller(ONCE, rows->count - i),
                        .stride = RS_LANES,
                        .relu = rows->relu};
                rs_lanes lanes = *l;
                for (int p = 0; p < RS_STREAMS; p++) {
                        if (!rows->at[p])
                                continue;
                        some.at[p] = buffer[p];
                        memset(buffer[p], 0, sizeof buffer[p]);
                        for (size_t r = 0; r < some.count; r++)
                                memcpy(buffer[p] + r * RS_LANES * size,
                                        (const char *)rows->at[p] + (i + r) * rows->stride * size,
                                        width * size);
                }
                kernel(&some, &lanes);
                for (size_t w = 0; w < 2; w++)
                        for (size_t r = 0; rows->at[written[w]] && r < some.count; r++)
                                memcpy((char *)rows->at[written[w]] + (i + r) * rows->stride * size,
                                        buffer[written[w]] + r * RS_LANES * size, width * size);
                memcpy(l->s, lanes.s, width * sizeof *l->s);
                memcpy(l->q, lanes.q, width * sizeof *l->q);
        }
}

/* `count` rows of each group, the first at element `at`; the block has `width` elements across. */
static void
run_rows(const rs_block_job *j, rs_row_kernel *kernel, const rs_rows *whole, size_t at,
        size_t count, size_t width, rs_lanes *l)
{
        const size_t size = element_size(j->shape);

        for (size_t g = 0; g * RS_LANES < width; g++) {
                rs_rows rows = {.count = count, .stride = j->by.row_stride, .relu = whole->relu};
                for (int p = 0; p < RS_STREAMS; p++)
                        if (whole->at[p])
                                rows.at[p] = (char *)whole->at[p] + (at + g * RS_LANES) * size;
                if (width - g * RS_LANES >= RS_LANES)
                        kernel(&rows, &l[g]);
                else
                        run_narrow(kernel, &rows, width - g * RS_LANES, size, &l[g]);
        }
}

/* A row takes turns on `channels`: what a channel gets of so many elements. */
static size_t
share(const rs_blocks *by, size_t elements)
{
        return by->columns ? 1 : elements / by->channels;
}

static size_t
rows_of(const rs_blocks *by)
{
        return by->runs * (by->rows + (by->tail != 0));
}

/* A kernel over rows i .. last of a block, a run's tail being one, too. Returns how many elements
 * of a channel that is. */
static size_t
run_some(const rs_block_job *j, rs_row_kernel *kernel, const rs_rows *whole, size_t block, size_t i,
        size_t last, rs_lanes *l)
{
        const rs_blocks *by = &j->by;
        const size_t number = block % by->blocks, left = j->shape->c - number * by->channels;
        const size_t base = block / by->blocks * by->image_stride + number * by->block_stride;
        const size_t width = by->columns ? smaller(by->width, left) : by->width;
        const size_t per_run = by->rows + (by->tail != 0);
        size_t seen = 0;

        while (i < last) {
                const size_t row = i % per_run;
                const size_t at = base + i / per_run * by->run_stride + row * by->row_stride;
                size_t n = smaller(last - i, by->rows - row);
                if (by->groups > 1)
                        n = smaller(n, PANEL);
                if (n) {
                        run_rows(j, kernel, whole, at, n, width, l);
                        seen += n * share(by, RS_LANES);
                } else {
                        run_rows(j, kernel, whole, at, n = 1, by->tail, l);
                        seen += share(by, by->tail);
                }
                i += n;
        }
        return seen;
}

static void
run_part(const rs_block_job *j, rs_row_kernel *kernel, const rs_rows *whole, size_t block,
        size_t part, rs_lanes *l)
{
        const size_t rows = rows_of(&j->by), parts = j->by.parts;

        run_some(j, kernel, whole, block, rows * part / parts, rows * (part + 1) / parts, l);
}

/* What the channels know, to the lanes; places beyond the last channel become zero. */
static void
set_lanes(const rs_block_job *j, const rs_block_channel *v, size_t known, rs_lanes *l)
{
        memset(l, 0, j->by.groups * sizeof *l);
        for (size_t first = 0; first < j->by.width; first += j->by.channels)
                for (size_t ch = 0; ch < known; ch++) {
                        rs_lanes *to = &l[(first + ch) / RS_LANES];
                        const size_t lane = (first + ch) % RS_LANES;
                        to->m[lane] = v[ch].m;
                        to->a[lane] = v[ch].a;
                        to->b[lane] = v[ch].b;
                        to->c[lane] = v[ch].c;
                }
}

/* Of a group; a block's parts have groups of them each. */
typedef struct sums {
        double s[RS_LANES], q[RS_LANES];
} sums;
enum { SUMS = GROUPS * WIDE_PARTS }; /* PARTS of one group are fewer */

static void
get_sums(const rs_block_job *j, const rs_lanes *l, sums *out /* [groups] */)
{
        for (size_t g = 0; g < j->by.groups; g++) {
                memcpy(out[g].s, l[g].s, sizeof l[g].s);
                memcpy(out[g].q, l[g].q, sizeof l[g].q);
        }
}

static void
first_pass(const rs_block_job *j, size_t block, size_t part, rs_lanes *l, sums *out)
{
        for (size_t g = 0; g < j->by.groups; g++) {
                memset(l[g].s, 0, sizeof l[g].s);
                memset(l[g].q, 0, sizeof l[g].q);
        }
        run_part(j, j->first, &j->in_first, block, part, l);
        get_sums(j, l, out);
}

/* A part's sums into those of the channels. */
static void
add_part(const rs_block_job *j, const sums *part, size_t known, rs_block_channel *v)
{
        for (size_t first = 0; first < j->by.width; first += j->by.channels)
                for (size_t ch = 0; ch < known; ch++) {
                        v[ch].s += part[(first + ch) / RS_LANES].s[(first + ch) % RS_LANES];
                        v[ch].q += part[(first + ch) / RS_LANES].q[(first + ch) % RS_LANES];
                }
}

typedef struct block_state {
        size_t image, first, known; /* channels first .. first + known */
        rs_block_channel v[GROUPS * RS_LANES];
        rs_lanes lanes[GROUPS];
} block_state;

/* Sums are of x less m: were they of x itself, or of x less a single value, which may be an odd
 * one, a variance much smaller than the squared distance would be lost. */
static void
take_sample(const rs_block_job *j, size_t block, block_state *b)
{
        const size_t rows = rows_of(&j->by), parts = j->by.parts;
        size_t seen = 0;
        sums sum[GROUPS];

        memset(b->lanes, 0, sizeof b->lanes);
        for (size_t p = 0; p < parts; p++) {
                const size_t from = rows * p / parts, most = rows * (p + 1) / parts;
                seen += run_some(j, j->first, &j->in_first, block, from,
                        smaller(most, from + SAMPLE / parts), b->lanes);
        }
        get_sums(j, b->lanes, sum);
        add_part(j, sum, b->known, b->v);
        for (size_t i = 0; i < b->known; i++)
                b->v[i] = (rs_block_channel){.m = (float)(b->v[i].s / (double)seen)};
}

static void
begin_block(const rs_block_job *j, size_t block, block_state *b)
{
        const size_t number = block % j->by.blocks;

        b->image = block / j->by.blocks;
        b->first = number * j->by.channels;
        b->known = smaller(j->by.channels, j->shape->c - b->first);
        memset(b->v, 0, sizeof b->v);
        if (j->sample)
                take_sample(j, block, b);
        else
                for (size_t i = 0; i < b->known; i++)
                        j->before(j, b->image, b->first + i, &b->v[i]);
        set_lanes(j, b->v, b->known, b->lanes);
}

static void
settle_block(const rs_block_job *j, block_state *b, bool write)
{
        for (size_t i = 0; i < b->known; i++)
                j->after(j, b->image, b->first + i, &b->v[i], write);
        set_lanes(j, b->v, b->known, b->lanes);
}

/* Both passes over a block by one thread. */
static void
run_block(const rs_block_job *j, size_t block)
{
        block_state b;
        sums part[GROUPS];

        begin_block(j, block, &b);
        for (size_t p = 0; j->first && p < j->by.parts; p++) {
                first_pass(j, block, p, b.lanes, part);
                add_part(j, part, b.known, b.v);
        }
        if (j->first)
                settle_block(j, &b, true);
        for (size_t p = j->by.parts; j->second && p-- > 0;)
                run_part(j, j->second, &j->in_second, block, p, b.lanes);
}

#ifdef _OPENMP
/* Both passes over all blocks by all threads at once, each of which keeps its parts of a block. */
static void
run_together(const rs_block_job *j, size_t blocks, int threads)
{
        const size_t groups = j->by.groups;
        sums parts[2][SUMS]; /* by turns: a thread may begin the next block before another has read
                                 these */

#pragma omp parallel num_threads(threads)
        {
                const size_t t = (size_t)omp_get_thread_num(), n = (size_t)omp_get_num_threads();
                const size_t from = j->by.parts * t / n, to = j->by.parts * (t + 1) / n;
                for (size_t block = 0; block < blocks; block++) {
                        block_state b;
                        begin_block(j, block, &b);
                        for (size_t p = from; p < to; p++)
                                first_pass(j, block, p, b.lanes, &parts[block % 2][p * groups]);
#pragma omp barrier
                        for (size_t p = 0; p < j->by.parts; p++)
                                add_part(j, &parts[block % 2][p * groups], b.known, b.v);
                        settle_block(j, &b, t == 0);
                        for (size_t p = to; j->second && p-- > from;)
                                run_part(j, j->second, &j->in_second, block, p, b.lanes);
                }
        }
}
#endif

/* One pass that needs no sums: parts in any order. */
static void
run_single(const rs_block_job *j, size_t blocks, int threads)
{
        const size_t parts = j->by.parts;

        RS_PARALLEL(threads)
        for (size_t i = 0; i < blocks * parts; i++) {
                block_state b;
                begin_block(j, i / parts, &b);
                run_part(j, j->second, &j->in_second, i / parts, i % parts, b.lanes);
        }
}

void
rs_blocks_run(const rs_block_job *j)
{
        const rs_bn_shape *s = j->shape;
        const size_t blocks = j->by.images * j->by.blocks;
        const int threads = rs_threads_for(s->threads, s->n * s->c * s->s);

        if (!blocks || !s->s || !s->n)
                return;
        if (!j->first) {
                run_single(j, blocks, threads);
                return;
        }
#ifdef _OPENMP
        const size_t bytes = s->n * s->s * j->by.channels * element_size(s);
        const bool uneven = blocks % (size_t)threads && blocks < 8 * (size_t)threads;
        if (threads > 1 && j->by.parts > 1 && (uneven || bytes >= TOGETHER)) {
                run_together(j, blocks, threads);
                return;
        }
#endif
        RS_PARALLEL(threads)
        for (size_t i = 0; i < blocks; i++)
                run_block(j, i);
}
