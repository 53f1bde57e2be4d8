/* SPDX-License-Identifier: 0BSD */
/* Which element types ONNX's operators take, and since which version of them. */
#ifndef RS_EDIT_OPSET_TYPES_H
#define RS_EDIT_OPSET_TYPES_H

#include "op/op.h"

/* The first opset in which the operator computes in that float type; 0: in none, or it is not one that resect-cast casts. */
int rs_opset_since(const rs_node *n, int32_t dtype);
/* Refuses a node whose operator is not in that opset, or does not take the element types there that it is given. Values of
   unknown type pass, and so do operators of other domains and those that are not in the table. */
bool rs_opset_takes(const rs_node *n, const rs_types *types, int64_t opset, resect_error *err) RESECT_MUST;

#endif
