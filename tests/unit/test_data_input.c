/* SPDX-License-Identifier: 0BSD */
/* resect.input: parsed, written, and guessed from the shape of a model's input. */
#include "unit.h"

#include <locale.h>
#include <string.h>
#include "model/model.h"
#include "resect/data.h"

static resect_model *
with_input(int rank, const int64_t *dims)
{
        resect_error err;
        resect_model *m = rs_model_new(&err);
        ck_assert_ptr_nonnull(m);
        rs_value *v = rs_model_make_value(m, "x", RESECT_FLOAT, rank, dims, NULL, &err);
        ck_assert_msg(
                v && rs_array_push(m, (void ***)&m->graph.inputs, &m->graph.n_inputs, v, &err),
                "%s", err.msg);
        return m;
}

START_TEST(guesses)
{
        static const struct {
                int rank;
                int64_t dims[4];
                int channels, height, width, resize;
                bool nhwc;
        } rows[] = {
                {4, {1, 3, 224, 224}, 3, 224, 224, 256, false},
                {4, {-1, 3, -1, -1}, 3, 224, 224, 256, false},
                {4, {1, 1, 28, 28}, 1, 28, 28, 32, false},
                {4, {-1, 299, 299, 3}, 3, 299, 299, 342, true},
                {4, {-1, -1, 128, 96}, 3, 128, 96, 110, false},
                {4, {-1, 3, 32, 32}, 3, 32, 32, 37, false},
                {4, {1, 3, 64, 3}, 3, 64, 3, 3, false},
                {-1, {0}, 3, 224, 224, 256, false},
                {4, {-1, 3, 64, -1}, 3, 64, 64, 73, false},
        };
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
                resect_error err;
                resect_input in;
                bool recorded = true;
                resect_model *m = with_input(rows[i].rank, rows[i].dims);
                CK_OK(resect_input_of(m, &in, &recorded, &err), err);
                ck_assert_msg(!recorded && in.channels == rows[i].channels &&
                                      in.height == rows[i].height && in.width == rows[i].width &&
                                      in.resize == rows[i].resize && in.nhwc == rows[i].nhwc &&
                                      !in.bgr,
                        "row %zu: %d channels, %dx%d, resize %d", i, in.channels, in.height,
                        in.width, in.resize);
                ck_assert(in.mean[0] == (in.channels == 1 ? 0.449 : 0.485) &&
                          in.std[0] == (in.channels == 1 ? 0.226 : 0.229));
                resect_model_free(m);
        }
        static const int64_t odd[][4] = {{1, 64, 56, 56}, {1, 3, 100000, 5}};
        for (size_t i = 0; i < 3; i++) {
                resect_error err;
                resect_input in;
                resect_model *m = with_input(i < 2 ? 4 : 2, i < 2 ? odd[i] : odd[0]);
                ck_assert(!resect_input_of(m, &in, NULL, &err) && err.code == RESECT_UNSUPPORTED);
                resect_model_free(m);
        }
}
END_TEST

START_TEST(record_and_read_back)
{
        static const char *const locales[] = {"C", "de_DE.UTF-8"};
        for (int k = 0; k < 2; k++) {
                setlocale(LC_ALL, locales[k]);
                resect_error err;
                resect_model *m = with_input(4, (int64_t[]){-1, 3, -1, -1});
                resect_input a = {.channels = 3,
                                     .height = 200,
                                     .width = 180,
                                     .resize = 0,
                                     .mean = {0.5, 123.675 / 255, 1e-7},
                                     .std = {0.25, 1.0 / 3, 2},
                                     .bgr = true},
                             b;
                CK_OK(resect_input_record(m, &a, &err), err);
                bool recorded = false;
                CK_OK(resect_input_of(m, &b, &recorded, &err), err);
                ck_assert(recorded && b.height == 200 && b.width == 180 && b.resize == 0 && b.bgr &&
                          !b.nhwc);
                for (int c = 0; c < 3; c++) {
                        ck_assert_double_eq_tol(a.mean[c], b.mean[c], 1e-15);
                        ck_assert_double_eq_tol(a.std[c], b.std[c], 1e-15);
                }
                a = (resect_input){.channels = 3,
                        .height = 224,
                        .width = 224,
                        .resize = 256,
                        .mean = {0.485, 0.456, 0.406},
                        .std = {0.229, 0.224, 0.225}};
                CK_OK(resect_input_record(m, &a, &err), err);
                ck_assert_str_eq(resect_model_meta(m, "resect.input"),
                        "size=224x224 resize=256 mean=0.485,0.456,0.406 "
                        "std=0.229,0.224,0.225 channels=rgb layout=nchw");
                CK_OK(resect_input_of(m, &b, NULL, &err), err);
                ck_assert(memcmp(a.mean, b.mean, sizeof a.mean) == 0 &&
                          memcmp(a.std, b.std, sizeof a.std) == 0);
                resect_model_free(m);
        }
        setlocale(LC_ALL, "C");
}
END_TEST

START_TEST(words)
{
        static const struct {
                const char *text;
                bool good;
        } rows[] = {
                {"", true},
                {"size=64", true},
                {"size=64x48 resize=0", true},
                {"  mean=0.5   std=.5\n", true},
                {"mean=1e-3,-0.2,0.3", true},
                {"channels=grey layout=nhwc", true},
                {"size=", false},
                {"size=0x5", false},
                {"size=64x", false},
                {"size=64x48x3", false},
                {"size=99999", false},
                {"size=-5", false},
                {"resize=256x256", false},
                {"resize=1e3", false},
                {"mean=0.5,0.5", false},
                {"mean=0.5,0.5,0.5,0.5", false},
                {"mean=nan", false},
                {"mean=1e999", false},
                {"mean=0,5;1", false},
                {"std=0", false},
                {"std=-1", false},
                {"std=1e", false},
                {"channels=RGB", false},
                {"layout=hwc", false},
                {"colour=rgb", false},
                {"size", false},
                {"size=64 size=64 "
                 "nonsense="
                 "thisisaverylongwordthisisaverylongwordthisisaverylongwordthisisaverylongwordthisi"
                 "saverylong"
                 "wordthisisaverylongwordthisisaverylongword",
                        false},
        };
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
                resect_error err = {0};
                const resect_input old = {.channels = 3, .height = 7, .width = 7, .std = {1, 1, 1}};
                resect_input in = old;
                bool ok = resect_input_parse(&in, rows[i].text, &err);
                ck_assert_msg(ok == rows[i].good, "'%s': %s", rows[i].text, err.msg);
                ck_assert_msg(ok || (err.code == RESECT_ARG && in.height == 7 && in.width == 7),
                        "'%s'", rows[i].text);
        }
        resect_error err;
        resect_input in = {.channels = 3, .height = 7, .width = 7, .std = {1, 1, 1}};
        CK_OK(resect_input_parse(&in,
                      "size=64x48 std=0.25 mean=-12.5e-1,2,0.125 channels=bgr layout=nhwc "
                      "resize=80",
                      &err),
                err);
        ck_assert(in.height == 64 && in.width == 48 && in.std[2] == 0.25 && in.mean[0] == -1.25 &&
                  in.mean[2] == 0.125 && in.bgr && in.nhwc && in.resize == 80);
}
END_TEST

/* The graph was resized after resect.input had been written. */
START_TEST(the_graph_is_right_about_sizes)
{
        resect_error err;
        resect_input in;
        resect_model *m = with_input(4, (int64_t[]){1, 3, 112, 112});
        CK_OK(resect_model_set_meta(
                      m, "resect.input", "size=224x224 resize=256 mean=0.5 std=0.5", &err),
                err);
        CK_OK(resect_input_of(m, &in, NULL, &err), err);
        ck_assert(in.height == 112 && in.width == 112 && in.resize == 128 && in.mean[0] == 0.5);
        CK_OK(resect_model_set_meta(m, "resect.input", "size=224x224 channels=grey", &err), err);
        ck_assert(!resect_input_of(m, &in, NULL, &err) && err.code == RESECT_GRAPH);
        CK_OK(resect_model_set_meta(m, "resect.input", "rubbish", &err), err);
        ck_assert(!resect_input_of(m, &in, NULL, &err) && strstr(err.msg, "resect.input"));
        resect_model_free(m);
}
END_TEST

UNIT_MAIN("data input", guesses, record_and_read_back, words, the_graph_is_right_about_sizes)
