/* SPDX-License-Identifier: 0BSD */
/* The plots and pictures of a report. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "trial/report.h"
#include "trial/trial.h"

enum { MOST_LABELS = 64, THUMB = 112, MOST_THUMBS = 24 };

static const resect_verdict_cell *
cell_of(const rs_report *r, size_t arm, size_t fraction)
{
        return &r->v->cells[arm * r->v->pub.fractions + fraction];
}

static const char *
level(rs_report *r, const char *fmt)
{
        char text[512], percent[16];
        snprintf(percent, sizeof percent, "%g %%", 100 * r->v->pub.level);
        const char *at = strstr(fmt, "@");
        snprintf(text, sizeof text, "%.*s%s%s", (int)(at - fmt), fmt, percent, at + 1);
        const char *kept = rs_arena_strdup(&r->arena, text, NULL);
        return kept ? kept : "";
}

bool
rs_plot_fractions(rs_report *r, resect_error *err)
{
        const resect_verdict *v = &r->v->pub;
        const resect_axis x = {.label = "training pictures", .log = true},
                          y = {.label = "test pictures right", .percent = true};
        if (v->fractions < 2)
                return true;
        double *column = RS_NEW(&r->arena, 4 * v->fractions, double, err);
        resect_plot *p = column ? resect_plot_lines("Accuracy against data",
                                          "For each arm, the share of test pictures that it gets "
                                          "right, over the "
                                          "number of training pictures.",
                                          &x, &y, err)
                                : NULL;
        if (!p)
                return false;
        for (size_t a = 0; a < v->arms; a++) {
                size_t n = 0;
                double *at = column, *value = at + v->fractions, *low = value + v->fractions,
                       *high = low + v->fractions;
                for (size_t f = 0; f < v->fractions; f++) {
                        const resect_verdict_cell *c = cell_of(r, a, f);
                        if (!c->runs)
                                continue;
                        at[n] = c->pictures;
                        value[n] = c->test.value;
                        low[n] = c->test.low;
                        high[n++] = c->test.high;
                }
                if (n)
                        resect_plot_line(p, r->v->arm[a].name, n, at, value, low, high);
        }
        resect_plot_reference(p, v->chance, "commonest class");
        resect_page_plot(
                r->page, p, level(r, "Bands are @ intervals over seeds and test pictures."));
        resect_plot_free(p);
        return true;
}

bool
rs_plot_arms(rs_report *r, resect_error *err)
{
        const resect_verdict *v = &r->v->pub;
        const resect_axis x = {.label = "test pictures right", .percent = true};
        resect_plot *p = resect_plot_intervals("Accuracy of the arms",
                "For each arm, the share of test pictures that it gets right with all training "
                "pictures, and its interval.",
                &x, err);
        if (!p)
                return false;
        for (size_t a = 0; a < v->arms; a++) {
                const resect_verdict_cell *c = cell_of(r, a, v->fractions - 1);
                if (c->runs)
                        resect_plot_row(
                                p, r->v->arm[a].name, c->test.value, c->test.low, c->test.high);
        }
        resect_plot_reference(p, v->chance, "commonest class");
        resect_page_plot(r->page, p,
                level(r, "With all training pictures; @ intervals over seeds and test pictures."));
        resect_plot_free(p);
        return true;
}

bool
rs_plot_differences(rs_report *r, resect_error *err)
{
        const resect_verdict *v = &r->v->pub;
        const resect_axis x = {.label = "difference of accuracies", .percent = true};
        if (!v->n_pairs)
                return true;
        resect_plot *p = resect_plot_intervals("Differences",
                "For each pair of arms, the difference of their accuracies and its interval.", &x,
                err);
        if (!p)
                return false;
        for (size_t i = 0; i < v->n_pairs; i++) {
                const resect_verdict_pair *q = &v->pairs[i];
                char label[160];
                snprintf(label, sizeof label, "%s \xe2\x88\x92 %s", r->v->arm[q->a].name,
                        r->v->arm[q->b].name);
                resect_plot_row(
                        p, label, q->difference.value, q->difference.low, q->difference.high);
        }
        resect_plot_reference(p, 0, "no difference");
        resect_page_plot(r->page, p,
                level(r, "On the same seeds and pictures; @ intervals, not corrected for their "
                         "number (the table's p is)."));
        resect_plot_free(p);
        return true;
}

/* Validation accuracy after each pass, mean of the seeds that got so far; the band is their range.
 */
static void
curve_of(const rs_report *r, resect_plot *p, size_t arm, bool by_seconds, double *column,
        size_t room)
{
        const resect_verdict *v = &r->v->pub;
        double *at = column, *mean = at + room, *low = mean + room, *high = low + room;
        size_t passes = 0;
        for (size_t e = 0; e < room; e++) {
                size_t n = 0;
                double sum = 0, time = 0, least = INFINITY, most = -INFINITY;
                for (size_t s = 0; s < v->seeds; s++) {
                        const resect_trial_run *run =
                                rs_verdict_run(r->v, arm, v->fractions - 1, s);
                        if (!run || e >= run->n_epochs)
                                continue;
                        n++;
                        sum += run->epochs[e].val_top1;
                        time += run->epochs[e].seconds;
                        least = fmin(least, run->epochs[e].val_top1);
                        most = fmax(most, run->epochs[e].val_top1);
                }
                if (!n)
                        break;
                at[passes] = by_seconds ? time / (double)n : (double)(e + 1);
                mean[passes] = sum / (double)n;
                low[passes] = least;
                high[passes++] = most;
        }
        if (passes)
                resect_plot_line(p, r->v->arm[arm].name, passes, at, mean, low, high);
}

bool
rs_plot_curves(rs_report *r, bool by_seconds, resect_error *err)
{
        const resect_axis x = {.label = by_seconds ? "seconds of a run" : "passes over the data",
                                  .log = by_seconds},
                          y = {.label = "validation pictures right", .percent = true};
        size_t room = 1;
        for (size_t i = 0; i < r->v->n_runs; i++)
                room = r->v->run[i].n_epochs > room ? r->v->run[i].n_epochs : room;
        double *column = RS_NEW(&r->arena, 4 * room, double, err);
        resect_plot *p =
                column ? resect_plot_lines(by_seconds ? "Learning, by time" : "Learning, by passes",
                                 "For each arm, the share of validation pictures that it gets "
                                 "right as training goes on.",
                                 &x, &y, err)
                       : NULL;
        if (!p)
                return false;
        for (size_t a = 0; a < r->v->pub.arms; a++)
                curve_of(r, p, a, by_seconds, column, room);
        resect_page_plot(r->page, p,
                "With all training pictures: mean of the seeds, the band from the least to the "
                "greatest of them.");
        resect_plot_free(p);
        return true;
}

bool
rs_plot_confusion(rs_report *r, resect_error *err)
{
        const resect_verdict *v = &r->v->pub;
        const resect_data *d = resect_trial_data(r->t);
        const char **names = RS_NEW(&r->arena, v->classes, const char *, err);
        double *value = names ? RS_NEW(&r->arena, v->classes * v->classes, double, err) : NULL;
        if (!value)
                return false;
        for (size_t c = 0; c < v->classes; c++)
                names[c] = resect_data_class(d, c);
        for (size_t k = 0; k < v->classes * v->classes; k++)
                value[k] = (double)v->confusion[k];
        resect_plot *p = resect_plot_matrix("Which classes are taken for which",
                "A row for each true class, a column for each answer.", "is", "taken for", names,
                v->classes, names, v->classes, value, true, false, err);
        if (!p)
                return false;
        char caption[256];
        snprintf(caption, sizeof caption,
                "%s with all training pictures, the test pictures of all its seeds added up.",
                r->v->arm[v->chosen].name);
        resect_page_plot(r->page, p, caption);
        resect_plot_free(p);
        return true;
}

/* ------------------------------------------------------------------------------------------------
 * mistakes */

/* The model's input, small enough for a page. */
static resect_input
small_input(const rs_report *r)
{
        resect_input in = r->t->input;
        const double shrink = (double)THUMB / (in.height > in.width ? in.height : in.width);
        if (shrink < 1) {
                in.height = (int)fmax(1, in.height * shrink);
                in.width = (int)fmax(1, in.width * shrink);
                in.resize = (int)ceil(in.resize * shrink);
        }
        return in;
}

static bool
thumb(rs_report *r, size_t picture, const resect_input *in, bool raw, const resect_split split,
        resect_thumb *out, resect_error *err)
{
        const resect_data *d = resect_trial_data(r->t);
        const resect_verdict *v = &r->v->pub;
        const size_t area = (size_t)in->height * (size_t)in->width;
        float *x = RS_NEW(&r->arena, area * (size_t)in->channels, float, err);
        unsigned char *pixels = x ? RS_NEW(&r->arena, area * 3, unsigned char, err) : NULL;
        if (!pixels || !resect_data_sample(d, split, picture, in, NULL, 0, 0, x, err))
                return false;
        resect_picture_of(x, in->channels, in->height, in->width, raw ? NULL : in, pixels);
        size_t runs = 0, misses = 0, most = 0;
        int64_t said = 0;
        double sure = 0;
        for (size_t s = 0; s < v->seeds; s++) {
                const resect_trial_run *run =
                        rs_verdict_run(r->v, (size_t)v->chosen, v->fractions - 1, s);
                if (!run)
                        continue;
                const resect_outcome *o = &run->test[picture];
                runs++;
                misses += o->rank != 0;
                size_t same = 0;
                for (size_t k = 0; k < v->seeds; k++) {
                        const resect_trial_run *other =
                                rs_verdict_run(r->v, (size_t)v->chosen, v->fractions - 1, k);
                        same += other && other->test[picture].predicted == o->predicted;
                }
                if (o->rank != 0 && same > most) {
                        most = same;
                        said = o->predicted;
                        sure = o->confidence;
                }
        }
        const char *name = resect_data_name(d, split, picture), *slash = strrchr(name, '/');
        char share[32];
        const char *caption = rs_arena_printf(&r->arena, err, "%s, taken for %s",
                           resect_data_class(d, (size_t)resect_data_label(d, split, picture)),
                           resect_data_class(d, (size_t)said)),
                   *detail = rs_arena_printf(&r->arena, err,
                           "%s; wrong in %zu of %zu runs, %s sure", slash ? slash + 1 : name,
                           misses, runs, resect_say_share(share, sure));
        *out = (resect_thumb){.pixels = pixels,
                .width = in->width,
                .height = in->height,
                .channels = 3,
                .caption = caption,
                .detail = detail};
        return caption && detail;
}

bool
rs_show_mistakes(rs_report *r, resect_error *err)
{
        const resect_verdict *v = &r->v->pub;
        const resect_split split = resect_trial_test_split(r->t);
        const bool raw = resect_data_is_raw(resect_trial_data(r->t));
        resect_input in = raw ? r->t->input : small_input(r);
        in.nhwc = false; /* as resect_picture_of takes raw values */
        const size_t n = v->n_worst < MOST_THUMBS ? v->n_worst : MOST_THUMBS;
        resect_thumb *t = RS_NEW(&r->arena, n + 1, resect_thumb, err);
        if (!t)
                return false;
        if (!n) {
                resect_page_text(
                        r->page, "No test picture is wrong in more than half of the runs.");
                return true;
        }
        for (size_t i = 0; i < n; i++)
                if (!thumb(r, v->worst[i], &in, raw, split, &t[i], err))
                        return false;
        resect_page_pictures(
                r->page, t, n, 0, "Wrong in more than half of the runs; the most wrong first.");
        return true;
}
