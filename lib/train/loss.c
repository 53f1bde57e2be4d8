/* SPDX-License-Identifier: 0BSD */
/* Sums in double, rows in order: the same bits on every machine that rounds as IEEE 754 says. */
#include "train/loss.h"

#include <math.h>

static double
weight_of(const rs_targets *t, int64_t label)
{
        return t->weights ? t->weights[label] : 1;
}

/* Target of class c in row i, times the class's weight. */
static double
weighted_target(const rs_targets *t, size_t i, size_t c, size_t classes)
{
        double hard = (t->a[i] == (int64_t)c ? t->mix : 0) +
                      (t->b && t->b[i] == (int64_t)c ? 1 - t->mix : 0);
        return weight_of(t, (int64_t)c) *
               ((1 - t->smoothing) * hard + t->smoothing / (double)classes);
}

double
rs_cross_entropy(const float *logits, const rs_targets *t, size_t n, size_t classes, float *dlogits,
        size_t *hits)
{
        double norm = 0, loss = 0;
        for (size_t i = 0; i < n; i++)
                norm += t->mix * weight_of(t, t->a[i]) +
                        (t->b ? (1 - t->mix) * weight_of(t, t->b[i]) : 0);
        for (size_t i = 0; i < n; i++) {
                const float *row = logits + i * classes;
                size_t best = 0;
                for (size_t c = 1; c < classes; c++)
                        best = row[c] > row[best] ? c : best;
                if (hits)
                        *hits += (int64_t)best == t->a[i];
                double sum = 0, mass = 0;
                for (size_t c = 0; c < classes; c++)
                        sum += exp((double)row[c] - row[best]);
                double log_sum = row[best] + log(sum);
                for (size_t c = 0; c < classes; c++) {
                        double target = weighted_target(t, i, c, classes);
                        loss += target * (log_sum - row[c]);
                        mass += target;
                }
                for (size_t c = 0; c < classes; c++) {
                        double p = exp(row[c] - log_sum);
                        dlogits[i * classes + c] =
                                (float)((p * mass - weighted_target(t, i, c, classes)) / norm);
                }
        }
        return loss / norm;
}
