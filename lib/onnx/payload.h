/* SPDX-License-Identifier: 0BSD */
/* Values out of typed fields. (rs_tensor_bytes itself is declared in model/model.h.) */
#ifndef RS_ONNX_PAYLOAD_H
#define RS_ONNX_PAYLOAD_H

#include "onnx/scan.h"

/* Decodes the typed field of a scanned TensorProto into raw little-endian layout, scan->bytes of
 * them. */
void rs_payload_decode(rs_span wire, const rs_scan *scan, unsigned char *out /* [scan->bytes] */);

#endif
