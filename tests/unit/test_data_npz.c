/* SPDX-License-Identifier: 0BSD */
/* Tensors from .npz as data: taken as they are, refused when they are not what the header promises.
 */
#include "config.h" /* _GNU_SOURCE, before the first system header */

#include "unit.h"
#include "trees.h"

#include <zip.h>
#include "image/image.h"

enum { N = 5, C = 2 + 1, H = 4, W = 6, ROW = C * H * W };

static const resect_input input = {.channels = C, .height = H, .width = W, .std = {1, 1, 1}};
static float pixels[N * ROW];
static int64_t labels[N] = {0, 3, 1, 3, 0};

static void
add(zip_t *z, const char *name, const char *dtype, const char *shape, const void *data, size_t size)
{
        char *npy = calloc(1, 128 + size);
        memcpy(npy, "\x93NUMPY\1\0\x76\0", 10);
        int n = snprintf(npy + 10, 118, "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }",
                dtype, shape);
        memset(npy + 10 + n, ' ', (size_t)(117 - n));
        npy[127] = '\n';
        memcpy(npy + 128, data, size);
        zip_source_t *s = zip_source_buffer(z, npy, 128 + size, 1);
        ck_assert(s && zip_file_add(z, name, s, ZIP_FL_OVERWRITE) >= 0);
}

struct recipe {
        const char *x_type, *x_shape, *y_type, *y_shape, *names, *says;
        size_t x_size, y_size;
        int64_t bad_label;
};

static void
write_npz(const char *path, struct recipe r)
{
        int64_t y[N];
        memcpy(y, labels, sizeof y);
        y[2] = r.bad_label ? r.bad_label : y[2];
        for (size_t i = 0; i < N * ROW; i++)
                pixels[i] = (float)i - 17;
        zip_t *z = zip_open(path, ZIP_CREATE | ZIP_TRUNCATE, NULL);
        ck_assert_ptr_nonnull(z);
        if (r.x_type)
                add(z, "x.npy", r.x_type, r.x_shape, pixels, r.x_size);
        if (r.y_type)
                add(z, "y.npy", r.y_type, r.y_shape, y, r.y_size);
        char shape[16];
        snprintf(shape, sizeof shape, "%zu,", r.names ? strlen(r.names) : 0);
        if (r.names)
                add(z, "names.npy", "|u1", shape, r.names, strlen(r.names));
        ck_assert_int_eq(zip_close(z), 0);
}

static const struct recipe good = {"<f4", "5, 3, 4, 6", "<i8", "5,", "rose\nlily\n\ntulip\n", NULL,
        sizeof pixels, sizeof labels, 0};

START_TEST(as_they_are)
{
        char root[64], path[96];
        resect_error err;
        snprintf(path, sizeof path, "%s/data.npz", new_root(root));
        write_npz(path, good);
        resect_data *d = resect_data_open(path, NULL, &err);
        ck_assert_msg(d != NULL, "%s", err.msg);
        int64_t chw[3];
        ck_assert(resect_data_is_raw(d) && resect_data_raw_shape(d, chw) && chw[0] == C &&
                  chw[1] == H && chw[2] == W);
        ck_assert_uint_eq(resect_data_class_count(d), 4);
        ck_assert_str_eq(resect_data_class(d, 3), "tulip");
        for (size_t i = 0; i < N; i++) {
                float out[ROW], nhwc[ROW];
                resect_input last = input;
                last.nhwc = true;
                ck_assert_int_eq(resect_data_label(d, RESECT_TRAIN, i), labels[i]);
                CK_OK(resect_data_sample(d, RESECT_TRAIN, i, &input, NULL, 0, 0, out, &err), err);
                ck_assert_mem_eq(out, pixels + i * ROW, sizeof out);
                CK_OK(resect_data_sample(d, RESECT_TRAIN, i, &last, NULL, 0, 0, nhwc, &err), err);
                for (int k = 0; k < ROW; k++)
                        ck_assert_float_eq(nhwc[k % (H * W) * C + k / (H * W)], out[k]);
        }
        float out[ROW];
        resect_input other = input;
        other.height = 5;
        ck_assert(!resect_data_sample(d, RESECT_TRAIN, 0, &other, NULL, 0, 0, out, &err) &&
                  err.code == RESECT_ARG);
        ck_assert_msg(strstr(err.msg, "holds 3x4x6, the model wants 3x5x6"), "%s", err.msg);
        resect_data_free(d);
        fell(root);
}
END_TEST

/* Every shift within the bounds and both flips occur, and nothing else. */
START_TEST(flips_and_shifts)
{
        char root[64], path[96];
        resect_error err;
        snprintf(path, sizeof path, "%s/data.npz", new_root(root));
        write_npz(path, good);
        resect_data *d = resect_data_open(path, NULL, &err);
        ck_assert_ptr_nonnull(d);
        resect_augment how = {.flip = true, .pad = 1, .crop = true};
        int seen[2][3][3] = {{{0}}};
        for (uint64_t e = 0; e < 300; e++) {
                float out[ROW];
                int hits = 0;
                CK_OK(resect_data_sample(d, RESECT_TRAIN, 1, &input, &how, 9, e, out, &err), err);
                for (int f = 0; f < 18; f++) {
                        int dx = f % 3 - 1, dy = f / 3 % 3 - 1;
                        bool same = true;
                        for (int k = 0; k < ROW; k++) {
                                int x = k % W, y = k / W % H, c = k / (H * W);
                                int u = (f >= 9 ? W - 1 - x : x) - dx, v = y - dy;
                                bool inside = u >= 0 && u < W && v >= 0 && v < H;
                                same = same &&
                                       out[k] == (inside ? pixels[ROW + (c * H + v) * W + u] : 0);
                        }
                        hits += same;
                        seen[f / 9][dy + 1][dx + 1] += same;
                }
                ck_assert_int_eq(hits, 1);
        }
        for (int f = 0; f < 18; f++)
                ck_assert_int_gt(seen[f / 9][f / 3 % 3][f % 3], 3);
        resect_data_free(d);
        fell(root);
}
END_TEST

START_TEST(refused)
{
        struct recipe rows[] = {good, good, good, good, good, good, good, good, good, good};
        rows[0].x_type = NULL, rows[0].says = "'x'";
        rows[1].y_type = NULL, rows[1].says = "'y'";
        rows[2].x_type = "<f8", rows[2].x_shape = "1, 5, 3, 12",
        rows[2].says = "x is float64 of rank 4";
        rows[3].x_shape = "5, 72", rows[3].says = "x is float32 of rank 2";
        rows[4].y_type = "<f8", rows[4].says = "y is float64";
        rows[5].y_shape = "1, 5", rows[5].says = "y is int64 of rank 2";
        rows[6].y_shape = "4,", rows[6].y_size -= 8, rows[6].says = "x has 5 samples, y 4";
        rows[7].bad_label = -1, rows[7].says = "y[2] is -1";
        rows[8].bad_label = INT64_MAX, rows[8].says = "y[2] is 9223372036854775807";
        rows[9].names = "rose\nlily\n", rows[9].says = "2 names; labels go up to 3";
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
                char root[64], path[96];
                resect_error err;
                snprintf(path, sizeof path, "%s/data.npz", new_root(root));
                write_npz(path, rows[i]);
                resect_data *d = resect_data_open(path, NULL, &err);
                ck_assert_msg(!d && strstr(err.msg, rows[i].says) && strstr(err.msg, path),
                        "row %zu: %s", i, d ? "was read" : err.msg);
                fell(root);
        }
}
END_TEST

START_TEST(real_file)
{
        char path[1024];
        const char *real = getenv("RESECT_REAL");
        snprintf(path, sizeof path, "%s/pictures/cifar10-136.npz", real ? real : "");
        if (access(path, R_OK) != 0) {
                fprintf(stderr, "SKIPPED: no %s\n", path);
                return;
        }
        resect_error err;
        int64_t chw[3];
        resect_data *d = resect_data_open(path, NULL, &err);
        ck_assert_msg(d != NULL, "%s", err.msg);
        ck_assert(resect_data_raw_shape(d, chw) && chw[0] == 3 && chw[1] == 32 && chw[2] == 32);
        ck_assert_uint_eq(resect_data_count(d, RESECT_TRAIN), 136);
        resect_data_free(d);
}
END_TEST

static void
has_tulips(const resect_data *d)
{
        ck_assert_uint_eq(resect_data_count(d, RESECT_TRAIN), N);
        ck_assert_str_eq(resect_data_class(d, 3), "tulip");
}

/* No memory to look for the names is not the same as no names. */
START_TEST(out_of_memory)
{
        char root[64], path[96];
        snprintf(path, sizeof path, "%s/data.npz", new_root(root));
        write_npz(path, good);
        open_starved(path, has_tulips);
        fell(root);
}
END_TEST

UNIT_MAIN("data npz", as_they_are, out_of_memory, flips_and_shifts, refused, real_file)
