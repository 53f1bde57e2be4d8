/* SPDX-License-Identifier: 0BSD */
/* MessagePack (github.com/msgpack/msgpack/blob/master/spec.md), pulled token by token: a header, and then its bytes. */
#ifndef RS_WEIGHTS_MSGPACK_H
#define RS_WEIGHTS_MSGPACK_H

#include "base/mem.h"

typedef enum rs_msgpack_kind {
        RS_MSGPACK_NIL,
        RS_MSGPACK_BOOL,
        RS_MSGPACK_UINT,
        RS_MSGPACK_INT, /* below 0 */
        RS_MSGPACK_FLOAT,
        RS_MSGPACK_STR,
        RS_MSGPACK_BIN,
        RS_MSGPACK_ARRAY,
        RS_MSGPACK_MAP,
        RS_MSGPACK_EXT
} rs_msgpack_kind;

typedef struct rs_msgpack {
        rs_msgpack_kind kind;
        uint64_t n;    /* BOOL, UINT: the value; INT: its two's complement; STR, BIN, EXT: bytes that follow; ARRAY, MAP: values or pairs */
        double number; /* FLOAT */
        int type;      /* EXT */
} rs_msgpack;

/* Takes a header off the front of *rest, and nothing of the bytes or values that follow. False, with *rest as it was, when it is cut
   or is no MessagePack. */
bool rs_msgpack_next(rs_span *rest, rs_msgpack *t);
/* Takes the bytes of a STR, BIN or EXT; false when they are not all there. */
bool rs_msgpack_body(rs_span *rest, const rs_msgpack *t, rs_span *body);

/* Writes a header in its shortest form. */
void rs_msgpack_put_uint(rs_buf *b, uint64_t n);
void rs_msgpack_put_map(rs_buf *b, size_t pairs);
void rs_msgpack_put_array(rs_buf *b, size_t values);
void rs_msgpack_put_str(rs_buf *b, const char *s, size_t n); /* with its bytes */
void rs_msgpack_put_bin(rs_buf *b, size_t n);
void rs_msgpack_put_ext(rs_buf *b, int type, size_t n);

#endif
