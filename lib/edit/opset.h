/* SPDX-License-Identifier: 0BSD */
/*
 * The parts of resect-edit --opset. A step brings a node across one version at which its operator
 * changed, up or down. Steps are given nodes as the step before left them.
 */
#ifndef RS_EDIT_OPSET_H
#define RS_EDIT_OPSET_H

#include "edit/edit.h"

typedef struct rs_crossing {
        rs_surgery *s;
        rs_types types; /* of the model as it was */
        rs_index index; /* as it was before: constants are looked up there */
        int64_t from, to;
        bool up;
} rs_crossing;

typedef bool rs_step(rs_crossing *c, rs_node *n, resect_error *err);

/* opset.c. "--opset: NODE (OPERATOR): WHY", UNSUPPORTED; returns false. */
bool rs_cross_refuse(const rs_node *n, const char *why, resect_error *err);
/* The type that an input had before anything changed; NULL when absent or unknown. */
const rs_type *rs_cross_type(const rs_crossing *c, const rs_node *n, size_t slot);
/* The initializer that an input is; NULL when it is absent or computed. */
const rs_tensor *rs_cross_constant(const rs_crossing *c, const rs_node *n, size_t slot);
bool rs_cross_has(const rs_node *n, size_t slot); /* the input is there */
/* The integers of a constant input, in the scratch arena; *v is NULL when it is none. */
bool rs_cross_ints(rs_crossing *c, const rs_node *n, size_t slot, int64_t **v, size_t *count,
        resect_error *err) RESECT_MUST;
/* Input slot becomes the value of that name; those before it that are not there are left out. */
bool rs_cross_input(
        rs_crossing *c, rs_node *n, size_t slot, const char *name, resect_error *err) RESECT_MUST;
/* Input slot becomes a new constant: integers, or one number (dtype 0: of the type of input 0). */
bool rs_cross_put_ints(rs_crossing *c, rs_node *n, size_t slot, const char *what, const int64_t *v,
        size_t count, resect_error *err) RESECT_MUST;
bool rs_cross_put_number(rs_crossing *c, rs_node *n, size_t slot, const char *what, int32_t dtype,
        double v, resect_error *err) RESECT_MUST;
/* An attribute of integers that became an input, or the other way. The inputs behind it stay. */
bool rs_cross_ints_move(rs_crossing *c, rs_node *n, const char *attr, size_t slot,
        resect_error *err) RESECT_MUST;
/* Going down, an attribute that the older version does not know must have its default, and goes. */
bool rs_cross_forget(rs_crossing *c, rs_node *n, const char *attr, int64_t otherwise,
        resect_error *err) RESECT_MUST;
bool rs_cross_forget_ones(
        rs_crossing *c, rs_node *n, const char *attr, resect_error *err) RESECT_MUST;

/* opset_math.c: what computes. rs_step_OPERATOR_VERSION, or what several have in common. */
rs_step rs_step_plain_6, rs_step_binary_7, rs_step_variadic_8, rs_step_prelu_7, rs_step_selu_6,
        rs_step_gemm_7, rs_step_gemm_11, rs_step_norm_7, rs_step_norm_9, rs_step_norm_14,
        rs_step_dropout_7, rs_step_dropout_10, rs_step_dropout_12, rs_step_softmax_13,
        rs_step_max_8, rs_step_max_10, rs_step_average_7, rs_step_average_10, rs_step_average_19,
        rs_step_lp_2, rs_step_lp_18, rs_step_clip_11, rs_step_cast_6, rs_step_cast_19,
        rs_step_quantize_13, rs_step_quantize_21, rs_step_dequantize_21;
/* Makes a Cast of a CastLike, whose second input's type is known. */
rs_step rs_step_cast_like;

/* opset_move.c: what moves, cuts and reduces. */
rs_step rs_step_reshape_5, rs_step_reshape_14, rs_step_concat_4, rs_step_axis_11,
        rs_step_axes_input, rs_step_reduce_input, rs_step_shape_15, rs_step_pad_2, rs_step_pad_11,
        rs_step_pad_18, rs_step_pad_19, rs_step_slice_10, rs_step_slice_11, rs_step_split_2,
        rs_step_split_13, rs_step_split_18, rs_step_gather_11, rs_step_arg_12, rs_step_depth_11,
        rs_step_tile_6;

#endif
