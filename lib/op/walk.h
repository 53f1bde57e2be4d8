/* SPDX-License-Identifier: 0BSD */
/*
 * One engine for kernels that go element by element. A walk is a space of indices with, for each
 * operand, a stride along each axis (0 where the operand is broadcast); it is cut into rows of at
 * most RS_ROW elements, which threads take one by one. A row is loaded into doubles (or 64-bit
 * integers), computed with, and stored, so that one loop serves every dtype. A fold is a walk over
 * the elements of a target with, inside, a walk over all that is summed into each: reductions, and
 * gradients of what was broadcast. Each target is summed in double by one thread in the order of
 * indices: the same bits always.
 */
#ifndef RS_OP_WALK_H
#define RS_OP_WALK_H

#include "op/util.h"

enum { RS_WALK_RANK = 16, RS_ROW = 512, RS_FOLD_MAX = 6 };

typedef struct rs_walk {
        int rank; /* at least 1 once ended */
        int64_t dims[RS_WALK_RANK];
        size_t n;                        /* operands */
        int64_t (*stride)[RS_WALK_RANK]; /* [n], in elements */
        int64_t *base;                   /* [n]: where index 0 lies */
        size_t count, units, pieces; /* elements; rows in all; rows in one run of the last axis */
} rs_walk;

/* A space of those dims with n operands, all strides 0. */
bool rs_walk_make(rs_walk *w, rs_arena *arena, int rank, const int64_t *dims, size_t n,
        resect_error *err) RESECT_MUST;
/* Operand k is a dense tensor of those dims, aligned at the last axis, broadcast where its size
 * is 1. */
void rs_walk_operand(rs_walk *w, size_t k, int rank, const int64_t *dims);
/* Joins axes that lie one after the other for every operand. After this the walk is ready. */
void rs_walk_end(rs_walk *w);
/* Broadcasts n types to out's shape, ready. */
bool rs_walk_broadcast(rs_walk *w, rs_arena *arena, const rs_type *out, const rs_type *const *in,
        size_t n, resect_error *err) RESECT_MUST;

typedef struct rs_row {
        size_t at, n; /* first element of the space, elements */
        int64_t index[RS_WALK_RANK];
} rs_row;
void rs_walk_row(const rs_walk *w, size_t unit, rs_row *r);
/* Where operand k's first element of the row lies, and the distance to the next. */
int64_t rs_walk_at(const rs_walk *w, const rs_row *r, size_t k);
static inline int64_t
rs_walk_step(const rs_walk *w, size_t k)
{
        return w->stride[k][w->rank - 1];
}

/* Rows of elements as doubles and as integers (stores of integers wrap; 64-bit unsigned ones keep
 * their bits). */
void rs_row_load(const void *data, int32_t dtype, int64_t at, int64_t step, size_t n, double *v);
void rs_row_store(void *data, int32_t dtype, size_t at, size_t n, const double *v);
void rs_row_add(void *data, int32_t dtype, size_t at, size_t n, const double *v); /* data += v */
void rs_row_add_step(
        void *data, int32_t dtype, int64_t at, int64_t step, size_t n, const double *v);
void rs_row_load_int(
        const void *data, int32_t dtype, int64_t at, int64_t step, size_t n, int64_t *v);
void rs_row_store_int(void *data, int32_t dtype, size_t at, size_t n, const int64_t *v);
/* The fused end of an element-wise kernel: rounds v to dtype, adds the residual, applies relu. */
void rs_row_fuse(const rs_call *c, size_t at, size_t n, double *v);

/* To the nearest whole number, halves to even, for what is far below 2^51 (more saturates anyway):
   1.5 * 2^52 leaves no bits for a fraction. Unlike rint it is no call. */
static inline double
rs_nearest(double v)
{
        return (v + 0x1.8p52) - 0x1.8p52;
}

/* Copies n elements of size bytes (1, 2, 4, 8); the dense side is dst (gather) or src (scatter). */
void rs_row_gather(
        void *dst, size_t at, const void *src, int64_t from, int64_t step, size_t n, size_t size);

typedef enum rs_combine { RS_SUM, RS_PRODUCT, RS_MAXIMUM, RS_MINIMUM } rs_combine;
typedef struct rs_fold {
        rs_walk kept, summed; /* the same operands */
        rs_combine combine;   /* how summands meet; a sum unless set */
} rs_fold;
/* The space of dims, of which the axes in set are summed over. Operands are set on both walks by
 * rs_fold_operand. */
bool rs_fold_make(rs_fold *f, rs_arena *arena, int rank, const int64_t *dims, uint32_t set,
        size_t n, resect_error *err) RESECT_MUST;
void rs_fold_operand(
        rs_fold *f, uint32_t set, size_t k, int rank, const int64_t *dims, int space_rank);
void rs_fold_end(rs_fold *f);
/* The gradient of input `to` that was broadcast to out: the operands, all broadcast to out, are
   summed over the axes along which `to` was repeated. */
bool rs_fold_broadcast(rs_fold *f, rs_arena *arena, const rs_type *out, const rs_type *to,
        const rs_type *const *operands, size_t n, resect_error *err) RESECT_MUST;

/* What is summed: out[i] from the operands' rows v[k][i]. */
typedef void rs_row_fn(const void *ctx, size_t n, const double *const *v, double *out);
/* What becomes of n sums before they are stored at target's elements from `at` on. */
typedef void rs_finish_fn(
        const void *ctx, const resect_tensor *target, size_t at, size_t n, double *sum);
typedef enum rs_into { RS_STORE_IN, RS_ADD_TO } rs_into;
/* target[i] = or += finish(sum of fn); finish may be NULL. */
void rs_fold_run(const rs_fold *f, int threads, const resect_tensor *const *operands, rs_row_fn *fn,
        const void *ctx, resect_tensor *target, rs_into into, rs_finish_fn *finish);

#endif
