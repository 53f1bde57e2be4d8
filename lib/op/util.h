/* SPDX-License-Identifier: 0BSD */
/*
 * What every infer needs: failing with the node's name, counting inputs, attributes of the right
 * kind, axes, sizes that may be symbols, broadcasting. And how a kernel spreads a loop over
 * threads.
 */
#ifndef RS_OP_UTIL_H
#define RS_OP_UTIL_H

#include "op/op.h"
#include "tensor/dtype.h"

/* RS_PARALLEL(n) before a for statement: its iterations run on n threads. Iterations must not share
 * what they write. */
#ifdef _OPENMP
#define RS_PRAGMA(x) _Pragma(#x)
#define RS_PARALLEL(n) RS_PRAGMA(omp parallel for schedule(static) num_threads(n))
#else
#define RS_PARALLEL(n) (void)(n);
#endif
/* Threads worth waking for so many elementary operations. */
static inline int
rs_threads_for(int threads, size_t work)
{
        return threads > 1 && work >= 32768 ? threads : 1;
}

/* "layer1.0.conv1 (Conv): ..."; a node without a name is called by its first output. Returns false.
 */
bool rs_op_fail(const rs_infer *x, resect_error *err, resect_code code, const char *fmt, ...)
        RESECT_PRINTF(4, 5);

/* Input i, or NULL. */
static inline const rs_type *
rs_op_in(const rs_infer *x, size_t i)
{
        return i < x->n_in ? x->in[i] : NULL;
}

/* min..max inputs, the first min of them present, and 1..outs outputs. */
bool rs_op_counts(
        const rs_infer *x, size_t min, size_t max, size_t outs, resect_error *err) RESECT_MUST;

/* The dtype that Cast called by its name ("FLOAT") before opset 6; 0: none of them. */
int32_t rs_op_dtype_named(rs_span name);

/* Sets of dtypes. */
#define RS_BIT(dtype) (UINT32_C(1) << (dtype))
#define RS_FLOATS                                                                \
        (RS_BIT(RESECT_FLOAT) | RS_BIT(RESECT_DOUBLE) | RS_BIT(RESECT_FLOAT16) | \
                RS_BIT(RESECT_BFLOAT16))
#define RS_SIGNED \
        (RS_BIT(RESECT_INT8) | RS_BIT(RESECT_INT16) | RS_BIT(RESECT_INT32) | RS_BIT(RESECT_INT64))
#define RS_UNSIGNED                                                             \
        (RS_BIT(RESECT_UINT8) | RS_BIT(RESECT_UINT16) | RS_BIT(RESECT_UINT32) | \
                RS_BIT(RESECT_UINT64))
#define RS_INTEGERS (RS_SIGNED | RS_UNSIGNED)
#define RS_NUMBERS (RS_FLOATS | RS_INTEGERS)
#define RS_BOOLS RS_BIT(RESECT_BOOL)
#define RS_ANY (RS_NUMBERS | RS_BOOLS)
static inline bool
rs_dtype_in(int32_t dtype, uint32_t set)
{
        return dtype > 0 && dtype < 32 && (RS_BIT(dtype) & set);
}
/* Input i, when present, has a dtype of the set. UNSUPPORTED when not. */
bool rs_op_dtype(const rs_infer *x, size_t i, uint32_t set, resect_error *err) RESECT_MUST;
/* Inputs i and j, when both are present, have the same dtype. */
bool rs_op_same_dtype(const rs_infer *x, size_t i, size_t j, resect_error *err) RESECT_MUST;

/* Attributes: the default when absent, an error when of another kind. */
bool rs_op_int(const rs_infer *x, const char *name, int64_t otherwise, int64_t *out,
        resect_error *err) RESECT_MUST;
bool rs_op_float(const rs_infer *x, const char *name, float otherwise, float *out,
        resect_error *err) RESECT_MUST;
/* v NULL when absent, else not NULL even if n is 0. */
bool rs_op_ints(const rs_infer *x, const char *name, const int64_t **v, size_t *n,
        resect_error *err) RESECT_MUST;
/* data NULL when absent. */
bool rs_op_string(const rs_infer *x, const char *name, rs_span *out, resect_error *err) RESECT_MUST;

/* The elements of input i, a tensor of integers of rank 0 or 1. When they are not known:
   UNSUPPORTED if concrete ("Reshape's shape is computed from data"), else v NULL, and n their
   number or a symbol. what names the input. */
bool rs_op_elements(const rs_infer *x, size_t i, const char *what, const int64_t **v, int64_t *n,
        resect_error *err) RESECT_MUST;

/* Attribute `name` (older opsets) or input i: v NULL and *n 0 when absent. When they are given but
 * not known, v is NULL and *n is not 0. */
bool rs_op_ints_or_input(const rs_infer *x, const char *name, size_t i, const int64_t **v,
        int64_t *n, resect_error *err) RESECT_MUST;

/* -rank..rank-1 to 0..rank-1. */
bool rs_op_axis(const rs_infer *x, int64_t axis, int rank, int *out, resect_error *err) RESECT_MUST;
/* A list of axes as a set of bits; the same axis twice is an error. */
bool rs_op_axes(const rs_infer *x, const int64_t *v, size_t n, int rank, uint32_t *set,
        resect_error *err) RESECT_MUST;

/* Sizes. rs_op_size_new is a symbol that nothing else equals (an error if concrete). Equal: false
   only when surely different; then *out is the one that says more. */
bool rs_op_size_new(rs_infer *x, int64_t *out, resect_error *err) RESECT_MUST;
bool rs_size_equal(int64_t a, int64_t b, int64_t *out /* may be NULL */);
bool rs_op_size_add(rs_infer *x, int64_t a, int64_t b, int64_t *out, resect_error *err) RESECT_MUST;
bool rs_op_size_mul(rs_infer *x, int64_t a, int64_t b, int64_t *out, resect_error *err) RESECT_MUST;

/* Sets output k: dtype and dims; refuses more than 2^40 elements. dims may be x->out[k].dims. */
bool rs_op_out(rs_infer *x, size_t k, int32_t dtype, int rank, const int64_t *dims,
        resect_error *err) RESECT_MUST;
bool rs_op_out_like(rs_infer *x, size_t k, const rs_type *t, resect_error *err) RESECT_MUST;
/* The shape that n types broadcast to, ONNX's (NumPy's) rule. */
bool rs_op_broadcast(rs_infer *x, const rs_type *const *t, size_t n, int *rank,
        int64_t *dims /* [RESECT_RANK_MAX] */, resect_error *err) RESECT_MUST;

/* A product for strides: where it would not fit, the tensor is empty and nobody looks. */
static inline int64_t
rs_wrap_mul(int64_t a, int64_t b)
{
        return (int64_t)((uint64_t)a * (uint64_t)b);
}

/* A number of elements when all sizes are numbers, else -1. */
int64_t rs_type_count(const rs_type *t);

/* p = RS_STATE(x, type, err): zeroed state for the kernels. */
#define RS_STATE(x, type, err) \
        ((type *)((x)->state = rs_arena_alloc((x)->arena, 1, sizeof(type), (err))))

#endif
