/* SPDX-License-Identifier: 0BSD */
/* The report, from top to bottom: the answer, the evidence, what it cost, where it fails, and all
 * that it takes to do it again. */
#include <stdio.h>
#include <string.h>
#include "trial/report.h"

static const char methods[] =
        "Right is top-1 accuracy on the test pictures, which no choice was made by: learning "
        "rates, the pass whose weights are kept and the arm that is "
        "recommended were chosen on validation pictures.\n\n"
        "Seeds and test pictures are both samples. An interval adds a bootstrap over the pictures "
        "(means over the seeds; two pictures added, after Agresti and "
        "Coull 1998 and Agresti and Min 2005) and draws of the seeds' luck, whose variance is not "
        "known but estimated from as many seeds as there are "
        "(generalised pivotal quantity of a variance component, Weerahandi 1993). p-values are "
        "those of a randomisation test: the sign of each "
        "picture's mean difference by chance, the luck of the seeds added; corrected after Holm "
        "1979. \"Would be found\" is the true difference that a test "
        "at the corrected level finds with a power of 80 %. In simulations (the project's test "
        "test_crossed) two arms that do not differ are told apart in less "
        "than 5 % of trials of 1, 3 and 5 seeds, and intervals hold the truth in 95 % or more.\n\n"
        "Choosing: the best arm by validation with all training pictures is recommended if it is "
        "proven better on the test pictures than the best arm "
        "that only trains a classifier; else that one is.";

/* A number and its unit stay on one line. */
static const char *
bound(rs_report *r, const char *text)
{
        rs_buf b = {0};
        for (const char *at = text; *at; at++) {
                if (at[0] == ' ' && at[1] == '%')
                        rs_buf_str(&b, "\xc2\xa0");
                else
                        rs_buf_add(&b, at, 1);
        }
        const char *kept =
                b.oom || !b.data ? NULL
                                 : rs_arena_strndup(&r->arena, (const char *)b.data, b.size, NULL);
        rs_buf_free(&b);
        return kept ? kept : text;
}

static bool
evidence(rs_report *r, resect_error *err)
{
        resect_page *p = r->page;
        if (!rs_plot_fractions(r, err) || !rs_plot_arms(r, err))
                return false;
        resect_page_heading(p, "The arms");
        if (!rs_table_arms(r, err))
                return false;
        for (size_t a = 0; a < r->v->pub.arms; a++) {
                const char *line = rs_arena_printf(
                        &r->arena, err, "%s: %s.", r->v->arm[a].name, r->v->arm[a].help);
                if (!line)
                        return false;
                resect_page_text(p, line);
        }
        if (r->v->pub.n_pairs) {
                resect_page_heading(p, "How sure");
                if (!rs_plot_differences(r, err) || !rs_table_pairs(r, err))
                        return false;
        }
        if (r->v->pub.lead) {
                resect_page_subheading(p, "Pretrained against scratch, by amount of data");
                if (!rs_table_lead(r, err))
                        return false;
        }
        resect_page_heading(p, "How they learn");
        return rs_plot_curves(r, false, err) && rs_plot_curves(r, true, err);
}

static bool
behaviour(rs_report *r, resect_error *err)
{
        resect_page *p = r->page;
        resect_page_heading(p, "What they cost");
        if (!rs_table_costs(r, err))
                return false;
        resect_page_heading(p, "Overfitting and calibration");
        if (!rs_table_overfitting(r, err))
                return false;
        if (r->v->pub.restarts) {
                resect_page_heading(p, "Restarts");
                if (!rs_table_restarts(r, err))
                        return false;
        }
        resect_page_heading(p, "Where it goes wrong");
        return rs_plot_confusion(r, err) && rs_show_mistakes(r, err);
}

static bool
record(rs_report *r, const resect_report_options *o, resect_error *err)
{
        resect_page *p = r->page;
        resect_page_heading(p, "The data");
        if (!rs_table_data(r, err))
                return false;
        resect_page_heading(p, "How it was done");
        for (size_t i = 0; resect_trial_note(r->t, i); i++)
                resect_page_text(p, resect_trial_note(r->t, i));
        if (o->commands) {
                resect_page_subheading(p, "To do it again");
                resect_page_code(p, o->commands);
        }
        resect_page_fold(p, "Settings and versions");
        if (!rs_table_settings(r, err))
                return false;
        resect_page_unfold(p);
        resect_page_fold(p, "The search for learning rates");
        if (!rs_table_search(r, err))
                return false;
        resect_page_unfold(p);
        resect_page_fold(p, "Every arm at every part of the data");
        if (!rs_table_fractions(r, err))
                return false;
        resect_page_unfold(p);
        resect_page_fold(p, "Every run");
        if (!rs_table_runs(r, err))
                return false;
        resect_page_unfold(p);
        resect_page_fold(p, "How the figures are made");
        resect_page_text(p, methods);
        resect_page_unfold(p);
        return true;
}

static bool
fill(rs_report *r, const resect_report_options *o, resect_error *err)
{
        const resect_verdict *v = &r->v->pub;
        char chance[32];
        const char *what = rs_arena_printf(&r->arena, err,
                "%s%s%zu runs: %zu arms, %zu seed%s, %zu part%s of the data; judged on %zu test "
                "pictures "
                "of %zu classes, of which the commonest has %s.",
                o->data ? o->data : "", o->data ? ": " : "", r->v->n_runs, v->arms, v->seeds,
                v->seeds == 1 ? "" : "s", v->fractions, v->fractions == 1 ? "" : "s", v->pictures,
                v->classes, resect_say_share(chance, v->chance));
        if (!what)
                return false;
        resect_page_lead(r->page, bound(r, v->headline));
        for (size_t i = 0; i < v->n_warnings; i++)
                resect_page_warning(r->page, bound(r, v->warnings[i]));
        for (size_t i = 0; i < v->n_lines; i++)
                resect_page_text(r->page, bound(r, v->lines[i]));
        resect_page_text(r->page, bound(r, what));
        return evidence(r, err) && behaviour(r, err) && record(r, o, err);
}

bool
resect_trial_report(const resect_trial *t, const resect_verdict *verdict,
        const resect_report_options *options, const char *path, resect_error *err)
{
        const resect_report_options o = options ? *options : (resect_report_options){0};
        rs_report r = {.t = t, .v = (const rs_verdict *)verdict};
        char title[256];
        const char *slash = o.model ? strrchr(o.model, '/') : NULL,
                   *name = slash ? slash + 1 : o.model;
        snprintf(title, sizeof title, "How to use %s here", name ? name : "this network");
        r.page = resect_page_make(title, err);
        bool ok = r.page && fill(&r, &o, err) && resect_page_write(r.page, path, err);
        resect_page_free(r.page);
        rs_arena_free(&r.arena);
        return ok;
}
