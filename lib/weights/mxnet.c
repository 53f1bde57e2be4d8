/* SPDX-License-Identifier: 0BSD */
/*
 * MXNet's .params: a list of arrays, then the list of their names (mxnet: src/ndarray/ndarray.cc,
 * NDArray::Save). An array begins with the magic of its version; the oldest have none, and begin
 * with their rank. As the names come last, the arrays are walked twice: once to find where they
 * end, once beside their names.
 *
 * Names are written "arg:NAME" and "aux:NAME" where a symbol was exported, and MXNet takes these
 * marks off when it loads. So does this reader, when every name has one. The network that may stand
 * beside the file (mxnet_symbol.c) says more of its layers.
 */
#include "weights/weights.h"

#include <string.h>
#include "onnx/wire.h"
#include "tensor/dtype.h"
#include "weights/mxnet_symbol.h"

enum {
        LIST_MAGIC = 0x112,
        V1_MAGIC = (int32_t)0xf993fac8, /* int64 dims */
        V2_MAGIC,                       /* and a storage type */
        V3_MAGIC,                       /* and NumPy's shapes: rank 0 is a scalar, -1 is nothing */
        RANK_MAX = 32,
        NAME_MAX_BYTES = 4096,
        ARRAYS_MAX = 1000000
};

/* mshadow's type flags. */
static const int32_t flags[] = {RESECT_FLOAT, RESECT_DOUBLE, RESECT_FLOAT16, RESECT_UINT8,
        RESECT_INT32, RESECT_INT8, RESECT_INT64, RESECT_BOOL, RESECT_INT16, RESECT_UINT16,
        RESECT_UINT32, RESECT_UINT64, RESECT_BFLOAT16};

enum { N_FLAGS = sizeof flags / sizeof *flags };

static bool
sniff(const unsigned char *head, size_t size, const char *path)
{
        (void)path;
        return head && size >= 24 && rs_wire_load64(head) == LIST_MAGIC &&
               rs_wire_load64(head + 8) == 0;
}

struct reading {
        const char *path;
        rs_span rest;
        uint64_t at; /* the array's number, for messages */
        resect_error *err;
};

struct array {
        const char *skip; /* why it is no entry, or NULL */
        int32_t dtype;
        int rank;
        int64_t dims[RANK_MAX];
        rs_span data;
};

static bool
wrong(const struct reading *r, const char *what)
{
        return rs_fail(r->err, RESECT_FORMAT, "%s: array %llu: %s", r->path,
                (unsigned long long)r->at, what);
}

static bool
take(struct reading *r, size_t n, rs_span *out)
{
        *out = (rs_span){r->rest.data, n};
        if (n > r->rest.size)
                return wrong(r, "the file ends inside it");
        r->rest.data += n;
        r->rest.size -= n;
        return true;
}

static bool
take32(struct reading *r, int32_t *out)
{
        rs_span s;
        if (!take(r, 4, &s))
                return false;
        *out = (int32_t)rs_wire_load32(s.data);
        return true;
}

static bool
take64(struct reading *r, uint64_t *out)
{
        rs_span s;
        if (!take(r, 8, &s))
                return false;
        *out = rs_wire_load64(s.data);
        return true;
}

/* The dims of a shape whose rank has been read; width is 4 (unsigned) or 8 bytes each. */
static bool
take_dims(struct reading *r, int32_t rank, size_t width, int64_t *dims)
{
        rs_span s;
        if (rank < 0 || rank > RANK_MAX)
                return wrong(r, "neither a known version nor a rank of at most 32");
        if (!take(r, (size_t)rank * width, &s))
                return false;
        for (int32_t i = 0; i < rank; i++)
                dims[i] = width == 4 ? (int64_t)rs_wire_load32(s.data + 4 * i)
                                     : (int64_t)rs_wire_load64(s.data + 8 * i);
        return true;
}

static bool
take_shape(struct reading *r, int *rank, int64_t *dims)
{
        int32_t n;
        if (!take32(r, &n) || !take_dims(r, n, 8, dims))
                return false;
        *rank = n;
        return true;
}

/* The dtype of a type flag; without it not even the end of the array could be found. */
static bool
dtype_of(const struct reading *r, int32_t flag, int32_t *out)
{
        if (flag < 0 || flag >= N_FLAGS)
                return rs_fail(r->err, RESECT_UNSUPPORTED, "%s: array %llu: elements of type %d",
                        r->path, (unsigned long long)r->at, (int)flag);
        *out = flags[flag];
        return true;
}

static bool
take_data(struct reading *r, int32_t dtype, int rank, const int64_t *dims, rs_span *out)
{
        size_t count, bytes;
        if (!rs_tensor_extent(dtype, rank, dims, &count, &bytes, NULL))
                return wrong(r, "a shape that no file can hold");
        return take(r, bytes, out);
}

/* After the shape: context, type, for sparse arrays types and shapes of the indices, then the
 * values and the indices. */
static bool
take_body(struct reading *r, struct array *a, int indices, int srank, const int64_t *sdims)
{
        int32_t device, id, flag, dtypes[2] = {0};
        int ranks[2] = {0};
        int64_t dims[2][RANK_MAX];
        rs_span unused;
        if (!take32(r, &device) || !take32(r, &id) || !take32(r, &flag) ||
                !dtype_of(r, flag, &a->dtype))
                return false;
        for (int i = 0; i < indices; i++)
                if (!take32(r, &flag) || !dtype_of(r, flag, &dtypes[i]) ||
                        !take_shape(r, &ranks[i], dims[i]))
                        return false;
        if (!take_data(r, a->dtype, indices ? srank : a->rank, indices ? sdims : a->dims, &a->data))
                return false;
        for (int i = 0; i < indices; i++)
                if (!take_data(r, dtypes[i], ranks[i], dims[i], &unused))
                        return false;
        a->skip = indices ? "a sparse array" : NULL;
        return true;
}

static bool
take_array(struct reading *r, struct array *a)
{
        int32_t magic, storage = 0, rank;
        int srank = 0;
        int64_t sdims[RANK_MAX];
        if (!take32(r, &magic))
                return false;
        bool modern = magic == V2_MAGIC || magic == V3_MAGIC;
        if (modern) {
                if (!take32(r, &storage))
                        return false;
                if (storage < 0 || storage > 2 || (storage && magic == V3_MAGIC))
                        return wrong(r, "a storage type that does not exist");
                if (storage && !take_shape(r, &srank, sdims))
                        return false;
        }
        rank = magic;
        if ((modern || magic == V1_MAGIC) && !take32(r, &rank))
                return false;
        a->skip = "an array without a value";
        a->rank = 0;
        if (magic == V3_MAGIC ? rank == -1 : rank == 0)
                return true;
        if (!take_dims(r, rank, modern || magic == V1_MAGIC ? 8 : 4, a->dims))
                return false;
        a->rank = rank;
        for (int i = 0; i < rank; i++) {
                if (magic == V3_MAGIC && a->dims[i] == -1)
                        return true;
                if (magic != V3_MAGIC && a->dims[i] == 0)
                        return wrong(r, "a dimension of 0");
        }
        return take_body(r, a, storage, srank, sdims);
}

static bool
take_name(struct reading *r, rs_span *out)
{
        uint64_t n;
        if (!take64(r, &n))
                return false;
        if (n > NAME_MAX_BYTES)
                return rs_fail(r->err, RESECT_FORMAT, "%s: name %llu has %llu bytes", r->path,
                        (unsigned long long)r->at, (unsigned long long)n);
        return take(r, (size_t)n, out) &&
               (!memchr(out->data, 0, out->size) || wrong(r, "a NUL byte in its name"));
}

static bool
is_marked(rs_span name)
{
        return name.size > 4 && (!memcmp(name.data, "arg:", 4) || !memcmp(name.data, "aux:", 4));
}

/* From the end of the arrays to the end of the file: as many names, or none. */
static bool
check_names(struct reading r, uint64_t count, uint64_t *n, bool *marked)
{
        rs_span name;
        r.at = 0;
        *marked = true;
        if (!take64(&r, n))
                return false;
        if (*n && *n != count)
                return rs_fail(r.err, RESECT_FORMAT, "%s: %llu names for %llu arrays", r.path,
                        (unsigned long long)*n, (unsigned long long)count);
        for (; r.at < *n; r.at++) {
                if (!take_name(&r, &name))
                        return false;
                *marked &= is_marked(name);
        }
        return r.rest.size == 0 ||
               rs_fail(r.err, RESECT_FORMAT, "%s: %zu bytes after the last name", r.path,
                       r.rest.size);
}

static bool
add_array(rs_checkpoint *c, const struct array *a, rs_span name, uint64_t at, resect_error *err)
{
        rs_arena scratch = {0};
        char *s = name.data ? rs_arena_strndup(&scratch, (const char *)name.data, name.size, err)
                            : rs_arena_printf(&scratch, err, "%llu", (unsigned long long)at);
        bool ok =
                s && (a->skip ? rs_checkpoint_skip(c, s, err, "%s", a->skip)
                              : rs_checkpoint_add(c, s, a->dtype, a->rank, a->dims, a->data, err));
        rs_arena_free(&scratch);
        return ok;
}

static bool
read(rs_checkpoint *c, const rs_input *in, resect_error *err)
{
        if (!sniff(in->data, in->size, c->path))
                return rs_fail(err, RESECT_FORMAT, "%s: not a list of MXNet arrays", c->path);
        struct reading arrays = {c->path, {in->data + 24, in->size - 24}, 0, err};
        uint64_t count = rs_wire_load64(in->data + 16), n_names;
        struct reading names = arrays;
        struct array a;
        bool marked;
        if (count > ARRAYS_MAX)
                return rs_fail(err, RESECT_UNSUPPORTED, "%s: %llu arrays; at most %d are read",
                        c->path, (unsigned long long)count, ARRAYS_MAX);
        for (; names.at < count; names.at++)
                if (!take_array(&names, &a))
                        return false;
        if (!check_names(names, count, &n_names, &marked) || !take64(&names, &n_names))
                return false;
        for (names.at = 0; arrays.at < count; arrays.at++, names.at++) {
                rs_span name = {0};
                if (!take_array(&arrays, &a) || (n_names && !take_name(&names, &name)))
                        return false;
                if (n_names && marked) {
                        name.data += 4;
                        name.size -= 4;
                }
                if (!add_array(c, &a, name, arrays.at, err))
                        return false;
        }
        return rs_mxnet_symbol(c, err);
}

/* Writing: arrays of version 2 without marks, as Gluon's save_parameters does. */

static int32_t
flag_of(int32_t dtype)
{
        for (int32_t i = 0; i < N_FLAGS; i++)
                if (flags[i] == dtype)
                        return i;
        return -1;
}

static void
put(rs_buf *b, uint64_t v, int bytes)
{
        for (int i = 0; i < bytes; i++)
                rs_buf_add(b, &(unsigned char){(unsigned char)(v >> 8 * i)}, 1);
}

static bool
check_entry(const rs_entry *e, resect_error *err)
{
        if (flag_of(e->dtype) < 0)
                return rs_fail(err, RESECT_UNSUPPORTED, "%s: MXNet has no elements of type %s",
                        e->name, resect_dtype_name((resect_dtype)e->dtype));
        if (strlen(e->name) > NAME_MAX_BYTES)
                return rs_fail(err, RESECT_UNSUPPORTED, "%.64s...: a name of %zu bytes", e->name,
                        strlen(e->name));
        return e->count && e->rank
                       ? true
                       : rs_fail(err, RESECT_UNSUPPORTED,
                                 "%s: MXNet's arrays have at least one dimension and one element",
                                 e->name);
}

static bool
put_array(const rs_writing *w, const rs_entry *e, resect_error *err)
{
        rs_buf b = {0};
        rs_arena scratch = {0};
        rs_span bytes[2];
        put(&b, (uint32_t)V2_MAGIC, 4);
        put(&b, 0, 4); /* dense */
        put(&b, (uint64_t)e->rank, 4);
        for (int i = 0; i < e->rank; i++)
                put(&b, (uint64_t)e->dims[i], 8);
        put(&b, 1, 4); /* cpu */
        put(&b, 0, 4); /* 0 */
        put(&b, (uint64_t)flag_of(e->dtype), 4);
        bool ok = b.oom ? rs_fail_nomem(err) : rs_entry_bytes(e, &scratch, &bytes[1], err);
        bytes[0] = (rs_span){b.data, b.size};
        ok = ok && rs_output_put(w->out, bytes, 2, err);
        rs_arena_free(&scratch);
        rs_buf_free(&b);
        return ok;
}

static bool
put_buf(const rs_writing *w, rs_buf *b, resect_error *err)
{
        bool ok = b->oom ? rs_fail_nomem(err) : rs_output_bytes(w->out, b->data, b->size, err);
        rs_buf_free(b);
        return ok;
}

static bool
write(const rs_writing *w, resect_error *err)
{
        rs_buf head = {0}, names = {0};
        for (size_t i = 0; i < w->n_entries; i++)
                if (!check_entry(&w->entries[i], err))
                        return false;
        put(&head, LIST_MAGIC, 8);
        put(&head, 0, 8);
        put(&head, w->n_entries, 8);
        if (!put_buf(w, &head, err))
                return false;
        for (size_t i = 0; i < w->n_entries; i++)
                if (!put_array(w, &w->entries[i], err))
                        return false;
        put(&names, w->n_entries, 8);
        for (size_t i = 0; i < w->n_entries; i++) {
                put(&names, strlen(w->entries[i].name), 8);
                rs_buf_str(&names, w->entries[i].name);
        }
        return put_buf(w, &names, err);
}

static const char *const suffixes[] = {".params", NULL};

const rs_format rs_format_mxnet = {
        .name = "mxnet",
        .help = "MXNet's and Gluon's .params",
        .suffixes = suffixes,
        .scheme = "gluon",
        .sniff = sniff,
        .read = read,
        .write = write,
};
