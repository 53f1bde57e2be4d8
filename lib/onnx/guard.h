/* SPDX-License-Identifier: 0BSD */
/* The guard: one walk over the whole wire, before anything is decoded or allocated. */
#ifndef RS_ONNX_GUARD_H
#define RS_ONNX_GUARD_H

#include <protobuf-c/protobuf-c.h>
#include "base/mem.h"

enum { RS_GUARD_DEPTH = 100, RS_GUARD_REPEATS = 1000000 };

/* Called at the end of each message, inner ones first, with its bytes, which have passed. */
typedef bool rs_guard_message(
        void *ctx, const ProtobufCMessageDescriptor *type, rs_span body, resect_error *err);

/*
 * Walks a message of the given type, all the way down. Refused (FORMAT): fields cut short,
 * impossible tags, groups, wire types other than the schema's, a singular field or a oneof set
 * twice, more than RS_GUARD_REPEATS messages or strings in one field of one message, nesting deeper
 * than RS_GUARD_DEPTH, NUL in a string (doc_string aside), numbers that do not fit 32-bit fields.
 * Unknown fields are let through as they are. Allocates nothing and does not recurse.
 */
bool rs_guard(rs_span bytes, const ProtobufCMessageDescriptor *type, rs_guard_message *done,
        void *ctx, resect_error *err) RESECT_MUST;

#endif
