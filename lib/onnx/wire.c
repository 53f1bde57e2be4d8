/* SPDX-License-Identifier: 0BSD */
/*
 * Every step checks what it takes against what is there, so these functions are safe on any bytes;
 * the guard asks them first and says what is wrong, everybody after it can take success for
 * granted.
 */
#include "onnx/wire.h"

enum { TAG_BYTES = 5, LENGTH_BYTES = 5, VARINT_BYTES = 10, NUMBER_MAX = (1 << 29) - 1 };

bool
rs_wire_varint(rs_span *rest, uint64_t *value)
{
        uint64_t v = 0;
        for (size_t i = 0; i < rest->size && i < VARINT_BYTES; i++) {
                unsigned char b = rest->data[i];
                if (i == VARINT_BYTES - 1 && b > 1)
                        return false; /* more than 64 bits */
                v |= (uint64_t)(b & 0x7f) << (7 * i);
                if (b < 0x80) {
                        rest->data += i + 1;
                        rest->size -= i + 1;
                        *value = v;
                        return true;
                }
        }
        return false;
}

static bool
take(rs_span *rest, size_t n)
{
        if (n > rest->size)
                return false;
        rest->data += n;
        rest->size -= n;
        return true;
}

bool
rs_wire_next(rs_span *rest, rs_field *f)
{
        rs_span at = *rest;
        uint64_t tag, length;
        if (at.size == 0 || !rs_wire_varint(&at, &tag))
                return false;
        size_t tag_bytes = (size_t)(at.data - rest->data);
        bool overlong = tag_bytes > TAG_BYTES || (tag_bytes > 1 && at.data[-1] == 0);
        if (overlong || tag >> 3 == 0 || tag >> 3 > NUMBER_MAX)
                return false;
        f->number = (uint32_t)(tag >> 3);
        f->type = (enum rs_wire_type)(tag & 7);
        const unsigned char *start = at.data;
        switch (f->type) {
        case RS_WIRE_VARINT:
                if (!rs_wire_varint(&at, &f->value))
                        return false;
                break;
        case RS_WIRE_64:
                if (!take(&at, 8))
                        return false;
                f->value = rs_wire_load64(start);
                break;
        case RS_WIRE_32:
                if (!take(&at, 4))
                        return false;
                f->value = rs_wire_load32(start);
                break;
        case RS_WIRE_LEN:
                if (!rs_wire_varint(&at, &length) || at.data - start > LENGTH_BYTES ||
                        length > at.size)
                        return false;
                f->body = (rs_span){at.data, (size_t)length};
                take(&at, (size_t)length);
                break;
        default: /* groups, and two types that do not exist */
                return false;
        }
        f->whole = (rs_span){rest->data, (size_t)(at.data - rest->data)};
        *rest = at;
        return true;
}

size_t
rs_wire_put_varint(unsigned char *at, uint64_t value)
{
        size_t n = 0;
        for (; value >= 0x80; value >>= 7)
                at[n++] = (unsigned char)(value | 0x80);
        at[n++] = (unsigned char)value;
        return n;
}

uint32_t
rs_wire_load32(const unsigned char *p)
{
        return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

uint64_t
rs_wire_load64(const unsigned char *p)
{
        return rs_wire_load32(p) | (uint64_t)rs_wire_load32(p + 4) << 32;
}
