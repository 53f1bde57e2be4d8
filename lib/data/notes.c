/* SPDX-License-Identifier: 0BSD */
/*
 * What is true of the data and should be known before a number is believed: the same picture under
 * two labels, the same or a very similar picture on both sides of the split (3 % of CIFAR-10's test
 * pictures have a near-double in the training part: Barz and Denzler, "Do we train on test data?",
 * 2020), classes of very different sizes. Pictures that only look alike are reported and not moved:
 * a split that followed likeness would move old pictures whenever a new one joined two groups.
 */
#include "data/data.h"

#include <stdlib.h>
#include <string.h>

enum { NAMED = 10, ALIKE = 4, MOST_UNBALANCED = 10 };

/* Two looks that differ in four bits or fewer are equal in one of five parts, so that only training
 * pictures with an equal part need to be compared. */
enum { PARTS = ALIKE + 1, PART_BITS = 13, BUCKETS = 1 << PART_BITS };

struct buckets {
        size_t *start[PARTS];  /* [BUCKETS + 1] where a bucket begins in member */
        size_t *member[PARTS]; /* [trained] samples by bucket, in order within it */
};

struct tally {
        size_t classes, sides, same;
};

/* A run of equal pictures. */
static bool
note_run(resect_data *d, rs_sample **s, size_t n, struct tally *t, resect_error *err)
{
        t->same += n - 1;
        const rs_sample *label = NULL, *side = NULL;
        for (size_t i = 1; i < n; i++) {
                label = !label && s[i]->label != s[0]->label ? s[i] : label;
                side = !side && s[i]->split != s[0]->split ? s[i] : side;
        }
        if (label && ++t->classes <= NAMED &&
                !rs_data_note(d, err, "the same picture in two classes: %s (%s) and %s (%s)",
                        s[0]->name, d->classes[s[0]->label], label->name, d->classes[label->label]))
                return false;
        if (side && ++t->sides <= NAMED &&
                !rs_data_note(d, err, "the same picture on both sides of the split: %s and %s",
                        s[0]->name, side->name))
                return false;
        return true;
}

static bool
note_doubles(resect_data *d, resect_error *err)
{
        struct tally t = {0};
        rs_sample **s = rs_alloc(d->n_samples, sizeof *s, err);
        bool ok = s != NULL;
        for (size_t i = 0; ok && i < d->n_samples; i++)
                s[i] = &d->samples[i];
        if (ok)
                qsort(s, d->n_samples, sizeof *s, rs_compare_hashes);
        for (size_t i = 0, k; ok && i < d->n_samples; i = k) {
                for (k = i + 1; k < d->n_samples && memcmp(s[i]->hash, s[k]->hash, 32) == 0;)
                        k++;
                ok = k == i + 1 || note_run(d, s + i, k - i, &t, err);
        }
        rs_free(s);
        if (ok && t.classes > NAMED)
                ok = rs_data_note(d, err, "in all %zu pictures stand in two classes", t.classes);
        if (ok && t.sides > NAMED)
                ok = rs_data_note(
                        d, err, "in all %zu pictures stand on both sides of the split", t.sides);
        if (ok && t.same)
                ok = rs_data_note(d, err,
                        "%zu of %zu samples are doubles of another, pixel by pixel", t.same,
                        d->n_samples);
        return ok;
}

static size_t
part(uint64_t look, int k)
{
        return look >> PART_BITS * k & (BUCKETS - 1);
}

static bool
alike(const rs_sample *a, const rs_sample *b)
{
        return __builtin_popcountll(a->look ^ b->look) <= ALIKE &&
               memcmp(a->hash, b->hash, 32) != 0;
}

static bool
is_comparable(const rs_sample *s, bool trained)
{
        return s->look && (s->split == RESECT_TRAIN) == trained;
}

/* A counting sort of the training pictures by each part. */
static bool
fill(struct buckets *b, const resect_data *d, resect_error *err)
{
        for (int k = 0; k < PARTS; k++) {
                b->start[k] = rs_alloc(BUCKETS + 2, sizeof(size_t), err);
                b->member[k] = rs_alloc(d->n_samples, sizeof(size_t), err);
                if (!b->start[k] || !b->member[k])
                        return false;
                size_t *at = b->start[k] + 1; /* shifted by one: filling moves it to its place */
                for (size_t i = 0; i < d->n_samples; i++)
                        if (is_comparable(&d->samples[i], true))
                                at[part(d->samples[i].look, k) + 1]++;
                for (size_t v = 0; v < BUCKETS; v++)
                        at[v + 1] += at[v];
                for (size_t i = 0; i < d->n_samples; i++)
                        if (is_comparable(&d->samples[i], true))
                                b->member[k][at[part(d->samples[i].look, k)]++] = i;
        }
        return true;
}

/* The first training picture that looks like s; SIZE_MAX when none does. */
static size_t
double_of(const struct buckets *b, const resect_data *d, const rs_sample *s)
{
        size_t first = SIZE_MAX;
        for (int k = 0; k < PARTS; k++) {
                size_t v = part(s->look, k);
                for (size_t i = b->start[k][v]; i < b->start[k][v + 1]; i++) {
                        size_t at = b->member[k][i];
                        if (at >= first)
                                break;
                        if (alike(s, &d->samples[at]))
                                first = at;
                }
        }
        return first;
}

static bool
note_alike(resect_data *d, resect_error *err)
{
        size_t found = 0, others = 0, a = 0, b = 0;
        struct buckets buckets = {0};
        bool ok = d->kind != RS_FILES || fill(&buckets, d, err);
        for (size_t i = 0; ok && d->kind == RS_FILES && i < d->n_samples; i++) {
                others += d->samples[i].split != RESECT_TRAIN;
                if (!is_comparable(&d->samples[i], false))
                        continue;
                size_t t = double_of(&buckets, d, &d->samples[i]);
                if (t != SIZE_MAX && found++ == 0) {
                        a = i;
                        b = t;
                }
        }
        for (int k = 0; k < PARTS; k++) {
                rs_free(buckets.start[k]);
                rs_free(buckets.member[k]);
        }
        if (!ok || !found)
                return ok;
        return rs_data_note(d, err,
                "%zu of %zu pictures that are not trained on look like one that is; the first: %s "
                "and %s",
                found, others, d->samples[a].name, d->samples[b].name);
}

static bool
note_balance(resect_data *d, resect_error *err)
{
        size_t *count = rs_alloc(d->n_classes, sizeof *count, err), least = SIZE_MAX, most = 0;
        if (!count)
                return false;
        for (size_t i = 0; i < d->n_samples; i++)
                if (d->samples[i].split == RESECT_TRAIN)
                        count[d->samples[i].label]++;
        size_t lo = 0, hi = 0;
        for (size_t c = 0; c < d->n_classes; c++) {
                if (!count[c])
                        continue;
                if (count[c] < least)
                        least = count[lo = c];
                if (count[c] > most)
                        most = count[hi = c];
        }
        rs_free(count);
        return most / MOST_UNBALANCED < least || most == least * MOST_UNBALANCED ||
               rs_data_note(d, err,
                       "classes are of very different sizes: %s has %zu training samples, %s has "
                       "%zu",
                       d->classes[hi], most, d->classes[lo], least);
}

bool
rs_data_compare(resect_data *d, resect_error *err)
{
        return note_doubles(d, err) && note_alike(d, err) && note_balance(d, err);
}
