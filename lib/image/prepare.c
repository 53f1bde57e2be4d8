/* SPDX-License-Identifier: 0BSD */
/*
 * From a decoded picture to what enters the model. Without augmentation it is torchvision's Resize
 * + CenterCrop, rounding included. With it, everything random is drawn from (seed, epoch, sample),
 * so that threads, batches and a resumed run change nothing.
 */
#include "image/image.h"

#include <math.h>
#include <string.h>
#include "base/random.h"

/* One axis of a centre crop: from where in a side of `have` pixels, how many, and where they go in
 * `want`. */
struct span {
        int from, count, to;
};

static struct span
centre(int have, int want)
{
        if (want >= have)
                return (struct span){0, have, (want - have) / 2};
        int spare = have - want, half = spare / 2;
        if (spare % 2 && half % 2) /* Python's round: a half goes to the even number */
                half++;
        return (struct span){half, want, 0};
}

/* Puts a smaller picture into a black one. */
static bool
mount(rs_picture *p, int width, int height, int left, int top, resect_error *err)
{
        if (p->width == width && p->height == height)
                return true;
        rs_picture q;
        if (!rs_picture_make(&q, width, height, p->channels, err))
                return false;
        size_t c = (size_t)p->channels, row = (size_t)p->width * c;
        for (int y = 0; y < p->height; y++)
                memcpy(q.pixels + ((size_t)(top + y) * (size_t)width + (size_t)left) * c,
                        p->pixels + (size_t)y * row, row);
        rs_picture_free(p);
        *p = q;
        return true;
}

bool
rs_picture_fit(rs_picture *out, rs_view from, const resect_input *in, resect_error *err)
{
        if (in->resize == 0)
                return rs_picture_resize(out, from, in->width, in->height, err);
        *out = (rs_picture){0};
        int64_t w = in->resize,
                h = in->resize; /* a side is at most 16384 and so is resize: the long side fits */
        if (from.width <= from.height)
                h = w * from.height / from.width;
        else
                w = h * from.width / from.height;
        struct span x = centre((int)w, in->width), y = centre((int)h, in->height);
        bool ok = rs_picture_resize_part(
                          out, from, (int)w, (int)h, x.from, y.from, x.count, y.count, err) &&
                  mount(out, in->width, in->height, x.to, y.to, err);
        if (!ok)
                rs_picture_free(out);
        return ok;
}

/* The numbers of one picture, drawn one after the other. */
struct draw {
        uint64_t seed, stream, next;
};

static double
uniform(struct draw *d, double lo, double hi)
{
        return lo + (hi - lo) * rs_uniform(d->seed, d->stream, d->next++);
}

static int
below(struct draw *d, int n)
{
        return (int)rs_below(d->seed, d->stream, d->next++, (uint64_t)n);
}

/* RandomResizedCrop (Szegedy et al., "Going deeper with convolutions", 2014): a box of random area
   and aspect; after ten misses the largest one in the middle. */
static rs_view
random_part(rs_view v, double least, struct draw *d)
{
        const double narrow = 3.0 / 4, wide = 4.0 / 3;
        for (int i = 0; i < 10; i++) {
                double area = (double)v.width * v.height * uniform(d, least, 1);
                double aspect = exp(uniform(d, log(narrow), log(wide)));
                int w = (int)lrint(sqrt(area * aspect)), h = (int)lrint(sqrt(area / aspect));
                if (w < 1 || h < 1 || w > v.width || h > v.height)
                        continue;
                int top = below(d, v.height - h + 1), left = below(d, v.width - w + 1);
                return rs_view_part(v, left, top, w, h);
        }
        int w = v.width, h = v.height;
        if ((double)w / h < narrow)
                h = (int)lrint(w / narrow);
        else if ((double)w / h > wide)
                w = (int)lrint(h * wide);
        return rs_view_part(v, (v.width - w) / 2, (v.height - h) / 2, w, h);
}

static void
flip(rs_picture *p)
{
        size_t c = (size_t)p->channels;
        for (int y = 0; y < p->height; y++) {
                unsigned char *l = p->pixels + (size_t)y * (size_t)p->width * c,
                              *r = l + ((size_t)p->width - 1) * c;
                for (; l < r; l += c, r -= c)
                        for (size_t k = 0; k < c; k++) {
                                unsigned char t = l[k];
                                l[k] = r[k];
                                r[k] = t;
                        }
        }
}

/* Moves the picture by (dx, dy); what comes in from outside is black. */
static bool
move(rs_picture *p, int dx, int dy, resect_error *err)
{
        rs_picture q;
        if (!rs_picture_make(&q, p->width, p->height, p->channels, err))
                return false;
        size_t c = (size_t)p->channels, row = (size_t)p->width * c;
        int n = p->width - (dx < 0 ? -dx : dx);
        for (int y = 0; y < p->height && n > 0; y++) {
                int from = y - dy;
                if (from < 0 || from >= p->height)
                        continue;
                memcpy(q.pixels + (size_t)y * row + (size_t)(dx > 0 ? dx : 0) * c,
                        p->pixels + (size_t)from * row + (size_t)(dx < 0 ? -dx : 0) * c,
                        (size_t)n * c);
        }
        rs_picture_free(p);
        *p = q;
        return true;
}

static unsigned char
mix(double base, double v, double f)
{
        double x = base + (v - base) * f;
        return (unsigned char)(x < 0 ? 0 : x > 255 ? 255 : x + 0.5);
}

static unsigned
grey(const unsigned char *rgb)
{
        return (rgb[0] * 19595u + rgb[1] * 38470u + rgb[2] * 7471u + 0x8000u) >> 16;
}

/* Brightness, contrast and saturation are each a mix of the picture with black, with its mean grey,
 * and with its own grey. The first two are one table. */
static void
jitter(rs_picture *p, double j, struct draw *d)
{
        double lo = j < 1 ? 1 - j : 0, hi = 1 + j;
        double bright = uniform(d, lo, hi), contrast = uniform(d, lo, hi),
               saturation = uniform(d, lo, hi);
        size_t n = (size_t)p->width * (size_t)p->height, c = (size_t)p->channels;
        unsigned char brighter[256], table[256];
        uint64_t sum = 0;
        for (int v = 0; v < 256; v++)
                brighter[v] = mix(0, v, bright);
        for (size_t i = 0; i < n * c; i += c) {
                unsigned char *q = p->pixels + i;
                for (size_t k = 0; k < c; k++)
                        q[k] = brighter[q[k]];
                sum += c == 3 ? grey(q) : q[0];
        }
        double mean = (double)((sum + n / 2) / n);
        for (int v = 0; v < 256; v++)
                table[v] = mix(mean, v, contrast);
        for (size_t i = 0; i < n * c; i += c) {
                unsigned char *q = p->pixels + i;
                for (size_t k = 0; k < c; k++)
                        q[k] = table[q[k]];
        }
        int factor = (int)lrint(saturation * 65536); /* at most 11: 255 of them fit */
        for (size_t i = 0; c == 3 && i < n; i++) {
                unsigned char *q = p->pixels + i * 3;
                int g = (int)grey(q);
                for (int k = 0; k < 3; k++) {
                        int v = (g * 65536 + (q[k] - g) * factor + 32768) >> 16;
                        q[k] = (unsigned char)(v < 0 ? 0 : v > 255 ? 255 : v);
                }
        }
}

bool
rs_picture_augment(rs_picture *out, rs_view from, const resect_input *in, const resect_augment *how,
        bool shift, uint64_t seed, uint64_t epoch, uint64_t sample, resect_error *err)
{
        struct draw d = {seed, rs_stream("augment", epoch, sample), 0};
        shift = shift && how->pad > 0;
        bool ok = true;
        if (how->crop && !shift)
                ok = rs_picture_resize(out,
                        random_part(from, how->crop_min > 0 ? how->crop_min : 0.35, &d), in->width,
                        in->height, err);
        else
                ok = rs_picture_fit(out, from, in, err);
        if (ok && shift) {
                int dx = below(&d, 2 * how->pad + 1) - how->pad,
                    dy = below(&d, 2 * how->pad + 1) - how->pad;
                ok = move(out, dx, dy, err);
        }
        if (ok && how->flip && uniform(&d, 0, 1) < 0.5)
                flip(out);
        if (ok && how->jitter > 0)
                jitter(out, how->jitter, &d);
        if (!ok)
                rs_picture_free(out);
        return ok;
}

bool
rs_picture_flips(uint64_t seed, uint64_t epoch, uint64_t sample)
{
        struct draw d = {seed, rs_stream("augment", epoch, sample), 0};
        return uniform(&d, 0, 1) < 0.5;
}

void
rs_picture_normalise(const rs_picture *p, const resect_input *in, float *out)
{
        size_t n = (size_t)p->width * (size_t)p->height, c = (size_t)p->channels;
        for (size_t k = 0; k < c; k++) { /* k-th plane of the model */
                float value[256];
                for (int v = 0; v < 256; v++)
                        value[v] = (float)((v / 255.0 - in->mean[k]) / in->std[k]);
                const unsigned char *s = p->pixels + (in->bgr ? c - 1 - k : k);
                float *to = in->nhwc ? out + k : out + k * n;
                size_t step = in->nhwc ? c : 1;
                for (size_t i = 0; i < n; i++)
                        to[i * step] = value[s[i * c]];
        }
}
