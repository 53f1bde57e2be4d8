/* SPDX-License-Identifier: 0BSD */
/*
 * The anatomy's inside, for lib/edit, which cuts along it. Nodes and names are the model's own; all
 * of it holds until the graph changes (then free it and find it again).
 *
 * How it is found: values that depend on the picture are live (the outputs of Shape are not). In
 * the graph of live values each has an immediate dominator: the last value that every way from the
 * picture passes. The dominators of the output form the trunk, a chain: an Add of two live values
 * on it ends a residual block, and its own dominator is where the block forks. What hangs beside
 * the chain inside a block (squeeze and excitation, say) belongs to the block.
 */
#ifndef RS_LOOK_ANATOMY_H
#define RS_LOOK_ANATOMY_H

#include "model/model.h"
#include "op/op.h"
#include "resect/look.h"

typedef struct rs_nodes {
        rs_node **at; /* in graph order */
        size_t n;
} rs_nodes;

typedef struct rs_ablock {
        resect_block pub;
        const char *input; /* the value that the block reads: for v2 the one before its first
                              BatchNormalization */
        const char *fork;  /* where the two branches part: input, or for v2 with a projection the
                              activated input */
        const char *main, *shortcut; /* the two values that are summed; shortcut == fork or input
                                        when it is the identity */
        rs_node *add;                /* Add, Sum or QLinearAdd */
        size_t main_slot, shortcut_slot; /* add->in[...] */
        const char *sum;                 /* add->out[0] */
        rs_node *relu;                   /* the activation after the sum (v1), or NULL */
        bool cut; /* there is none, but what is below zero is cut off by the sum's quantisation */
        const char *output;              /* what the next block reads: relu's output, else sum */
        rs_nodes nodes;                  /* all of the block, add and relu included */
        rs_nodes main_nodes;     /* the main branch, from input to main, side paths included */
        rs_nodes shortcut_nodes; /* the shortcut's own: empty for the identity */
        rs_nodes convs;          /* on the main branch's chain, in order: conv1, conv2 ... */
        rs_node *downsample;     /* the shortcut's Conv, or NULL */
} rs_ablock;

/* From the last block's output to the model's output. Members that the model does not have are NULL
 * or empty. */
typedef struct rs_atail {
        const char *maps;     /* what the pool reads (after v2's last BatchNormalization and Relu);
                                 without a pool what the squeeze or head     reads, or the output */
        rs_nodes norm;        /* v2: BatchNormalization and Relu between the last block and maps */
        rs_node *pool;        /* GlobalAveragePool, AveragePool, ReduceMean ... */
        rs_nodes squeeze;     /* Flatten, Reshape, Squeeze between pool and features */
        const char *features; /* what enters the head: [N, C], or [N, C, 1, 1] for a 1x1 Conv head;
                                 without a head the output */
        rs_nodes head;   /* from features to logits: Dropout, Gemm, MatMul, Add, Conv, Relu, Flatten
                            after a Conv ... */
        rs_nodes affine; /* of head: the Gemm, MatMul or Conv nodes; the last one makes the classes
                          */
        const char *logits; /* output of the head */
        rs_node *softmax;   /* Softmax or LogSoftmax after logits, or NULL */
        const char *output; /* the graph output that the trunk leads to */
} rs_atail;

struct resect_anatomy {
        rs_arena arena;
        resect_model *model;
        rs_index index;
        rs_types types;
        resect_summary summary;
        rs_ablock *blocks;
        size_t n_blocks;
        resect_part *parts; /* stem, stages, pool, head: those that are there */
        size_t n_parts;
        rs_nodes stem;
        const char *stem_output; /* the first block's input */
        rs_nodes stem_convs;
        rs_atail tail;
        rs_map tensors;         /* initializer -> struct rs_atensor */
        struct rs_trunk *trunk; /* trunk.c */
};

/* What an initializer is, by where it is read. */
typedef struct rs_atensor {
        const char *part;      /* "layer3.5.conv2", or NULL */
        const char *canonical; /* or NULL */
        const rs_node *node;   /* its first live reader */
        size_t slot;
        bool shared; /* read by nodes of different parts */
        bool scale;  /* it is the scale or zero point of what the node reads there */
} rs_atensor;

/* The block of that name ("layer3.5"), or NULL. */
const rs_ablock *rs_anatomy_block(const resect_anatomy *a, const char *name);
/* The last block of a stage ("layer3") or the block itself ("layer3.10"), NULL when there is none.
 */
const rs_ablock *rs_anatomy_last_block(const resect_anatomy *a, const char *name);
/* The value behind a block at which the network can end: the block's output, or in v2, where that is
 * a raw sum, the activated one behind it. */
const char *rs_anatomy_cut(const resect_anatomy *a, const rs_ablock *b);
/* The initializer that slot of a node reads, straight or through Identity nodes; NULL when it is
 * none. */
rs_tensor *rs_anatomy_initializer(const resect_anatomy *a, const rs_node *n, size_t slot);

#endif
