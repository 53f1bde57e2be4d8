/* SPDX-License-Identifier: 0BSD */
/* resect-run's three ways of running, a file each: inputs given (run.c), ONNX test folders
 * (run_vectors.c), timing (run_time.c). */
#ifndef RUN_H
#define RUN_H

#include "cli.h"

/* Runs every test below the given folders; 0 when all that could run passed, 1 when not. */
int run_vectors(void);

/* Times the model on random input. */
int run_time(resect_model *m);

/* The model's picture input as a shape, open sizes filled in from what the model says about
 * pictures and a batch size. */
void run_input_shape(resect_model *m, size_t i, int64_t batch, resect_tensor *out);

#endif
