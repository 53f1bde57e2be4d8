/* SPDX-License-Identifier: 0BSD */
/* Which of two primitives for the same work is faster here: timed once, and remembered in a file. */
#ifndef RS_ONEDNN_CHOOSE_H
#define RS_ONEDNN_CHOOSE_H

#include "onednn/dnn.h"

/*
 * 0 when l[0] is at least as fast as l[1] on this machine, else 1. key says what they compute, without blanks; a known one is
 * looked up, an unknown one is timed on buffers of its own. -1 when memory runs out.
 */
int rs_choose(rs_dnn *d, const char *key, const rs_launch l[2], resect_error *err);

/* Writes down what was timed for this plan; to be called once, also with NULL. A file that cannot be written is no error. */
void rs_choices_keep(rs_dnn *d);

#endif
