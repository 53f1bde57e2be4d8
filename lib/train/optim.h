/* SPDX-License-Identifier: 0BSD */
/*
 * Optimisers. Parameters, gradients and an optimiser's own state (its slots) are flat slabs of one
 * layout: a step is one pass over them, piece by piece, and a checkpoint writes them whole.
 */
#ifndef RS_TRAIN_OPTIM_H
#define RS_TRAIN_OPTIM_H

#include "exec/exec.h"
#include "resect/train.h"

enum { RS_SLOTS_MAX = 2 };

typedef struct rs_optim {
        const struct rs_optim_row *row;
        double momentum, beta1, beta2, eps, decay;
        bool nesterov;
        size_t n_slots, count; /* slots, floats in each */
        float *slots;          /* [n_slots, count] */
        /* by piece */
        size_t n_pieces;
        double *rate; /* learning-rate factor */
        bool *decays;
        uint64_t *steps; /* taken so far: a piece that was thawed late starts its own count */
} rs_optim;

/* rate 1 and decay on for every piece (but for vectors when no_bias_decay is set); all slots 0. */
bool rs_optim_make(rs_optim *m, const resect_train_options *o, const rs_slab *parameters,
        resect_error *err) RESECT_MUST;
void rs_optim_free(rs_optim *m);

/* One step. lr is the schedule's rate. Gradients are left as they are. */
void rs_optim_step(
        rs_optim *m, rs_slab *parameters, const float *gradients, double lr, int threads);

/* The Euclidean norm of the gradients, summed in an order of its own whatever the number of
   threads; not finite when one is not. */
double rs_gradient_norm(const float *gradients, size_t count, int threads);
/* Times factor. */
void rs_gradient_scale(float *gradients, size_t count, double factor, int threads);

#endif
