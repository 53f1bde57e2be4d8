/* SPDX-License-Identifier: 0BSD */
/* What the readers and the writer of TensorFlow's checkpoints share. */
#ifndef RS_WEIGHTS_TF_H
#define RS_WEIGHTS_TF_H

#include "weights/weights.h"

#define RS_TF_INDEX ".index"
#define RS_TF_DATA ".data-00000-of-00001"

/* A DataType that is no element type. */
enum { RS_TF_STRING = 7 };
/* DataType of tensorflow/core/framework/types.proto as an element type, and back; 0 when there is none. */
int32_t rs_tf_dtype(uint64_t type);
uint64_t rs_tf_type(int32_t dtype);
/* Length of the path without .index or .data-NNNNN-of-NNNNN; its whole length when it has neither. */
size_t rs_tf_prefix(const char *path);

/* Of a variable's name, and of all names of a checkpoint together. */
enum { RS_TF_NAME_MAX = 4096, RS_TF_NAMES_TOTAL = 32 << 20 };

/* TensorShapeProto. A rank over RESECT_RANK_MAX comes out as RESECT_RANK_MAX + 1, with so many dims; sizes below 0 are damage. */
typedef struct rs_tf_shape {
        int rank;
        bool unknown_rank;
        int64_t dims[RESECT_RANK_MAX + 1];
} rs_tf_shape;
bool rs_tf_shape_parse(rs_span wire, rs_tf_shape *out);

/* Why a variable is none of the network's: of an optimiser, or of the training. NULL: it may be one. Beside `x` stands `x/Momentum`,
   which must come later. */
const char *rs_tf_no_weight(const rs_checkpoint *c, const char *name);
/* Skips a variable of a type that is no element type, or, when it is one (known), of a shape that the file does not say. */
bool rs_tf_skip(rs_checkpoint *c, const char *name, uint64_t type, bool known, resect_error *err) RESECT_MUST;

bool rs_tf_write(const rs_writing *w, resect_error *err) RESECT_MUST;

/* tf_slices.c. Variables that were saved in parts ("partitioned"): BundleEntryProto names their slices (TensorSliceProto), and each
   is an entry of its own under a key made of the name and the slice (tensorflow/core/util/saved_tensor_slice_util.cc). */
typedef struct rs_tf_slice {
        int rank;
        struct {
                int64_t start, length; /* length -1: all of the axis */
        } at[RESECT_RANK_MAX];
} rs_tf_slice;
/* False when it is damaged, or has more axes than a tensor can have. */
bool rs_tf_slice_parse(rs_span wire, rs_tf_slice *out);
/* Appends the key; see b->oom. */
void rs_tf_slice_key(rs_buf *b, const char *name, const rs_tf_slice *s);

/* The records that parts are kept under, by ascending key as a table has them; {0}, free list with rs_free. */
typedef struct rs_tf_records {
        struct rs_tf_record {
                rs_span key, value;
        } *list;
        size_t n, cap;
} rs_tf_records;
/* The key is copied, the value is borrowed. */
bool rs_tf_records_add(rs_tf_records *r, rs_arena *a, rs_span key, rs_span value, resect_error *err) RESECT_MUST;
/* The record of a slice. False when there is none. */
bool rs_tf_records_find(
        const rs_tf_records *r, const char *name, const rs_tf_slice *s, rs_span *value, resect_error *err) RESECT_MUST;

/* A variable put together from parts that lie beside each other along one axis, in any order. */
typedef struct rs_tf_parts {
        size_t n, cap, rows;
        int axis; /* below 0: there is one part, which is all */
        struct rs_tf_part {
                const void *from; /* what get makes the part's bytes of */
                int64_t start, length;
                size_t run; /* bytes in a row */
        } at[];
} rs_tf_parts;
enum { RS_TF_PARTS_MAX = 65536 };
rs_tf_parts *rs_tf_parts_make(rs_arena *a, size_t n, resect_error *err);
/* One more of the n; its shape goes to dims. The caller checks that there are bytes for that, and sets at[p->n - 1].from. */
bool rs_tf_parts_add(rs_tf_parts *p, const rs_tf_slice *s, const rs_tf_shape *whole, int64_t dims[RESECT_RANK_MAX],
        resect_error *err) RESECT_MUST;
/* All have come: whether they cover the variable. */
bool rs_tf_parts_end(rs_tf_parts *p, const rs_tf_shape *whole, size_t width, resect_error *err) RESECT_MUST;
bool rs_tf_parts_fetch(const rs_tf_parts *p, size_t bytes, rs_arena *scratch, rs_span *out,
        bool (*get)(const void *from, rs_arena *scratch, rs_span *out, resect_error *err), resect_error *err) RESECT_MUST;

#endif
