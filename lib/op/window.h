/* SPDX-License-Identifier: 0BSD */
/* Sliding windows: the attributes that Conv, the pools and their relatives share (kernel_shape,
   strides, dilations, pads, auto_pad, ceil_mode), checked, and the sizes that come of them. */
#ifndef RS_OP_WINDOW_H
#define RS_OP_WINDOW_H

#include "op/util.h"

enum { RS_WINDOW_AXES = RESECT_RANK_MAX - 2 };

typedef struct rs_window {
        int axes;
        enum { RS_PAD_NOTSET, RS_PAD_VALID, RS_PAD_SAME_UPPER, RS_PAD_SAME_LOWER } automatic;
        int64_t kernel[RS_WINDOW_AXES]; /* may be symbols */
        int64_t stride[RS_WINDOW_AXES], dilation[RS_WINDOW_AXES];
        int64_t before[RS_WINDOW_AXES],
                after[RS_WINDOW_AXES]; /* padding; with auto_pad set by rs_window_sizes */
} rs_window;

/* Reads the attributes. kernel [axes] is the weight's own, which kernel_shape must then agree with;
   NULL: kernel_shape must be there. Every number is in 1..2^31-1, paddings in 0..2^31-1. */
bool rs_window_read(const rs_infer *x, int axes, const int64_t *kernel, rs_window *w,
        resect_error *err) RESECT_MUST;

/* Output sizes for input sizes; either may be symbols. Settles the paddings of auto_pad where sizes
   are numbers. With round_up (ceil_mode) the last window may stick out, but one that would begin in
   the padding after the input is dropped. */
bool rs_window_sizes(rs_infer *x, rs_window *w, bool round_up, const int64_t *in /* [axes] */,
        int64_t *out /* [axes] */, resect_error *err) RESECT_MUST;

#endif
