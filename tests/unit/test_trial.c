/* SPDX-License-Identifier: 0BSD */
/*
 * The trial: who is drawn, what the arms are, what a search takes, that an interruption, another
 * number of jobs or a neighbour changes no figure, and that a journal is only read by the trial
 * that wrote it.
 */
#include "unit.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/mem.h"
#include "data/data.h"
#include "forms.h"
#include "image/image.h"
#include "resect/edit.h"
#include "resect/look.h"
#include "small_job.h"
#include "trial/trial.h"

static char folder[] = "/tmp/resect-trial-XXXXXX";
static char journal[64], keep[64];
static const double one[] = {1}, halves[] = {0.5, 1}, rate[] = {0.05};

static void
prepare(void)
{
        ck_assert_ptr_nonnull(mkdtemp(folder));
        small_pictures(folder, 90);
        snprintf(journal, sizeof journal, "%s/journal", folder);
        snprintf(keep, sizeof keep, "%s/kept", folder);
}

static void
clean_up(void)
{
        char command[128];
        snprintf(command, sizeof command, "rm -rf %s", folder);
        ck_assert_int_eq(system(command), 0);
}

static resect_data *
pictures(void)
{
        resect_error err;
        resect_data *d = resect_data_open(folder, &(resect_data_options){.val = 0.25}, &err);
        CK_OK(d != NULL, err);
        return d;
}

static resect_trial_options
quick(void)
{
        static const char *const arms[] = {"head", "tune"};
        resect_trial_options o;
        resect_trial_defaults(&o);
        o.arms = arms;
        o.n_arms = 2;
        o.seeds = 2;
        o.fractions = halves;
        o.n_fractions = 2;
        o.rates = rate;
        o.n_rates = 1;
        o.epochs = 2;
        o.batch = 8;
        o.threads = 1;
        o.kernels = RESECT_KERNELS_REFERENCE;
        return o;
}

static resect_model *
two_stages(enum form_bn bn)
{
        form f = {.blocks = {1, 1},
                .width = 4,
                .size = JOB_SIDE,
                .classes = JOB_CLASSES,
                .stem = STEM_CIFAR,
                .bn = bn};
        return form_make(&f, 5);
}

static resect_trial *
lay_out(resect_model *m, const resect_data *d, const resect_trial_options *o)
{
        resect_error err;
        resect_trial *t = resect_trial_make(m, d, o, &err);
        CK_OK(t != NULL, err);
        return t;
}

static bool
holds(const resect_data *v, resect_split split, const char *name)
{
        for (size_t i = 0; i < resect_data_count(v, split); i++)
                if (!strcmp(resect_data_name(v, split, i), name))
                        return true;
        return false;
}

START_TEST(divisions)
{
        resect_error err;
        resect_data *d = pictures();
        resect_model *m = small_model(false);
        resect_trial_options o = quick();
        resect_trial *t = lay_out(m, d, &o);
        size_t pool = resect_data_count(d, RESECT_TRAIN), moved = 0;
        ck_assert_int_eq(resect_trial_test_split(t), RESECT_VAL);
        resect_data *first = rs_draw_view(t, 0, 1, &err);
        for (size_t s = 0; s < o.seeds; s++) {
                resect_data *all = rs_draw_view(t, s, 1, &err),
                            *half = rs_draw_view(t, s, 0.5, &err),
                            *crumb = rs_draw_view(t, s, 1e-9, &err);
                size_t n = resect_data_count(all, RESECT_TRAIN),
                       v = resect_data_count(all, RESECT_VAL);
                ck_assert_uint_eq(n + v, pool);
                ck_assert_uint_eq(
                        resect_data_count(all, RESECT_TEST), resect_data_count(d, RESECT_VAL));
                ck_assert_uint_eq(resect_data_count(half, RESECT_VAL), v);
                ck_assert_uint_eq(resect_data_count(crumb, RESECT_TRAIN), JOB_CLASSES);
                ck_assert_uint_eq(rs_draw_count(t, s, 0.5), resect_data_count(half, RESECT_TRAIN));
                ck_assert_uint_ge(resect_data_count(half, RESECT_TRAIN) + JOB_CLASSES, n / 2);
                ck_assert_uint_le(resect_data_count(half, RESECT_TRAIN), n / 2 + JOB_CLASSES);
                size_t by_class[JOB_CLASSES] = {0};
                for (size_t i = 0; i < v; i++)
                        by_class[resect_data_label(all, RESECT_VAL, i)]++;
                for (size_t c = 0; c < JOB_CLASSES; c++)
                        ck_assert_uint_gt(by_class[c], 0);
                for (size_t i = 0; i < n; i++) {
                        const char *name = resect_data_name(all, RESECT_TRAIN, i);
                        ck_assert(!holds(all, RESECT_VAL, name) && !holds(all, RESECT_TEST, name));
                        moved += s == 1 && holds(first, RESECT_VAL, name);
                }
                for (size_t i = 0; i < resect_data_count(half, RESECT_TRAIN); i++)
                        ck_assert(
                                holds(all, RESECT_TRAIN, resect_data_name(half, RESECT_TRAIN, i)));
                for (size_t i = 0; i < JOB_CLASSES; i++)
                        ck_assert(holds(
                                half, RESECT_TRAIN, resect_data_name(crumb, RESECT_TRAIN, i)));
                resect_data_free(all);
                resect_data_free(half);
                resect_data_free(crumb);
        }
        ck_assert_uint_gt(moved, 0); /* another seed validates with others */
        resect_data_free(first);
        resect_trial_free(t);
        resect_model_free(m);
        resect_data_free(d);
}
END_TEST

START_TEST(views)
{
        resect_error err;
        resect_input in;
        resect_data *d = pictures();
        resect_model *m = small_model(false);
        const size_t train[] = {7, 3}, test[] = {0}, twice[] = {3}, far[] = {100000};
        float a[3 * JOB_SIDE * JOB_SIDE], b[3 * JOB_SIDE * JOB_SIDE];
        const resect_augment how = {.flip = true, .pad = 2};
        char base[65], view[65];
        CK_OK(resect_input_of(m, &in, NULL, &err), err);
        resect_data *v = resect_data_resplit(d, train, 2, NULL, 0, test, 1, &err);
        CK_OK(v != NULL, err);
        ck_assert_uint_eq(resect_data_count(v, RESECT_ALL), 3);
        ck_assert_str_eq(resect_data_name(v, RESECT_TRAIN, 0), resect_data_name(d, RESECT_ALL, 7));
        ck_assert_int_eq(
                resect_data_label(v, RESECT_TRAIN, 1), resect_data_label(d, RESECT_ALL, 3));
        for (uint64_t epoch = 0; epoch < 4; epoch++) {
                CK_OK(resect_data_sample(v, RESECT_TRAIN, 0, &in, &how, 1, epoch, a, &err), err);
                CK_OK(resect_data_sample(d, RESECT_ALL, 7, &in, &how, 1, epoch, b, &err), err);
                ck_assert_mem_eq(a, b, sizeof a);
        }
        CK_OK(resect_data_digest(d, base, &err), err);
        CK_OK(resect_data_digest(v, view, &err), err);
        ck_assert_str_ne(base, view);
        /* of a view, its own numbers count */
        const size_t last[] = {2};
        resect_data *w = resect_data_resplit(v, last, 1, NULL, 0, NULL, 0, &err);
        CK_OK(w != NULL, err);
        ck_assert_str_eq(resect_data_name(w, RESECT_TRAIN, 0), resect_data_name(d, RESECT_ALL, 7));
        ck_assert_ptr_null(resect_data_resplit(d, train, 2, twice, 1, NULL, 0, &err));
        ck_assert_int_eq(err.code, RESECT_ARG);
        ck_assert_ptr_null(resect_data_resplit(d, far, 1, NULL, 0, NULL, 0, &err));
        resect_data_free(w);
        resect_data_free(v);
        resect_model_free(m);
        resect_data_free(d);
}
END_TEST

/* How many tensors whose part begins with a word are, bit for bit, those of the model. */
static size_t
kept(resect_model *of, resect_model *m, const char *word, size_t *all)
{
        resect_error err;
        resect_anatomy *a = resect_anatomy_find(m, &err);
        size_t same = 0;
        *all = 0;
        for (size_t i = 0; i < m->graph.n_tensors; i++) {
                const rs_tensor *t = m->graph.tensors[i];
                const char *part = resect_anatomy_tensor_part(a, t->name);
                resect_tensor x, y;
                if (!part || strncmp(part, word, strlen(word)) != 0 ||
                        !resect_model_tensor_values(m, t->name, &x, &err))
                        continue;
                ++*all;
                if (resect_model_tensor_values(of, t->name, &y, &err)) {
                        same += x.size == y.size && !memcmp(x.data, y.data, x.size);
                        resect_tensor_free(&y);
                }
                resect_tensor_free(&x);
        }
        resect_anatomy_free(a);
        return same;
}

static const char *const everything[] = {
        "scratch", "head", "tune", "reset:1", "freeze:1", "truncate:1", "adabn"};

START_TEST(arms)
{
        /* parts that keep their weights, and the part of the numbers that may be trained */
        static const struct {
                bool stem, layer1, layer2;
                bool all_trained;
        } want[] = {{false, false, false, true}, {true, true, true, false},
                {true, true, true, true}, {true, true, false, true}, {true, true, true, false},
                {true, true, true, true}, {false, false, false, false}};
        resect_error err;
        resect_data *d = pictures();
        resect_model *m = two_stages(BN_KEPT);
        resect_trial_options o = quick();
        o.arms = everything;
        o.n_arms = 7;
        resect_trial *t = lay_out(m, d, &o);
        resect_data *v = rs_draw_view(t, 0, 1, &err);
        uint64_t head = 0;
        for (size_t i = 0; i < 7; i++) {
                resect_trial_arm a;
                size_t n, whole[3];
                static const char *const parts[] = {"stem", "layer1", "layer2"};
                resect_model *made = rs_arm_model(t, &t->arms[i], 1, v, &err);
                CK_OK(made != NULL, err);
                ck_assert(resect_trial_arm_at(t, i, &a));
                ck_assert_str_eq(a.name, everything[i]);
                for (int k = 0; k < 3; k++) {
                        size_t same = kept(m, made, parts[k], &n);
                        whole[k] = n;
                        bool all = n && same == n, wanted = k == 0   ? want[i].stem
                                                            : k == 1 ? want[i].layer1
                                                                     : want[i].layer2;
                        ck_assert_msg(
                                !strcmp(a.name, "truncate:1") && k == 2 ? n == 0 : all == wanted,
                                "%s: %zu of %zu tensors of %s kept", a.name, same, n, parts[k]);
                }
                ck_assert_msg((a.trained == a.parameters) == want[i].all_trained,
                        "%s: %llu of %llu", a.name, (unsigned long long)a.trained,
                        (unsigned long long)a.parameters);
                ck_assert_uint_gt(a.macs, 0);
                ck_assert_uint_eq(whole[0] > 0, 1);
                if (i == 1)
                        head = a.trained;
                ck_assert_int_eq(a.simple, i == 1 || i == 6);
                ck_assert_int_eq(a.pretrained, i != 0);
                resect_model_free(made);
        }
        ck_assert_uint_eq(head, (8 + 1) * JOB_CLASSES);
        resect_data_free(v);
        resect_trial_free(t);
        resect_model_free(m);
        resect_data_free(d);
}
END_TEST

START_TEST(arms_that_are_none)
{
        static const char *const bad[][2] = {{"tuna", NULL}, {"freeze:2", NULL},
                {"truncate:2", NULL}, {"reset:3", NULL}, {"reset:0", NULL}, {"reset", NULL},
                {"reset:1x", NULL}, {"tune", "tune"}};
        resect_error err;
        resect_data *d = pictures();
        resect_model *m = two_stages(BN_KEPT), *folded = two_stages(BN_FOLDED);
        resect_trial_options o = quick();
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
                o.arms = bad[i];
                o.n_arms = bad[i][1] ? 2 : 1;
                ck_assert_ptr_null(resect_trial_make(m, d, &o, &err));
                ck_assert_int_eq(err.code, RESECT_ARG);
                ck_assert_ptr_nonnull(strstr(err.msg, bad[i][0]));
        }
        o.arms = everything + 6; /* adabn, where there is nothing to adapt */
        o.n_arms = 1;
        ck_assert_ptr_null(resect_trial_make(folded, d, &o, &err));
        ck_assert_ptr_nonnull(strstr(err.msg, "folded"));
        o.arms = NULL; /* the default ones */
        resect_trial *t = lay_out(m, d, &o);
        ck_assert_uint_eq(resect_trial_arm_count(t), 6);
        resect_trial_free(t);
        resect_model_free(m);
        resect_model_free(folded);
        resect_data_free(d);
}
END_TEST

static size_t
norms(const resect_model *m)
{
        size_t n = 0;
        for (size_t i = 0; i < m->graph.n_nodes; i++)
                n += !strcmp(m->graph.nodes[i]->op, "BatchNormalization");
        return n;
}

/* Where the exporter folded BatchNormalization, all but the frozen arm have it back; tune still
 * computes what the model did. */
START_TEST(folded)
{
        resect_error err;
        resect_data *d = pictures();
        resect_model *m = two_stages(BN_FOLDED), *whole = two_stages(BN_KEPT);
        resect_trial_options o = quick();
        o.arms = everything;
        o.n_arms = 3;
        resect_trial *t = lay_out(m, d, &o);
        resect_data *v = rs_draw_view(t, 0, 1, &err);
        bool told = false;
        for (size_t i = 0; resect_trial_note(t, i); i++)
                told = told || strstr(resect_trial_note(t, i), "was folded");
        ck_assert(told);
        for (size_t i = 0; i < 3; i++) {
                resect_model *made = rs_arm_model(t, &t->arms[i], 1, v, &err);
                CK_OK(made != NULL, err);
                ck_assert_uint_eq(norms(made), i == 1 ? 0 : norms(whole));
                resect_model_free(made);
        }
        resect_tensor a, b;
        resect_model *head = rs_arm_model(t, &t->arms[1], 1, v, &err),
                     *tune = rs_arm_model(t, &t->arms[2], 1, v, &err);
        const resect_predict_options how = {.kernels = RESECT_KERNELS_REFERENCE, .threads = 1};
        CK_OK(resect_predict(head, v, RESECT_TEST, &how, &a, &err), err);
        CK_OK(resect_predict(tune, v, RESECT_TEST, &how, &b, &err), err);
        for (int64_t i = 0; i < resect_tensor_count(&a); i++)
                ck_assert_float_eq_tol(((float *)a.data)[i], ((float *)b.data)[i], 1e-3f);
        resect_tensor_free(&a);
        resect_tensor_free(&b);
        resect_model_free(head);
        resect_model_free(tune);
        resect_data_free(v);
        resect_trial_free(t);
        resect_model_free(m);
        resect_model_free(whole);
        resect_data_free(d);
}
END_TEST

/* Every figure of the runs and searches but the times, as text. */
static void
figures(const resect_trial *t, rs_buf *b)
{
        resect_trial_run r;
        resect_trial_arm a;
        for (size_t i = 0; resect_trial_arm_at(t, i, &a); i++) {
                rs_buf_printf(b, "%s %.17g %d %zu:", a.name, a.lr, a.lr_at_edge, a.epochs);
                for (size_t k = 0; k < a.n_rates; k++)
                        rs_buf_printf(b, " %.17g=%.17g", a.rates[k], a.search_loss[k]);
                rs_buf_str(b, "\n");
        }
        for (size_t i = 0; resect_trial_run_at(t, i, &r); i++) {
                rs_buf_printf(b, "%zu %zu %zu %.17g %zu %zu %zu %d", r.arm, r.fraction, r.seed,
                        r.lr, r.n_train, r.n_val, r.best_epoch, r.diverged);
                for (size_t k = 0; k < r.n_epochs; k++)
                        rs_buf_printf(b, " %.17g %.17g %.17g %.17g", r.epochs[k].lr,
                                r.epochs[k].loss, r.epochs[k].val_loss, r.epochs[k].val_ece);
                rs_buf_printf(b, " %.17g %.17g", r.train.loss, r.val.loss);
                for (size_t k = 0; k < r.n_test; k++)
                        rs_buf_printf(b, " %d %d %zu %.17g %.17g", (int)r.test[k].label,
                                (int)r.test[k].predicted, r.test[k].rank, r.test[k].loss,
                                r.test[k].confidence);
                rs_buf_str(b, "\n");
        }
        rs_buf_str(b, "");
}

struct stopper {
        size_t calls, stop_at; /* 0: never */
};

static bool
on_progress(void *ctx, const resect_trial_progress *p)
{
        struct stopper *s = ctx;
        ck_assert_uint_lt(p->done, p->total);
        return ++s->calls != s->stop_at;
}

/* The figures of a trial that is stopped after every `every` calls until it is done. */
static size_t
carried_out(const resect_trial_options *o, size_t every, rs_buf *out)
{
        resect_error err;
        resect_data *d = pictures();
        resect_model *m = small_model(false);
        size_t stops = 0;
        for (;;) {
                resect_trial *t = lay_out(m, d, o);
                struct stopper s = {.stop_at = every};
                const resect_trial_events events = {.ctx = &s, .progress = on_progress};
                bool ok = resect_trial_go(t, &events, &err);
                if (ok)
                        figures(t, out);
                else
                        ck_assert_msg(err.code == RESECT_STOPPED, "%s", err.msg);
                ck_assert_int_eq(resect_trial_complete(t), ok);
                resect_trial_free(t);
                if (ok)
                        break;
                ck_assert_uint_lt(++stops, 1000);
        }
        resect_model_free(m);
        resect_data_free(d);
        return stops;
}

START_TEST(nothing_shows)
{
        rs_buf whole = {0}, other = {0};
        resect_trial_options o = quick();
        static const double rates[] = {0.02, 0.1};
        o.rates = rates;
        o.n_rates = 2;
        o.augment.flip = true;
        ck_assert_uint_eq(carried_out(&o, 0, &whole), 0);
        ck_assert_uint_gt(whole.size, 1000);
        o.jobs = 3;
        carried_out(&o, 0, &other);
        ck_assert_str_eq((char *)whole.data, (char *)other.data);
        other.size = 0;
        o.jobs = 1;
        unlink(journal);
        o.journal = journal;
        /* a search is the longest that has to come through in one piece. */
        ck_assert_uint_gt(carried_out(&o, 150, &other), 2);
        ck_assert_str_eq((char *)whole.data, (char *)other.data);
        /* All of it is in the journal: nothing is computed, and the same comes out. */
        other.size = 0;
        ck_assert_uint_eq(carried_out(&o, 1, &other), 0);
        ck_assert_str_eq((char *)whole.data, (char *)other.data);
        rs_buf_free(&whole);
        rs_buf_free(&other);
        unlink(journal);
}
END_TEST

static void
append(const char *path, const char *text)
{
        FILE *f = fopen(path, "ab");
        fputs(text, f);
        ck_assert_int_eq(fclose(f), 0);
}

static bool
laid_out(const resect_trial_options *o, resect_model *m, const resect_data *d, resect_error *err)
{
        resect_trial *t = resect_trial_make(m, d, o, err);
        resect_trial_free(t);
        return t != NULL;
}

/* The journal with the first piece of text replaced by another. */
static void
replaced(const rs_buf *whole, const char *from, const char *to)
{
        const char *text = (const char *)whole->data, *at = strstr(text, from);
        ck_assert_ptr_nonnull(at);
        FILE *f = fopen(journal, "wb");
        fprintf(f, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
        ck_assert_int_eq(fclose(f), 0);
}

/* Figures that are no numbers are no run's; but null stands for one that is not finite. */
START_TEST(figures_of_a_journal)
{
        resect_error err;
        rs_buf whole = {0}, unused = {0};
        resect_trial_options o = quick();
        resect_data *d = pictures();
        resect_model *m = small_model(false);
        o.seeds = 1;
        o.fractions = one;
        o.n_fractions = 1;
        unlink(journal);
        o.journal = journal;
        carried_out(&o, 0, &unused);
        CK_OK(rs_file_load(&whole, journal, 1 << 24, &err), err);
        rs_buf_add(&whole, "", 1);
        static const char *const lists[] = {
                "\"predicted\":[", "\"rank\":[", "\"loss\":[", "\"confidence\":["};
        for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
                char from[64], to[64];
                const char *run = strstr((const char *)whole.data, "\"predicted\""),
                           *at = strstr(i == 0 ? run : run + 1, lists[i]) + strlen(lists[i]);
                const int n = (int)strcspn(at, ",]");
                snprintf(from, sizeof from, "%s%.*s", lists[i], n, at);
                snprintf(to, sizeof to, "%s\"%.*s\"", lists[i], n, at);
                replaced(&whole, from, to);
                ck_assert_msg(!laid_out(&o, m, d, &err), "%s is a run's", to);
                ck_assert_int_eq(err.code, RESECT_FORMAT);
        }
        replaced(&whole, "\"epochs\":[[", "\"epochs\":[[null,");
        resect_trial *t = lay_out(m, d, &o);
        resect_trial_run r;
        CK_OK(resect_trial_run_at(t, 0, &r), err);
        ck_assert(isnan(r.epochs[0].seconds));
        resect_trial_free(t);
        replaced(&whole, "\"epochs\":[[", "\"epochs\":[[true,");
        ck_assert(!laid_out(&o, m, d, &err));
        ck_assert_int_eq(err.code, RESECT_FORMAT);
        /* what cannot be looked at says why */
        char below[96];
        snprintf(below, sizeof below, "%s/below", journal);
        o.journal = below;
        ck_assert(!laid_out(&o, m, d, &err));
        ck_assert_int_eq(err.code, RESECT_IO);
        ck_assert_ptr_nonnull(strstr(err.msg, strerror(ENOTDIR)));
        unlink(journal);
        rs_buf_free(&whole);
        rs_buf_free(&unused);
        resect_model_free(m);
        resect_data_free(d);
}
END_TEST

START_TEST(journals)
{
        resect_error err;
        struct stat st;
        rs_buf whole = {0}, other = {0};
        resect_trial_options o = quick();
        resect_data *d = pictures();
        resect_model *m = small_model(false), *another = small_model(true);
        o.seeds = 1;
        o.fractions = one;
        o.n_fractions = 1;
        unlink(journal);
        o.journal = journal;
        carried_out(&o, 0, &whole);
        /* a line cut anywhere is dropped, and its run made again */
        ck_assert_int_eq(stat(journal, &st), 0);
        for (int cut = 1; cut < 400; cut += 133) {
                ck_assert_int_eq(truncate(journal, st.st_size - cut), 0);
                other.size = 0;
                carried_out(&o, 0, &other);
                ck_assert_str_eq((char *)whole.data, (char *)other.data);
        }
        append(journal, "{\"run\":\"tune\",\"fraction\":1.0,\"se");
        other.size = 0;
        carried_out(&o, 1, &other);
        ck_assert_str_eq((char *)whole.data, (char *)other.data);
        /* more seeds: what is there is used */
        o.seeds = 2;
        resect_trial *t = lay_out(m, d, &o);
        ck_assert_uint_eq(resect_trial_run_count(t), 2);
        ck_assert(!resect_trial_complete(t));
        resect_trial_free(t);
        /* other trials */
        o.epochs = 3;
        ck_assert(!laid_out(&o, m, d, &err));
        ck_assert_int_eq(err.code, RESECT_ARG);
        ck_assert_ptr_nonnull(strstr(err.msg, "epochs was 2, now 3"));
        o.epochs = 2;
        ck_assert(!laid_out(&o, another, d, &err));
        ck_assert_ptr_nonnull(strstr(err.msg, "another model"));
        resect_data *less =
                resect_data_open(folder, &(resect_data_options){.val = 0.25, .per_class = 9}, &err);
        ck_assert(!laid_out(&o, m, less, &err));
        ck_assert_ptr_nonnull(strstr(err.msg, "other data"));
        resect_data_free(less);
        /* no journals */
        append(journal, "{\"run\":\"tune\",\"fraction\":1.0,\"seed\":0}\n{\"run\":");
        ck_assert(!laid_out(&o, m, d, &err));
        ck_assert_int_eq(err.code, RESECT_FORMAT);
        unlink(journal);
        append(journal, "words\n");
        ck_assert(!laid_out(&o, m, d, &err));
        ck_assert_int_eq(err.code, RESECT_FORMAT);
        o.journal = folder;
        ck_assert(!laid_out(&o, m, d, &err));
        unlink(journal);
        rs_buf_free(&whole);
        rs_buf_free(&other);
        resect_model_free(m);
        resect_model_free(another);
        resect_data_free(d);
}
END_TEST

/* What a search takes from a grid. */
static resect_trial_arm
taken(const double *rates, size_t n)
{
        resect_error err;
        resect_trial_arm a;
        resect_data *d = pictures();
        resect_model *m = small_model(false);
        resect_trial_options o = quick();
        o.arms = everything + 2;
        o.n_arms = 1;
        o.seeds = 1;
        o.fractions = one;
        o.n_fractions = 1;
        o.epochs = 6;
        o.rates = rates;
        o.n_rates = n;
        resect_trial *t = lay_out(m, d, &o);
        CK_OK(resect_trial_go(t, NULL, &err), err);
        ck_assert(resect_trial_arm_at(t, 0, &a));
        for (size_t i = 0; i < a.n_rates; i++) {
                ck_assert(i == 0 || a.rates[i] > a.rates[i - 1]);
                if (!(a.search_loss[i] < HUGE_VAL)) /* 1e8 diverges: the worst there is */
                        ck_assert(a.rates[i] > 1e3);
        }
        ck_assert_uint_eq(a.search_epochs, 3);
        a.rates = a.search_loss = NULL;
        resect_trial_free(t);
        resect_model_free(m);
        resect_data_free(d);
        return a;
}

START_TEST(searches)
{
        const double planted[] = {1e-7, 0.05, 1e8}, low[] = {1e-9, 2e-9};
        resect_trial_arm a = taken(planted, 3);
        ck_assert_double_eq_tol(a.lr, 0.05, 1e-12);
        ck_assert(!a.lr_at_edge);
        ck_assert_uint_eq(a.n_rates, 3);
        a = taken(low, 2);
        ck_assert_uint_eq(a.n_rates, 4);
        ck_assert(a.lr_at_edge);
}
END_TEST

static void
hear(void *ctx, const resect_trial_progress *p)
{
        (*(size_t *)ctx) += !strcmp(p->what, "restart");
}

START_TEST(kept_and_restarted)
{
        resect_error err;
        char path[128];
        size_t heard = 0;
        resect_data *d = pictures();
        resect_model *m = small_model(false);
        resect_trial_options o = quick();
        o.keep = keep;
        o.restarts = 3;
        unlink(journal);
        o.journal = journal;
        o.history = "made by a test";
        resect_trial *t = lay_out(m, d, &o);
        CK_OK(resect_trial_go(t, &(resect_trial_events){.ctx = &heard, .finished = hear}, &err),
                err);
        ck_assert_uint_eq(heard, 2);
        /* the model of the best run by validation, with what it needs */
        for (size_t i = 0; i < 2; i++) {
                resect_scores best = {0}, is;
                size_t seed = 0;
                for (size_t s = 0; s < 2; s++) {
                        const resect_trial_run *r = *rs_trial_slot(t, i, 1, s);
                        if (s == 0 || rs_better(&r->val, &best)) {
                                best = r->val;
                                seed = s;
                        }
                }
                snprintf(path, sizeof path, "%s/%s.onnx", keep, i ? "tune" : "head");
                resect_model *k = resect_model_read(path, NULL, &err);
                CK_OK(k != NULL, err);
                ck_assert_ptr_nonnull(resect_model_meta(k, "resect.input"));
                ck_assert_ptr_nonnull(resect_model_meta(k, "resect.labels"));
                ck_assert_str_eq(resect_model_meta(k, "resect.history"), "made by a test");
                resect_data *v = rs_draw_view(t, seed, 1, &err);
                resect_tensor x;
                resect_outcome out[100];
                int64_t labels[100];
                size_t n = resect_data_count(v, RESECT_VAL);
                for (size_t j = 0; j < n; j++)
                        labels[j] = resect_data_label(v, RESECT_VAL, j);
                CK_OK(resect_predict(k, v, RESECT_VAL,
                              &(resect_predict_options){
                                      .kernels = RESECT_KERNELS_REFERENCE, .threads = 1},
                              &x, &err),
                        err);
                CK_OK(resect_outcomes(x.data, labels, n, JOB_CLASSES, out, &err), err);
                CK_OK(resect_scores_of(out, n, JOB_CLASSES, &is, NULL, NULL, &err), err);
                ck_assert_double_eq_tol(is.loss, best.loss, 1e-6);
                resect_tensor_free(&x);
                resect_data_free(v);
                resect_model_free(k);
        }
        ck_assert_uint_eq(resect_trial_restart_count(t), 2);
        for (size_t i = 0; i < 2; i++) {
                resect_trial_restart r;
                ck_assert(resect_trial_restart_at(t, i, &r));
                ck_assert_uint_eq(r.base.arm, 1); /* the only one that trains the trunk */
                ck_assert_uint_eq(r.base.seed, i);
                const resect_trial_run *both[] = {&r.restarted, &r.steady};
                for (int k = 0; k < 2; k++) {
                        ck_assert_uint_eq(both[k]->n_epochs, 3);
                        if (both[k]->best_epoch == 0)
                                ck_assert_double_eq_tol(both[k]->val.loss, r.base.val.loss, 1e-6);
                        else
                                ck_assert(rs_better(&both[k]->val, &r.base.val));
                }
                ck_assert_double_eq_tol(r.steady.epochs[2].lr, 0.05 / 100, 1e-9);
                ck_assert_double_gt(r.restarted.epochs[1].lr, 0.01);
        }
        resect_trial_free(t);
        /* a model that went away is made again, and nothing else */
        ck_assert_int_eq(unlink(path), 0);
        t = lay_out(m, d, &o);
        ck_assert(resect_trial_complete(t));
        heard = 0;
        CK_OK(resect_trial_go(t, &(resect_trial_events){.ctx = &heard, .finished = hear}, &err),
                err);
        ck_assert_uint_eq(heard, 0);
        ck_assert_int_eq(access(path, R_OK), 0);
        resect_trial_free(t);
        unlink(journal);
        resect_model_free(m);
        resect_data_free(d);
}
END_TEST

/* By budget the passes come from the clock: there are some, and not all that could be. */
START_TEST(budgets)
{
        resect_error err;
        resect_trial_arm a;
        resect_data *d = pictures();
        resect_model *m = small_model(false);
        resect_trial_options o = quick();
        o.arms = everything + 2;
        o.n_arms = 1;
        o.seeds = 1;
        o.epochs = 0;
        o.budget = 1e-6;
        resect_trial *t = lay_out(m, d, &o);
        CK_OK(resect_trial_go(t, NULL, &err), err);
        ck_assert(resect_trial_arm_at(t, 0, &a));
        ck_assert_uint_eq(a.epochs, 1);
        ck_assert_double_gt(a.search_seconds, 0);
        resect_trial_free(t);
        o.epochs = 1;
        ck_assert_ptr_null(resect_trial_make(m, d, &o, &err));
        resect_model_free(m);
        resect_data_free(d);
}
END_TEST

/* Cached features see the very mirror images that uncached pictures are. */
START_TEST(mirrors)
{
        resect_error err;
        char digest[2][65];
        resect_data *d = pictures();
        for (int k = 0; k < 2; k++) {
                resect_train_options o;
                resect_train_defaults(&o);
                resect_model *m = small_model(false);
                CK_OK(resect_edit_run(
                              m, "freeze", &(resect_setting){"all-but-head", NULL}, 1, NULL, &err),
                        err);
                o.epochs = 2;
                o.batch = 8;
                o.threads = 1;
                o.kernels = RESECT_KERNELS_REFERENCE;
                o.augment.flip = true;
                o.cache = k ? RESECT_CACHE_ON : RESECT_CACHE_OFF;
                CK_OK(resect_train(m, d, &o, NULL, NULL, &err), err);
                small_digest(m, digest[k]);
                resect_model_free(m);
        }
        ck_assert_str_eq(digest[0], digest[1]);
        resect_data_free(d);
}
END_TEST

int
main(void)
{
        const TTest *const tests[] = {divisions, views, arms, arms_that_are_none, folded,
                nothing_shows, journals, figures_of_a_journal, searches, kept_and_restarted,
                budgets, mirrors};
        Suite *s = suite_create("trial");
        TCase *c = tcase_create("all");
        tcase_set_timeout(c, 300);
        tcase_add_unchecked_fixture(c, prepare, clean_up);
        for (size_t i = 0; i < sizeof tests / sizeof *tests; i++)
                tcase_add_test(c, tests[i]);
        suite_add_tcase(s, c);
        SRunner *r = srunner_create(s);
        srunner_run_all(r, CK_NORMAL);
        int failed = srunner_ntests_failed(r);
        srunner_free(r);
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
