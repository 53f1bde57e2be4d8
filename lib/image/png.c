/* SPDX-License-Identifier: 0BSD */
/*
 * PNG by libpng's row interface (never png_image_*, whose history is a list of overflows). 16 bits
 * are scaled to 8 with rounding (by 257), palettes and 1 to 4 bits expanded, transparency laid over
 * white, which is what most cut-out pictures are meant to stand on; gamma and colour profiles are
 * left alone, as PIL leaves them. libpng's memory comes from our table.
 */
#include "image/image.h"

#include <setjmp.h>
#include <string.h>
#include <png.h>

enum { CHUNKS = 256, CHUNK_BYTES = 8 << 20 };

struct memory {
        size_t most;
        bool failed;
};

struct reader {
        png_structp png;
        png_infop info;
        rs_span rest;
        rs_picture picture; /* 1 to 4 channels until flatten */
        struct memory memory;
        resect_error *err;
};

/* libpng takes the length that an eXIf chunk declares on trust, whatever the limit for chunks. No
 * chunk is longer than the file, and nothing else that pictures of our sizes need is longer than a
 * chunk may be. */
static png_voidp
allocate(png_structp png, png_alloc_size_t size)
{
        struct memory *m = png_get_mem_ptr(png);
        if (size > CHUNK_BYTES && size > m->most)
                return NULL;
        void *p = rs_hooks.malloc(size ? size : 1);
        if (!p)
                m->failed = true;
        return p;
}

static void
release(png_structp png, png_voidp p)
{
        (void)png;
        rs_free(p);
}

static void
fail_reading(png_structp png, png_const_charp why)
{
        struct reader *r = png_get_error_ptr(png);
        if (r->memory.failed)
                rs_fail_nomem(r->err);
        else
                rs_fail(r->err, RESECT_FORMAT, "PNG: %s", why);
        png_longjmp(png, 1);
}

static void
ignore(png_structp png, png_const_charp why)
{
        (void)png;
        (void)why;
}

static void
take(png_structp png, png_bytep to, size_t n)
{
        struct reader *r = png_get_io_ptr(png);
        if (n > r->rest.size)
                png_error(png, "cut short");
        memcpy(to, r->rest.data, n);
        r->rest.data += n;
        r->rest.size -= n;
}

/* 2 channels become 1 and 4 become 3, in place: what is written lies before what is read. */
static void
flatten(rs_picture *p)
{
        int c = p->channels - 1;
        size_t n = (size_t)p->width * (size_t)p->height;
        const unsigned char *s = p->pixels;
        unsigned char *to = p->pixels;
        for (size_t i = 0; i < n; i++, s += c + 1, to += c) {
                unsigned a = s[c];
                for (int k = 0; k < c; k++)
                        to[k] = (unsigned char)((s[k] * a + 255 * (255 - a) + 127) / 255);
        }
        p->channels = c;
}

static int
orientation(struct reader *r)
{
#ifdef PNG_eXIf_SUPPORTED
        png_uint_32 size;
        png_bytep exif;
        if (png_get_eXIf_1(r->png, r->info, &size, &exif))
                return rs_exif_orientation(exif, size);
#endif
        return 1;
}

static bool
start(struct reader *r, size_t file_size)
{
        png_set_user_limits(r->png, PNG_UINT_31_MAX, PNG_UINT_31_MAX); /* ours are below */
        png_set_chunk_cache_max(r->png, CHUNKS);
        png_set_chunk_malloc_max(r->png, CHUNK_BYTES);
        png_read_info(r->png, r->info);
        png_uint_32 w = png_get_image_width(r->png, r->info),
                    h = png_get_image_height(r->png, r->info);
        if (!rs_picture_check_size(w, h, r->err))
                return false;
        /* deflate makes at most 1032 bytes of one */
        if ((uint64_t)png_get_rowbytes(r->png, r->info) * h / 1032 > file_size)
                return rs_fail(r->err, RESECT_FORMAT, "PNG: %zu bytes cannot hold %ux%u pixels",
                        file_size, w, h);
        png_set_expand(r->png);
        png_set_scale_16(r->png);
        int passes = png_set_interlace_handling(r->png);
        png_read_update_info(r->png, r->info);
        if (!rs_picture_make(
                    &r->picture, (int)w, (int)h, png_get_channels(r->png, r->info), r->err))
                return false;
        size_t stride = (size_t)w * (size_t)r->picture.channels;
        if (png_get_rowbytes(r->png, r->info) != stride)
                return rs_fail(r->err, RESECT_UNSUPPORTED, "PNG: rows of an unknown kind");
        for (int pass = 0; pass < passes; pass++)
                for (png_uint_32 y = 0; y < h; y++)
                        png_read_row(r->png, r->picture.pixels + y * stride, NULL);
        return true;
}

static bool
decode(struct reader *r)
{
        if (setjmp(png_jmpbuf(r->png)))
                return false;
        size_t size = r->rest.size;
        if (!start(r, size))
                return false;
        png_read_end(r->png, r->info);
        if (r->picture.channels == 2 || r->picture.channels == 4)
                flatten(&r->picture);
        return rs_picture_orient(&r->picture, orientation(r), r->err);
}

bool
rs_png_decode(rs_picture *out, rs_span bytes, resect_error *err)
{
        struct reader r = {.rest = bytes, .memory = {.most = bytes.size + 1}, .err = err};
        *out = (rs_picture){0};
        r.png = png_create_read_struct_2(
                PNG_LIBPNG_VER_STRING, &r, fail_reading, ignore, &r.memory, allocate, release);
        if (!r.png)
                return rs_fail_nomem(err);
        r.info = png_create_info_struct(r.png);
        bool ok = r.info || rs_fail_nomem(err);
        if (ok) {
                png_set_read_fn(r.png, &r, take);
                ok = decode(&r);
        }
        png_destroy_read_struct(&r.png, &r.info, NULL);
        if (!ok)
                rs_picture_free(&r.picture);
        *out = r.picture;
        return ok;
}

struct writer {
        rs_buf *out;
        struct memory memory;
};

static void
put(png_structp png, png_bytep bytes, size_t n)
{
        struct writer *w = png_get_io_ptr(png);
        rs_buf_add(w->out, bytes, n);
        if (w->out->oom)
                png_error(png, "out of memory");
}

static void
flush(png_structp png)
{
        (void)png;
}

static void
fail_writing(png_structp png, png_const_charp why)
{
        (void)why;
        png_longjmp(png, 1);
}

static bool
encode(png_structp png, png_infop info, const rs_picture *p)
{
        if (setjmp(png_jmpbuf(png)))
                return false;
        png_set_IHDR(png, info, (png_uint_32)p->width, (png_uint_32)p->height, 8,
                p->channels == 3 ? PNG_COLOR_TYPE_RGB : PNG_COLOR_TYPE_GRAY, PNG_INTERLACE_NONE,
                PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
        png_write_info(png, info);
        size_t stride = (size_t)p->width * (size_t)p->channels;
        for (int y = 0; y < p->height; y++)
                png_write_row(png, p->pixels + (size_t)y * stride);
        png_write_end(png, NULL);
        return true;
}

bool
rs_png_encode(const rs_picture *p, rs_buf *out, resect_error *err)
{
        if (p->channels != 1 && p->channels != 3)
                return rs_fail(err, RESECT_ARG,
                        "a picture with %d channels cannot be written as PNG", p->channels);
        struct writer w = {.out = out};
        png_structp png = png_create_write_struct_2(
                PNG_LIBPNG_VER_STRING, &w, fail_writing, ignore, &w.memory, allocate, release);
        if (!png)
                return rs_fail_nomem(err);
        png_infop info = png_create_info_struct(png);
        bool ok = false;
        if (info) {
                png_set_write_fn(png, &w, put, flush);
                ok = encode(png, info, p);
        }
        png_destroy_write_struct(&png, &info);
        return ok ||
               rs_fail_nomem(
                       err); /* sizes and kind are right, so that only memory can have failed */
}
