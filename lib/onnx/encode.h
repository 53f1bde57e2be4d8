/* SPDX-License-Identifier: 0BSD */
/*
 * Writing protobuf as a list of spans: what is new is put into small blocks, what was there is
 * pointed at, and messages whose length is known only at their end get their header then.
 */
#ifndef RS_ONNX_ENCODE_H
#define RS_ONNX_ENCODE_H

#include "model/model.h"

typedef struct rs_encoder {
        rs_arena arena;
        rs_span *spans;
        size_t n, cap;
        uint64_t total;               /* bytes in spans */
        unsigned char *ink, *ink_end; /* room for new bytes */
        rs_span source; /* the input's bytes: an old header there is taken as it is, so that spans
                           join */
        bool failed;    /* memory ran out; asked once, at the end */
} rs_encoder;

void rs_encoder_free(rs_encoder *e);

/* Bytes that outlive the encoder: pointed at. */
void rs_encode_span(rs_encoder *e, rs_span s);

/* Fields. Bytes of _text and _number are copied, those of _bytes pointed at. */
void rs_encode_number(rs_encoder *e, uint32_t field, int64_t value);
void rs_encode_float(rs_encoder *e, uint32_t field, float value);
void rs_encode_text(rs_encoder *e, uint32_t field, const char *text);
void rs_encode_bytes(rs_encoder *e, uint32_t field, rs_span body);
/* The same, joined with the span before when body still has its header in front of it. */
void rs_encode_old(rs_encoder *e, uint32_t field, rs_span body);

/* A message of its own: mark = begin, its fields, end(mark). */
typedef struct rs_mark {
        size_t slot;
        uint64_t total;
} rs_mark;
rs_mark rs_encode_begin(rs_encoder *e);
void rs_encode_end(rs_encoder *e, uint32_t field, rs_mark mark);

/* write.c: how many bytes resect_model_write would write. */
bool rs_model_size(const resect_model *m, uint64_t *bytes, resect_error *err) RESECT_MUST;

/* encode_graph.c: the whole graph as a field. */
void rs_encode_graph(rs_encoder *e, uint32_t field, const rs_graph *g);

#endif
