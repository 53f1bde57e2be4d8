/* SPDX-License-Identifier: 0BSD */
/*
 * Slices of TensorFlow's partitioned variables: what they cover, the keys that they are stored
 * under, and how a variable is put together from them. A key is 0, the variable's name, its rank,
 * and of each axis start and length, in an encoding whose order is that of the values
 * (tensorflow/core/lib/strings/ordered_code.cc): bytes 0 and 255 of a name are escaped and 0 1 ends
 * it; a number without a sign is its length in bytes and then these; one with a sign says how long
 * it is in its leading bits.
 */
#include <stdlib.h>
#include <string.h>
#include "onnx/wire.h"
#include "weights/tf.h"

bool
rs_tf_shape_parse(rs_span s, rs_tf_shape *out)
{
        rs_field f, d;
        *out = (rs_tf_shape){0};
        while (rs_wire_next(&s, &f)) {
                out->unknown_rank |= f.number == 3 && f.type == RS_WIRE_VARINT && f.value;
                if (f.number != 2 || f.type != RS_WIRE_LEN)
                        continue;
                uint64_t size = 0;
                rs_span dim = f.body;
                while (rs_wire_next(&dim, &d))
                        if (d.number == 1 && d.type == RS_WIRE_VARINT)
                                size = d.value;
                if (dim.size || size > INT64_MAX)
                        return false;
                if (out->rank <= RESECT_RANK_MAX)
                        out->dims[out->rank++] = (int64_t)size;
        }
        return s.size == 0;
}

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
                while (rs_wire_next(&f.body, &g)) {
                        if (g.type != RS_WIRE_VARINT || (g.number != 1 && g.number != 2))
                                continue;
                        if (g.value > INT64_MAX)
                                return false;
                        *(g.number == 1 ? &start : &length) = (int64_t)g.value;
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

/* Records */

bool
rs_tf_records_add(rs_tf_records *r, rs_arena *a, rs_span key, rs_span value, resect_error *err)
{
        if (r->n == r->cap) {
                size_t cap = r->cap * 2 + 64;
                struct rs_tf_record *more = rs_grow(r->list, cap, sizeof *more, err);
                if (!more)
                        return false;
                r->list = more;
                r->cap = cap;
        }
        unsigned char *copy = rs_arena_alloc(a, key.size, 1, err);
        if (!copy)
                return false;
        memcpy(copy, key.data, key.size);
        r->list[r->n++] = (struct rs_tf_record){{copy, key.size}, value};
        return true;
}

bool
rs_tf_records_find(const rs_tf_records *r, const char *name, const rs_tf_slice *s, rs_span *value,
        resect_error *err)
{
        rs_buf b = {0};
        size_t low = 0, high = r->n;
        bool found = false, oom;
        rs_tf_slice_key(&b, name, s);
        oom = b.oom;
        while (!oom && low < high && !found) {
                size_t mid = low + (high - low) / 2;
                const rs_span *k = &r->list[mid].key;
                size_t n = k->size < b.size ? k->size : b.size;
                int order = memcmp(k->data, b.data, n);
                order = order ? order : (k->size > b.size) - (k->size < b.size);
                found = order == 0;
                if (found)
                        *value = r->list[mid].value;
                else if (order < 0)
                        low = mid + 1;
                else
                        high = mid;
        }
        rs_buf_free(&b);
        if (oom)
                return rs_fail_nomem(err);
        return found || rs_fail(err, RESECT_FORMAT, "a part of it is missing");
}

/* Parts */

rs_tf_parts *
rs_tf_parts_make(rs_arena *a, size_t n, resect_error *err)
{
        size_t size;
        if (n > RS_TF_PARTS_MAX) {
                rs_fail(err, RESECT_UNSUPPORTED, "more than %d parts", RS_TF_PARTS_MAX);
                return NULL;
        }
        if (!rs_mul(n, sizeof(struct rs_tf_part), &size) ||
                !rs_add(size, sizeof(rs_tf_parts), &size))
                return RS_NOMEM_NULL(err);
        rs_tf_parts *p = rs_arena_alloc(a, size, 1, err);
        if (p)
                *p = (rs_tf_parts){.cap = n, .rows = 1, .axis = -1};
        return p;
}

static bool
part_wrong(resect_error *err)
{
        return rs_fail(
                err, RESECT_UNSUPPORTED, "its parts do not lie beside each other along one axis");
}

bool
rs_tf_parts_add(rs_tf_parts *p, const rs_tf_slice *s, const rs_tf_shape *whole,
        int64_t dims[RESECT_RANK_MAX], resect_error *err)
{
        struct rs_tf_part part = {.length = -1};
        if (s->rank != whole->rank || p->n == p->cap)
                return rs_fail(err, RESECT_FORMAT, "a part of it is damaged");
        for (int d = 0; d < s->rank; d++) {
                dims[d] = whole->dims[d];
                if (s->at[d].length < 0 || (!s->at[d].start && s->at[d].length == whole->dims[d]))
                        continue;
                if ((p->axis >= 0 && p->axis != d) || part.length >= 0)
                        return part_wrong(err);
                p->axis = d;
                part.start = s->at[d].start;
                dims[d] = part.length = s->at[d].length;
        }
        if (part.length < 0 && p->cap > 1)
                return part_wrong(err);
        p->at[p->n++] = part;
        return true;
}

static int
by_start(const void *a, const void *b)
{
        int64_t x = ((const struct rs_tf_part *)a)->start,
                y = ((const struct rs_tf_part *)b)->start;
        return (x > y) - (x < y);
}

bool
rs_tf_parts_end(rs_tf_parts *p, const rs_tf_shape *whole, size_t width, resect_error *err)
{
        int64_t next = 0;
        size_t row = width; /* bytes of one step along the axis; no more than the variable has */
        if (p->n != p->cap || !p->n)
                return part_wrong(err);
        for (int d = whole->rank - 1; d > p->axis; d--)
                row *= (size_t)whole->dims[d];
        if (p->axis < 0) {
                p->at[0].run = row;
                return true;
        }
        /* who saves them sorts w/part_10 before w/part_2 */
        qsort(p->at, p->n, sizeof *p->at, by_start);
        for (size_t i = 0; i < p->n; i++) {
                if (p->at[i].start != next ||
                        __builtin_add_overflow(next, p->at[i].length, &next) ||
                        next > whole->dims[p->axis])
                        return part_wrong(err);
                p->at[i].run = (size_t)p->at[i].length * row;
        }
        if (next != whole->dims[p->axis])
                return part_wrong(err);
        for (int d = 0; d < p->axis; d++)
                p->rows *= (size_t)whole->dims[d]; /* no more than there are elements */
        return true;
}

bool
rs_tf_parts_fetch(const rs_tf_parts *p, size_t bytes, rs_arena *scratch, rs_span *out,
        bool (*get)(const void *from, rs_arena *scratch, rs_span *out, resect_error *err),
        resect_error *err)
{
        if (p->n == 1)
                return get(p->at[0].from, scratch, out, err);
        unsigned char *to = rs_arena_alloc(scratch, bytes, 1, err), *at = to;
        *out = (rs_span){to, bytes};
        for (size_t i = 0; to && i < p->n; at += p->at[i++].run) {
                rs_span part;
                if (!get(p->at[i].from, scratch, &part, err))
                        return false;
                for (size_t row = 0; p->at[i].run && row < p->rows; row++)
                        memcpy(at + row * (bytes / p->rows), part.data + row * p->at[i].run,
                                p->at[i].run);
        }
        return to;
}
