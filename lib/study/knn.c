/* SPDX-License-Identifier: 0BSD */
/*
 * Nearest neighbours by brute force: distances from products of rows, a band of rows at a time, and
 * of each row the nearest few kept in order. The vote for every number of neighbours then is one
 * walk along them.
 */
#include "study/features.h"

#include <math.h>
#include <string.h>
#include "base/threads.h"
#include "op/util.h"

enum { BAND = 256 };

typedef struct near_one {
        double distance;
        size_t row;
} near_one;

typedef struct search {
        size_t n, d, classes, k; /* k: neighbours kept */
        const int64_t *y;
        double *x, *norm; /* [n, d] standardised, [n] squares */
        int threads;
        double *products; /* [BAND, n] */
        near_one *near;   /* [BAND, k] */
        size_t *votes;    /* [classes] */
} search;

/* Rows are seen in ascending order, so that of equal distances the earlier row stays in front. */
static void
keep_nearest(const search *s, const double *product, double norm, size_t skip, near_one *near)
{
        size_t kept = 0;
        for (size_t j = 0; j < s->n; j++) {
                double d = norm + s->norm[j] - 2 * product[j];
                if (j == skip || (kept == s->k && !(d < near[kept - 1].distance)))
                        continue;
                size_t at = kept < s->k ? kept++ : kept - 1;
                for (; at > 0 && d < near[at - 1].distance; at--)
                        near[at] = near[at - 1];
                near[at] = (near_one){d, j};
        }
}

/* The class with the most votes among the first k, the one met first of equals. */
static int64_t
vote(const search *s, const near_one *near, size_t k, size_t *votes)
{
        int64_t best = s->y[near[0].row];
        for (size_t i = 0; i < k; i++)
                votes[s->y[near[i].row]] = 0;
        for (size_t i = 0; i < k; i++)
                votes[s->y[near[i].row]]++;
        for (size_t i = 0; i < k; i++)
                if (votes[s->y[near[i].row]] > votes[best])
                        best = s->y[near[i].row];
        return best;
}

/* The nearest of a band of rows; when they are rows of x itself from `self` on, each leaves itself
 * out. */
static bool
search_band(search *s, const double *rows, const double *norms, size_t n_rows, bool own,
        size_t self, resect_error *err)
{
        if (!rs_rows_product(rows, s->x, n_rows, s->n, s->d, false, s->threads, s->products, err))
                return false;
        RS_PARALLEL(rs_threads_for(s->threads, n_rows * s->n))
        for (size_t i = 0; i < n_rows; i++)
                keep_nearest(s, s->products + i * s->n, norms[i], own ? self + i : SIZE_MAX,
                        s->near + i * s->k);
        return true;
}

static bool
choose(search *s, const size_t *ks, size_t n_ks, size_t *hits /* [n_ks] */, size_t *k,
        resect_error *err)
{
        memset(hits, 0, n_ks * sizeof *hits);
        for (size_t at = 0; at < s->n; at += BAND) {
                size_t rows = s->n - at < BAND ? s->n - at : BAND;
                if (!search_band(s, s->x + at * s->d, s->norm + at, rows, true, at, err))
                        return false;
                for (size_t i = 0; i < rows; i++)
                        for (size_t q = 0; q < n_ks; q++)
                                hits[q] += vote(s, s->near + i * s->k, ks[q] < s->k ? ks[q] : s->k,
                                                   s->votes) == s->y[at + i];
        }
        size_t best = 0;
        for (size_t q = 1; q < n_ks; q++)
                best = hits[q] > hits[best] ? q : best;
        *k = ks[best] < s->k ? ks[best] : s->k;
        return true;
}

static bool
predict(search *s, const float *other, size_t m, const double *mean, const double *scale,
        double *rows /* [BAND, d] */, double *norms /* [BAND] */, size_t k, int64_t *predicted,
        resect_error *err)
{
        for (size_t at = 0; at < m; at += BAND) {
                size_t n = m - at < BAND ? m - at : BAND;
                rs_features_scale(other + at * s->d, n, s->d, mean, scale, rows);
                for (size_t i = 0; i < n; i++)
                        norms[i] = rs_dot(rows + i * s->d, rows + i * s->d, s->d);
                if (!search_band(s, rows, norms, n, false, 0, err))
                        return false;
                for (size_t i = 0; i < n; i++)
                        predicted[at + i] = vote(s, s->near + i * s->k, k, s->votes);
        }
        return true;
}

static bool
run(search *s, rs_arena *a, const float *x, const float *other, size_t m,
        const resect_knn_options *o, int64_t *predicted, size_t *chosen, resect_error *err)
{
        static const size_t usual[] = {1, 3, 5, 9, 15, 25};
        const size_t *ks = o && o->ks ? o->ks : usual;
        size_t n_ks = o && o->ks ? o->n_ks : sizeof usual / sizeof *usual, most = 0, cells, k;
        size_t *counts = RS_NEW(a, s->classes + 1, size_t, err),
               *hits = RS_NEW(a, n_ks + 1, size_t, err);
        if (!counts || !hits ||
                !rs_features_check(x, s->y, s->n, s->d, s->classes, 2, counts, err) ||
                !rs_features_finite(other, m, s->d, err))
                return false;
        for (size_t q = 0; q < n_ks; q++) {
                if (!ks[q])
                        return rs_fail(err, RESECT_ARG, "no neighbour is no vote");
                most = ks[q] > most ? ks[q] : most;
        }
        if (!most)
                return rs_fail(err, RESECT_ARG, "no number of neighbours to choose from");
        s->k = most < s->n - 1 ? most : s->n - 1;
        if (!rs_mul(s->n, s->d, &cells))
                return rs_fail_nomem(err);
        double *mean = RS_NEW(a, s->d, double, err), *scale = RS_NEW(a, s->d, double, err),
               *rows = RS_NEW(a, BAND * s->d, double, err), *norms = RS_NEW(a, BAND, double, err);
        s->x = RS_NEW(a, cells, double, err);
        s->norm = RS_NEW(a, s->n, double, err);
        s->products = RS_NEW(a, BAND * s->n, double, err);
        s->near = RS_NEW(a, BAND * s->k, near_one, err);
        s->votes = RS_NEW(a, s->classes, size_t, err);
        if (!mean || !scale || !rows || !norms || !s->x || !s->norm || !s->products || !s->near ||
                !s->votes)
                return false;
        rs_features_moments(x, s->n, s->d, mean, scale);
        rs_features_scale(x, s->n, s->d, mean, scale, s->x);
        for (size_t i = 0; i < s->n; i++)
                s->norm[i] = rs_dot(s->x + i * s->d, s->x + i * s->d, s->d);
        if (!choose(s, ks, n_ks, hits, &k, err))
                return false;
        if (chosen)
                *chosen = k;
        return predict(s, other, m, mean, scale, rows, norms, k, predicted, err);
}

bool
resect_knn(const float *x, const int64_t *y, size_t n, size_t d, size_t classes, const float *other,
        size_t m, const resect_knn_options *options, int64_t *predicted, size_t *k,
        resect_error *err)
{
        rs_arena a = {0};
        search s = {.n = n,
                .d = d,
                .classes = classes,
                .y = y,
                .threads = rs_threads(options ? options->threads : 0)};
        bool ok = run(&s, &a, x, other, m, options, predicted, k, err);
        rs_arena_free(&a);
        return ok;
}
