/* SPDX-License-Identifier: 0BSD */
/* resect.digest: one SHA-256 over all initializers (the definition is at resect_model_seal). */
#ifndef RS_ONNX_DIGEST_H
#define RS_ONNX_DIGEST_H

#include "model/model.h"

#define RS_DIGEST_KEY "resect.digest"

/* Computes it. Fails when values cannot be had. */
bool rs_digest_make(const resect_model *m, char hex[65], resect_error *err) RESECT_MUST;

/* Compares with the one that the model has, if any: FORMAT when they differ. A model whose external
   data cannot be opened passes: their values are missed when they are needed. */
bool rs_digest_verify(const resect_model *m, resect_error *err) RESECT_MUST;

/* For an edit that is about to move values without changing them (into external files, or out of
 * them): brings the model's digest, if it has one, up to date, and keeps the writer from computing
 * it again, when the files may not be there yet. Edits that change values must come before. */
bool rs_digest_settle(resect_model *m, resect_error *err) RESECT_MUST;

/* Whether tensors were changed, added or dropped since the digest was read or made. */
bool rs_digest_is_stale(const resect_model *m);

#endif
