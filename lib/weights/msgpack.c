/* SPDX-License-Identifier: 0BSD */
/* MessagePack's headers: one table of what the first byte says. Nothing nests here. */
#include "weights/msgpack.h"

#include <string.h>

static uint64_t
big(const unsigned char *p, unsigned n)
{
        uint64_t v = 0;
        for (unsigned i = 0; i < n; i++)
                v = v << 8 | p[i];
        return v;
}

/* The first bytes 0xc0 to 0xdf: what comes, how many bytes of number follow, and for fixext how
 * many bytes of body. */
static const struct {
        rs_msgpack_kind kind;
        unsigned char bytes, fixed;
        bool is_signed, bad;
} heads[32] = {
        [0x00] = {RS_MSGPACK_NIL, 0, 0, false, false},
        [0x01] = {.bad = true},
        [0x02] = {RS_MSGPACK_BOOL, 0, 0, false, false},
        [0x03] = {RS_MSGPACK_BOOL, 0, 0, false, false},
        [0x04] = {RS_MSGPACK_BIN, 1, 0, false, false},
        [0x05] = {RS_MSGPACK_BIN, 2, 0, false, false},
        [0x06] = {RS_MSGPACK_BIN, 4, 0, false, false},
        [0x07] = {RS_MSGPACK_EXT, 1, 0, false, false},
        [0x08] = {RS_MSGPACK_EXT, 2, 0, false, false},
        [0x09] = {RS_MSGPACK_EXT, 4, 0, false, false},
        [0x0a] = {RS_MSGPACK_FLOAT, 4, 0, false, false},
        [0x0b] = {RS_MSGPACK_FLOAT, 8, 0, false, false},
        [0x0c] = {RS_MSGPACK_UINT, 1, 0, false, false},
        [0x0d] = {RS_MSGPACK_UINT, 2, 0, false, false},
        [0x0e] = {RS_MSGPACK_UINT, 4, 0, false, false},
        [0x0f] = {RS_MSGPACK_UINT, 8, 0, false, false},
        [0x10] = {RS_MSGPACK_INT, 1, 0, true, false},
        [0x11] = {RS_MSGPACK_INT, 2, 0, true, false},
        [0x12] = {RS_MSGPACK_INT, 4, 0, true, false},
        [0x13] = {RS_MSGPACK_INT, 8, 0, true, false},
        [0x14] = {RS_MSGPACK_EXT, 0, 1, false, false},
        [0x15] = {RS_MSGPACK_EXT, 0, 2, false, false},
        [0x16] = {RS_MSGPACK_EXT, 0, 4, false, false},
        [0x17] = {RS_MSGPACK_EXT, 0, 8, false, false},
        [0x18] = {RS_MSGPACK_EXT, 0, 16, false, false},
        [0x19] = {RS_MSGPACK_STR, 1, 0, false, false},
        [0x1a] = {RS_MSGPACK_STR, 2, 0, false, false},
        [0x1b] = {RS_MSGPACK_STR, 4, 0, false, false},
        [0x1c] = {RS_MSGPACK_ARRAY, 2, 0, false, false},
        [0x1d] = {RS_MSGPACK_ARRAY, 4, 0, false, false},
        [0x1e] = {RS_MSGPACK_MAP, 2, 0, false, false},
        [0x1f] = {RS_MSGPACK_MAP, 4, 0, false, false},
};

static void
set_float(rs_msgpack *t, uint64_t bits, unsigned bytes)
{
        if (bytes == 4) {
                uint32_t low = (uint32_t)bits;
                float f;
                memcpy(&f, &low, 4);
                t->number = (double)f;
        } else
                memcpy(&t->number, &bits, 8);
}

static bool
long_head(rs_span *rest, rs_msgpack *t)
{
        unsigned first = rest->data[0] - 0xc0u, bytes = heads[first].bytes;
        unsigned size = 1 + bytes + (heads[first].kind == RS_MSGPACK_EXT);
        if (heads[first].bad || rest->size < size)
                return false;
        uint64_t n = big(rest->data + 1, bytes);
        *t = (rs_msgpack){.kind = heads[first].kind, .n = n};
        if (heads[first].is_signed) {
                uint64_t sign = UINT64_C(1) << (8 * bytes - 1);
                t->n = (n ^ sign) - sign;
                t->kind = n & sign ? RS_MSGPACK_INT : RS_MSGPACK_UINT;
        } else if (t->kind == RS_MSGPACK_FLOAT)
                set_float(t, n, bytes);
        else if (t->kind == RS_MSGPACK_BOOL)
                t->n = rest->data[0] & 1;
        else if (t->kind == RS_MSGPACK_EXT) {
                t->type = (signed char)rest->data[size - 1];
                t->n = heads[first].fixed ? heads[first].fixed : n;
        }
        *rest = (rs_span){rest->data + size, rest->size - size};
        return true;
}

bool
rs_msgpack_next(rs_span *rest, rs_msgpack *t)
{
        if (!rest->size)
                return false;
        unsigned char b = rest->data[0];
        if (b >= 0xc0 && b < 0xe0)
                return long_head(rest, t);
        if (b < 0x80)
                *t = (rs_msgpack){.kind = RS_MSGPACK_UINT, .n = b};
        else if (b < 0x90)
                *t = (rs_msgpack){.kind = RS_MSGPACK_MAP, .n = b & 0xf};
        else if (b < 0xa0)
                *t = (rs_msgpack){.kind = RS_MSGPACK_ARRAY, .n = b & 0xf};
        else if (b < 0xc0)
                *t = (rs_msgpack){.kind = RS_MSGPACK_STR, .n = b & 0x1f};
        else
                *t = (rs_msgpack){.kind = RS_MSGPACK_INT, .n = (uint64_t)b - 256};
        *rest = (rs_span){rest->data + 1, rest->size - 1};
        return true;
}

bool
rs_msgpack_body(rs_span *rest, const rs_msgpack *t, rs_span *body)
{
        if (t->n > rest->size)
                return false;
        *body = (rs_span){rest->data, (size_t)t->n};
        *rest = (rs_span){rest->data + t->n, rest->size - (size_t)t->n};
        return true;
}

/* A first byte and n as a big-endian number of so many bytes. */
static void
put(rs_buf *b, unsigned first, uint64_t n, unsigned bytes)
{
        unsigned char s[9] = {(unsigned char)first};
        for (unsigned i = 0; i < bytes; i++)
                s[bytes - i] = (unsigned char)(n >> 8 * i);
        rs_buf_add(b, s, 1 + bytes);
}

void
rs_msgpack_put_uint(rs_buf *b, uint64_t n)
{
        if (n < 0x80)
                put(b, (unsigned)n, 0, 0);
        else if (n <= 0xff)
                put(b, 0xcc, n, 1);
        else if (n <= 0xffff)
                put(b, 0xcd, n, 2);
        else if (n <= 0xffffffff)
                put(b, 0xce, n, 4);
        else
                put(b, 0xcf, n, 8);
}

void
rs_msgpack_put_map(rs_buf *b, size_t n)
{
        if (n < 16)
                put(b, 0x80 | (unsigned)n, 0, 0);
        else
                put(b, n <= 0xffff ? 0xde : 0xdf, n, n <= 0xffff ? 2 : 4);
}

void
rs_msgpack_put_array(rs_buf *b, size_t n)
{
        if (n < 16)
                put(b, 0x90 | (unsigned)n, 0, 0);
        else
                put(b, n <= 0xffff ? 0xdc : 0xdd, n, n <= 0xffff ? 2 : 4);
}

void
rs_msgpack_put_str(rs_buf *b, const char *s, size_t n)
{
        if (n < 32)
                put(b, 0xa0 | (unsigned)n, 0, 0);
        else if (n <= 0xff)
                put(b, 0xd9, n, 1);
        else
                put(b, n <= 0xffff ? 0xda : 0xdb, n, n <= 0xffff ? 2 : 4);
        rs_buf_add(b, s, n);
}

void
rs_msgpack_put_bin(rs_buf *b, size_t n)
{
        if (n <= 0xff)
                put(b, 0xc4, n, 1);
        else
                put(b, n <= 0xffff ? 0xc5 : 0xc6, n, n <= 0xffff ? 2 : 4);
}

void
rs_msgpack_put_ext(rs_buf *b, int type, size_t n)
{
        unsigned char code = (unsigned char)type;
        if (n == 1 || n == 2 || n == 4 || n == 8 || n == 16)
                put(b, n == 1 ? 0xd4 : n == 2 ? 0xd5 : n == 4 ? 0xd6 : n == 8 ? 0xd7 : 0xd8, 0, 0);
        else if (n <= 0xff)
                put(b, 0xc7, n, 1);
        else
                put(b, n <= 0xffff ? 0xc8 : 0xc9, n, n <= 0xffff ? 2 : 4);
        rs_buf_add(b, &code, 1);
}
