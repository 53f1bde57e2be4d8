/* SPDX-License-Identifier: 0BSD */
/* What predicting and training share: how pictures enter a model and how class scores leave it. */
#ifndef RS_STUDY_PREDICT_H
#define RS_STUDY_PREDICT_H

#include "base/mem.h"
#include "resect/study.h"

/* What a run feeds: the model's picture input and a batch of it. */
typedef struct rs_intake {
        const char *name;    /* of the graph input */
        resect_input input;  /* preprocessing */
        resect_tensor shape; /* [batch, C, H, W] or [batch, H, W, C] float32; data NULL */
        size_t row;          /* floats of a picture */
} rs_intake;

/* input may be NULL: what the model records. Fails with GRAPH when the model has not one float32
 * input. */
bool rs_intake_make(rs_intake *in, const resect_model *m, const resect_data *d,
        const resect_input *input, size_t batch, resect_error *err) RESECT_MUST;

/* The batch that a model is fixed to, or 0. */
size_t rs_fixed_batch(const resect_model *m);

/* Checks that output i of a plan is one row of class scores for each of batch pictures; *classes is
 * its width. */
bool rs_logits_width(const resect_plan *p, size_t i, size_t batch, size_t *classes,
        resect_error *err) RESECT_MUST;

/* data rows of a short batch moved into full, the rest zero; a full batch is left where it is.
 * Returns the tensor to run on. */
resect_tensor rs_full_batch(
        const resect_tensor *x, size_t n, size_t batch, float *full /* [batch, ...] */);

#endif
