/* SPDX-License-Identifier: 0BSD */
/* Statistics of other pictures: exact ones are those of one batch of all pictures and a fixed
   point, in every form of network; running ones are what training would have left; nothing else
   changes. */
#include "unit.h"

#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "adapt/adapt.h"
#include "base/random.h"
#include "edit/edit.h"
#include "exec/exec.h"
#include "forms.h"
#include "resect/view.h"
#include "small_job.h"
#include "train/run.h"

enum { PICTURES = 21 };
static char folder[] = "/tmp/resect-adapt-XXXXXX";

static void
prepare(void)
{
        ck_assert_ptr_nonnull(mkdtemp(folder));
        small_pictures(folder, PICTURES);
}

static void
clean_up(void)
{
        char path[128];
        static const char *const names[] = {"train-images-idx3-ubyte", "train-labels-idx1-ubyte"};
        for (int i = 0; i < 2; i++) {
                snprintf(path, sizeof path, "%s/%s", folder, names[i]);
                unlink(path);
        }
        rmdir(folder);
}

static resect_data *
pictures(void)
{
        resect_error err;
        resect_data *d = resect_data_open(folder, &(resect_data_options){0}, &err);
        CK_OK(d != NULL, err);
        return d;
}

static const form forms[] = {
        {.blocks = {1, 1}, .width = 4, .size = 16, .stem = STEM_CIFAR},
        {.blocks = {1, 2}, .width = 4, .size = 32, .bottleneck = true},
        {.blocks = {1, 1}, .width = 4, .size = 16, .stem = STEM_CIFAR, .v2 = true},
        {.blocks = {1, 1}, .width = 4, .size = 32, .bottleneck = true, .v2 = true},
        {.blocks = {1, 1}, .width = 8, .size = 16, .stem = STEM_CIFAR, .se = true},
        {.blocks = {1, 1}, .width = 4, .size = 16, .stem = STEM_CIFAR, .data_bn = true},
        {.blocks = {1, 1}, .width = 4, .size = 16, .stem = STEM_CIFAR, .nhwc = true},
        {.blocks = {1, 1}, .width = 4, .size = 16, .stem = STEM_CIFAR, .identity = true},
        {.blocks = {1, 1}, .width = 4, .size = 16, .stem = STEM_CIFAR, .listed = true, .opset = 8},
        {.blocks = {1, 1}, .width = 4, .size = 32, .stem = STEM_DEEP, .shortcut = SHORTCUT_AVGPOOL},
        {.blocks = {1, 1}, .width = 4, .size = 16, .stem = STEM_CIFAR, .shortcut = SHORTCUT_A},
        {.blocks = {1, 1}, .width = 4, .size = 16, .stem = STEM_CIFAR, .fixed_batch = true},
        {.blocks = {1, 1}, .width = 4, .size = 16, .stem = STEM_CIFAR, .unsorted = true},
        {.blocks = {1, 1}, .width = 4, .size = 16, .stem = STEM_CIFAR, .squeeze = SQUEEZE_DYNAMIC},
};
enum { FORMS = sizeof forms / sizeof *forms };

static resect_adapt_result
adapt(resect_model *m, resect_adapt_options o)
{
        resect_error err;
        resect_adapt_result r;
        resect_data *d = pictures();
        o.threads = 1;
        CK_OK(resect_adapt(m, d, RESECT_ALL, &o, &r, &err), err);
        resect_data_free(d);
        return r;
}

/* Every picture, as the model wants it: [PICTURES, C, H, W]. */
static resect_tensor
all_pictures(const resect_model *m, resect_binding *in)
{
        resect_error err;
        rs_intake intake;
        resect_tensor x;
        resect_data *d = pictures();
        CK_OK(rs_intake_make(&intake, m, d, NULL, PICTURES, &err), err);
        CK_OK(resect_tensor_make(&x, RESECT_FLOAT, 4, intake.shape.dims, &err), err);
        for (size_t i = 0; i < PICTURES; i++)
                CK_OK(resect_data_sample(d, RESECT_ALL, i, &intake.input, NULL, 0, 0,
                              (float *)x.data + i * intake.row, &err),
                        err);
        *in = (resect_binding){intake.name, intake.shape};
        resect_data_free(d);
        return x;
}

/* Mean and variance of what each norm reads, by the book: all pictures in one run, two plain loops.
 * In training mode each norm uses that batch's own statistics. */
static void
by_the_book(resect_model *m, bool training, rs_norm_sites *sites, rs_arena *a)
{
        resect_error err;
        resect_binding in;
        resect_tensor x = all_pictures(m, &in), *out;
        CK_OK(rs_norm_sites_find(sites, m, a, &err), err);
        const char **names = RS_NEW(a, sites->n + 1, const char *, &err);
        size_t n = 0;
        out = RS_NEW(a, sites->n + 1, resect_tensor, &err);
        ck_assert(names && out);
        for (size_t s = 0; s < sites->n; s++)
                if (strcmp(sites->at[s].input, in.name) != 0)
                        names[n++] = sites->at[s].input;
        resect_plan *p = resect_plan_make(m,
                &(resect_plan_options){.inputs = &in,
                        .n_inputs = 1,
                        .outputs = names,
                        .n_outputs = n,
                        .no_fusion = !training,
                        .training = training,
                        .kernels = RESECT_KERNELS_REFERENCE,
                        .threads = 1},
                &err);
        CK_OK(p != NULL, err);
        resect_exec *e = resect_exec_make(p, &err);
        CK_OK(e != NULL, err);
        CK_OK(resect_exec_run(e, &x, out, &err), err);
        for (size_t s = 0, k = 0; s < sites->n; s++) {
                rs_norm_site *site = &sites->at[s];
                const resect_tensor *t = strcmp(site->input, in.name) ? &out[k++] : &x;
                const float *v = t->data;
                size_t channels = site->channels,
                       plane = (size_t)resect_tensor_count(t) / channels / PICTURES;
                for (size_t c = 0; c < channels; c++) {
                        double sum = 0, square = 0, count = (double)(PICTURES * plane);
                        for (size_t i = 0; i < PICTURES; i++)
                                for (size_t q = 0; q < plane; q++)
                                        sum += v[(i * channels + c) * plane + q];
                        site->mean[c] = sum / count;
                        for (size_t i = 0; i < PICTURES; i++)
                                for (size_t q = 0; q < plane; q++) {
                                        double apart =
                                                v[(i * channels + c) * plane + q] - sum / count;
                                        square += apart * apart;
                                }
                        site->var[c] = square / count;
                }
        }
        resect_exec_free(e);
        resect_plan_free(p);
        resect_tensor_free(&x);
}

static void
near(const rs_norm_sites *a, const rs_norm_sites *b, double tolerance)
{
        ck_assert_uint_eq(a->n, b->n);
        ck_assert_uint_gt(a->n, 0);
        for (size_t s = 0; s < a->n; s++)
                for (size_t c = 0; c < a->at[s].channels; c++) {
                        const double scale = sqrt(b->at[s].var[c] + 1e-5);
                        ck_assert_msg(
                                fabs(a->at[s].mean[c] - b->at[s].mean[c]) <= tolerance * scale &&
                                        fabs(a->at[s].var[c] - b->at[s].var[c]) <=
                                                tolerance * (b->at[s].var[c] + 1e-5),
                                "norm %zu, channel %zu: %.9g and %.9g, %.9g and %.9g", s, c,
                                a->at[s].mean[c], b->at[s].mean[c], a->at[s].var[c],
                                b->at[s].var[c]);
                }
}

static void
stored(resect_model *m, rs_norm_sites *sites, rs_arena *a)
{
        resect_error err;
        CK_OK(rs_norm_sites_find(sites, m, a, &err), err);
}

START_TEST(exact_is_one_batch_of_all_and_a_fixed_point)
{
        for (size_t f = 0; f < FORMS; f++) {
                rs_arena a = {0};
                rs_norm_sites train, have, again;
                resect_error err;
                size_t copies;
                resect_model *m = form_make(&forms[f], 3), *book = form_make(&forms[f], 3);
                CK_OK(rs_untie(book, &copies, &err), err);
                if (!forms[f].fixed_batch)
                        by_the_book(book, true, &train, &a);
                resect_adapt_result r = adapt(
                        m, (resect_adapt_options){.batch = 4, .kernels = RESECT_KERNELS_REFERENCE});
                ck_assert_uint_eq(r.pictures, PICTURES);
                ck_assert_uint_gt(r.norms, 0);
                ck_assert_double_gt(r.moved, 0);
                stored(m, &have, &a);
                if (!forms[f].fixed_batch) {
                        near(&have, &train, 2e-5);
                        by_the_book(m, false, &again, &a);
                        near(&have, &again, 2e-5);
                }
                /* once more moves nothing */
                r = adapt(
                        m, (resect_adapt_options){.batch = 5, .kernels = RESECT_KERNELS_REFERENCE});
                ck_assert_double_lt(r.moved, 1e-9);
                rs_arena_free(&a);
                resect_model_free(book);
                resect_model_free(m);
        }
}
END_TEST

START_TEST(where_activations_are_held_is_no_matter)
{
        for (size_t f = 0; f < 2; f++) {
                char here[65], there[65];
                resect_model *m = form_make(&forms[f], 3);
                resect_adapt_result r = adapt(m, (resect_adapt_options){.batch = 4});
                ck_assert_uint_gt(r.held, 0);
                small_digest(m, here);
                resect_model_free(m);
                m = form_make(&forms[f], 3);
                adapt(m, (resect_adapt_options){.batch = 4, .memory = 1, .temporary = folder});
                small_digest(m, there);
                ck_assert_str_eq(here, there);
                resect_model_free(m);
        }
}
END_TEST

/* The small form trains with momentum 0.9 of ONNX's counting, which is 0.1 of PyTorch's. */
START_TEST(running_is_what_training_leaves)
{
        resect_error err;
        rs_arena a = {0};
        rs_norm_sites have;
        resect_binding in;
        const size_t batch = 8;
        resect_model *m = form_make(&forms[1], 3), *book = form_make(&forms[1], 3);
        resect_tensor x = all_pictures(m, &in), out;
        resect_adapt_result r = adapt(m, (resect_adapt_options){.batch = batch,
                                                 .momentum = 0.1,
                                                 .no_shuffle = true,
                                                 .kernels = RESECT_KERNELS_REFERENCE});
        ck_assert_uint_eq(r.pictures, PICTURES);
        stored(m, &have, &a);
        const char *logits = resect_model_logits(book, &err);
        const size_t row = in.tensor.size / PICTURES;
        for (size_t at = 0; at < PICTURES;
                at += batch) { /* a plan for each: the last is a short one */
                const size_t n = PICTURES - at < batch ? PICTURES - at : batch;
                resect_tensor part = x;
                part.dims[0] = in.tensor.dims[0] = (int64_t)n;
                part.size = in.tensor.size = n * row;
                part.data = (char *)x.data + at * row;
                resect_plan *p = resect_plan_make(book,
                        &(resect_plan_options){.inputs = &in,
                                .n_inputs = 1,
                                .outputs = &logits,
                                .n_outputs = 1,
                                .training = true,
                                .bn_unbiased = true,
                                .kernels = RESECT_KERNELS_REFERENCE,
                                .threads = 1},
                        &err);
                CK_OK(p != NULL, err);
                resect_exec *e = resect_exec_make(p, &err);
                CK_OK(e != NULL, err);
                CK_OK(resect_exec_run(e, &part, &out, &err), err);
                CK_OK(rs_exec_store(e, book, &err), err);
                resect_exec_free(e);
                resect_plan_free(p);
        }
        rs_norm_sites want;
        stored(book, &want, &a);
        near(&have, &want, 1e-5);
        resect_tensor_free(&x);
        rs_arena_free(&a);
        resect_model_free(m);
        resect_model_free(book);
}
END_TEST

/* All initializers but means and variances, and all nodes, come out as they went in. */
START_TEST(nothing_else_changes)
{
        for (size_t f = 0; f < FORMS; f++) {
                resect_error err;
                if (forms[f].identity) /* shared statistics become tensors of their own */
                        continue;
                for (int running = 0; running < 2; running++) {
                        if (running && forms[f].fixed_batch)
                                continue; /* batches of one */
                        resect_model *m = form_make(&forms[f], 3),
                                     *before = form_make(&forms[f], 3);
                        size_t moved = 0;
                        adapt(m, (resect_adapt_options){.batch = 4, .momentum = 0.3 * running});
                        ck_assert_uint_eq(m->graph.n_tensors, before->graph.n_tensors);
                        for (size_t i = 0; i < m->graph.n_tensors; i++) {
                                rs_arena a = {0};
                                rs_span x, y;
                                const rs_tensor *t = m->graph.tensors[i];
                                CK_OK(rs_tensor_bytes(m, t, &a, &x, &err), err);
                                CK_OK(rs_tensor_bytes(
                                              before, before->graph.tensors[i], &a, &y, &err),
                                        err);
                                bool statistic = false;
                                for (size_t k = 0; k < m->graph.n_nodes; k++) {
                                        const rs_node *n = m->graph.nodes[k];
                                        statistic |= rs_is_op(n, "BatchNormalization") &&
                                                     (!strcmp(n->in[3], t->name) ||
                                                             !strcmp(n->in[4], t->name));
                                }
                                bool same = x.size == y.size && !memcmp(x.data, y.data, x.size);
                                ck_assert_msg(same == !statistic, "%s", t->name);
                                moved += !same;
                                rs_arena_free(&a);
                        }
                        ck_assert_uint_gt(moved, 0);
                        resect_model_free(m);
                        resect_model_free(before);
                }
        }
}
END_TEST

START_TEST(frozen_stays)
{
        resect_error err;
        rs_arena a = {0};
        rs_norm_sites before, after;
        resect_model *m = form_make(&forms[1], 3);
        stored(m, &before, &a);
        const char *first[2] = {before.at[0].node->in[3], before.at[0].node->in[4]};
        for (int i = 0; i < 2; i++)
                CK_OK(rs_model_set_frozen(m, first[i], true, &err), err);
        resect_adapt_result r = adapt(m, (resect_adapt_options){0});
        ck_assert_uint_eq(r.frozen, 1);
        ck_assert_uint_eq(r.norms, before.n - 1);
        stored(m, &after, &a);
        for (size_t c = 0; c < before.at[0].channels; c++)
                ck_assert(before.at[0].mean[c] == after.at[0].mean[c] &&
                          before.at[0].var[c] == after.at[0].var[c]);
        for (size_t s = 0; s < before.n; s++)
                for (int i = 3; i < 5; i++)
                        CK_OK(rs_model_set_frozen(m, after.at[s].node->in[i], true, &err), err);
        resect_data *d = pictures();
        ck_assert(!resect_adapt(m, d, RESECT_ALL, NULL, NULL, &err));
        ck_assert_int_eq(err.code, RESECT_ARG);
        ck_assert_ptr_nonnull(strstr(err.msg, "--thaw"));
        resect_data_free(d);
        resect_model_free(m);
        rs_arena_free(&a);
}
END_TEST

static bool
stop(void *ctx, size_t done, size_t total)
{
        (void)ctx;
        return done * 2 < total;
}

START_TEST(what_cannot_be_is_said)
{
        resect_error err;
        resect_data *d = pictures();
        form folded = forms[0];
        folded.bn = BN_FOLDED;
        resect_model *m = form_make(&folded, 3);
        ck_assert(!resect_adapt(m, d, RESECT_ALL, NULL, NULL, &err));
        ck_assert_int_eq(err.code, RESECT_GRAPH);
        ck_assert_ptr_nonnull(strstr(err.msg, "resect-fold --unfold"));
        resect_model_free(m);
        m = form_make(&forms[0], 3);
        ck_assert(!resect_adapt(m, d, RESECT_TEST, NULL, NULL, &err));
        ck_assert_int_eq(err.code, RESECT_ARG);
        for (int running = 0; running < 2; running++) {
                ck_assert(!resect_adapt(m, d, RESECT_ALL,
                        &(resect_adapt_options){
                                .progress = stop, .momentum = 0.1 * running, .batch = 4},
                        NULL, &err));
                ck_assert_int_eq(err.code, RESECT_STOPPED);
        }
        ck_assert(!resect_adapt(
                m, d, RESECT_ALL, &(resect_adapt_options){.momentum = 1.5}, NULL, &err));
        ck_assert_int_eq(err.code, RESECT_ARG);
        ck_assert(!resect_adapt(m, d, RESECT_ALL,
                &(resect_adapt_options){.memory = 1, .temporary = "/no/such/folder"}, NULL, &err));
        ck_assert_int_eq(err.code, RESECT_IO);
        for (size_t i = 0; i < m->graph.n_nodes; i++)
                if (rs_is_op(m->graph.nodes[i], "BatchNormalization"))
                        CK_OK(rs_node_set_int(m, m->graph.nodes[i], "training_mode", 1, &err), err);
        ck_assert(!resect_adapt(m, d, RESECT_ALL, NULL, NULL, &err));
        ck_assert_int_eq(err.code, RESECT_UNSUPPORTED);
        ck_assert_ptr_nonnull(strstr(err.msg, "--eval"));
        resect_model_free(m);
        resect_data_free(d);
}
END_TEST

START_TEST(moments_keep_their_digits)
{
        resect_error err;
        rs_arena a = {0};
        rs_moments s;
        float x[2 * 3 * 5];
        double v[3][20];
        CK_OK(rs_moments_make(&s, &a, 3, &err), err);
        for (int b = 0; b < 2; b++) {
                for (int i = 0; i < 2 * 3 * 5; i++) {
                        x[i] = (float)(4e6 * (i / 5 % 3) +
                                       (i * 7 + b * 5) % 11); /* means far from zero */
                        v[i / 5 % 3][b * 10 + i / 15 * 5 + i % 5] = (double)x[i];
                }
                resect_tensor t = {.dtype = RESECT_FLOAT,
                        .rank = 3,
                        .dims = {2, 3, 5},
                        .data = x,
                        .size = sizeof x};
                rs_moments_add(&s, &t, 2, 1);
        }
        for (int c = 0; c < 3; c++) {
                double mean = 0, var = 0;
                for (int i = 0; i < 20; i++)
                        mean += v[c][i] / 20;
                for (int i = 0; i < 20; i++)
                        var += (v[c][i] - mean) * (v[c][i] - mean) / 20;
                ck_assert_double_eq_tol(s.mean[c], mean, 1e-6);
                ck_assert_double_eq_tol(rs_moments_var(&s, (size_t)c), var, 1e-6);
        }
        rs_arena_free(&a);
}
END_TEST

START_TEST(distance_of_gaussians)
{
        ck_assert_double_eq_tol(
                resect_gauss_distance(1, 4, 3, 4), 1, 1e-12); /* a standard deviation apart */
        ck_assert_double_eq_tol(resect_gauss_distance(0, 1, 0, 2), 0.25, 1e-12);
        ck_assert_double_eq_tol(resect_gauss_distance(2, 3, 2, 3), 0, 1e-15);
        ck_assert_double_eq_tol(
                resect_gauss_distance(1, 2, 3, 4), resect_gauss_distance(3, 4, 1, 2), 1e-12);
        ck_assert(isinf(resect_gauss_distance(0, 0, 1, 1)));
        ck_assert(isnan(resect_gauss_distance(0, -1, 1, 1)));
        /* against the integral of (p - q) ln(p / q) */
        double sum = 0, h = 1e-3;
        for (double x = -30; x < 30; x += h) {
                double p = exp(-(x - 0.5) * (x - 0.5) / 2 / 1.5) / sqrt(2 * 3.14159265358979 * 1.5);
                double q = exp(-(x + 1) * (x + 1) / 2 / 4) / sqrt(2 * 3.14159265358979 * 4);
                if (p > 0 && q > 0)
                        sum += (p - q) * log(p / q) * h;
        }
        ck_assert_double_eq_tol(resect_gauss_distance(0.5, 1.5, -1, 4), sum, 1e-6);
}
END_TEST

START_TEST(labels_are_matched)
{
        static const char *const labels[] = {"ants", "Ant", "n02219486 ant, emmet, pismire",
                "golden_retriever", "glass", "butterfly", "box, Steam-Engine", "x,y"};
        static const struct {
                const char *class;
                resect_likeness how;
                size_t label;
        } rows[] = {{"ants", RESECT_SAME, 0}, {"Ant", RESECT_SAME, 1}, {"ANT", RESECT_FOLDED, 0},
                {"emmet", RESECT_SYNONYM, 2}, {"Pismires", RESECT_SYNONYM, 2},
                {"Golden Retrievers", RESECT_FOLDED, 3}, {"golden  retriever ", RESECT_FOLDED, 3},
                {"glas", RESECT_UNLIKE, 0}, {"glasses", RESECT_FOLDED, 4},
                {"butterflies", RESECT_FOLDED, 5}, {"boxes", RESECT_SYNONYM, 6},
                {"steam engine", RESECT_SYNONYM, 6}, {"x,y", RESECT_SAME, 7},
                {"bee", RESECT_UNLIKE, 0}, {"", RESECT_UNLIKE, 0}, {"n0", RESECT_UNLIKE, 0},
                {"golden", RESECT_UNLIKE, 0}};
        enum { ROWS = sizeof rows / sizeof *rows };
        const char *classes[ROWS];
        resect_label_match match[ROWS];
        resect_error err;
        for (size_t i = 0; i < ROWS; i++)
                classes[i] = rows[i].class;
        CK_OK(resect_labels_match(
                      labels, sizeof labels / sizeof *labels, classes, ROWS, match, &err),
                err);
        for (size_t i = 0; i < ROWS; i++)
                ck_assert_msg(match[i].how == rows[i].how &&
                                      (!rows[i].how || match[i].label == rows[i].label),
                        "'%s': %d, %zu", classes[i], (int)match[i].how, match[i].label);
}
END_TEST

/* Two samples of one law cannot be told apart, apart from it they can; what is in both is left out,
 * and all of it is a half. */
START_TEST(shared_pictures_tell_nothing)
{
        enum { N = 60, D = 7 };
        resect_error err;
        static float a[N * D], b[N * D];
        resect_shift_facts f = {0};
        for (int shifted = 0; shifted < 2; shifted++) {
                for (size_t i = 0; i < N * D; i++) {
                        a[i] = (float)rs_normal(1, 1, i);
                        b[i] = (float)(rs_normal(1, 2, i) + (i % D == 3 ? 2 * shifted : 0));
                }
                memcpy(b, a, 10 * D * sizeof *a); /* ten in common */
                CK_OK(rs_domain_auc(a, N, b, N, D, 5, 1, &f, &err), err);
                ck_assert_uint_eq(f.shared, 10);
                ck_assert(f.auc_low < f.auc && f.auc < f.auc_high);
                if (shifted)
                        ck_assert(f.auc > 0.8 && f.auc_low > 0.7);
                else
                        ck_assert(f.auc_low < 0.5 && f.auc_high > 0.5);
        }
        CK_OK(rs_domain_auc(a, N, a, N, D, 5, 1, &f, &err), err);
        ck_assert_uint_eq(f.shared, N);
        ck_assert(f.auc_low >= 0.5 && f.auc_high <= 0.5);
        a[5] = NAN;
        ck_assert(!rs_domain_auc(a, N, b, N, D, 5, 1, &f, &err));
        ck_assert_int_eq(err.code, RESECT_FORMAT);
}
END_TEST

/* Pictures from..from + n of the small job under another light, as IDX files in a folder of its
 * own. */
static void
leave(const char *where, const char *name, size_t from, size_t n, double gain, double offset)
{
        static const char *const files[] = {"train-images-idx3-ubyte", "train-labels-idx1-ubyte"};
        const size_t head[2] = {20, 8}, row[2] = {(size_t)JOB_SIDE * JOB_SIDE * 3, 1};
        char path[512];
        snprintf(path, sizeof path, "%s/%s", where, name);
        ck_assert_int_eq(mkdir(path, 0777), 0);
        for (int k = 0; k < 2; k++) {
                snprintf(path, sizeof path, "%s/%s", where, files[k]);
                FILE *in = fopen(path, "rb");
                snprintf(path, sizeof path, "%s/%s/%s", where, name, files[k]);
                FILE *out = fopen(path, "wb");
                ck_assert(in && out);
                for (size_t i = 0; i < head[k]; i++) { /* the count is in bytes 4 to 7 */
                        int c = getc(in);
                        putc(i < 4 || i > 7 ? c : (int)(n >> (56 - 8 * i) & 255), out);
                }
                ck_assert_int_eq(fseek(in, (long)(from * row[k]), SEEK_CUR), 0);
                for (size_t i = 0; i < n * row[k]; i++) {
                        int c = getc(in);
                        ck_assert_int_ne(c, EOF);
                        putc(k ? c : (int)(c * gain + offset), out);
                }
                fclose(in);
                ck_assert_int_eq(fclose(out), 0);
        }
}

static const char *leave_where;

START_TEST(leave_files)
{
        resect_error err;
        char path[512];
        unsigned char grey[16 * 16];
        resect_model *m = small_model(false);
        snprintf(path, sizeof path, "%s/model.onnx", leave_where);
        CK_OK(resect_model_write(m, path, &err), err);
        resect_model_free(m);
        small_pictures(leave_where, 180);
        leave(leave_where, "day", 0, 90, 1, 0);
        leave(leave_where, "otherday", 90, 90, 1, 0);
        leave(leave_where, "dusk", 0, 90, 0.6, 50);
        leave(leave_where, "night", 0, 90, 0.2, 100);
        for (int i = 0; i < 256; i++)
                grey[i] = (unsigned char)i;
        snprintf(path, sizeof path, "%s/picture.png", leave_where);
        CK_OK(resect_picture_write(path, grey, 16, 16, 1, &err), err);
}
END_TEST

int
main(int argc, char **argv)
{
        Suite *s = suite_create("adapt");
        TCase *c = tcase_create("all");
        suite_add_tcase(s, c);
        if (argc == 3 && !strcmp(argv[1], "make")) {
                leave_where = argv[2];
                tcase_add_test(c, leave_files);
        } else {
                tcase_set_timeout(c, 300);
                tcase_add_unchecked_fixture(c, prepare, clean_up);
                tcase_add_test(c, exact_is_one_batch_of_all_and_a_fixed_point);
                tcase_add_test(c, where_activations_are_held_is_no_matter);
                tcase_add_test(c, running_is_what_training_leaves);
                tcase_add_test(c, nothing_else_changes);
                tcase_add_test(c, frozen_stays);
                tcase_add_test(c, what_cannot_be_is_said);
                tcase_add_test(c, moments_keep_their_digits);
                tcase_add_test(c, distance_of_gaussians);
                tcase_add_test(c, labels_are_matched);
                tcase_add_test(c, shared_pictures_tell_nothing);
        }
        SRunner *r = srunner_create(s);
        srunner_run_all(r, CK_NORMAL);
        int failed = srunner_ntests_failed(r);
        srunner_free(r);
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
