/* SPDX-License-Identifier: 0BSD */
/* The two halves of resect-fold. */
#ifndef RS_EDIT_FOLD_H
#define RS_EDIT_FOLD_H

#include "edit/edit.h"

/* Conv + BatchNormalization -> Conv (fold.c), and the other way round (unfold.c). */
bool rs_unfold(rs_surgery *s, resect_error *err) RESECT_MUST;
/* Is this BatchNormalization in training mode, under the model's opset? */
bool rs_bn_trains(const resect_model *m, const rs_node *bn);

#endif
