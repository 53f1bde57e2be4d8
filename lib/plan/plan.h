/* SPDX-License-Identifier: 0BSD */
/*
 * The plan's inside. Steps and values refer to each other by number. A value's bytes live in one of
 * five places.
 *
 * Time in a plan: step s of n runs forward at time s; in a training plan its backward runs at time
 * 2n - 1 - s. A block of the slab lives over an interval of these times, and blocks whose intervals
 * overlap do not share memory.
 */
#ifndef RS_PLAN_PLAN_H
#define RS_PLAN_PLAN_H

#include "op/op.h"
#include "resect/plan.h"

enum rs_place {
        RS_PLACE_SLAB,   /* made by a step */
        RS_PLACE_INPUT,  /* bound by the caller at each run */
        RS_PLACE_WEIGHT, /* an initializer or a Constant's tensor */
        RS_PLACE_KNOWN,  /* integers that inference knows; held by the plan */
        RS_PLACE_FOLDED  /* a Conv's weight or bias with a BatchNormalization folded in; made when
                            weights are loaded */
};

typedef struct rs_pvalue {
        const char *name;
        rs_type type;
        size_t bytes;
        enum rs_place place;
        int root; /* the value that this one is a view of (Reshape, Identity ...); itself when it is
                     none. Views share bytes and gradient with their root, and the fields below are
                     the root's alone */
        int home; /* the value in whose block this one was made in place; itself when not */
        int input;               /* RS_PLACE_INPUT: number of the binding */
        const rs_tensor *tensor; /* RS_PLACE_WEIGHT */
        const void *known;       /* RS_PLACE_KNOWN, in the machine's layout */
        int step;                /* that makes it, or -1 */
        int fold;                /* RS_PLACE_FOLDED: number of the fold */
        bool output;
        bool trained, statistic; /* RS_PLACE_WEIGHT in a training plan */
        bool has_grad;           /* a gradient flows through */
        int block,
                grad; /* blocks of the slab, or -1; a trained weight's gradient has its own slab */
} rs_pvalue;

typedef struct rs_pstep {
        const rs_op *op;
        const rs_node *node;
        void *state;
        size_t scratch, saved;
        uint64_t macs;
        size_t n_in, n_out;
        int in[RS_IN_MAX]; /* value numbers, -1 absent */
        int out[RS_OUT_MAX];
        bool view;     /* nothing to run: out[0] is in[0]'s bytes */
        bool backward; /* its backward runs */
        int residual;  /* value number or -1 */
        bool relu;
        int fold;        /* number of the BatchNormalization folded into this Conv, or -1 */
        int saved_block; /* or -1 */
} rs_pstep;

/* A BatchNormalization folded into the Conv before it: w' = w * s, b' = (b - mean) * s + shift, s =
   scale / sqrt(var + eps), for each output channel. Value numbers; bias is -1 when the Conv has
   none. */
typedef struct rs_pfold {
        int w, bias, scale, shift, mean, var;
        float epsilon;
        int w_out, bias_out;
} rs_pfold;

/* A piece of the slab. */
typedef struct rs_pblock {
        size_t bytes, offset;
        int from, to; /* times, inclusive */
} rs_pblock;

struct resect_plan {
        rs_arena arena;
        resect_model *model;
        bool training, no_fusion, bn_unbiased;
        int threads;
        rs_pvalue *values;
        size_t n_values, values_cap;
        rs_pstep *steps;
        size_t n_steps;
        rs_pfold *folds; /* [n_folds], room for a fold a step */
        size_t n_folds;
        rs_pblock *blocks;
        size_t n_blocks, blocks_cap;
        int *inputs; /* [n_inputs] value of each binding, or -1 when nothing reads it */
        resect_tensor *input_shapes; /* [n_inputs], data NULL */
        size_t n_inputs;
        int *outputs; /* [n_outputs] */
        size_t n_outputs;
        size_t slab_bytes, scratch_bytes;
        rs_symbols symbols;
};

/* graph.c: nodes that the outputs need -> values and steps, with types. */
bool rs_plan_graph(resect_plan *p, const resect_plan_options *o, resect_error *err) RESECT_MUST;
int rs_plan_add_value(resect_plan *p, const char *name, resect_error *err); /* -1 on failure */
/* Runs a step's infer on its current inputs; x is in the plan's arena. NULL on failure. */
rs_infer *rs_plan_infer(resect_plan *p, rs_pstep *s, resect_error *err) RESECT_MUST;
const char *rs_plan_node_name(const rs_node *n);
/* The value that holds v's bytes. */
int rs_plan_home(const resect_plan *p, int v);
/* fuse.c: BatchNormalization, Add and Relu into the Conv before them. Steps that are swallowed are
 * removed. */
bool rs_plan_fuse(resect_plan *p, resect_error *err) RESECT_MUST;
/* memory.c: roots, lifetimes, offsets. */
bool rs_plan_memory(resect_plan *p, resect_error *err) RESECT_MUST;
/* grad.c: which values have gradients, which steps run backward. */
bool rs_plan_gradients(resect_plan *p, resect_error *err) RESECT_MUST;

#endif
