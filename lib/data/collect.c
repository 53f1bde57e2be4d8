/* SPDX-License-Identifier: 0BSD */
/*
 * From a scanned list to data: what cannot be read goes, classes get their numbers, and what is not
 * split yet is split by the hash of its pixels: a sample is validation when its hash, read as a
 * fraction of 2^64, lies below --val. So the same picture is always on the same side, and a picture
 * that is added moves no other. The price is that the share is met on average, not to the picture;
 * only a class that would have nothing on a side gets its nearest picture there.
 */
#include "data/data.h"

#include <stdlib.h>
#include <string.h>

static int
by_name(const void *a, const void *b)
{
        return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Where name is wanted: its place in o->classes, or in the sorted classes; -1 when not at all. */
static int
place(const resect_data *d, const resect_data_options *o, const char *name)
{
        if (!o->classes) {
                const char **at =
                        bsearch(&name, d->classes, d->n_classes, sizeof *d->classes, by_name);
                return at ? (int)(at - d->classes) : -1;
        }
        for (size_t i = 0; i < o->n_classes; i++)
                if (strcmp(o->classes[i], name) == 0)
                        return (int)i;
        return -1;
}

static bool
gather_groups(resect_data *d, resect_error *err)
{
        d->classes = RS_NEW(&d->arena, d->n_samples, const char *, err);
        if (!d->classes)
                return false;
        size_t n = 0;
        const char **c = d->classes;
        for (size_t i = 0; i < d->n_samples; i++) /* neighbours are mostly of one class */
                if (i == 0 || strcmp(d->samples[i].group, d->samples[i - 1].group) != 0)
                        c[n++] = d->samples[i].group;
        qsort(c, n, sizeof *c, by_name);
        for (size_t i = 0; i < n; i++)
                if (i == 0 || strcmp(c[i], c[d->n_classes - 1]) != 0)
                        c[d->n_classes++] = c[i];
        return true;
}

bool
rs_data_choose_classes(resect_data *d, const resect_data_options *o, resect_error *err)
{
        if (!d->classes && !gather_groups(d, err))
                return false;
        for (size_t i = 0; o->classes && i < o->n_classes; i++) {
                size_t k = 0;
                while (k < d->n_classes && strcmp(d->classes[k], o->classes[i]) != 0)
                        k++;
                if (k == d->n_classes)
                        return rs_fail(err, RESECT_ARG, "%s: no class %s", d->path, o->classes[i]);
                for (size_t j = 0; j < i; j++)
                        if (strcmp(o->classes[j], o->classes[i]) == 0)
                                return rs_fail(
                                        err, RESECT_ARG, "class %s is wanted twice", o->classes[i]);
        }
        /* labels of numbered classes are found once, not once a sample */
        int *new_label = rs_alloc(d->n_classes, sizeof *new_label, err);
        if (!new_label)
                return false;
        bool numbered = d->kind != RS_FILES;
        for (size_t k = 0; numbered && k < d->n_classes; k++)
                new_label[k] = o->classes ? place(d, o, d->classes[k]) : (int)k;
        size_t n = 0;
        for (size_t i = 0; i < d->n_samples; i++) {
                rs_sample s = d->samples[i];
                s.label = numbered ? new_label[s.label] : place(d, o, s.group);
                if (s.label >= 0)
                        d->samples[n++] = s;
        }
        rs_free(new_label);
        d->n_samples = n;
        if (!o->classes)
                return true;
        d->n_classes = o->n_classes;
        d->classes = RS_NEW(&d->arena, o->n_classes, const char *, err);
        for (size_t i = 0; d->classes && i < o->n_classes; i++)
                if (!(d->classes[i] = rs_arena_strdup(&d->arena, o->classes[i], err)))
                        return false;
        return d->classes != NULL;
}

static int
by_sample_name(const void *a, const void *b)
{
        return strcmp(((const rs_sample *)a)->name, ((const rs_sample *)b)->name);
}

/* More than one in a hundred unreadable is an accident that somebody should look at. */
static bool
drop_unreadable(resect_data *d, const resect_data_options *o, resect_error *err)
{
        size_t n = 0, all = d->n_samples;
        if (d->kind == RS_FILES)
                qsort(d->samples, all, sizeof *d->samples, by_sample_name);
        for (size_t i = 0; i < all; i++) {
                rs_sample *s = &d->samples[i];
                if (s->why && !rs_data_skip(d, s->name, s->why, err))
                        return false;
                if (!s->why)
                        d->samples[n++] = *s;
                rs_free(s->why);
                s->why = NULL;
        }
        for (size_t i = 0; i < n; i++)
                d->samples[i].why = NULL;
        d->n_samples = n;
        if (d->n_skipped && (n == 0 || (!o->skip_bad && d->n_skipped > all / 100)))
                return rs_fail(err, RESECT_FORMAT,
                        "%s: %zu of %zu pictures cannot be read%s; the first is %s: %s", d->path,
                        d->n_skipped, all, n ? " (--skip-bad goes on without them)" : "",
                        d->skipped[0].name, d->skipped[0].text);
        return true;
}

static bool
check_classes(const resect_data *d, const resect_data_options *o, resect_error *err)
{
        size_t *count = rs_alloc(d->n_classes * 2, sizeof *count, err),
               *train = count ? count + d->n_classes : NULL;
        bool ok = count != NULL, any_train = false;
        for (size_t i = 0; ok && i < d->n_samples; i++) {
                count[d->samples[i].label]++;
                train[d->samples[i].label] += d->samples[i].split == RESECT_TRAIN;
                any_train = any_train || d->samples[i].split == RESECT_TRAIN;
        }
        for (size_t c = 0; ok && c < d->n_classes; c++) {
                if (d->kind == RS_FILES && count[c] == 0)
                        ok = rs_fail(err, RESECT_FORMAT, "%s: class %s has no readable picture",
                                d->path, d->classes[c]);
                else if (!o->no_training && any_train && count[c] && !train[c])
                        ok = rs_fail(err, RESECT_FORMAT,
                                "%s: class %s has %zu %s, but none to train on", d->path,
                                d->classes[c], count[c], count[c] == 1 ? "picture" : "pictures");
        }
        rs_free(count);
        return ok;
}

static uint64_t
fraction(const rs_sample *s)
{
        uint64_t v = 0;
        for (int i = 0; i < 8; i++)
                v = v << 8 | s->hash[i];
        return v;
}

int
rs_compare_hashes(const void *a, const void *b)
{
        const rs_sample *x = *(rs_sample *const *)a, *y = *(rs_sample *const *)b;
        int c = memcmp(x->hash, y->hash, sizeof x->hash);
        if (c)
                return c;
        c = strcmp(x->name, y->name);
        return c ? c : (x->row > y->row) - (x->row < y->row);
}

/* Gives a whole run of equal pictures to a side. */
static void
move_run(rs_sample **s, size_t n, size_t at, resect_split side)
{
        size_t lo = at, hi = at + 1;
        while (lo > 0 && memcmp(s[lo - 1]->hash, s[at]->hash, 32) == 0)
                lo--;
        while (hi < n && memcmp(s[hi]->hash, s[at]->hash, 32) == 0)
                hi++;
        for (; lo < hi; lo++)
                s[lo]->split = side;
}

/* s is in the order of the hashes: validation first. A class with two or more different pictures
 * has one on each side. */
static bool
rescue(resect_data *d, rs_sample **s, size_t n, resect_error *err)
{
        struct seen {
                size_t first, last;
                bool any, sides[2];
        } *seen = rs_alloc(d->n_classes, sizeof *seen, err);
        if (!seen)
                return false;
        for (size_t i = 0; i < n; i++) {
                struct seen *c = &seen[s[i]->label];
                c->first = c->any ? c->first : i;
                c->last = i;
                c->any = true;
                c->sides[s[i]->split == RESECT_VAL] = true;
        }
        for (size_t k = 0; k < d->n_classes; k++) {
                struct seen *c = &seen[k];
                if (!c->any || (c->sides[0] && c->sides[1]) ||
                        memcmp(s[c->first]->hash, s[c->last]->hash, 32) == 0)
                        continue;
                if (!c->sides[1])
                        move_run(s, n, c->first, RESECT_VAL);
                else
                        move_run(s, n, c->last, RESECT_TRAIN);
        }
        rs_free(seen);
        return true;
}

static bool
split(resect_data *d, double val, resect_error *err)
{
        size_t n = 0;
        rs_sample **s = rs_alloc(d->n_samples, sizeof *s, err);
        if (!s)
                return false;
        for (size_t i = 0; i < d->n_samples; i++)
                if (d->samples[i].split == RESECT_ALL) {
                        s[n++] = &d->samples[i];
                        d->samples[i].split = (double)fraction(&d->samples[i]) < val * 0x1p64
                                                      ? RESECT_VAL
                                                      : RESECT_TRAIN;
                }
        qsort(s, n, sizeof *s, rs_compare_hashes);
        bool ok = val <= 0 || rescue(d, s, n, err);
        rs_free(s);
        return ok;
}

/* Keeps the first `most` training samples of each class in the order of their hashes. */
static bool
limit(resect_data *d, size_t most, resect_error *err)
{
        size_t n = 0;
        rs_sample **s = rs_alloc(d->n_samples, sizeof *s, err);
        size_t *count = s ? rs_alloc(d->n_classes, sizeof *count, err) : NULL;
        for (size_t i = 0; count && i < d->n_samples; i++)
                if (d->samples[i].split == RESECT_TRAIN)
                        s[n++] = &d->samples[i];
        if (count) {
                qsort(s, n, sizeof *s, rs_compare_hashes);
                for (size_t i = 0; i < n; i++)
                        if (count[s[i]->label]++ >= most)
                                s[i]->label = -1;
                n = 0;
                for (size_t i = 0; i < d->n_samples; i++)
                        if (d->samples[i].label >= 0)
                                d->samples[n++] = d->samples[i];
                d->n_samples = n;
        }
        bool ok = count != NULL;
        rs_free(s);
        rs_free(count);
        return ok;
}

static bool
index_splits(resect_data *d, resect_error *err)
{
        for (int k = 0; k < 4; k++) {
                if (!(d->of[k] = RS_NEW(&d->arena, d->n_samples, size_t, err)))
                        return false;
                for (size_t i = 0; i < d->n_samples; i++)
                        if (k == RESECT_ALL || d->samples[i].split == (resect_split)k)
                                d->of[k][d->count[k]++] = i;
        }
        return true;
}

bool
rs_data_collect(resect_data *d, const resect_data_options *o, resect_error *err)
{
        bool has_val = false;
        if (!drop_unreadable(d, o, err))
                return false;
        for (size_t i = 0; i < d->n_samples; i++)
                has_val = has_val || d->samples[i].split == RESECT_VAL;
        if (d->presplit && !has_val && o->val > 0) /* training and test, but no validation: that
                                                      part comes out of the training */
                for (size_t i = 0; i < d->n_samples; i++)
                        if (d->samples[i].split == RESECT_TRAIN)
                                d->samples[i].split = RESECT_ALL;
        if (has_val && o->val > 0 &&
                !rs_data_note(
                        d, err, "%s has a validation part of its own; --val is not used", d->path))
                return false;
        return split(d, o->val, err) && check_classes(d, o, err) && rs_data_compare(d, err) &&
               (!o->per_class || limit(d, o->per_class, err)) && index_splits(d, err);
}
