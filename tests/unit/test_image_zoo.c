/* SPDX-License-Identifier: 0BSD */
/* Odd pictures, one row each, with what must come of them: size, channels and a pixel, or an error
 * and words of its message. */
#include "unit.h"
#include "pictures.h"

#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include "image/image.h"

struct outcome {
        int width, height, channels; /* width 0: an error */
        int x, y;                    /* a pixel, and its value within `near` */
        int rgb[3], near;
        resect_code code;
        const char *says;
};

static void
expect(const char *name, struct bytes b, struct outcome o)
{
        resect_error err = {0};
        rs_picture p;
        bool ok = rs_picture_decode(&p, (rs_span){b.data, b.size}, 0, &err);
        if (o.width == 0) {
                ck_assert_msg(!ok, "%s: was read", name);
                ck_assert_msg(err.code == o.code && o.says && strstr(err.msg, o.says), "%s: %s: %s",
                        name, resect_code_name(err.code), err.msg);
                ck_assert_ptr_null(p.pixels);
        } else {
                ck_assert_msg(ok, "%s: %s", name, err.msg);
                ck_assert_msg(
                        p.width == o.width && p.height == o.height && p.channels == o.channels,
                        "%s: %dx%d, %d channels", name, p.width, p.height, p.channels);
                for (int c = 0; c < p.channels; c++) {
                        int v = p.pixels[(o.y * p.width + o.x) * p.channels + c];
                        ck_assert_msg(abs(v - o.rgb[c]) <= o.near, "%s: channel %d is %d, not %d",
                                name, c, v, o.rgb[c]);
                }
        }
        rs_picture_free(&p);
        free(b.data);
}

#define READS(w, h, c, px, py, r, g, b, tolerance) \
        ((struct outcome){w, h, c, px, py, {r, g, b}, tolerance, 0, NULL})
#define FAILS(kind, text) ((struct outcome){.code = RESECT_##kind, .says = text})

START_TEST(jpeg_kinds)
{
        struct jpeg_recipe rgb = {.width = 40, .height = 24, .channels = 3}, r;
        int last = 39;
        expect("baseline", make_jpeg(rgb), READS(40, 24, 3, last, 0, 220, 20, 135, 8));
        r = rgb, r.channels = 1;
        expect("grey", make_jpeg(r), READS(40, 24, 1, last, 0, 220, 0, 0, 8));
        r = rgb, r.progressive = true;
        expect("progressive", make_jpeg(r), READS(40, 24, 3, last, 0, 220, 20, 135, 8));
        r = rgb, r.subsample = true, r.width = 37, r.height = 21;
        expect("4:2:0, odd size", make_jpeg(r), READS(37, 21, 3, 36, 0, 220, 20, 135, 16));
        r = rgb, r.restart = 2;
        expect("restart markers", make_jpeg(r), READS(40, 24, 3, last, 0, 220, 20, 135, 8));
        r = rgb, r.width = r.height = 1;
        expect("1x1", make_jpeg(r), READS(1, 1, 3, 0, 0, 120, 120, 135, 8));
        r = rgb, r.width = 16384, r.height = 1;
        expect("as wide as may be", make_jpeg(r), READS(16384, 1, 3, 0, 0, 20, 120, 185, 8));
        r = rgb, r.channels = 2;
        expect("two components", make_jpeg(r), FAILS(UNSUPPORTED, "2 components"));
        r = rgb, r.many_scans = true;
        expect("190 scans", make_jpeg(r), FAILS(UNSUPPORTED, "over 100 scans"));
        r = rgb, r.width = 65500, r.height = 1;
        expect("65500x1", make_jpeg(r), FAILS(UNSUPPORTED, "65500x1 pixels: a side is over 16384"));
}
END_TEST

/* The inks of the pattern are u, v, w and K = 255. */
START_TEST(jpeg_inks)
{
        struct jpeg_recipe r = {.width = 40, .height = 24, .channels = 4};
        expect("CMYK, Adobe: 255 is no ink", make_jpeg(r),
                READS(40, 24, 3, 39, 0, 220, 20, 135, 8));
        r.ycck = true;
        expect("YCCK, Adobe", make_jpeg(r), READS(40, 24, 3, 39, 0, 220, 20, 135, 8));
        r.ycck = false, r.no_adobe = true;
        expect("CMYK without a marker: 255 is all ink", make_jpeg(r),
                READS(40, 24, 3, 39, 0, 0, 0, 0, 4));
}
END_TEST

/* The upper left corner of the stored picture is (20, 20, 235); where does it go? */
START_TEST(jpeg_orientation)
{
        static const struct {
                bool turned;
                int right, down;
        } to[9] = {{0}, {0, 0, 0}, {0, 1, 0}, {0, 1, 1}, {0, 0, 1}, {1, 0, 0}, {1, 1, 0}, {1, 1, 1},
                {1, 0, 1}};
        unsigned char exif[32];
        for (int o = 1; o <= 8; o++)
                for (int big = 0; big < 2; big++) {
                        struct jpeg_recipe r = {
                                .width = 40, .height = 24, .channels = 3, .exif = exif};
                        r.exif_size = make_exif(exif, big, o);
                        int w = to[o].turned ? 24 : 40, h = to[o].turned ? 40 : 24;
                        char name[32];
                        snprintf(name, sizeof name, "orientation %d", o);
                        expect(name, make_jpeg(r),
                                READS(w, h, 3, to[o].right ? w - 1 : 0, to[o].down ? h - 1 : 0, 20,
                                        20, 235, 8));
                }
        struct jpeg_recipe r = {.width = 40, .height = 24, .channels = 3, .exif = exif};
        r.exif_size = make_exif(exif, true, 9);
        expect("orientation 9 does not exist", make_jpeg(r),
                READS(40, 24, 3, 0, 0, 20, 20, 235, 8));
        for (r.exif_size = 6; r.exif_size < 28; r.exif_size++) {
                make_exif(exif, r.exif_size & 1, 6);
                bool whole = r.exif_size >= 28;
                expect("EXIF cut short", make_jpeg(r),
                        READS(whole ? 24 : 40, whole ? 40 : 24, 3, 0, 0, 20, 20, 235, 8));
        }
        r.exif_size = make_exif(exif, false, 6);
        exif[10] = exif[11] = exif[12] = exif[13] = 0xff; /* the directory is far away */
        expect("EXIF that points outside", make_jpeg(r), READS(40, 24, 3, 0, 0, 20, 20, 235, 8));
        r.exif_size = make_exif(exif, false, 6);
        exif[14] = exif[15] = 0xff; /* 65535 entries, the first is ours */
        expect("EXIF that counts wrong", make_jpeg(r), READS(24, 40, 3, 23, 0, 20, 20, 235, 8));
        exif[18] = 7; /* not a SHORT */
        expect("EXIF of another type", make_jpeg(r), READS(40, 24, 3, 0, 0, 20, 20, 235, 8));
}
END_TEST

START_TEST(jpeg_damage)
{
        struct jpeg_recipe r = {.width = 64, .height = 64, .channels = 3};
        struct bytes b = make_jpeg(r);
        b.size /= 2;
        expect("cut in the middle", b, FAILS(FORMAT, "cut short"));
        b = make_jpeg(r), b.size -= 2;
        expect("without its end", b, FAILS(FORMAT, "cut short"));
        b = make_jpeg(r), b.size = 3;
        expect("three bytes", b, FAILS(FORMAT, "JPEG"));
        b = make_jpeg(r), b.size = 200;
        expect("cut in the header", b, FAILS(FORMAT, "JPEG"));
        r.progressive = true;
        b = make_jpeg(r), b.size -= b.size / 3;
        expect("progressive, cut", b, FAILS(FORMAT, "cut short"));
        r.progressive = false;
        b = make_jpeg(r);
        b = insert(b, b.size, "trailing rubbish", 16);
        expect("rubbish after the end", b, READS(64, 64, 3, 63, 0, 220, 20, 135, 8));
        b = make_jpeg(r);
        b = insert(b, b.size - 2, "\0\0", 2);
        expect("stray bytes before the end, as cameras write", b,
                READS(64, 64, 3, 63, 0, 220, 20, 135, 8));
        b = make_jpeg(r);
        size_t sof = find(b, "\xff\xc0", 2);
        poke(b, sof + 5, 8000 << 16 | 8000, 4);
        expect("a small file that says 8000x8000", b, FAILS(FORMAT, "cannot hold 8000x8000"));
        b = make_jpeg(r);
        poke(b, sof + 5, 16000u << 16 | 16000, 4);
        expect("16000x16000", b, FAILS(UNSUPPORTED, "over 64 million"));
        b = make_jpeg(r);
        poke(b, sof + 5, 64, 4);
        expect("no rows", b, FAILS(FORMAT, "JPEG"));
        b = make_jpeg(r);
        poke(b, sof + 4, 12, 1);
        expect("12 bits", b, FAILS(UNSUPPORTED, "JPEG"));
        b = make_jpeg(r);
        b.data[sof + 1] = 0xc3;
        expect("lossless", b, FAILS(UNSUPPORTED, "JPEG"));
}
END_TEST

START_TEST(png_kinds)
{
        struct png_recipe rgb = {.width = 40,
                                  .height = 24,
                                  .depth = 8,
                                  .colour = PNG_COLOR_TYPE_RGB},
                          r;
        static const unsigned char bits[] = {0x55, 0xaa}; /* 2 rows of one byte */
        expect("RGB", make_png(rgb), READS(40, 24, 3, 39, 0, 220, 20, 135, 0));
        r = rgb, r.interlaced = true, r.width = 7, r.height = 5;
        expect("interlaced", make_png(r), READS(7, 5, 3, 6, 0, 220, 20, 135, 0));
        r = rgb, r.depth = 16;
        expect("RGB, 16 bits", make_png(r), READS(40, 24, 3, 39, 0, 220, 20, 135, 0));
        r = rgb, r.colour = PNG_COLOR_TYPE_GRAY;
        expect("grey", make_png(r), READS(40, 24, 1, 39, 0, 220, 0, 0, 0));
        r.depth = 16;
        expect("grey, 16 bits", make_png(r), READS(40, 24, 1, 39, 0, 220, 0, 0, 0));
        r = (struct png_recipe){.width = 8, .height = 2, .depth = 1, .rows = bits};
        expect("1 bit", make_png(r), READS(8, 2, 1, 1, 0, 255, 0, 0, 0));
        r.width = 4, r.depth = 2;
        expect("2 bits", make_png(r), READS(4, 2, 1, 1, 1, 170, 0, 0, 0));
        r.width = 2, r.depth = 4;
        expect("4 bits", make_png(r), READS(2, 2, 1, 0, 1, 170, 0, 0, 0));
        r = (struct png_recipe){.width = 8,
                .height = 2,
                .depth = 1,
                .rows = bits,
                .colour = PNG_COLOR_TYPE_PALETTE,
                .palette = 2};
        expect("palette of two", make_png(r), READS(8, 2, 3, 1, 0, 10, 245, 1, 0));
        r = rgb, r.colour = PNG_COLOR_TYPE_PALETTE, r.palette = 20;
        expect("palette", make_png(r), READS(40, 24, 3, 5, 1, 60, 195, 6, 0));
        r.trns = true;
        expect("palette, clear entry", make_png(r), READS(40, 24, 3, 0, 0, 255, 255, 255, 0));
        expect("palette, half clear entry", make_png(r), READS(40, 24, 3, 1, 0, 132, 250, 128, 1));
        expect("palette, opaque entry", make_png(r), READS(40, 24, 3, 2, 0, 20, 235, 2, 0));
        r = rgb, r.trns = true;
        expect("RGB with a clear colour", make_png(r), READS(40, 24, 3, 0, 0, 255, 255, 255, 0));
        r.colour = PNG_COLOR_TYPE_GRAY;
        expect("grey with a clear level", make_png(r), READS(40, 24, 1, 0, 5, 255, 0, 0, 0));
        r = rgb, r.width = r.height = 1;
        expect("1x1", make_png(r), READS(1, 1, 3, 0, 0, 120, 120, 135, 0));
        r = rgb, r.exif = 6;
        expect("eXIf", make_png(r), READS(24, 40, 3, 23, 0, 20, 20, 235, 0));
        r = rgb, r.texts = 100, r.text_size = 50;
        expect("100 texts", make_png(r), READS(40, 24, 3, 39, 0, 220, 20, 135, 0));
}
END_TEST

START_TEST(png_alpha)
{
        static const unsigned char ga[] = {0, 0, 100, 128, 200, 255, 7, 0},
                                   rgba[] = {10, 20, 30, 0, 10, 20, 30, 51};
        static const unsigned char rgba16[] = {0x10, 0, 0x20, 0, 0x30, 0, 0x80, 0};
        struct png_recipe r = {.width = 4,
                .height = 1,
                .depth = 8,
                .colour = PNG_COLOR_TYPE_GRAY_ALPHA,
                .rows = ga};
        expect("grey, clear", make_png(r), READS(4, 1, 1, 0, 0, 255, 0, 0, 0));
        expect("grey, half", make_png(r), READS(4, 1, 1, 1, 0, 177, 0, 0, 0));
        expect("grey, opaque", make_png(r), READS(4, 1, 1, 2, 0, 200, 0, 0, 0));
        r.colour = PNG_COLOR_TYPE_RGB_ALPHA, r.width = 2, r.rows = rgba;
        expect("RGBA, clear", make_png(r), READS(2, 1, 3, 0, 0, 255, 255, 255, 0));
        expect("RGBA, a fifth", make_png(r), READS(2, 1, 3, 1, 0, 206, 208, 210, 0));
        r.width = 1, r.depth = 16, r.rows = rgba16;
        expect("RGBA, 16 bits", make_png(r), READS(1, 1, 3, 0, 0, 135, 143, 151, 1));
        r.width = r.height = 9, r.rows = NULL, r.interlaced = true;
        expect("RGBA, 16 bits, interlaced", make_png(r), READS(9, 9, 3, 8, 0, 220, 20, 135, 0));
}
END_TEST

static void
mend_header(struct bytes b)
{
        poke(b, 29, (uint32_t)crc32(0, b.data + 12, 17), 4);
}

START_TEST(png_damage)
{
        struct png_recipe r = {.width = 40, .height = 24, .depth = 8, .colour = PNG_COLOR_TYPE_RGB};
        struct bytes b = make_png(r);
        b.size /= 2;
        expect("cut in the middle", b, FAILS(FORMAT, "cut short"));
        b = make_png(r), b.size -= 12;
        expect("without its end", b, FAILS(FORMAT, "cut short"));
        b = make_png(r), b.size = 8;
        expect("the signature alone", b, FAILS(FORMAT, "cut short"));
        b = make_png(r), b.data[b.size / 2] ^= 1;
        expect("a flipped bit", b, FAILS(FORMAT, "PNG"));
        b = make_png(r), poke(b, 16, 0, 4), mend_header(b);
        expect("no columns", b, FAILS(FORMAT, "PNG"));
        b = make_png(r), poke(b, 16, 20000, 4), mend_header(b);
        expect("20000 wide", b, FAILS(UNSUPPORTED, "20000x24 pixels: a side is over 16384"));
        b = make_png(r), poke(b, 16, 65500, 4), poke(b, 20, 65500, 4), mend_header(b);
        expect("65500x65500", b, FAILS(UNSUPPORTED, "65500x65500"));
        b = make_png(r), poke(b, 16, 8000, 4), poke(b, 20, 8000, 4), mend_header(b);
        expect("a small file that says 8000x8000", b, FAILS(FORMAT, "cannot hold 8000x8000"));
        b = make_png(r), poke(b, 16, 0x7fffffff, 4), mend_header(b);
        expect("2^31 wide", b, FAILS(UNSUPPORTED, "2147483647x24"));
        b = make_png(r), poke(b, 24, 0x0303, 2), mend_header(b);
        expect("a depth of 3", b, FAILS(FORMAT, "PNG"));
        r.exif = 6;
        b = make_png(r), poke(b, find(b, "eXIf", 4) - 4, 0x7ffffff0, 4);
        expect("2 GiB of eXIf", b, FAILS(FORMAT, "PNG"));
        r.exif = 0, r.height = 25;
        b = make_png(r), poke(b, 20, 24, 4), mend_header(b);
        expect("a row too many", b, READS(40, 24, 3, 39, 0, 220, 20, 135, 0));
        r.texts = 1, r.text_size = 9 << 20;
        expect("9 MB of text", make_png(r),
                READS(40, 25, 3, 39, 0, 220, 20, 135, 0)); /* skipped, not kept */
}
END_TEST

START_TEST(other_files)
{
        static const struct {
                const char *bytes;
                size_t size;
                resect_code code;
                const char *says;
        } rows[] = {
                {"", 0, RESECT_FORMAT, "empty"},
                {"GIF89a\1\0\1\0", 10, RESECT_UNSUPPORTED, "GIF"},
                {"RIFF\0\0\0\0WEBPVP8 ", 16, RESECT_UNSUPPORTED, "WebP"},
                {"II*\0\10\0\0\0", 8, RESECT_UNSUPPORTED, "TIFF"},
                {"MM\0*\0\0\0\10", 8, RESECT_UNSUPPORTED, "TIFF"},
                {"\0\0\0\x18"
                 "ftypheic",
                        12, RESECT_UNSUPPORTED, "HEIF"},
                {"BM\0\0\0\0", 6, RESECT_UNSUPPORTED, "BMP"},
                {"<!DOCTYPE html>", 15, RESECT_FORMAT, "neither"},
                {"\xff\xd8", 2, RESECT_FORMAT, "neither"},
                {"\x89PNG", 4, RESECT_FORMAT, "neither"},
        };
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
                struct bytes b = {malloc(rows[i].size + 1), rows[i].size};
                memcpy(b.data, rows[i].bytes, rows[i].size);
                expect(rows[i].says, b,
                        (struct outcome){.code = rows[i].code, .says = rows[i].says});
        }
}
END_TEST

START_TEST(odd_paths)
{
        char folder[] = "/tmp/resect-image-XXXXXX", path[64];
        ck_assert_ptr_nonnull(mkdtemp(folder));
        static const char *const names[] = {
                "folder.jpg", "fifo.jpg", "absent.jpg", "loop.jpg", "zero.jpg", "good.gif"};
        static const char *const says[] = {
                "is a directory", "not a regular file", "No such file", "symbolic", "empty", NULL};
        for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
                snprintf(path, sizeof path, "%s/%s", folder, names[i]);
                if (i == 0)
                        ck_assert_int_eq(mkdir(path, 0777), 0);
                else if (i == 1)
                        ck_assert_int_eq(mkfifo(path, 0666), 0);
                else if (i == 3)
                        ck_assert_int_eq(symlink("loop.jpg", path), 0);
                else if (i == 4)
                        save(path, (struct bytes){0});
                else if (i == 5) { /* the name lies, the bytes count */
                        struct bytes b =
                                make_png((struct png_recipe){.width = 3, .height = 2, .depth = 8});
                        save(path, b);
                        free(b.data);
                }
                resect_error err = {0};
                rs_picture p;
                bool ok = rs_picture_load(&p, path, 3, &err);
                if (says[i])
                        ck_assert_msg(!ok && strstr(err.msg, says[i]) && strstr(err.msg, path),
                                "%s: %s", path, err.msg);
                else
                        ck_assert_msg(
                                ok && p.width == 3 && p.channels == 3, "%s: %s", path, err.msg);
                rs_picture_free(&p);
                remove(path);
        }
        rmdir(folder);
        resect_error err = {0};
        rs_picture p;
        ck_assert(!rs_picture_load(&p, "/dev/zero", 3, &err) &&
                  strstr(err.msg, "not a regular file"));
}
END_TEST

START_TEST(write_and_read_back)
{
        for (int channels = 1; channels <= 3; channels += 2) {
                resect_error err = {0};
                rs_picture p, q;
                rs_buf file = {0};
                CK_OK(rs_picture_make(&p, 31, 17, channels, &err), err);
                for (size_t i = 0; i < rs_picture_bytes(&p); i++)
                        p.pixels[i] = (unsigned char)(i * 37);
                CK_OK(rs_png_encode(&p, &file, &err), err);
                CK_OK(rs_picture_decode(&q, (rs_span){file.data, file.size}, 0, &err), err);
                ck_assert_int_eq(q.channels, channels);
                ck_assert_mem_eq(p.pixels, q.pixels, rs_picture_bytes(&p));
                rs_picture_free(&p);
                rs_picture_free(&q);
                rs_buf_free(&file);
        }
}
END_TEST

UNIT_MAIN("image zoo", jpeg_kinds, jpeg_inks, jpeg_orientation, jpeg_damage, png_kinds, png_alpha,
        png_damage, other_files, odd_paths, write_and_read_back)
