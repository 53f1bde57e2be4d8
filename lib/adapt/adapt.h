/* SPDX-License-Identifier: 0BSD */
/* What adapting and measuring share: where a model keeps statistics, and statistics of values. */
#ifndef RS_ADAPT_ADAPT_H
#define RS_ADAPT_ADAPT_H

#include "model/model.h"
#include "resect/adapt.h"
#include "study/predict.h"

/* A running estimate of mean and variance of each channel of a value [N, C, ...]. */
typedef struct rs_moments {
        size_t channels;
        double count; /* numbers that each channel has seen */
        double *mean, *m2; /* [channels]; m2 is the sum of squares about the mean */
} rs_moments;

bool rs_moments_make(
        rs_moments *s, rs_arena *a, size_t channels, resect_error *err) RESECT_MUST;
/* Adds the first `rows` rows of a value of rank 2 or more. */
void rs_moments_add(rs_moments *s, const resect_tensor *x, size_t rows, int threads);
void rs_moments_clear(rs_moments *s);
/* Takes in what another has seen. */
void rs_moments_join(rs_moments *s, const rs_moments *other);
double rs_moments_var(const rs_moments *s, size_t channel); /* over N */

/* One BatchNormalization with stored statistics. */
typedef struct rs_norm_site {
        rs_node *node;
        const char *input;     /* the value it reads */
        size_t channels;
        double epsilon;
        double *mean, *var;    /* [channels] as stored */
        bool frozen;           /* both are */
        size_t level;          /* BatchNormalization on the longest way from the picture up to here, itself included */
} rs_norm_site;

typedef struct rs_norm_sites {
        rs_norm_site *at; /* in graph order */
        size_t n, frozen;
} rs_norm_sites;

/* Finds them; sorts the graph. Those that do not depend on the picture are left out. Levels count those that are not frozen. Fails with UNSUPPORTED for training
   mode and for statistics that are no initializers. */
bool rs_norm_sites_find(
        rs_norm_sites *s, resect_model *m, rs_arena *a, resect_error *err) RESECT_MUST;

/* Gives a site new statistics, in tensors that no one else reads. */
bool rs_norm_site_store(resect_model *m, rs_norm_site *site, const double *mean /* [channels] */,
        const double *var /* [channels] */, resect_error *err) RESECT_MUST;

/* The level of every value that depends on the picture: a rs_map of (level + 1) as a pointer. Needs a sorted graph. */
bool rs_levels(rs_map *levels, rs_norm_sites *s, resect_model *m, resect_error *err) RESECT_MUST;

/* domain.c: can a[n, d] be told from b[m, d]? Fills shared, auc and its interval. */
bool rs_domain_auc(const float *a, size_t n, const float *b, size_t m, size_t d, uint64_t seed,
        int threads, resect_shift_facts *out, resect_error *err) RESECT_MUST;

#endif
