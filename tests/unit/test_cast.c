/* SPDX-License-Identifier: 0BSD */
/*
 * Every cast on every form that exporters write: valid, sorted, the same function within the type's
 * rounding, nothing changed by casting once more, and back again what rounding leaves. The rounding
 * itself is test_dtype's.
 */
#include "unit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "forms.h"
#include "resect/edit.h"
#include "resect/look.h"
#include "tensor/dtype.h"

static resect_error err;

static const form forms[] = {
        {.blocks = {1, 1}},
        {.blocks = {1, 1}, .bottleneck = true, .opset = 17},
        {.blocks = {1, 1}, .bottleneck = true, .v2 = true, .squeeze = SQUEEZE_RESHAPE},
        {.blocks = {1, 1}, .bn = BN_FOLDED, .fixed_batch = true},
        {.blocks = {1, 1},
                .bn = BN_KEPT_ZERO_BIAS,
                .pool = POOL_MEAN_INPUT,
                .squeeze = SQUEEZE_NONE,
                .opset = 18},
        {.blocks = {1, 1},
                .stem = STEM_CIFAR,
                .shortcut = SHORTCUT_A,
                .squeeze = SQUEEZE_RESHAPE_ZERO},
        {.blocks = {1, 1}, .stem = STEM_CIFAR, .squeeze = SQUEEZE_DYNAMIC, .opset = 9},
        {.blocks = {1, 1},
                .stem = STEM_DEEP,
                .shortcut = SHORTCUT_AVGPOOL,
                .affine = AFFINE_MATMUL,
                .end = END_SOFTMAX},
        {.blocks = {1, 1}, .affine = AFFINE_CONV, .squeeze = SQUEEZE_NONE},
        {.blocks = {1, 1},
                .sum = true,
                .listed = true,
                .pool = POOL_AVERAGE,
                .squeeze = SQUEEZE_RESHAPE,
                .opset = 8},
        {.blocks = {1, 1},
                .nhwc = true,
                .pads = true,
                .squeeze = SQUEEZE_SQUEEZE,
                .affine = AFFINE_MATMUL,
                .end = END_SOFTMAX,
                .opset = 13},
        {.blocks = {1, 1}, .identity = true, .dropout = true},
        {.blocks = {1, 1}, .se = true, .bottleneck = true, .groups = 2},
        {.blocks = {1, 1}, .data_bn = true, .v2 = true},
        {.blocks = {1, 1}, .unsorted = true},
        {.blocks = {1, 1}, .pool = POOL_NONE, .squeeze = SQUEEZE_NONE, .affine = AFFINE_NONE},
};
enum { N_FORMS = sizeof forms / sizeof *forms };

static char said[8192];

static void
on_note(void *ctx, const char *line)
{
        (void)ctx;
        strncat(said, line, sizeof said - strlen(said) - 2);
        strcat(said, "\n");
}

static void
on_finding(void *ctx, const resect_finding *f)
{
        if (f->fatal)
                fprintf(stderr, "  [%s] %s: %s\n", (const char *)ctx, f->where, f->what);
}

static bool
cast(resect_model *m, const char *to, const char *flag, const char *second, const char *value)
{
        resect_setting s[4] = {{"to", to}};
        size_t n = 1;
        if (flag != NULL)
                s[n++] = (resect_setting){flag, NULL};
        if (second != NULL)
                s[n++] = (resect_setting){second, value};
        said[0] = '\0';
        return resect_edit_run(m, "cast", s, n, &(resect_listener){.note = on_note}, &err);
}

static void
sound(resect_model *m, const char *what)
{
        size_t errors;
        CK_OK(resect_model_check(m, on_finding, (void *)what, &errors, &err), err);
        ck_assert_msg(errors == 0, "%s leaves %zu errors", what, errors);
        /* sorted: what a node reads is made before it */
        const rs_graph *g = &m->graph;
        for (size_t i = 0; i < g->n_nodes; i++)
                for (size_t k = 0; k < g->nodes[i]->n_in; k++)
                        for (size_t j = i; j < g->n_nodes; j++)
                                for (size_t o = 0; o < g->nodes[j]->n_out; o++)
                                        ck_assert_msg(g->nodes[i]->in[k][0] == '\0' ||
                                                              strcmp(g->nodes[i]->in[k],
                                                                      g->nodes[j]->out[o]) != 0,
                                                "%s: %s is read before it is made", what,
                                                g->nodes[i]->in[k]);
}

static void
same_bytes(const resect_model *a, const resect_model *b, const char *what)
{
        void *x, *y;
        size_t n, k;
        CK_OK(resect_model_write_memory(a, &x, &n, &err), err);
        CK_OK(resect_model_write_memory(b, &y, &k, &err), err);
        ck_assert_msg(n == k && memcmp(x, y, n) == 0, "%s", what);
        resect_free(x);
        resect_free(y);
}

static size_t
count(const resect_model *m, const char *op)
{
        size_t n = 0;
        for (size_t i = 0; i < m->graph.n_nodes; i++)
                n += strcmp(m->graph.nodes[i]->op, op) == 0;
        return n;
}

static resect_model *
made(int i, int64_t opset)
{
        form f = forms[i];
        f.width = 4;
        f.size = 16;
        resect_model *m = form_make(&f, 1);
        if (opset != 0) {
                char text[16];
                snprintf(text, sizeof text, "%d", (int)opset);
                const resect_setting s = {"opset", text};
                if (!resect_edit_run(m, "edit", &s, 1, NULL, &err)) {
                        resect_model_free(m);
                        return NULL;
                }
        }
        return m;
}

/* The last note gives the outputs' relative error. */
static double
output_error(void)
{
        const char *at = strstr(said, "output "),
                   *rel = at != NULL ? strstr(at, "relative ") : NULL;
        ck_assert_msg(rel != NULL, "%s", said);
        return atof(rel + 9);
}

START_TEST(there)
{
        static const struct {
                const char *to, *flag;
                int64_t opset;
                double least, most;
        } cases[] = {{"fp16", NULL, 0, 1e-6, 2e-2}, {"fp16", "io", 0, 1e-6, 2e-2},
                {"fp16", "weights-only", 0, 1e-6, 2e-2}, {"double", NULL, 0, 0, 1e-5},
                {"bf16", NULL, 22, 1e-5, 1e-1}, {"fp32", NULL, 0, 0, 0}};
        const int f = _i % N_FORMS, k = _i / N_FORMS;
        char what[64];
        resect_value v;
        snprintf(what, sizeof what, "form %d: --to %s %s", f, cases[k].to,
                cases[k].flag != NULL ? cases[k].flag : "");
        resect_model *m = made(f, cases[k].opset);
        if (m == NULL) /* it cannot be said in that opset */
                return;
        ck_assert_msg(cast(m, cases[k].to, cases[k].flag, NULL, NULL), "%s: %s", what, err.msg);
        const double e = output_error();
        ck_assert_msg(e >= cases[k].least && e <= cases[k].most, "%s: error %g", what, e);
        sound(m, what);
        const resect_dtype io = cases[k].flag != NULL && strcmp(cases[k].flag, "io") == 0
                                        ? RESECT_FLOAT16
                                        : RESECT_FLOAT;
        ck_assert(resect_model_input(m, 0, &v) && v.dtype == io);
        ck_assert(resect_model_output(m, 0, &v) && v.dtype == io);
        /* once more */
        void *bytes;
        size_t n;
        CK_OK(resect_model_write_memory(m, &bytes, &n, &err), err);
        resect_model *again = resect_model_read_memory(bytes, n, NULL, &err);
        CK_OK(again != NULL, err);
        resect_free(bytes);
        ck_assert_msg(cast(again, cases[k].to, cases[k].flag, "no-report", NULL), "%s: %s", what,
                err.msg);
        ck_assert_msg(strstr(said, "already") != NULL, "%s, again: %s", what, said);
        same_bytes(m, again, what);
        resect_model_free(again);
        resect_model_free(m);
}
END_TEST

/* There and back: the weights are rounded, the nodes and the types what they were. */
START_TEST(and_back)
{
        static const char *const flags[] = {NULL, "io", "weights-only"};
        for (size_t k = 0; k < 3; k++) {
                resect_model *m = made(_i, 0), *old = made(_i, 0);
                const bool io = k == 1;
                size_t rounded = 0;
                ck_assert_msg(cast(m, "fp16", flags[k], "no-report", NULL), "%s", err.msg);
                ck_assert_msg(cast(m, "fp32", io ? "io" : NULL, "no-report", NULL), "%s", err.msg);
                sound(m, "back");
                ck_assert_uint_eq(count(m, "Cast"), count(old, "Cast"));
                ck_assert_uint_eq(m->graph.n_nodes + count(old, "Constant"),
                        old->graph.n_nodes + count(m, "Constant"));
                for (size_t i = 0; i < old->graph.n_tensors; i++) {
                        const rs_tensor *t = old->graph.tensors[i];
                        resect_tensor a, b;
                        if (t->dtype != RESECT_FLOAT)
                                continue;
                        CK_OK(resect_model_tensor_values(old, t->name, &a, &err), err);
                        CK_OK(resect_model_tensor_values(m, t->name, &b, &err), err);
                        ck_assert_int_eq(b.dtype, RESECT_FLOAT);
                        const float *x = a.data, *y = b.data;
                        bool half = false, whole = true;
                        for (int64_t j = 0; j < resect_tensor_count(&a); j++) {
                                half |= y[j] != x[j];
                                whole &= y[j] == rs_half_to_float(rs_float_to_half(x[j]));
                        }
                        ck_assert_msg(!half || whole, "%s is neither kept nor rounded", t->name);
                        rounded += half;
                        resect_tensor_free(&a);
                        resect_tensor_free(&b);
                }
                ck_assert_uint_gt(rounded, 3);
                resect_model_free(old);
                resect_model_free(m);
        }
}
END_TEST

START_TEST(loss_is_counted)
{
        resect_model *m = made(3, 0);
        const resect_setting canon = {"canon", NULL};
        CK_OK(resect_edit_run(m, "edit", &canon, 1, NULL, &err), err);
        rs_tensor *t = NULL;
        for (size_t i = 0; i < m->graph.n_tensors; i++)
                if (strcmp(m->graph.tensors[i]->name, "layer1.0.conv1.weight") == 0)
                        t = m->graph.tensors[i];
        ck_assert_ptr_nonnull(t);
        CK_OK(rs_tensor_renew(m, t, t->rank, t->dims, &err), err);
        static const float v[] = {65519, 65520, -1e6F, 2.9e-8F, 2.98023224e-8F, 3e-8F, -1e-30F, 0};
        /* rounds to 65504; beyond; beyond; to 0; a tie, to 0; to 2^-24; to 0; 0 */
        memcpy((void *)(uintptr_t)t->data.data, v, sizeof v);
        ck_assert_msg(cast(m, "fp16", NULL, "no-report", NULL), "%s", err.msg);
        resect_tensor h;
        CK_OK(resect_model_tensor_values(m, t->name, &h, &err), err);
        static const uint16_t want[] = {0x7bff, 0x7c00, 0xfc00, 0, 0, 1, 0x8000, 0};
        ck_assert_int_eq(h.dtype, RESECT_FLOAT16);
        ck_assert_int_eq(memcmp(h.data, want, sizeof want), 0);
        resect_tensor_free(&h);
        ck_assert_msg(strstr(said, "2 of them overflow to infinity, 3 underflow to 0") != NULL,
                "%s", said);
        resect_model_free(m);
}
END_TEST

START_TEST(layers_are_kept)
{
        resect_model *m = made(0, 0);
        ck_assert_msg(cast(m, "fp16", NULL, "keep", "layer1.*"), "%s", err.msg);
        ck_assert_msg(strstr(said, "layer1.0.conv1       float32") != NULL, "%s", said);
        ck_assert_msg(strstr(said, "head                 float16") != NULL, "%s", said);
        sound(m, "keep");
        ck_assert(!cast(m, "fp16", NULL, "keep", "layer9*"));
        ck_assert_msg(strstr(err.msg, "no layer is called layer9*") != NULL, "%s", err.msg);
        resect_model_free(m);
}
END_TEST

static void
edit(resect_model *m, const char *name, const char *option, const char *value)
{
        const resect_setting s = {option, value};
        CK_OK(resect_edit_run(m, name, &s, 1, NULL, &err), err);
}

static const rs_tensor *
tensor_named(const resect_model *m, const char *name)
{
        for (size_t i = 0; i < m->graph.n_tensors; i++)
                if (strcmp(m->graph.tensors[i]->name, name) == 0)
                        return m->graph.tensors[i];
        return NULL;
}

/* What DequantizeLinear makes of a weight is within half a step of what it was, the largest of a
   channel is +-127, and a bias is a multiple of input scale x weight scale. */
static size_t
check_product(resect_model *m, resect_model *old, const rs_node *n)
{
        const rs_node *dq[3] = {NULL};
        for (size_t i = 0; i < m->graph.n_nodes; i++)
                for (size_t k = 0; k < 3 && k < n->n_in; k++)
                        if (strcmp(m->graph.nodes[i]->out[0], n->in[k]) == 0)
                                dq[k] = m->graph.nodes[i];
        if (strcmp(n->op, "Conv") != 0 || dq[0] == NULL || dq[1] == NULL ||
                strcmp(dq[1]->op, "DequantizeLinear") != 0)
                return 0;
        resect_tensor q, scale, w, x, b;
        char name[128];
        snprintf(name, sizeof name, "%s", dq[1]->in[0]);
        *strstr(name, "_quantized") = '\0';
        CK_OK(resect_model_tensor_values(m, dq[1]->in[0], &q, &err), err);
        CK_OK(resect_model_tensor_values(m, dq[1]->in[1], &scale, &err), err);
        CK_OK(resect_model_tensor_values(m, dq[0]->in[1], &x, &err), err);
        CK_OK(resect_model_tensor_values(old, name, &w, &err), err);
        ck_assert_int_eq(q.dtype, RESECT_INT8);
        ck_assert_int_eq(scale.dims[0], w.dims[0]);
        const int64_t per = resect_tensor_count(&w) / w.dims[0];
        for (int64_t c = 0; c < w.dims[0]; c++) {
                const float s = ((float *)scale.data)[c];
                int most = 0;
                for (int64_t i = c * per; i < (c + 1) * per; i++) {
                        const int v = ((int8_t *)q.data)[i];
                        ck_assert_float_le(fabsf((float)v * s - ((float *)w.data)[i]), 0.5001F * s);
                        most = abs(v) > most ? abs(v) : most;
                }
                ck_assert_int_eq(most, 127);
        }
        if (dq[2] != NULL) {
                resect_tensor y;
                CK_OK(resect_model_tensor_values(m, dq[2]->in[0], &b, &err), err);
                CK_OK(resect_model_tensor_values(m, dq[2]->in[1], &y, &err), err);
                ck_assert_int_eq(b.dtype, RESECT_INT32);
                for (int64_t c = 0; c < w.dims[0]; c++)
                        ck_assert_float_eq_tol(((float *)y.data)[c],
                                ((float *)scale.data)[c] * *(float *)x.data,
                                1e-6F * ((float *)y.data)[c]);
                resect_tensor_free(&b);
                resect_tensor_free(&y);
        }
        resect_tensor_free(&q);
        resect_tensor_free(&scale);
        resect_tensor_free(&w);
        resect_tensor_free(&x);
        return 1;
}

static bool
int8(resect_model *m, const char *data, const char *option, const char *value)
{
        resect_setting s[3] = {{"to", "int8"}, {"calibrate", data}, {option, value}};
        said[0] = '\0';
        return resect_edit_run(
                m, "cast", s, option != NULL ? 3 : 2, &(resect_listener){.note = on_note}, &err);
}

START_TEST(eight_bits)
{
        const form *f = &forms[_i];
        if (f->opset != 0 && f->opset < 13)
                return;
        if (f->data_bn) /* a norm of the planes: it does not become grey */
                return;
        char folder[] = "/tmp/test_cast_XXXXXX", path[128];
        ck_assert_ptr_nonnull(mkdtemp(folder));
        form_pictures(folder, 8, 16);
        resect_model *m = made(_i, 0);
        edit(m, "edit", "channels", "1");
        edit(m, "edit", "canon", NULL);
        if (f->bn != BN_FOLDED) {
                if (!f->v2) {
                        ck_assert(!int8(m, folder, NULL, NULL));
                        ck_assert_msg(strstr(err.msg, "resect-fold --bn") != NULL, "%s", err.msg);
                        resect_model_free(m);
                        m = made(_i, 0);
                        edit(m, "edit", "channels", "1");
                        edit(m, "edit", "canon", NULL);
                }
                edit(m, "fold", "bn", NULL);
        }
        void *bytes;
        size_t n, products = 0;
        CK_OK(resect_model_write_memory(m, &bytes, &n, &err), err);
        resect_model *old = resect_model_read_memory(bytes, n, NULL, &err);
        CK_OK(old != NULL, err);
        ck_assert_msg(int8(m, folder, NULL, NULL), "form %d: %s", _i, err.msg);
        const double e = output_error();
        ck_assert_msg(e > 1e-4 && e < 0.15, "form %d: error %g", _i, e);
        sound(m, "int8");
        for (size_t i = 0; i < m->graph.n_nodes; i++)
                products += check_product(m, old, m->graph.nodes[i]);
        ck_assert_msg(products >= 5, "form %d: %zu Convs", _i, products);
        ck_assert(!int8(m, folder, NULL, NULL));
        ck_assert_msg(strstr(err.msg, "of 8 bits already") != NULL, "%s", err.msg);
        resect_model_free(m);
        /* A part of it, and less than the whole range. */
        m = resect_model_read_memory(bytes, n, NULL, &err);
        ck_assert_msg(int8(m, folder, "keep", "layer1.*"), "form %d: %s", _i, err.msg);
        sound(m, "int8 keep");
        ck_assert(tensor_named(m, "layer1.0.conv1.weight") != NULL || f->groups != 0);
        resect_model_free(m);
        m = resect_model_read_memory(bytes, n, NULL, &err);
        ck_assert_msg(int8(m, folder, "percentile", "99"), "form %d: %s", _i, err.msg);
        ck_assert(output_error() > 1e-4 && output_error() < 0.5);
        resect_model_free(m);
        resect_model_free(old);
        resect_free(bytes);
        static const char *const files[] = {"images-idx3", "labels-idx1"};
        for (int k = 0; k < 2; k++) {
                snprintf(path, sizeof path, "%s/train-%s-ubyte", folder, files[k]);
                unlink(path);
        }
        rmdir(folder);
}
END_TEST

START_TEST(refusals)
{
        const form int8 = {.blocks = {1, 1}, .bn = BN_FOLDED, .quant = QUANT_QDQ};
        resect_model *m = form_make(&int8, 1);
        ck_assert(!cast(m, "fp16", NULL, NULL, NULL));
        ck_assert_msg(strstr(err.msg, "of 8 bits already") != NULL, "%s", err.msg);
        resect_model_free(m);
        m = made(1, 0);
        ck_assert(!cast(m, "bf16", NULL, NULL, NULL));
        ck_assert_msg(strstr(err.msg, "Conv takes bf16 from opset 22 on") != NULL, "%s", err.msg);
        resect_model_free(m);
        m = made(1, 0);
        ck_assert_msg(cast(m, "bf16", "weights-only", NULL, NULL), "%s", err.msg);
        sound(m, "bf16 weights");
        resect_model_free(m);
        m = made(6, 0);
        ck_assert(!cast(m, "bf16", "weights-only", NULL, NULL));
        ck_assert_msg(strstr(err.msg, "needs opset 13") != NULL, "%s", err.msg);
        ck_assert(!cast(m, "fp8", NULL, NULL, NULL));
        ck_assert(!cast(m, "fp32", "weights-only", NULL, NULL));
        resect_model_free(m);
}
END_TEST

/* A name that is no text, as it stands in a file's report. */
static void
reported(const char *file, const char *want)
{
        static char text[1 << 16];
        resect_model *m = made(0, 0);
        CK_OK(rs_graph_rename(m, m->graph.outputs[0]->name, "out\xff\n", &err), err);
        ck_assert_msg(cast(m, "fp16", NULL, "report", file), "%s", err.msg);
        FILE *f = fopen(file, "rb");
        ck_assert_ptr_nonnull(f);
        text[fread(text, 1, sizeof text - 1, f)] = '\0';
        fclose(f);
        unlink(file);
        ck_assert_msg(strstr(text, want) != NULL, "%s has no %s: %s", file, want, text);
        resect_model_free(m);
}

START_TEST(names_that_are_no_text)
{
        char file[64];
        snprintf(file, sizeof file, "test_cast_%d.json", (int)getpid());
        reported(file, "\"name\": \"out\\\\xff\\\\x0a\"");
        snprintf(file, sizeof file, "test_cast_%d.tsv", (int)getpid());
        reported(file, "\nout\\xff\\x0a\toutput\t");
}
END_TEST

int
main(void)
{
        Suite *s = suite_create("cast");
        TCase *t = tcase_create("cast");
        tcase_set_timeout(t, 120);
        tcase_add_loop_test(t, there, 0, 6 * N_FORMS);
        tcase_add_loop_test(t, and_back, 0, N_FORMS);
        tcase_add_loop_test(t, eight_bits, 0, N_FORMS);
        tcase_add_test(t, loss_is_counted);
        tcase_add_test(t, layers_are_kept);
        tcase_add_test(t, refusals);
        tcase_add_test(t, names_that_are_no_text);
        suite_add_tcase(s, t);
        SRunner *r = srunner_create(s);
        srunner_run_all(r, CK_NORMAL);
        const int failed = srunner_ntests_failed(r);
        srunner_free(r);
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
