/* SPDX-License-Identifier: 0BSD */
/*
 * Flax's msgpack (flax.serialization.to_bytes): maps in maps, whose leaves are arrays as extensions
 * of MessagePack: type 1 is an array, (shape, name of the dtype, bytes) packed once more, type 3 a
 * NumPy scalar likewise, type 2 a complex number of Python's. An array of more than a GiB is a map
 * of flat pieces. A name is the keys on the way, joined with '/'.
 */
#include "weights/flax.h"

#include <stdio.h>
#include <string.h>
#include "tensor/dtype.h"
#include "weights/json.h"
#include "weights/msgpack.h"
#include "weights/weights.h"

enum { CHUNKS_MAX = 65536, NOTE_MAX = 65536, NAMES_TOTAL = 32 << 20 };
/* NumPy's names, and those that ml_dtypes adds to them. */
static const struct {
        const char *name;
        int32_t dtype;
} names[] = {{"float32", RESECT_FLOAT}, {"float16", RESECT_FLOAT16}, {"bfloat16", RESECT_BFLOAT16},
        {"float64", RESECT_DOUBLE}, {"int8", RESECT_INT8}, {"int16", RESECT_INT16},
        {"int32", RESECT_INT32}, {"int64", RESECT_INT64}, {"uint8", RESECT_UINT8},
        {"uint16", RESECT_UINT16}, {"uint32", RESECT_UINT32}, {"uint64", RESECT_UINT64},
        {"bool", RESECT_BOOL}, {"complex64", RESECT_COMPLEX64}, {"complex128", RESECT_COMPLEX128},
        {"float8_e4m3fn", RESECT_FLOAT8E4M3FN}, {"float8_e5m2", RESECT_FLOAT8E5M2}};
enum { N_NAMES = sizeof names / sizeof *names };

const char *
rs_flax_name(int32_t dtype)
{
        for (size_t i = 0; i < N_NAMES; i++)
                if (names[i].dtype == dtype)
                        return names[i].name;
        return NULL;
}

/* A map or an array that is being walked. */
struct level {
        uint64_t left, index;
        size_t name; /* length of the name up to here */
        bool map;
};

struct reading {
        rs_checkpoint *c;
        rs_span rest;
        rs_buf name;
        rs_map seen;  /* every name: a key that comes twice is refused */
        size_t named; /* their bytes in all: short keys in deep maps must not fill the memory */
        struct level levels[RS_FLAX_DEPTH];
        int depth;
        resect_error *err;
};

static const char *
name_of(const struct reading *r)
{
        return r->name.size ? (const char *)r->name.data : "value";
}

static bool
wrong(struct reading *r, const char *why)
{
        return rs_fail(r->err, RESECT_FORMAT, "%s: %s: %s", r->c->path, name_of(r), why);
}

static bool
next(struct reading *r, rs_msgpack *t)
{
        return rs_msgpack_next(&r->rest, t) ||
               wrong(r, r->rest.size ? "no MessagePack" : "the file ends here");
}

static bool
body(struct reading *r, const rs_msgpack *t, rs_span *out)
{
        return rs_msgpack_body(&r->rest, t, out) || wrong(r, "the file ends here");
}

/* The parts of an array's extension; dtype 0: none that is known. */
struct array {
        int32_t dtype;
        char name[32];
        int rank;
        int64_t dims[RESECT_RANK_MAX + 1]; /* one too many is seen by the checkpoint */
        rs_span bytes;
};

static bool
parse_shape(rs_span *p, struct array *a)
{
        rs_msgpack t, dim;
        if (!rs_msgpack_next(p, &t) || t.kind != RS_MSGPACK_ARRAY || t.n > p->size)
                return false;
        for (uint64_t i = 0; i < t.n; i++) {
                if (!rs_msgpack_next(p, &dim) || dim.kind != RS_MSGPACK_UINT || dim.n > INT64_MAX)
                        return false;
                if (a->rank <= RESECT_RANK_MAX)
                        a->dims[a->rank++] = (int64_t)dim.n;
        }
        return true;
}

static bool
parse_array(rs_span p, struct array *a)
{
        rs_msgpack t;
        rs_span name;
        *a = (struct array){0};
        if (!rs_msgpack_next(&p, &t) || t.kind != RS_MSGPACK_ARRAY || t.n != 3 ||
                !parse_shape(&p, a) || !rs_msgpack_next(&p, &t) ||
                (t.kind != RS_MSGPACK_STR && t.kind != RS_MSGPACK_BIN) ||
                !rs_msgpack_body(&p, &t, &name) || name.size >= sizeof a->name ||
                memchr(name.data, 0, name.size) || !rs_msgpack_next(&p, &t) ||
                (t.kind != RS_MSGPACK_BIN && t.kind != RS_MSGPACK_STR) ||
                !rs_msgpack_body(&p, &t, &a->bytes) || p.size)
                return false;
        memcpy(a->name, name.data, name.size);
        for (size_t i = 0; i < N_NAMES; i++)
                if (!strcmp(names[i].name, a->name))
                        a->dtype = names[i].dtype;
        return true;
}

/* The state of an optimiser, as TrainState and the older flax.optim keep it. */
static bool
is_optimiser(const char *name)
{
        return !strncmp(name, "opt_state/", 10) || !strncmp(name, "optimizer/state/", 16);
}

static bool
take_array(struct reading *r, rs_span ext)
{
        struct array a;
        if (!parse_array(ext, &a))
                return wrong(r, "a damaged array");
        if (is_optimiser(name_of(r)))
                return rs_checkpoint_skip(r->c, name_of(r), r->err, "the optimiser's state");
        if (!a.rank && !strcmp(name_of(r), "step"))
                return rs_checkpoint_skip(r->c, "step", r->err, "a count of steps");
        if (!a.dtype)
                return rs_checkpoint_skip(r->c, name_of(r), r->err, "elements of type %s", a.name);
        return rs_checkpoint_add(r->c, name_of(r), a.dtype, a.rank, a.dims, a.bytes, r->err);
}

/* An array in pieces. */
struct pieces {
        struct array shape; /* rank and dims */
        int32_t dtype;
        bool odd; /* a dtype that is not known, or two */
        size_t n, have, bytes;
        rs_span *spans;
};

static bool
join(const rs_entry *e, rs_arena *scratch, rs_span *out, resect_error *err)
{
        const struct pieces *p = e->ctx;
        unsigned char *all = rs_arena_alloc(scratch, p->bytes, 1, err), *at = all;
        if (!all)
                return false;
        for (size_t i = 0; i < p->n; i++) {
                memcpy(at, p->spans[i].data, p->spans[i].size);
                at += p->spans[i].size;
        }
        *out = (rs_span){all, p->bytes};
        return true;
}

/* The keys "0", "1" ... of a tuple that became a map. */
static bool
tuple_key(struct reading *r, uint64_t n, uint64_t *at)
{
        rs_msgpack t;
        rs_span s;
        if (!next(r, &t))
                return false;
        if (t.kind != RS_MSGPACK_STR || !body(r, &t, &s) || !s.size || s.size > 9)
                return wrong(r, "a damaged array in pieces");
        *at = 0;
        for (size_t i = 0; i < s.size; i++) {
                if (s.data[i] < '0' || s.data[i] > '9' ||
                        (i == 0 && s.data[0] == '0' && s.size > 1))
                        return wrong(r, "a damaged array in pieces");
                *at = *at * 10 + (uint64_t)(s.data[i] - '0');
        }
        return *at < n || wrong(r, "a damaged array in pieces");
}

static bool
take_piece(struct reading *r, struct pieces *p, size_t at)
{
        rs_msgpack t;
        rs_span ext;
        struct array a;
        if (!next(r, &t) || t.kind != RS_MSGPACK_EXT || !body(r, &t, &ext))
                return wrong(r, "a damaged array in pieces");
        if (t.type != RS_FLAX_ARRAY || !parse_array(ext, &a) || p->spans[at].data ||
                !rs_add(p->bytes, a.bytes.size, &p->bytes))
                return wrong(r, "a damaged array in pieces");
        p->odd |= !a.dtype || (p->have && a.dtype != p->dtype);
        p->dtype = a.dtype;
        p->spans[at] = a.bytes;
        p->have++;
        return true;
}

static bool
take_part(struct reading *r, struct pieces *p, bool shape)
{
        rs_msgpack t, dim;
        uint64_t at = 0;
        if (!next(r, &t) || t.kind != RS_MSGPACK_MAP ||
                t.n > (shape ? RESECT_RANK_MAX : CHUNKS_MAX) || t.n > r->rest.size / 2 ||
                (shape ? p->shape.rank >= 0 : p->spans != NULL))
                return wrong(r, "a damaged array in pieces");
        if (shape)
                p->shape.rank = (int)t.n;
        else {
                p->n = (size_t)t.n;
                p->spans = RS_NEW(&r->c->arena, p->n + 1, rs_span, r->err);
                if (!p->spans)
                        return false;
        }
        unsigned had = 0;
        for (uint64_t i = 0; i < t.n; i++) {
                if (!tuple_key(r, t.n, &at))
                        return false;
                if (!shape) {
                        if (!take_piece(r, p, (size_t)at))
                                return false;
                        continue;
                }
                if (!next(r, &dim) || dim.kind != RS_MSGPACK_UINT || dim.n > INT64_MAX ||
                        had & 1u << at)
                        return wrong(r, "a damaged array in pieces");
                had |= 1u << at;
                p->shape.dims[at] = (int64_t)dim.n;
        }
        return true;
}

/* After the key that says so: its value, and the two other pairs. */
static bool
take_chunked(struct reading *r, uint64_t pairs)
{
        rs_msgpack t;
        rs_span key;
        struct pieces *p = RS_NEW(&r->c->arena, 1, struct pieces, r->err);
        if (!p)
                return false;
        p->shape.rank = -1;
        if (!next(r, &t) || t.kind != RS_MSGPACK_BOOL || pairs != 3)
                return wrong(r, "a damaged array in pieces");
        for (int i = 0; i < 2; i++) {
                if (!next(r, &t) || t.kind != RS_MSGPACK_STR || !body(r, &t, &key))
                        return wrong(r, "a damaged array in pieces");
                bool shape = key.size == 5 && !memcmp(key.data, "shape", 5);
                if (!shape && (key.size != 6 || memcmp(key.data, "chunks", 6) != 0))
                        return wrong(r, "a damaged array in pieces");
                if (!take_part(r, p, shape))
                        return false;
        }
        if (is_optimiser(name_of(r)))
                return rs_checkpoint_skip(r->c, name_of(r), r->err, "the optimiser's state");
        if (p->odd || !p->have)
                return rs_checkpoint_skip(r->c, name_of(r), r->err, "pieces of an unknown type");
        size_t count, bytes;
        if (!rs_tensor_extent(p->dtype, p->shape.rank, p->shape.dims, &count, &bytes, r->err) ||
                bytes != p->bytes)
                return wrong(r, "its pieces do not make up its shape");
        return rs_checkpoint_add_lazy(
                r->c, name_of(r), p->dtype, p->shape.rank, p->shape.dims, join, p, r->err);
}

/* Whether a map that begins here is an array in pieces; its first key is then past. */
static bool
is_chunked(struct reading *r)
{
        rs_span at = r->rest, key;
        rs_msgpack t;
        if (!rs_msgpack_next(&at, &t) || t.kind != RS_MSGPACK_STR ||
                !rs_msgpack_body(&at, &t, &key) || key.size != sizeof RS_FLAX_CHUNKED - 1 ||
                memcmp(key.data, RS_FLAX_CHUNKED, key.size) != 0)
                return false;
        r->rest = at;
        return true;
}

static bool
enter(struct reading *r, const rs_msgpack *t)
{
        bool map = t->kind == RS_MSGPACK_MAP;
        if (map && is_chunked(r))
                return take_chunked(r, t->n);
        if (t->n > r->rest.size / (map ? 2 : 1))
                return wrong(r, "more keys than there are bytes");
        if (r->depth == RS_FLAX_DEPTH)
                return rs_fail(r->err, RESECT_UNSUPPORTED, "%s: maps more than %d deep", r->c->path,
                        RS_FLAX_DEPTH);
        r->levels[r->depth++] = (struct level){.left = t->n, .name = r->name.size, .map = map};
        return true;
}

static bool
take_text(struct reading *r, const rs_msgpack *t)
{
        rs_span s;
        if (!body(r, t, &s))
                return false;
        if (t->kind == RS_MSGPACK_BIN || s.size > NOTE_MAX ||
                !rs_is_utf8((const char *)s.data, s.size) || memchr(s.data, 0, s.size))
                return rs_checkpoint_skip(r->c, name_of(r), r->err, "%zu bytes", s.size);
        rs_buf text = {0};
        rs_buf_add(&text, s.data, s.size);
        rs_buf_str(&text, "");
        bool ok = text.oom ? rs_fail_nomem(r->err)
                           : rs_checkpoint_note(r->c, name_of(r), (const char *)text.data, r->err);
        rs_buf_free(&text);
        return ok;
}

static bool
take_value(struct reading *r)
{
        rs_msgpack t;
        rs_span s;
        if (!next(r, &t))
                return false;
        switch (t.kind) {
        case RS_MSGPACK_MAP:
        case RS_MSGPACK_ARRAY:
                return enter(r, &t);
        case RS_MSGPACK_STR:
        case RS_MSGPACK_BIN:
                return take_text(r, &t);
        case RS_MSGPACK_EXT:
                if (!body(r, &t, &s))
                        return false;
                if (t.type == RS_FLAX_ARRAY || t.type == RS_FLAX_SCALAR)
                        return take_array(r, s);
                if (t.type == RS_FLAX_COMPLEX)
                        return rs_checkpoint_skip(r->c, name_of(r), r->err, "a complex number");
                return rs_checkpoint_skip(r->c, name_of(r), r->err, "extension %d", t.type);
        case RS_MSGPACK_FLOAT:
                return rs_checkpoint_skip(r->c, name_of(r), r->err, "the number %.9g", t.number);
        case RS_MSGPACK_INT:
                return rs_checkpoint_skip(
                        r->c, name_of(r), r->err, "the number %lld", (long long)t.n);
        case RS_MSGPACK_UINT:
                return rs_checkpoint_skip(
                        r->c, name_of(r), r->err, "the number %llu", (unsigned long long)t.n);
        case RS_MSGPACK_BOOL:
                return rs_checkpoint_skip(r->c, name_of(r), r->err, "%s", t.n ? "True" : "False");
        case RS_MSGPACK_NIL:
                break;
        }
        return rs_checkpoint_skip(r->c, name_of(r), r->err, "None");
}

/* A level's next key, put behind the level's name. */
static bool
take_key(struct reading *r, struct level *l)
{
        rs_msgpack t;
        rs_span s = {0};
        char number[24];
        r->name.size = l->name;
        rs_buf_str(&r->name, ""); /* what is wrong with the key is said of its map */
        if (!l->map)
                snprintf(number, sizeof number, "%llu", (unsigned long long)l->index++);
        else if (!next(r, &t))
                return false;
        else if (t.kind == RS_MSGPACK_STR || t.kind == RS_MSGPACK_BIN) {
                if (!body(r, &t, &s))
                        return false;
        } else if (t.kind == RS_MSGPACK_UINT)
                snprintf(number, sizeof number, "%llu", (unsigned long long)t.n);
        else
                return wrong(r, "a key that is no text");
        if (!s.data)
                s = (rs_span){(const unsigned char *)number, strlen(number)};
        if (l->name + s.size >= RS_FLAX_NAME || memchr(s.data, 0, s.size) ||
                !rs_is_utf8((const char *)s.data, s.size))
                return wrong(r, "a key that is too long or no text");
        if (l->name)
                rs_buf_add(&r->name, "/", 1);
        rs_buf_add(&r->name, s.data, s.size);
        rs_buf_str(&r->name, "");
        if (r->name.oom)
                return rs_fail_nomem(r->err);
        r->named += r->name.size;
        if (r->named > NAMES_TOTAL)
                return rs_fail(r->err, RESECT_UNSUPPORTED, "%s: names of more than %d bytes",
                        r->c->path, NAMES_TOTAL);
        void *old;
        char *copy = rs_arena_strdup(&r->c->arena, (const char *)r->name.data, r->err);
        return copy && rs_map_put(&r->seen, copy, copy, &old, r->err) &&
               (!old || wrong(r, "the same key twice"));
}

static bool
walk(struct reading *r)
{
        if (!take_value(r))
                return false;
        while (r->depth) {
                struct level *l = &r->levels[r->depth - 1];
                if (!l->left) {
                        r->depth--;
                        continue;
                }
                l->left--;
                if (!take_key(r, l) || !take_value(r))
                        return false;
        }
        r->name.size = 0;
        return !r->rest.size || wrong(r, "bytes after the end");
}

static bool
read(rs_checkpoint *c, const rs_input *in, resect_error *err)
{
        struct reading r = {.c = c, .rest = {in->data, in->size}, .err = err};
        bool ok = walk(&r);
        rs_buf_free(&r.name);
        rs_map_free(&r.seen);
        return ok;
}

/* MessagePack has no magic: a map of text whose first value that is no map, number or text is an
 * array. */
static bool
sniff(const unsigned char *head, size_t size, const char *path)
{
        (void)path;
        rs_span at = {head, size}, s;
        rs_msgpack t, k;
        if (!head || !rs_msgpack_next(&at, &t) || t.kind != RS_MSGPACK_MAP || !t.n)
                return false;
        for (uint64_t left = t.n; left > 0;) {
                if (!rs_msgpack_next(&at, &k) || k.kind != RS_MSGPACK_STR ||
                        !rs_msgpack_body(&at, &k, &s) || !rs_is_utf8((const char *)s.data, s.size))
                        return false;
                if (s.size == sizeof RS_FLAX_CHUNKED - 1 &&
                        !memcmp(s.data, RS_FLAX_CHUNKED, s.size))
                        return true;
                if (!rs_msgpack_next(&at, &t))
                        return false;
                if (t.kind == RS_MSGPACK_MAP && t.n)
                        left = t.n;
                else if (t.kind == RS_MSGPACK_EXT)
                        return (t.type == RS_FLAX_ARRAY || t.type == RS_FLAX_SCALAR) && at.size &&
                               at.data[0] == 0x93;
                else if (t.kind == RS_MSGPACK_ARRAY ||
                         ((t.kind == RS_MSGPACK_STR || t.kind == RS_MSGPACK_BIN) &&
                                 !rs_msgpack_body(&at, &t, &s)))
                        return false;
                else
                        left--;
        }
        return false;
}

static const char *const suffixes[] = {".msgpack", NULL};

const rs_format rs_format_flax = {
        .name = "flax",
        .help = "Flax's msgpack (flax.serialization.to_bytes)",
        .suffixes = suffixes,
        .scheme = "flax",
        .sniff = sniff,
        .read = read,
        .write = rs_flax_write,
};
