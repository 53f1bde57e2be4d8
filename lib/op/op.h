/* SPDX-License-Identifier: 0BSD */
/*
 * Operators. An operator is one const struct in one file of this folder and one row in list.h;
 * nobody else switches on its name. It has up to three parts:
 *
 *   infer     checks the node against its inputs once, says what its outputs are, and leaves in
 *             state all that the kernels will want to know. Everything that can fail fails here.
 *   forward   a pure function of state and buffers: no allocation, no failure, the same bits for
 *             any thread count.
 *   backward  ADDS the gradients of the inputs that are asked for, given those of the outputs.
 *
 * To add one: a file (or a row in a file of its family), a row in list.h, and, when it has a
 * backward, a case in tests/unit/op_cases.h.
 *
 * Kernels here are the reference: plain C, sums in double. A float kernel and a double one come
 * from the same source, so that gradients can be checked against finite differences in double.
 */
#ifndef RS_OP_OP_H
#define RS_OP_OP_H

#include "model/model.h"
#include "resect/tensor.h"

enum { RS_IN_MAX = 64, RS_OUT_MAX = 8, RS_INTS_MAX = 1024 };

/*
 * A value as inference sees it. A size is a number >= 0 or a symbol, a negative number; equal
 * symbols are equal sizes. Small integer tensors carry their elements (ints), which may be symbols
 * too: that is how Shape -> Gather -> Concat -> Reshape works with a symbolic batch. Elements may
 * also be plain negative numbers (Reshape's -1), so symbols lie in a window of their own, far from
 * what anybody writes; rs_type_set_ints refuses elements that fall into it.
 */
typedef struct rs_type {
        int32_t dtype; /* 0 unknown */
        int rank;      /* -1 unknown */
        int64_t dims[RESECT_RANK_MAX];
        const int64_t *ints; /* [n_ints], or NULL when not known at plan time */
        size_t n_ints;
} rs_type;

/* Names of symbols, shared by one inference over a graph. */
typedef struct rs_symbols {
        const char **names; /* symbol k has names[k], or NULL for one that inference made up */
        size_t count;
} rs_symbols;
#define RS_SYMBOL(k) (-(INT64_C(1) << 62) + (int64_t)(k))
static inline bool
rs_is_symbol(int64_t v)
{
        return v >= RS_SYMBOL(0) && v < RS_SYMBOL(INT64_C(1) << 32);
}
/* The number k of symbol v, which is valid when below symbols->count. */
static inline size_t
rs_symbol_index(int64_t v)
{
        return (size_t)(v - RS_SYMBOL(0));
}
/* Adds a symbol; name is borrowed, NULL for one that has none. */
bool rs_symbol_add(rs_symbols *s, rs_arena *arena, const char *name, int64_t *out,
        resect_error *err) RESECT_MUST;
/* Gives an integer type its elements, from data in the machine's order, when they are few enough
   and none looks like a symbol; else leaves ints NULL. False only when memory runs out. */
bool rs_type_set_ints(rs_type *t, rs_arena *arena, const void *data, resect_error *err) RESECT_MUST;

/* infer is only called when every present input has a known dtype and rank (sizes may be symbols)
   and n_in, n_out fit. It may leave an output's rank at -1 when not concrete. */
typedef struct rs_infer {
        rs_arena *arena; /* for state, ints */
        const resect_model
                *model; /* for rs_tensor_bytes of attributes; NULL in tests that have none */
        rs_symbols *symbols;
        const rs_node *node;
        int64_t opset; /* of the node's domain */
        bool training; /* the plan is for training: BatchNormalization and Dropout may behave so if
                          frozen is false */
        bool frozen;   /* the node's statistics are frozen (BatchNormalization) */
        bool unbiased; /* BatchNormalization's running variance takes N-1, as PyTorch, not N, as
                          ONNX */
        size_t n_in, n_out;
        const rs_type *in[RS_IN_MAX]; /* NULL: optional input absent */
        /* BatchNormalization in a training plan also writes out[1] and out[2], the new running mean
           and variance, whether or not the node names them; they may be the very buffers of in[3]
           and in[4]. */
        rs_type out[RS_OUT_MAX]; /* to be filled, dtype, rank and dims; ints when known */
        bool wanted[RS_OUT_MAX]; /* output has a name */
        bool concrete; /* all sizes are numbers: state, scratch and saved are wanted, else only out
                        */
        /* what infer leaves for the kernels, when concrete */
        void *state;
        size_t scratch; /* bytes of working memory for a call, per thread where the kernel says so
                         */
        size_t saved; /* bytes that forward leaves for backward; ask for none when training is false
                       */
        uint64_t macs; /* multiply-accumulates of one call (Conv, Gemm, MatMul ...); 0 for the rest
                        */
        int threads;   /* the most threads a call will use */
} rs_infer;

/* One call of a kernel. in and out are views; an absent optional one is NULL. */
typedef struct rs_call {
        const void *state;
        int threads;
        bool training;
        uint64_t seed, step; /* for Dropout: its mask is a function of (seed, stream, step) */
        uint64_t stream;     /* the step's own number */
        size_t n_in, n_out;
        const resect_tensor *in[RS_IN_MAX];
        resect_tensor *out[RS_OUT_MAX];
        const resect_tensor *residual; /* fused: added to out[0] before relu; NULL when not */
        bool relu;                     /* fused: max(0, out[0]) last */
        void *scratch, *saved;
        void *bound; /* a fast kernel's run-time objects */
        size_t pictures; /* forward, fast kernels: of the batch only the first so many are wanted; what
                            is computed of the others, if anything, does not matter. 0: all */
        /* backward only */
        const resect_tensor *dout[RS_OUT_MAX]; /* NULL: no gradient comes from there */
        resect_tensor *din[RS_IN_MAX];         /* added to; NULL: not wanted */
        /* fast kernels only */
        const resect_tensor *dout2; /* to be added to dout[0]; NULL: none */
        resect_tensor *dresidual;   /* as din */
        uint32_t first;             /* bit i: din[i] is written, not added to; bit 31: dresidual */
} rs_call;

/* What backward reads, for liveness. */
#define RS_READS_IN(i) (1u << (i))
#define RS_READS_OUT(i) (1u << (16 + (i)))

typedef struct rs_op {
        const char *name;
        const char *domain; /* "" for ONNX's */
        int since, until;   /* opset versions, both inclusive; until 0: no end */
        uint32_t reads; /* RS_READS_*: what backward looks at besides state, saved and gradients */
        int8_t alias; /* out[0] may share the buffer of in[alias] (same bytes; an element's input is
                         read before its output is written); -1: never */
        bool view;  /* out[0] is in[0]'s bytes under another shape: no kernel needs to run (Reshape,
                       Flatten ...) */
        bool fuses; /* forward honours residual and relu */
        uint32_t trains;  /* bit i: an initializer in in[i] is a parameter (Conv 1, 2;
                             BatchNormalization 1, 2) */
        uint32_t adjusts; /* bit i: the same, but only downstream of a parameter (Add, Mul: a bias,
                             not the picture's mean) */
        uint32_t statistics; /* bit i: in[i] is a running statistic (BatchNormalization 3, 4), out[i
                                - 2] its new value */
        bool (*infer)(rs_infer *x, resect_error *err);
        void (*forward)(const rs_call *c);
        void (*backward)(const rs_call *c); /* NULL: no gradient goes through */
} rs_op;

/* The operator for a node under an opset version, or NULL when the library does not have it. */
const rs_op *rs_op_find(const char *domain, const char *name, int64_t opset);
/* The operator of a model's node, or NULL; *opset (may be NULL) becomes the version its domain is
   imported with, 0 when it is not. A domain "ai.onnx" is ONNX's own, and a model that imports
   nothing at all has version 1 of that. */
const rs_op *rs_op_of(const resect_model *m, const rs_node *n, int64_t *opset);
/* All of them, NULL-terminated, for tests and --help. */
extern const rs_op *const rs_ops[];

/* shape.c: inference over a whole graph, symbols kept. Looks up a value's type by name. Unknown
   operators make unknown outputs, unless their value_info says what they are. */
typedef struct rs_types {
        rs_arena arena;
        rs_map map; /* name -> rs_type * */
        rs_symbols symbols;
} rs_types;
/* findings (may be NULL) is called for every node whose inputs do not fit, and inference goes on;
   without it the first such node is an error. */
typedef void rs_finding(void *ctx, const rs_node *n, const char *msg);
bool rs_types_make(rs_types *t, const resect_model *m, rs_finding *finding, void *ctx,
        resect_error *err) RESECT_MUST;
const rs_type *rs_types_find(const rs_types *t, const char *name); /* NULL when unknown */
void rs_types_free(rs_types *t);

#endif
