/* SPDX-License-Identifier: 0BSD */
/* The .npy format in memory, for .npy files and for what is inside .npz. */
#ifndef RS_TENSOR_NPY_H
#define RS_TENSOR_NPY_H

#include "base/mem.h"
#include "resect/tensor.h"

/* The most bytes that a header may have (NumPy's own limit), and with the magic before it. */
enum { RS_NPY_HEADER_MAX = 10000, RS_NPY_PREFIX_MAX = RS_NPY_HEADER_MAX + 12 };

typedef struct rs_npy {
        int32_t dtype;
        int rank;
        int64_t dims[RESECT_RANK_MAX];
        bool fortran, swap; /* column-major; the other byte order */
        size_t start;       /* of the data */
        size_t count, bytes;
} rs_npy;

/* Parses magic and header from the first bytes of a file. */
bool rs_npy_parse(
        rs_npy *out, const unsigned char *bytes, size_t size, resect_error *err) RESECT_MUST;
/* Elements as they stand in the file (bytes of them) to a row-major tensor in the machine's order.
 */
bool rs_npy_fill(resect_tensor *t, const rs_npy *h, const unsigned char *data,
        resect_error *err) RESECT_MUST;

/* Element type and byte order of "<f4": dtype and swap are set. */
bool rs_npy_descr(rs_npy *h, const char *descr, resect_error *err) RESECT_MUST;
/* "f4": what NumPy calls an element type, NULL when it has no such. */
const char *rs_npy_code(int32_t dtype);
/* Elements as they stand in the file to row-major, little-endian ones: lent when they are so, else made in the arena. */
bool rs_npy_little(const rs_npy *h, const unsigned char *data, rs_arena *arena, rs_span *out,
        resect_error *err) RESECT_MUST;

/* Magic and header for little-endian, row-major elements; returns its length, 0 when NumPy has no
 * such type. */
enum { RS_NPY_WRITTEN_MAX = 384 };
size_t rs_npy_header(char out[RS_NPY_WRITTEN_MAX], int32_t dtype, int rank, const int64_t *dims);

/* Whether an .npz has an array of that name; fails when it cannot be read. */
bool rs_npz_has(const char *path, const char *name, bool *has, resect_error *err) RESECT_MUST;

#endif
