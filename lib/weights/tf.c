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

enum { SHARDS_MAX = 1024, SLICES_MAX = 65536, KEY_MAX = 4096, NAMES_TOTAL = 32 << 20 };

/* DataType of tensorflow/core/framework/types.proto. */
static const struct {
        uint64_t code;
        int32_t dtype;
} types[] = {{1, RESECT_FLOAT}, {2, RESECT_DOUBLE}, {3, RESECT_INT32}, {4, RESECT_UINT8},
        {5, RESECT_INT16}, {6, RESECT_INT8}, {8, RESECT_COMPLEX64}, {9, RESECT_INT64},
        {10, RESECT_BOOL}, {14, RESECT_BFLOAT16}, {17, RESECT_UINT16}, {18, RESECT_COMPLEX128},
        {19, RESECT_FLOAT16}, {22, RESECT_UINT32}, {23, RESECT_UINT64}, {24, RESECT_FLOAT8E5M2},
        {25, RESECT_FLOAT8E4M3FN}};
enum { N_TYPES = sizeof types / sizeof *types, DT_STRING = 7 };

static const char object_graph[] = "_CHECKPOINTABLE_OBJECT_GRAPH";

int32_t
rs_tf_dtype(uint64_t type)
{
        for (size_t i = 0; i < N_TYPES; i++)
                if (types[i].code == type)
                        return types[i].dtype;
        return 0;
}

uint64_t
rs_tf_type(int32_t dtype)
{
        for (size_t i = 0; i < N_TYPES; i++)
                if (types[i].dtype == dtype)
                        return types[i].code;
        return 0;
}

size_t
rs_tf_prefix(const char *path)
{
        size_t n = strlen(path), i = sizeof RS_TF_INDEX - 1, d = sizeof RS_TF_DATA - 1;
        if (n > i && !strcmp(path + n - i, RS_TF_INDEX))
                return n - i;
        if (n <= d)
                return n;
        for (size_t k = 0; k < d; k++) {
                char want = RS_TF_DATA[k], got = path[n - d + k];
                if (want >= '0' && want <= '9' ? got < '0' || got > '9' : got != want)
                        return n;
        }
        return n - d;
}

/* Reading */

struct reading {
        rs_checkpoint *c;
        char *prefix;
        const rs_input **shards; /* NULL: not opened yet */
        uint64_t n_shards;       /* 0: no header has come */
        size_t named;
        rs_map full_names; /* of keys, from the graph of objects */
        bool wants_graph;  /* the first of two walks looks for that and for slices alone */
        struct slice {
                rs_span key, value;
        } * slices; /* parts of variables, by ascending key */
        size_t n_slices, slices_cap;
};

/* Where a tensor's bytes are, and what their checksum must be. */
struct place {
        rs_span bytes;
        uint32_t crc;
};

static bool
fetch(const rs_entry *e, rs_arena *scratch, rs_span *out, resect_error *err)
{
        const struct place *p = e->ctx;
        (void)scratch;
        *out = p->bytes;
        return rs_crc32c_mask(rs_crc32c(0, p->bytes.data, p->bytes.size)) == p->crc ||
               rs_fail(err, RESECT_FORMAT, "%s: the checksum is wrong", e->name);
}

/* BundleEntryProto, and what it takes of TensorShapeProto. */
struct bundle_entry {
        uint64_t type, shard, offset, size;
        uint32_t crc;
        bool unknown_rank;
        size_t slices; /* how many it is saved in; 0: in one piece */
        rs_span wire;
        int rank;
        int64_t dims[RESECT_RANK_MAX + 1];
};

static bool
parse_shape(rs_span s, struct bundle_entry *e)
{
        rs_field f, d;
        while (rs_wire_next(&s, &f)) {
                e->unknown_rank |= f.number == 3 && f.type == RS_WIRE_VARINT && f.value;
                if (f.number != 2 || f.type != RS_WIRE_LEN)
                        continue;
                uint64_t size = 0;
                rs_span dim = f.body;
                while (rs_wire_next(&dim, &d))
                        if (d.number == 1 && d.type == RS_WIRE_VARINT)
                                size = d.value;
                if (dim.size || size > INT64_MAX)
                        return false;
                if (e->rank <= RESECT_RANK_MAX)
                        e->dims[e->rank++] = (int64_t)size;
        }
        return s.size == 0;
}

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
                        if (!parse_shape(f.body, e))
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
                        "a TensorFlow checkpoint of version 1, which is not read; "
                        "tf.train.Saver writes version 2");
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

/* Whether it is a variable of an optimiser, or of the training: beside `x` stands `x/Momentum`. */
static const char *
no_weight(const struct reading *r, const char *name)
{
        static const char *const slots[] = {"Momentum", "Adam", "Adam_1", "RMSProp", "RMSProp_1",
                "Adagrad", "Ftrl", "Ftrl_1", "ExponentialMovingAverage",
                "AdamWeightDecayOptimizer"};
        const char *last = strrchr(name, '/');
        char base[KEY_MAX + 1];
        if (strstr(name, "/.OPTIMIZER_SLOT/") || !strncmp(name, "optimizer/", 10))
                return "the optimiser's state";
        if (!strncmp(name, "save_counter/", 13) || !strcmp(name, "global_step"))
                return "a count of steps";
        if (!strcmp(last ? last + 1 : name, "mean_rgb"))
                return "the pictures' mean";
        for (size_t i = 0; last && i < sizeof slots / sizeof *slots; i++)
                if (!strcmp(last + 1, slots[i])) {
                        memcpy(base, name, (size_t)(last - name));
                        base[last - name] = '\0';
                        return rs_checkpoint_find(r->c, base) ? "the optimiser's state" : NULL;
                }
        return NULL;
}

/* A variable in parts along one axis, which stand beside each other in each of the rows before it.
 */
struct parts {
        size_t n, rows;
        struct part {
                struct place place;
                size_t run; /* bytes in a row */
        } at[];
};

static bool
fetch_parts(const rs_entry *e, rs_arena *scratch, rs_span *out, resect_error *err)
{
        const struct parts *p = e->ctx;
        unsigned char *to = rs_arena_alloc(scratch, e->bytes, 1, err);
        *out = (rs_span){to, e->bytes};
        for (size_t i = 0; to && i < p->n; i++) {
                const struct place *x = &p->at[i].place;
                if (rs_crc32c_mask(rs_crc32c(0, x->bytes.data, x->bytes.size)) != x->crc)
                        return rs_fail(err, RESECT_FORMAT, "%s: the checksum is wrong", e->name);
        }
        for (size_t row = 0, at = 0; to && row < p->rows; row++)
                for (size_t i = 0; i < p->n; at += p->at[i++].run)
                        memcpy(to + at, p->at[i].place.bytes.data + row * p->at[i].run,
                                p->at[i].run);
        return to;
}

/* The entry that holds a slice. */
static bool
find_slice(const struct reading *r, const char *key, const rs_tf_slice *s, struct bundle_entry *e,
        resect_error *err)
{
        rs_buf b = {0};
        size_t low = 0, high = r->n_slices;
        rs_tf_slice_key(&b, key, s);
        if (b.oom) {
                rs_buf_free(&b);
                return rs_fail_nomem(err);
        }
        bool found = false;
        while (low < high && !found) {
                size_t mid = low + (high - low) / 2;
                const rs_span *k = &r->slices[mid].key;
                size_t n = k->size < b.size ? k->size : b.size;
                int order = memcmp(k->data, b.data, n);
                order = order ? order : (k->size > b.size) - (k->size < b.size);
                if (order == 0)
                        found = parse_entry(r->slices[mid].value, e) ||
                                rs_fail(err, RESECT_FORMAT, "a part of it is damaged");
                if (order == 0 && !found)
                        break;
                if (order < 0)
                        low = mid + 1;
                else
                        high = mid;
        }
        rs_buf_free(&b);
        return found || rs_fail(err, RESECT_FORMAT, "a part of it is missing");
}

static bool
part_wrong(resect_error *err)
{
        return rs_fail(
                err, RESECT_UNSUPPORTED, "its parts do not lie beside each other along one axis");
}

static bool
take_slices(struct reading *r, const char *key, const char *name, int32_t dtype,
        const struct bundle_entry *e, resect_error *err)
{
        size_t count, bytes, size, rows = 1, i = 0;
        int axis = -1;
        int64_t next = 0;
        rs_span wire = e->wire;
        rs_field f;
        rs_tf_slice s;
        if (e->rank > RESECT_RANK_MAX ||
                !rs_tensor_extent(dtype, e->rank, e->dims, &count, &bytes, NULL))
                return rs_fail(err, RESECT_FORMAT, "a shape that no file can hold");
        if (e->slices > SLICES_MAX)
                return rs_fail(err, RESECT_UNSUPPORTED, "more than %d parts", SLICES_MAX);
        if (!rs_mul(e->slices, sizeof(struct part), &size) ||
                !rs_add(size, sizeof(struct parts), &size))
                return rs_fail_nomem(err);
        struct parts *p = rs_arena_alloc(&r->c->arena, size, 1, err);
        if (!p)
                return false;
        while (rs_wire_next(&wire, &f)) {
                struct bundle_entry part;
                size_t part_count, part_bytes;
                if (f.number != 7 || f.type != RS_WIRE_LEN)
                        continue;
                if (!rs_tf_slice_parse(f.body, &s) || s.rank != e->rank)
                        return rs_fail(err, RESECT_FORMAT, "a part of it is damaged");
                int64_t dims[RESECT_RANK_MAX], length = -1;
                for (int d = 0; d < s.rank; d++) {
                        dims[d] = e->dims[d];
                        if (s.at[d].length < 0 || (!s.at[d].start && s.at[d].length == e->dims[d]))
                                continue;
                        if ((axis >= 0 && axis != d) || length >= 0 || s.at[d].start != next)
                                return part_wrong(err);
                        axis = d;
                        dims[d] = length = s.at[d].length;
                }
                if (length < 0 && e->slices > 1)
                        return part_wrong(err);
                if (length > 0 && __builtin_add_overflow(next, length, &next))
                        return part_wrong(err);
                if (!find_slice(r, key, &s, &part, err) ||
                        !bytes_of(r, &part, &p->at[i].place.bytes, err))
                        return false;
                if (part.type != e->type || part.slices ||
                        !rs_tensor_extent(dtype, s.rank, dims, &part_count, &part_bytes, NULL) ||
                        part_bytes != part.size)
                        return rs_fail(err, RESECT_FORMAT, "a part of it has another shape");
                p->at[i].place.crc = part.crc;
                p->at[i++].run = part_bytes;
        }
        if (i != e->slices || (axis >= 0 && next != e->dims[axis]))
                return part_wrong(err);
        for (int d = 0; d < axis; d++)
                rows *= (size_t)e->dims[d]; /* no more than count */
        for (size_t k = 0; k < i && rows > 1; k++)
                p->at[k].run /= rows;
        p->n = i;
        p->rows = rows;
        return rs_checkpoint_add_lazy(r->c, name, dtype, e->rank, e->dims, fetch_parts, p, err);
}

/* A part of a variable, kept until the variable comes. */
static bool
keep_slice(struct reading *r, rs_span key, rs_span value, resect_error *err)
{
        if (r->n_slices == r->slices_cap) {
                size_t cap = r->slices_cap * 2 + 64;
                struct slice *more = rs_grow(r->slices, cap, sizeof *more, err);
                if (!more)
                        return false;
                r->slices = more;
                r->slices_cap = cap;
        }
        char *copy = rs_arena_alloc(&r->c->arena, key.size, 1, err);
        if (!copy)
                return false;
        memcpy(copy, key.data, key.size);
        r->slices[r->n_slices++] = (struct slice){{(unsigned char *)copy, key.size}, value};
        return true;
}

static bool
take_tensor(struct reading *r, const char *key, const struct bundle_entry *e, resect_error *err)
{
        int32_t dtype = rs_tf_dtype(e->type);
        const char *full = rs_map_get(&r->full_names, key), *why = no_weight(r, key);
        if (why)
                return rs_checkpoint_skip(r->c, key, err, "%s", why);
        if (!dtype || e->unknown_rank)
                return rs_checkpoint_skip(r->c, key, err,
                        e->type == DT_STRING ? "text" : "elements of TensorFlow's type %llu",
                        (unsigned long long)e->type);
        if (e->slices)
                return take_slices(r, key, full ? full : key, dtype, e, err);
        struct place *p = RS_NEW(&r->c->arena, 1, struct place, err);
        size_t count, bytes;
        if (!p || !bytes_of(r, e, &p->bytes, err))
                return false;
        p->crc = e->crc;
        /* a rank or a shape that does not do is the checkpoint's to refuse */
        if (e->rank <= RESECT_RANK_MAX &&
                rs_tensor_extent(dtype, e->rank, e->dims, &count, &bytes, NULL) && bytes != e->size)
                return rs_fail(err, RESECT_FORMAT, "%llu bytes of data for a shape that takes %zu",
                        (unsigned long long)e->size, bytes);
        return rs_checkpoint_add_lazy(
                r->c, full ? full : key, dtype, e->rank, e->dims, fetch, p, err);
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
        if (e->type != DT_STRING || e->rank || !bytes_of(r, e, &bytes, err))
                return e->type != DT_STRING || e->rank;
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
                return r->named > NAMES_TOTAL ? rs_fail(err, RESECT_UNSUPPORTED,
                                                        "names of more than %d bytes", NAMES_TOTAL)
                                              : keep_slice(r, key, value, err);
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
        rs_free(r.slices);
        return ok || rs_fail_at(err, "%s", c->path);
}

/* A table's first entry is the header: nothing shared, an empty key, and a message that begins with
 * the number of files; in version 1, a message of messages. The name counts, too: files of data
 * have no other mark. */
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
        return rs_wire_varint(&at, &length) && at.size > 4 && length > 1 &&
               ((at.data[0] == 0x08 && at.data[2] == 0x1a) ||
                       (at.data[0] == 0x0a && (at.data[2] == 0x0a || at.data[3] == 0x0a)));
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
