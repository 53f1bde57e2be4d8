/* SPDX-License-Identifier: 0BSD */
/* Pictures made by libjpeg and libpng for the tests: every kind of file that the decoders should
 * and should not read. */
#ifndef PICTURES_H
#define PICTURES_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <jpeglib.h>
#include <png.h>

struct bytes {
        unsigned char *data;
        size_t size;
};

/* A smooth pattern that a JPEG keeps within a few levels. */
static inline unsigned char
pattern(int x, int y, int c, int w, int h)
{
        int u = w > 1 ? x * 200 / (w - 1) : 100, v = h > 1 ? y * 200 / (h - 1) : 100;
        return (unsigned char)(c == 0   ? 20 + u
                               : c == 1 ? 20 + v
                               : c == 2 ? 235 - (u + v) / 2
                                        : 255);
}

struct jpeg_recipe {
        int width, height, channels; /* 1 grey, 2 unknown, 3 RGB, 4 CMYK */
        int quality;                 /* 0: 95 */
        bool progressive, many_scans, subsample, ycck, no_adobe;
        int restart;
        const unsigned char *exif; /* APP1's content */
        unsigned exif_size;
};

static inline struct bytes
make_jpeg(struct jpeg_recipe r)
{
        struct jpeg_compress_struct j;
        struct jpeg_error_mgr e;
        struct bytes out = {0};
        unsigned long size = 0;
        j.err = jpeg_std_error(&e);
        jpeg_create_compress(&j);
        jpeg_mem_dest(&j, &out.data, &size);
        j.image_width = (JDIMENSION)r.width;
        j.image_height = (JDIMENSION)r.height;
        j.input_components = r.channels;
        j.in_color_space = r.channels == 1   ? JCS_GRAYSCALE
                           : r.channels == 3 ? JCS_RGB
                           : r.channels == 4 ? JCS_CMYK
                                             : JCS_UNKNOWN;
        jpeg_set_defaults(&j);
        if (r.ycck)
                jpeg_set_colorspace(&j, JCS_YCCK);
        if (r.no_adobe)
                j.write_Adobe_marker = FALSE;
        jpeg_set_quality(&j, r.quality ? r.quality : 95, TRUE);
        if (!r.subsample)
                j.comp_info[0].h_samp_factor = j.comp_info[0].v_samp_factor = 1;
        if (r.progressive)
                jpeg_simple_progression(&j);
        static jpeg_scan_info scans[1 + 3 * 63];
        if (r.many_scans) {
                int n = 0;
                scans[n++] = (jpeg_scan_info){3, {0, 1, 2}, 0, 0, 0, 0};
                for (int c = 0; c < 3; c++)
                        for (int k = 1; k < 64; k++)
                                scans[n++] = (jpeg_scan_info){1, {c}, k, k, 0, 0};
                j.scan_info = scans;
                j.num_scans = n;
        }
        j.restart_interval = (unsigned)r.restart;
        jpeg_start_compress(&j, TRUE);
        if (r.exif)
                jpeg_write_marker(&j, JPEG_APP0 + 1, r.exif, r.exif_size);
        unsigned char *row = malloc((size_t)r.width * (size_t)r.channels);
        for (int y = 0; y < r.height; y++) {
                for (int x = 0; x < r.width; x++)
                        for (int c = 0; c < r.channels; c++)
                                row[x * r.channels + c] = pattern(x, y, c, r.width, r.height);
                JSAMPROW rows = row;
                jpeg_write_scanlines(&j, &rows, 1);
        }
        free(row);
        jpeg_finish_compress(&j);
        jpeg_destroy_compress(&j);
        out.size = size;
        return out;
}

/* APP1 with one directory entry for the orientation, in either byte order. */
static inline unsigned
make_exif(unsigned char *to /* [32] */, bool big, int orientation)
{
        static const unsigned char le[] =
                "Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\0\0\0\0";
        static const unsigned char be[] =
                "Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\0\0\0";
        memcpy(to, big ? be : le, 28);
        to[big ? 25 : 24] = (unsigned char)orientation;
        return 28;
}

struct png_recipe {
        int width, height, depth, colour; /* PNG_COLOR_TYPE_... */
        bool interlaced;
        int palette; /* colours */
        bool trns; /* palette: entry 0 clear, entry 1 half; grey and RGB: sample value of (0, 0) is
                      clear */
        int exif;  /* orientation */
        int texts, text_size;      /* ancillary chunks */
        const unsigned char *rows; /* [height, rowbytes]; NULL: a pattern */
};

static void
png_to_bytes(png_structp png, png_bytep p, size_t n)
{
        struct bytes *b = png_get_io_ptr(png);
        b->data = realloc(b->data, b->size + n);
        memcpy(b->data + b->size, p, n);
        b->size += n;
}

static inline struct bytes
make_png(struct png_recipe r)
{
        struct bytes out = {0};
        png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
        png_infop info = png_create_info_struct(png);
        if (setjmp(png_jmpbuf(png)))
                abort();
        png_set_write_fn(png, &out, png_to_bytes, NULL);
        png_set_IHDR(png, info, (unsigned)r.width, (unsigned)r.height, r.depth, r.colour,
                r.interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE,
                PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
        png_color colours[256];
        for (int i = 0; i < r.palette; i++)
                colours[i] = (png_color){(png_byte)(i * 10), (png_byte)(255 - i * 10), (png_byte)i};
        if (r.palette)
                png_set_PLTE(png, info, colours, r.palette);
        png_byte alpha[2] = {0, 128};
        png_color_16 clear = {0, 20, 20, 235, 20};
        if (r.trns)
                png_set_tRNS(png, info, r.palette ? alpha : NULL, r.palette ? 2 : 0,
                        r.palette ? NULL : &clear);
        if (r.exif) {
                unsigned char e[32];
                make_exif(e, true, r.exif);
                png_set_eXIf_1(png, info, 22, e + 6);
        }
        png_write_info(png, info);
        unsigned char *text = malloc((size_t)r.text_size + 16);
        memset(text, 'a', (size_t)r.text_size + 16);
        text[3] = 0;
        for (int i = 0; i < r.texts; i++)
                png_write_chunk(png, (png_const_bytep) "tEXt", text, (size_t)r.text_size);
        free(text);
        size_t stride = png_get_rowbytes(png, info);
        int passes = r.interlaced ? png_set_interlace_handling(png) : 1;
        unsigned char *row = calloc(1, stride + 8);
        int channels = png_get_channels(png, info), step = r.depth == 16 ? 2 : 1;
        for (int pass = 0; pass < passes; pass++)
                for (int y = 0; y < r.height; y++) {
                        if (r.rows)
                                memcpy(row, r.rows + (size_t)y * stride, stride);
                        else if (r.depth >= 8)
                                for (int x = 0; x < r.width; x++)
                                        for (int c = 0; c < channels; c++)
                                                memset(row + (x * channels + c) * step,
                                                        r.palette ? (x + y) % r.palette
                                                                  : pattern(x, y, c, r.width,
                                                                            r.height),
                                                        (size_t)step);
                        png_write_row(png, row);
                }
        free(row);
        png_write_end(png, NULL);
        png_destroy_write_struct(&png, &info);
        return out;
}

/* Rewrites a big-endian field and, in a PNG, the CRC of IHDR. */
static inline void
poke(struct bytes b, size_t at, uint32_t v, int n)
{
        for (int i = 0; i < n; i++)
                b.data[at + (size_t)i] = (unsigned char)(v >> 8 * (n - 1 - i));
}

static inline size_t
find(struct bytes b, const char *what, size_t n)
{
        for (size_t i = 0; i + n <= b.size; i++)
                if (memcmp(b.data + i, what, n) == 0)
                        return i;
        return SIZE_MAX;
}

static inline struct bytes
insert(struct bytes b, size_t at, const char *what, size_t n)
{
        unsigned char *p = malloc(b.size + n);
        memcpy(p, b.data, at);
        memcpy(p + at, what, n);
        memcpy(p + at + n, b.data + at, b.size - at);
        free(b.data);
        return (struct bytes){p, b.size + n};
}

static inline void
save(const char *path, struct bytes b)
{
        FILE *f = fopen(path, "wb");
        if (!f || (b.size && fwrite(b.data, 1, b.size, f) != b.size) || fclose(f) != 0)
                abort();
}

#endif
