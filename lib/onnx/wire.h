/* SPDX-License-Identifier: 0BSD */
/* Protocol buffers' wire format: taking one field after another off a message, and the sizes of
 * what we write. */
#ifndef RS_ONNX_WIRE_H
#define RS_ONNX_WIRE_H

#include "base/mem.h"

enum rs_wire_type { RS_WIRE_VARINT = 0, RS_WIRE_64 = 1, RS_WIRE_LEN = 2, RS_WIRE_32 = 5 };

typedef struct rs_field {
        uint32_t number;
        enum rs_wire_type type;
        uint64_t value; /* RS_WIRE_VARINT, _64, _32 */
        rs_span body;   /* RS_WIRE_LEN */
        rs_span whole;  /* the field with its tag */
} rs_field;

/* Takes a varint off the front of *rest: at most 10 bytes and 64 bits. */
bool rs_wire_varint(rs_span *rest, uint64_t *value);

/* Takes a field off the front of *rest. False at the end and, with rest->size > 0 left as it was,
   when there is no valid field: a number of 0 or beyond 2^29 - 1, an overlong tag, a group, a
   length of more than 5 bytes or beyond the end. */
bool rs_wire_next(rs_span *rest, rs_field *f);

/* Writes a varint (at most 10 bytes) and returns its length. */
size_t rs_wire_put_varint(unsigned char *at, uint64_t value);

uint32_t rs_wire_load32(const unsigned char *p); /* little-endian, any alignment */
uint64_t rs_wire_load64(const unsigned char *p);

#endif
