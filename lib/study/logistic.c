/* SPDX-License-Identifier: 0BSD */
/*
 * Multinomial logistic regression on standardised features, on coordinates in the span of the
 * samples, C chosen by cross-validation. Each C starts where the smaller one ended. Of two classes
 * only the difference of their weights is sought. softmax.c descends.
 */
#include "study/features.h"

#include <math.h>
#include <string.h>
#ifdef _OPENMP
#include <omp.h>
#endif
#include "base/random.h"
#include "base/threads.h"
#include "study/softmax.h"

enum { FOLDS = 5, MOST_FOLDS = 64 };

struct resect_logistic {
        resect_logistic_facts facts;
        rs_arena arena;
        bool *present;        /* [classes] */
        int *fold;            /* [n]; -1: never held out */
        double *mean, *scale; /* [d] */
};

/* Everything that the fits of one call share. */
typedef struct fit {
        size_t n, d, classes; /* classes: present */
        const resect_logistic_options *o;
        const double *penalties;
        size_t n_penalties;
        double tolerance;
        int threads;
        rs_reduced z;
        double *x; /* [n, d] standardised */
        int *y;    /* [n] */
        const int *fold;
        size_t folds;
        double *moments; /* [r, r] of z: z' z / n, times the mean curvature */
        double *inverse; /* [r, r] */
        size_t *rows;    /* [folds + 1, n]: what each fold's fit sees; the last one all */
        size_t *n_rows;  /* [folds + 1] */
        double *v;       /* [folds + 1, m * (r + 1)] */
        double *scratch; /* [threads, scratch_size] */
        double *loss;    /* [folds] of the samples held out, summed */
        size_t *hits;    /* [folds] */
        size_t held;     /* samples that are held out */
        rs_arena arena;
} fit;

static rs_softmax
problem_of(const fit *f, size_t fold, double penalty)
{
        const bool two = f->classes == 2;
        rs_softmax p = {.z = f->z.z,
                .rows = f->rows + fold * f->n,
                .n_rows = f->n_rows[fold],
                .y = f->y,
                .r = f->z.r,
                .classes = f->classes,
                .m = two ? 1 : f->classes,
                .inverse = f->inverse,
                .curvature = two ? 0.25 : 1 / (double)f->classes};
        /* Of two classes each has half the difference as its weights: twice a quarter of its
         * square. */
        p.shrink = (two ? 0.5 : 1) / (penalty * (double)p.n_rows);
        return p;
}

/* The preconditioner for a C, of all samples: the folds differ little from that. */
static bool
make_inverse(fit *f, double penalty, resect_error *err)
{
        rs_softmax p = problem_of(f, f->folds, penalty);
        size_t r = p.r;
        memcpy(f->inverse, f->moments, r * r * sizeof *f->inverse);
        for (size_t i = 0; i < r; i++)
                f->inverse[i * (r + 1)] += p.shrink;
        return rs_cholesky(f->inverse, r) ||
               rs_fail(err, RESECT_ARG, "C = %g is too large for these features", penalty);
}

static void
judge_fold(fit *f, size_t fold, const rs_softmax *p, double *score)
{
        const double *v = f->v + fold * rs_softmax_width(p);
        f->loss[fold] = 0;
        f->hits[fold] = 0;
        for (size_t i = 0; i < f->n; i++) {
                if (f->fold[i] != (int)fold)
                        continue;
                rs_softmax_scores(p, v, f->z.z + i * p->r, score);
                size_t best = p->m == 1 ? score[0] > 0 : 0;
                for (size_t c = 1; c < p->m; c++)
                        best = score[c] > score[best] ? c : best;
                f->hits[fold] += best == (size_t)f->y[i];
                f->loss[fold] += rs_softmax_loss(p->classes, p->m, score, f->y[i]);
        }
}

static size_t
this_thread(void)
{
#ifdef _OPENMP
        return (size_t)omp_get_thread_num();
#else
        return 0;
#endif
}

static void
fit_folds(fit *f, double penalty, double tolerance)
{
#ifdef _OPENMP
#pragma omp parallel for num_threads(f->threads) schedule(dynamic)
#endif
        for (size_t k = 0; k < f->folds; k++) {
                rs_softmax p = problem_of(f, k, penalty);
                double *scratch = f->scratch + this_thread() * rs_softmax_scratch(&p);
                rs_softmax_minimise(&p, f->v + k * rs_softmax_width(&p), tolerance, scratch);
                judge_fold(f, k, &p, scratch);
        }
}

/* From the smallest C on, until the loss has risen twice, or clearly: what follows is worse, and
 * the dearest to fit. */
static bool
choose(fit *f, resect_logistic_facts *facts, resect_error *err)
{
        size_t best = 0, risen = 0;
        facts->cv_loss = INFINITY;
        for (size_t i = 0; i < f->n_penalties && risen < 2; i++) {
                double loss = 0;
                size_t hits = 0;
                if (!make_inverse(f, f->penalties[i], err))
                        return false;
                fit_folds(f, f->penalties[i], fmax(f->tolerance, 1e-5));
                for (size_t k = 0; k < f->folds; k++) {
                        loss += f->loss[k];
                        hits += f->hits[k];
                }
                loss /= (double)f->held;
                risen = loss < facts->cv_loss ? 0 : loss > 1.02 * facts->cv_loss ? 2 : risen + 1;
                if (risen)
                        continue;
                best = i;
                facts->cv_loss = loss;
                facts->cv_accuracy = (double)hits / (double)f->held;
        }
        facts->penalty = f->penalties[best];
        facts->at_edge = f->n_penalties > 1 && (best == 0 || best + 1 == f->n_penalties);
        return true;
}

/* Samples of each class are dealt to the folds in turn, going on where the class before ended. */
static bool
deal(resect_logistic *l, const int64_t *y, size_t n, const size_t *counts, size_t classes,
        size_t folds, uint64_t seed, resect_error *err)
{
        size_t *order = rs_alloc(n, sizeof *order, err), at = 0;
        if (!order)
                return false;
        rs_shuffle(seed, rs_stream("folds", n, 0), order, n);
        for (size_t c = 0; c < classes; c++)
                for (size_t k = 0; k < n; k++)
                        if (y[order[k]] == (int64_t)c)
                                l->fold[order[k]] = counts[c] < 2 ? -1 : (int)(at++ % folds);
        l->facts.folds = at < folds ? at : folds;
        rs_free(order);
        return true;
}

static bool
make_rows(fit *f, resect_error *err)
{
        f->rows = RS_NEW(&f->arena, (f->folds + 1) * f->n, size_t, err);
        f->n_rows = f->rows ? RS_NEW(&f->arena, f->folds + 1, size_t, err) : NULL;
        if (!f->n_rows)
                return false;
        for (size_t k = 0; k <= f->folds; k++)
                for (size_t i = 0; i < f->n; i++)
                        if (k == f->folds || f->fold[i] != (int)k)
                                f->rows[k * f->n + f->n_rows[k]++] = i;
        f->held = 0;
        for (size_t k = 0; k < f->folds; k++)
                f->held += f->n - f->n_rows[k];
        return true;
}

static bool
make_room(fit *f, resect_error *err)
{
        if (!make_rows(f, err))
                return false;
        rs_softmax p = problem_of(f, f->folds, 1);
        size_t r = p.r, parts = f->folds + 1;
        f->moments = RS_NEW(&f->arena, r * r + 1, double, err);
        f->inverse = f->moments ? RS_NEW(&f->arena, r * r + 1, double, err) : NULL;
        f->v = f->inverse ? RS_NEW(&f->arena, parts * rs_softmax_width(&p), double, err) : NULL;
        f->scratch =
                f->v ? RS_NEW(&f->arena, (size_t)f->threads * rs_softmax_scratch(&p), double, err)
                     : NULL;
        f->loss = f->scratch ? RS_NEW(&f->arena, parts, double, err) : NULL;
        f->hits = f->loss ? RS_NEW(&f->arena, parts, size_t, err) : NULL;
        if (!f->hits || (r && !rs_rows_product(f->z.z, f->z.z, r, r, f->n, true, f->threads,
                                      f->moments, err)))
                return false;
        for (size_t i = 0; i < r * r; i++)
                f->moments[i] *= p.curvature / (double)f->n;
        return true;
}

static bool
start(fit *f, const resect_logistic *l, const float *x, const int64_t *y, resect_error *err)
{
        size_t cells, of = 0;
        int *number = RS_NEW(&f->arena, l->facts.classes, int, err);
        f->y = number ? RS_NEW(&f->arena, f->n, int, err) : NULL;
        if (!f->y)
                return false;
        for (size_t c = 0; c < l->facts.classes; c++)
                if (l->present[c])
                        number[c] = (int)of++;
        f->classes = of;
        for (size_t i = 0; i < f->n; i++)
                f->y[i] = number[y[i]];
        f->x = rs_mul(f->n, f->d, &cells) ? rs_alloc(cells, sizeof *f->x, err) : RS_NOMEM_NULL(err);
        if (!f->x)
                return false;
        rs_features_scale(x, f->n, f->d, l->mean, l->scale, f->x);
        return rs_reduce(&f->z, f->x, f->n, f->d, f->threads, err) && make_room(f, err);
}

static void
finish(fit *f)
{
        rs_reduce_free(&f->z);
        rs_free(f->x);
        rs_arena_free(&f->arena);
}

/* A fit's weights, class by class, for standardised features, biases centred; classes without
 * samples stay zero. */
static void
spread(const fit *f, const resect_logistic *l, size_t fold, double *weights, double *bias)
{
        rs_softmax p = problem_of(f, fold, 1);
        double *v = f->v + fold * rs_softmax_width(&p), mean = 0;
        double *b = v + p.m * p.r;
        size_t d = f->d, of = 0, first = 0, second = 0;
        for (size_t c = 0; p.m > 1 && c < p.m; c++)
                mean += b[c] / (double)p.m;
        for (size_t c = 0; c < l->facts.classes; c++) {
                if (!l->present[c])
                        continue;
                if (p.m > 1 || of == 1)
                        rs_reduce_expand(
                                &f->z, f->x, v + (p.m > 1 ? of : 0) * p.r, weights + c * d);
                if (p.m > 1)
                        bias[c] = b[of] - mean;
                first = of == 0 ? c : first;
                second = of == 1 ? c : second;
                of++;
        }
        if (p.m > 1)
                return;
        for (size_t j = 0; j < d; j++) {
                weights[second * d + j] /= 2;
                weights[first * d + j] = -weights[second * d + j];
        }
        bias[second] = b[0] / 2;
        bias[first] = -b[0] / 2;
}

/* The same for features as they are: W' = W / deviation, b' = b - W' mean. */
static void
unscale(const resect_logistic *l, const double *sw, const double *sb, double *w, double *b)
{
        size_t d = l->facts.d;
        for (size_t c = 0; c < l->facts.classes; c++) {
                for (size_t j = 0; j < d; j++)
                        w[c * d + j] = sw[c * d + j] * l->scale[j];
                b[c] = sb[c] - rs_dot(w + c * d, l->mean, d);
        }
}

static void
scores(const resect_logistic *l, const double *w, const double *b, const float *x, double *row,
        float *out)
{
        size_t d = l->facts.d, classes = l->facts.classes;
        double least = INFINITY;
        for (size_t j = 0; j < d; j++)
                row[j] = x[j];
        for (size_t c = 0; c < classes; c++)
                if (l->present[c]) {
                        double s = rs_dot(row, w + c * d, d) + b[c];
                        out[c] = (float)s;
                        least = fmin(least, s);
                }
        for (size_t c = 0; c < classes; c++)
                if (!l->present[c])
                        out[c] = (float)(least - 30);
}

static void
settle(fit *f, const resect_logistic *l, const resect_logistic_options *o)
{
        static const double usual[] = {1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1, 10, 100};
        static const resect_logistic_options none;
        f->o = o ? o : &none;
        f->n = l->facts.n;
        f->d = l->facts.d;
        f->penalties = f->o->penalties ? f->o->penalties : usual;
        f->n_penalties = f->o->penalties ? f->o->n_penalties : sizeof usual / sizeof *usual;
        f->tolerance = f->o->tolerance > 0 ? f->o->tolerance : 1e-6;
        f->threads = rs_threads(f->o->threads);
        f->fold = l->fold;
        f->folds = l->facts.folds;
}

static bool
check_options(const resect_logistic_options *o, resect_error *err)
{
        if (o && o->penalties && !o->n_penalties)
                return rs_fail(err, RESECT_ARG, "no C to choose from");
        for (size_t i = 0; o && o->penalties && i < o->n_penalties; i++)
                if (!(o->penalties[i] > 0) || !isfinite(o->penalties[i]) ||
                        (i && o->penalties[i] <= o->penalties[i - 1]))
                        return rs_fail(err, RESECT_ARG,
                                "C = %g: the values of C must be above 0 and ascend",
                                o->penalties[i]);
        if (o && (o->folds == 1 || o->folds > MOST_FOLDS))
                return rs_fail(err, RESECT_ARG, "%zu folds: 2 to %d, or 0 for %d", o->folds,
                        MOST_FOLDS, FOLDS);
        return true;
}

static bool
make(resect_logistic *l, const float *x, const int64_t *y, const resect_logistic_options *o, fit *f,
        resect_error *err)
{
        resect_logistic_facts *k = &l->facts;
        size_t cells, *counts = RS_NEW(&l->arena, k->classes + 1, size_t, err);
        if (!counts || !rs_features_check(x, y, k->n, k->d, k->classes, 2, counts, err))
                return false;
        l->present = RS_NEW(&l->arena, k->classes, bool, err);
        l->fold = l->present ? RS_NEW(&l->arena, k->n, int, err) : NULL;
        l->mean = l->fold ? RS_NEW(&l->arena, k->d, double, err) : NULL;
        l->scale = l->mean ? RS_NEW(&l->arena, k->d, double, err) : NULL;
        if (!l->scale || (!rs_mul(k->classes, k->d, &cells) && !rs_fail_nomem(err)))
                return false;
        double *w = RS_NEW(&l->arena, cells, double, err),
               *sw = w ? RS_NEW(&l->arena, cells, double, err) : NULL,
               *b = sw ? RS_NEW(&l->arena, k->classes, double, err) : NULL,
               *sb = b ? RS_NEW(&l->arena, k->classes, double, err) : NULL;
        if (!sb)
                return false;
        for (size_t c = 0; c < k->classes; c++)
                l->present[c] = counts[c] > 0;
        rs_features_moments(x, k->n, k->d, l->mean, l->scale);
        if (!deal(l, y, k->n, counts, k->classes, o && o->folds ? o->folds : FOLDS, o ? o->seed : 0,
                    err))
                return false;
        settle(f, l, o);
        k->penalty = f->penalties[f->n_penalties / 2];
        if (!start(f, l, x, y, err) || (k->folds && !choose(f, k, err)) ||
                !make_inverse(f, k->penalty, err))
                return false;
        rs_softmax p = problem_of(f, f->folds, k->penalty);
        k->converged = rs_softmax_minimise(
                &p, f->v + f->folds * rs_softmax_width(&p), f->tolerance, f->scratch);
        spread(f, l, f->folds, sw, sb);
        unscale(l, sw, sb, w, b);
        k->weights = w;
        k->bias = b;
        k->standard_weights = sw;
        k->standard_bias = sb;
        return true;
}

resect_logistic *
resect_logistic_fit(const float *x, const int64_t *y, size_t n, size_t d, size_t classes,
        const resect_logistic_options *options, resect_error *err)
{
        resect_logistic *l = check_options(options, err) ? rs_alloc(1, sizeof *l, err) : NULL;
        if (!l)
                return NULL;
        fit f = {0};
        l->facts = (resect_logistic_facts){.n = n, .d = d, .classes = classes};
        bool ok = make(l, x, y, options, &f, err);
        finish(&f);
        if (ok)
                return l;
        resect_logistic_free(l);
        return NULL;
}

void
resect_logistic_free(resect_logistic *l)
{
        if (!l)
                return;
        rs_arena_free(&l->arena);
        rs_free(l);
}

resect_logistic_facts
resect_logistic_about(const resect_logistic *l)
{
        return l->facts;
}

bool
resect_logistic_scores(
        const resect_logistic *l, const float *x, size_t m, float *out, resect_error *err)
{
        const resect_logistic_facts *k = &l->facts;
        if (!rs_features_finite(x, m, k->d, err))
                return false;
        double *row = rs_alloc(k->d, sizeof *row, err);
        if (!row)
                return false;
        for (size_t i = 0; i < m; i++)
                scores(l, k->weights, k->bias, x + i * k->d, row, out + i * k->classes);
        rs_free(row);
        return true;
}

/* The folds' fits once more, at the C that was chosen and to the full tolerance. */
static bool
hold_out(const resect_logistic *l, const float *x, const int64_t *y, fit *f, float *out,
        resect_error *err)
{
        const resect_logistic_facts *k = &l->facts;
        resect_logistic_options o = {.threads = 0};
        settle(f, l, &o);
        if (!start(f, l, x, y, err) || !make_inverse(f, k->penalty, err))
                return false;
        double *w = RS_NEW(&f->arena, 2 * k->classes * k->d, double, err),
               *b = w ? RS_NEW(&f->arena, 2 * k->classes, double, err) : NULL,
               *row = b ? RS_NEW(&f->arena, k->d, double, err) : NULL;
        if (!row)
                return false;
        fit_folds(f, k->penalty, f->tolerance);
        for (size_t fold = 0; fold <= f->folds; fold++) {
                double *raw = w + k->classes * k->d, *raw_b = b + k->classes;
                const bool rest = fold == f->folds;
                if (rest)
                        memcpy(raw, k->weights, k->classes * k->d * sizeof *raw);
                if (rest)
                        memcpy(raw_b, k->bias, k->classes * sizeof *raw_b);
                if (!rest) {
                        spread(f, l, fold, w, b);
                        unscale(l, w, b, raw, raw_b);
                }
                for (size_t i = 0; i < f->n; i++)
                        if (f->fold[i] == (rest ? -1 : (int)fold))
                                scores(l, raw, raw_b, x + i * k->d, row, out + i * k->classes);
        }
        return true;
}

bool
resect_logistic_held_out(
        const resect_logistic *l, const float *x, const int64_t *y, float *out, resect_error *err)
{
        if (!l->facts.folds)
                return rs_fail(err, RESECT_ARG, "no sample can be held out: no class has two");
        fit f = {0};
        bool ok = hold_out(l, x, y, &f, out, err);
        finish(&f);
        return ok;
}
