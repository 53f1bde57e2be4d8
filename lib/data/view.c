/* SPDX-License-Identifier: 0BSD */
/*
 * The same samples under other splits, for who divides one data set in many ways: a struct whose
 * lists of numbers are its own, and whose samples, pixels and cache are those of the data behind
 * it.
 */
#include "data/data.h"

#include <string.h>

resect_data *
rs_data_root(const resect_data *d)
{
        return (resect_data *)(uintptr_t)(d->base ? d->base : d);
}

/* Fills a split with the samples behind numbers of d's RESECT_ALL; seen is by sample. */
static bool
fill(resect_data *v, const resect_data *d, resect_split split, const size_t *list, size_t n,
        bool *seen, resect_error *err)
{
        if (!(v->of[split] = RS_NEW(&v->arena, n + 1, size_t, err)))
                return false;
        for (size_t i = 0; i < n; i++) {
                if (list[i] >= d->count[RESECT_ALL])
                        return rs_fail(err, RESECT_ARG, "%s: no sample %zu; there are %zu", d->path,
                                list[i], d->count[RESECT_ALL]);
                const size_t s = d->of[RESECT_ALL][list[i]];
                if (seen[s])
                        return rs_fail(err, RESECT_ARG, "%s: sample %zu stands in two splits",
                                d->path, list[i]);
                seen[s] = true;
                v->of[split][v->count[split]++] = s;
        }
        return true;
}

/* RESECT_ALL is what stands in a split, in the order of the data. */
static bool
fill_all(resect_data *v, const bool *seen, resect_error *err)
{
        if (!(v->of[RESECT_ALL] = RS_NEW(&v->arena, v->n_samples + 1, size_t, err)))
                return false;
        for (size_t s = 0; s < v->n_samples; s++)
                if (seen[s])
                        v->of[RESECT_ALL][v->count[RESECT_ALL]++] = s;
        return true;
}

resect_data *
resect_data_resplit(const resect_data *d, const size_t *train, size_t n_train, const size_t *val,
        size_t n_val, const size_t *test, size_t n_test, resect_error *err)
{
        const resect_data *root = rs_data_root(d);
        resect_data *v = rs_alloc(1, sizeof *v, err);
        bool *seen = v ? rs_alloc(root->n_samples + 1, sizeof *seen, err) : NULL;
        if (!seen) {
                rs_free(v);
                return NULL;
        }
        *v = (resect_data){.base = root,
                .path = root->path,
                .kind = root->kind,
                .classes = root->classes,
                .n_classes = root->n_classes,
                .samples = root->samples,
                .n_samples = root->n_samples,
                .presplit = true};
        memcpy(v->chw, root->chw, sizeof v->chw);
        bool ok = fill(v, d, RESECT_TRAIN, train, n_train, seen, err) &&
                  fill(v, d, RESECT_VAL, val, n_val, seen, err) &&
                  fill(v, d, RESECT_TEST, test, n_test, seen, err) && fill_all(v, seen, err);
        rs_free(seen);
        if (ok)
                return v;
        resect_data_free(v);
        return NULL;
}
