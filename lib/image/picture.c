/* SPDX-License-Identifier: 0BSD */
/* Making, turning and recolouring pictures. Sizes were checked when a picture was made, so that
 * loops need no more checks. */
#include "image/image.h"

#include <string.h>

bool
rs_picture_make(rs_picture *out, int width, int height, int channels, resect_error *err)
{
        size_t bytes;
        *out = (rs_picture){0};
        if (width < 1 || height < 1 || channels < 1 || channels > 4)
                return rs_fail(err, RESECT_ARG, "a picture of %dx%d with %d channels", width,
                        height, channels);
        if (!rs_mul((size_t)width, (size_t)height, &bytes) ||
                !rs_mul(bytes, (size_t)channels, &bytes))
                return rs_fail_nomem(err);
        unsigned char *pixels = rs_alloc(bytes, 1, err);
        if (!pixels)
                return false;
        *out = (rs_picture){width, height, channels, pixels};
        return true;
}

void
rs_picture_free(rs_picture *p)
{
        rs_free(p->pixels);
        *p = (rs_picture){0};
}

size_t
rs_picture_bytes(const rs_picture *p)
{
        return (size_t)p->width * (size_t)p->height * (size_t)p->channels;
}

rs_view
rs_picture_view(const rs_picture *p)
{
        return (rs_view){p->pixels, p->width, p->height, p->channels,
                (size_t)p->width * (size_t)p->channels};
}

rs_view
rs_view_part(rs_view v, int left, int top, int width, int height)
{
        v.pixels += (size_t)top * v.stride + (size_t)left * (size_t)v.channels;
        v.width = width;
        v.height = height;
        return v;
}

bool
rs_picture_check_size(uint64_t width, uint64_t height, resect_error *err)
{
        if (width == 0 || height == 0)
                return rs_fail(err, RESECT_FORMAT, "a picture without pixels");
        if (width > RS_PICTURE_SIDE || height > RS_PICTURE_SIDE)
                return rs_fail(err, RESECT_UNSUPPORTED, "%llux%llu pixels: a side is over %d",
                        (unsigned long long)width, (unsigned long long)height, RS_PICTURE_SIDE);
        if (width * height > RS_PICTURE_PIXELS)
                return rs_fail(err, RESECT_UNSUPPORTED, "%llux%llu pixels: over %d million",
                        (unsigned long long)width, (unsigned long long)height,
                        RS_PICTURE_PIXELS >> 20);
        return true;
}

bool
rs_picture_to_channels(rs_picture *p, int channels, resect_error *err)
{
        if (channels == 0 || channels == p->channels)
                return true;
        rs_picture q;
        if (!rs_picture_make(&q, p->width, p->height, channels, err))
                return false;
        const unsigned char *s = p->pixels;
        size_t n = (size_t)p->width * (size_t)p->height;
        if (channels == 3)
                for (size_t i = 0; i < n; i++)
                        q.pixels[3 * i] = q.pixels[3 * i + 1] = q.pixels[3 * i + 2] = s[i];
        else
                for (size_t i = 0; i < n; i++, s += 3)
                        q.pixels[i] = (unsigned char)((s[0] * 19595u + s[1] * 38470u +
                                                              s[2] * 7471u + 0x8000u) >>
                                                      16);
        rs_picture_free(p);
        *p = q;
        return true;
}

/* Orientation is a transposition (5 to 8) after mirrors of the result: out(x, y) = in(u, v). */
bool
rs_picture_orient(rs_picture *p, int orientation, resect_error *err)
{
        if (orientation < 2 || orientation > 8)
                return true;
        bool turned = orientation >= 5;
        bool mirror_u =
                orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
        bool mirror_v =
                orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
        rs_picture q;
        if (!rs_picture_make(&q, turned ? p->height : p->width, turned ? p->width : p->height,
                    p->channels, err))
                return false;
        size_t c = (size_t)p->channels;
        unsigned char *to = q.pixels;
        for (int y = 0; y < q.height; y++) {
                for (int x = 0; x < q.width; x++, to += c) {
                        int u = turned ? y : x, v = turned ? x : y;
                        if (mirror_u)
                                u = p->width - 1 - u;
                        if (mirror_v)
                                v = p->height - 1 - v;
                        memcpy(to, p->pixels + ((size_t)v * (size_t)p->width + (size_t)u) * c, c);
                }
        }
        rs_picture_free(p);
        *p = q;
        return true;
}
