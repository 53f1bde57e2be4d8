/* SPDX-License-Identifier: 0BSD */
/*
 * A declared shape is never believed: the payload that is there must be as large as dims and dtype
 * say, and nothing is allocated here at all. Every TensorProto of a model passes through this one
 * function, wherever it stands: initializers, attributes, subgraphs, functions, sparse tensors.
 */
#include "onnx/scan.h"

#include <string.h>
#include "io/beneath.h"
#include "onnx/wire.h"
#include "tensor/dtype.h"

bool
rs_scan_is_payload(uint32_t number)
{
        return (number >= RS_TENSOR_FLOAT_DATA && number <= RS_TENSOR_INT64_DATA) ||
               (number >= RS_TENSOR_RAW_DATA && number <= RS_TENSOR_UINT64_DATA);
}

static uint32_t
typed_field(int32_t dtype)
{
        switch (dtype) {
        case RESECT_FLOAT:
        case RESECT_COMPLEX64:
                return RS_TENSOR_FLOAT_DATA;
        case RESECT_DOUBLE:
        case RESECT_COMPLEX128:
                return RS_TENSOR_DOUBLE_DATA;
        case RESECT_INT64:
                return RS_TENSOR_INT64_DATA;
        case RESECT_UINT32:
        case RESECT_UINT64:
                return RS_TENSOR_UINT64_DATA;
        case RESECT_STRING:
                return RS_TENSOR_STRING_DATA;
        default: /* all narrow types travel as int32 */
                return RS_TENSOR_INT32_DATA;
        }
}

/* How many entries the typed field must have. */
static size_t
typed_entries(const rs_scan *s)
{
        if (s->dtype == RESECT_COMPLEX64 || s->dtype == RESECT_COMPLEX128)
                return s->count * 2; /* fits: bytes is eight times count at least */
        return s->dtype != RESECT_STRING && rs_dtype_bits(s->dtype) < 8 ? s->bytes : s->count;
}

/* Entries that one occurrence of a typed field adds. */
static size_t
entries(const rs_field *f)
{
        if (f->type != RS_WIRE_LEN || f->number == RS_TENSOR_STRING_DATA)
                return 1;
        if (f->number == RS_TENSOR_FLOAT_DATA)
                return f->body.size / 4;
        if (f->number == RS_TENSOR_DOUBLE_DATA)
                return f->body.size / 8;
        size_t n = 0;
        for (size_t i = 0; i < f->body.size; i++)
                n += f->body.data[i] < 0x80;
        return n;
}

static bool
add_dims(rs_scan *s, const rs_field *f, resect_error *err)
{
        rs_span rest = f->body;
        uint64_t v = f->value;
        while (f->type != RS_WIRE_LEN || rest.size > 0) {
                if (f->type == RS_WIRE_LEN && !rs_wire_varint(&rest, &v))
                        return rs_fail(err, RESECT_FORMAT, "dims are damaged");
                if (s->rank == RS_SCAN_RANK)
                        return rs_fail(
                                err, RESECT_UNSUPPORTED, "more than %d dimensions", RS_SCAN_RANK);
                s->dims[s->rank++] = (int64_t)v;
                if (f->type != RS_WIRE_LEN)
                        break;
        }
        return true;
}

/* Digits, nothing else, no leading zero, at most 2^63 - 1: what every reader reads alike. */
static bool
parse_number(rs_span text, const char *key, uint64_t *out, resect_error *err)
{
        uint64_t v = 0;
        bool ok = text.size > 0 && text.size <= 19 && (text.data[0] != '0' || text.size == 1);
        for (size_t i = 0; ok && i < text.size; i++) {
                ok = text.data[i] >= '0' && text.data[i] <= '9';
                v = v * 10 + (uint64_t)(text.data[i] - '0'); /* 19 digits fit into 64 bits */
        }
        if (!ok || v > INT64_MAX)
                return rs_fail(err, RESECT_FORMAT,
                        "external data: %s \"%.*s\" is not a number of bytes", key,
                        (int)(text.size < 40 ? text.size : 40),
                        text.data ? (const char *)text.data : "");
        *out = v;
        return true;
}

static bool
is(rs_span s, const char *text)
{
        return s.size == strlen(text) && memcmp(s.data, text, s.size) == 0;
}

/* One entry of external_data; seen has a bit a key. */
static bool
add_external(rs_scan *s, rs_span entry, unsigned *seen, resect_error *err)
{
        static const char *const keys[] = {"location", "offset", "length", "checksum", "basepath"};
        enum { LOCATION, OFFSET, LENGTH, N_KEYS = 5 };
        rs_span key = {(const unsigned char *)"", 0}, value = key;
        for (rs_field f; rs_wire_next(&entry, &f);) {
                if (f.number == 1)
                        key = f.body;
                if (f.number == 2)
                        value = f.body;
        }
        int k = 0;
        while (k < N_KEYS && !is(key, keys[k]))
                k++;
        if (k == N_KEYS)
                return rs_fail(err, RESECT_FORMAT, "external data: unknown key \"%.*s\"",
                        (int)(key.size < 40 ? key.size : 40), (const char *)key.data);
        if (*seen >> k & 1)
                return rs_fail(err, RESECT_FORMAT, "external data: %s is given twice", keys[k]);
        *seen |= 1u << k;
        if (k == LOCATION) {
                s->location = value;
                return rs_beneath_name((const char *)value.data, value.size, err) ||
                       rs_fail_at(err, "external data");
        }
        if (k == LENGTH)
                s->has_length = true;
        return k > LENGTH ||
               parse_number(value, keys[k], k == OFFSET ? &s->offset : &s->length, err);
}

static bool
check_external(rs_scan *s, unsigned seen, bool other_payload, resect_error *err)
{
        if (!(seen & 1))
                return rs_fail(err, RESECT_FORMAT, "external data without a location");
        if (other_payload)
                return rs_fail(
                        err, RESECT_FORMAT, "external data, and values in the model as well");
        if (s->dtype == RESECT_STRING)
                return rs_fail(err, RESECT_FORMAT, "strings cannot be external data");
        if (s->has_length && s->length != s->bytes)
                return rs_fail(err, RESECT_FORMAT,
                        "external data has length %llu, dtype and dims want %zu bytes",
                        (unsigned long long)s->length, s->bytes);
        s->length = s->bytes;
        if (s->offset > UINT64_MAX - s->length)
                return rs_fail(err, RESECT_FORMAT,
                        "external data: offset %llu and length %llu are too large",
                        (unsigned long long)s->offset, (unsigned long long)s->length);
        return true;
}

static bool
check_payload(const rs_scan *s, const size_t *found /* [12] entries by field */, bool has_raw,
        resect_error *err)
{
        size_t want = typed_entries(s);
        for (uint32_t n = RS_TENSOR_FLOAT_DATA; n <= RS_TENSOR_UINT64_DATA; n++)
                if (n != s->typed && found[n])
                        return rs_fail(err, RESECT_FORMAT,
                                "values stand in a field that %s does not use",
                                resect_dtype_name((resect_dtype)s->dtype));
        if (has_raw) {
                if (found[s->typed])
                        return rs_fail(err, RESECT_FORMAT, "values are given twice, raw and typed");
                if (s->dtype == RESECT_STRING)
                        return rs_fail(err, RESECT_FORMAT, "strings cannot be raw data");
                if (s->data.size != s->bytes)
                        return rs_fail(err, RESECT_FORMAT,
                                "has %zu bytes of data, dtype and dims want %zu", s->data.size,
                                s->bytes);
                return true;
        }
        if (found[s->typed] != want)
                return rs_fail(
                        err, RESECT_FORMAT, "has %zu values, dims want %zu", found[s->typed], want);
        return true;
}

static bool
check_extent(rs_scan *s, resect_error *err)
{
        bool text = s->dtype == RESECT_STRING; /* counted as bytes are, but without a size */
        if (!rs_tensor_extent(
                    text ? RESECT_UINT8 : s->dtype, s->rank, s->dims, &s->count, &s->bytes, err)) {
                if (err)
                        err->code = RESECT_FORMAT;
                return false;
        }
        if (text)
                s->bytes = 0;
        return true;
}

static bool
scan(rs_span wire, rs_scan *s, resect_error *err)
{
        size_t found[RS_TENSOR_UINT64_DATA + 1] = {0};
        unsigned keys = 0;
        bool has_raw = false, segment = false;
        /* data_location may come after external_data: the entries are looked at in a second round.
         */
        for (rs_span rest = wire; rest.size > 0;) {
                rs_field f;
                if (!rs_wire_next(&rest, &f))
                        return rs_fail(err, RESECT_FORMAT, "damaged");
                if (f.number == RS_TENSOR_DIMS) {
                        if (!add_dims(s, &f, err))
                                return false;
                } else if (f.number == RS_TENSOR_DTYPE) {
                        s->dtype = (int32_t)f.value;
                } else if (f.number == RS_TENSOR_DATA_LOCATION) {
                        if (f.value > 1)
                                return rs_fail(err, RESECT_UNSUPPORTED, "data_location %llu",
                                        (unsigned long long)f.value);
                        s->external = f.value == 1;
                } else if (f.number == RS_TENSOR_RAW_DATA) {
                        s->data = f.body;
                        has_raw = true;
                } else if (rs_scan_is_payload(f.number)) {
                        found[f.number] += entries(&f);
                } else if (f.number == RS_TENSOR_SEGMENT) {
                        segment = true;
                }
        }
        if (segment)
                return rs_fail(err, RESECT_UNSUPPORTED, "is stored in segments");
        if (!check_extent(s, err))
                return false;
        s->typed = typed_field(s->dtype);
        if (!s->external) {
                s->raw = has_raw;
                return check_payload(s, found, has_raw, err);
        }
        rs_span rest = wire;
        for (rs_field f; rs_wire_next(&rest, &f);)
                if (f.number == RS_TENSOR_EXTERNAL_DATA && !add_external(s, f.body, &keys, err))
                        return false;
        bool other = s->data.size > 0;
        for (size_t i = 0; i < sizeof found / sizeof *found; i++)
                other |= found[i] > 0;
        return check_external(s, keys, other, err);
}

bool
rs_scan_tensor(rs_span wire, rs_scan *out, resect_error *err)
{
        *out = (rs_scan){.rank = 0};
        rs_span rest = wire;
        for (rs_field f; rs_wire_next(&rest, &f);)
                if (f.number == RS_TENSOR_NAME)
                        out->name = f.body;
        if (scan(wire, out, err))
                return true;
        if (out->name.size == 0)
                return rs_fail_at(err, "tensor");
        return rs_fail_at(err, "tensor %.*s", (int)(out->name.size < 200 ? out->name.size : 200),
                (const char *)out->name.data);
}
