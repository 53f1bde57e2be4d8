/* SPDX-License-Identifier: 0BSD */
/* Tensors: element types, dense row-major arrays in memory, and the .npy, .npz and ONNX TensorProto files they travel in. */
#ifndef RESECT_TENSOR_H
#define RESECT_TENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "resect/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Element types, with ONNX's numbers (TensorProto.DataType). */
typedef enum resect_dtype {
        RESECT_UNDEFINED = 0,
        RESECT_FLOAT = 1,
        RESECT_UINT8 = 2,
        RESECT_INT8 = 3,
        RESECT_UINT16 = 4,
        RESECT_INT16 = 5,
        RESECT_INT32 = 6,
        RESECT_INT64 = 7,
        RESECT_STRING = 8,
        RESECT_BOOL = 9,
        RESECT_FLOAT16 = 10,
        RESECT_DOUBLE = 11,
        RESECT_UINT32 = 12,
        RESECT_UINT64 = 13,
        RESECT_COMPLEX64 = 14,
        RESECT_COMPLEX128 = 15,
        RESECT_BFLOAT16 = 16,
        RESECT_FLOAT8E4M3FN = 17,
        RESECT_FLOAT8E4M3FNUZ = 18,
        RESECT_FLOAT8E5M2 = 19,
        RESECT_FLOAT8E5M2FNUZ = 20,
        RESECT_UINT4 = 21,
        RESECT_INT4 = 22,
        RESECT_FLOAT4E2M1 = 23,
        RESECT_FLOAT8E8M0 = 24,
        RESECT_UINT2 = 25,
        RESECT_INT2 = 26
} resect_dtype;

/* "float32", "int64", ...; "?" for a number that is not one of the above. Never NULL. */
RESECT_API const char *resect_dtype_name(resect_dtype dtype);

/* The most dimensions of a tensor that is computed with. (Initializers that are only carried may have 32.) */
#define RESECT_RANK_MAX 8

/*
 * A dense tensor, row-major, in the machine's byte order. data holds size bytes; bool is one byte an element, float16 and
 * bfloat16 two. Whoever made it with resect_tensor_make or a reader frees it with resect_tensor_free; one that the library
 * lends is borrowed.
 */
typedef struct resect_tensor {
        resect_dtype dtype;
        int rank;
        int64_t dims[RESECT_RANK_MAX];
        size_t size; /* bytes */
        void *data;
} resect_tensor;

/* The number of elements: the product of dims. */
RESECT_API int64_t resect_tensor_count(const resect_tensor *t);

/* Makes a zeroed tensor, 64-byte aligned. Fails with NOMEM or ARG (a negative dim, rank out of range, a dtype without a
   fixed size). */
RESECT_API bool resect_tensor_make(
        resect_tensor *t, resect_dtype dtype, int rank, const int64_t *dims /* [rank] */, resect_error *err) RESECT_MUST;
RESECT_API void resect_tensor_free(resect_tensor *t); /* data NULL afterwards; an empty {0} is fine */

/* Reads a whole tensor file: .npy (versions 1 to 3, C or Fortran order, any numeric dtype; objects are refused) or an ONNX
   TensorProto (.pb, raw or typed data). NULL name reads the only thing there is. */
RESECT_API bool resect_tensor_read_npy(resect_tensor *t, const char *path, resect_error *err) RESECT_MUST;
RESECT_API bool resect_tensor_read_pb(
        resect_tensor *t, const char *path, char *name /* out, may be NULL */, size_t name_size, resect_error *err) RESECT_MUST;
RESECT_API bool resect_tensor_write_npy(const resect_tensor *t, const char *path, resect_error *err) RESECT_MUST;

/* One array of an .npz file, stored or deflated; NULL name gives the first. Fails with FORMAT when it is not there. */
RESECT_API bool resect_tensor_read_npz(resect_tensor *t, const char *path, const char *name, resect_error *err) RESECT_MUST;

/* How a differs from b, element by element in double. Equal means |a - b| <= atol + rtol * |b|, NaN equal to NaN. */
typedef struct resect_difference {
        int64_t count;      /* elements compared */
        int64_t unequal;    /* elements beyond the tolerance */
        double max_abs;     /* largest |a - b| */
        double max_rel;     /* max |a - b| / max |b|: the error against the tensor's own scale */
        double mean_abs;    /* mean |a - b| */
        uint64_t max_ulp;   /* float32 only: largest distance in units in the last place; else 0 */
        int64_t at;         /* flat index of the largest |a - b| */
} resect_difference;

/* False with GRAPH when shapes or dtypes differ. */
RESECT_API bool resect_tensor_compare(const resect_tensor *a, const resect_tensor *b, double rtol, double atol,
        resect_difference *out, resect_error *err) RESECT_MUST;

#ifdef __cplusplus
}
#endif
#endif
