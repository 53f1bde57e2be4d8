/* SPDX-License-Identifier: 0BSD */
#include "train/feed.h"

#include <math.h>
#include <string.h>
#include "base/random.h"
#include "data/data.h"

/* Marsaglia and Tsang, "A simple method for generating gamma variables", 2000; for alpha < 1 by way
 * of alpha + 1. */
static double
gamma_variate(double alpha, uint64_t seed, uint64_t stream)
{
        double boost = 1;
        if (alpha < 1) {
                boost = pow(1 - rs_uniform(seed, stream, 0), 1 / alpha);
                alpha += 1;
        }
        double d = alpha - 1.0 / 3, c = 1 / sqrt(9 * d);
        for (uint64_t i = 1;; i += 2) {
                double x = rs_normal(seed, stream, i), v = 1 + c * x;
                if (v <= 0)
                        continue;
                v = v * v * v;
                double u = 1 - rs_uniform(seed, stream, i + 1);
                if (log(u) < 0.5 * x * x + d - d * v + d * log(v))
                        return boost * d * v;
        }
}

double
rs_beta(double alpha, uint64_t seed, uint64_t stream)
{
        double x = gamma_variate(alpha, seed, rs_stream("beta", stream, 1));
        double y = gamma_variate(alpha, seed, rs_stream("beta", stream, 2));
        return x + y > 0 ? x / (x + y) : 0.5;
}

bool
rs_feed_make(rs_feed *f, resect_error *err)
{
        rs_net *net = f->net;
        size_t k = net->n_reads;
        f->order = RS_NEW(&f->arena, f->n, size_t, err);
        f->listed = RS_NEW(&f->arena, f->n, size_t, err);
        f->labels = RS_NEW(&f->arena, net->batch, int64_t, err);
        f->other = RS_NEW(&f->arena, net->batch, int64_t, err);
        f->rows = RS_NEW(&f->arena, k, float *, err);
        f->mixed = RS_NEW(&f->arena, k, float *, err);
        if (!f->order || !f->listed || !f->labels || !f->other || !f->rows || !f->mixed)
                return false;
        for (size_t i = 0; i < k; i++) {
                size_t bytes = net->reads[i].tensor.size;
                if (!f->cache && net->in.shape.size > bytes)
                        bytes = net->in.shape.size; /* pictures are mixed before the trunk */
                if (f->cache && !(f->rows[i] = rs_alloc_aligned(bytes, err)))
                        return false;
                if (f->mixup > 0 && !(f->mixed[i] = rs_alloc_aligned(bytes, err)))
                        return false;
        }
        for (size_t i = 0; i < f->n; i++)
                f->order[i] = i;
        return true;
}

void
rs_feed_free(rs_feed *f)
{
        resect_loader_free(f->loader);
        for (size_t i = 0; f->net && i < f->net->n_reads; i++) {
                if (f->rows)
                        rs_free_aligned(f->rows[i]);
                if (f->mixed)
                        rs_free_aligned(f->mixed[i]);
        }
        rs_arena_free(&f->arena);
        *f = (rs_feed){0};
}

bool
rs_feed_start(rs_feed *f, size_t epoch, size_t first, resect_error *err)
{
        f->epoch = epoch;
        f->at = first * f->net->batch < f->n ? first * f->net->batch : f->n;
        if (f->shuffle)
                rs_shuffle(f->seed, rs_stream("order", epoch, 0), f->order, f->n);
        resect_loader_free(f->loader);
        f->loader = NULL;
        if (f->cache)
                return true;
        for (size_t i = 0; i < f->n; i++)
                f->listed[i] = f->samples ? f->samples[f->order[i]] : f->order[i];
        f->loader = resect_loader_make(f->data,
                &(resect_loader_options){.split = f->split,
                        .order = f->listed + f->at,
                        .n = f->n - f->at,
                        .batch = f->net->batch,
                        .input = &f->net->in.input,
                        .augment = f->augment,
                        .seed = f->seed,
                        .epoch = epoch,
                        .computes = f->net->o->threads},
                err);
        return f->loader != NULL;
}

static size_t
sample_at(const rs_feed *f, size_t at)
{
        return f->samples ? f->samples[f->order[at]] : f->order[at];
}

const char *
rs_feed_name(const rs_feed *f, size_t i_of_last, size_t n_of_last)
{
        return resect_data_name(f->data, f->split, sample_at(f, f->at - n_of_last + i_of_last));
}

/* row k of x becomes mix of itself and 1 - mix of the next one. */
static void
mix_rows(resect_tensor *x, size_t n, double mix, float *to)
{
        size_t row = x->size / n / sizeof(float);
        const float *from = x->data;
        for (size_t k = 0; k < n; k++) {
                const float *a = from + k * row, *b = from + (k + 1 == n ? 0 : k + 1) * row;
                for (size_t i = 0; i < row; i++)
                        to[k * row + i] = (float)(mix * a[i] + (1 - mix) * b[i]);
        }
        x->data = to;
}

static void
gather(rs_feed *f, size_t n, resect_tensor *reads)
{
        for (size_t i = 0; i < f->net->n_reads; i++) {
                size_t row = f->net->row[i];
                for (size_t k = 0; k < n; k++) {
                        size_t place = f->order[f->at + k];
                        size_t view = f->cache->views > 1 &&
                                      rs_data_flips(f->data, f->split, sample_at(f, f->at + k),
                                              f->seed, f->epoch);
                        memcpy(f->rows[i] + k * row, rs_cache_row(f->cache, place, view, i),
                                row * sizeof(float));
                }
                reads[i] = rs_net_rows(f->net, i, n, f->rows[i]);
        }
}

bool
rs_feed_next(rs_feed *f, rs_fed *out, resect_error *err)
{
        size_t n = f->n - f->at < f->net->batch ? f->n - f->at : f->net->batch;
        resect_batch b = {.n = n};
        out->n = n;
        if (!n)
                return true;
        out->mix = 1;
        out->b = NULL;
        if (f->mixup > 0)
                out->mix = rs_beta(f->mixup, f->seed, rs_stream("mixup", f->epoch, f->at));
        if (f->cache) {
                gather(f, n, out->reads);
        } else {
                if (!resect_loader_next(f->loader, &b, err))
                        return false;
                if (b.n != n)
                        return rs_fail(err, RESECT_IO,
                                "the loader gave %zu pictures instead of %zu", b.n, n);
                if (f->mixup > 0)
                        mix_rows(&b.x, n, out->mix, f->mixed[0]);
                if (!rs_net_trunk(f->net, &b.x, n, out->reads, err))
                        return false;
        }
        for (size_t i = 0; f->mixup > 0 && f->cache && i < f->net->n_reads; i++)
                mix_rows(&out->reads[i], n, out->mix, f->mixed[i]);
        for (size_t k = 0; k < n; k++)
                f->labels[k] =
                        f->map[resect_data_label(f->data, f->split, sample_at(f, f->at + k))];
        for (size_t k = 0; f->mixup > 0 && k < n; k++)
                f->other[k] = f->labels[k + 1 == n ? 0 : k + 1];
        out->a = f->labels;
        out->b = f->mixup > 0 ? f->other : NULL;
        f->at += n;
        return true;
}
