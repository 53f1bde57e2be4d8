/* SPDX-License-Identifier: 0BSD */
/*
 * Every edit on every form that exporters write. Each run has --verify, so that the executor
 * compares what must not change; then the checker looks at the result, the model is written and
 * read again, and what the edit had no business with must have kept its bytes.
 */
#include "unit.h"

#include <string.h>
#include <unistd.h>
#include "forms.h"
#include "look/anatomy.h"
#include "resect/edit.h"
#include "resect/look.h"

static resect_error err;

static const form forms[] = {
        {.blocks = {1, 2}},
        {.blocks = {1, 2}, .bottleneck = true},
        {.blocks = {2, 1}, .bottleneck = true, .stride = STRIDE_V1, .affine = AFFINE_GEMM_PLAIN},
        {.blocks = {1, 2}, .bottleneck = true, .v2 = true, .squeeze = SQUEEZE_RESHAPE},
        {.blocks = {2, 2}, .bottleneck = true, .v2 = true, .stride = STRIDE_SLIM, .bn = BN_FOLDED},
        {.blocks = {1, 2}, .bn = BN_FOLDED, .fixed_batch = true},
        {.blocks = {1, 2},
                .bn = BN_KEPT_ZERO_BIAS,
                .pool = POOL_MEAN_INPUT,
                .squeeze = SQUEEZE_NONE,
                .opset = 18},
        {.blocks = {1, 2},
                .stem = STEM_CIFAR,
                .shortcut = SHORTCUT_A,
                .squeeze = SQUEEZE_RESHAPE_ZERO},
        {.blocks = {1, 2}, .stem = STEM_CIFAR, .squeeze = SQUEEZE_DYNAMIC, .opset = 9},
        {.blocks = {1, 2},
                .stem = STEM_DEEP,
                .shortcut = SHORTCUT_AVGPOOL,
                .affine = AFFINE_MATMUL,
                .end = END_SOFTMAX},
        {.blocks = {1, 2}, .affine = AFFINE_CONV, .squeeze = SQUEEZE_NONE},
        {.blocks = {1, 2},
                .sum = true,
                .listed = true,
                .pool = POOL_AVERAGE,
                .squeeze = SQUEEZE_RESHAPE,
                .opset = 8},
        {.blocks = {1, 2},
                .nhwc = true,
                .pads = true,
                .squeeze = SQUEEZE_SQUEEZE,
                .affine = AFFINE_MATMUL,
                .end = END_SOFTMAX,
                .opset = 13},
        {.blocks = {1, 2}, .identity = true, .dropout = true},
        {.blocks = {1, 2}, .se = true, .bottleneck = true, .groups = 2},
        {.blocks = {1, 2}, .data_bn = true, .v2 = true},
        {.blocks = {1, 2}, .unsorted = true},
        {.blocks = {1, 2}, .affine = AFFINE_NONE},
        {.blocks = {1, 2}, .pool = POOL_NONE, .squeeze = SQUEEZE_NONE, .affine = AFFINE_NONE},
        {.blocks = {1, 2}, .fixed_batch = true, .squeeze = SQUEEZE_RESHAPE, .opset = 11},
        /* the last N_INT8 are in 8 bits */
        {.blocks = {1, 2}, .bn = BN_FOLDED, .quant = QUANT_QDQ_RELU},
        {.blocks = {1, 2}, .bn = BN_FOLDED, .bottleneck = true, .quant = QUANT_QDQ},
        {.blocks = {1, 2}, .bn = BN_FOLDED, .bottleneck = true, .quant = QUANT_QLINEAR},
};
enum { N_ALL = sizeof forms / sizeof *forms, N_INT8 = 3, N_FORMS = N_ALL - N_INT8, N_LINES = 10 };

static int verified;

static void
on_note(void *ctx, const char *line)
{
        if (getenv("TEST_EDIT_TALK") != NULL)
                printf("  [%s] %s\n", (const char *)ctx, line);
        verified += strncmp(line, "verified: ", 10) == 0 &&
                    strcmp(line, "verified: nothing to compare") != 0;
}

static void
on_finding(void *ctx, const resect_finding *f)
{
        if (f->fatal)
                fprintf(stderr, "  [%s] %s: %s\n", (const char *)ctx, f->where, f->what);
}

/* "strip --to maps": a line as a person would type it, into settings. */
typedef struct line {
        char text[256];
        const char *name;
        resect_setting settings[16];
        size_t n;
} line;

static void
parse(line *l, const char *text)
{
        snprintf(l->text, sizeof l->text, "%s", text);
        l->n = 0;
        l->name = strtok(l->text, " ");
        for (char *word; (word = strtok(NULL, " ")) != NULL;) {
                if (strncmp(word, "--", 2) == 0)
                        l->settings[l->n++] = (resect_setting){word + 2, NULL};
                else
                        l->settings[l->n - 1].value = word;
        }
}

static bool
run(resect_model *m, const char *text)
{
        line l;
        parse(&l, text);
        l.settings[l.n++] = (resect_setting){"verify", NULL};
        verified = 0;
        return resect_edit_run(m, l.name, l.settings, l.n,
                &(resect_listener){.note = on_note, .ctx = (void *)text}, &err);
}

static void
sound(resect_model *m, const char *what)
{
        size_t errors;
        CK_OK(resect_model_check(m, on_finding, (void *)what, &errors, &err), err);
        ck_assert_msg(errors == 0, "%s leaves %zu errors", what, errors);
}

/* What stands in a file is what stands in memory: written, read, the same outputs as far as the
 * proof looked. */
static resect_model *
again(resect_model *m, const char *what)
{
        char path[64];
        snprintf(path, sizeof path, "test_edit_%d.onnx", (int)getpid());
        ck_assert_msg(resect_model_write(m, path, &err), "%s: %s", what, err.msg);
        resect_model *r = resect_model_read(path, NULL, &err);
        unlink(path);
        ck_assert_msg(r != NULL, "%s: %s", what, err.msg);
        return r;
}

static bool
has_head(resect_model *m)
{
        resect_anatomy *a = resect_anatomy_find(m, &err);
        CK_OK(a != NULL, err);
        const bool yes = a->tail.logits != NULL;
        resect_anatomy_free(a);
        return yes;
}

/* Runs a line on a form; must it be proved? Returns the result as read back from its file. */
static resect_model *
on_form(int i, const char *text)
{
        resect_model *m = form_make(&forms[i], 1);
        ck_assert_msg(run(m, text), "form %d: %s: %s", i, text, err.msg);
        ck_assert_msg(verified > 0, "form %d: %s proved nothing", i, text);
        char what[300];
        snprintf(what, sizeof what, "form %d: %s", i, text);
        sound(m, what);
        resect_model *r = again(m, what);
        resect_model_free(m);
        sound(r, what);
        return r;
}

START_TEST(what_keeps_the_function)
{
        static const char *const lines[N_LINES] = {"freeze --all-but-head", "freeze --until layer1",
                "fold --bn", "fold --unfold", "edit --canon", "edit --strip-docs",
                "edit --preprocess meta", "edit --rename layer1.0.conv1.weight=w",
                "edit --batch sym", "edit --batch 2"};
        resect_model_free(on_form(_i % N_ALL, lines[_i / N_ALL]));
}
END_TEST

START_TEST(strips)
{
        const form *f = &forms[_i];
        const bool maps = f->pool == POOL_NONE;
        resect_model *m = maps ? NULL : on_form(_i, "strip");
        resect_value v;
        if (m != NULL) {
                ck_assert(!has_head(m));
                ck_assert(resect_model_output(m, 0, &v));
                ck_assert(f->affine == AFFINE_NONE || (v.rank == 2 && v.dims[1] > 8));
                ck_assert_int_eq(v.dtype, RESECT_FLOAT);
                resect_model_free(m);
        }
        m = on_form(_i, "strip --to maps");
        ck_assert(resect_model_output(m, 0, &v));
        ck_assert(maps || v.rank == 4);
        ck_assert_int_eq(v.dtype, RESECT_FLOAT);
        resect_model_free(m);
        if (f->affine != AFFINE_NONE)
                resect_model_free(on_form(_i, "strip --to logits"));
}
END_TEST

/* The last note. */
static void
keep_note(void *ctx, const char *note)
{
        snprintf(ctx, 200, "%s", note);
}

/* What is left are nodes that were there: [N, C, 1, 1] is made [N, C] by one more. */
START_TEST(nodes_left)
{
        const form f = {.blocks = {1, 1}, .squeeze = SQUEEZE_NONE, .affine = AFFINE_NONE};
        resect_model *m = form_make(&f, 1);
        char want[200], got[200] = "";
        snprintf(want, sizeof want, "; %zu of %zu nodes left, and 1 added", m->graph.n_nodes,
                m->graph.n_nodes);
        CK_OK(resect_edit_run(
                      m, "strip", NULL, 0, &(resect_listener){.note = keep_note, .ctx = got}, &err),
                err);
        ck_assert_msg(strstr(got, want) != NULL, "%s, not %s", got, want);
        resect_model_free(m);
}
END_TEST

/* What every edit takes. */
START_TEST(settings_of_all)
{
        static const char *const wrong[][2] = {
                {"strip --threads -1", "whole number from 0 to 4096"},
                {"strip --threads 4097", "whole number from 0 to 4096"},
                {"strip --threads two", "whole number from 0 to 4096"},
                {"strip --threads", "--threads takes an argument"},
                {"strip --kernels", "--kernels takes an argument"},
                {"strip --kernels fst", "not auto, fast or reference"},
                {"strip --kernels auto --kernels fast", "given twice"},
                {"strip --precision bf16", "no option --precision"}};
        static const char *const right[] = {"strip --threads 1 --kernels reference",
                "strip --threads 3 --kernels fast", "strip --threads 0 --kernels auto"};
        const form f = {.blocks = {1, 1}, .squeeze = SQUEEZE_NONE, .affine = AFFINE_NONE};
        for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
                resect_model *m = form_make(&f, 1);
                ck_assert_msg(!run(m, wrong[i][0]), "%s", wrong[i][0]);
                ck_assert_int_eq(err.code, RESECT_ARG);
                ck_assert_msg(strstr(err.msg, wrong[i][1]) != NULL, "%s: %s", wrong[i][0], err.msg);
                resect_model_free(m);
        }
        for (size_t i = 0; i < sizeof right / sizeof *right; i++) {
                resect_model *m = form_make(&f, 1);
                ck_assert_msg(run(m, right[i]), "%s: %s", right[i], err.msg);
                ck_assert_int_gt(verified, 0);
                resect_model_free(m);
        }
}
END_TEST

typedef struct seen {
        size_t verified;
        char value[100];
        int64_t numbers;
        double max_rel;
} seen;

static void
see_verified(void *ctx, const char *value, const resect_difference *d)
{
        seen *s = ctx;
        s->verified++;
        snprintf(s->value, sizeof s->value, "%s", value);
        s->numbers = d->count;
        s->max_rel = d->max_rel;
}

/* What was compared is told to who listens. */
START_TEST(told_what_was_verified)
{
        const form f = {.blocks = {1, 1}, .squeeze = SQUEEZE_NONE, .affine = AFFINE_NONE};
        const resect_setting settings[] = {{"canon", NULL}, {"verify", NULL}};
        for (size_t n = 1; n <= 2; n++) {
                resect_model *m = form_make(&f, 1);
                resect_value v;
                seen s = {0};
                ck_assert(resect_model_output(m, 0, &v));
                CK_OK(resect_edit_run(m, "edit", settings, n,
                              &(resect_listener){.verified = see_verified, .ctx = &s}, &err),
                        err);
                ck_assert_uint_eq(s.verified, n - 1);
                if (n == 2) {
                        ck_assert_str_eq(s.value, v.name);
                        ck_assert_int_gt(s.numbers, 0);
                        ck_assert(s.max_rel >= 0 && s.max_rel <= 1e-5);
                }
                resect_model_free(m);
        }
}
END_TEST

START_TEST(heads)
{
        const bool had = forms[_i].affine != AFFINE_NONE;
        resect_model *m = form_make(&forms[_i], 1);
        if (had) {
                ck_assert(!run(m, "head --classes 7"));
                ck_assert(strstr(err.msg, "--replace") != NULL);
        }
        resect_model_free(m);
        m = on_form(_i, had ? "head --classes 7 --replace --hidden 5,6 --dropout 0.3"
                            : "head --classes 7 --init zero");
        resect_anatomy *a = resect_anatomy_find(m, &err);
        CK_OK(a != NULL, err);
        ck_assert_int_eq(a->summary.n_classes, 7);
        ck_assert_uint_eq(a->tail.affine.n, had ? 3 : 1);
        resect_anatomy_free(a);
        resect_model_free(m);
}
END_TEST

START_TEST(truncations)
{
        const bool had = forms[_i].affine != AFFINE_NONE;
        resect_model *m = on_form(_i, "truncate --after layer1");
        resect_anatomy *a = resect_anatomy_find(m, &err);
        CK_OK(a != NULL, err);
        ck_assert_uint_eq(a->summary.n_stages, 1);
        ck_assert_uint_eq(m->graph.n_outputs, 1);
        ck_assert_int_eq(a->tail.logits != NULL, had);
        if (had)
                ck_assert_int_eq(a->summary.n_classes, 10);
        ck_assert_int_eq(a->tail.softmax != NULL, forms[_i].end != END_LOGITS);
        resect_anatomy_free(a);
        resect_model_free(m);
        m = form_make(&forms[_i], 1);
        if (forms[_i].blocks[1] == 2) {
                ck_assert_msg(run(m, "truncate --drop layer2.1"), "form %d: %s", _i, err.msg);
                a = resect_anatomy_find(m, &err);
                CK_OK(a != NULL, err);
                ck_assert_uint_eq(a->n_blocks, (size_t)(forms[_i].blocks[0] + 1));
                resect_anatomy_free(a);
                sound(m, "drop");
        }
        resect_model_free(m);
        m = form_make(&forms[_i], 1);
        ck_assert(!run(m, "truncate --drop layer2.0"));
        ck_assert_msg(
                forms[_i].blocks[1] == 1 || strstr(err.msg, "layer2.1") != NULL, "%s", err.msg);
        resect_model_free(m);
}
END_TEST

/* What cannot be done to weights of 8 bits is refused, with the reason. */
START_TEST(refusals_in_8_bits)
{
        static const struct {
                const char *line, *why;
        } cases[] = {{"reset --from layer2", "no weights"}, {"edit --opset 9", "QuantizeLinear"},
                {"edit --bgr", "stands between the input and the first Conv"}};
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                resect_model *m = form_make(&forms[N_FORMS + _i], 1);
                ck_assert_msg(!run(m, cases[i].line), "form %d: %s", N_FORMS + _i, cases[i].line);
                ck_assert_msg(
                        strstr(err.msg, cases[i].why) != NULL, "%s: %s", cases[i].line, err.msg);
                resect_model_free(m);
        }
}
END_TEST

/* Their versions are 10 and later; one scale for each channel came with 13. */
START_TEST(versions_in_8_bits)
{
        static const int to[] = {13, 17, 19, 21, 22};
        for (size_t k = 0; k < sizeof to / sizeof *to; k++) {
                char text[64];
                snprintf(text, sizeof text, "edit --opset %d", to[k]);
                resect_model_free(on_form(N_FORMS + _i, text));
        }
}
END_TEST

START_TEST(resets)
{
        resect_model_free(on_form(_i, "reset --from layer2 --seed 3"));
        resect_model *m = form_make(&forms[_i], 1);
        ck_assert_msg(run(m, "reset --match layer2*"), "form %d: %s", _i, err.msg);
        resect_model_free(m);
}
END_TEST

START_TEST(extracts)
{
        resect_model_free(on_form(_i, "edit --extract :layer1"));
        resect_model_free(on_form(_i, "edit --extract layer2:"));
        resect_model_free(on_form(_i, "edit --extract layer1:layer2.0"));
}
END_TEST

START_TEST(versions)
{
        static const int to[] = {9, 11, 13, 17, 18, 21, 22};
        for (size_t k = 0; k < sizeof to / sizeof *to; k++) {
                char text[64];
                snprintf(text, sizeof text, "edit --opset %d", to[k]);
                resect_model *m = form_make(&forms[_i], 1);
                /* What cannot be said in the older version is a clear refusal; everything else
                 * works. */
                if (!run(m, text)) {
                        ck_assert_msg(err.code == RESECT_UNSUPPORTED, "form %d: %s: %s", _i, text,
                                err.msg);
                        const bool allowed = forms[_i].shortcut == SHORTCUT_A ||
                                             (forms[_i].squeeze == SQUEEZE_DYNAMIC);
                        ck_assert_msg(allowed, "form %d: %s: %s", _i, text, err.msg);
                } else {
                        sound(m, text);
                }
                resect_model_free(m);
        }
}
END_TEST

START_TEST(inputs)
{
        const form *f = &forms[_i];
        static const char *const lines[] = {
                "edit --bgr", "edit --channels 1", "edit --channels 4", "edit --bgr --channels 1"};
        for (size_t k = 0; k < 4; k++) {
                resect_model *m = form_make(f, 1);
                const bool ok = run(m, lines[k]);
                ck_assert_msg(ok != f->data_bn, "form %d: %s: %s", _i, lines[k],
                        ok ? "went through a norm of the planes" : err.msg);
                ck_assert(!ok || verified > 0);
                if (ok)
                        sound(m, lines[k]);
                resect_model_free(m);
        }
        if (!f->nhwc)
                resect_model_free(on_form(_i, "edit --preprocess bake"));
}
END_TEST

static void
write_text(const char *path, const char *text)
{
        FILE *f = fopen(path, "w");
        ck_assert(f != NULL && fputs(text, f) >= 0 && fclose(f) == 0);
}

/* New rows are old ones, whichever way the old classifier stores its weights; the others start as
 * --init says. */
START_TEST(rows_are_kept)
{
        const form *f = &forms[_i];
        if (f->affine == AFFINE_NONE)
                return;
        resect_model *old = form_make(f, 1), *m = form_make(f, 1);
        resect_anatomy *a = resect_anatomy_find(old, &err);
        CK_OK(a != NULL, err);
        const rs_node *n = a->tail.affine.at[0];
        resect_tensor was, w, b;
        CK_OK(resect_model_tensor_values(old, rs_anatomy_initializer(a, n, 1)->name, &was, &err),
                err);
        write_text("test_edit_map.tsv", "# a comment\n0\t3\n2\t1,4,7\n");
        ck_assert_msg(run(m, "head --classes 4 --replace --keep test_edit_map.tsv --init zero"),
                "form %d: %s", _i, err.msg);
        unlink("test_edit_map.tsv");
        CK_OK(resect_model_tensor_values(m, "fc.weight", &w, &err), err);
        CK_OK(resect_model_tensor_values(m, "fc.bias", &b, &err), err);
        const float *p = was.data, *q = w.data;
        const bool columns = f->affine == AFFINE_MATMUL || f->affine == AFFINE_GEMM_PLAIN;
        const int64_t features = w.dims[1], classes = 10;
        ck_assert_int_eq(w.dims[0], 4);
#define OLD(c, i) (p[columns ? (i)*classes + (c) : (c)*features + (i)])
        for (int64_t i = 0; i < features; i++) {
                ck_assert_float_eq(q[i], OLD(3, i));
                ck_assert_float_eq_tol(
                        q[2 * features + i], (OLD(1, i) + OLD(4, i) + OLD(7, i)) / 3, 1e-6);
                ck_assert_float_eq(q[features + i], 0);
                ck_assert_float_eq(q[3 * features + i], 0);
        }
        ck_assert_float_eq(((float *)b.data)[1], 0);
        ck_assert_float_ne(((float *)b.data)[0], 0);
        resect_tensor_free(&was);
        resect_tensor_free(&w);
        resect_tensor_free(&b);
        resect_anatomy_free(a);
        resect_model_free(old);
        resect_model_free(m);
}
END_TEST

int
main(void)
{
        const struct {
                const char *name;
                const TTest *test;
                int rounds;
        } cases[] = {{"function", what_keeps_the_function, N_LINES * N_ALL},
                {"strip", strips, N_ALL}, {"nodes left", nodes_left, 1},
                {"settings of all", settings_of_all, 1},
                {"told what was verified", told_what_was_verified, 1}, {"head", heads, N_ALL},
                {"truncate", truncations, N_ALL}, {"reset", resets, N_FORMS},
                {"extract", extracts, N_ALL}, {"opset", versions, N_FORMS},
                {"input", inputs, N_FORMS}, {"rows", rows_are_kept, N_FORMS},
                {"8 bits", refusals_in_8_bits, N_INT8},
                {"8 bits, opset", versions_in_8_bits, N_INT8}};
        Suite *s = suite_create("edit");
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                TCase *c = tcase_create(cases[i].name);
                tcase_set_timeout(c, 300);
                tcase_add_loop_test(c, cases[i].test, 0, cases[i].rounds);
                suite_add_tcase(s, c);
        }
        SRunner *r = srunner_create(s);
        srunner_run_all(r, CK_NORMAL);
        const int failed = srunner_ntests_failed(r);
        srunner_free(r);
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
