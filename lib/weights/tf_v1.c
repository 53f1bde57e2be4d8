/* SPDX-License-Identifier: 0BSD */
/*
 * TensorFlow's checkpoints, version 1 (tensorflow/core/util/saved_tensor_slice.proto), as TF-slim's
 * ResNets were published: one sorted table of SavedTensorSlices. The first is a table of contents,
 * under the empty key: names, shapes, types, and the slices that a variable was saved in, mostly
 * one, which is all of it. Each slice is a record of its own, under the key that version 2 has for
 * slices, too (tf_slices.c), and holds its values in the field that TensorProto has for their type.
 * Its other fields are not set, and not believed.
 */
#include <stdlib.h>
#include <string.h>
#include "onnx/wire.h"
#include "tensor/dtype.h"
#include "weights/sstable.h"
#include "weights/tf.h"

enum { NEWEST = 1 }; /* TF_CHECKPOINT_VERSION of tensorflow/core/public/version.h */

/* The field of TensorProto that an element type's values are in, and how wide one is there; 0: a
 * varint. Complex numbers are pairs. */
static const struct kind {
        int32_t dtype;
        uint32_t field;
        unsigned width, each;
} kinds[] = {{RESECT_FLOAT, 5, 4, 1}, {RESECT_DOUBLE, 6, 8, 1}, {RESECT_INT32, 7, 0, 1},
        {RESECT_UINT8, 7, 0, 1}, {RESECT_INT16, 7, 0, 1}, {RESECT_INT8, 7, 0, 1},
        {RESECT_UINT16, 7, 0, 1}, {RESECT_COMPLEX64, 9, 4, 2}, {RESECT_INT64, 10, 0, 1},
        {RESECT_BOOL, 11, 0, 1}, {RESECT_COMPLEX128, 12, 8, 2}, {RESECT_FLOAT16, 13, 0, 1},
        {RESECT_BFLOAT16, 13, 0, 1}, {RESECT_UINT32, 16, 0, 1}, {RESECT_UINT64, 17, 0, 1}};

/* A variable of the table of contents. */
struct variable {
        const char *name;
        rs_span wire; /* SavedSliceMeta */
};

struct reading {
        rs_checkpoint *c;
        bool has_contents;
        struct variable *list;
        size_t n, cap, named;
        rs_tf_records records;
};

/* A slice's values: a TensorProto, and how many of what. */
struct values {
        rs_span proto;
        const struct kind *kind;
        size_t count;
};

static bool
damaged(resect_error *err, const char *what)
{
        return rs_fail(err, RESECT_FORMAT, "%s is damaged", what);
}

/* The table of contents */

/* SavedSliceMeta's name. */
static bool
name_of(struct reading *r, rs_span wire, const char **name, resect_error *err)
{
        rs_span text = {0};
        rs_field f;
        while (rs_wire_next(&wire, &f))
                if (f.number == 1 && f.type == RS_WIRE_LEN)
                        text = f.body;
        if (wire.size)
                return damaged(err, "the table of contents");
        r->named += text.size;
        if (text.size > RS_TF_NAME_MAX || r->named > RS_TF_NAMES_TOTAL ||
                (text.size && memchr(text.data, 0, text.size)))
                return rs_fail(err, RESECT_UNSUPPORTED,
                        "a name of %zu bytes, names of more than %d, or a name with a NUL",
                        text.size, RS_TF_NAMES_TOTAL);
        *name = rs_arena_strndup(&r->c->arena, (const char *)text.data, text.size, err);
        return *name != NULL;
}

static bool
add_variable(struct reading *r, rs_span wire, resect_error *err)
{
        struct variable v = {.wire = wire};
        if (r->n == r->cap) {
                size_t cap = r->cap * 2 + 64;
                struct variable *more = rs_grow(r->list, cap, sizeof *more, err);
                if (!more)
                        return false;
                r->list = more;
                r->cap = cap;
        }
        if (!name_of(r, wire, &v.name, err))
                return false;
        r->list[r->n++] = v;
        return true;
}

/* SavedTensorSliceMeta: variables, and VersionDef. */
static bool
read_contents(struct reading *r, rs_span meta, resect_error *err)
{
        rs_field f, v;
        uint64_t consumer = 0;
        while (rs_wire_next(&meta, &f)) {
                if (f.type != RS_WIRE_LEN)
                        continue;
                if (f.number == 1 && !add_variable(r, f.body, err))
                        return false;
                while (f.number == 2 && rs_wire_next(&f.body, &v))
                        if (v.number == 2 && v.type == RS_WIRE_VARINT)
                                consumer = v.value;
        }
        if (meta.size)
                return damaged(err, "the table of contents");
        return consumer <= NEWEST || rs_fail(err, RESECT_UNSUPPORTED, "for a later TensorFlow");
}

/* A field of SavedTensorSlices: 1 is the table of contents, 2 a slice. */
static bool
part_of(rs_span wire, uint32_t number, rs_span *out)
{
        rs_field f;
        bool found = false;
        while (rs_wire_next(&wire, &f))
                if (f.number == number && f.type == RS_WIRE_LEN) {
                        *out = f.body;
                        found = true;
                }
        return found && wire.size == 0;
}

static bool
visit(void *ctx, rs_span key, rs_span value, resect_error *err)
{
        struct reading *r = ctx;
        rs_span meta;
        if (key.size) {
                r->named += key.size;
                if (r->named > RS_TF_NAMES_TOTAL)
                        return rs_fail(err, RESECT_UNSUPPORTED, "names of more than %d bytes",
                                RS_TF_NAMES_TOTAL);
                return rs_tf_records_add(&r->records, &r->c->arena, key, value, err);
        }
        r->has_contents = part_of(value, 1, &meta);
        return r->has_contents ? read_contents(r, meta, err)
                               : damaged(err, "the table of contents");
}

/* Values */

/* The bytes of one element where it is not a varint. */
static rs_span
fixed_run(const rs_field *f)
{
        size_t width = f->type == RS_WIRE_32 ? 4 : 8;
        if (f->type == RS_WIRE_LEN)
                return f->body;
        return (rs_span){f->whole.data + f->whole.size - width, width};
}

/* Whether a field of the kind's number is written as its type is, packed or not. */
static bool
fits(const rs_field *f, const struct kind *k)
{
        if (f->type == RS_WIRE_LEN)
                return !k->width || f->body.size % k->width == 0;
        return f->type == (k->width == 4          ? RS_WIRE_32
                                  : k->width == 8 ? RS_WIRE_64
                                                  : RS_WIRE_VARINT);
}

/* How many values there are, counted in a varint's or a fixed width's units; where they all stand
 * together, plain is where. */
static bool
count_values(rs_span proto, const struct kind *k, size_t *count, rs_span *plain, resect_error *err)
{
        rs_field f;
        size_t n = 0, runs = 0;
        uint64_t v;
        *plain = (rs_span){0};
        while (rs_wire_next(&proto, &f)) {
                if (f.number != k->field)
                        continue;
                if (!fits(&f, k))
                        return damaged(err, "the list of values");
                runs++;
                if (k->width) {
                        *plain = fixed_run(&f);
                        n += plain->size / k->width;
                } else if (f.type == RS_WIRE_VARINT) {
                        n++;
                } else {
                        for (; f.body.size; n++)
                                if (!rs_wire_varint(&f.body, &v))
                                        return damaged(err, "the list of values");
                }
        }
        if (proto.size)
                return damaged(err, "the list of values");
        if (runs != 1)
                plain->data = NULL;
        *count = n;
        return true;
}

static void
store(unsigned char *to, int32_t dtype, size_t width, uint64_t v)
{
        v = dtype == RESECT_BOOL ? v != 0 : v;
        for (size_t i = 0; i < width; i++)
                to[i] = (unsigned char)(v >> 8 * i);
}

/* The values, dense. */
static bool
get(const void *from, rs_arena *scratch, rs_span *out, resect_error *err)
{
        const struct values *x = from;
        rs_span rest = x->proto;
        rs_field f;
        uint64_t v;
        size_t width = rs_dtype_bits(x->kind->dtype) / 8;
        if (!count_values(rest, x->kind, &(size_t){0}, out, err))
                return false;
        if (out->data)
                return true;
        unsigned char *to = rs_arena_alloc(scratch, x->count, width, err);
        *out = (rs_span){to, x->count * width};
        while (to && rs_wire_next(&rest, &f)) {
                if (f.number != x->kind->field)
                        continue;
                if (x->kind->width) {
                        rs_span run = fixed_run(&f);
                        if (run.size)
                                memcpy(to, run.data, run.size);
                        to += run.size;
                } else if (f.type == RS_WIRE_VARINT) {
                        store(to, x->kind->dtype, width, f.value);
                        to += width;
                } else {
                        for (; f.body.size && rs_wire_varint(&f.body, &v); to += width)
                                store(to, x->kind->dtype, width, v);
                }
        }
        return to != NULL;
}

static bool
fetch(const rs_entry *e, rs_arena *scratch, rs_span *out, resect_error *err)
{
        return rs_tf_parts_fetch(e->ctx, e->bytes, scratch, out, get, err) ||
               rs_fail_at(err, "%s", e->name);
}

/* Variables */

static const struct kind *
kind_of(int32_t dtype)
{
        for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
                if (kinds[i].dtype == dtype)
                        return &kinds[i];
        return NULL;
}

/* SavedSlice: name 1, slice 2, data 3. Its values must be as many as the slice has elements. */
static bool
read_values(
        rs_span record, const char *name, size_t elements, struct values *out, resect_error *err)
{
        rs_span saved, plain, own = {0};
        rs_field f;
        size_t n;
        if (!part_of(record, 2, &saved) || !part_of(saved, 3, &out->proto))
                return damaged(err, "a part of it");
        while (rs_wire_next(&saved, &f))
                if (f.number == 1 && f.type == RS_WIRE_LEN)
                        own = f.body;
        if (own.size != strlen(name) || (own.size && memcmp(own.data, name, own.size) != 0))
                return rs_fail(err, RESECT_FORMAT, "a part of it is another variable's");
        if (!count_values(out->proto, out->kind, &n, &plain, err))
                return false;
        size_t takes;
        if (!rs_mul(elements, out->kind->each, &takes) || n != takes)
                return rs_fail(
                        err, RESECT_FORMAT, "%zu values for a shape that takes %zu", n, takes);
        out->count = elements;
        return true;
}

/* What SavedSliceMeta says. */
struct contents {
        rs_tf_shape shape;
        uint64_t type;
        size_t slices;
};

static bool
parse_contents(rs_span wire, struct contents *out)
{
        rs_field f;
        *out = (struct contents){0};
        while (rs_wire_next(&wire, &f)) {
                if (f.number == 2 && f.type == RS_WIRE_LEN &&
                        !rs_tf_shape_parse(f.body, &out->shape))
                        return false;
                if (f.number == 3 && f.type == RS_WIRE_VARINT)
                        out->type = f.value;
                out->slices += f.number == 4 && f.type == RS_WIRE_LEN;
        }
        return wire.size == 0;
}

static bool
take_parts(struct reading *r, const struct variable *v, const struct contents *m, int32_t dtype,
        const struct kind *kind, resect_error *err)
{
        rs_tf_parts *p = rs_tf_parts_make(&r->c->arena, m->slices, err);
        struct values *all = p ? RS_NEW(&r->c->arena, m->slices, struct values, err) : NULL;
        rs_span wire = v->wire, record, plain;
        rs_field f;
        size_t count, bytes;
        if (!all)
                return false;
        while (rs_wire_next(&wire, &f)) {
                int64_t dims[RESECT_RANK_MAX];
                rs_tf_slice s;
                if (f.number != 4 || f.type != RS_WIRE_LEN)
                        continue;
                if (!rs_tf_slice_parse(f.body, &s))
                        return damaged(err, "a part of it");
                if (!rs_tf_parts_add(p, &s, &m->shape, dims, err))
                        return false;
                struct values *x = &all[p->n - 1];
                x->kind = kind;
                if (!rs_tensor_extent(dtype, s.rank, dims, &count, &bytes, NULL))
                        return rs_fail(err, RESECT_FORMAT, "a part of it has another shape");
                if (!rs_tf_records_find(&r->records, v->name, &s, &record, err) ||
                        !read_values(record, v->name, count, x, err))
                        return false;
                p->at[p->n - 1].from = x;
        }
        if (!rs_tf_parts_end(p, &m->shape, rs_dtype_bits(dtype) / 8, err))
                return false;
        /* mostly it stands in the file as it is */
        if (p->n == 1 && count_values(all[0].proto, kind, &count, &plain, err) && plain.data)
                return rs_checkpoint_add(
                        r->c, v->name, dtype, m->shape.rank, m->shape.dims, plain, err);
        return rs_checkpoint_add_lazy(
                r->c, v->name, dtype, m->shape.rank, m->shape.dims, fetch, p, err);
}

static bool
take_variable(struct reading *r, const struct variable *v, resect_error *err)
{
        struct contents m;
        const char *why = rs_tf_no_weight(r->c, v->name);
        size_t count, bytes;
        if (why)
                return rs_checkpoint_skip(r->c, v->name, err, "%s", why);
        if (!parse_contents(v->wire, &m))
                return damaged(err, "its line in the table of contents");
        int32_t dtype = rs_tf_dtype(m.type);
        const struct kind *kind = kind_of(dtype);
        if (!kind || m.shape.unknown_rank)
                return rs_tf_skip(r->c, v->name, m.type, kind != NULL, err);
        if (m.shape.rank > RESECT_RANK_MAX ||
                !rs_tensor_extent(dtype, m.shape.rank, m.shape.dims, &count, &bytes, NULL))
                return rs_fail(err, RESECT_FORMAT, "a shape that no file can hold");
        return take_parts(r, v, &m, dtype, kind, err);
}

static int
by_name(const void *a, const void *b)
{
        return strcmp(((const struct variable *)a)->name, ((const struct variable *)b)->name);
}

static bool
read(rs_checkpoint *c, const rs_input *in, resect_error *err)
{
        struct reading r = {.c = c};
        if (!in)
                return rs_fail(err, RESECT_UNSUPPORTED, "%s: a folder", c->path);
        bool ok = rs_sstable_walk((rs_span){in->data, in->size}, visit, &r, err);
        if (ok && !r.has_contents)
                ok = rs_fail(err, RESECT_FORMAT,
                        "a table, but not TensorFlow's: it has no table of contents");
        if (ok && r.n)
                qsort(r.list, r.n, sizeof *r.list, by_name); /* x before x/Momentum */
        for (size_t i = 0; ok && i < r.n; i++)
                ok = take_variable(&r, &r.list[i], err) || rs_fail_at(err, "%s", r.list[i].name);
        rs_free(r.list);
        rs_free(r.records.list);
        return ok || rs_fail_at(err, "%s", c->path);
}

/* A table's first entry: nothing shared, an empty key, and a message with one field, a message. */
static bool
sniff(const unsigned char *head, size_t size, const char *path)
{
        uint64_t length, inner;
        size_t n = rs_tf_prefix(path);
        if (!head || size < 8 || head[0] || head[1] || (path[n] == '.' && path[n + 1] == 'd'))
                return false;
        rs_span at = {head + 2, size - 2};
        if (!rs_wire_varint(&at, &length) || !at.size || *at.data != (1 << 3 | RS_WIRE_LEN))
                return false;
        rs_span message = {at.data + 1, at.size - 1};
        return rs_wire_varint(&message, &inner) && inner && inner < length &&
               length - inner == (size_t)(message.data - at.data);
}

static const char *const suffixes[] = {NULL};

const rs_format rs_format_tf_v1 = {
        .name = "tf-v1",
        .help = "TensorFlow's old checkpoints, version 1: one file, as TF-slim's ResNets",
        .suffixes = suffixes,
        .scheme = "slim",
        .sniff = sniff,
        .read = read,
};
