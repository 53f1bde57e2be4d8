/* SPDX-License-Identifier: 0BSD */
/* What ncnn's reader and its writer share. */
#ifndef RS_WEIGHTS_NCNN_H
#define RS_WEIGHTS_NCNN_H

#include "weights/weights.h"

/* Flags before a layer's weights: how they are stored. */
#define RS_NCNN_HALF UINT32_C(0x01306b47)
#define RS_NCNN_BFLOAT UINT32_C(0x01348b83)
#define RS_NCNN_SAME (-233) /* for a pad: what SAME needs, the odd one at the end */
#define RS_NCNN_PLAIN UINT32_C(0x0002c056) /* float32, as 0 */

/* NAME.bin for NAME.param. */
char *rs_ncnn_bin(rs_arena *a, const char *param_path, resect_error *err) RESECT_MUST;

/* The two files; name is the text's, for messages. */
bool rs_ncnn_read(rs_checkpoint *c, const char *name, rs_span text, rs_span bin, resect_error *err) RESECT_MUST;
bool rs_ncnn_write(const rs_writing *w, resect_error *err) RESECT_MUST;

#endif
