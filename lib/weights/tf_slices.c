/* SPDX-License-Identifier: 0BSD */
/*
 * Slices of TensorFlow's partitioned variables: what they cover, and the keys that they are stored
 * under. A key is 0, the variable's name, its rank, and of each axis start and length, in an
 * encoding whose order is that of the values (tensorflow/core/lib/strings/ordered_code.cc): bytes 0
 * and 255 of a name are escaped and 0 1 ends it; a number without a sign is its length in bytes and
 * then these; one with a sign says how long it is in its leading bits.
 */
#include <string.h>
#include "onnx/wire.h"
#include "weights/tf.h"

/* TensorSliceProto's extent: start 1, length 2, which is absent when it is the whole axis. */
bool
rs_tf_slice_parse(rs_span wire, rs_tf_slice *out)
{
        rs_field f, g;
        *out = (rs_tf_slice){0};
        while (rs_wire_next(&wire, &f)) {
                if (f.number != 1 || f.type != RS_WIRE_LEN)
                        continue;
                if (out->rank == RESECT_RANK_MAX)
                        return false;
                int64_t start = 0, length = -1;
                while (rs_wire_next(&f.body, &g))
                        if (g.type == RS_WIRE_VARINT && g.value <= INT64_MAX) {
                                if (g.number == 1)
                                        start = (int64_t)g.value;
                                else if (g.number == 2)
                                        length = (int64_t)g.value;
                        }
                if (f.body.size)
                        return false;
                out->at[out->rank].start = start;
                out->at[out->rank++].length = length;
        }
        return wire.size == 0;
}

static void
put(rs_buf *b, unsigned c)
{
        rs_buf_add(b, &(unsigned char){(unsigned char)c}, 1);
}

static void
put_natural(rs_buf *b, uint64_t v)
{
        unsigned n = 0;
        while (n < 8 && v >> 8 * n)
                n++;
        put(b, n);
        while (n-- > 0)
                put(b, (unsigned)(v >> 8 * n) & 0xff);
}

/* -1 or more. As many bytes as 7 bits and a sign each need; so many leading ones mark the length of
 * a number that is not negative. */
static void
put_signed(rs_buf *b, int64_t v)
{
        unsigned char s[10] = {0};
        unsigned n = 1;
        if (v < 64) {
                put(b, 0x80 ^ ((unsigned)v & 0xff));
                return;
        }
        while (n < 10 && n * 7 - 1 < 63 && (uint64_t)v >> (n * 7 - 1))
                n++;
        for (unsigned i = 0; i < 8; i++)
                s[9 - i] = (unsigned char)((uint64_t)v >> 8 * i);
        unsigned char *from = s + 10 - n;
        for (unsigned bit = 0; bit < n; bit++)
                from[bit / 8] ^= (unsigned char)(0x80 >> bit % 8);
        rs_buf_add(b, from, n);
}

void
rs_tf_slice_key(rs_buf *b, const char *name, const rs_tf_slice *s)
{
        put_natural(b, 0);
        for (const char *p = name; *p; p++) {
                put(b, (unsigned char)*p);
                if ((unsigned char)*p == 0xff)
                        put(b, 0);
        }
        put(b, 0);
        put(b, 1);
        put_natural(b, (uint64_t)s->rank);
        for (int i = 0; i < s->rank; i++) {
                put_signed(b, s->at[i].length < 0 ? 0 : s->at[i].start);
                put_signed(b, s->at[i].length);
        }
}
