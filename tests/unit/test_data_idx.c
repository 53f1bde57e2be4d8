/* SPDX-License-Identifier: 0BSD */
/* IDX files: good, gzip, lying, cut; and Debian's Fashion-MNIST. */
#include "config.h" /* _GNU_SOURCE, before the first system header */

#include "unit.h"
#include "trees.h"

#include <math.h>
#include <zlib.h>
#include "image/image.h"

static const resect_input tiny = {.channels = 1, .height = 4, .width = 4, .std = {1, 1, 1}};

/* An IDX file of bytes 0, 1, 2 ...; labels are 0, 1, 2, 0, 1 ... */
static struct bytes
idx(int rank, const uint32_t *dims, bool labels)
{
        size_t n = 1;
        for (int i = 0; i < rank; i++)
                n *= dims[i];
        struct bytes b = {calloc(1, 4 + 4 * (size_t)rank + n), 4 + 4 * (size_t)rank + n};
        poke(b, 2, 0x0800u | (unsigned)rank, 2);
        for (int i = 0; i < rank; i++)
                poke(b, 4 + 4 * (size_t)i, dims[i], 4);
        for (size_t i = 0; i < n; i++)
                b.data[4 + 4 * (size_t)rank + i] = (unsigned char)(labels ? i % 3 : i);
        return b;
}

static struct bytes
squeeze(struct bytes b)
{
        struct bytes out = {malloc(b.size + 100), 0};
        z_stream z = {.next_in = b.data,
                .avail_in = (uInt)b.size,
                .next_out = out.data,
                .avail_out = (uInt)b.size + 100};
        ck_assert_int_eq(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
        ck_assert_int_eq(deflate(&z, Z_FINISH), Z_STREAM_END);
        out.size = z.total_out;
        deflateEnd(&z);
        free(b.data);
        return out;
}

static void
put(const char *root, const char *name, struct bytes b)
{
        char path[128];
        snprintf(path, sizeof path, "%s/%s", root, name);
        save(path, b);
        free(b.data);
}

static void
check_row(const resect_data *d, resect_split split, size_t i, int first)
{
        resect_error err;
        float out[16];
        CK_OK(resect_data_sample(d, split, i, &tiny, NULL, 0, 0, out, &err), err);
        for (int k = 0; k < 16; k++)
                ck_assert_int_eq((int)lrintf(out[k] * 255), (first + k) % 256);
}

START_TEST(pairs)
{
        for (int packed = 0; packed < 2; packed++) {
                char root[64], path[128];
                resect_error err;
                const char *end = packed ? ".gz" : "";
                snprintf(path, sizeof path, "%s/my-images-idx3-ubyte%s", new_root(root), end);
                struct bytes x = idx(3, (uint32_t[]){20, 4, 4}, false),
                             y = idx(1, (uint32_t[]){20}, true);
                save(path, packed ? x = squeeze(x) : x);
                put(root, "my-labels-idx1-ubyte", y); /* found with and without .gz */
                free(x.data);
                resect_data *d = resect_data_open(path, NULL, &err);
                ck_assert_msg(d != NULL, "%s", err.msg);
                ck_assert(resect_data_count(d, RESECT_TRAIN) == 20 &&
                          resect_data_class_count(d) == 3);
                ck_assert_str_eq(resect_data_class(d, 2), "2");
                ck_assert_str_eq(resect_data_name(d, RESECT_TRAIN, 17), "#17");
                ck_assert_int_eq(resect_data_label(d, RESECT_TRAIN, 17), 2);
                check_row(d, RESECT_TRAIN, 17, 17 * 16);
                int64_t chw[3];
                ck_assert(resect_data_raw_shape(d, chw) && chw[0] == 1 && chw[1] == 4 &&
                          chw[2] == 4 && !resect_data_is_raw(d));
                resect_data_free(d);
                /* grey to three channels, resized, in another order */
                resect_input wide = {.channels = 3,
                        .height = 8,
                        .width = 6,
                        .resize = 8,
                        .std = {1, 1, 1},
                        .nhwc = true};
                float out[8 * 6 * 3];
                d = resect_data_open(
                        path, &(resect_data_options){.val = 0.4, .per_class = 2}, &err);
                ck_assert_msg(d != NULL, "%s", err.msg);
                ck_assert_uint_eq(resect_data_count(d, RESECT_TRAIN), 6);
                CK_OK(resect_data_sample(d, RESECT_VAL, 0, &wide, NULL, 0, 0, out, &err), err);
                for (int k = 0; k < 8 * 6; k++)
                        ck_assert(out[3 * k] == out[3 * k + 1] && out[3 * k] == out[3 * k + 2]);
                resect_data_free(d);
                fell(root);
        }
}
END_TEST

START_TEST(folder_of_both_halves)
{
        static const char *const wanted[] = {"shirt", "shoe"};
        char root[64];
        resect_error err;
        new_root(root);
        put(root, "train-images-idx3-ubyte.gz", squeeze(idx(3, (uint32_t[]){9, 4, 4}, false)));
        put(root, "train-labels-idx1-ubyte.gz", squeeze(idx(1, (uint32_t[]){9}, true)));
        put(root, "t10k-images-idx3-ubyte", idx(3, (uint32_t[]){6, 4, 4}, false));
        put(root, "t10k-labels-idx1-ubyte", idx(1, (uint32_t[]){6}, true));
        put(root, "labels.txt",
                (struct bytes){(unsigned char *)strdup("shoe\ncoat\nshirt\nbag\n"), 20});
        resect_data *d = resect_data_open(
                root, &(resect_data_options){.classes = wanted, .n_classes = 2}, &err);
        ck_assert_msg(d != NULL, "%s", err.msg);
        ck_assert(resect_data_count(d, RESECT_TRAIN) == 6 && resect_data_count(d, RESECT_VAL) == 4);
        ck_assert_str_eq(resect_data_name(d, RESECT_TRAIN, 1), "train#2");
        ck_assert_int_eq(resect_data_label(d, RESECT_TRAIN, 0),
                1); /* 0 is a shoe, the second that was wanted */
        ck_assert_int_eq(resect_data_label(d, RESECT_TRAIN, 1), 0);
        ck_assert_str_eq(resect_data_name(d, RESECT_VAL, 3), "t10k#5");
        check_row(d, RESECT_TRAIN, 1, 2 * 16);
        check_row(d, RESECT_VAL, 3, 5 * 16);
        resect_data_free(d);
        fell(root);
}
END_TEST

START_TEST(lies)
{
        struct row {
                const char *says;
                struct bytes x, y;
                bool pack;
        } rows[] = {
                {"cut short", idx(3, (uint32_t[]){9, 4, 4}, false), idx(1, (uint32_t[]){9}, true),
                        0},
                {"cut short", idx(3, (uint32_t[]){9, 4, 4}, false), idx(1, (uint32_t[]){9}, true),
                        1},
                {"longer than its sizes say", idx(3, (uint32_t[]){9, 4, 4}, false),
                        idx(1, (uint32_t[]){9}, true), 0},
                {"longer than its sizes say", idx(3, (uint32_t[]){9, 4, 4}, false),
                        idx(1, (uint32_t[]){9}, true), 1},
                {"cut short: sizes that make", idx(3, (uint32_t[]){9, 4, 4}, false),
                        idx(1, (uint32_t[]){9}, true), 0},
                {"cut short: sizes that make", idx(3, (uint32_t[]){9, 4, 4}, false),
                        idx(1, (uint32_t[]){9}, true), 1},
                {"size 1 is 0", idx(3, (uint32_t[]){9, 4, 4}, false), idx(1, (uint32_t[]){9}, true),
                        0},
                {"IDX of type 0x0d", idx(3, (uint32_t[]){9, 4, 4}, false),
                        idx(1, (uint32_t[]){9}, true), 0},
                {"9 images, but 8 labels", idx(3, (uint32_t[]){9, 4, 4}, false),
                        idx(1, (uint32_t[]){8}, true), 0},
                {"rank 1 and 1", idx(1, (uint32_t[]){9}, false), idx(1, (uint32_t[]){9}, true), 0},
                {"2 channels", idx(4, (uint32_t[]){9, 4, 4, 2}, false),
                        idx(1, (uint32_t[]){9}, true), 0},
                {"a side is over 16384", idx(3, (uint32_t[]){1, 1, 20000}, false),
                        idx(1, (uint32_t[]){1}, true), 0},
        };
        rows[0].x.size -= 1;
        rows[1].x.size -= 1;
        poke(rows[2].x, 4, 8, 4), poke(rows[2].y, 4, 8, 4);
        poke(rows[3].x, 4, 8, 4);
        for (size_t k = 0; k < 3; k++) {
                poke(rows[4].x, 4 + 4 * k, 0xffffffff, 4);
                poke(rows[5].x, 4 + 4 * k, 0xffffffff, 4);
        }
        poke(rows[6].x, 8, 0, 4);
        poke(rows[7].x, 2, 0x0d03, 2);
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
                char root[64], path[128];
                resect_error err;
                snprintf(path, sizeof path, "%s/a-images%s", new_root(root),
                        rows[i].pack ? ".gz" : "");
                if (rows[i].pack)
                        rows[i].x = squeeze(rows[i].x);
                save(path, rows[i].x);
                free(rows[i].x.data);
                put(root, "a-labels", rows[i].y);
                resect_data *d = resect_data_open(path, NULL, &err);
                ck_assert_msg(!d && strstr(err.msg, rows[i].says), "row %zu: %s", i,
                        d ? "was read" : err.msg);
                fell(root);
        }
}
END_TEST

/* Any cut of a gzip file, and any damage in it, is found. (The last byte of the deflate stream ends
 * in bits that mean nothing.) */
START_TEST(damaged_gzip)
{
        char root[64], path[128];
        resect_error err;
        snprintf(path, sizeof path, "%s/a-images.gz", new_root(root));
        put(root, "a-labels", idx(1, (uint32_t[]){9}, true));
        struct bytes good = squeeze(idx(3, (uint32_t[]){9, 4, 4}, false));
        for (size_t n = 0; n < good.size; n++) {
                save(path, (struct bytes){good.data, n});
                ck_assert_msg(!resect_data_open(path, NULL, &err), "%zu of %zu bytes were read", n,
                        good.size);
        }
        for (size_t i = 10; i < good.size; i++) {
                if (i == good.size - 9)
                        continue;
                good.data[i] ^= 0x10;
                save(path, good);
                ck_assert_msg(!resect_data_open(path, NULL, &err),
                        "a flip at %zu of %zu was not found", i, good.size);
                good.data[i] ^= 0x10;
        }
        free(good.data);
        fell(root);
}
END_TEST

START_TEST(fashion_mnist)
{
        static const char folder[] = "/usr/share/datasets/fashion-mnist";
        static const char *const two[] = {"9", "3"};
        if (access(folder, R_OK) != 0) {
                fprintf(stderr, "SKIPPED: no %s\n", folder);
                return;
        }
        resect_error err;
        resect_data *d = resect_data_open(folder, NULL, &err);
        ck_assert_msg(d != NULL, "%s", err.msg);
        ck_assert(resect_data_count(d, RESECT_TRAIN) == 60000 &&
                  resect_data_count(d, RESECT_VAL) == 10000);
        ck_assert_uint_eq(resect_data_class_count(d), 10);
        resect_data_free(d);
        d = resect_data_open(folder,
                &(resect_data_options){.classes = two, .n_classes = 2, .per_class = 50}, &err);
        ck_assert_msg(d != NULL, "%s", err.msg);
        ck_assert(resect_data_count(d, RESECT_TRAIN) == 100 &&
                  resect_data_count(d, RESECT_VAL) == 2000);
        resect_data_free(d);
}
END_TEST

static void
has_shirts(const resect_data *d)
{
        ck_assert_uint_eq(resect_data_count(d, RESECT_TRAIN), 9);
        ck_assert_str_eq(resect_data_class(d, 2), "shirt");
}

/* No memory to look for the files is not the same as no files. */
START_TEST(out_of_memory)
{
        char root[64];
        new_root(root);
        put(root, "train-images-idx3-ubyte", idx(3, (uint32_t[]){9, 4, 4}, false));
        put(root, "train-labels-idx1-ubyte.gz", squeeze(idx(1, (uint32_t[]){9}, true)));
        put(root, "labels.txt", (struct bytes){(unsigned char *)strdup("shoe\ncoat\nshirt\n"), 16});
        open_starved(root, has_shirts);
        fell(root);
}
END_TEST

UNIT_MAIN(
        "data idx", pairs, folder_of_both_halves, out_of_memory, lies, damaged_gzip, fashion_mnist)
