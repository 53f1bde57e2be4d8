/* SPDX-License-Identifier: 0BSD */
/* Every depth is judged by itself, on one thread, so that depths keep all threads busy and figures
 * depend on none of that. */
#include "probe/probe.h"

#include <math.h>
#ifdef _OPENMP
#include <omp.h>
#endif
#include "base/clock.h"
#include "base/threads.h"

/* What the depths have in common. */
typedef struct court {
        const resect_probe_options *o;
        const rs_depths *train, *held;
        size_t classes;
        int64_t *y, *answer; /* [train->n], [held->n] */
} court;

static bool
judge_linear(const court *c, size_t i, resect_probe_row *r, resect_error *err)
{
        resect_logistic_options o = c->o->linear;
        resect_scores figures;
        o.threads = 1;
        resect_logistic *l = resect_logistic_fit(
                c->train->x[i], c->y, c->train->n, r->features, c->classes, &o, err);
        float *scores = l ? rs_alloc(c->held->n * c->classes, sizeof *scores, err) : NULL;
        resect_outcome *out = scores ? rs_alloc(c->held->n, sizeof *out, err) : NULL;
        bool ok = out && resect_logistic_scores(l, c->held->x[i], c->held->n, scores, err) &&
                  resect_outcomes(scores, c->answer, c->held->n, c->classes, out, err) &&
                  resect_scores_of(out, c->held->n, c->classes, &figures, NULL, NULL, err);
        if (ok) {
                resect_logistic_facts f = resect_logistic_about(l);
                r->linear = figures.top1;
                r->linear_balanced = figures.balanced;
                r->linear_loss = figures.loss;
                r->linear_cv = f.folds ? f.cv_accuracy : NAN;
                r->penalty = f.penalty;
                r->converged = f.converged;
        }
        rs_free(out);
        rs_free(scores);
        resect_logistic_free(l);
        return ok;
}

static bool
judge_neighbours(const court *c, size_t i, resect_probe_row *r, resect_error *err)
{
        resect_knn_options o = c->o->knn;
        size_t hits = 0;
        o.threads = 1;
        int64_t *said = rs_alloc(c->held->n, sizeof *said, err);
        bool ok = said && resect_knn(c->train->x[i], c->y, c->train->n, r->features, c->classes,
                                  c->held->x[i], c->held->n, &o, said, &r->k, err);
        for (size_t k = 0; ok && k < c->held->n; k++)
                hits += said[k] == c->answer[k];
        r->knn = (double)hits / (double)c->held->n;
        rs_free(said);
        return ok;
}

static bool
judge(const court *c, size_t i, resect_probe_row *r, resect_error *err)
{
        return (judge_linear(c, i, r, err) && judge_neighbours(c, i, r, err) &&
                       resect_logme(c->train->x[i], c->y, c->train->n, r->features, c->classes, 1,
                               &r->logme, err)) ||
               rs_fail_at(err, "%s", r->part);
}

/* Deep ones first: they are the widest. */
static bool
judge_all(resect_probe *p, const court *c, resect_error *err)
{
        bool ok = true;
        size_t done = 0, n = p->n_rows;
#ifdef _OPENMP
#pragma omp parallel for num_threads(rs_threads(c->o->threads)) schedule(dynamic)
#endif
        for (size_t k = 0; k < n; k++) {
                resect_error own;
                bool go, well;
#ifdef _OPENMP
#pragma omp critical(rs_probe)
#endif
                go = ok;
                if (!go)
                        continue;
                well = judge(c, n - 1 - k, &p->rows[n - 1 - k], &own);
#ifdef _OPENMP
#pragma omp critical(rs_probe)
#endif
                {
                        if (!well && ok) {
                                ok = false;
                                if (err)
                                        *err = own;
                        }
                        done++;
                        if (ok && c->o->progress && !c->o->progress(c->o->ctx, "depths", done, n))
                                ok = rs_fail(err, RESECT_STOPPED, "stopped after %zu of %zu depths",
                                        done, n);
                }
        }
        return ok;
}

static double
most_frequent(const court *c, rs_arena *a, resect_error *err)
{
        size_t *count = RS_NEW(a, c->classes, size_t, err), most = 0;
        for (size_t i = 0; count && i < c->held->n; i++)
                if (++count[c->answer[i]] > most)
                        most = count[c->answer[i]];
        return count ? (double)most / (double)c->held->n : NAN;
}

bool
rs_probe_judge(resect_probe *p, const resect_data *d, const resect_probe_options *o,
        const rs_depths *train, const rs_depths *held, resect_error *err)
{
        rs_arena a = {0};
        court c = {.o = o, .train = train, .held = held, .classes = resect_data_class_count(d)};
        double began = rs_now();
        c.y = RS_NEW(&a, train->n, int64_t, err);
        c.answer = c.y ? RS_NEW(&a, held->n, int64_t, err) : NULL;
        bool ok = c.answer != NULL;
        for (size_t i = 0; ok && i < train->n; i++)
                c.y[i] = resect_data_label(d, RESECT_TRAIN, i);
        for (size_t i = 0; ok && i < held->n; i++)
                c.answer[i] = resect_data_label(d, rs_probe_held_out(o), i);
        if (ok) {
                p->facts.n_train = train->n;
                p->facts.n_held_out = held->n;
                p->facts.classes = c.classes;
                p->facts.chance = most_frequent(&c, &a, err);
                ok = isfinite(p->facts.chance) && judge_all(p, &c, err);
        }
        rs_arena_free(&a);
        p->facts.judge_seconds = rs_now() - began;
        return ok;
}
