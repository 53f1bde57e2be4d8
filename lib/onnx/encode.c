/* SPDX-License-Identifier: 0BSD */
/*
 * The span list. Neighbours in memory become one span: a model that nothing touched is written with
 * a handful of spans however many tensors it has, and one with a few changes with a few more.
 */
#include "onnx/encode.h"

#include <string.h>
#include "onnx/wire.h"

enum { INK = 4096, HEADER_MAX = 20 };

void
rs_encoder_free(rs_encoder *e)
{
        rs_free(e->spans);
        rs_arena_free(&e->arena);
        *e = (rs_encoder){.failed = false};
}

static bool
room_for_span(rs_encoder *e)
{
        if (e->failed)
                return false;
        if (e->n < e->cap)
                return true;
        size_t cap = e->cap ? e->cap * 2 : 64;
        rs_span *p = rs_grow(e->spans, cap, sizeof *p, NULL);
        if (!p)
                return !(e->failed = true);
        e->spans = p;
        e->cap = cap;
        return true;
}

void
rs_encode_span(rs_encoder *e, rs_span s)
{
        if (s.size == 0 || e->failed)
                return;
        rs_span *last = e->n ? &e->spans[e->n - 1] : NULL;
        if (last && last->size && last->data + last->size == s.data) {
                last->size += s.size;
        } else {
                if (!room_for_span(e))
                        return;
                e->spans[e->n++] = s;
        }
        e->total += s.size;
}

/* A copy of n bytes, n at most INK. */
static const unsigned char *
ink(rs_encoder *e, const void *bytes, size_t n)
{
        if ((size_t)(e->ink_end - e->ink) < n) {
                unsigned char *p = RS_NEW(&e->arena, INK, unsigned char, NULL);
                if (!p) {
                        e->failed = true;
                        return NULL;
                }
                e->ink = p;
                e->ink_end = p + INK;
        }
        unsigned char *at = memcpy(e->ink, bytes, n);
        e->ink += n;
        return at;
}

static void
copy(rs_encoder *e, const void *bytes, size_t n)
{
        const unsigned char *from = bytes;
        while (n > 0 && !e->failed) {
                size_t step = n < INK ? n : INK;
                const unsigned char *at = ink(e, from, step);
                if (at)
                        rs_encode_span(e, (rs_span){at, step});
                from += step;
                n -= step;
        }
}

static size_t
make_header(unsigned char *at, uint32_t field, enum rs_wire_type type, uint64_t value)
{
        size_t n = rs_wire_put_varint(at, (uint64_t)field << 3 | type);
        return n + rs_wire_put_varint(at + n, value);
}

void
rs_encode_number(rs_encoder *e, uint32_t field, int64_t value)
{
        unsigned char b[HEADER_MAX];
        copy(e, b, make_header(b, field, RS_WIRE_VARINT, (uint64_t)value));
}

void
rs_encode_float(rs_encoder *e, uint32_t field, float value)
{
        unsigned char b[HEADER_MAX];
        uint32_t bits;
        memcpy(&bits, &value, sizeof bits);
        size_t n = rs_wire_put_varint(b, (uint64_t)field << 3 | RS_WIRE_32);
        for (int i = 0; i < 4; i++)
                b[n++] = (unsigned char)(bits >> (8 * i));
        copy(e, b, n);
}

static void
header(rs_encoder *e, uint32_t field, uint64_t length)
{
        unsigned char b[HEADER_MAX];
        copy(e, b, make_header(b, field, RS_WIRE_LEN, length));
}

void
rs_encode_text(rs_encoder *e, uint32_t field, const char *text)
{
        size_t n = strlen(text);
        header(e, field, n);
        copy(e, text, n);
}

void
rs_encode_bytes(rs_encoder *e, uint32_t field, rs_span body)
{
        header(e, field, body.size);
        rs_encode_span(e, body);
}

void
rs_encode_old(rs_encoder *e, uint32_t field, rs_span body)
{
        unsigned char b[HEADER_MAX];
        size_t n = make_header(b, field, RS_WIRE_LEN, body.size);
        uintptr_t start = (uintptr_t)e->source.data, at = (uintptr_t)body.data;
        bool inside =
                e->source.data && at >= start && at - start >= n && at - start <= e->source.size;
        if (inside && memcmp(body.data - n, b, n) == 0)
                rs_encode_span(e, (rs_span){body.data - n, body.size + n});
        else
                rs_encode_bytes(e, field, body);
}

rs_mark
rs_encode_begin(rs_encoder *e)
{
        rs_mark mark = {e->n, e->total};
        if (room_for_span(e))
                e->spans[e->n++] = (rs_span){NULL, 0}; /* the header's place */
        return mark;
}

void
rs_encode_end(rs_encoder *e, uint32_t field, rs_mark mark)
{
        unsigned char b[HEADER_MAX];
        size_t n = make_header(b, field, RS_WIRE_LEN, e->total - mark.total);
        const unsigned char *at = e->failed ? NULL : ink(e, b, n);
        if (!at)
                return;
        e->spans[mark.slot] = (rs_span){at, n};
        e->total += n;
}
