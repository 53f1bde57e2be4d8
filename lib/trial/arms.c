/* SPDX-License-Identifier: 0BSD */
/*
 * The arms, one row each: what becomes of the model before it is trained, said in the edits that
 * exist anyway. To add one: a function and a row.
 */
#include "edit/fold.h"
#include "model/model.h"
#include "resect/adapt.h"
#include "resect/edit.h"
#include "resect/look.h"
#include "trial/trial.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MEASURED = 256 }; /* pictures that put BatchNormalization back: resect-fold's own number */

static bool
edit(resect_model *m, const char *name, const resect_setting *s, size_t n, resect_error *err)
{
        return resect_edit_run(m, name, s, n, NULL, err);
}
#define EDIT(m, name, err, ...)                              \
        edit(m, name, (const resect_setting[]){__VA_ARGS__}, \
                sizeof((resect_setting[]){__VA_ARGS__}) / sizeof(resect_setting), err)

static bool
scratch(resect_model *m, int k, int stages, const char *seed, resect_error *err)
{
        (void)k;
        if (!stages) /* no residual network: there are no parts, but weights all the same */
                return EDIT(m, "reset", err, {"match", "*"}, {"seed", seed});
        return EDIT(m, "reset", err, {"from", "stem"}, {"seed", seed});
}

static bool
head(resect_model *m, int k, int stages, const char *seed, resect_error *err)
{
        (void)k, (void)stages, (void)seed;
        return EDIT(m, "freeze", err, {"all-but-head", NULL});
}

static bool
tune(resect_model *m, int k, int stages, const char *seed, resect_error *err)
{
        (void)m, (void)k, (void)stages, (void)seed, (void)err;
        return true;
}

static bool
reset(resect_model *m, int k, int stages, const char *seed, resect_error *err)
{
        char from[32];
        snprintf(from, sizeof from, "layer%d", stages - k + 1);
        return EDIT(m, "reset", err, {"from", from}, {"seed", seed});
}

static bool
freeze(resect_model *m, int k, int stages, const char *seed, resect_error *err)
{
        char until[32];
        (void)stages, (void)seed;
        snprintf(until, sizeof until, "layer%d", k);
        return EDIT(m, "freeze", err, {"until", until});
}

/* The cut itself is made before the new classifier is attached, in rs_arm_model: the classifier is
   then made for the features that are left. */
static bool
truncate_after(resect_model *m, int k, int stages, const char *seed, resect_error *err)
{
        (void)m, (void)k, (void)stages, (void)seed, (void)err;
        return true;
}

/* The statistics are measured before the freeze, in rs_arm_model, on the run's pictures. */
static bool
adabn(resect_model *m, int k, int stages, const char *seed, resect_error *err)
{
        return head(m, k, stages, seed, err);
}

static const rs_arm_kind kinds[] = {
        {"scratch",
                "the same architecture with fresh weights, BatchNormalization in every place: "
                "everything trained",
                false, false, scratch},
        {"head", "the trunk frozen as it came, a new classifier trained on its features", true,
                true, head},
        {"tune", "everything trained from the weights that came, with a new classifier", true,
                false, tune},
        {"reset:K", "the last %d stages re-initialised, everything trained", true, false, reset},
        {"freeze:K", "stem and first %d stages frozen, the rest trained", true, false, freeze},
        {"truncate:K", "cut after stage %d, a new classifier there, everything trained", true,
                false, truncate_after},
        {"adabn",
                "BatchNormalization's statistics re-estimated on the training pictures, then as "
                "head",
                true, true, adabn},
};
enum { N_KINDS = sizeof kinds / sizeof *kinds };

const char *
resect_trial_arm_kind(size_t i, const char **help)
{
        if (i >= N_KINDS)
                return NULL;
        if (help)
                *help = kinds[i].help;
        return kinds[i].name;
}

static bool
names(const rs_arm_kind *kind, const char *text, int *k)
{
        const char *colon = strchr(kind->name, ':');
        if (!colon)
                return strcmp(kind->name, text) == 0;
        size_t n = (size_t)(colon - kind->name) + 1;
        char *end;
        if (strncmp(kind->name, text, n) != 0 || text[n] < '0' || text[n] > '9')
                return false;
        long v = strtol(text + n, &end, 10);
        *k = v > 1000 ? 1000 : (int)v;
        return *end == '\0';
}

/* What another arm is already, or nothing can be made of. */
static bool
sensible(const rs_arm_kind *kind, const char *text, int k, const resect_trial *t, resect_error *err)
{
        const int stages = t->stages;
        if (kind->make == adabn && !t->norms)
                return rs_fail(err, RESECT_ARG, "arm adabn: the model has no BatchNormalization%s",
                        t->folded ? "; it was folded, and its statistics are gone" : "");
        if (!strchr(kind->name, ':'))
                return true;
        if (!stages)
                return rs_fail(err, RESECT_ARG,
                        "arm %s: the model is no residual network, it has no stages", text);
        if (kind->make == reset && k >= 1 && k <= stages)
                return true;
        if (kind->make == freeze && k == stages)
                return rs_fail(err, RESECT_ARG,
                        "arm %s: the model has %d stages; with all of them frozen it is head", text,
                        stages);
        if (kind->make == truncate_after && k == stages)
                return rs_fail(err, RESECT_ARG,
                        "arm %s: the model has %d stages; cut after the last it is tune", text,
                        stages);
        return (k >= 1 && k <= stages) ||
               rs_fail(err, RESECT_ARG, "arm %s: the model has stages 1 to %d", text, stages);
}

bool
rs_arm_parse(rs_arm *out, const char *text, resect_trial *t, resect_error *err)
{
        rs_arena *a = &t->arena;
        for (size_t i = 0; i < N_KINDS; i++) {
                int k = 0;
                if (!names(&kinds[i], text, &k))
                        continue;
                if (!sensible(&kinds[i], text, k, t, err))
                        return false;
                *out = (rs_arm){.kind = &kinds[i], .k = k};
                char *help;
                const char *number = strstr(kinds[i].help, "%d stages");
                if (k == 1 && number)
                        help = rs_arena_printf(a, err, "%.*sstage%s", (int)(number - kinds[i].help),
                                kinds[i].help, number + strlen("%d stages"));
                else {
                        number = strstr(kinds[i].help, "%d");
                        help = number ? rs_arena_printf(a, err, "%.*s%d%s",
                                                (int)(number - kinds[i].help), kinds[i].help, k,
                                                number + 2)
                                      : rs_arena_strdup(a, kinds[i].help, err);
                }
                out->pub = (resect_trial_arm){.name = rs_arena_strdup(a, text, err),
                        .help = help,
                        .simple = kinds[i].simple,
                        .pretrained = kinds[i].pretrained};
                return out->pub.name && help;
        }
        return rs_fail(err, RESECT_ARG,
                "arm %s: there are scratch, head, tune, reset:K, freeze:K, truncate:K and adabn",
                text);
}

/* A new classifier with a row for each class; what a seed makes of it is the same in every arm. */
static bool
attach(const resect_trial *t, resect_model *m, const char *seed, resect_error *err)
{
        const size_t n = resect_data_class_count(t->d);
        char classes[32];
        snprintf(classes, sizeof classes, "%zu", n);
        if (!EDIT(m, "head", err, {"classes", classes}, {"replace", NULL}, {"seed", seed}))
                return false;
        if (t->raw) /* its classes are numbers */
                return true;
        const char **labels = rs_alloc(n, sizeof *labels, err);
        for (size_t i = 0; labels && i < n; i++)
                labels[i] = resect_data_class(t->d, i);
        bool ok = labels && resect_model_set_labels(m, labels, n, err) &&
                  resect_input_record(m, &t->input, err);
        rs_free(labels);
        return ok;
}

static bool
adapt(const resect_trial *t, resect_model *m, const resect_data *pictures, resect_error *err)
{
        const resect_adapt_options how = {.input = t->raw ? NULL : &t->input,
                .threads = t->threads,
                .kernels = t->o.kernels,
                .precision = t->o.precision,
                .exact = t->o.exact};
        return resect_adapt(m, pictures, RESECT_TRAIN, &how, NULL, err);
}

resect_model *
rs_arm_model(const resect_trial *t, const rs_arm *arm, uint64_t seed, const resect_data *pictures,
        resect_error *err)
{
        const resect_read_options how = {
                .base = t->base, .allow_hard_links = t->hard_links, .skip_digest = true};
        resect_model *m = resect_model_read_memory(t->bytes, t->size, &how, err);
        char number[32], after[32];
        snprintf(number, sizeof number, "%llu", (unsigned long long)(seed & INT64_MAX));
        snprintf(after, sizeof after, "layer%d", arm->k);
        bool ok = m != NULL;
        if (ok && t->folded && !arm->kind->simple)
                ok = rs_unfold_on(m, arm->kind->pretrained ? pictures : NULL, RESECT_TRAIN,
                        &t->input, MEASURED, err);
        if (ok && arm->kind->make == adabn && pictures)
                ok = adapt(t, m, pictures, err);
        if (ok && arm->kind->make == truncate_after)
                ok = EDIT(m, "truncate", err, {"after", after});
        ok = ok && attach(t, m, number, err) && arm->kind->make(m, arm->k, t->stages, number, err);
        if (ok)
                return m;
        rs_fail_at(err, "arm %s", arm->pub.name);
        resect_model_free(m);
        return NULL;
}

/* Floats that nodes read, but for the running statistics. */
static void
count(resect_model *m, const rs_index *ix, resect_trial_arm *out)
{
        const rs_graph *g = &m->graph;
        out->parameters = out->trained = 0;
        for (size_t i = 0; i < g->n_tensors; i++) {
                const rs_tensor *w = g->tensors[i];
                const rs_link *l = rs_index_find(ix, w->name);
                const rs_use *u = l ? l->uses : NULL;
                if (!u || w->dtype != RESECT_FLOAT || !w->rank ||
                        (!strcmp(u->node->op, "BatchNormalization") && u->slot > 2))
                        continue;
                out->parameters += w->count;
                out->trained += rs_model_is_frozen(m, w->name) ? 0 : w->count;
        }
}

bool
rs_arm_count(const resect_trial *t, rs_arm *arm, resect_error *err)
{
        rs_index ix;
        resect_model *m = rs_arm_model(t, arm, t->o.seed, NULL, err);
        if (!m)
                return false;
        bool ok = rs_index_make(&ix, &m->graph, err);
        if (ok) {
                count(m, &ix, &arm->pub);
                rs_index_free(&ix);
                resect_anatomy *a = resect_anatomy_find_at(m, t->input.height, t->input.width, err);
                ok = a != NULL;
                if (ok)
                        arm->pub.macs = resect_anatomy_summary(a)->macs;
                resect_anatomy_free(a);
        }
        resect_model_free(m);
        return ok;
}
