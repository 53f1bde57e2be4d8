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
        RS_PLACE_FOLDED, /* a Conv's weight or bias with a BatchNormalization folded in; made when
                            weights are loaded */
        RS_PLACE_PACKED  /* a weight or a folded one in a fast kernel's layout; made when weights are
                            loaded */
};

/*
 * How a step runs when it is not by its operator's own functions: what lib/onednn lowers it to. As there, nothing allocates
 * or fails in forward and backward; bind makes a call's run-time objects when an exec is made.
 */
typedef struct rs_kernel {
        const char *(*name)(const void *state);
        bool (*bind)(rs_call *c, resect_error *err); /* NULL: nothing to make */
        void (*unbind)(rs_call *c);                  /* also of a half-made one */
        void (*forward)(const rs_call *c);
        void (*backward)(const rs_call *c);
        void (*again)(const rs_call *c); /* forward once more, with what it saved; NULL: forward */
        bool adds_in_place; /* out[0] may be the very buffer of the residual */
        bool two_douts;     /* backward takes the gradient of out[0] in two parts, dout[0] + dout2 */
        bool gradient_in_place; /* backward may write the first input's gradient and the residual's
                                   over these two, each over one */
} rs_kernel;

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
        const void *layout; /* how the bytes lie, lib/onednn's affair; NULL: dense, row-major. Only
                               steps with a kernel see a value that has one */
        int packed_from;    /* RS_PLACE_PACKED: the value it is made from */
        int twin;           /* the same numbers in another layout, or -1 */
        int again;          /* the same value made once more, which backward reads instead; or -1 */
        bool output;
        bool trained, statistic; /* RS_PLACE_WEIGHT in a training plan */
        bool has_grad;           /* a gradient flows through */
        bool grad_zero; /* it begins as zeros: nobody overwrites it */
        int block,
                grad; /* blocks of the slab, or -1; a trained weight's gradient has its own slab */
        int grad2;    /* the block of the gradient's second part, or -1 */
} rs_pvalue;

typedef struct rs_pstep {
        const rs_op *op;
        const rs_node *node;
        const rs_kernel *kernel; /* NULL: op's own forward and backward */
        void *state;
        uint32_t reads;      /* RS_READS_*: what backward looks at */
        uint32_t overwrites; /* bit i: backward writes in[i]'s gradient instead of adding to it, when
                                told that it is the first; RS_OVERWRITES_RESIDUAL */
        uint32_t first;      /* bits of overwrites: the gradient has no other contribution before */
        uint32_t second;     /* the same bits: writes to the second part of the gradient */
        size_t scratch, saved;
        size_t scratch_add; /* more of it, where a gradient of `overwrites` must be added to */
        uint64_t macs;
        size_t n_in, n_out;
        int in[RS_IN_MAX]; /* value numbers, -1 absent */
        int out[RS_OUT_MAX];
        bool view;     /* nothing to run: out[0] is in[0]'s bytes */
        bool backward; /* its backward runs */
        bool heeds_pictures; /* forward does less where fewer pictures are wanted (rs_call.pictures) */
        int residual;  /* value number or -1 */
        bool relu;
        int fold;        /* number of the BatchNormalization folded into this Conv, or -1 */
        int saved_block; /* or -1 */
        int number, time; /* of a step that is made again: which one it is, and when it runs */
} rs_pstep;
#define RS_OVERWRITES_RESIDUAL (UINT32_C(1) << 31)

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
        bool by_input; /* training: of the inputs, not of the parameters */
        bool bf16, exact;
        int threads;
        rs_pvalue *values;
        size_t n_values, values_cap;
        rs_pstep *steps;
        size_t n_steps;
        rs_pstep *again; /* [n_again] sorted by time: steps that run once more during backward */
        size_t n_again;
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
        const char *choices; /* of fast kernels; NULL: none */
        void *fast; /* lib/onednn's own, freed by fast_free */
        void (*fast_free)(void *fast);
        /* from dense float32 to the layout of a packed value */
        bool (*pack)(const resect_plan *p, int v, const void *from, void *to, resect_error *err);
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
/* For kernels that take Add and Relu into a BatchNormalization that is plain, in training plans too: of float32 throughout,
   a parameter a channel, no other outputs than running statistics. */
bool rs_plan_plain_norm(const resect_plan *p, const rs_pstep *s);
bool rs_plan_fuse_norms(resect_plan *p, resect_error *err) RESECT_MUST;
/* recompute.c: makes again what backward reads, by level 1 to 3. */
bool rs_plan_recompute(resect_plan *p, int level, resect_error *err) RESECT_MUST;
/* The value that backward reads for v. */
int rs_plan_backward_value(const resect_plan *p, int v);
/* memory.c: roots, lifetimes, offsets. */
bool rs_plan_memory(resect_plan *p, resect_error *err) RESECT_MUST;
/* pictures.c: the part, 0 to 1, of a run's multiply-adds that is left out for pictures of the batch
 * that are not wanted; 0 too when they cannot be told from the others, or in training. */
double rs_plan_spares(const resect_plan *p);
/* grad.c: which values have gradients, which steps run backward. */
bool rs_plan_gradients(resect_plan *p, resect_error *err) RESECT_MUST;

#endif
