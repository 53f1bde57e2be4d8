/* SPDX-License-Identifier: 0BSD */
/* Running a model inside an edit: for proofs and for calibration. */
#ifndef RS_EDIT_RUN_H
#define RS_EDIT_RUN_H

#include "edit/edit.h"
#include "resect/plan.h"

/* One run without fusion; how says threads, kernels, precision, exact and whom to tell of timings
 * (NULL: nothing of them), and nothing else.
 * Results are copies, to be freed with resect_tensor_free. */
bool rs_run(resect_model *m, const resect_plan_options *how, const resect_binding *inputs,
        size_t n_inputs, const char *const *outputs, size_t n_outputs,
        resect_tensor *results /* [n_outputs], zeroed */, resect_error *err) RESECT_MUST;
/* Normal numbers in the shape of a graph input; an open axis 0 becomes batch, other open ones side
 * (channels 3). */
bool rs_random_input(const resect_value *v, int64_t batch, int64_t side, resect_tensor *out,
        resect_error *err) RESECT_MUST;
/* One for each graph input, names and array in scratch memory; free the tensors with
 * rs_bindings_free. */
bool rs_random_inputs(rs_surgery *s, int64_t batch, int64_t side, resect_binding **out, size_t *n,
        resect_error *err) RESECT_MUST;
void rs_bindings_free(resect_binding *b, size_t n);

#endif
