/* SPDX-License-Identifier: 0BSD */
/*
 * Training on an exec whose plan was made with training set. What is trained lies in one flat slab
 * of floats, its gradients in a second one of the same layout, so that an optimiser is one pass and
 * a checkpoint one write; BatchNormalization's running statistics lie in a third, which forward
 * updates. Frozen tensors are in none of them and never change.
 */
#ifndef RS_EXEC_EXEC_H
#define RS_EXEC_EXEC_H

#include "base/mem.h"
#include "resect/plan.h"

/* A piece of a slab: one trained initializer, or one running statistic. */
typedef struct rs_piece {
        const char *name;     /* the initializer */
        size_t offset, count; /* floats from the slab's start; pieces stand in the model's
                                 initializer order, padded to 16 */
        int rank;
        int64_t dims[RESECT_RANK_MAX];
} rs_piece;

typedef struct rs_slab {
        const rs_piece *pieces;
        size_t n_pieces;
        size_t count;  /* floats in all, padding (always 0) included */
        float *values; /* [count]: may be written between runs */
} rs_slab;

rs_slab *rs_exec_parameters(resect_exec *e);
rs_slab *rs_exec_statistics(resect_exec *e);
float *rs_exec_gradients(resect_exec *e); /* [parameters.count], layout of the parameters */

/* The number that Dropout's masks depend on; set it before each training run. */
void rs_exec_set_step(resect_exec *e, uint64_t seed, uint64_t step);

/* After resect_exec_run: sets the gradients (zeroed first) to those of sum over outputs of
   <outputs[i], douts[i]>. douts are in the plan's output order; a data of NULL is a zero gradient.
   No failure. */
void rs_exec_backward(resect_exec *e, const resect_tensor *douts /* [n_outputs] */);

/* In a plan made by_input: the gradient of input i, valid after rs_exec_backward and until the next
   run; NULL when nothing that is asked for reads it. */
const resect_tensor *rs_exec_input_gradient(const resect_exec *e, size_t i);

/* An exec for another plan of the same model (another batch size) that works on base's weights,
   slabs included, with activations of its own. Both plans have the same training flag. base must
   outlive it. */
resect_exec *rs_exec_sharing(resect_plan *p, resect_exec *base, resect_error *err) RESECT_MUST;

/* resect_exec_run for the first `pictures` of the planned batch alone: the other rows of the outputs
   are not to be read, and take less time where the plan spares some (rs_plan_spares). Inputs have the
   planned shapes all the same. */
bool rs_exec_run_first(resect_exec *e, size_t pictures, const resect_tensor *inputs,
        resect_tensor *outputs, resect_error *err) RESECT_MUST;

/* Loads the weights again, for tensors that `trained` has in its slabs from there: what an
   inference exec needs after some training steps. */
bool rs_exec_refresh(resect_exec *e, const resect_exec *trained, resect_error *err) RESECT_MUST;

/* Writes parameters and statistics back into a model's initializers of the same names (another copy
 * of the model will do). */
bool rs_exec_store(const resect_exec *e, resect_model *m, resect_error *err) RESECT_MUST;

/*
 * Where the trunk ends: the values that training reads but whose own gradient nobody wants, because
 * all before them is frozen (or has nothing to train) and without randomness. Cutting the graph
 * there, the part before can be run once for each picture. n is 0 when everything is trained from
 * the first node on. The names live as long as the model.
 */
bool rs_frontier(resect_model *m, rs_arena *arena, const char ***names, size_t *n,
        resect_error *err) RESECT_MUST;

#endif
