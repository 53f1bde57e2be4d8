/* SPDX-License-Identifier: 0BSD */
/* Laying a trial out, whatever can fail before the first multiply, and answering what it came to.
 */
#include "trial/trial.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "base/sha256.h"
#include "base/threads.h"
#include "model/model.h"
#include "resect/edit.h"
#include "resect/look.h"
#include "train/run.h"

enum { MOST_ARMS = 64, MOST_SEEDS = 1000, MOST_LISTED = 64, MOST_JOBS = 64 };

static const double default_fractions[] = {0.25, 0.5, 1},
                    default_rates[] = {0.001, 0.003, 0.01, 0.03, 0.1};

void
resect_trial_defaults(resect_trial_options *o)
{
        *o = (resect_trial_options){.seeds = 5,
                .fractions = default_fractions,
                .n_fractions = 3,
                .epochs = 10,
                .rates = default_rates,
                .n_rates = 5,
                .val = 0.2,
                .batch = 32,
                .weight_decay = 1e-4,
                .jobs = 1};
}

bool
rs_trial_note(resect_trial *t, resect_error *err, const char *fmt, ...)
{
        resect_error line; /* for its formatting, which makes names safe to print */
        va_list ap;
        va_start(ap, fmt);
        rs_vfail(&line, RESECT_OK, fmt, ap);
        va_end(ap);
        if (t->n_notes == t->cap_notes) {
                size_t cap = t->cap_notes ? t->cap_notes * 2 : 16;
                const char **more = RS_NEW(&t->arena, cap, const char *, err);
                if (!more)
                        return false;
                if (t->n_notes)
                        memcpy(more, t->notes, t->n_notes * sizeof *more);
                t->notes = more;
                t->cap_notes = cap;
        }
        return (t->notes[t->n_notes++] = rs_arena_strdup(&t->arena, line.msg, err)) != NULL;
}

/* ------------------------------------------------------------------------------------------------
 * options */

static bool
ascending(const char *what, const double *v, size_t n, double most, resect_error *err)
{
        if (!n || n > MOST_LISTED)
                return rs_fail(
                        err, RESECT_ARG, "%zu %s: there may be 1 to %d", n, what, MOST_LISTED);
        for (size_t i = 0; i < n; i++)
                if (!(v[i] > 0 && v[i] <= most && (i == 0 || v[i] > v[i - 1])))
                        return rs_fail(err, RESECT_ARG,
                                "%s: %g: they must ascend, above 0 and up to %g", what, v[i], most);
        return true;
}

static double *
copy_of(rs_arena *a, const double *v, size_t n, resect_error *err)
{
        double *c = RS_NEW(a, n, double, err);
        if (c)
                memcpy(c, v, n * sizeof *c);
        return c;
}

static bool
read_options(resect_trial *t, const resect_trial_options *o, resect_error *err)
{
        resect_trial_options *p = &t->o;
        *p = *o;
        if (!p->fractions) {
                p->fractions = default_fractions;
                p->n_fractions = 3;
        }
        if (!p->rates) {
                p->rates = default_rates;
                p->n_rates = 5;
        }
        if (!ascending("fractions", p->fractions, p->n_fractions, 1, err) ||
                !ascending("learning rates", p->rates, p->n_rates, 1e9, err))
                return false;
        if (!p->seeds || p->seeds > MOST_SEEDS)
                return rs_fail(
                        err, RESECT_ARG, "%zu seeds: there may be 1 to %d", p->seeds, MOST_SEEDS);
        if (p->seed > INT64_MAX - MOST_SEEDS)
                return rs_fail(
                        err, RESECT_ARG, "seed %llu: too large", (unsigned long long)p->seed);
        if ((p->epochs != 0) == (p->budget > 0) || p->epochs > 1000000 || !(p->budget >= 0))
                return rs_fail(err, RESECT_ARG,
                        "either passes over the data, 1 to 1000000, or a budget of seconds");
        if (!p->batch || p->batch > 1000000)
                return rs_fail(err, RESECT_ARG, "batches of %zu: must be 1 to 1000000", p->batch);
        if (!(p->val > 0 && p->val < 1))
                return rs_fail(err, RESECT_ARG,
                        "a validation part of %g: what is kept is chosen by it, it must lie in 0 "
                        ".. 1",
                        p->val);
        if (!(p->weight_decay >= 0 && isfinite(p->weight_decay)))
                return rs_fail(err, RESECT_ARG, "weight decay %g: must be a number from 0 up",
                        p->weight_decay);
        if (p->restarts > 1000000)
                return rs_fail(
                        err, RESECT_ARG, "%zu passes of restarts: at most 1000000", p->restarts);
        if (p->jobs < 0 || p->jobs > MOST_JOBS)
                return rs_fail(
                        err, RESECT_ARG, "%d jobs: there may be 1 to %d", p->jobs, MOST_JOBS);
        p->jobs = p->jobs ? p->jobs : 1;
        t->threads = rs_threads(p->threads) / p->jobs;
        t->threads = t->threads ? t->threads : 1;
        return (p->fractions = copy_of(&t->arena, p->fractions, p->n_fractions, err)) &&
               (p->rates = copy_of(&t->arena, p->rates, p->n_rates, err)) &&
               (!p->journal || (p->journal = rs_arena_strdup(&t->arena, p->journal, err))) &&
               (!p->keep || (p->keep = rs_arena_strdup(&t->arena, p->keep, err))) &&
               (!p->history || (p->history = rs_arena_strdup(&t->arena, p->history, err)));
}

/* ------------------------------------------------------------------------------------------------
 * the model and the data */

static void
hash(const void *bytes, size_t size, char hex[65])
{
        rs_sha256 h;
        unsigned char digest[32];
        rs_sha256_start(&h);
        rs_sha256_add(&h, bytes, size);
        rs_sha256_end(&h, digest);
        rs_sha256_hex(digest, hex);
}

static bool
choose_input(resect_trial *t, const resect_model *m, resect_error *err)
{
        int64_t chw[3];
        t->raw = resect_data_is_raw(t->d);
        if (t->raw && resect_data_raw_shape(t->d, chw)) {
                t->input = (resect_input){.channels = (int)chw[0],
                        .height = (int)chw[1],
                        .width = (int)chw[2],
                        .std = {1, 1, 1}};
                return true;
        }
        if (!t->o.input)
                return resect_input_of(m, &t->input, NULL, err);
        t->input = *t->o.input;
        return true;
}

/* The model as every arm begins: nothing frozen, for pictures of the size that is wanted. */
static bool
prepare_model(resect_trial *t, resect_model *m, resect_error *err)
{
        resect_value v;
        char size[64];
        const resect_setting thaw = {"thaw", NULL}, sized = {"size", size};
        if (resect_model_input_count(m) != 1 || !resect_model_input(m, 0, &v))
                return rs_fail(err, RESECT_GRAPH,
                        "the model has %zu inputs; pictures go into a model with one",
                        resect_model_input_count(m));
        const int h = t->input.nhwc ? 1 : 2;
        snprintf(size, sizeof size, "%d,%d", t->input.height, t->input.width);
        if (resect_model_meta(m, "resect.frozen") &&
                (!resect_edit_run(m, "freeze", &thaw, 1, NULL, err) ||
                        !rs_trial_note(t, err,
                                "what the model records as frozen was thawed: each arm freezes its "
                                "own")))
                return false;
        const rs_tensor *first;
        size_t untrained;
        if (!rs_untrained(m, &first, &untrained, err))
                return false;
        if (untrained)
                return rs_fail(err, RESECT_UNSUPPORTED,
                        "%zu weights are no float32, and cannot be trained: %s is %s (take the "
                        "model from before it was cast, or resect-cast --to fp32)",
                        untrained, first->name, resect_dtype_name((resect_dtype)first->dtype));
        if (v.rank == 4 && ((v.dims[h] > 0 && v.dims[h] != t->input.height) ||
                                   (v.dims[h + 1] > 0 && v.dims[h + 1] != t->input.width)))
                return resect_edit_run(m, "edit", &sized, 1, NULL, err) &&
                       rs_trial_note(t, err,
                               "the model was made for pictures of %lldx%lld and set to %dx%d",
                               (long long)v.dims[h], (long long)v.dims[h + 1], t->input.height,
                               t->input.width);
        return true;
}

static bool
look(resect_trial *t, resect_model *m, resect_error *err)
{
        resect_anatomy *a = resect_anatomy_find(m, err);
        if (!a)
                return false;
        const resect_summary *s = resect_anatomy_summary(a);
        t->stages = s->n_blocks ? (int)s->n_stages : 0;
        t->folded = s->bn_folded;
        t->norms = s->n_bn;
        bool ok = (!t->folded ||
                          rs_trial_note(t, err,
                                  "BatchNormalization was folded into the Convs; arms that train "
                                  "the trunk got it "
                                  "back, measured on their training pictures (scratch: fresh)")) &&
                  (s->n_blocks || rs_trial_note(t, err,
                                          "the model is no residual network: there are no stages"));
        resect_anatomy_free(a);
        return ok;
}

/* A copy is worked on: the caller's model stays as it is. */
static bool
take_model(resect_trial *t, resect_model *m, resect_error *err)
{
        void *bytes;
        size_t size;
        t->base = m->base;
        t->hard_links = m->allow_hard_links;
        if (!resect_model_write_memory(m, &bytes, &size, err))
                return false;
        hash(bytes, size, t->model_digest);
        const resect_read_options how = {
                .base = t->base, .allow_hard_links = t->hard_links, .skip_digest = true};
        resect_model *c = resect_model_read_memory(bytes, size, &how, err);
        resect_free(bytes);
        bool ok = c && prepare_model(t, c, err) && look(t, c, err) &&
                  resect_model_write_memory(c, &t->bytes, &t->size, err);
        resect_model_free(c);
        return ok;
}

static bool
take_data(resect_trial *t, resect_error *err)
{
        t->test = resect_data_count(t->d, RESECT_TEST) ? RESECT_TEST : RESECT_VAL;
        if (!resect_data_count(t->d, t->test))
                return rs_fail(err, RESECT_ARG,
                        "the data has neither test nor validation pictures: none would be left to "
                        "judge by");
        if (resect_data_class_count(t->d) < 2)
                return rs_fail(err, RESECT_ARG,
                        "the data has %zu class; a trial wants two at least",
                        resect_data_class_count(t->d));
        return resect_data_digest(t->d, t->data_digest, err) && rs_draw_pool(t, err) &&
               (t->test == RESECT_TEST ||
                       rs_trial_note(t, err,
                               "the data has no test split: its validation split is the test"));
}

/* ------------------------------------------------------------------------------------------------
 * the arms */

static bool
add_arm(resect_trial *t, const char *name, resect_error *err)
{
        rs_arm *a = &t->arms[t->n_arms];
        if (!rs_arm_parse(a, name, t, err))
                return false;
        for (size_t i = 0; i < t->n_arms; i++)
                if (t->arms[i].kind == a->kind && t->arms[i].k == a->k)
                        return rs_fail(err, RESECT_ARG, "arm %s is wanted twice", name);
        t->n_arms++;
        return true;
}

static bool
add_default_arms(resect_trial *t, resect_error *err)
{
        char freeze[32], truncate[32];
        snprintf(freeze, sizeof freeze, "freeze:%d", t->stages - 1);
        snprintf(truncate, sizeof truncate, "truncate:%d", t->stages - 1);
        return add_arm(t, "scratch", err) && add_arm(t, "head", err) && add_arm(t, "tune", err) &&
               (t->stages < 1 || add_arm(t, "reset:1", err)) &&
               (t->stages < 2 || (add_arm(t, freeze, err) && add_arm(t, truncate, err)));
}

static bool
take_arms(resect_trial *t, resect_error *err)
{
        const resect_trial_options *o = &t->o;
        if (o->arms && (!o->n_arms || o->n_arms > MOST_ARMS))
                return rs_fail(
                        err, RESECT_ARG, "%zu arms: there may be 1 to %d", o->n_arms, MOST_ARMS);
        if (!(t->arms = RS_NEW(&t->arena, MOST_ARMS, rs_arm, err)))
                return false;
        if (!o->arms && !add_default_arms(t, err))
                return false;
        for (size_t i = 0; o->arms && i < o->n_arms; i++)
                if (!add_arm(t, o->arms[i], err))
                        return false;
        for (size_t i = 0; i < t->n_arms; i++)
                if (!rs_arm_count(t, &t->arms[i], err))
                        return false;
        const size_t runs = t->n_arms * o->n_fractions * o->seeds;
        t->runs = RS_NEW(&t->arena, runs, resect_trial_run *, err);
        t->again = RS_NEW(&t->arena, o->seeds * 2, resect_trial_run *, err);
        return t->runs && t->again;
}

/* ------------------------------------------------------------------------------------------------
 * the settings */

static bool set(resect_trial *t, bool identity, const char *name, resect_error *err,
        const char *fmt, ...) RESECT_PRINTF(5, 6);

static bool
set(resect_trial *t, bool identity, const char *name, resect_error *err, const char *fmt, ...)
{
        va_list ap;
        va_start(ap, fmt);
        const char *value = rs_arena_vprintf(&t->arena, err, fmt, ap);
        va_end(ap);
        t->settings[t->n_settings++] = (rs_setting_text){name, value, identity};
        return value != NULL;
}

static void
list(char *out, size_t size, const double *v, size_t n)
{
        size_t at = 0;
        out[0] = '\0';
        for (size_t i = 0; i < n && at < size; i++)
                at += (size_t)snprintf(out + at, size - at, "%s%.9g", i ? "," : "", v[i]);
}

/* What makes two trials the same; with a budget the passes depend on how much is to be run, so that
   all of that counts, too. */
static bool
settle(resect_trial *t, resect_error *err)
{
        const resect_trial_options *o = &t->o;
        const resect_input *in = &t->input;
        const resect_augment *a = &o->augment;
        const bool all = o->budget > 0;
        char rates[1024], fractions[1024], arms[2048] = "";
        list(rates, sizeof rates, o->rates, o->n_rates);
        list(fractions, sizeof fractions, o->fractions, o->n_fractions);
        for (size_t i = 0, at = 0; i < t->n_arms && at < sizeof arms; i++)
                at += (size_t)snprintf(
                        arms + at, sizeof arms - at, "%s%s", i ? "," : "", t->arms[i].pub.name);
        return set(t, all, "arms", err, "%s", arms) && set(t, all, "seeds", err, "%zu", o->seeds) &&
               set(t, true, "seed", err, "%llu", (unsigned long long)o->seed) &&
               set(t, all, "fractions", err, "%s", fractions) &&
               set(t, true, "largest fraction", err, "%.9g", o->fractions[o->n_fractions - 1]) &&
               (all ? set(t, true, "budget", err, "%.9g", o->budget)
                    : set(t, true, "epochs", err, "%zu", o->epochs)) &&
               set(t, true, "rates", err, "%s", rates) &&
               set(t, true, "val", err, "%.9g", o->val) &&
               set(t, true, "batch", err, "%zu", o->batch) &&
               set(t, true, "augment", err, "crop=%d,crop_min=%.9g,flip=%d,jitter=%.9g,pad=%d",
                       a->crop, a->crop_min, a->flip, a->jitter, a->pad) &&
               set(t, true, "weight-decay", err, "%.9g", o->weight_decay) &&
               set(t, true, "optimizer", err,
                       "sgd, momentum 0.9, cosine from the arm's rate to 0, warm-up 5 %% of the "
                       "steps") &&
               set(t, true, "input", err,
                       "channels=%d size=%dx%d resize=%d mean=%.6g,%.6g,%.6g std=%.6g,%.6g,%.6g "
                       "bgr=%d nhwc=%d",
                       in->channels, in->height, in->width, in->resize, in->mean[0], in->mean[1],
                       in->mean[2], in->std[0], in->std[1], in->std[2], in->bgr, in->nhwc) &&
               set(t, true, "precision", err, "%s",
                       o->precision == RESECT_PRECISION_BF16 ? "bf16" : "f32") &&
               set(t, false, "restarts", err, "%zu", o->restarts) &&
               set(t, false, "kernels", err, "%s",
                       o->kernels == RESECT_KERNELS_REFERENCE ? "reference"
                       : o->exact                             ? "fast, exact"
                                                              : "fast") &&
               set(t, false, "jobs", err, "%d", o->jobs) &&
               set(t, false, "threads of a run", err, "%d", t->threads);
}

resect_trial *
resect_trial_make(
        resect_model *m, const resect_data *d, const resect_trial_options *o, resect_error *err)
{
        resect_trial *t = rs_alloc(1, sizeof *t, err);
        if (!t)
                return NULL;
        t->d = d;
        t->journal = -1;
        if (read_options(t, o, err) && choose_input(t, m, err) && take_data(t, err) &&
                take_model(t, m, err) && take_arms(t, err) && settle(t, err) &&
                rs_journal_read(t, err))
                return t;
        resect_trial_free(t);
        return NULL;
}

void
resect_trial_free(resect_trial *t)
{
        if (!t)
                return;
        resect_free(t->bytes);
        rs_arena_free(&t->arena);
        rs_free(t);
}

/* ------------------------------------------------------------------------------------------------
 * questions */

const resect_data *
resect_trial_data(const resect_trial *t)
{
        return t->d;
}

resect_split
resect_trial_test_split(const resect_trial *t)
{
        return t->test;
}

size_t
resect_trial_seed_count(const resect_trial *t)
{
        return t->o.seeds;
}

uint64_t
resect_trial_seed(const resect_trial *t, size_t i)
{
        return t->o.seed + i;
}

size_t
resect_trial_fraction_count(const resect_trial *t)
{
        return t->o.n_fractions;
}

double
resect_trial_fraction(const resect_trial *t, size_t i)
{
        return i < t->o.n_fractions ? t->o.fractions[i] : 0;
}

size_t
resect_trial_arm_count(const resect_trial *t)
{
        return t->n_arms;
}

bool
resect_trial_arm_at(const resect_trial *t, size_t i, resect_trial_arm *out)
{
        if (i >= t->n_arms)
                return false;
        *out = t->arms[i].pub;
        return true;
}

static size_t
slots(const resect_trial *t)
{
        return t->n_arms * t->o.n_fractions * t->o.seeds;
}

size_t
resect_trial_run_count(const resect_trial *t)
{
        size_t n = 0;
        for (size_t i = 0; i < slots(t); i++)
                n += t->runs[i] != NULL;
        return n;
}

bool
resect_trial_run_at(const resect_trial *t, size_t i, resect_trial_run *out)
{
        for (size_t k = 0; k < slots(t); k++)
                if (t->runs[k] && i-- == 0) {
                        *out = *t->runs[k];
                        return true;
                }
        return false;
}

size_t
resect_trial_restart_count(const resect_trial *t)
{
        const size_t arm = t->o.restarts ? rs_restart_arm(t) : t->n_arms;
        size_t n = 0;
        for (size_t s = 0; arm < t->n_arms && s < t->o.seeds; s++)
                n += rs_restart_done(t, s, arm);
        return n;
}

bool
resect_trial_restart_at(const resect_trial *t, size_t i, resect_trial_restart *out)
{
        const size_t arm = t->o.restarts ? rs_restart_arm(t) : t->n_arms;
        for (size_t s = 0; arm < t->n_arms && s < t->o.seeds; s++)
                if (rs_restart_done(t, s, arm) && i-- == 0) {
                        *out = (resect_trial_restart){
                                **rs_trial_slot(t, arm, t->o.n_fractions - 1, s), *t->again[s * 2],
                                *t->again[s * 2 + 1]};
                        return true;
                }
        return false;
}

const char *
resect_trial_note(const resect_trial *t, size_t i)
{
        return i < t->n_notes ? t->notes[i] : NULL;
}

bool
resect_trial_setting(const resect_trial *t, size_t i, const char **name, const char **value)
{
        if (i >= t->n_settings)
                return false;
        *name = t->settings[i].name;
        *value = t->settings[i].value;
        return true;
}

void
resect_trial_digests(const resect_trial *t, char model[65], char data[65])
{
        memcpy(model, t->model_digest, 65);
        memcpy(data, t->data_digest, 65);
}
