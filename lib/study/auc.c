/* SPDX-License-Identifier: 0BSD */
/* The area under the ROC curve, from ranks: equal scores share the mean of their ranks. */
#include "study/features.h"

#include <math.h>
#include <stdlib.h>

typedef struct scored {
        double score;
        bool positive;
} scored;

static int
ascending(const void *a, const void *b)
{
        double x = ((const scored *)a)->score, y = ((const scored *)b)->score;
        return (x > y) - (x < y);
}

bool
resect_auc(const double *score, const bool *positive, size_t n, double *auc, resect_error *err)
{
        size_t positives = 0;
        for (size_t i = 0; i < n; i++) {
                if (isnan(score[i]))
                        return rs_fail(err, RESECT_FORMAT, "score %zu is not a number", i);
                positives += positive[i];
        }
        if (!positives || positives == n)
                return rs_fail(err, RESECT_ARG,
                        "%zu of %zu samples are positive: an AUC needs both kinds", positives, n);
        scored *s = rs_alloc(n, sizeof *s, err);
        if (!s)
                return false;
        for (size_t i = 0; i < n; i++)
                s[i] = (scored){score[i], positive[i]};
        qsort(s, n, sizeof *s, ascending);
        double ranks = 0, p = (double)positives, q = (double)(n - positives);
        for (size_t i = 0, j; i < n; i = j) {
                size_t among = 0;
                for (j = i; j < n && !(s[j].score > s[i].score); j++)
                        among += s[j].positive;
                ranks += (double)among * ((double)(i + j + 1) / 2); /* ranks i + 1 ... j */
        }
        *auc = (ranks - p * (p + 1) / 2) / (p * q);
        rs_free(s);
        return true;
}
