/* SPDX-License-Identifier: 0BSD */
/*
 * One sample as the model wants it. Decoded pictures are kept, within a budget, in the two forms
 * that are asked for again each epoch: fitted to the model's input, and reduced for augmentation (a
 * short side of at most twice the resize; crops of the usual sizes still come from more pixels than
 * they are given). Whether a picture came from the cache changes no bit of it. A cached form is
 * made once and then never written, so that readers hold the lock for a pointer's time.
 */
#include "data/data.h"

#include <stdio.h>
#include <string.h>
#include "base/random.h"

#define CACHE_BYTES ((size_t)512 << 20)
enum { MOST_PAD = 4096 };

/* ------------------------------------------------------------------------------------------------
 * the cache */

/* True when pictures for `in` may be cached: the first input asked for has the cache. */
static bool
cacheable(resect_data *d, const resect_input *in)
{
        bool same;
        pthread_mutex_lock(&d->lock);
        if (!d->has_cache_key) {
                d->has_cache_key = true;
                d->cache_key = *in;
        }
        const resect_input *k = &d->cache_key;
        same = k->channels == in->channels && k->height == in->height && k->width == in->width &&
               k->resize == in->resize;
        pthread_mutex_unlock(&d->lock);
        return same;
}

static const void *
cached(resect_data *d, const void *const *slot)
{
        pthread_mutex_lock(&d->lock);
        const void *p = *slot;
        pthread_mutex_unlock(&d->lock);
        return p;
}

/* Gives p to the slot. False when there is no room, or another thread was first: p is then still
 * the caller's. */
static bool
keep(resect_data *d, const void **slot, const void *p, size_t bytes)
{
        bool kept = false;
        pthread_mutex_lock(&d->lock);
        if (!*slot && bytes <= CACHE_BYTES - d->cached) {
                *slot = p;
                d->cached += bytes;
                kept = true;
        }
        pthread_mutex_unlock(&d->lock);
        return kept;
}

/* ------------------------------------------------------------------------------------------------
 * pictures */

/* A file that was touched since it was scanned must still hold the same pixels: labels, splits and
 * notes were made for those. */
static bool
load(const rs_sample *s, rs_picture *out, resect_error *err)
{
        int64_t size = -1, mtime = -1;
        rs_file_stamp(s->path, &size, &mtime);
        if (!rs_picture_load(out, s->path, 0, err))
                return false;
        if (size == s->file_size && mtime == s->mtime)
                return true;
        unsigned char hash[32];
        rs_picture_hash(out, hash);
        if (memcmp(hash, s->hash, sizeof hash) == 0)
                return true;
        rs_picture_free(out);
        return rs_fail(err, RESECT_FORMAT, "%s: changed since the data was opened", s->path);
}

/* Colour is dropped before and grey spread after resizing: the same numbers for less work. */
static bool
drop_colour(rs_picture *p, const resect_input *in, resect_error *err)
{
        return in->channels != 1 || rs_picture_to_channels(p, 1, err);
}

/* Down to a short side of twice what is resized to. */
static bool
reduce(rs_picture *p, const resect_input *in, resect_error *err)
{
        int side = in->resize ? in->resize : in->height < in->width ? in->height : in->width;
        int lo = p->width < p->height ? p->width : p->height,
            hi = p->width < p->height ? p->height : p->width;
        if (lo <= 2 * side)
                return true;
        int hi2 = (int)(((int64_t)hi * 2 * side + lo / 2) / lo);
        rs_picture q;
        bool wide = p->width > p->height;
        if (!rs_picture_resize(
                    &q, rs_picture_view(p), wide ? hi2 : 2 * side, wide ? 2 * side : hi2, err))
                return false;
        rs_picture_free(p);
        *p = q;
        return true;
}

/* A decoded picture as the model wants it: *fitted is one more to be freed. */
static bool
fit(rs_picture *p, const resect_input *in, rs_picture *fitted, resect_error *err)
{
        return drop_colour(p, in, err) && rs_picture_fit(fitted, rs_picture_view(p), in, err) &&
               rs_picture_to_channels(fitted, in->channels, err);
}

void
rs_data_expect(resect_data *d, const resect_input *in)
{
        d->has_cache_key = true;
        d->cache_key = *in;
}

bool
rs_data_keep_fitted(resect_data *d, rs_sample *s, rs_picture *p, resect_error *err)
{
        const resect_input *in = &d->cache_key;
        rs_picture fitted = {in->width, in->height, in->channels, NULL};
        pthread_mutex_lock(&d->lock);
        bool room = d->has_cache_key && rs_picture_bytes(&fitted) <= CACHE_BYTES - d->cached;
        pthread_mutex_unlock(&d->lock);
        if (!room)
                return true;
        bool ok = fit(p, in, &fitted, err);
        if (!ok || !keep(d, (const void **)&s->fitted, fitted.pixels, rs_picture_bytes(&fitted)))
                rs_picture_free(&fitted);
        return ok;
}

static bool
file_fitted(resect_data *d, rs_sample *s, const resect_input *in, float *out, resect_error *err)
{
        bool may = cacheable(d, in);
        rs_picture fitted = {in->width, in->height, in->channels, NULL}, p;
        const void *have = may ? cached(d, (const void *const *)&s->fitted) : NULL;
        if (have) {
                fitted.pixels = (unsigned char *)(uintptr_t)have;
                rs_picture_normalise(&fitted, in, out);
                return true;
        }
        if (!load(s, &p, err))
                return false;
        bool ok = fit(&p, in, &fitted, err);
        rs_picture_free(&p);
        if (ok)
                rs_picture_normalise(&fitted, in, out);
        if (!ok || !may ||
                !keep(d, (const void **)&s->fitted, fitted.pixels, rs_picture_bytes(&fitted)))
                rs_picture_free(&fitted);
        return ok;
}

/* The picture that augmentation starts from: the cache's, or one to be freed (*own). */
static const rs_picture *
augmentable(resect_data *d, rs_sample *s, const resect_input *in, bool *own, resect_error *err)
{
        bool may = cacheable(d, in);
        const rs_picture *have = may ? cached(d, (const void *const *)&s->decoded) : NULL;
        *own = false;
        if (have)
                return have;
        rs_picture *p = rs_alloc(1, sizeof *p, err);
        if (!p)
                return NULL;
        if (!load(s, p, err) || !drop_colour(p, in, err) || !reduce(p, in, err)) {
                rs_picture_free(p);
                rs_free(p);
                return NULL;
        }
        *own = !may || !keep(d, (const void **)&s->decoded, p, rs_picture_bytes(p));
        return p;
}

static bool
finish(rs_picture *p, const resect_input *in, float *out, resect_error *err)
{
        bool ok = rs_picture_to_channels(p, in->channels, err);
        if (ok)
                rs_picture_normalise(p, in, out);
        rs_picture_free(p);
        return ok;
}

struct chance {
        const resect_augment *how;
        uint64_t seed, epoch, sample;
};

static bool
file_augmented(resect_data *d, rs_sample *s, const resect_input *in, struct chance c, float *out,
        resect_error *err)
{
        bool own;
        rs_picture p;
        const rs_picture *from = augmentable(d, s, in, &own, err);
        if (!from)
                return false;
        bool ok = rs_picture_augment(
                &p, rs_picture_view(from), in, c.how, false, c.seed, c.epoch, c.sample, err);
        if (own) {
                rs_free(from->pixels);
                rs_free((void *)(uintptr_t)from);
        }
        return ok && finish(&p, in, out, err);
}

/* ------------------------------------------------------------------------------------------------
 * rows in memory */

static bool
pixel_row(const resect_data *d, const rs_sample *s, const resect_input *in, struct chance c,
        float *out, resect_error *err)
{
        int channels = (int)d->chw[0], height = (int)d->chw[1], width = (int)d->chw[2];
        size_t stride = (size_t)width * (size_t)channels;
        rs_view from = {
                d->pixels + s->row * (size_t)height * stride, width, height, channels, stride};
        rs_picture p, grey = {0};
        if (channels == 3 && in->channels == 1) {
                if (!rs_picture_resize(&grey, from, width, height, err) ||
                        !drop_colour(&grey, in, err)) {
                        rs_picture_free(&grey);
                        return false;
                }
                from = rs_picture_view(&grey);
        }
        bool ok = c.how ? rs_picture_augment(
                                  &p, from, in, c.how, true, c.seed, c.epoch, c.sample, err)
                        : rs_picture_fit(&p, from, in, err);
        rs_picture_free(&grey);
        return ok && finish(&p, in, out, err);
}

static void
tensor_row(const resect_data *d, const rs_sample *s, const resect_input *in, struct chance c,
        float *out)
{
        int64_t C = d->chw[0], H = d->chw[1], W = d->chw[2], dx = 0, dy = 0;
        const float *x = (const float *)d->x.data + (size_t)s->row * (size_t)(C * H * W);
        bool flip = false;
        if (c.how) {
                uint64_t stream = rs_stream("augment", c.epoch, c.sample),
                         most = (uint64_t)c.how->pad * 2 + 1;
                dx = (int64_t)rs_below(c.seed, stream, 0, most) - c.how->pad;
                dy = (int64_t)rs_below(c.seed, stream, 1, most) - c.how->pad;
                flip = c.how->flip && rs_uniform(c.seed, stream, 2) < 0.5;
        }
        for (int64_t k = 0; k < C; k++)
                for (int64_t y = 0; y < H; y++)
                        for (int64_t w = 0; w < W; w++) {
                                int64_t u = (flip ? W - 1 - w : w) - dx, v = y - dy;
                                bool inside = u >= 0 && u < W && v >= 0 && v < H;
                                out[in->nhwc ? (y * W + w) * C + k : (k * H + y) * W + w] =
                                        inside ? x[(k * H + v) * W + u] : 0;
                        }
}

/* ------------------------------------------------------------------------------------------------
 * the calls */

static bool
check_augment(const resect_augment *a, resect_error *err)
{
        if (!a)
                return true;
        if (!(a->crop_min >= 0 && a->crop_min <= 1))
                return rs_fail(err, RESECT_ARG, "augmentation: a least area of %g is not in 0 .. 1",
                        a->crop_min);
        if (!(a->jitter >= 0 && a->jitter <= 10))
                return rs_fail(
                        err, RESECT_ARG, "augmentation: jitter of %g is not in 0 .. 10", a->jitter);
        if (a->pad < 0 || a->pad > MOST_PAD)
                return rs_fail(err, RESECT_ARG, "augmentation: a shift of %d is not in 0 .. %d",
                        a->pad, MOST_PAD);
        return true;
}

/* Tensors may have any number of channels, since nothing is done to them. */
bool
rs_data_check_input(const resect_data *d, const resect_input *in, resect_error *err)
{
        if (d->kind != RS_TENSOR)
                return rs_input_check(in, err);
        return (in->channels == d->chw[0] && in->height == d->chw[1] && in->width == d->chw[2]) ||
               rs_fail(err, RESECT_ARG,
                       "%s holds %lldx%lldx%lld, the model wants %dx%dx%d (channels, height, "
                       "width)",
                       d->path, (long long)d->chw[0], (long long)d->chw[1], (long long)d->chw[2],
                       in->channels, in->height, in->width);
}

bool
resect_data_sample(const resect_data *data, resect_split split, size_t i, const resect_input *in,
        const resect_augment *augment, uint64_t seed, uint64_t epoch, float *out, resect_error *err)
{
        resect_data *d = rs_data_root(data); /* the cache changes, the data does not */
        rs_sample *s = (rs_sample *)(uintptr_t)rs_data_at(data, split, i);
        if (!s)
                return rs_fail(err, RESECT_ARG, "%s: no sample %zu; there are %zu", d->path, i,
                        resect_data_count(data, split));
        if (!check_augment(augment, err) || !rs_data_check_input(d, in, err))
                return false;
        bool any = augment &&
                   (augment->crop || augment->flip || augment->jitter > 0 || augment->pad > 0);
        struct chance c = {any ? augment : NULL, seed, epoch, (uint64_t)(s - d->samples)};
        if (d->kind == RS_TENSOR) {
                tensor_row(d, s, in, c, out);
                return true;
        }
        if (d->kind == RS_PIXELS)
                return pixel_row(d, s, in, c, out, err);
        return c.how ? file_augmented(d, s, in, c, out, err) : file_fitted(d, s, in, out, err);
}

bool
rs_data_flips(const resect_data *data, resect_split split, size_t i, uint64_t seed, uint64_t epoch)
{
        const resect_data *d = rs_data_root(data);
        const rs_sample *s = rs_data_at(data, split, i);
        if (!s)
                return false;
        const uint64_t sample = (uint64_t)(s - d->samples);
        if (d->kind == RS_TENSOR)
                return rs_uniform(seed, rs_stream("augment", epoch, sample), 2) < 0.5;
        return rs_picture_flips(seed, epoch, sample);
}

bool
resect_picture_read(const char *path, const resect_input *in, float *out, resect_error *err)
{
        rs_picture p, fitted;
        if (!rs_input_check(in, err) || !rs_picture_load(&p, path, 0, err))
                return false;
        bool ok = drop_colour(&p, in, err) && rs_picture_fit(&fitted, rs_picture_view(&p), in, err);
        rs_picture_free(&p);
        return ok && finish(&fitted, in, out, err);
}
