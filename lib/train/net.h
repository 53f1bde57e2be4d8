/* SPDX-License-Identifier: 0BSD */
/*
 * A model laid out for training: the frozen trunk as an inference plan (fused, small), the part
 * that is trained as a training plan, and the same part as an inference plan for validation.
 * Without a frozen trunk the first is absent and the others read pictures.
 */
#ifndef RS_TRAIN_NET_H
#define RS_TRAIN_NET_H

#include "exec/exec.h"
#include "resect/train.h"
#include "study/predict.h"

typedef struct rs_side {
        size_t batch;
        resect_plan *plan;
        resect_exec *exec;
} rs_side;

typedef struct rs_net {
        resect_model *m;
        rs_intake in;
        const char *logits;
        size_t batch, classes;
        const resect_train_options *o;
        const resect_train_events *on;
        rs_buf *choices; /* of all the run's plans so far; a new one is bound by them, and adds its own */
        rs_arena arena;
        size_t n_reads; /* values that the trained part reads: the frontier, or the picture alone */
        resect_binding *reads; /* their names and shapes, of a full batch */
        size_t *row;           /* [n_reads] floats of one picture */
        bool spatial;          /* one of them is a map, not a vector */
        rs_side trunk;         /* exec NULL: none */
        rs_side train, tail; /* tail: the same weights under the batch of what is left over; its exec
                                is made when first wanted */
        rs_side eval;
        float *full;           /* a batch of pictures filled up */
        float **pads;          /* [n_reads] a batch of each filled up */
        resect_tensor *padded; /* [n_reads] */
} rs_net;

/* tail: rows of an epoch's last batch when it is a smaller one, else 0. o, on and choices are borrowed.
   Fails with UNSUPPORTED when there is nothing to train. */
bool rs_net_make(rs_net *net, resect_model *m, const resect_data *d, const resect_train_options *o,
        const resect_train_events *on, size_t batch, size_t tail, rs_buf *choices, resect_error *err) RESECT_MUST;
void rs_net_free(rs_net *net);

/* Whether a batch of n is left out: a single picture where BatchNormalization is trained has no variance. */
bool rs_net_leaves_out(const rs_net *net, size_t n);

/* n pictures through the trunk: what the trained part reads, n rows each. Without a trunk that is x
   itself. The results last until the next call. */
bool rs_net_trunk(rs_net *net, const resect_tensor *x, size_t n,
        resect_tensor *reads /* [n_reads] */, resect_error *err) RESECT_MUST;

/* One training run over n rows: logits [n, classes], until the next run. */
bool rs_net_forward(rs_net *net, const resect_tensor *reads, size_t n, uint64_t seed, uint64_t step,
        float **logits, resect_error *err) RESECT_MUST;
/* Gradients after it. */
void rs_net_backward(rs_net *net, size_t n, float *dlogits /* [n, classes] */);

/* The validation plan: takes over the trained weights, then runs on n rows. */
bool rs_net_refresh(rs_net *net, resect_error *err) RESECT_MUST;
bool rs_net_eval(rs_net *net, const resect_tensor *reads, size_t n, float **logits,
        resect_error *err) RESECT_MUST;

/* A tensor of n rows like net->reads[i]. */
resect_tensor rs_net_rows(const rs_net *net, size_t i, size_t n, void *data);

/* Where a training run went wrong: the first node of the trained part whose output is not finite,
   on these rows. "" when none is. */
const char *rs_net_first_bad(
        rs_net *net, const resect_tensor *reads, size_t n, uint64_t seed, uint64_t step);

#endif
