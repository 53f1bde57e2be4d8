/* SPDX-License-Identifier: 0BSD */
/* What a BatchNormalization settled when it was inferred, for kernels other than the reference's. */
#ifndef RS_OP_NORM_H
#define RS_OP_NORM_H

#include "op/op.h"

typedef struct rs_norm_facts {
        size_t channels; /* numbers in each of its parameters */
        double epsilon, momentum;
        bool batch;    /* by the batch's own statistics, not the running ones */
        bool unbiased; /* the running variance takes N - 1 */
} rs_norm_facts;

/* Of the state that BatchNormalization's infer left. */
rs_norm_facts rs_norm_facts_of(const void *state);

#endif
