/* SPDX-License-Identifier: 0BSD */
/*
 * The values of a tensor, wherever they are. Raw ones are lent as they stand; typed ones
 * (float_data, int32_data ...) are decoded when asked for, except that one packed run of floats or
 * doubles already is its raw layout; external ones are lent from the mapped file.
 */
#include "config.h"
#include "onnx/payload.h"

#include <string.h>
#include "io/input.h"
#include "onnx.pb-c.h"
#include "onnx/external.h"
#include "onnx/guard.h"
#include "onnx/wire.h"
#include "tensor/dtype.h"

static void
store(unsigned char *at, uint64_t v, size_t width)
{
        for (size_t i = 0; i < width; i++)
                at[i] = (unsigned char)(v >> (8 * i));
}

void
rs_payload_decode(rs_span wire, const rs_scan *s, unsigned char *out)
{
        unsigned bits = rs_dtype_bits(s->dtype);
        size_t width = bits < 8 ? 1 : bits / 8;
        if (s->dtype == RESECT_COMPLEX64 || s->dtype == RESECT_COMPLEX128)
                width /= 2;
        unsigned char *at = out, *end = out + s->bytes;
        for (rs_field f; rs_wire_next(&wire, &f);) {
                if (f.number != s->typed)
                        continue;
                rs_span rest = f.body;
                if (f.type != RS_WIRE_LEN) {
                        if ((size_t)(end - at) >= width) {
                                store(at, f.value, width);
                                at += width;
                        }
                } else if (s->typed == RS_TENSOR_FLOAT_DATA || s->typed == RS_TENSOR_DOUBLE_DATA) {
                        size_t n = rest.size < (size_t)(end - at) ? rest.size : (size_t)(end - at);
                        if (n)
                                memcpy(at, rest.data, n);
                        at += n;
                } else {
                        for (uint64_t v; (size_t)(end - at) >= width && rs_wire_varint(&rest, &v);
                                at += width)
                                store(at, v, width);
                }
        }
}

/* The typed field when it is one packed run whose bytes are the raw layout. */
static bool
is_raw_already(rs_span wire, const rs_scan *s, rs_span *out)
{
        if (s->typed != RS_TENSOR_FLOAT_DATA && s->typed != RS_TENSOR_DOUBLE_DATA)
                return false;
        for (rs_field f; rs_wire_next(&wire, &f);)
                if (f.number == s->typed && f.type == RS_WIRE_LEN && f.body.size == s->bytes) {
                        *out = f.body;
                        return true;
                }
        return false;
}

static bool
typed_bytes(
        const resect_model *m, const rs_tensor *t, rs_arena *arena, rs_span *out, resect_error *err)
{
        rs_scan s;
        if (t->dtype == RESECT_STRING)
                return rs_fail(err, RESECT_UNSUPPORTED, "%s: tensor %s: strings are no numbers",
                        m->path, t->name);
        if (!rs_scan_tensor(t->wire, &s, err))
                return rs_fail_at(err, "%s", m->path);
        if (s.bytes != t->bytes || s.dtype != t->dtype)
                return rs_fail(err, RESECT_GRAPH,
                        "%s: tensor %s: its values are not of its new shape", m->path, t->name);
        if (is_raw_already(t->wire, &s, out))
                return true;
        unsigned char *p = rs_arena_alloc(arena, s.bytes, 1, err);
        if (!p)
                return false;
        rs_payload_decode(t->wire, &s, p);
        *out = (rs_span){p, s.bytes};
        return true;
}

bool
rs_tensor_bytes(
        const resect_model *m, const rs_tensor *t, rs_arena *arena, rs_span *out, resect_error *err)
{
        switch (t->where) {
        case RS_EXTERNAL:
                return rs_external_bytes(m, t, out, err);
        case RS_TYPED:
                return typed_bytes(m, t, arena, out, err);
        default:
                *out = t->data;
                return true;
        }
}

static bool
scan_file(const rs_input *in, rs_scan *s, resect_error *err)
{
        rs_span wire = {in->data, in->size};
        if (!rs_guard(wire, &onnx__tensor_proto__descriptor, NULL, NULL, err) ||
                !rs_scan_tensor(wire, s, err))
                return false;
        if (s->external)
                return rs_fail(err, RESECT_UNSUPPORTED, "a tensor file with external data");
        if (s->rank > RESECT_RANK_MAX)
                return rs_fail(err, RESECT_UNSUPPORTED, "%d dimensions, more than %d", s->rank,
                        RESECT_RANK_MAX);
        return true;
}

static bool
fill_tensor(resect_tensor *t, const rs_input *in, const rs_scan *s, resect_error *err)
{
        if (!resect_tensor_make(t, (resect_dtype)s->dtype, s->rank, s->dims, err))
                return false;
        unsigned char *raw = s->raw ? NULL : rs_alloc(s->bytes, 1, err);
        if (!s->raw && !raw) {
                resect_tensor_free(t);
                return false;
        }
        if (raw)
                rs_payload_decode((rs_span){in->data, in->size}, s, raw);
        if (s->bytes)
                rs_from_little(t->data, raw ? raw : s->data.data, s->dtype, s->count);
        rs_free(raw);
        return true;
}

bool
resect_tensor_read_pb(
        resect_tensor *t, const char *path, char *name, size_t name_size, resect_error *err)
{
        rs_scan s;
        rs_input *in = rs_input_open(path, 0, err);
        *t = (resect_tensor){0};
        if (!in)
                return false;
        bool ok = scan_file(in, &s, err) && fill_tensor(t, in, &s, err);
        if (!ok)
                rs_fail_at(err, "%s", path);
        if (ok && name && name_size) {
                size_t n = s.name.size < name_size ? s.name.size : name_size - 1;
                if (n)
                        memcpy(name, s.name.data, n);
                name[n] = '\0';
        }
        rs_input_free(in);
        return ok;
}
