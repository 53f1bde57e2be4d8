/* SPDX-License-Identifier: 0BSD */
/* Everything that a training run holds. run.c makes it and takes it apart, trainer.c and findlr.c
 * drive it. */
#ifndef RS_TRAIN_RUN_H
#define RS_TRAIN_RUN_H

#include "train/feed.h"
#include "train/optim.h"
#include "train/schedule.h"
#include "train/stages.h"
#include "train/state.h"

/* What changes when a gradual thaw sets more of the network free; without one there is a single
 * phase. */
typedef struct rs_phase {
        rs_net net;
        rs_optim optim;
        rs_cache *cache, *val_cache;
        rs_feed train, val;
        resect_tensor *reads; /* [net.n_reads] */
        float *dlogits;       /* [batch, classes] */
        float *best_parameters,
                *best_statistics; /* the weights that are kept, laid out as the slabs; NULL until
                                     rs_phase_set_aside */
} rs_phase;

typedef struct rs_run {
        resect_model *m;
        const resect_data *d;
        resect_train_options o;
        resect_train_events on;
        int threads;
        rs_arena arena;

        size_t n, n_val;     /* pictures */
        size_t batch, steps; /* of an epoch */
        size_t classes;      /* outputs of the model */
        int64_t *map;        /* [data's classes] -> output */
        double *weights;     /* [classes] or NULL */

        rs_schedule schedule;
        rs_stages stages; /* empty unless rates by part or gradual thaw are wanted */
        size_t phase;     /* of the thaw */
        rs_phase *p;

        rs_progress at;
        bool best_stands; /* what is kept are the weights as they are: no step was taken since */
        bool state_damaged; /* the file was, and an older one taken */
        char model_digest[65], data_digest[65];
        rs_buf options; /* as text */
        rs_buf choices; /* of kernels by timing, by all plans so far */
} rs_run;

bool rs_run_make(rs_run *r, resect_model *m, const resect_data *d, const resect_train_options *o,
        const resect_train_events *events, resect_error *err) RESECT_MUST;
void rs_run_free(rs_run *r);

/* phase.c: the phase that an epoch (from 0) is in; and laying the net out for it: weights, slots
   and best weights of the one before come along. rs_phase_begin then caches features and makes the
   feeds. */
size_t rs_phase_of(const rs_run *r, size_t epoch);
bool rs_phase_enter(rs_run *r, size_t phase, resect_error *err) RESECT_MUST;
/* Lays out all phases from the last to the first, so that every choice of a kernel is made before the first step. */
bool rs_phase_rehearse(rs_run *r, resect_error *err) RESECT_MUST;
bool rs_phase_begin(rs_run *r, resect_error *err) RESECT_MUST;
/* Copies what is kept before a step changes it: a run that never goes on after its best epoch holds no second copy of the weights. */
bool rs_phase_set_aside(rs_run *r, resect_error *err) RESECT_MUST;
/* Room for it alone. */
bool rs_phase_room_for_best(rs_run *r, resect_error *err) RESECT_MUST;
void rs_phase_free(rs_phase *p);

/* What state.c saves. */
rs_state rs_run_state(rs_run *r);

/* What one training step came to. */
typedef struct rs_stepped {
        size_t n; /* pictures; 0: the epoch is over */
        size_t hits;
        double loss, gradient;
} rs_stepped;
/* step.c: takes the next batch, runs it forward and back, and steps at the rate lr. Fails with
   FORMAT on what is not finite, naming `total` + 1 as the step. */
bool rs_run_step(rs_run *r, double lr, rs_stepped *out, resect_error *err) RESECT_MUST;

void rs_run_note(const rs_run *r, const char *fmt, ...) RESECT_PRINTF(2, 3);

/* untrained.c: weights of Conv, Gemm, MatMul and their 8-bit relatives that are not frozen and yet cannot be trained, because they
   are no float32: how many, and the first (NULL: none). */
bool rs_untrained(resect_model *m, const rs_tensor **first, size_t *n, resect_error *err) RESECT_MUST;

/* untie.c: gives every layer tensors of its own. The model computes what it did before. */
bool rs_untie(resect_model *m, size_t *copies, resect_error *err) RESECT_MUST;

/* identity.c: what makes two runs the same. */
bool rs_run_identify(rs_run *r, resect_error *err) RESECT_MUST;

#endif
