/* SPDX-License-Identifier: 0BSD */
/* The tables of a report. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "trial/report.h"

enum { SKIPPED = 100 };

rs_table
rs_table_begin(rs_report *r, const char *caption, const char *const *headers, size_t columns)
{
        return (rs_table){.r = r, .caption = caption, .headers = headers, .columns = columns};
}

static void
add(rs_table *t, const char *text)
{
        if (t->n == t->cap && !t->failed) {
                size_t cap = t->cap ? 2 * t->cap : 64;
                const char **more = RS_NEW(&t->r->arena, cap, const char *, NULL);
                t->failed = !more;
                if (more && t->n)
                        memcpy(more, t->cells, t->n * sizeof *more);
                t->cells = more ? more : t->cells;
                t->cap = more ? cap : t->cap;
        }
        t->failed = t->failed || !text;
        if (!t->failed)
                t->cells[t->n++] = text;
}

void
rs_table_cell(rs_table *t, const char *fmt, ...)
{
        va_list ap;
        va_start(ap, fmt);
        add(t, rs_arena_vprintf(&t->r->arena, NULL, fmt, ap));
        va_end(ap);
}

bool
rs_table_end(rs_table *t, resect_error *err)
{
        if (t->failed)
                return rs_fail_nomem(err);
        /* Above it, not in it: a table that is wider than a phone scrolls, and would take its
           caption along. */
        if (t->caption)
                resect_page_text(t->r->page, t->caption);
        resect_page_table(t->r->page, NULL, t->headers, t->columns, t->cells, t->n / t->columns);
        return true;
}

static void
share(rs_table *t, double x)
{
        char s[32];
        rs_table_cell(t, "%s", resect_say_share(s, x));
}

static void
points(rs_table *t, double x)
{
        char s[32];
        rs_table_cell(t, "%s", resect_say_points(s, x));
}

static void
seconds(rs_table *t, double x)
{
        char s[32];
        rs_table_cell(t, "%s", resect_say_seconds(s, x));
}

static void
p_value(rs_table *t, double x)
{
        char s[32];
        rs_table_cell(t, "%s", resect_say_p(s, x));
}

static void
share_range(rs_table *t, const resect_crossed *c)
{
        char a[32], b[32];
        rs_table_cell(t, "%s to %s", resect_say_share(a, c->low), resect_say_share(b, c->high));
}

static void
points_range(rs_table *t, const resect_crossed *c)
{
        char a[32], b[32];
        rs_table_cell(t, "%s to %s", resect_say_points(a, c->low), resect_say_points(b, c->high));
}

static const resect_verdict_cell *
cell_of(const rs_report *r, size_t arm, size_t fraction)
{
        return &r->v->cells[arm * r->v->pub.fractions + fraction];
}

#define COLUMNS(h) (sizeof(h) / sizeof *(h))

bool
rs_table_arms(rs_report *r, resect_error *err)
{
        static const char *const headers[] = {
                "arm", ">right", ">interval", ">balanced", ">macro-F1"};
        const size_t last = r->v->pub.fractions - 1;
        rs_table t = rs_table_begin(r,
                "All training pictures. Right: share of the test pictures, mean over the seeds. "
                "Balanced: the "
                "mean over the classes.",
                headers, COLUMNS(headers));
        for (size_t a = 0; a < r->v->pub.arms; a++) {
                const resect_verdict_cell *c = cell_of(r, a, last);
                if (!c->runs)
                        continue;
                rs_table_cell(&t, "%s%s", r->v->arm[a].name,
                        (int)a == r->v->pub.chosen ? " \xe2\x86\x90" : "");
                share(&t, c->test.value);
                share_range(&t, &c->test);
                share(&t, r->v->of[a].balanced);
                share(&t, r->v->of[a].macro_f1);
        }
        return rs_table_end(&t, err);
}

/* Three digits, and no exponent behind large numbers. */
static void
worth(rs_table *t, double x)
{
        rs_table_cell(t, fabs(x) < 999.5 ? "%.3g" : "%.0f", x);
}

bool
rs_table_costs(rs_report *r, resect_error *err)
{
        static const char *const headers[] = {"arm", ">a run", ">search", ">passes",
                ">multiplications", ">parameters", ">trained", ">points a second",
                ">points a 10\xe2\x81\xb9"};
        char m[32], p[32], n[32];
        const size_t last = r->v->pub.fractions - 1;
        rs_table t = rs_table_begin(r,
                "What an arm costs: seconds of a run on all training pictures and of the search "
                "for its learning rate, "
                "passes over the data, multiplications for one picture, parameters; and what it "
                "gives for that: percentage points "
                "above the commonest class, by seconds of a run and by 10\xe2\x81\xb9 "
                "multiplications of a picture.",
                headers, COLUMNS(headers));
        for (size_t a = 0; a < r->v->pub.arms; a++) {
                const resect_trial_arm *arm = &r->v->arm[a];
                const resect_verdict_arm *of = &r->v->of[a];
                if (!cell_of(r, a, last)->runs)
                        continue;
                rs_table_cell(&t, "%s", arm->name);
                seconds(&t, of->seconds);
                seconds(&t, arm->search_seconds);
                rs_table_cell(&t, "%zu", arm->epochs);
                rs_table_cell(&t, "%s", arm->macs ? resect_say_count(m, (double)arm->macs) : "?");
                rs_table_cell(&t, "%s", resect_say_count(p, (double)arm->parameters));
                rs_table_cell(&t, "%s", resect_say_count(n, (double)arm->trained));
                worth(&t, of->points_per_second);
                worth(&t, of->points_per_gmac);
        }
        return rs_table_end(&t, err);
}

bool
rs_table_pairs(rs_report *r, resect_error *err)
{
        static const char *const headers[] = {
                "", "so", ">points", ">interval", ">p", ">p corrected", ">would be found"};
        const resect_verdict *v = &r->v->pub;
        rs_table t = rs_table_begin(r,
                "Differences in percentage points of the test pictures, on the same seeds and "
                "pictures. p: how often chance "
                "alone shows as much; corrected (Holm) for all that is compared here but the "
                "question whether pretrained weights are of use, which stands by itself. Would be "
                "found: the least true "
                "difference that this trial finds in four of five cases.",
                headers, COLUMNS(headers));
        for (size_t i = 0; i < v->n_pairs; i++) {
                const resect_verdict_pair *q = &v->pairs[i];
                rs_table_cell(&t, "%s less %s", r->v->arm[q->a].name, r->v->arm[q->b].name);
                rs_table_cell(&t, "%s",
                        q->p > 1 - v->level       ? "too few runs to tell"
                        : q->difference.value > 0 ? "proven better"
                                                  : "proven worse");
                points(&t, q->difference.value);
                points_range(&t, &q->difference);
                p_value(&t, q->difference.p);
                p_value(&t, q->p);
                points(&t, q->difference.detectable);
        }
        return rs_table_end(&t, err);
}

bool
rs_table_overfitting(rs_report *r, resect_error *err)
{
        static const char *const headers[] = {"arm", "", ">training", ">validation", ">test",
                ">gap", ">interval", ">best pass", ">rise after", ">off by", ">test loss"};
        const size_t last = r->v->pub.fractions - 1;
        rs_table t = rs_table_begin(r,
                "Accuracy of the kept weights. Gap: training less test, percentage points. Rise: "
                "of the validation loss, from its best to "
                "the last pass. Off by: how far confidences and accuracy lie apart (expected "
                "calibration error). Learned by heart: "
                "the gap is above 10 for certain.",
                headers, COLUMNS(headers));
        for (size_t a = 0; a < r->v->pub.arms; a++) {
                const resect_verdict_arm *of = &r->v->of[a];
                const resect_verdict_cell *c = cell_of(r, a, last);
                if (!c->runs)
                        continue;
                rs_table_cell(&t, "%s", r->v->arm[a].name);
                rs_table_cell(&t, "%s", of->overfits ? "learned by heart" : "");
                share(&t, of->train);
                share(&t, c->val);
                share(&t, c->test.value);
                points(&t, of->gap.value);
                points_range(&t, &of->gap);
                rs_table_cell(&t, "%.1f of %zu", of->best_epoch, r->v->arm[a].epochs);
                share(&t, of->rise);
                share(&t, of->ece);
                rs_table_cell(&t, "%.3f", of->loss);
        }
        return rs_table_end(&t, err);
}

bool
rs_table_fractions(rs_report *r, resect_error *err)
{
        static const char *const headers[] = {"arm", ">part", ">pictures", ">runs", ">right",
                ">interval", ">spread", ">validation"};
        rs_table t = rs_table_begin(r,
                "Every arm at every part of the training pictures. Spread: standard deviation of "
                "the seeds' own results, in percentage "
                "points.",
                headers, COLUMNS(headers));
        for (size_t a = 0; a < r->v->pub.arms; a++)
                for (size_t f = 0; f < r->v->pub.fractions; f++) {
                        const resect_verdict_cell *c = cell_of(r, a, f);
                        if (!c->runs)
                                continue;
                        rs_table_cell(&t, "%s", r->v->arm[a].name);
                        share(&t, resect_trial_fraction(r->t, f));
                        rs_table_cell(&t, "%.0f", c->pictures);
                        rs_table_cell(&t, "%zu", c->runs);
                        share(&t, c->test.value);
                        share_range(&t, &c->test);
                        rs_table_cell(&t, "%.1f", 100 * c->test.spread);
                        share(&t, c->val);
                }
        return rs_table_end(&t, err);
}

bool
rs_table_lead(rs_report *r, resect_error *err)
{
        static const char *const headers[] = {">part", ">points", ">interval", ">seeds"};
        const resect_verdict *v = &r->v->pub;
        char caption[256];
        if (!v->lead)
                return true;
        snprintf(caption, sizeof caption, "The lead of %s over scratch, in percentage points.",
                r->v->arm[v->pretrained].name);
        const char *kept = rs_arena_strdup(&r->arena, caption, err);
        if (!kept)
                return false;
        rs_table t = rs_table_begin(r, kept, headers, COLUMNS(headers));
        for (size_t f = 0; f < v->fractions; f++) {
                if (!v->lead_seeds[f])
                        continue;
                share(&t, resect_trial_fraction(r->t, f));
                points(&t, v->lead[f].value);
                points_range(&t, &v->lead[f]);
                rs_table_cell(&t, "%zu", v->lead_seeds[f]);
        }
        return rs_table_end(&t, err);
}

bool
rs_table_restarts(rs_report *r, resect_error *err)
{
        static const char *const headers[] = {
                "the learning rate raised again", ">points", ">interval", ">p", ">would be found"};
        const resect_verdict *v = &r->v->pub;
        rs_table t = rs_table_begin(r,
                "After convergence, percentage points of the test pictures; p corrected (Holm) for "
                "the two.",
                headers, COLUMNS(headers));
        for (int k = 0; k < 2; k++) {
                rs_table_cell(
                        &t, "%s", k ? "less as many passes at a low rate" : "less where it began");
                points(&t, v->restart[k].value);
                points_range(&t, &v->restart[k]);
                p_value(&t, v->restart_p[k]);
                points(&t, v->restart[k].detectable);
        }
        return rs_table_end(&t, err);
}

bool
rs_table_data(rs_report *r, resect_error *err)
{
        static const char *const headers[] = {"class", ">to train with", ">to test with", ">share"};
        const resect_data *d = resect_trial_data(r->t);
        const resect_split test = resect_trial_test_split(r->t);
        const size_t classes = resect_data_class_count(d), all = resect_data_count(d, RESECT_ALL),
                     tests = resect_data_count(d, test);
        size_t *count = RS_NEW(&r->arena, 2 * classes + 1, size_t, err);
        if (!count)
                return false;
        for (size_t i = 0; i < all; i++)
                count[2 * (size_t)resect_data_label(d, RESECT_ALL, i)]++;
        for (size_t i = 0; i < tests; i++) {
                count[2 * (size_t)resect_data_label(d, test, i)]--;
                count[2 * (size_t)resect_data_label(d, test, i) + 1]++;
        }
        rs_table t = rs_table_begin(r,
                "Pictures of each class. A seed divides those to train with into training and "
                "validation.",
                headers, COLUMNS(headers));
        for (size_t c = 0; c < classes; c++) {
                rs_table_cell(&t, "%s", resect_data_class(d, c));
                rs_table_cell(&t, "%zu", count[2 * c]);
                rs_table_cell(&t, "%zu", count[2 * c + 1]);
                share(&t, (double)(count[2 * c] + count[2 * c + 1]) / (double)(all ? all : 1));
        }
        rs_table_cell(&t, "all");
        rs_table_cell(&t, "%zu", all - tests);
        rs_table_cell(&t, "%zu", tests);
        share(&t, 1);
        if (!rs_table_end(&t, err))
                return false;
        for (size_t i = 0; resect_data_note(d, i); i++)
                resect_page_warning(r->page, resect_data_note(d, i));
        const size_t skipped = resect_data_skipped_count(d);
        if (!skipped)
                return true;
        static const char *const why[] = {"skipped file", "why"};
        t = rs_table_begin(r,
                skipped > SKIPPED ? "The first hundred files that were skipped."
                                  : "Files that were skipped.",
                why, 2);
        const char *name, *reason;
        for (size_t i = 0; i < skipped && i < SKIPPED && resect_data_skipped(d, i, &name, &reason);
                i++) {
                rs_table_cell(&t, "%s", name);
                rs_table_cell(&t, "%s", reason);
        }
        return rs_table_end(&t, err);
}

bool
rs_table_search(rs_report *r, resect_error *err)
{
        static const char *const headers[] = {
                "arm", ">learning rate", ">least validation loss", ""};
        rs_table t = rs_table_begin(r,
                "The search for learning rates, on a part of the first seed's training pictures.",
                headers, COLUMNS(headers));
        for (size_t a = 0; a < r->v->pub.arms; a++) {
                const resect_trial_arm *arm = &r->v->arm[a];
                for (size_t k = 0; k < arm->n_rates; k++) {
                        rs_table_cell(&t, "%s", arm->name);
                        rs_table_cell(&t, "%g", arm->rates[k]);
                        if (isfinite(arm->search_loss[k]))
                                rs_table_cell(&t, "%.4f", arm->search_loss[k]);
                        else
                                rs_table_cell(&t, "diverged");
                        rs_table_cell(&t, "%s",
                                arm->rates[k] != arm->lr ? ""
                                : arm->lr_at_edge        ? "taken, at the end of the list"
                                                         : "taken");
                }
                if (!arm->n_rates) {
                        rs_table_cell(&t, "%s", arm->name);
                        rs_table_cell(&t, "%g", arm->lr);
                        rs_table_cell(&t, "%s", "");
                        rs_table_cell(&t, "given");
                }
        }
        return rs_table_end(&t, err);
}

bool
rs_table_settings(rs_report *r, resect_error *err)
{
        static const char *const headers[] = {"setting", "value"};
        char model[65], data[65];
        const char *name, *value;
        rs_table t = rs_table_begin(r, NULL, headers, COLUMNS(headers));
        for (size_t i = 0; resect_trial_setting(r->t, i, &name, &value); i++) {
                rs_table_cell(&t, "%s", name);
                rs_table_cell(&t, "%s", value);
        }
        resect_trial_digests(r->t, model, data);
        rs_table_cell(&t, "SHA-256 of the model");
        rs_table_cell(&t, "%s", model);
        rs_table_cell(&t, "SHA-256 of the data");
        rs_table_cell(&t, "%s", data);
        rs_table_cell(&t, "resect");
        rs_table_cell(&t, "%s", resect_version());
        return rs_table_end(&t, err);
}

bool
rs_table_runs(rs_report *r, resect_error *err)
{
        static const char *const headers[] = {"arm", ">part", ">seed", ">pictures", ">rate",
                ">best pass", ">training", ">validation", ">test", ">test loss", ">seconds"};
        rs_table t = rs_table_begin(r, "Every run.", headers, COLUMNS(headers));
        for (size_t i = 0; i < r->v->n_runs; i++) {
                const resect_trial_run *run = &r->v->run[i];
                resect_scores test;
                if (!resect_scores_of(
                            run->test, run->n_test, r->v->pub.classes, &test, NULL, NULL, err))
                        return false;
                rs_table_cell(&t, "%s", r->v->arm[run->arm].name);
                share(&t, resect_trial_fraction(r->t, run->fraction));
                rs_table_cell(&t, "%llu", (unsigned long long)resect_trial_seed(r->t, run->seed));
                rs_table_cell(&t, "%zu", run->n_train);
                rs_table_cell(&t, "%g", run->lr);
                rs_table_cell(&t, "%zu of %zu%s", run->best_epoch, run->n_epochs,
                        run->diverged ? ", broke down" : "");
                share(&t, run->train.top1);
                share(&t, run->val.top1);
                share(&t, test.top1);
                rs_table_cell(&t, "%.3f", test.loss);
                seconds(&t, run->seconds);
        }
        return rs_table_end(&t, err);
}
