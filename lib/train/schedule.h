/* SPDX-License-Identifier: 0BSD */
/* Learning-rate schedules: the rate as a pure function of the step, so that a resumed run needs to
 * remember nothing. */
#ifndef RS_TRAIN_SCHEDULE_H
#define RS_TRAIN_SCHEDULE_H

#include "base/mem.h"
#include "resect/train.h"

typedef struct rs_schedule {
        const struct rs_schedule_row *row;
        double base, floor;   /* learning rates */
        double steps, warmup; /* of the whole run, and of its start */
        double per_epoch;     /* steps of an epoch */
        double every, gamma;  /* step: epochs between drops, and the factor */
        double restart,
                stretch; /* restarts: epochs of the first period, factor from one to the next */
} rs_schedule;

/* Fails with ARG for an unknown schedule or figures that make no sense. */
bool rs_schedule_make(rs_schedule *s, const resect_train_options *o, size_t steps_per_epoch,
        resect_error *err) RESECT_MUST;
double rs_schedule_rate(const rs_schedule *s, size_t step /* from 0 */);

#endif
