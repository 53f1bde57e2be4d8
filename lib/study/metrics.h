/* SPDX-License-Identifier: 0BSD */
/* The running sums from which all figures are made, for those who add outcomes in another order or
 * more than once. */
#ifndef RS_STUDY_METRICS_H
#define RS_STUDY_METRICS_H

#include "base/mem.h"
#include "resect/study.h"

enum { RS_ECE_BINS = 15 };

typedef struct rs_tally {
        size_t classes;
        resect_class_scores *per_class; /* [classes], the caller's */
        size_t n, top5;
        double loss;
        double gap[RS_ECE_BINS]; /* sum of (hit - confidence) over the bin's samples */
} rs_tally;

void rs_tally_clear(rs_tally *t);
void rs_tally_add(rs_tally *t, const resect_outcome *o);
void rs_tally_scores(rs_tally *t, resect_scores *out); /* fills per_class's figures too */

#endif
