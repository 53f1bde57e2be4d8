/* SPDX-License-Identifier: 0BSD */
/* The exec's inside, shared by the files of this folder. */
#ifndef RS_EXEC_INSIDE_H
#define RS_EXEC_INSIDE_H

#include "exec/exec.h"
#include "plan/plan.h"

struct resect_exec {
        rs_arena arena;
        resect_plan *plan;
        char *slab, *scratch,
                *weights; /* aligned; weights holds what is neither trained nor shared */
        rs_slab parameters, statistics;
        float *gradients;
        bool owns_slabs;       /* false: parameters, statistics and gradients are another exec's */
        resect_tensor *values; /* [n_values] each value as kernels see it */
        resect_tensor *grads;  /* [n_values] its gradient; data NULL when it has none */
        resect_tensor *grads2; /* [n_values] the second part of a gradient, likewise */
        rs_call *calls;        /* [n_steps] */
        rs_call *back, *again; /* [n_steps], [n_again]: where steps run again; else back is calls */
        bool spares;           /* fewer pictures than planned are less work */
        double *seconds, *seconds_back; /* [n_steps] forward, backward */
};

/* weights.c: gives every weight its bytes. base may be NULL. */
bool rs_exec_load(resect_exec *e, const resect_exec *base, resect_error *err) RESECT_MUST;
/* The piece of that name, or NULL. */
const rs_piece *rs_slab_find(const rs_slab *s, const char *name);

#endif
