/* SPDX-License-Identifier: 0BSD */
/*
 * Can the new pictures be told from the old ones? A logistic regression on the network's pooled
 * features tries; each picture is scored by a fit that did not see it, and the area under the ROC
 * curve says how often a new picture looks newer than an old one. Pictures that are in both sets
 * are left out: a classifier that learnt a picture as old and is asked about it as new would be
 * wrong on purpose, and the area fall below a half.
 */
#include "adapt/adapt.h"
#include "base/random.h"
#include "resect/features.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 1000 };

typedef struct row {
        const float *x;
        size_t d;
        bool first; /* of the first set */
        bool both;
} row;

static int
by_bytes(const void *p, const void *q)
{
        const row *a = p, *b = q;
        return memcmp(a->x, b->x, a->d * sizeof(float));
}

/* Marks rows that have an equal one in the other set; returns how many of the first set do. */
static size_t
mark_shared(row *r, size_t n)
{
        size_t shared = 0;
        qsort(r, n, sizeof *r, by_bytes);
        for (size_t i = 0, j; i < n; i = j) {
                size_t first = 0;
                for (j = i; j < n && by_bytes(&r[i], &r[j]) == 0; j++)
                        first += r[j].first;
                if (first == 0 || first == j - i)
                        continue;
                shared += first;
                for (size_t k = i; k < j; k++)
                        r[k].both = true;
        }
        return shared;
}

static int
ascending(const void *p, const void *q)
{
        const double a = *(const double *)p, b = *(const double *)q;
        return (a > b) - (a < b);
}

/* The interval: both sets are drawn from again, each at its own size. */
static bool
bootstrap(const double *score, const bool *positive, size_t n, size_t n_first, uint64_t seed,
        resect_shift_facts *out, rs_arena *a, resect_error *err)
{
        double *drawn = RS_NEW(a, n, double, err), *auc = RS_NEW(a, ROUNDS, double, err);
        if (!drawn || !auc)
                return false;
        for (size_t r = 0; r < ROUNDS; r++) {
                const uint64_t stream = rs_stream("domain", r, 0);
                for (size_t i = 0; i < n; i++) /* positives stand first */
                        drawn[i] = score[i < n_first ? rs_below(seed, stream, i, n_first)
                                                     : n_first + rs_below(seed, stream, i,
                                                                         n - n_first)];
                if (!resect_auc(drawn, positive, n, &auc[r], err))
                        return false;
        }
        qsort(auc, ROUNDS, sizeof *auc, ascending);
        out->auc_low = auc[ROUNDS / 40];
        out->auc_high = auc[ROUNDS - 1 - ROUNDS / 40];
        return true;
}

bool
rs_domain_auc(const float *a, size_t n, const float *b, size_t m, size_t d, uint64_t seed,
        int threads, resect_shift_facts *out, resect_error *err)
{
        rs_arena arena = {0};
        const size_t all = n + m;
        size_t k = 0, first = 0;
        row *r = RS_NEW(&arena, all + 1, row, err);
        float *x = rs_alloc(all * d + 1, sizeof *x, err),
              *scores = rs_alloc(2 * all + 1, sizeof *x, err);
        int64_t *y = RS_NEW(&arena, all + 1, int64_t, err);
        double *score = RS_NEW(&arena, all + 1, double, err);
        bool *positive = RS_NEW(&arena, all + 1, bool, err);
        bool ok = r && x && scores && y && score && positive;
        for (size_t i = 0; ok && i < all; i++)
                r[i] = (row){i < n ? a + i * d : b + (i - n) * d, d, i < n, false};
        if (ok)
                out->shared = mark_shared(r, all);
        for (int set = 0; ok && set < 2; set++) /* in the order of the data again */
                for (size_t i = 0; i < (set ? m : n); i++) {
                        const float *at = (set ? b : a) + i * d;
                        const row key = {.x = at, .d = d};
                        const row *found = bsearch(&key, r, all, sizeof *r, by_bytes);
                        if (found && found->both)
                                continue;
                        memcpy(x + k * d, at, d * sizeof *x);
                        positive[k] = set == 0;
                        first += set == 0;
                        y[k++] = set == 0;
                }
        if (ok && (first < 2 || k - first < 2)) {
                /* nothing is in one set alone: no one could tell them apart */
                out->auc = out->auc_low = out->auc_high = out->shared ? 0.5 : NAN;
                goto done;
        }
        resect_logistic *l =
                ok ? resect_logistic_fit(x, y, k, d, 2,
                             &(resect_logistic_options){.seed = seed, .threads = threads}, err)
                   : NULL;
        ok = l && resect_logistic_held_out(l, x, y, scores, err);
        for (size_t i = 0; ok && i < k; i++)
                score[i] = (double)scores[2 * i + 1] - (double)scores[2 * i];
        ok = ok && resect_auc(score, positive, k, &out->auc, err) &&
             bootstrap(score, positive, k, first, seed, out, &arena, err);
        resect_logistic_free(l);
done:
        rs_free(x);
        rs_free(scores);
        rs_arena_free(&arena);
        return ok;
}
