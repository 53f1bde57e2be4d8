/* SPDX-License-Identifier: 0BSD */
/*
 * The restart question: a converged network goes on, once with the learning rate raised to where it
 * began and let down again (warm restarts: Loshchilov and Hutter, "SGDR", 2017), once at a
 * hundredth of it for as many passes. Both begin with the weights that were kept, and give them
 * back when they find none that validate better. The weights themselves were not stored: the run
 * that made them is made again.
 */
#include "trial/trial.h"

/* By the mean over the seeds at the largest fraction. The test pictures have no say in it. */
size_t
rs_restart_arm(const resect_trial *t)
{
        size_t best = t->n_arms;
        resect_scores most = {0};
        for (size_t a = 0; a < t->n_arms; a++) {
                resect_scores mean = {0};
                bool whole = !t->arms[a].kind->simple;
                for (size_t s = 0; whole && s < t->o.seeds; s++) {
                        const resect_trial_run *r = *rs_trial_slot(t, a, t->o.n_fractions - 1, s);
                        whole = r != NULL;
                        if (whole) {
                                mean.top1 += r->val.top1 / (double)t->o.seeds;
                                mean.loss += r->val.loss / (double)t->o.seeds;
                        }
                }
                if (whole && (best == t->n_arms || rs_better(&mean, &most))) {
                        best = a;
                        most = mean;
                }
        }
        return best;
}

/* A journal may hold restarts of an arm that was the best of fewer seeds. */
bool
rs_restart_done(const resect_trial *t, size_t seed, size_t arm)
{
        const resect_trial_run *a = t->again[seed * 2], *b = t->again[seed * 2 + 1];
        return a && b && a->arm == arm;
}

/* A copy of a model with what it holds. */
static resect_model *
copy(const resect_trial *t, const resect_model *m, resect_error *err)
{
        void *bytes;
        size_t size;
        const resect_read_options how = {
                .base = t->base, .allow_hard_links = t->hard_links, .skip_digest = true};
        if (!resect_model_write_memory(m, &bytes, &size, err))
                return NULL;
        resect_model *c = resect_model_read_memory(bytes, size, &how, err);
        resect_free(bytes);
        return c;
}

/* Goes on from `from`, which validates as *before, and reports on the better of the two. */
static json_t *
go_on(rs_lesson *l, resect_model *from, const resect_scores *before, const resect_data *view,
        resect_error *err)
{
        resect_scores now;
        json_t *run = NULL;
        resect_model *m = copy(l->t, from, err);
        if (m && rs_lesson_go(l, m, view, err))
                run = rs_lesson_report(l, m, view, &now, err);
        if (run && !rs_better(&now, before)) {
                json_decref(run);
                l->best_epoch = 0;
                run = rs_lesson_report(l, from, view, &now, err);
        }
        rs_lesson_free(l);
        resect_model_free(m);
        return run;
}

static json_t *
both(resect_trial *t, size_t arm, size_t seed, size_t worker, resect_model *m,
        const resect_data *view, const rs_lesson *first, resect_error *err)
{
        resect_scores before;
        rs_lesson l = *first;
        l.took = NULL;
        json_t *base = rs_lesson_report(
                &(rs_lesson){.t = t, .arm = arm, .worker = worker}, m, view, &before, err);
        if (!base)
                return NULL;
        json_decref(base);
        rs_lesson raised = {.t = t,
                          .arm = arm,
                          .seed = seed,
                          .fraction = l.fraction,
                          .lr = l.lr,
                          .schedule = "restarts",
                          .epochs = t->o.restarts,
                          .worker = worker},
                  low = raised;
        low.lr = l.lr / 100;
        low.schedule = "constant";
        json_t *a = go_on(&raised, m, &before, view, err),
               *b = a ? go_on(&low, m, &before, view, err) : NULL;
        if (!b) {
                json_decref(a);
                return NULL;
        }
        json_t *line = json_pack("{s:s,s:I,s:I,s:o,s:o}", "restart", t->arms[arm].pub.name, "seed",
                (json_int_t)(t->o.seed + seed), "passes", (json_int_t)t->o.restarts, "restarted", a,
                "steady", b);
        return line ? line : RS_NOMEM_NULL(err);
}

json_t *
rs_restart(resect_trial *t, size_t seed, size_t worker, resect_error *err)
{
        const size_t arm = rs_restart_arm(t);
        rs_lesson l = {.t = t,
                .arm = arm,
                .seed = seed,
                .fraction = t->o.fractions[t->o.n_fractions - 1],
                .lr = t->arms[arm].pub.lr,
                .epochs = t->arms[arm].pub.epochs,
                .worker = worker};
        resect_data *view = rs_draw_view(t, seed, l.fraction, err);
        resect_model *m = view ? rs_arm_model(t, &t->arms[arm], t->o.seed + seed, view, err) : NULL;
        json_t *line = NULL;
        if (m && rs_lesson_go(&l, m, view, err))
                line = both(t, arm, seed, worker, m, view, &l, err);
        rs_lesson_free(&l);
        resect_model_free(m);
        resect_data_free(view);
        return line;
}
