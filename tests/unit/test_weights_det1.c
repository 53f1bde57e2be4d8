/* SPDX-License-Identifier: 0BSD */
/* One small real net in three formats, which three programs wrote: the same weights but for turned
 * kernels, and RGB for BGR. */
#include "config.h"
#include "unit.h"

#include <string.h>
#include "tensor/dtype.h"
#include "weights/weights.h"

static rs_checkpoint *
open_real(const char *real, const char *name)
{
        char path[4096];
        resect_error err;
        snprintf(path, sizeof path, "%s/checkpoints/%s", real, name);
        rs_checkpoint *c = rs_checkpoint_read(path, NULL, 0, &err);
        CK_OK(c != NULL, err);
        ck_assert_uint_eq(c->n_skipped, 0);
        ck_assert_uint_eq(c->n_entries, 13);
        return c;
}

/* Element (o, i, y, x) of a kernel, turned (height for width) or with its inputs reversed. */
static double
at(const rs_entry *e, const int64_t *d, int64_t o, int64_t i, int64_t y, int64_t x, int turn,
        int reverse)
{
        if (reverse)
                i = d[1] - 1 - i;
        int64_t index = ((o * d[1] + i) * d[2] + (turn ? x : y)) * d[3] + (turn ? y : x);
        return rs_load(e->data.data, e->dtype, (size_t)index);
}

static bool
same(const rs_entry *a, const rs_entry *b, int turn, int reverse)
{
        const int64_t *d = a->dims;
        if (a->rank != 4)
                return a->bytes == b->bytes && !memcmp(a->data.data, b->data.data, a->bytes);
        for (int64_t o = 0; o < d[0]; o++)
                for (int64_t i = 0; i < d[1]; i++)
                        for (int64_t y = 0; y < d[2]; y++)
                                for (int64_t x = 0; x < d[3]; x++)
                                        if (at(a, d, o, i, y, x, 0, 0) !=
                                                at(b, d, o, i, y, x, turn, reverse))
                                                return false;
        return true;
}

static const rs_entry *
find(const rs_checkpoint *c, const char *name)
{
        const rs_entry *e = rs_checkpoint_find(c, name);
        ck_assert_msg(e != NULL, "%s: no %s", c->path, name);
        ck_assert_int_eq(e->dtype, RESECT_FLOAT);
        return e;
}

START_TEST(three_formats)
{
        static const struct {
                const char *caffe, *mxnet, *ncnn;
        } t[] = {{"conv1/0", "conv1_weight", "conv1.weight"},
                {"conv1/1", "conv1_bias", "conv1.bias"},
                {"PReLU1/0", "prelu1_gamma", "prelu1.weight"},
                {"conv2/0", "conv2_weight", "conv2.weight"},
                {"conv2/1", "conv2_bias", "conv2.bias"},
                {"PReLU2/0", "prelu2_gamma", "prelu2.weight"},
                {"conv3/0", "conv3_weight", "conv3.weight"},
                {"conv3/1", "conv3_bias", "conv3.bias"},
                {"PReLU3/0", "prelu3_gamma", "prelu3.weight"},
                {"conv4-1/0", "conv4_1_weight", "conv4_1.weight"},
                {"conv4-1/1", "conv4_1_bias", "conv4_1.bias"},
                {"conv4-2/0", "conv4_2_weight", "conv4_2.weight"},
                {"conv4-2/1", "conv4_2_bias", "conv4_2.bias"}};
        const char *real = getenv("RESECT_REAL");
        rs_checkpoint *caffe = open_real(real, "det1.caffemodel"),
                      *mxnet = open_real(real, "det1-0001.params"),
                      *ncnn = open_real(real, "det1.ncnn.param");
        ck_assert_str_eq(caffe->format->name, "caffe");
        ck_assert_str_eq(mxnet->format->name, "mxnet");
        ck_assert_str_eq(ncnn->format->name, "ncnn");
        for (size_t i = 0; i < 13; i++) {
                const rs_entry *a = find(caffe, t[i].caffe), *b = find(mxnet, t[i].mxnet),
                               *c = find(ncnn, t[i].ncnn);
                ck_assert_int_eq(a->rank, b->rank);
                ck_assert_int_eq(a->rank, c->rank);
                for (int k = 0; k < a->rank; k++)
                        ck_assert(a->dims[k] == b->dims[k] && a->dims[k] == c->dims[k]);
                int swaps[2] = {-1, -1};
                for (int way = 0; way < 4; way++) {
                        if (swaps[0] < 0 && same(a, b, way & 1, way >> 1))
                                swaps[0] = way;
                        if (swaps[1] < 0 && same(a, c, way & 1, way >> 1))
                                swaps[1] = way;
                }
                ck_assert_msg(
                        swaps[0] >= 0, "%s is not %s, turn it as you like", t[i].mxnet, t[i].caffe);
                ck_assert_msg(
                        swaps[1] >= 0, "%s is not %s, turn it as you like", t[i].ncnn, t[i].caffe);
                /* 3x3 kernels are turned, the first one's inputs are reversed too */
                int want = a->rank == 4 && a->dims[2] > 1 ? (i == 0 ? 3 : 1) : 0;
                ck_assert_int_eq(swaps[0], want);
                ck_assert_int_eq(swaps[1], want);
        }
        rs_checkpoint_free(caffe);
        rs_checkpoint_free(mxnet);
        rs_checkpoint_free(ncnn);
}
END_TEST

static int
with_real_files(void)
{
        Suite *s = suite_create("det1");
        TCase *c = tcase_create("all");
        tcase_add_test(c, three_formats);
        suite_add_tcase(s, c);
        SRunner *r = srunner_create(s);
        srunner_run_all(r, CK_NORMAL);
        int failed = srunner_ntests_failed(r);
        srunner_free(r);
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

int
main(void)
{
        const char *real = getenv("RESECT_REAL");
        char path[4096];
        snprintf(path, sizeof path, "%s/checkpoints/det1.caffemodel", real ? real : "");
        FILE *f = fopen(path, "rb");
        if (!f) {
                printf("SKIP: no real checkpoints: RESECT_REAL is '%s'\n", real ? real : "");
                return 77;
        }
        fclose(f);
        return with_real_files();
}
