/* SPDX-License-Identifier: 0BSD */
/* Damaged files: 3000 corruptions and every prefix of a JPEG and a PNG, and every allocation
 * failing. Never more than an error. */
#include "unit.h"
#include "pictures.h"

#include "base/random.h"
#include "image/image.h"

static void
try(struct bytes b)
{
        resect_error err = {0};
        rs_picture p;
        if (rs_picture_decode(&p, (rs_span){b.data, b.size}, 3, &err))
                ck_assert(p.pixels && p.channels == 3 && p.width > 0 && p.height > 0);
        else
                ck_assert(!p.pixels && err.code != RESECT_OK && err.msg[0]);
        rs_picture_free(&p);
}

static struct bytes
sample(int kind)
{
        unsigned char exif[32];
        struct jpeg_recipe j = {
                .width = 33, .height = 29, .channels = 3, .subsample = true, .exif = exif};
        struct png_recipe p = {.width = 33, .height = 29, .depth = 8, .colour = PNG_COLOR_TYPE_RGB};
        j.exif_size = make_exif(exif, true, 6);
        switch (kind) {
        case 0:
                return make_jpeg(j);
        case 1:
                j.progressive = true;
                return make_jpeg(j);
        case 2:
                return make_png(p);
        default:
                p.colour = PNG_COLOR_TYPE_PALETTE, p.palette = 30, p.trns = true,
                p.interlaced = true;
                return make_png(p);
        }
}

/* 1 to 8 bytes changed, or a run taken out or doubled. */
START_TEST(corruptions)
{
        for (int kind = 0; kind < 4; kind++) {
                struct bytes good = sample(kind);
                for (uint64_t i = 0; i < 1500; i++) {
                        uint64_t stream = rs_stream("corrupt", (uint64_t)kind, i), k = 0;
#define BELOW(n) ((size_t)rs_below(7, stream, k++, (n)))
                        struct bytes b = {malloc(good.size * 2), good.size};
                        memcpy(b.data, good.data, good.size);
                        size_t changes = 1 + BELOW(8);
                        for (size_t c = 0; c < changes; c++) {
                                size_t where = BELOW(b.size);
                                b.data[where] = (unsigned char)BELOW(256);
                        }
                        size_t at = BELOW(b.size), n = BELOW(b.size - at);
                        if (i % 4 == 0) {
                                memmove(b.data + at, b.data + at + n, b.size - at - n);
                                b.size -= n;
                        } else if (i % 4 == 1) {
                                memmove(b.data + at + n, b.data + at, b.size - at);
                                b.size += n;
                        }
                        b.data = realloc(b.data,
                                b.size ? b.size : 1); /* so that ASan sees one byte too far */
                        try(b);
                        free(b.data);
                }
                free(good.data);
        }
}
END_TEST

START_TEST(prefixes)
{
        for (int kind = 0; kind < 4; kind++) {
                struct bytes good = sample(kind);
                for (size_t n = 0; n < good.size; n++) {
                        resect_error err = {0};
                        rs_picture p;
                        unsigned char *exact = malloc(n ? n : 1);
                        memcpy(exact, good.data, n);
                        ck_assert_msg(!rs_picture_decode(&p, (rs_span){exact, n}, 3, &err),
                                "kind %d: %zu of %zu bytes were read", kind, n, good.size);
                        free(exact);
                }
                free(good.data);
        }
}
END_TEST

static size_t until_failure;

static void *
failing_malloc(size_t n)
{
        return until_failure-- == 0 ? NULL : malloc(n);
}

START_TEST(failing_allocations)
{
        for (int kind = 0; kind < 4; kind++) {
                struct bytes good = sample(kind);
                bool done = false;
                for (size_t k = 0; !done; k++) {
                        resect_error err = {0};
                        rs_picture p;
                        until_failure = k;
                        rs_hooks.malloc = failing_malloc;
                        done = rs_picture_decode(&p, (rs_span){good.data, good.size}, 1, &err);
                        rs_hooks.malloc = malloc;
                        ck_assert_msg(done || err.code == RESECT_NOMEM, "%s", err.msg);
                        ck_assert(done ? k > 0 : !p.pixels);
                        rs_picture_free(&p);
                }
                free(good.data);
        }
}
END_TEST

UNIT_MAIN("image damage", corruptions, prefixes, failing_allocations)
