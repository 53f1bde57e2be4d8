/* SPDX-License-Identifier: 0BSD */
/* What the files of the reader share. */
#ifndef RS_ONNX_READ_H
#define RS_ONNX_READ_H

#include <protobuf-c/protobuf-c.h>
#include "model/model.h"
#include "onnx/wire.h"

/* A model that is being read. Memory comes from the model's arena, within a budget that depends on
 * the bytes that are there. */
typedef struct rs_reader {
        resect_model *m;
        resect_error *err;
        size_t left; /* of the budget */
        rs_buf scratch;
        bool over, nomem; /* the budget is spent; memory ran out */
        ProtobufCAllocator allocator;
} rs_reader;

/* Zeroed memory from the model's arena; NULL fills r->err. */
void *rs_reader_take(rs_reader *r, size_t count, size_t size);
#define RS_TAKE(r, count, type) ((type *)rs_reader_take((r), (count), sizeof(type)))
char *rs_reader_text(rs_reader *r, rs_span s);

/* Unpacks a message with protobuf-c into the model's arena, but for unknown fields and those whose
   bit (1 << number) is set in without: these are not even copied. NULL fills r->err. */
void *rs_reader_unpack(
        rs_reader *r, const ProtobufCMessageDescriptor *type, rs_span body, uint64_t without);

/* read_graph.c: the GraphProto. */
bool rs_reader_graph(rs_reader *r, rs_span body);

#endif
