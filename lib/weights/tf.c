/* SPDX-License-Identifier: 0BSD */
/*
 * TensorFlow's checkpoints, version 2 ("tensor bundles",
 * tensorflow/core/protobuf/tensor_bundle.proto): PREFIX.index is a sorted table from names to
 * BundleEntryProto, which says type, shape, and where in PREFIX.data-00000-of-00001 the values are.
 * Any of the three names will do. A variable that was saved in parts is put together again. What
 * Keras saves this way has keys that follow Python's objects; a graph beside them knows the
 * variables' names, which are taken instead.
 */
#include "weights/tf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/crc32c.h"
#include "onnx/wire.h"
#include "tensor/dtype.h"
#include "weights/sstable.h"

enum { SHARDS_MAX = 1024, KEY_MAX = RS_TF_NAME_MAX, NAMES_TOTAL = RS_TF_NAMES_TOTAL };

static const char object_graph[] = "_CHECKPOINTABLE_OBJECT_GRAPH";

/* Reading */

struct reading {
        rs_checkpoint *c;
        char *prefix;
        const rs_input **shards; /* NULL: not opened yet */
        uint64_t n_shards;       /* 0: no header has come */
        size_t named;
        rs_map full_names;    /* of keys, from the graph of objects */
        bool wants_graph;     /* the first of two walks looks for that and for slices alone */
        rs_tf_records slices; /* parts of variables */
};

/* Where a tensor's bytes are, and what their checksum must be. */
struct place {
        rs_span bytes;
        uint32_t crc;
};

static bool
get(const void *from, rs_arena *scratch, rs_span *out, resect_error *err)
{
        const struct place *p = from;
        (void)scratch;
        *out = p->bytes;
        return rs_crc32c_mask(rs_crc32c(0, p->bytes.data, p->bytes.size)) == p->crc ||
               rs_fail(err, RESECT_FORMAT, "the checksum is wrong");
}

static bool
fetch(const rs_entry *e, rs_arena *scratch, rs_span *out, resect_error *err)
{
        return get(e->ctx, scratch, out, err) || rs_fail_at(err, "%s", e->name);
}

/* BundleEntryProto. */
struct bundle_entry {
        uint64_t type, shard, offset, size;
        uint32_t crc;
        size_t slices; /* how many it is saved in; 0: in one piece */
        rs_span wire;
        rs_tf_shape shape;
};

static bool
parse_entry(rs_span s, struct bundle_entry *e)
{
        rs_field f;
        *e = (struct bundle_entry){.wire = s};
        while (rs_wire_next(&s, &f)) {
                bool number = f.type == RS_WIRE_VARINT;
                if (f.number == 1 && number)
                        e->type = f.value;
                else if (f.number == 2 && f.type == RS_WIRE_LEN) {
                        if (!rs_tf_shape_parse(f.body, &e->shape))
                                return false;
                } else if (f.number == 3 && number)
                        e->shard = f.value;
                else if (f.number == 4 && number)
                        e->offset = f.value;
                else if (f.number == 5 && number)
                        e->size = f.value;
                else if (f.number == 6 && f.type == RS_WIRE_32)
                        e->crc = (uint32_t)f.value;
                else if (f.number == 7 && f.type == RS_WIRE_LEN)
                        e->slices++;
        }
        return s.size == 0;
}

static bool
read_header(struct reading *r, rs_span s, resect_error *err)
{
        rs_field f, v;
        uint64_t shards = 0, big = 0, consumer = 0;
        bool old = false;
        while (rs_wire_next(&s, &f)) {
                old |= f.number == 1 && f.type == RS_WIRE_LEN;
                if (f.number == 1 && f.type == RS_WIRE_VARINT)
                        shards = f.value;
                else if (f.number == 2 && f.type == RS_WIRE_VARINT)
                        big = f.value;
                else if (f.number == 3 && f.type == RS_WIRE_LEN)
                        while (rs_wire_next(&f.body, &v))
                                if (v.number == 2 && v.type == RS_WIRE_VARINT)
                                        consumer = v.value;
        }
        if (old)
                return rs_fail(err, RESECT_UNSUPPORTED,
                        "a TensorFlow checkpoint of version 1 (--format tf-v1)");
        if (s.size)
                return rs_fail(err, RESECT_FORMAT, "a table, but not TensorFlow's");
        if (shards == 0 || shards > SHARDS_MAX || big || consumer > 1)
                return rs_fail(err, RESECT_UNSUPPORTED, "%s%llu files of data%s",
                        consumer > 1 ? "for a later TensorFlow, " : "", (unsigned long long)shards,
                        big ? ", big-endian" : "");
        r->n_shards = shards;
        r->shards = RS_NEW(&r->c->arena, (size_t)shards, const rs_input *, err);
        return r->shards != NULL;
}

/* The file of data that an entry names, and its bytes there. */
static bool
bytes_of(struct reading *r, const struct bundle_entry *e, rs_span *out, resect_error *err)
{
        if (e->shard >= r->n_shards)
                return rs_fail(err, RESECT_FORMAT, "file %llu of %llu",
                        (unsigned long long)e->shard, (unsigned long long)r->n_shards);
        const rs_input **in = &r->shards[e->shard];
        if (!*in) {
                char *path = rs_arena_printf(&r->c->arena, err, "%s.data-%05u-of-%05u", r->prefix,
                        (unsigned)e->shard, (unsigned)r->n_shards);
                if (!path || !(*in = rs_checkpoint_open(r->c, path, err)))
                        return false;
        }
        if (e->offset > (*in)->size || e->size > (*in)->size - e->offset)
                return rs_fail(err, RESECT_FORMAT,
                        "bytes %llu to %llu + %llu, but the file of data has %zu",
                        (unsigned long long)e->offset, (unsigned long long)e->offset,
                        (unsigned long long)e->size, (*in)->size);
        *out = (rs_span){(*in)->data + e->offset, (size_t)e->size};
        return true;
}

static bool
fetch_parts(const rs_entry *e, rs_arena *scratch, rs_span *out, resect_error *err)
{
        return rs_tf_parts_fetch(e->ctx, e->bytes, scratch, out, get, err) ||
               rs_fail_at(err, "%s", e->name);
}

static bool
take_slices(struct reading *r, const char *key, const char *name, int32_t dtype,
        const struct bundle_entry *e, resect_error *err)
{
        size_t count, bytes;
        rs_span wire = e->wire, value;
        rs_field f;
        rs_tf_slice s;
        if (e->shape.rank > RESECT_RANK_MAX ||
                !rs_tensor_extent(dtype, e->shape.rank, e->shape.dims, &count, &bytes, NULL))
                return rs_fail(err, RESECT_FORMAT, "a shape that no file can hold");
        rs_tf_parts *p = rs_tf_parts_make(&r->c->arena, e->slices, err);
        struct place *places = p ? RS_NEW(&r->c->arena, e->slices, struct place, err) : NULL;
        if (!places)
                return false;
        while (rs_wire_next(&wire, &f)) {
                struct bundle_entry part;
                int64_t dims[RESECT_RANK_MAX];
                if (f.number != 7 || f.type != RS_WIRE_LEN)
                        continue;
                if (!rs_tf_slice_parse(f.body, &s))
                        return rs_fail(err, RESECT_FORMAT, "a part of it is damaged");
                if (!rs_tf_parts_add(p, &s, &e->shape, dims, err) ||
                        !rs_tf_records_find(&r->slices, key, &s, &value, err))
                        return false;
                if (!parse_entry(value, &part))
                        return rs_fail(err, RESECT_FORMAT, "a part of it is damaged");
                if (!bytes_of(r, &part, &places[p->n - 1].bytes, err))
                        return false;
                if (part.type != e->type || part.slices ||
                        !rs_tensor_extent(dtype, s.rank, dims, &count, &bytes, NULL) ||
                        bytes != part.size)
                        return rs_fail(err, RESECT_FORMAT, "a part of it has another shape");
                places[p->n - 1].crc = part.crc;
                p->at[p->n - 1].from = &places[p->n - 1];
        }
        return rs_tf_parts_end(p, &e->shape, rs_dtype_bits(dtype) / 8, err) &&
               rs_checkpoint_add_lazy(
                       r->c, name, dtype, e->shape.rank, e->shape.dims, fetch_parts, p, err);
}

static bool
take_tensor(struct reading *r, const char *key, const struct bundle_entry *e, resect_error *err)
{
        int32_t dtype = rs_tf_dtype(e->type);
        const char *full = rs_map_get(&r->full_names, key), *why = rs_tf_no_weight(r->c, key);
        if (why)
                return rs_checkpoint_skip(r->c, key, err, "%s", why);
        if (!dtype || e->shape.unknown_rank)
                return rs_tf_skip(r->c, key, e->type, dtype != 0, err);
        if (e->slices)
                return take_slices(r, key, full ? full : key, dtype, e, err);
        struct place *p = RS_NEW(&r->c->arena, 1, struct place, err);
        size_t count, bytes;
        if (!p || !bytes_of(r, e, &p->bytes, err))
                return false;
        p->crc = e->crc;
        /* a rank or a shape that does not do is the checkpoint's to refuse */
        if (e->shape.rank <= RESECT_RANK_MAX &&
                rs_tensor_extent(dtype, e->shape.rank, e->shape.dims, &count, &bytes, NULL) &&
                bytes != e->size)
                return rs_fail(err, RESECT_FORMAT, "%llu bytes of data for a shape that takes %zu",
                        (unsigned long long)e->size, bytes);
        return rs_checkpoint_add_lazy(
                r->c, full ? full : key, dtype, e->shape.rank, e->shape.dims, fetch, p, err);
}

/* SavedTensor of TrackableObjectGraph: full_name is 2, checkpoint_key 3. */
static bool
take_full_name(struct reading *r, rs_span s, resect_error *err)
{
        rs_span name = {0}, key = {0};
        rs_field f;
        void *old;
        while (rs_wire_next(&s, &f))
                if (f.type == RS_WIRE_LEN && (f.number == 2 || f.number == 3))
                        *(f.number == 2 ? &name : &key) = f.body;
        if (!name.size || !key.size || name.size > KEY_MAX || key.size > KEY_MAX ||
                memchr(name.data, 0, name.size) || memchr(key.data, 0, key.size))
                return true;
        char *k = rs_arena_strndup(&r->c->arena, (const char *)key.data, key.size, err);
        char *n = rs_arena_strndup(&r->c->arena, (const char *)name.data, name.size, err);
        return k && n && rs_map_put(&r->full_names, k, n, &old, err);
}

/* The graph of objects, a TrackableObjectGraph in a tensor of one string: its length, a checksum of
 * that, its bytes. What cannot be understood is left: the keys are names, too. */
static bool
read_graph(struct reading *r, const struct bundle_entry *e, resect_error *err)
{
        rs_span bytes;
        rs_field node, attribute;
        uint64_t length;
        if (e->type != RS_TF_STRING || e->shape.rank || !bytes_of(r, e, &bytes, err))
                return e->type != RS_TF_STRING || e->shape.rank;
        if (!rs_wire_varint(&bytes, &length) || bytes.size < 4 || length != bytes.size - 4)
                return true;
        bytes = (rs_span){bytes.data + 4, bytes.size - 4};
        while (rs_wire_next(&bytes, &node))
                if (node.number == 1 && node.type == RS_WIRE_LEN)
                        while (rs_wire_next(&node.body, &attribute))
                                if (attribute.number == 2 && attribute.type == RS_WIRE_LEN &&
                                        !take_full_name(r, attribute.body, err))
                                        return false;
        return true;
}

static bool
visit(void *ctx, rs_span key, rs_span value, resect_error *err)
{
        struct reading *r = ctx;
        struct bundle_entry e;
        char name[KEY_MAX + 1];
        if (!key.size)
                return r->n_shards || read_header(r, value, err);
        if (!r->n_shards)
                return rs_fail(
                        err, RESECT_FORMAT, "a table, but not TensorFlow's: it has no header");
        bool graph =
                key.size == sizeof object_graph - 1 && !memcmp(key.data, object_graph, key.size);
        if (r->wants_graph && key.data[0] == 0) {
                r->named += key.size;
                return r->named > NAMES_TOTAL
                               ? rs_fail(err, RESECT_UNSUPPORTED, "names of more than %d bytes",
                                         NAMES_TOTAL)
                               : rs_tf_records_add(&r->slices, &r->c->arena, key, value, err);
        }
        if (r->wants_graph && !graph)
                return true;
        if (key.size > KEY_MAX || memchr(key.data, 0, key.size))
                return r->wants_graph || key.data[0] == 0 ||
                       rs_fail(err, RESECT_UNSUPPORTED, "a name of %zu bytes, or with a NUL",
                               key.size);
        memcpy(name, key.data, key.size);
        name[key.size] = '\0';
        r->named += key.size;
        if (r->named > NAMES_TOTAL)
                return rs_fail(err, RESECT_UNSUPPORTED, "names of more than %d bytes", NAMES_TOTAL);
        if (!parse_entry(value, &e))
                return rs_fail(err, RESECT_FORMAT, "%s: damaged", name);
        if (r->wants_graph)
                return read_graph(r, &e, err);
        if (graph)
                return rs_checkpoint_skip(r->c, name, err, "how the objects were nested");
        return take_tensor(r, name, &e, err) || rs_fail_at(err, "%s", name);
}

static bool
read(rs_checkpoint *c, const rs_input *in, resect_error *err)
{
        struct reading r = {.c = c, .wants_graph = true};
        size_t n = rs_tf_prefix(c->path);
        if (!in || !strcmp(c->path, "-"))
                return rs_fail(err, RESECT_UNSUPPORTED,
                        "%s: a TensorFlow checkpoint is two files: name PREFIX.index", c->path);
        r.prefix = rs_arena_strndup(&c->arena, c->path, n, err);
        if (!r.prefix)
                return false;
        if (c->path[n] == '.' && c->path[n + 1] == 'd') {
                char *index = rs_arena_printf(&c->arena, err, "%s%s", r.prefix, RS_TF_INDEX);
                if (!index || !(in = rs_checkpoint_open(c, index, err)))
                        return false;
        }
        rs_span file = {in->data, in->size};
        bool ok = rs_sstable_walk(file, visit, &r, err);
        r.wants_graph = false;
        ok = ok && rs_sstable_walk(file, visit, &r, err);
        if (ok && !r.n_shards)
                ok = rs_fail(err, RESECT_FORMAT, "a table, but not TensorFlow's: it has no header");
        rs_map_free(&r.full_names);
        rs_free(r.slices.list);
        return ok || rs_fail_at(err, "%s", c->path);
}

/* A table's first entry is the header: nothing shared, an empty key, and a message that begins with
 * the number of files. The name counts, too: files of data have no other mark. */
static bool
sniff(const unsigned char *head, size_t size, const char *path)
{
        uint64_t length;
        size_t n = rs_tf_prefix(path);
        if (!head)
                return false;
        if (path[n] == '.' && path[n + 1] == 'd')
                return true;
        if (size < 8 || head[0] || head[1])
                return false;
        if (path[n] == '.')
                return true;
        rs_span at = {head + 2, size - 2};
        return rs_wire_varint(&at, &length) && at.size > 4 && length > 1 && at.data[0] == 0x08 &&
               at.data[2] == 0x1a;
}

static void
take_away(const char *path)
{
        char name[4096];
        for (int index = 0; index < 2; index++) {
                int length = snprintf(name, sizeof name, "%.*s%s", (int)rs_tf_prefix(path), path,
                        index ? RS_TF_INDEX : RS_TF_DATA);
                if (length > 0 && (size_t)length < sizeof name)
                        remove(name);
        }
}

static const char *const suffixes[] = {RS_TF_INDEX, NULL};

const rs_format rs_format_tf = {
        .name = "tf",
        .help = "TensorFlow's checkpoints, version 2 (PREFIX.index and PREFIX.data-00000-of-00001)",
        .suffixes = suffixes,
        .scheme = "slim",
        .many = true,
        .stem = RS_TF_INDEX,
        .sniff = sniff,
        .read = read,
        .write = rs_tf_write,
        .remove = take_away,
};
