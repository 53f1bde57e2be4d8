/* SPDX-License-Identifier: 0BSD */
/*
 * Who is tested, who trains, who validates. The test pictures are fixed. The others are the pool,
 * which each seed orders anew within each class: the first of them validate, the rest train, and a
 * fraction of the training is the beginning of that rest. So the share of each class is the same
 * everywhere, and a small fraction lies within a larger one.
 */
#include "base/random.h"
#include "data/data.h"
#include "trial/trial.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* At least one on each side where there are two. */
static size_t
validating(size_t n, double part)
{
        size_t v = (size_t)floor(part * (double)n + 0.5);
        if (v >= n)
                v = n ? n - 1 : 0;
        return v == 0 && n > 1 ? 1 : v;
}

static size_t
prefix(size_t n, double fraction)
{
        size_t k = (size_t)floor(fraction * (double)n + 0.5);
        return k > n ? n : k == 0 && n ? 1 : k;
}

/* The pool, class after class: numbers into *list, beginnings into starts. */
static bool
gather(resect_trial *t, size_t *list, size_t *starts, resect_error *err)
{
        const resect_data *d = t->d;
        const size_t all = resect_data_count(d, RESECT_ALL), classes = resect_data_class_count(d);
        bool *tests = rs_alloc(d->n_samples + 1, sizeof *tests, err);
        if (!tests)
                return false;
        for (size_t i = 0; i < t->n_test; i++)
                tests[d->of[t->test][i]] = true;
        for (size_t i = 0, k = 0; i < all; i++)
                if (tests[d->of[RESECT_ALL][i]])
                        t->test_list[k++] = i;
                else
                        starts[resect_data_label(d, RESECT_ALL, i) + 1]++;
        for (size_t c = 0; c < classes; c++)
                starts[c + 1] += starts[c];
        size_t *at = rs_alloc(classes + 1, sizeof *at, err);
        for (size_t i = 0; at && i < all; i++)
                if (!tests[d->of[RESECT_ALL][i]]) {
                        size_t c = (size_t)resect_data_label(d, RESECT_ALL, i);
                        list[starts[c] + at[c]++] = i;
                }
        rs_free(tests);
        rs_free(at);
        return at != NULL;
}

static bool
divide(resect_trial *t, size_t seed, const size_t *pool, const size_t *starts, resect_error *err)
{
        const size_t classes = resect_data_class_count(t->d), n = starts[classes];
        rs_draw *w = &t->draws[seed];
        w->train = RS_NEW(&t->arena, n + 1, size_t, err);
        w->val = RS_NEW(&t->arena, n + 1, size_t, err);
        w->starts = RS_NEW(&t->arena, classes + 1, size_t, err);
        w->val_starts = RS_NEW(&t->arena, classes + 1, size_t, err);
        size_t *order = rs_alloc(n + 1, sizeof *order, err);
        if (!w->train || !w->val || !w->starts || !w->val_starts || !order) {
                rs_free(order);
                return false;
        }
        size_t at = 0;
        for (size_t c = 0; c < classes; c++) {
                const size_t m = starts[c + 1] - starts[c], v = validating(m, t->o.val);
                for (size_t i = 0; i < m; i++)
                        order[i] = i;
                rs_shuffle(t->o.seed + seed, rs_stream("division", c, 0), order, m);
                for (size_t i = 0; i < m; i++) {
                        size_t sample = pool[starts[c] + order[i]];
                        if (i < v)
                                w->val[w->n_val++] = sample;
                        else
                                w->train[at++] = sample;
                }
                w->starts[c + 1] = at;
                w->val_starts[c + 1] = w->n_val;
        }
        rs_free(order);
        return true;
}

bool
rs_draw_pool(resect_trial *t, resect_error *err)
{
        const resect_data *d = t->d;
        const size_t all = resect_data_count(d, RESECT_ALL), classes = resect_data_class_count(d);
        t->n_test = resect_data_count(d, t->test);
        t->test_list = RS_NEW(&t->arena, t->n_test + 1, size_t, err);
        t->draws = RS_NEW(&t->arena, t->o.seeds, rs_draw, err);
        size_t *pool = rs_alloc(all + 1, sizeof *pool, err),
               *starts = rs_alloc(classes + 1, sizeof *starts, err);
        bool ok = t->test_list && t->draws && pool && starts && gather(t, pool, starts, err);
        if (ok && !starts[classes])
                ok = rs_fail(err, RESECT_ARG,
                        "all %zu pictures are test pictures: there is none to train on", all);
        for (size_t c = 0; ok && c < classes; c++)
                if (starts[c + 1] - starts[c] < 2)
                        ok = rs_trial_note(t, err,
                                "class %s has %zu pictures to train on, and none to validate with",
                                resect_data_class(d, c), starts[c + 1] - starts[c]);
        for (size_t s = 0; ok && s < t->o.seeds; s++)
                ok = divide(t, s, pool, starts, err);
        rs_free(pool);
        rs_free(starts);
        return ok;
}

size_t
rs_draw_count(const resect_trial *t, size_t seed, double fraction)
{
        const rs_draw *w = &t->draws[seed];
        size_t n = 0;
        for (size_t c = 0; c < resect_data_class_count(t->d); c++)
                n += prefix(w->starts[c + 1] - w->starts[c], fraction);
        return n;
}

static int
ascending(const void *a, const void *b)
{
        size_t x = *(const size_t *)a, y = *(const size_t *)b;
        return (x > y) - (x < y);
}

/* Copies the beginning of each class's training pictures; returns how many. */
static size_t
begin(const resect_trial *t, const rs_draw *w, double fraction, size_t *train)
{
        size_t at = 0;
        for (size_t c = 0; c < resect_data_class_count(t->d); c++) {
                const size_t k = prefix(w->starts[c + 1] - w->starts[c], fraction);
                memcpy(train + at, w->train + w->starts[c], k * sizeof *train);
                at += k;
        }
        qsort(train, at, sizeof *train, ascending);
        return at;
}

resect_data *
rs_draw_view(const resect_trial *t, size_t seed, double fraction, resect_error *err)
{
        const rs_draw *w = &t->draws[seed];
        size_t *train = rs_alloc(rs_draw_count(t, seed, fraction) + 1, sizeof *train, err);
        if (!train)
                return NULL;
        const size_t n = begin(t, w, fraction, train);
        resect_data *v =
                resect_data_resplit(t->d, train, n, w->val, w->n_val, t->test_list, t->n_test, err);
        rs_free(train);
        return v;
}

resect_data *
rs_draw_search(const resect_trial *t, double fraction, size_t most, resect_error *err)
{
        const rs_draw *w = &t->draws[0];
        const size_t classes = resect_data_class_count(t->d), n_train = w->starts[classes],
                     all = n_train + w->n_val - rs_draw_count(t, 0, fraction);
        const double share = all > most ? (double)most / (double)all : 1;
        size_t *train = rs_alloc(n_train + 1, sizeof *train, err),
               *val = train ? rs_alloc(all + 1, sizeof *val, err) : NULL, n_val = 0;
        resect_data *v = NULL;
        if (val) {
                const size_t n = begin(t, w, fraction, train);
                for (size_t c = 0; c < classes; c++) {
                        const size_t held = w->val_starts[c + 1] - w->val_starts[c],
                                     used = prefix(w->starts[c + 1] - w->starts[c], fraction),
                                     left = w->starts[c + 1] - w->starts[c] - used,
                                     k = prefix(held + left, share);
                        for (size_t i = 0; i < k; i++)
                                val[n_val++] = i < held ? w->val[w->val_starts[c] + i]
                                                        : w->train[w->starts[c] + used + i - held];
                }
                v = resect_data_resplit(t->d, train, n, val, n_val, t->test_list, t->n_test, err);
        }
        rs_free(train);
        rs_free(val);
        return v;
}
