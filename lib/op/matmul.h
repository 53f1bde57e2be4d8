/* SPDX-License-Identifier: 0BSD */
/* Stacked products of matrices, shared by MatMul and its quantised forms. */
#ifndef RS_OP_MATMUL_H
#define RS_OP_MATMUL_H

#include "op/gemm_pack.h"
#include "op/util.h"

typedef struct rs_matmul {
        int32_t dtype; /* of A */
        size_t batch, m, n, k;
        const size_t *at_a, *at_b, *at_y; /* [batch] where each product's operands begin */
} rs_matmul;

/* The state that Gemm's infer leaves: Y[m, n] = alpha * A B + beta * C. */
typedef struct rs_gemm_facts {
        int32_t dtype;
        size_t m, n, k;
        bool ta, tb; /* A is stored [k, m], B [n, k] */
        float alpha, beta;
        size_t ci, cj; /* C's element (i, j) is c[i * ci + j * cj] */
} rs_gemm_facts;

/* NumPy's matmul: shapes, output 0, and state, an rs_matmul, and scratch when concrete. A stack of
   As against one B becomes one tall product, unless the caller's rows differ (stacked). */
bool rs_matmul_infer(rs_infer *x, const rs_type *a, const rs_type *b, int32_t dtype, bool stacked,
        resect_error *err) RESECT_MUST;

/* A double as an integer: 0 for NaN, saturated. */
static inline int64_t
rs_whole(double v)
{
        return !(v == v)                     ? 0
               : v >= 9223372036854775807.0  ? INT64_MAX
               : v <= -9223372036854775808.0 ? INT64_MIN
                                             : (int64_t)v;
}

/* The low bits of v as an element of an integer type of 32 or 64 bits. */
static inline void
rs_store_wrapped(void *data, int32_t dtype, size_t i, uint64_t v)
{
        if (dtype == RESECT_INT64 || dtype == RESECT_UINT64)
                ((uint64_t *)data)[i] = v;
        else
                ((uint32_t *)data)[i] = (uint32_t)v;
}

#endif
