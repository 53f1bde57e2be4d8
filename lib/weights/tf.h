/* SPDX-License-Identifier: 0BSD */
/* What the reader and the writer of TensorFlow's checkpoints share. */
#ifndef RS_WEIGHTS_TF_H
#define RS_WEIGHTS_TF_H

#include "weights/weights.h"

#define RS_TF_INDEX ".index"
#define RS_TF_DATA ".data-00000-of-00001"

/* DataType of tensorflow/core/framework/types.proto as an element type, and back; 0 when there is none. */
int32_t rs_tf_dtype(uint64_t type);
uint64_t rs_tf_type(int32_t dtype);
/* Length of the path without .index or .data-NNNNN-of-NNNNN; its whole length when it has neither. */
size_t rs_tf_prefix(const char *path);

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

#endif
