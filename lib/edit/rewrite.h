/* SPDX-License-Identifier: 0BSD */
/* The steps of resect-edit, each in a file of its own. All take the model of the surgery and leave
 * it valid. */
#ifndef RS_EDIT_REWRITE_H
#define RS_EDIT_REWRITE_H

#include "edit/edit.h"
#include "resect/data.h"

bool rs_canon(rs_surgery *s, resect_error *err) RESECT_MUST;       /* canon.c */
bool rs_canon_names(rs_surgery *s, resect_error *err) RESECT_MUST; /* names.c */
bool rs_constants_out(rs_surgery *s, size_t *count,
        resect_error *err) RESECT_MUST; /* canon.c: Constant -> initializer */
bool rs_extract(rs_surgery *s, const char *spec, resect_error *err) RESECT_MUST; /* extract.c */
bool rs_rename(rs_surgery *s, const char *spec, resect_error *err) RESECT_MUST;  /* extract.c */
bool rs_set_batch(rs_surgery *s, const char *batch,
        resect_error *err) RESECT_MUST; /* batch.c; proves itself */
bool rs_set_size(rs_surgery *s, const char *size, resect_error *err) RESECT_MUST; /* batch.c */
bool rs_set_opset(rs_surgery *s, int64_t version, resect_error *err) RESECT_MUST; /* opset.c */
bool rs_add_softmax(rs_surgery *s, resect_error *err) RESECT_MUST;                /* edit.c */
bool rs_strip_docs(rs_surgery *s, resect_error *err) RESECT_MUST;                 /* docs.c */

/* input.c: what the model reads. */
bool rs_bake_input(rs_surgery *s, const char *spec, resect_error *err) RESECT_MUST;
bool rs_record_input(rs_surgery *s, const char *spec, resect_error *err) RESECT_MUST;
bool rs_set_channels(rs_surgery *s, int64_t channels, resect_error *err) RESECT_MUST;
bool rs_swap_planes(rs_surgery *s, resect_error *err) RESECT_MUST;
void rs_expect_grey(rs_surgery *s); /* before rs_prove, when --channels 1 is to come */

/* Types as they are now, written into the model's outputs and value_info where they differ
 * (batch.c). */
bool rs_refresh_types(rs_surgery *s, resect_error *err) RESECT_MUST;

#endif
