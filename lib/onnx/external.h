/* SPDX-License-Identifier: 0BSD */
/* External data: files beneath the model's folder, opened when values are first needed, and kept.
 */
#ifndef RS_ONNX_EXTERNAL_H
#define RS_ONNX_EXTERNAL_H

#include "model/model.h"

enum { RS_EXTERNAL_FILES_MAX = 10000 };

typedef struct rs_external rs_external;

rs_external *rs_external_make(resect_error *err) RESECT_MUST;
void rs_external_free(rs_external *e); /* NULL is fine */

/* The part of an external file that a tensor names, checked against the file's real size. Safe from
 * several threads. */
bool rs_external_bytes(
        const resect_model *m, const rs_tensor *t, rs_span *out, resect_error *err) RESECT_MUST;

/* The size of an external file, opened as above. */
bool rs_external_size(
        const resect_model *m, const char *location, uint64_t *size, resect_error *err) RESECT_MUST;

#endif
