/* SPDX-License-Identifier: 0BSD */
/* The learning-rate range test. The loss is smoothed by an exponential mean (0.9, corrected for its
   start); the steepest fall of that over the logarithm of the rate is the suggestion. */
#include <math.h>
#include "train/run.h"

enum { MOST = 100000 };

static double
steepest(const resect_lr_point *p, size_t n)
{
        double best = 0, rate = 0;
        for (size_t i = 1; i + 1 < n; i++) {
                double slope =
                        p[i + 1].smoothed - p[i - 1].smoothed; /* the rates are evenly spaced */
                if (slope < best) {
                        best = slope;
                        rate = p[i].lr;
                }
        }
        return rate;
}

static bool
range_test(
        rs_run *r, double low, double high, resect_lr_point *out, size_t *points, resect_error *err)
{
        double mean = 0, least = INFINITY, factor = pow(high / low, 1 / (double)(*points - 1));
        size_t wanted = *points;
        *points = 0;
        for (size_t epoch = 0; *points < wanted; epoch++) {
                if (!rs_feed_start(&r->p->train, epoch, 0, err))
                        return false;
                for (size_t k = 0; k < r->steps && *points < wanted; k++) {
                        rs_stepped s;
                        double lr = low * pow(factor, (double)*points);
                        resect_error broke = {0};
                        if (!rs_run_step(r, lr, &s, &broke)) {
                                if (broke.code == RESECT_FORMAT &&
                                        *points) /* too far: that is what one wants to see */
                                        return true;
                                if (err)
                                        *err = broke;
                                return false;
                        }
                        r->at.total++;
                        mean = 0.9 * mean + 0.1 * s.loss;
                        double smoothed = mean / (1 - pow(0.9, (double)r->at.total));
                        out[(*points)++] = (resect_lr_point){lr, s.loss, smoothed};
                        resect_train_step e = {.epoch = epoch + 1,
                                .step = k + 1,
                                .steps = r->steps,
                                .total = r->at.total,
                                .loss = s.loss,
                                .lr = lr,
                                .gradient = s.gradient};
                        if (r->on.step && !r->on.step(r->on.ctx, &e))
                                return rs_fail(
                                        err, RESECT_STOPPED, "stopped after %zu points", *points);
                        least = fmin(least, smoothed);
                        if (smoothed > 4 * least)
                                return true;
                }
        }
        return true;
}

bool
resect_train_find_lr(resect_model *m, const resect_data *d, const resect_train_options *options,
        const resect_train_events *events, double low, double high, resect_lr_point *out,
        size_t *points, double *suggestion, resect_error *err)
{
        rs_run r = {0};
        if (!(low > 0 && high > low && isfinite(high)) || *points < 3 || *points > MOST)
                return rs_fail(err, RESECT_ARG,
                        "range test from %g to %g in %zu points: wants 0 < low < high and 3 to %d",
                        low, high, *points, MOST);
        resect_train_options o = *options;
        o.state = NULL;
        o.thaw_every = 0;
        bool ok = rs_run_make(&r, m, d, &o, events, err) && rs_phase_begin(&r, err) &&
                  range_test(&r, low, high, out, points, err);
        rs_run_free(&r);
        if (ok)
                *suggestion = steepest(out, *points);
        return ok;
}
