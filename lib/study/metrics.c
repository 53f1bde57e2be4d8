/* SPDX-License-Identifier: 0BSD */
/*
 * Metrics. A row of logits is first boiled down to an outcome; every figure is then a sum over
 * outcomes and a confusion matrix, so that resampling touches no logits again.
 */
#include "study/metrics.h"

#include <math.h>
#include <string.h>

bool
resect_outcomes(const float *logits, const int64_t *labels, size_t n, size_t classes,
        resect_outcome *out, resect_error *err)
{
        for (size_t i = 0; i < n; i++) {
                const float *row = logits + i * classes;
                if (labels[i] < 0 || (size_t)labels[i] >= classes)
                        return rs_fail(err, RESECT_ARG,
                                "sample %zu: label %lld, but there are %zu classes", i,
                                (long long)labels[i], classes);
                size_t best = 0, label = (size_t)labels[i], rank = 0;
                for (size_t c = 0; c < classes; c++) {
                        if (!isfinite(row[c]))
                                return rs_fail(err, RESECT_FORMAT,
                                        "sample %zu: output %zu is not a finite number", i, c);
                        best = row[c] > row[best] ? c : best;
                        rank += row[c] > row[label] || (row[c] == row[label] && c < label);
                }
                double sum = 0;
                for (size_t c = 0; c < classes; c++)
                        sum += exp((double)row[c] - row[best]);
                out[i] = (resect_outcome){.label = labels[i],
                        .predicted = (int64_t)best,
                        .rank = rank,
                        .loss = log(sum) - ((double)row[label] - row[best]),
                        .confidence = 1 / sum};
        }
        return true;
}

static void
class_figures(resect_class_scores *k)
{
        double hits = (double)k->hits;
        k->precision = k->predicted ? hits / (double)k->predicted : 0;
        k->recall = k->support ? hits / (double)k->support : 0;
        k->f1 = k->hits ? 2 * hits / (double)(k->predicted + k->support) : 0;
}

void
rs_tally_add(rs_tally *t, const resect_outcome *o)
{
        t->per_class[o->label].support++;
        t->per_class[o->predicted].predicted++;
        t->per_class[o->label].hits += o->rank == 0;
        t->n++;
        t->top5 += o->rank < 5;
        t->loss += o->loss;
        int bin = (int)ceil(o->confidence * RS_ECE_BINS) - 1; /* bins are (a, b], as in the paper */
        bin = bin < 0 ? 0 : bin >= RS_ECE_BINS ? RS_ECE_BINS - 1 : bin;
        t->gap[bin] += (double)(o->rank == 0) - o->confidence;
}

void
rs_tally_scores(rs_tally *t, resect_scores *out)
{
        *out = (resect_scores){.n = t->n};
        if (!t->n)
                return;
        size_t hits = 0, present = 0, seen = 0;
        double recall = 0, f1 = 0, gap = 0;
        for (size_t c = 0; c < t->classes; c++) {
                resect_class_scores *k = &t->per_class[c];
                class_figures(k);
                hits += k->hits;
                present += k->support > 0;
                seen += k->support > 0 || k->predicted > 0;
                recall += k->recall;
                f1 += k->f1;
        }
        for (int b = 0; b < RS_ECE_BINS; b++)
                gap += fabs(t->gap[b]);
        double n = (double)t->n;
        out->loss = t->loss / n;
        out->top1 = (double)hits / n;
        out->top5 = (double)t->top5 / n;
        out->balanced = recall / (double)present;
        out->macro_f1 = f1 / (double)seen;
        out->ece = gap / n;
}

void
rs_tally_clear(rs_tally *t)
{
        memset(t->per_class, 0, t->classes * sizeof *t->per_class);
        *t = (rs_tally){.classes = t->classes, .per_class = t->per_class};
}

bool
resect_scores_of(const resect_outcome *o, size_t n, size_t classes, resect_scores *out,
        resect_class_scores *per_class, size_t *confusion, resect_error *err)
{
        resect_class_scores *own = per_class ? per_class : rs_alloc(classes, sizeof *own, err);
        if (!own)
                return false;
        rs_tally t = {.classes = classes, .per_class = own};
        rs_tally_clear(&t);
        if (confusion)
                memset(confusion, 0, classes * classes * sizeof *confusion);
        for (size_t i = 0; i < n; i++) {
                rs_tally_add(&t, &o[i]);
                if (confusion)
                        confusion[(size_t)o[i].label * classes + (size_t)o[i].predicted]++;
        }
        rs_tally_scores(&t, out);
        if (!per_class)
                rs_free(own);
        return true;
}
