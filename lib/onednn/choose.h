/* SPDX-License-Identifier: 0BSD */
/* Which of two primitives for the same work is faster here: timed once, and remembered in a file. */
#ifndef RS_ONEDNN_CHOOSE_H
#define RS_ONEDNN_CHOOSE_H

#include "onednn/dnn.h"

/* What is to be timed: does the work by method 0 or 1, in buffers of the sizes that were asked for, 64-byte aligned. */
typedef bool rs_trial(void *ctx, int method, void *const *buffers, resect_error *err);

/*
 * 0 when method 0 is at least as fast as method 1 on this machine, else 1. key says what they compute, without blanks; a known
 * one is looked up, an unknown one is timed. Buffers whose bit is set in far, weights, are not in the caches then, as in a network.
 * -1 when memory runs out.
 */
int rs_choose(rs_dnn *d, const char *key, rs_trial *trial, void *ctx, const size_t *sizes /* [n] */, int n, uint32_t far,
        resect_error *err);

/* Makes d->choices. o->choices: decisions that hold whatever the file says, as lines "KEY 0" or "KEY 1", or NULL; o->progress is
   told of every timing, and may stop it. */
bool rs_choices_make(rs_dnn *d, const resect_plan_options *o, resect_error *err) RESECT_MUST;
/* What was given and what was decided since then, in that form. */
bool rs_choices_text(const rs_dnn *d, rs_arena *arena, const char **text, resect_error *err) RESECT_MUST;
/* Writes down what was timed, and frees d->choices; d may be NULL. A file that cannot be written is no error. */
void rs_choices_keep(rs_dnn *d);

#endif
