/* SPDX-License-Identifier: 0BSD */
/* Element types: sizes, byte order, float16 and bfloat16. No other file knows them. */
#ifndef RS_TENSOR_DTYPE_H
#define RS_TENSOR_DTYPE_H

#include "base/mem.h"
#include "resect/tensor.h"

/* Bits an element takes; 0 for strings and unknown types. (int4 and friends are packed, so bits,
 * not bytes.) */
unsigned rs_dtype_bits(int32_t dtype);

/* The only place that multiplies dims: elements and bytes of a tensor. False with err when a dim is
   negative, the product does not fit, or the dtype has no size. rank may be up to 32. */
bool rs_tensor_extent(int32_t dtype, int rank, const int64_t *dims, size_t *count, size_t *bytes,
        resect_error *err);

/* One element as a double, and back (integers saturate, NaN becomes 0; bool is 0 or 1). index
 * counts elements. */
double rs_load(const void *data, int32_t dtype, size_t index);
void rs_store(void *data, int32_t dtype, size_t index, double value);
/* The same for integers beyond 2^53. */
int64_t rs_load_int(const void *data, int32_t dtype, size_t index);

float rs_half_to_float(uint16_t h);
uint16_t rs_float_to_half(float f); /* round to nearest even */
float rs_bfloat_to_float(uint16_t b);
uint16_t rs_float_to_bfloat(float f); /* round to nearest even */

/* Turns little-endian bytes (as ONNX stores raw_data) into the machine's order, or back; a copy on
 * little-endian ones. */
void rs_from_little(void *dst, const void *src, int32_t dtype, size_t count);
/* src itself where its bytes can be read as they lie (a little-endian machine, and an address that
   suits the element), else NULL: then rs_from_little makes a copy. */
const void *rs_as_little(const void *src, int32_t dtype);

#endif
