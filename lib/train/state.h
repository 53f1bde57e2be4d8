/* SPDX-License-Identifier: 0BSD */
/*
 * The state of a run on disk: a page of text (what the run is, how far it came), the slabs, and a
 * SHA-256 over all of it. A new state is written beside the old one and read back before it takes
 * its place; the old one stays as FILE.1. So there is a whole state at every moment, and a run that
 * was killed goes on from it to the same bits.
 */
#ifndef RS_TRAIN_STATE_H
#define RS_TRAIN_STATE_H

#include "exec/exec.h"
#include "resect/train.h"
#include "train/optim.h"

/* How far a run has come. */
typedef struct rs_progress {
        size_t epoch, step, total; /* epochs done, steps done of the current one, and of all */
        double loss_sum;           /* over the pictures of the current epoch so far */
        size_t hits, seen;
        bool kept; /* there are best weights */
        size_t best_epoch;
        double best_value; /* of the metric; larger is better */
        resect_scores best;
        size_t waited; /* epochs since then */
        bool stopped_early;
} rs_progress;

/* What identifies the run and what is saved of it; the slabs are read and written in place. */
typedef struct rs_state {
        const char *model, *data; /* digests */
        const char *options;      /* one "name value" a line */
        rs_buf *choices; /* of kernels by timing: lines "KEY 0" or "KEY 1" */
        rs_progress *progress;
        rs_slab *parameters, *statistics;
        rs_optim *optim;
        float *best_parameters, *best_statistics; /* as large as the slabs */
} rs_state;

/* replace: the state that is there is damaged; it must not take the place of FILE.1. */
bool rs_state_save(
        const rs_state *s, const char *path, bool replace, resect_error *err) RESECT_MUST;

/* A state file in memory, checked against its digest and against the run. */
typedef struct rs_saved {
        struct rs_input *input;
        bool damaged; /* FILE itself is */
        rs_progress progress;
        size_t parameters, statistics, slots, pieces; /* their sizes */
        rs_span choices;
        const unsigned char *blobs;
} rs_saved;

/* Finds the newest whole state of FILE, FILE.new and FILE.1. *saved->input is NULL when there is
   none. *note (at least 256 bytes) says when an older one had to be taken, else "". Fails with ARG
   when the file belongs to another run, with IO or FORMAT when there are files and none is whole.
 */
bool rs_state_find(rs_saved *saved, const rs_state *run, const char *path, char *note,
        resect_error *err) RESECT_MUST;
/* Fills the slabs of the run, whose layout must be that of the saved one. */
bool rs_state_load(const rs_saved *saved, rs_state *run, resect_error *err) RESECT_MUST;
void rs_saved_free(rs_saved *saved);

#endif
