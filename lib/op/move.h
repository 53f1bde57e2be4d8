/* SPDX-License-Identifier: 0BSD */
/* Kernels shared by operators that only move elements. */
#ifndef RS_OP_MOVE_H
#define RS_OP_MOVE_H

#include "op/walk.h"

/* out[0] is in[0]'s bytes: the kernel of a view, for when the plan cannot let them share a buffer.
 */
void rs_view_forward(const rs_call *c);
void rs_view_backward(const rs_call *c);

/* data[0..count) += from[0..count), of any two float dtypes. */
void rs_accumulate(resect_tensor *to, const resect_tensor *from, int threads);

/* Bytes of an element that kernels move (bool 1, float16 2 ...). */
static inline size_t
rs_dtype_size(int32_t dtype)
{
        return rs_dtype_bits(dtype) / 8;
}

#endif
