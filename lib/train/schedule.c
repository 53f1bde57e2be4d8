/* SPDX-License-Identifier: 0BSD */
/*
 * The schedules, one row each. To add one: a function of the step, and a row. Each gives what
 * PyTorch's scheduler of the same kind gives when it is stepped once a batch (tests/peers compares
 * the traces).
 */
#include "train/schedule.h"

#include <math.h>
#include <string.h>

struct rs_schedule_row {
        const char *name;
        double warmup; /* part of the run, when the caller does not say */
        double (*rate)(const rs_schedule *s, double step);
};

static double
cosine_between(double from, double to, double part)
{
        return to + (from - to) * (1 + cos(3.14159265358979323846 * part)) / 2;
}

static double
constant(const rs_schedule *s, double step)
{
        (void)step;
        return s->base;
}

/* Loshchilov and Hutter, "SGDR", 2017, equation 5, over the whole run. */
static double
cosine(const rs_schedule *s, double step)
{
        double span = s->steps - s->warmup;
        return cosine_between(s->base, s->floor, span > 0 ? (step - s->warmup) / span : 0);
}

static double
drops(const rs_schedule *s, double step)
{
        return s->base * pow(s->gamma, floor(floor(step / s->per_epoch) / s->every));
}

/* Smith and Topin, "Super-convergence", 2018, in the two-phase cosine form of PyTorch's OneCycleLR:
   from base/25 up to base in 30 % of the steps, then down to base/25/10000. */
static double
one_cycle(const rs_schedule *s, double step)
{
        double start = s->base / 25, end = start / 1e4, peak = 0.3 * s->steps - 1,
               last = s->steps - 1;
        if (step <= peak)
                return cosine_between(start, s->base, peak > 0 ? step / peak : 1);
        return cosine_between(s->base, end, last > peak ? (step - peak) / (last - peak) : 1);
}

/* SGDR's warm restarts, by the fraction of an epoch. */
static double
restarts(const rs_schedule *s, double step)
{
        double at = (step - s->warmup) / s->per_epoch, period = s->restart;
        while (at >= period) {
                at -= period;
                period *= s->stretch;
        }
        return cosine_between(s->base, s->floor, at / period);
}

static const struct rs_schedule_row rows[] = {
        {"constant", 0, constant},
        {"cosine", 0.05, cosine},
        {"step", 0, drops},
        {"onecycle", 0, one_cycle},
        {"restarts", 0, restarts},
};

static bool
sensible(const rs_schedule *s, const resect_train_options *o, resect_error *err)
{
        if (!(s->base >= 0 && isfinite(s->base)))
                return rs_fail(
                        err, RESECT_ARG, "learning rate %g: must be a number from 0 up", s->base);
        if (!(o->lr_floor >= 0 && o->lr_floor <= 1))
                return rs_fail(err, RESECT_ARG,
                        "least learning rate %g: must be a part of --lr from 0 to 1", o->lr_floor);
        if (!(s->every >= 1 && s->gamma > 0 && s->gamma <= 1))
                return rs_fail(err, RESECT_ARG,
                        "step schedule: every %g epochs times %g: wants at least 1, and a factor "
                        "in (0, 1]",
                        s->every, s->gamma);
        if (!(s->restart >= 0.01 && s->stretch >= 1))
                return rs_fail(err, RESECT_ARG,
                        "restarts: first period %g epochs, stretched by %g: wants at least 0.01 "
                        "and 1",
                        s->restart, s->stretch);
        if (s->row->rate == one_cycle && o->warmup > 0)
                return rs_fail(
                        err, RESECT_ARG, "onecycle warms up by itself: leave the warm-up out");
        if (!(s->warmup >= 0 && s->warmup <= s->steps))
                return rs_fail(err, RESECT_ARG, "warm-up of %g epochs: the run has %zu", o->warmup,
                        o->epochs);
        return true;
}

bool
rs_schedule_make(
        rs_schedule *s, const resect_train_options *o, size_t steps_per_epoch, resect_error *err)
{
        *s = (rs_schedule){.base = o->lr,
                .floor = o->lr * o->lr_floor,
                .per_epoch = (double)steps_per_epoch,
                .steps = (double)steps_per_epoch * (double)o->epochs,
                .every = o->step_every > 0 ? o->step_every : fmax(1, ceil((double)o->epochs / 3)),
                .gamma = o->step_gamma,
                .restart = o->restart_every > 0 ? o->restart_every : fmax(1, (double)o->epochs / 3),
                .stretch = o->restart_stretch};
        const char *name = o->schedule ? o->schedule : "cosine";
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
                if (!strcmp(rows[i].name, name))
                        s->row = &rows[i];
        if (!s->row)
                return rs_fail(err, RESECT_ARG,
                        "schedule %s: there are constant, cosine, step, onecycle, restarts", name);
        s->warmup =
                o->warmup >= 0 ? round(o->warmup * s->per_epoch) : floor(s->row->warmup * s->steps);
        return sensible(s, o, err);
}

/* Warm-up: linear from base / (warmup + 1), so that the first step already learns (Goyal et al.,
   "Accurate, large minibatch SGD", 2017, 2.2). */
double
rs_schedule_rate(const rs_schedule *s, size_t step)
{
        double at = (double)step;
        return at < s->warmup ? s->base * (at + 1) / (s->warmup + 1) : s->row->rate(s, at);
}
