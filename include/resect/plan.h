/* SPDX-License-Identifier: 0BSD */
/*
 * Running a model. A plan is made once for given input shapes (sorted steps, shapes, fusion, every buffer's place in one
 * slab) and never changes; an exec holds a slab and the weights and runs the plan as often as wanted.
 */
#ifndef RESECT_PLAN_H
#define RESECT_PLAN_H

#include "resect/model.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct resect_plan resect_plan;
typedef struct resect_exec resect_exec;

/* AUTO is FAST where the build has it, else REFERENCE. */
typedef enum resect_kernels { RESECT_KERNELS_AUTO, RESECT_KERNELS_FAST, RESECT_KERNELS_REFERENCE } resect_kernels;
/* What fast kernels compute in. BF16: bfloat16 between them, float32 where it sums and for the weights that are trained; it
   is float32 where the machine has no bfloat16 (resect_fast_bf16). The reference kernels know float32 alone. */
typedef enum resect_precision { RESECT_PRECISION_F32, RESECT_PRECISION_BF16 } resect_precision;

/* A value given by the caller. Its shape is fixed by the plan. Integer tensors of up to 1024 elements whose data is not NULL
   when the plan is made are read then (a Reshape's shape, a Slice's starts) and must not change later. */
typedef struct resect_binding {
        const char *name;
        resect_tensor tensor;
} resect_binding;

/* The fast kernels of this build on this machine ("oneDNN 2.6.3, AVX-512 with bfloat16"), or "". Static. */
RESECT_API const char *resect_fast_name(void);
/* Whether they compute in bfloat16 here. */
RESECT_API bool resect_fast_bf16(void);

typedef struct resect_plan_options {
        const resect_binding *inputs; /* [n_inputs]; may name any value of the graph, not only inputs: what lies before is cut off */
        size_t n_inputs;
        const char *const *outputs; /* [n_outputs] names of any values; NULL: the graph's outputs */
        size_t n_outputs;
        bool training;      /* keep what backward needs; BatchNormalization in training mode unless frozen; no fusion */
        bool bn_unbiased;   /* training: BatchNormalization's running variance takes N - 1 (PyTorch), not N (ONNX) */
        bool by_input;      /* training: nothing is trained, and all runs as at inference; what backward finds are the gradients of the
                               inputs above (resect_gradient, in see.h) */
        bool no_fusion;     /* run every node by itself, so that every value can be asked for */
        int threads;        /* 0: all processors */
        resect_kernels kernels;
        resect_precision precision;
        bool exact; /* fast kernels: no Winograd, no Strassen */
        const char *choices; /* fast kernels: what another plan's resect_plan_choices said, to be chosen again; NULL: nothing */
        int recompute; /* training: what backward reads is made once more instead of being kept. 0: all is kept; 1: normalisations and
                          activations are made again, 2: 1x1 Convs with more outputs than inputs too, 3: all of a block */
        bool (*progress)(void *ctx, size_t done, size_t total); /* called while fast kernels are timed, for seconds when a machine
                                                                   meets shapes for the first time: choices so far, of 0, for how
                                                                   many there will be is not known; may be NULL; false stops with
                                                                   STOPPED */
        void *ctx;
} resect_plan_options;

/* Fails with UNSUPPORTED (an operator the library does not have), GRAPH (shapes that do not fit), ARG (unknown names, missing
   inputs), NOMEM. The plan borrows the model. Free with resect_plan_free, after its execs. */
RESECT_API resect_plan *resect_plan_make(resect_model *m, const resect_plan_options *options, resect_error *err) RESECT_MUST;
RESECT_API void resect_plan_free(resect_plan *p);

typedef struct resect_step {
        const char *op;    /* "Conv" */
        const char *node;  /* its name, or its first output's */
        const char *fused; /* "", "bn", "bn+relu", "add+relu", ... */
        const char *kernels; /* "reference", "view" (nothing to compute), or a fast kernel's name */
        const char *output;
        resect_dtype dtype;
        int rank;
        int64_t dims[RESECT_RANK_MAX]; /* of the first output */
        uint64_t offset, size; /* of the first output in the slab */
        uint64_t macs;
} resect_step;
RESECT_API size_t resect_plan_step_count(const resect_plan *p);
RESECT_API bool resect_plan_step(const resect_plan *p, size_t i, resect_step *out);
RESECT_API uint64_t resect_plan_slab_size(const resect_plan *p);   /* bytes of activations */
RESECT_API uint64_t resect_plan_weight_size(const resect_plan *p); /* bytes of weights */
/* Which kernel computes a layer may be decided by timing, and decides about bits: the decisions of this plan and those that its
   options brought, as lines of text that last as long as the plan. "" when there are none. */
RESECT_API const char *resect_plan_choices(const resect_plan *p);
RESECT_API size_t resect_plan_output_count(const resect_plan *p);
/* Shape and dtype of output i; data is NULL. */
RESECT_API bool resect_plan_output(const resect_plan *p, size_t i, const char **name, resect_tensor *out);

/* Makes the slab and loads the weights. The exec borrows plan and model. */
RESECT_API resect_exec *resect_exec_make(resect_plan *p, resect_error *err) RESECT_MUST;
RESECT_API void resect_exec_free(resect_exec *e);

/* Runs once. inputs[i] are in the order of the plan's options and must have the planned shapes; outputs[i] become views of the
   slab that the next run overwrites. Fails with ARG when a shape differs. */
RESECT_API bool resect_exec_run(resect_exec *e, const resect_tensor *inputs /* [n_inputs] */,
        resect_tensor *outputs /* [n_outputs] */, resect_error *err) RESECT_MUST;
/* Seconds that step i took in all runs so far. */
RESECT_API double resect_exec_step_seconds(const resect_exec *e, size_t i);

#ifdef __cplusplus
}
#endif
#endif
