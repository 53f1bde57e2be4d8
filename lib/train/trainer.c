/* SPDX-License-Identifier: 0BSD */
/*
 * The loop: epochs of steps, a validation after each, the best weights set aside, the state saved.
 * Whatever ends it, the model is given weights at one place, the very end.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/clock.h"
#include "train/run.h"

/* The metrics that can choose the best epoch: larger is better. */
static double
by_top1(const resect_scores *s)
{
        return s->top1;
}
static double
by_loss(const resect_scores *s)
{
        return -s->loss;
}
static double
by_balanced(const resect_scores *s)
{
        return s->balanced;
}
static double
by_macro_f1(const resect_scores *s)
{
        return s->macro_f1;
}
typedef double metric(const resect_scores *s);

static metric *
metric_named(const char *name, resect_error *err)
{
        static const struct {
                const char *name;
                metric *of;
        } rows[] = {{"top1", by_top1}, {"loss", by_loss}, {"balanced", by_balanced},
                {"macro-f1", by_macro_f1}};
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
                if (!strcmp(rows[i].name, name ? name : "top1"))
                        return rows[i].of;
        rs_fail(err, RESECT_ARG, "metric %s: there are top1, loss, balanced and macro-f1", name);
        return NULL;
}

static bool
save(rs_run *r, resect_error *err)
{
        if (!r->o.state)
                return true;
        rs_state s = rs_run_state(r);
        const rs_slab *slabs[] = {s.parameters, s.statistics};
        for (int k = 0; k < 2; k++)
                for (size_t i = 0; i < slabs[k]->count; i++)
                        if (!isfinite(slabs[k]->values[i]))
                                return rs_fail(err, RESECT_FORMAT,
                                        "after step %zu a weight is not finite: the state before "
                                        "it is kept",
                                        r->at.total);
        bool replace = r->state_damaged;
        r->state_damaged = false;
        return rs_state_save(&s, r->o.state, replace, err);
}

/* The phase of a saved run, with the kernels that were chosen then, whatever is faster today. */
static bool
enter_saved(rs_run *r, size_t phase, rs_span choices, resect_error *err)
{
        bool same = choices.size == r->choices.size &&
                    (!choices.size || !memcmp(choices.data, r->choices.data, choices.size));
        if (same && phase == r->phase)
                return true;
        r->choices.size = 0;
        rs_buf_add(&r->choices, choices.data, choices.size);
        return r->choices.oom ? rs_fail_nomem(err) : rs_phase_enter(r, phase, err);
}

/* Goes on from the state file, when there is one: into the phase that it was in. */
static bool
resume(rs_run *r, resect_error *err)
{
        rs_saved saved;
        char note[256];
        rs_state s = rs_run_state(r);
        if (!r->o.state)
                return true;
        if (!rs_state_find(&saved, &s, r->o.state, note, err))
                return false;
        if (!saved.input)
                return rs_phase_rehearse(r, err);
        if (*note)
                rs_run_note(r, "%s", note);
        r->state_damaged = saved.damaged;
        /* the weights of an epoch's end are still those of its phase */
        size_t epoch = saved.progress.epoch;
        size_t phase = rs_phase_of(r, epoch && !saved.progress.step ? epoch - 1 : epoch);
        bool ok = enter_saved(r, phase, saved.choices, err);
        ok = ok && (!saved.progress.kept || rs_phase_room_for_best(r, err));
        if (ok) {
                s = rs_run_state(r);
                ok = rs_state_load(&saved, &s, err);
        }
        rs_saved_free(&saved);
        if (ok && r->on.resumed)
                r->on.resumed(r->on.ctx, r->at.epoch + 1, r->at.total);
        return ok;
}

static bool
stopped(resect_error *err, const rs_run *r)
{
        return rs_fail(err, RESECT_STOPPED, "stopped in epoch %zu after step %zu", r->at.epoch + 1,
                r->at.total);
}

/* The rest of an epoch. */
static bool
run_epoch(rs_run *r, resect_error *err)
{
        double last_save = rs_now(), start = last_save;
        size_t seen = 0;
        if (r->at.step < r->steps &&
                (!rs_phase_set_aside(r, err) ||
                        !rs_feed_start(&r->p->train, r->at.epoch, r->at.step, err)))
                return false;
        while (r->at.step < r->steps) {
                rs_stepped s;
                double lr = rs_schedule_rate(&r->schedule, r->at.total);
                if (!rs_run_step(r, lr, &s, err))
                        return false;
                r->at.step++;
                r->at.total++;
                r->at.loss_sum += s.loss * (double)s.n;
                r->at.hits += s.hits;
                r->at.seen += s.n;
                seen += s.n;
                double now = rs_now();
                resect_train_step e = {.epoch = r->at.epoch + 1,
                        .step = r->at.step,
                        .steps = r->steps,
                        .total = r->at.total,
                        .loss = s.loss,
                        .lr = lr,
                        .gradient = s.gradient,
                        .images_per_second = now > start ? (double)seen / (now - start) : 0};
                if (r->on.step && !r->on.step(r->on.ctx, &e))
                        return save(r, err) ? stopped(err, r) : false;
                /* the end of the epoch saves for itself, after it was judged */
                if (r->at.step < r->steps && now - last_save >= r->o.save_every) {
                        if (!save(r, err))
                                return false;
                        last_save = rs_now();
                }
        }
        return true;
}

/* The scores of the validation split under the weights as they are. */
static bool
validate(rs_run *r, resect_scores *out, resect_error *err)
{
        rs_phase *p = r->p;
        rs_arena arena = {0};
        rs_fed fed = {.reads = p->reads};
        resect_outcome *o = RS_NEW(&arena, r->n_val, resect_outcome, err);
        bool ok = o && rs_net_refresh(&p->net, err) && rs_feed_start(&p->val, 0, 0, err);
        for (size_t done = 0; ok && done < r->n_val; done += fed.n) {
                float *logits;
                ok = rs_feed_next(&p->val, &fed, err) &&
                     rs_net_eval(&p->net, p->reads, fed.n, &logits, err) &&
                     resect_outcomes(logits, fed.a, fed.n, r->classes, o + done, err);
                if (ok && r->on.progress &&
                        !r->on.progress(r->on.ctx, "validation", done + fed.n, r->n_val))
                        ok = rs_fail(err, RESECT_STOPPED,
                                "stopped in the validation after epoch %zu", r->at.epoch + 1);
        }
        ok = ok && resect_scores_of(o, r->n_val, r->classes, out, NULL, NULL, err);
        rs_arena_free(&arena);
        return ok;
}

static void
keep(rs_run *r)
{
        r->best_stands = true; /* until the next step, before which they are set aside */
        r->at.kept = true;
        r->at.best_epoch = r->at.epoch + 1;
        r->at.waited = 0;
}

/* After an epoch's last step. Equal by the metric, the lower loss wins: accuracy on few pictures is
 * coarse. */
static bool
judge(rs_run *r, metric *of, double seconds, resect_error *err)
{
        resect_train_epoch e = {.epoch = r->at.epoch + 1,
                .epochs = r->o.epochs,
                .total = r->at.total,
                .loss = r->at.seen ? r->at.loss_sum / (double)r->at.seen : 0,
                .top1 = r->at.seen ? (double)r->at.hits / (double)r->at.seen : 0,
                .validated = r->n_val > 0,
                .seconds = seconds};
        if (r->n_val && !validate(r, &e.validation, err)) {
                resect_error also;
                if (err->code == RESECT_STOPPED &&
                        !save(r, &also)) /* to be judged when it goes on */
                        *err = also;
                return false;
        }
        double value = r->n_val ? of(&e.validation) : 0;
        e.best = !r->n_val || !r->at.kept || value > r->at.best_value ||
                 (value >= r->at.best_value && e.validation.loss < r->at.best.loss);
        r->at.waited++;
        if (e.best) {
                keep(r);
                r->at.best_value = value;
                r->at.best = e.validation;
        }
        r->at.stopped_early = r->n_val && r->o.patience && r->at.waited >= r->o.patience;
        bool go = !r->on.epoch || r->on.epoch(r->on.ctx, &e);
        r->at.epoch++;
        r->at.step = r->at.hits = r->at.seen = 0;
        r->at.loss_sum = 0;
        if (!save(r, err))
                return false;
        return go || r->at.epoch == r->o.epochs || r->at.stopped_early ? true : stopped(err, r);
}

static bool
loop(rs_run *r, metric *of, resect_error *err)
{
        bool begun = false;
        while (r->at.epoch < r->o.epochs && !r->at.stopped_early) {
                size_t phase = rs_phase_of(r, r->at.epoch);
                if (phase != r->phase) {
                        if (!rs_phase_enter(r, phase, err))
                                return false;
                        begun = false;
                }
                if (!begun && !rs_phase_begin(r, err))
                        return false;
                begun = true;
                double start = rs_now();
                if (!run_epoch(r, err) || !judge(r, of, rs_now() - start, err))
                        return false;
        }
        return true;
}

/* The weights that are kept go into the model: the best, or after a stop before the first epoch's
 * end the last. */
static bool
deliver(rs_run *r, resect_train_result *result, bool stopped_by_caller, resect_error *err)
{
        rs_slab *w = rs_exec_parameters(r->p->net.train.exec),
                *s = rs_exec_statistics(r->p->net.train.exec);
        *result = (resect_train_result){.epochs = r->at.epoch,
                .steps = r->at.total,
                .kept = r->at.kept,
                .best_epoch = r->at.best_epoch,
                .validated = r->n_val > 0,
                .best = r->at.best,
                .stopped_early = r->at.stopped_early};
        if (!r->at.kept && !stopped_by_caller)
                return true;
        if (r->at.kept && !r->best_stands) {
                memcpy(w->values, r->p->best_parameters, w->count * sizeof(float));
                memcpy(s->values, r->p->best_statistics, s->count * sizeof(float));
        }
        return rs_exec_store(r->p->net.train.exec, r->m, err);
}

bool
resect_train(resect_model *m, const resect_data *d, const resect_train_options *options,
        const resect_train_events *events, resect_train_result *result, resect_error *err)
{
        rs_run r = {0};
        resect_error why = {0}, worse;
        resect_train_result unused;
        metric *of = metric_named(options->metric, err);
        bool made = of && rs_run_make(&r, m, d, options, events, err) && rs_run_identify(&r, err) &&
                    resume(&r, err);
        if (!made) {
                rs_run_free(&r);
                return false;
        }
        bool ok = loop(&r, of, &why);
        bool delivered = deliver(&r, result ? result : &unused, why.code == RESECT_STOPPED, &worse);
        rs_run_free(&r);
        if (err && !(ok && delivered))
                *err = ok ? worse : why;
        return ok && delivered;
}
