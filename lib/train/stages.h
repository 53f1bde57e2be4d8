/* SPDX-License-Identifier: 0BSD */
/*
 * Which part of the network a weight belongs to: for learning rates by part, and for gradual thaw
 * (Howard and Ruder, "Universal language model fine-tuning", 2018, 3.3), which freezes all but the
 * last parts for a while. The model's own record of what is frozen is put back when it is over.
 */
#ifndef RS_TRAIN_STAGES_H
#define RS_TRAIN_STAGES_H

#include "exec/exec.h"
#include "model/model.h"
#include "resect/look.h"
#include "resect/train.h"

typedef struct rs_stages {
        resect_model *m;
        resect_anatomy *anatomy;
        rs_arena arena;
        int *depths; /* of the parts that have weights to train, deepest first */
        size_t n_depths;
        const char **held; /* tensors frozen for now, not by the user */
        size_t n_held;
} rs_stages;

bool rs_stages_make(rs_stages *s, resect_model *m, resect_error *err) RESECT_MUST;
void rs_stages_free(rs_stages *s); /* and thaws what is held */

/* Number of phases of a gradual thaw, and the beginning of phase p: the deepest p + 1 parts train.
 */
size_t rs_stages_count(const rs_stages *s);
bool rs_stages_hold(rs_stages *s, size_t phase, resect_error *err) RESECT_MUST;

/* Learning-rate factors by piece. Fails with ARG when a part has no weight that is trained. all:
   pieces of later phases may be absent, so that an unmatched part is no error. */
bool rs_stages_rates(const rs_stages *s, const rs_slab *parameters, const resect_part_rate *rates,
        size_t n, bool all, double *out /* [pieces] */, resect_error *err) RESECT_MUST;

#endif
