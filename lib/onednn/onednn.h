/* SPDX-License-Identifier: 0BSD */
/* The fast kernels' door: all that the rest of the library knows of them. */
#ifndef RS_ONEDNN_ONEDNN_H
#define RS_ONEDNN_ONEDNN_H

#include "plan/plan.h"

/* Whether this build has fast kernels; their name and version ("oneDNN 2.6.3, AVX-512 with bfloat16"), or "". */
const char *rs_fast_name(void);
/* Whether this machine computes in bfloat16. */
bool rs_fast_bf16(void);
static inline bool
rs_fast_wanted(resect_kernels k)
{
        return k == RESECT_KERNELS_FAST || (k == RESECT_KERNELS_AUTO && *rs_fast_name());
}

/*
 * Gives every step that it can a fast kernel, values between those layouts of their own, and adds steps that reorder where a
 * step needs another one. Called after fusion and gradients, before memory. Fails with UNSUPPORTED in a build without them.
 * o->choices: those of another plan, or NULL; p->choices becomes them and those of this one. o->progress is told of timings.
 */
bool rs_fast_lower(resect_plan *p, const resect_plan_options *o, resect_error *err) RESECT_MUST;

#endif
