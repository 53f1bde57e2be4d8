/* SPDX-License-Identifier: 0BSD */
/* A TensorProto looked at where it stands: what it says, where its payload is, and whether the two
 * agree. */
#ifndef RS_ONNX_SCAN_H
#define RS_ONNX_SCAN_H

#include "base/mem.h"

enum { RS_SCAN_RANK = 32 };

/* TensorProto's fields, by number. */
enum {
        RS_TENSOR_DIMS = 1,
        RS_TENSOR_DTYPE = 2,
        RS_TENSOR_SEGMENT = 3,
        RS_TENSOR_FLOAT_DATA = 4,
        RS_TENSOR_INT32_DATA = 5,
        RS_TENSOR_STRING_DATA = 6,
        RS_TENSOR_INT64_DATA = 7,
        RS_TENSOR_NAME = 8,
        RS_TENSOR_RAW_DATA = 9,
        RS_TENSOR_DOUBLE_DATA = 10,
        RS_TENSOR_UINT64_DATA = 11,
        RS_TENSOR_EXTERNAL_DATA = 13,
        RS_TENSOR_DATA_LOCATION = 14
};

/* Whether a field holds values (raw or typed). */
bool rs_scan_is_payload(uint32_t number);

typedef struct rs_scan {
        rs_span name; /* may be {NULL, 0} */
        int32_t dtype;
        int rank;
        int64_t dims[RS_SCAN_RANK];
        size_t count, bytes; /* elements, and bytes in raw layout (0 for strings) */
        bool external, raw;  /* neither: typed */
        uint32_t typed;      /* the typed field that this dtype uses */
        rs_span data;        /* raw */
        rs_span location;    /* external; it has passed rs_beneath_name */
        uint64_t offset, length;
        bool has_length;
} rs_scan;

/* Scans the body of a TensorProto that has passed the guard. Fails with FORMAT or UNSUPPORTED,
   naming the tensor and the numbers, when dtype, dims and payload do not agree, or external_data
   has keys or numbers that are not ONNX's. */
bool rs_scan_tensor(rs_span wire, rs_scan *out, resect_error *err) RESECT_MUST;

#endif
