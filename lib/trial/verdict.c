/* SPDX-License-Identifier: 0BSD */
/*
 * From runs to figures and choices. An arm's hits are a table of seeds by pictures
 * (lib/study/crossed.c); whatever is compared is compared on the seeds that both have. Validation
 * chooses, the test pictures judge.
 */
#include "trial/verdict.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LARGE = 2000, WORST = 24, MOST_LINES = 32 };
static const double overfit_gap = 0.1;

static bool
gather_runs(rs_verdict *v, resect_error *err)
{
        resect_verdict *p = &v->pub;
        const resect_trial *t = v->t;
        p->arms = resect_trial_arm_count(t);
        p->fractions = resect_trial_fraction_count(t);
        p->seeds = resect_trial_seed_count(t);
        p->classes = resect_data_class_count(resect_trial_data(t));
        v->n_runs = resect_trial_run_count(t);
        v->arm = RS_NEW(&v->arena, p->arms + 1, resect_trial_arm, err);
        v->at = RS_NEW(&v->arena, p->arms * p->fractions * p->seeds + 1, size_t, err);
        resect_trial_run *run = RS_NEW(&v->arena, v->n_runs + 1, resect_trial_run, err);
        if (!v->arm || !v->at || !run)
                return false;
        v->run = run;
        for (size_t i = 0; i < p->arms; i++)
                if (!resect_trial_arm_at(t, i, &v->arm[i]))
                        return rs_fail(err, RESECT_ARG, "the trial has no arm %zu", i);
        for (size_t i = 0; i < v->n_runs; i++) {
                if (!resect_trial_run_at(t, i, &run[i]))
                        return rs_fail(err, RESECT_ARG, "the trial has no run %zu", i);
                v->at[(run[i].arm * p->fractions + run[i].fraction) * p->seeds + run[i].seed] =
                        i + 1;
                p->pictures = run[i].n_test;
        }
        return true;
}

/* The hits of an arm, a row a seed, on the seeds that the other (NULL: none) has as well. *rows of
 * them. */
static double *
hits(const rs_verdict *v, size_t arm, const size_t *other, size_t fraction, size_t *rows,
        resect_error *err)
{
        const resect_verdict *p = &v->pub;
        size_t cells;
        double *x = rs_mul(p->seeds, p->pictures, &cells) ? rs_alloc(cells + 1, sizeof *x, err)
                                                          : RS_NOMEM_NULL(err);
        *rows = 0;
        for (size_t s = 0; x && s < p->seeds; s++) {
                const resect_trial_run *r = rs_verdict_run(v, arm, fraction, s);
                if (!r || (other && !rs_verdict_run(v, *other, fraction, s)))
                        continue;
                double *row = x + (*rows)++ * p->pictures;
                for (size_t i = 0; i < p->pictures; i++)
                        row[i] = r->test[i].rank == 0;
        }
        return x;
}

static resect_crossed_options
how(const rs_verdict *v, size_t family)
{
        return (resect_crossed_options){.rounds = v->pub.rounds,
                .level = v->pub.level,
                .family = family,
                .seed = v->o.seed};
}

/* *seeds 0: no run in common, and *out is left alone. */
static bool
compare(const rs_verdict *v, size_t a, size_t b, size_t fraction, size_t family,
        resect_crossed *out, size_t *seeds, resect_error *err)
{
        const resect_crossed_options o = how(v, family);
        size_t other;
        double *x = hits(v, a, &b, fraction, seeds, err),
               *y = x ? hits(v, b, &a, fraction, &other, err) : NULL;
        bool ok = y && (!*seeds || resect_crossed_difference(
                                           x, y, *seeds, v->pub.pictures, &o, out, err));
        rs_free(x);
        rs_free(y);
        return ok;
}

static bool
judge_cell(rs_verdict *v, size_t arm, size_t fraction, resect_error *err)
{
        resect_verdict_cell *c = &v->cells[arm * v->pub.fractions + fraction];
        const resect_crossed_options o = how(v, 1);
        double *x = hits(v, arm, NULL, fraction, &c->runs, err);
        bool ok = x &&
                  (!c->runs || resect_crossed_mean(x, c->runs, v->pub.pictures, &o, &c->test, err));
        rs_free(x);
        for (size_t s = 0; ok && s < v->pub.seeds; s++) {
                const resect_trial_run *r = rs_verdict_run(v, arm, fraction, s);
                if (!r)
                        continue;
                c->pictures += (double)r->n_train / (double)c->runs;
                c->val += r->val.top1 / (double)c->runs;
                c->val_loss += r->val.loss / (double)c->runs;
        }
        return ok;
}

/* How much higher the validation loss is after the last pass than at its best. */
static double
rise_of(const resect_trial_run *r)
{
        double least = INFINITY;
        for (size_t e = 0; e < r->n_epochs; e++)
                least = fmin(least, r->epochs[e].val_loss);
        return r->n_epochs && least > 0 && isfinite(least)
                       ? r->epochs[r->n_epochs - 1].val_loss / least - 1
                       : 0;
}

/* Training accuracy of the kept weights less hits, picture by picture. */
static bool
judge_gap(rs_verdict *v, size_t arm, resect_error *err)
{
        const size_t last = v->pub.fractions - 1, n = v->pub.pictures;
        resect_crossed_options o = how(v, 1);
        size_t rows, k = 0;
        double *x = hits(v, arm, NULL, last, &rows, err);
        o.unbounded = true;
        for (size_t s = 0; x && s < v->pub.seeds; s++) {
                const resect_trial_run *r = rs_verdict_run(v, arm, last, s);
                if (!r)
                        continue;
                for (size_t i = 0; i < n; i++)
                        x[k * n + i] = r->train.top1 - x[k * n + i];
                k++;
        }
        bool ok = x && resect_crossed_mean(x, rows, n, &o, &v->of[arm].gap, err);
        rs_free(x);
        v->of[arm].overfits = v->of[arm].gap.low > overfit_gap;
        return ok;
}

static bool
judge_arm(rs_verdict *v, size_t arm, resect_error *err)
{
        const size_t last = v->pub.fractions - 1;
        const resect_verdict_cell *c = &v->cells[arm * v->pub.fractions + last];
        resect_verdict_arm *a = &v->of[arm];
        if (!c->runs)
                return true;
        const double w = 1 / (double)c->runs;
        for (size_t s = 0; s < v->pub.seeds; s++) {
                const resect_trial_run *r = rs_verdict_run(v, arm, last, s);
                resect_scores test;
                if (!r)
                        continue;
                if (!resect_scores_of(r->test, r->n_test, v->pub.classes, &test, NULL, NULL, err))
                        return false;
                a->train += w * r->train.top1;
                a->balanced += w * test.balanced;
                a->macro_f1 += w * test.macro_f1;
                a->loss += w * test.loss;
                a->ece += w * test.ece;
                a->best_epoch += w * (double)r->best_epoch;
                a->rise += w * rise_of(r);
                a->diverged += r->diverged;
                a->seconds += w * r->seconds;
        }
        const double points = 100 * (c->test.value - v->pub.chance);
        a->points_per_second = a->seconds > 0 ? points / a->seconds : 0;
        a->points_per_gmac = v->arm[arm].macs ? points / ((double)v->arm[arm].macs / 1e9) : 0;
        return judge_gap(v, arm, err);
}

/* ------------------------------------------------------------------------------------------------
 * choices */

enum among { ALL, SIMPLE, PRETRAINED };

bool
rs_cell_better(const resect_verdict_cell *a, const resect_verdict_cell *b)
{
        return a->val > b->val || (a->val == b->val && a->val_loss < b->val_loss);
}

/* At the largest fraction. */
static bool
better(const rs_verdict *v, size_t a, size_t b)
{
        const size_t last = v->pub.fractions - 1;
        return rs_cell_better(
                &v->cells[a * v->pub.fractions + last], &v->cells[b * v->pub.fractions + last]);
}

static int
best(const rs_verdict *v, enum among which)
{
        int at = RESECT_ARM_NONE;
        for (size_t a = 0; a < v->pub.arms; a++) {
                if (!v->cells[(a + 1) * v->pub.fractions - 1].runs ||
                        (which == SIMPLE && !v->arm[a].simple) ||
                        (which == PRETRAINED && !v->arm[a].pretrained))
                        continue;
                if (at == RESECT_ARM_NONE || better(v, a, (size_t)at))
                        at = (int)a;
        }
        return at;
}

static bool
choose_sides(rs_verdict *v, resect_error *err)
{
        resect_verdict *p = &v->pub;
        p->winner = best(v, ALL);
        p->simple = best(v, SIMPLE);
        p->pretrained = best(v, PRETRAINED);
        p->scratch = RESECT_ARM_NONE;
        for (size_t a = 0; a < p->arms; a++)
                if (!v->arm[a].pretrained && v->cells[a * p->fractions + p->fractions - 1].runs)
                        p->scratch = (int)a;
        if (p->winner == RESECT_ARM_NONE)
                return rs_fail(err, RESECT_ARG,
                        "no run on all of the trial's training pictures is finished: there is "
                        "nothing to judge");
        p->reference = p->simple != RESECT_ARM_NONE ? p->simple : p->winner;
        return true;
}

static bool
add_pair(rs_verdict *v, size_t a, size_t b, size_t family, resect_error *err)
{
        resect_verdict_pair *q = &v->pairs[v->pub.n_pairs];
        *q = (resect_verdict_pair){.a = a, .b = b};
        if (!compare(v, a, b, v->pub.fractions - 1, family, &q->difference, &q->seeds, err))
                return false;
        v->pub.n_pairs += q->seeds > 0;
        return true;
}

/*
 * Two questions, each at its own level. Are the pretrained weights of use: one comparison, of the
 * best pretrained arm with scratch. Does any arm beat the reference: all others, by Holm's
 * correction.
 */
static bool
compare_arms(rs_verdict *v, resect_error *err)
{
        resect_verdict *p = &v->pub;
        const size_t reference = (size_t)p->reference, last = p->fractions - 1;
        const int pre = p->pretrained, scratch = p->scratch;
        const bool both = pre != RESECT_ARM_NONE && scratch != RESECT_ARM_NONE;
        double *raw = RS_NEW(&v->arena, p->arms + 1, double, err);
        v->pairs = RS_NEW(&v->arena, p->arms + 1, resect_verdict_pair, err);
        if (!v->pairs || !raw)
                return false;
        p->pairs = v->pairs;
        p->transfer_pair = -1;
        size_t family = 0, at = 0;
        for (int pass = 0; pass < 2; pass++) /* counts, then compares */
                for (size_t a = 0; a < p->arms; a++) {
                        if (a == reference || !v->cells[a * p->fractions + last].runs)
                                continue;
                        const bool asked =
                                both &&
                                ((int)a == scratch ? pre == p->reference
                                                   : (int)a == pre && scratch == p->reference);
                        const size_t had = p->n_pairs;
                        family += !pass && !asked;
                        if (pass && !add_pair(v, a, reference, asked ? 1 : family, err))
                                return false;
                        if (p->n_pairs > had && asked)
                                p->transfer_pair = (int)had;
                }
        const size_t had = p->n_pairs;
        if (both && pre != p->reference && scratch != p->reference) {
                if (!add_pair(v, (size_t)pre, (size_t)scratch, 1, err))
                        return false;
                p->transfer_pair = p->n_pairs > had ? (int)had : -1;
        }
        for (size_t i = 0; i < p->n_pairs; i++)
                if ((int)i != p->transfer_pair)
                        raw[at++] = v->pairs[i].difference.p;
        if (!resect_holm(raw, at, raw, err))
                return false;
        at = 0;
        for (size_t i = 0; i < p->n_pairs; i++)
                v->pairs[i].p = (int)i == p->transfer_pair ? v->pairs[i].difference.p : raw[at++];
        p->family = at;
        return true;
}

/* The pair's verdict: 1, a is proven better; -1, b is; 0, neither. */
static int
proven(const rs_verdict *v, const resect_verdict_pair *q)
{
        return q->p > 1 - v->pub.level ? 0 : q->difference.value > 0 ? 1 : -1;
}

/* The best by validation of what is proven better than the reference, which is cheaper than all of
 * them; the reference itself when nothing is. */
static void
choose(rs_verdict *v)
{
        resect_verdict *p = &v->pub;
        const size_t last = p->fractions - 1;
        const resect_verdict_cell *w = &v->cells[(size_t)p->winner * p->fractions + last];
        p->chosen = p->reference;
        p->kind = RESECT_VERDICT_CHEAPER;
        bool ahead_of_all = p->n_pairs > 0;
        for (size_t i = 0; i < p->n_pairs; i++) {
                const resect_verdict_pair *q = &v->pairs[i];
                if (q->b != (size_t)p->reference)
                        continue;
                ahead_of_all = ahead_of_all && proven(v, q) < 0;
                if (proven(v, q) > 0 &&
                        (p->kind != RESECT_VERDICT_PROVEN || better(v, q->a, (size_t)p->chosen))) {
                        p->chosen = (int)q->a;
                        p->kind = RESECT_VERDICT_PROVEN;
                }
        }
        if (p->chosen == p->reference && ahead_of_all)
                p->kind = RESECT_VERDICT_PROVEN;
        if (v->cells[(size_t)p->chosen * p->fractions + last].test.low <= p->chance) {
                p->kind = w->test.low <= p->chance ? RESECT_VERDICT_CANNOT_TELL
                                                   : RESECT_VERDICT_LEARNED;
                if (p->kind == RESECT_VERDICT_LEARNED)
                        p->chosen = p->winner;
        }
        if (p->transfer_pair >= 0) {
                const resect_verdict_pair *q = &v->pairs[p->transfer_pair];
                int sign = proven(v, q) * ((int)q->a == p->scratch ? -1 : 1);
                p->transfer = sign > 0   ? RESECT_TRANSFER_ADVANTAGE
                              : sign < 0 ? RESECT_TRANSFER_HARM
                                         : RESECT_TRANSFER_NONE;
        }
}

/* Pretrained less scratch over the fractions, and from where on scratch keeps up. */
static bool
follow_lead(rs_verdict *v, resect_error *err)
{
        resect_verdict *p = &v->pub;
        p->caught_up = -1;
        if (p->pretrained == RESECT_ARM_NONE || p->scratch == RESECT_ARM_NONE)
                return true;
        v->lead = RS_NEW(&v->arena, p->fractions, resect_crossed, err);
        v->lead_seeds = RS_NEW(&v->arena, p->fractions, size_t, err);
        if (!v->lead || !v->lead_seeds)
                return false;
        p->lead = v->lead;
        p->lead_seeds = v->lead_seeds;
        for (size_t f = 0; f < p->fractions; f++)
                if (!compare(v, (size_t)p->pretrained, (size_t)p->scratch, f, 1, &v->lead[f],
                            &v->lead_seeds[f], err))
                        return false;
        for (size_t f = p->fractions; f-- > 0 && v->lead_seeds[f] && v->lead[f].low <= 0;)
                p->caught_up = (int)f;
        return true;
}

/* ------------------------------------------------------------------------------------------------
 * the restart question */

static bool
judge_restarts(rs_verdict *v, resect_error *err)
{
        resect_verdict *p = &v->pub;
        const size_t n = resect_trial_restart_count(v->t), pictures = p->pictures;
        const resect_crossed_options o = how(v, 2);
        double *x[3] = {0};
        bool ok = true;
        p->restart_arm = RESECT_ARM_NONE;
        for (int k = 0; k < 3 && ok; k++)
                ok = (x[k] = rs_alloc(n * pictures + 1, sizeof **x, err)) != NULL;
        for (size_t s = 0; s < n && ok; s++) {
                resect_trial_restart r;
                if (!resect_trial_restart_at(v->t, s, &r))
                        break;
                const resect_trial_run *run[3] = {&r.restarted, &r.base, &r.steady};
                for (int k = 0; k < 3; k++)
                        for (size_t i = 0; i < pictures; i++)
                                x[k][s * pictures + i] = run[k]->test[i].rank == 0;
                p->restart_arm = (int)r.base.arm;
        }
        for (int k = 0; k < 2 && ok && n; k++) {
                ok = resect_crossed_difference(
                        x[0], x[k + 1], n, pictures, &o, &p->restart[k], err);
                p->restart_p[k] = p->restart[k].p;
        }
        p->restarts = n;
        for (int k = 0; k < 3; k++)
                rs_free(x[k]);
        return ok && resect_holm(p->restart_p, 2, p->restart_p, err);
}

/* ------------------------------------------------------------------------------------------------
 * where it goes wrong */

struct mistake {
        size_t at;
        double loss;
};

static int
by_loss(const void *a, const void *b)
{
        const struct mistake *x = a, *y = b;
        return x->loss != y->loss ? (x->loss < y->loss) - (x->loss > y->loss)
                                  : (x->at > y->at) - (x->at < y->at);
}

static bool
find_mistakes(rs_verdict *v, resect_error *err)
{
        resect_verdict *p = &v->pub;
        const size_t arm = (size_t)p->chosen, last = p->fractions - 1;
        struct mistake *m = RS_NEW(&v->arena, p->pictures + 1, struct mistake, err);
        size_t n = 0, want = v->o.worst ? v->o.worst : WORST, cells;
        if (!rs_mul(p->classes, p->classes, &cells))
                return rs_fail_nomem(err);
        v->confusion = RS_NEW(&v->arena, cells, size_t, err);
        v->worst = RS_NEW(&v->arena, want, size_t, err);
        if (!m || !v->confusion || !v->worst)
                return false;
        for (size_t i = 0; i < p->pictures; i++) {
                size_t runs = 0, misses = 0;
                double loss = 0;
                for (size_t s = 0; s < p->seeds; s++) {
                        const resect_trial_run *r = rs_verdict_run(v, arm, last, s);
                        if (!r)
                                continue;
                        const resect_outcome *o = &r->test[i];
                        v->confusion[(size_t)o->label * p->classes + (size_t)o->predicted]++;
                        runs++;
                        misses += o->rank != 0;
                        loss += o->loss;
                }
                if (2 * misses > runs)
                        m[n++] = (struct mistake){i, loss / (double)runs};
        }
        qsort(m, n, sizeof *m, by_loss);
        for (size_t k = 0; k < n && k < want; k++)
                v->worst[p->n_worst++] = m[k].at;
        p->confusion = v->confusion;
        p->worst = v->worst;
        return true;
}

static double
commonest(const rs_verdict *v)
{
        const resect_data *d = resect_trial_data(v->t);
        const resect_split split = resect_trial_test_split(v->t);
        size_t most = 0;
        for (size_t c = 0; c < v->pub.classes; c++) {
                size_t n = 0;
                for (size_t i = 0; i < v->pub.pictures; i++)
                        n += resect_data_label(d, split, i) == (int)c;
                most = n > most ? n : most;
        }
        return (double)most / (double)v->pub.pictures;
}

static bool
judge(rs_verdict *v, resect_error *err)
{
        resect_verdict *p = &v->pub;
        if (!gather_runs(v, err))
                return false;
        p->level = v->o.level > 0 ? v->o.level : 0.95;
        p->rounds = v->o.rounds ? v->o.rounds : p->pictures > LARGE ? 1999 : 9999;
        v->cells = RS_NEW(&v->arena, p->arms * p->fractions + 1, resect_verdict_cell, err);
        v->of = RS_NEW(&v->arena, p->arms + 1, resect_verdict_arm, err);
        v->lines = RS_NEW(&v->arena, MOST_LINES + 3 * p->arms, const char *, err);
        v->warnings = RS_NEW(&v->arena, MOST_LINES + 3 * p->arms, const char *, err);
        if (!v->cells || !v->of || !v->lines || !v->warnings)
                return false;
        p->cells = v->cells;
        p->of = v->of;
        p->lines = v->lines;
        p->warnings = v->warnings;
        for (size_t a = 0; a < p->arms; a++)
                for (size_t f = 0; f < p->fractions; f++)
                        if (!judge_cell(v, a, f, err))
                                return false;
        if (!choose_sides(v, err))
                return false;
        p->chance = commonest(v);
        for (size_t a = 0; a < p->arms; a++)
                if (!judge_arm(v, a, err))
                        return false;
        if (!compare_arms(v, err))
                return false;
        choose(v);
        return follow_lead(v, err) && judge_restarts(v, err) && find_mistakes(v, err) &&
               rs_verdict_agree(v, err) && rs_verdict_words(v, err);
}

resect_verdict *
resect_trial_judge(const resect_trial *t, const resect_judge_options *options, resect_error *err)
{
        rs_verdict *v = rs_alloc(1, sizeof *v, err);
        if (!v)
                return NULL;
        v->t = t;
        v->o = options ? *options : (resect_judge_options){0};
        if (judge(v, err))
                return &v->pub;
        resect_verdict_free(&v->pub);
        return NULL;
}

void
resect_verdict_free(resect_verdict *p)
{
        if (!p)
                return;
        rs_verdict *v = (rs_verdict *)p;
        rs_arena_free(&v->arena);
        rs_free(v);
}
