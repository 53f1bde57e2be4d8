/* SPDX-License-Identifier: 0BSD */
/* The two halves of resect-fold. */
#ifndef RS_EDIT_FOLD_H
#define RS_EDIT_FOLD_H

#include "edit/edit.h"
#include "resect/data.h"

/* Conv + BatchNormalization -> Conv (fold.c), and the other way round (unfold.c). */
bool rs_unfold(rs_surgery *s, resect_error *err) RESECT_MUST;
/* The same for data that is open already: measured on at most so many pictures of a split (NULL: not
   measured). */
bool rs_unfold_on(resect_model *m, const resect_data *d, resect_split split,
        const resect_input *in, size_t samples, resect_error *err) RESECT_MUST;
extern const rs_edit rs_edit_fold;
/* Is this BatchNormalization in training mode, under the model's opset? */
bool rs_bn_trains(const resect_model *m, const rs_node *bn);

#endif
