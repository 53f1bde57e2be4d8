/* SPDX-License-Identifier: 0BSD */
/*
 * The search for an arm's learning rate: every rate of the grid gets the same short lesson, on a
 * part of the first seed's training pictures, and the one that ends lowest by the loss on the
 * others and the validation pictures is taken (accuracy on few pictures is too coarse to choose
 * by). A rate that diverges is as bad as can be. When the best
 * lies at an edge, what is beyond might be better: the grid grows there, twice at most.
 */
#include "base/clock.h"
#include "trial/trial.h"

#include <math.h>
#include <string.h>

enum { GROWTH = 2, MOST_PICTURES = 1000, MOST_EPOCHS = 10, LEAST_EPOCHS = 3, MOST_BUDGETED = 200 };

typedef struct search {
        resect_trial *t;
        size_t arm, worker, epochs, n;
        const resect_data *view;
        resect_model *m;      /* unused between lessons */
        double *rates, *loss; /* ascending, room for GROWTH more */
        double first, pass;   /* seconds: until the first step, and a pass over the view */
} search;

/* One rate. */
static bool
attempt(search *s, double lr, size_t n_epochs, double *loss, resect_error *err)
{
        resect_trial *t = s->t;
        rs_lesson l = {.t = t, .arm = s->arm, .worker = s->worker, .lr = lr, .epochs = n_epochs};
        resect_model *m = rs_arm_model(t, &t->arms[s->arm], t->o.seed, s->view, err);
        bool ok = m && rs_lesson_go(&l, m, s->view, err);
        if (ok) {
                *loss = l.diverged ? HUGE_VAL : l.least_loss;
                if (!l.diverged && l.n_took) {
                        s->first = l.first_step;
                        s->pass = (l.seconds - l.first_step) / (double)l.n_took;
                }
        }
        rs_lesson_free(&l);
        resect_model_free(m);
        return ok;
}

static size_t
best_of(const search *s)
{
        size_t best = 0;
        for (size_t i = 1; i < s->n; i++)
                if (s->loss[i] < s->loss[best])
                        best = i;
        return best;
}

/* A step beyond the edge, by the factor of the last two rates there. */
static bool
grow(search *s, bool up, resect_error *err)
{
        const size_t at = up ? s->n : 0;
        double lr = up ? s->rates[s->n - 1] * (s->rates[s->n - 1] / s->rates[s->n - 2])
                       : s->rates[0] * (s->rates[0] / s->rates[1]);
        memmove(s->rates + at + 1, s->rates + at, (s->n - at) * sizeof *s->rates);
        memmove(s->loss + at + 1, s->loss + at, (s->n - at) * sizeof *s->loss);
        s->n++;
        s->rates[at] = lr;
        return attempt(s, lr, s->epochs, &s->loss[at], err);
}

static size_t
clamp(double x, size_t least, size_t most)
{
        return x < (double)least ? least : x > (double)most ? most : (size_t)x;
}

/* The part of the training pictures that a rate is tried on, as a fraction. */
static double
part(const resect_trial *t)
{
        const double largest = t->o.fractions[t->o.n_fractions - 1];
        const size_t n = rs_draw_count(t, 0, largest);
        size_t want = n / 2 > 2 * t->o.batch ? n / 2 : 2 * t->o.batch;
        want = want > MOST_PICTURES ? MOST_PICTURES : want;
        return want < n ? largest * (double)want / (double)n : largest;
}

/* By epochs a third of them; by budget what a fifth of it allows, by the time of a single pass,
   whose loss is not used. */
static bool
choose_epochs(search *s, resect_error *err)
{
        const resect_trial_options *o = &s->t->o;
        double unused;
        if (o->epochs) {
                s->epochs = clamp(ceil((double)o->epochs / 3), LEAST_EPOCHS, MOST_EPOCHS);
                s->epochs = s->epochs < o->epochs ? s->epochs : o->epochs;
                return true;
        }
        if (!attempt(s, o->rates[o->n_rates / 2], 1, &unused, err))
                return false;
        double each = 0.2 * o->budget / (double)o->n_rates;
        s->epochs = s->pass > 0 ? clamp((each - s->first) / s->pass, 1, MOST_EPOCHS) : 1;
        return true;
}

/* Passes for which all of the arm's runs take what the search has left of its budget. */
static size_t
affordable(const search *s, double spent)
{
        const resect_trial *t = s->t;
        const resect_trial_options *o = &t->o;
        const double per = (double)resect_data_count(s->view, RESECT_TRAIN) +
                           (double)resect_data_count(s->view, RESECT_VAL) / 3;
        double passes = 0, features = 0;
        for (size_t f = 0; f < o->n_fractions; f++)
                for (size_t k = 0; k < o->seeds; k++) {
                        double n = (double)rs_draw_count(t, k, o->fractions[f]) +
                                   (double)t->draws[k].n_val / 3;
                        passes += s->pass * n / per;
                        features += s->first * n / per;
                }
        return passes > 0 ? clamp((o->budget - spent - features) / passes, 1, MOST_BUDGETED) : 1;
}

static json_t *
line_of(const search *s, double seconds, size_t run_epochs)
{
        const size_t best = best_of(s);
        json_t *rates = json_array(), *loss = json_array();
        bool one = s->t->o.n_rates == 1;
        for (size_t i = 0; i < s->n; i++) {
                json_array_append_new(rates, json_real(s->rates[i]));
                json_array_append_new(
                        loss, isfinite(s->loss[i]) ? json_real(s->loss[i]) : json_null());
        }
        return json_pack("{s:s,s:f,s:b,s:o,s:o,s:f,s:I,s:I,s:I}", "search",
                s->t->arms[s->arm].pub.name, "lr", s->rates[best], "at_edge",
                !one && (best == 0 || best + 1 == s->n), "rates", rates, "loss", loss, "seconds",
                seconds, "pictures",
                (json_int_t)(s->epochs ? resect_data_count(s->view, RESECT_TRAIN) : 0), "passes",
                (json_int_t)s->epochs, "epochs", (json_int_t)run_epochs);
}

static bool
all_rates(search *s, resect_error *err)
{
        const resect_trial_options *o = &s->t->o;
        s->n = o->n_rates;
        memcpy(s->rates, o->rates, o->n_rates * sizeof *s->rates);
        if (o->n_rates == 1) /* nothing to choose: the time of a pass is all that may be wanted */
                return true;
        for (size_t i = 0; i < s->n; i++)
                if (!attempt(s, s->rates[i], s->epochs, &s->loss[i], err))
                        return false;
        for (int k = 0; k < GROWTH; k++) {
                size_t best = best_of(s);
                if (best != 0 && best + 1 != s->n)
                        break;
                if (!grow(s, best != 0, err))
                        return false;
        }
        return true;
}

json_t *
rs_search(resect_trial *t, size_t arm, size_t worker, resect_error *err)
{
        const double began = rs_now();
        search s = {.t = t, .arm = arm, .worker = worker};
        resect_data *view = rs_draw_search(t, part(t), MOST_PICTURES, err);
        s.view = view;
        s.rates = rs_alloc(t->o.n_rates + GROWTH, sizeof *s.rates, err);
        s.loss = s.rates ? rs_alloc(t->o.n_rates + GROWTH, sizeof *s.loss, err) : NULL;
        json_t *line = NULL;
        bool idle = t->o.n_rates == 1 && t->o.epochs;
        if (view && s.loss && (idle || choose_epochs(&s, err)) && all_rates(&s, err)) {
                double spent = idle ? 0 : rs_now() - began;
                line = line_of(&s, spent, t->o.epochs ? t->o.epochs : affordable(&s, spent));
                if (!line)
                        rs_fail_nomem(err);
        }
        rs_free(s.rates);
        rs_free(s.loss);
        resect_data_free(view);
        return line;
}
