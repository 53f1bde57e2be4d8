/* SPDX-License-Identifier: 0BSD */
/* One run of the trial: an arm, a fraction, a seed; its model, its lesson, its figures. */
#include "base/clock.h"
#include "trial/trial.h"

#include <stdlib.h>

/* The best weights by validation: top-1, and where that is equal, as it often is on few pictures,
   the loss. resect_train chooses its epoch by the same. */
bool
rs_better(const resect_scores *a, const resect_scores *b)
{
        return a->top1 > b->top1 || (a->top1 >= b->top1 && a->loss < b->loss);
}

json_t *
rs_run_arm(
        resect_trial *t, size_t arm, size_t fraction, size_t seed, size_t worker, resect_error *err)
{
        const double began = rs_now();
        const resect_trial_arm *a = &t->arms[arm].pub;
        rs_lesson l = {.t = t,
                .arm = arm,
                .seed = seed,
                .fraction = t->o.fractions[fraction],
                .lr = a->lr,
                .epochs = a->epochs,
                .worker = worker};
        resect_scores val;
        json_t *run = NULL;
        resect_data *view = rs_draw_view(t, seed, l.fraction, err);
        resect_model *m = view ? rs_arm_model(t, &t->arms[arm], t->o.seed + seed, view, err) : NULL;
        if (m && rs_lesson_go(&l, m, view, err))
                run = rs_lesson_report(&l, m, view, &val, err);
        if (run) {
                json_object_set_new(run, "run", json_string(a->name));
                json_object_set_new(run, "fraction", json_real(l.fraction));
                json_object_set_new(run, "seed", json_integer((json_int_t)(t->o.seed + seed)));
                json_object_set_new(run, "seconds", json_real(rs_now() - began));
        }
        if (run && t->o.keep && fraction + 1 == t->o.n_fractions &&
                !rs_keep(t, arm, seed, &val, m, err)) {
                json_decref(run);
                run = NULL;
        }
        rs_lesson_free(&l);
        resect_model_free(m);
        resect_data_free(view);
        return run;
}
