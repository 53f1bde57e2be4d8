/* SPDX-License-Identifier: 0BSD */
/*
 * One lesson: a model is trained once, and what it then knows is written down. Every arm, every
 * rate of a search and every restart goes through here, so that they differ in what they are meant
 * to differ in alone.
 */
#include "base/clock.h"
#include "trial/trial.h"

#include <math.h>
#include <string.h>

static bool
on_step(void *ctx, const resect_train_step *s)
{
        rs_lesson *l = ctx;
        if (l->first_step < 0)
                l->first_step = rs_now() - l->start;
        l->step_lr = s->lr;
        return rs_work_tell(l->t, l->worker, l->lr, l->n_took, l->epochs);
}

static bool
on_epoch(void *ctx, const resect_train_epoch *e)
{
        rs_lesson *l = ctx;
        l->took[l->n_took++] = (resect_trial_epoch){.seconds = rs_now() - l->start,
                .lr = l->step_lr,
                .loss = e->loss,
                .top1 = e->top1,
                .val_loss = e->validation.loss,
                .val_top1 = e->validation.top1,
                .val_ece = e->validation.ece};
        if (e->validated && e->validation.loss < l->least_loss)
                l->least_loss = e->validation.loss;
        return rs_work_tell(l->t, l->worker, l->lr, l->n_took, l->epochs);
}

static bool
on_progress(void *ctx, const char *what, size_t done, size_t total)
{
        rs_lesson *l = ctx;
        (void)what, (void)done, (void)total;
        return rs_work_tell(l->t, l->worker, l->lr, l->n_took, l->epochs);
}

bool
rs_lesson_go(rs_lesson *l, resect_model *m, const resect_data *view, resect_error *err)
{
        const resect_trial_options *o = &l->t->o;
        const resect_augment *a = &o->augment;
        resect_train_options how;
        resect_train_result result = {0};
        resect_error why = {0};
        resect_train_defaults(&how);
        how.input = l->t->raw ? NULL : &l->t->input;
        how.epochs = l->epochs;
        how.batch = o->batch;
        how.augment = *a;
        how.by_index = true; /* the classifier's rows are the data's classes */
        how.seed = o->seed + l->seed;
        how.lr = l->lr;
        how.lr_floor = l->lr_floor;
        how.weight_decay = o->weight_decay;
        how.schedule = l->schedule;
        /* Features computed once know the picture and its mirror image, no crops or shifts. */
        how.cache = a->crop || a->jitter > 0 || a->pad ? RESECT_CACHE_OFF : RESECT_CACHE_AUTO;
        how.threads = l->t->threads;
        how.kernels = o->kernels;
        how.precision = o->precision;
        how.exact = o->exact;
        const resect_train_events events = {
                .ctx = l, .progress = on_progress, .step = on_step, .epoch = on_epoch};
        if (!(l->took = rs_alloc(l->epochs + 1, sizeof *l->took, err)))
                return false;
        l->least_loss = HUGE_VAL;
        l->first_step = -1;
        l->start = rs_now();
        bool ok = resect_train(m, view, &how, &events, &result, &why);
        l->seconds = rs_now() - l->start;
        l->kept = result.kept;
        l->best_epoch = result.kept ? result.best_epoch : 0;
        /* FORMAT before the first step is a picture that cannot be read, later on a number that is
           not finite. */
        l->diverged = !ok && why.code == RESECT_FORMAT && strstr(why.msg, "finite");
        if (ok || l->diverged)
                return true;
        if (err)
                *err = why;
        return false;
}

void
rs_lesson_free(rs_lesson *l)
{
        rs_free(l->took);
        l->took = NULL;
}

static bool
on_predicted(void *ctx, size_t done, size_t total)
{
        rs_lesson *l = ctx;
        (void)done, (void)total;
        return rs_work_tell(l->t, l->worker, l->lr, l->n_took, l->epochs);
}

/* The outcomes of a split, from rs_alloc. */
static resect_outcome *
outcomes(rs_lesson *l, resect_model *m, const resect_data *view, resect_split split,
        resect_error *err)
{
        const resect_trial *t = l->t;
        const size_t n = resect_data_count(view, split), classes = resect_data_class_count(view);
        resect_tensor logits = {0};
        resect_outcome *o = rs_alloc(n + 1, sizeof *o, err);
        int64_t *labels = o ? rs_alloc(n + 1, sizeof *labels, err) : NULL;
        for (size_t i = 0; labels && i < n; i++)
                labels[i] = resect_data_label(view, split, i);
        const resect_predict_options how = {.input = t->raw ? NULL : &t->input,
                .threads = t->threads,
                .kernels = t->o.kernels,
                .precision = t->o.precision,
                .exact = t->o.exact,
                .progress = on_predicted,
                .ctx = l};
        bool ok =
                labels && (!n || (resect_predict(m, view, split, &how, &logits, err) &&
                                         resect_outcomes(logits.data, labels, n, classes, o, err)));
        resect_tensor_free(&logits);
        rs_free(labels);
        if (ok)
                return o;
        rs_free(o);
        return NULL;
}

static bool
scores(rs_lesson *l, resect_model *m, const resect_data *view, resect_split split,
        resect_scores *out, resect_error *err)
{
        resect_outcome *o = outcomes(l, m, view, split, err);
        bool ok = o && resect_scores_of(o, resect_data_count(view, split),
                               resect_data_class_count(view), out, NULL, NULL, err);
        rs_free(o);
        return ok;
}

json_t *
rs_json_scores(const resect_scores *s)
{
        return json_pack("[I,f,f,f,f,f,f]", (json_int_t)s->n, s->loss, s->top1, s->top5,
                s->balanced, s->macro_f1, s->ece);
}

/* json_real knows finite numbers alone; others are null. */
static json_t *
real(double x)
{
        return isfinite(x) ? json_real(x) : json_null();
}

static json_t *
epochs(const rs_lesson *l)
{
        json_t *all = json_array();
        for (size_t i = 0; i < l->n_took; i++) {
                const resect_trial_epoch *e = &l->took[i];
                const double v[] = {
                        e->seconds, e->lr, e->loss, e->top1, e->val_loss, e->val_top1, e->val_ece};
                json_t *row = json_array();
                for (size_t k = 0; k < sizeof v / sizeof *v; k++)
                        json_array_append_new(row, real(v[k]));
                json_array_append_new(all, row);
        }
        return all;
}

/* Four arrays are shorter than an object a picture. Labels are the data's and not repeated. */
static bool
add_test(json_t *run, const resect_outcome *o, size_t n)
{
        json_t *predicted = json_array(), *rank = json_array(), *loss = json_array(),
               *confidence = json_array();
        for (size_t i = 0; i < n; i++) {
                json_array_append_new(predicted, json_integer(o[i].predicted));
                json_array_append_new(rank, json_integer((json_int_t)o[i].rank));
                json_array_append_new(loss, json_real(o[i].loss));
                json_array_append_new(confidence, json_real(o[i].confidence));
        }
        return json_object_set_new(run, "predicted", predicted) == 0 &&
               json_object_set_new(run, "rank", rank) == 0 &&
               json_object_set_new(run, "loss", loss) == 0 &&
               json_object_set_new(run, "confidence", confidence) == 0;
}

json_t *
rs_lesson_report(rs_lesson *l, resect_model *m, const resect_data *view, resect_scores *val,
        resect_error *err)
{
        const size_t n = resect_data_count(view, RESECT_TEST);
        const double began = rs_now();
        resect_scores train;
        resect_outcome *test = NULL;
        if (!scores(l, m, view, RESECT_TRAIN, &train, err) ||
                !scores(l, m, view, RESECT_VAL, val, err) ||
                !(test = outcomes(l, m, view, RESECT_TEST, err)))
                return NULL;
        json_t *run = json_pack("{s:f,s:I,s:I,s:b,s:f,s:o,s:o,s:o}", "lr", l->lr, "best_epoch",
                (json_int_t)l->best_epoch, "n_test", (json_int_t)n, "diverged", (int)l->diverged,
                "seconds", l->seconds + (rs_now() - began), "epochs", epochs(l), "train",
                rs_json_scores(&train), "val", rs_json_scores(val));
        bool ok = run && add_test(run, test, n);
        rs_free(test);
        if (ok)
                return run;
        json_decref(run);
        return RS_NOMEM_NULL(err);
}
