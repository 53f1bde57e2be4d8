/* SPDX-License-Identifier: 0BSD */
/*
 * The walk is driven by the descriptors that protobuf-c generates from the schema, so that it knows
 * every message the schema knows, and holds its own stack: depth is a limit and not a matter of the
 * machine's stack. What is stricter here than in other readers is so on purpose: a singular field
 * that comes twice is merged by one reader, taken first by another and last by a third, and a
 * checker and a loader that disagree are how models are smuggled.
 */
#include "onnx/guard.h"

#include <string.h>
#include "onnx/wire.h"

enum { FIELDS_MAX = 32 };

/* A message that is being walked. */
struct frame {
        const ProtobufCMessageDescriptor *type;
        rs_span body, rest;
        uint32_t seen; /* bit i: field i of the descriptor */
        uint32_t counts[FIELDS_MAX];
};

struct walk {
        struct frame frames[RS_GUARD_DEPTH];
        int depth;
        const unsigned char *start; /* of everything, for offsets */
        rs_guard_message *done;
        void *ctx;
        resect_error *err;
};

static bool
refuse(const struct walk *w, const unsigned char *at, const char *field, const char *what)
{
        const struct frame *f = &w->frames[w->depth];
        return rs_fail(w->err, RESECT_FORMAT, "offset %zu: %s%s%s: %s", (size_t)(at - w->start),
                f->type->short_name, field ? "." : "", field ? field : "", what);
}

/* What is wrong with the field at the front of rest, which rs_wire_next did not take. */
static bool
refuse_field(const struct walk *w, rs_span rest)
{
        const unsigned char *at = rest.data;
        uint64_t tag, length;
        if (!rs_wire_varint(&rest, &tag))
                return refuse(w, at, NULL,
                        rest.size < 10 ? "cut short in a tag" : "a tag is no valid number");
        if (tag >> 3 == 0)
                return refuse(w, at, NULL, "a field has the number 0");
        if ((rest.data - at > 1 && rest.data[-1] == 0) || tag >> 32)
                return refuse(w, at, NULL, "a tag is overlong");
        if ((tag & 7) == 3 || (tag & 7) == 4)
                return refuse(w, at, NULL, "groups are not part of ONNX");
        if ((tag & 7) > 5)
                return refuse(w, at, NULL, "a wire type that does not exist");
        const unsigned char *value = rest.data;
        if ((tag & 7) == RS_WIRE_LEN && rs_wire_varint(&rest, &length)) {
                if (rest.data - value > 5)
                        return refuse(w, at, NULL, "a length is overlong");
                return rs_fail(w->err, RESECT_FORMAT,
                        "offset %zu: %s: field %u says %llu bytes, %zu are left: cut short or "
                        "damaged",
                        (size_t)(at - w->start), w->frames[w->depth].type->short_name,
                        (unsigned)(tag >> 3), (unsigned long long)length, rest.size);
        }
        return refuse(w, at, NULL,
                rest.size < 10 ? "cut short in a field" : "a number has more than 64 bits");
}

static enum rs_wire_type
wire_type(ProtobufCType type)
{
        switch (type) {
        case PROTOBUF_C_TYPE_STRING:
        case PROTOBUF_C_TYPE_BYTES:
        case PROTOBUF_C_TYPE_MESSAGE:
                return RS_WIRE_LEN;
        case PROTOBUF_C_TYPE_FLOAT:
        case PROTOBUF_C_TYPE_FIXED32:
        case PROTOBUF_C_TYPE_SFIXED32:
                return RS_WIRE_32;
        case PROTOBUF_C_TYPE_DOUBLE:
        case PROTOBUF_C_TYPE_FIXED64:
        case PROTOBUF_C_TYPE_SFIXED64:
                return RS_WIRE_64;
        default:
                return RS_WIRE_VARINT;
        }
}

/* A packed run of numbers. */
static bool
check_packed(const struct walk *w, const ProtobufCFieldDescriptor *d, const rs_field *f)
{
        switch (wire_type(d->type)) {
        case RS_WIRE_32:
                return f->body.size % 4 == 0 ||
                       refuse(w, f->whole.data, d->name, "not a whole number of 4-byte values");
        case RS_WIRE_64:
                return f->body.size % 8 == 0 ||
                       refuse(w, f->whole.data, d->name, "not a whole number of 8-byte values");
        default:
                break;
        }
        rs_span rest = f->body;
        uint64_t v;
        while (rest.size > 0)
                if (!rs_wire_varint(&rest, &v))
                        return refuse(w, rest.data, d->name,
                                "a number is cut short or has more than 64 bits");
        return true;
}

static bool
check_once(const struct walk *w, struct frame *at, const ProtobufCFieldDescriptor *d, size_t index,
        const rs_field *f)
{
        if (at->seen >> index & 1)
                return refuse(w, f->whole.data, d->name, "is set twice");
        if (d->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
                for (size_t i = 0; i < at->type->n_fields; i++) {
                        const ProtobufCFieldDescriptor *other = &at->type->fields[i];
                        bool same = (other->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) &&
                                    other->quantifier_offset == d->quantifier_offset;
                        if (same && (at->seen >> i & 1))
                                return refuse(w, f->whole.data, d->name,
                                        "is one of several, and another is set too");
                }
        return true;
}

static bool
check_value(const struct walk *w, const ProtobufCFieldDescriptor *d, const rs_field *f)
{
        if (d->type == PROTOBUF_C_TYPE_STRING && f->body.size && strcmp(d->name, "doc_string") &&
                memchr(f->body.data, 0, f->body.size))
                return refuse(w, f->whole.data, d->name, "a NUL byte in a string");
        bool narrow = d->type == PROTOBUF_C_TYPE_INT32 || d->type == PROTOBUF_C_TYPE_ENUM;
        if (narrow && d->label != PROTOBUF_C_LABEL_REPEATED && f->type == RS_WIRE_VARINT &&
                ((int64_t)f->value < INT32_MIN || (int64_t)f->value > INT32_MAX))
                return refuse(w, f->whole.data, d->name, "does not fit into 32 bits");
        return true;
}

/* Begins the walk of a message within. */
static bool
enter(struct walk *w, const ProtobufCMessageDescriptor *type, rs_span body)
{
        if (w->depth + 1 >= RS_GUARD_DEPTH)
                return refuse(w, body.data, NULL, "messages are nested deeper than 100");
        struct frame *f = &w->frames[++w->depth];
        f->type = type;
        f->body = f->rest = body;
        f->seen = 0;
        memset(f->counts, 0, type->n_fields * sizeof *f->counts);
        return true;
}

static bool
step(struct walk *w)
{
        struct frame *at = &w->frames[w->depth];
        rs_field f;
        if (!rs_wire_next(&at->rest, &f))
                return refuse_field(w, at->rest);
        const ProtobufCFieldDescriptor *d =
                protobuf_c_message_descriptor_get_field(at->type, f.number);
        if (!d)
                return true; /* a newer schema's; carried as it is */
        size_t index = (size_t)(d - at->type->fields);
        bool repeated = d->label == PROTOBUF_C_LABEL_REPEATED;
        bool packed = repeated && f.type == RS_WIRE_LEN && wire_type(d->type) != RS_WIRE_LEN;
        if (packed)
                return check_packed(w, d, &f);
        if (f.type != wire_type(d->type))
                return refuse(w, f.whole.data, d->name, "has the wrong wire type");
        if (!repeated && !check_once(w, at, d, index, &f))
                return false;
        at->seen |= UINT32_C(1) << index;
        bool counted = d->type == PROTOBUF_C_TYPE_MESSAGE || d->type == PROTOBUF_C_TYPE_STRING;
        if (counted && ++at->counts[index] > RS_GUARD_REPEATS)
                return refuse(w, f.whole.data, d->name, "more than 1000000 of them");
        if (!check_value(w, d, &f))
                return false;
        return d->type != PROTOBUF_C_TYPE_MESSAGE || enter(w, d->descriptor, f.body);
}

bool
rs_guard(rs_span bytes, const ProtobufCMessageDescriptor *type, rs_guard_message *done, void *ctx,
        resect_error *err)
{
        struct walk w;
        w.depth = -1;
        w.start = bytes.data;
        w.done = done;
        w.ctx = ctx;
        w.err = err;
        if (!enter(&w, type, bytes))
                return false;
        while (w.depth >= 0) {
                const struct frame *f = &w.frames[w.depth];
                if (f->rest.size > 0) {
                        if (!step(&w))
                                return false;
                } else {
                        if (done && !done(ctx, f->type, f->body, err))
                                return false;
                        w.depth--;
                }
        }
        return true;
}
