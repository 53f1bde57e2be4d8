/* SPDX-License-Identifier: 0BSD */
/* A table of seeds by pictures taken apart: what an interval and a test of its mean are made of. */
#ifndef RS_STUDY_CROSSED_H
#define RS_STUDY_CROSSED_H

#include "base/mem.h"
#include "resect/study.h"

typedef struct rs_crossed {
        size_t seeds, pictures;
        double mean;
        double *column; /* [pictures] means over the seeds */
        double between; /* mean square of the seeds, MS_a; 0 for one seed */
        double within;  /* of the pictures, MS_b; 0 for one picture */
        double rest;    /* MS_r; 0 for one seed or picture */
} rs_crossed;

/* b may be NULL; else the table is a - b. Free with rs_crossed_free, after a failure too. */
bool rs_crossed_make(rs_crossed *c, const double *a, const double *b, size_t seeds, size_t pictures,
        resect_error *err) RESECT_MUST;
void rs_crossed_free(rs_crossed *c);

/* Standard error of the mean: unbiased but for a seeds' part that would be below 0. */
double rs_crossed_error(const rs_crossed *c);
/* Draw r of what the seeds' luck may have put into the mean. */
double rs_crossed_luck(const rs_crossed *c, uint64_t seed, uint64_t r);

/* resample.c: q in 0..1, linear between order statistics. */
double rs_quantile(const double *sorted, size_t n, double q);
void rs_sort(double *v, size_t n);

/* permute.c: how often chance alone moves the mean of a table of differences as far from 0. */
double rs_crossed_chance(const rs_crossed *c, size_t rounds, uint64_t seed);

#endif
