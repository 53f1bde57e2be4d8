/* SPDX-License-Identifier: 0BSD */
/* The probe: its features are the maps' averages, whatever the batch; what it leaves of the model;
 * figures that are none; its report read back. */
#include "config.h" /* _GNU_SOURCE, before the first system header */
#include "unit.h"

#include <math.h>
#include <string.h>
#include "look/anatomy.h"
#include "probe/probe.h"
#include "scratch.h"
#include "small_job.h"

static resect_data *
pictures(void)
{
        resect_error err;
        scratch_make();
        small_pictures(scratch_dir, 40);
        resect_data *d = resect_data_open(
                scratch_dir, &(resect_data_options){.val = 0.4, .threads = 1}, &err);
        CK_OK(d != NULL, err);
        return d;
}

/* The averages of a value's maps over one picture, by a plan that knows nothing of the probe. */
static void
average(resect_model *m, const resect_data *d, resect_split split, size_t i, const char *value,
        double *out, size_t channels)
{
        resect_error err;
        resect_input in;
        float x[3 * JOB_SIDE * JOB_SIDE];
        CK_OK(resect_input_of(m, &in, NULL, &err), err);
        CK_OK(resect_data_sample(d, split, i, &in, NULL, 0, 0, x, &err), err);
        resect_value v;
        ck_assert(resect_model_input(m, 0, &v));
        resect_binding b = {v.name, {.dtype = RESECT_FLOAT,
                                            .rank = 4,
                                            .dims = {1, 3, JOB_SIDE, JOB_SIDE},
                                            .size = sizeof x}};
        resect_plan *p = resect_plan_make(m,
                &(resect_plan_options){.inputs = &b,
                        .n_inputs = 1,
                        .outputs = &value,
                        .n_outputs = 1,
                        .kernels = RESECT_KERNELS_REFERENCE},
                &err);
        CK_OK(p != NULL, err);
        resect_exec *e = resect_exec_make(p, &err);
        CK_OK(e != NULL, err);
        b.tensor.data = x;
        resect_tensor y;
        CK_OK(resect_exec_run(e, &b.tensor, &y, &err), err);
        ck_assert_int_eq(y.dims[1], (int64_t)channels);
        size_t plane = y.size / sizeof(float) / channels;
        for (size_t c = 0; c < channels; c++) {
                out[c] = 0;
                for (size_t k = 0; k < plane; k++)
                        out[c] += ((const float *)y.data)[c * plane + k] / (double)plane;
        }
        resect_exec_free(e);
        resect_plan_free(p);
}

START_TEST(features_are_averages)
{
        resect_data *d = pictures();
        resect_model *m = small_model(false);
        resect_error err;
        char before[65], after[65];
        small_digest(m, before);
        size_t nodes = m->graph.n_nodes;
        for (size_t batch = 1; batch <= 7; batch += 6) {
                resect_probe p = {.n_rows = 0};
                rs_depths train, held;
                resect_probe_options o = {.batch = batch, .kernels = RESECT_KERNELS_REFERENCE};
                CK_OK(rs_probe_features(&p, m, d, &o, &train, &held, &err), err);
                ck_assert_uint_eq(p.n_rows, 4); /* stem, two blocks, pool */
                ck_assert_str_eq(p.rows[0].part, "stem");
                ck_assert_str_eq(p.rows[2].part, "layer2.0");
                ck_assert_uint_eq(train.n + held.n, 40);
                resect_anatomy *a = resect_anatomy_find(m, &err);
                CK_OK(a != NULL, err);
                for (size_t r = 0; r < 3; r++) {
                        const char *value =
                                r ? resect_anatomy_block(a, r - 1)->output : a->stem_output;
                        size_t c = p.rows[r].features;
                        double want[64];
                        ck_assert_uint_le(c, 64);
                        average(m, d, RESECT_VAL, held.n - 1, value, want, c);
                        for (size_t k = 0; k < c; k++)
                                ck_assert_double_eq_tol(
                                        held.x[r][(held.n - 1) * c + k], want[k], 1e-5);
                }
                ck_assert(p.rows[0].parameters < p.rows[1].parameters &&
                          p.rows[1].parameters < p.rows[2].parameters && p.rows[0].macs > 0);
                resect_anatomy_free(a);
                rs_depths_free(&train);
                rs_depths_free(&held);
                rs_arena_free(&p.arena);
        }
        small_digest(m, after);
        ck_assert_str_eq(before, after);
        ck_assert_uint_eq(m->graph.n_nodes, nodes);
        resect_model_free(m);
        resect_data_free(d);
        scratch_done();
}
END_TEST

/* The first depth whose features are not finite is named. */
START_TEST(broken_depth_is_named)
{
        resect_data *d = pictures();
        resect_model *m = small_model(false);
        resect_error err;
        resect_anatomy *a = resect_anatomy_find(m, &err);
        CK_OK(a != NULL, err);
        bool spoilt = false;
        for (size_t i = 0; i < m->graph.n_tensors && !spoilt; i++) {
                rs_tensor *t = m->graph.tensors[i];
                const char *part = resect_anatomy_tensor_part(a, t->name);
                if (part && !strncmp(part, "layer2.0.conv", 13)) {
                        ((float *)(uintptr_t)t->data.data)[0] = NAN;
                        spoilt = true;
                }
        }
        ck_assert(spoilt);
        resect_anatomy_free(a);
        /* (A ReLU of the fast kernels may make 0 of what is no number.) */
        ck_assert(
                resect_probe_run(m, d, &(resect_probe_options){.kernels = RESECT_KERNELS_REFERENCE},
                        &err) == NULL);
        ck_assert_int_eq(err.code, RESECT_FORMAT);
        ck_assert_msg(strstr(err.msg, "layer2.0") != NULL, "%s", err.msg);
        resect_model_free(m);
        resect_data_free(d);
        scratch_done();
}
END_TEST

static bool
stop(void *ctx, const char *what, size_t done, size_t total)
{
        (void)total;
        return strcmp(what, ctx) != 0 || done < 2;
}

START_TEST(it_can_be_stopped)
{
        resect_data *d = pictures();
        resect_model *m = small_model(false);
        char when[2][9] = {"pictures", "depths"};
        for (int i = 0; i < 2; i++) {
                resect_error err;
                ck_assert(resect_probe_run(m, d,
                                  &(resect_probe_options){
                                          .batch = 8, .progress = stop, .ctx = when[i]},
                                  &err) == NULL);
                ck_assert_int_eq(err.code, RESECT_STOPPED);
        }
        resect_model_free(m);
        resect_data_free(d);
        scratch_done();
}
END_TEST

#define ROW(part, linear)                                                               \
        "{\"part\":\"" part                                                             \
        "\",\"features\":4,\"parameters\":9,\"macs\":7,\"k\":3,\"linear\":" linear      \
        ",\"linear_balanced\":0.5,\"knn\":0.25,\"linear_loss\":1.5,\"linear_cv\":null," \
        "\"penalty\":1,"                                                                \
        "\"logme\":-0.5,\"converged\":true}"
#define REPORT(rows)                                                                            \
        "{\"training_pictures\":20,\"held_out_pictures\":100,\"classes\":2,\"parameters\":9,"   \
        "\"macs\":7,\"chance\":0.5,\"forward_seconds\":1,\"judge_seconds\":2,\"depths\":[" rows \
        "]}"

START_TEST(report_is_read_back)
{
        static const char good[] = REPORT(ROW("stem", "0.6") "," ROW("layer1.0", "0.87") "," ROW(
                "layer1.1", "0.9") "," ROW("pool", "0.9"));
        static const char *const bad[] = {"", "[]", "{}", REPORT(""), REPORT(ROW("stem", "1.5")),
                REPORT(ROW("stem", "\"x\"")), REPORT("{}"), REPORT("7")};
        resect_error err;
        scratch_make();
        scratch_write("good.json", good, strlen(good));
        resect_probe *p = resect_probe_read(scratch("good.json"), &err);
        CK_OK(p != NULL, err);
        resect_probe_facts f = resect_probe_about(p);
        ck_assert_uint_eq(f.best, 2); /* the shallower of two */
        ck_assert_double_eq_tol(f.standard_error, 0.03, 1e-12);
        ck_assert_uint_eq(f.cut, 1); /* 0.87 is 0.9 less a standard error */
        ck_assert_str_eq(resect_probe_find(p, "layer1")->part, "layer1.1");
        ck_assert_str_eq(resect_probe_find(p, "layer1.0")->part, "layer1.0");
        ck_assert(resect_probe_find(p, "layer") == NULL && resect_probe_find(p, "head") == NULL);
        ck_assert(isnan(resect_probe_at(p, 0)->linear_cv));
        ck_assert(resect_probe_at(p, 4) == NULL);
        resect_probe_free(p);
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
                scratch_write("bad.json", bad[i], strlen(bad[i]));
                ck_assert(resect_probe_read(scratch("bad.json"), &err) == NULL);
                ck_assert_int_eq(err.code, RESECT_FORMAT);
        }
        ck_assert(resect_probe_read(scratch("none.json"), &err) == NULL);
        ck_assert_int_eq(err.code, RESECT_IO);
        scratch_done();
}
END_TEST

UNIT_MAIN("probe", features_are_averages, broken_depth_is_named, it_can_be_stopped,
        report_is_read_back)
