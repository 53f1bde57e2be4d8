/* SPDX-License-Identifier: 0BSD */
/*
 * safetensors (github.com/huggingface/safetensors, README "Format"): 8 bytes of header length, a
 * JSON header, the values. The header must name every byte behind it exactly once: contiguous,
 * without holes, up to the end of the file.
 */
#include "weights/weights.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include "tensor/dtype.h"
#include "weights/json.h"

enum { HEADER_MAX = 100000000 };

static const struct {
        const char *code;
        int32_t dtype;
} codes[] = {{"F32", RESECT_FLOAT}, {"F16", RESECT_FLOAT16}, {"BF16", RESECT_BFLOAT16},
        {"F64", RESECT_DOUBLE}, {"I64", RESECT_INT64}, {"I32", RESECT_INT32}, {"I16", RESECT_INT16},
        {"I8", RESECT_INT8}, {"U8", RESECT_UINT8}, {"U16", RESECT_UINT16}, {"U32", RESECT_UINT32},
        {"U64", RESECT_UINT64}, {"BOOL", RESECT_BOOL}, {"F8_E4M3", RESECT_FLOAT8E4M3FN},
        {"F8_E5M2", RESECT_FLOAT8E5M2}, {"C64", RESECT_COMPLEX64}};

static uint64_t
little64(const unsigned char *p)
{
        uint64_t v = 0;
        for (int i = 0; i < 8; i++)
                v |= (uint64_t)p[i] << 8 * i;
        return v;
}

static bool
sniff(const unsigned char *head, size_t size, const char *path)
{
        (void)path;
        return head && size > 8 && little64(head) <= HEADER_MAX && little64(head) >= 2 &&
               head[8] == '{';
}

/* Where each tensor's bytes are, to see that all of them are accounted for. */
struct range {
        uint64_t begin, end;
};

struct reading {
        rs_checkpoint *c;
        rs_json json;
        rs_span values;
        struct range *ranges;
        size_t n, cap;
        rs_map skipped; /* names that are no entries, to find two alike */
        resect_error *err;
};

static bool
wrong(struct reading *r, const char *name, const char *what)
{
        const char *why = r->json.why ? r->json.why : what;
        if (r->json.text.oom)
                return rs_fail_nomem(r->err);
        return name ? rs_fail(r->err, RESECT_FORMAT, "%s: header: %s: %s", r->c->path, name, why)
                    : rs_fail(r->err, RESECT_FORMAT, "%s: header: %s", r->c->path, why);
}

static bool
read_meta(struct reading *r)
{
        rs_json *j = &r->json;
        rs_map keys = {0};
        void *old = NULL;
        bool first = true, ok = rs_json_eat(j, '{') || wrong(r, "__metadata__", "no object");
        while (ok && rs_json_next(j, '}', &first)) {
                const char *s = rs_json_string(j);
                char *key = s ? rs_arena_strdup(&r->c->arena, s, r->err) : NULL;
                if (!s || !rs_json_eat(j, ':') || !(s = key ? rs_json_string(j) : NULL)) {
                        ok = (s && !key) ? false : wrong(r, "__metadata__", "must be text: text");
                        break;
                }
                ok = rs_map_put(&keys, key, key, &old, r->err) &&
                     rs_checkpoint_note(r->c, key, s, r->err);
                if (ok && old)
                        ok = wrong(r, "__metadata__", "the same key twice");
        }
        rs_map_free(&keys);
        return ok && (!j->why || wrong(r, "__metadata__", NULL));
}

struct info {
        int32_t dtype; /* 0: one that is not known here */
        char code[32];
        int rank;
        int64_t dims[RESECT_RANK_MAX]; /* as many of them as can be read */
        struct range at;
};

static bool
read_shape(struct reading *r, struct info *t)
{
        bool first = true;
        uint64_t v;
        if (!rs_json_eat(&r->json, '['))
                return false;
        while (rs_json_next(&r->json, ']', &first)) {
                if (!rs_json_natural(&r->json, &v) || v > INT64_MAX)
                        return false;
                if (t->rank < RESECT_RANK_MAX)
                        t->dims[t->rank] = (int64_t)v;
                if (t->rank < INT_MAX)
                        t->rank++;
        }
        return !r->json.why;
}

static bool
read_dtype(struct reading *r, struct info *t)
{
        const char *s = rs_json_string(&r->json);
        if (!s || strlen(s) >= sizeof t->code)
                return false;
        strcpy(t->code, s);
        for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
                if (!strcmp(codes[i].code, s))
                        t->dtype = codes[i].dtype;
        return true;
}

static bool
read_offsets(struct reading *r, struct info *t)
{
        rs_json *j = &r->json;
        return rs_json_eat(j, '[') && rs_json_natural(j, &t->at.begin) && rs_json_eat(j, ',') &&
               rs_json_natural(j, &t->at.end) && rs_json_eat(j, ']');
}

static bool
read_info(struct reading *r, const char *name, struct info *t)
{
        static const char *const keys[] = {"dtype", "shape", "data_offsets"};
        bool (*const readers[])(struct reading *, struct info *) = {
                read_dtype, read_shape, read_offsets};
        rs_json *j = &r->json;
        bool first = true;
        unsigned seen = 0;
        if (!rs_json_eat(j, '{'))
                return wrong(r, name, "no object");
        while (rs_json_next(j, '}', &first)) {
                const char *key = rs_json_string(j);
                int k = 0;
                while (key && k < 3 && strcmp(keys[k], key) != 0)
                        k++;
                if (!key || k == 3)
                        return wrong(r, name, "a key that is not dtype, shape or data_offsets");
                if (seen & 1u << k)
                        return wrong(r, name, "the same key twice");
                seen |= 1u << k;
                if (!rs_json_eat(j, ':') || !readers[k](r, t))
                        return wrong(r, name, "damaged");
        }
        return (seen == 7 && !j->why) || wrong(r, name, "dtype, shape or data_offsets is missing");
}

static bool
keep_range(struct reading *r, const struct range *at)
{
        if (r->n == r->cap) {
                size_t cap = r->cap + r->cap / 2 + 256;
                void *grown = rs_grow(r->ranges, cap, sizeof *r->ranges, r->err);
                if (!grown)
                        return false;
                r->ranges = grown;
                r->cap = cap;
        }
        r->ranges[r->n++] = *at;
        return true;
}

static bool
take_tensor(struct reading *r, const char *name)
{
        struct info t = {0};
        if (!read_info(r, name, &t))
                return false;
        if (t.at.begin > t.at.end || t.at.end > r->values.size)
                return rs_fail(r->err, RESECT_FORMAT, "%s: %s: bytes %llu to %llu of %zu",
                        r->c->path, name, (unsigned long long)t.at.begin,
                        (unsigned long long)t.at.end, r->values.size);
        if (!keep_range(r, &t.at))
                return false;
        if (t.dtype)
                return rs_checkpoint_add(r->c, name, t.dtype, t.rank, t.dims,
                        (rs_span){r->values.data + t.at.begin, (size_t)(t.at.end - t.at.begin)},
                        r->err);
        void *old = NULL;
        if (!rs_checkpoint_skip(r->c, name, r->err, "elements of type %s", t.code))
                return false;
        const char *kept = r->c->skipped[r->c->n_skipped - 1].name;
        return rs_map_put(&r->skipped, kept, r, &old, r->err) &&
               (!old || wrong(r, kept, "the same name twice"));
}

static bool
read_header(struct reading *r)
{
        rs_json *j = &r->json;
        bool first = true, meta = false;
        if (!rs_json_eat(j, '{'))
                return wrong(r, NULL, "no object");
        while (rs_json_next(j, '}', &first)) {
                const char *s = rs_json_string(j);
                if (!s || !rs_json_eat(j, ':'))
                        return wrong(r, NULL, "damaged");
                bool is_meta = !strcmp(s, "__metadata__");
                if (is_meta && meta)
                        return wrong(r, s, "twice");
                meta |= is_meta;
                rs_buf name = j->text; /* the value's own strings go elsewhere meanwhile */
                j->text = (rs_buf){0};
                bool ok = is_meta ? read_meta(r) : take_tensor(r, (const char *)name.data);
                rs_buf_free(&name);
                if (!ok)
                        return false;
        }
        if (j->why)
                return wrong(r, NULL, NULL);
        while (j->p < j->end && *j->p == ' ')
                j->p++;
        return j->p == j->end || wrong(r, NULL, "something follows the object");
}

static int
by_place(const void *a, const void *b)
{
        const struct range *p = a, *q = b;
        if (p->begin != q->begin)
                return p->begin < q->begin ? -1 : 1;
        return (p->end > q->end) - (p->end < q->end);
}

/* Every byte once. */
static bool
all_told(struct reading *r)
{
        uint64_t at = 0;
        if (r->n)
                qsort(r->ranges, r->n, sizeof *r->ranges, by_place);
        for (size_t i = 0; i < r->n; i++) {
                if (r->ranges[i].begin != at)
                        return rs_fail(r->err, RESECT_FORMAT, "%s: bytes %llu to %llu %s",
                                r->c->path,
                                (unsigned long long)(at < r->ranges[i].begin ? at
                                                                             : r->ranges[i].begin),
                                (unsigned long long)(at < r->ranges[i].begin ? r->ranges[i].begin
                                                                             : at),
                                at < r->ranges[i].begin ? "belong to no tensor"
                                                        : "belong to two tensors");
                at = r->ranges[i].end;
        }
        return at == r->values.size ||
               rs_fail(r->err, RESECT_FORMAT, "%s: %llu bytes after the last tensor", r->c->path,
                       (unsigned long long)(r->values.size - at));
}

static bool
read(rs_checkpoint *c, const rs_input *in, resect_error *err)
{
        if (in->size < 8)
                return rs_fail(
                        err, RESECT_FORMAT, "%s: not safetensors: %zu bytes", c->path, in->size);
        uint64_t header = little64(in->data);
        if (header > HEADER_MAX)
                return rs_fail(err, RESECT_FORMAT,
                        "%s: the header claims %llu bytes; at most %d are read", c->path,
                        (unsigned long long)header, HEADER_MAX);
        if (header > in->size - 8)
                return rs_fail(err, RESECT_FORMAT, "%s: the file ends inside its header", c->path);
        const char *text = (const char *)in->data + 8;
        struct reading r = {.c = c,
                .json = {.p = text, .end = text + header},
                .values = {in->data + 8 + header, in->size - 8 - (size_t)header},
                .err = err};
        bool ok = read_header(&r) && all_told(&r);
        rs_buf_free(&r.json.text);
        rs_map_free(&r.skipped);
        rs_free(r.ranges);
        return ok;
}

/* Writing
 * ----------------------------------------------------------------------------------------------------------------
 */

static const char *
code_of(int32_t dtype)
{
        for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
                if (codes[i].dtype == dtype)
                        return codes[i].code;
        return NULL;
}

/* Entries of wider elements come first, so that each begins at a multiple of its own width. */
static int
width_class(const rs_entry *e)
{
        unsigned bits = rs_dtype_bits(e->dtype);
        return bits >= 64 ? 0 : bits == 32 ? 1 : bits == 16 ? 2 : 3;
}

enum { CLASSES = 4 };

static void
put_meta(const rs_writing *w, rs_buf *b)
{
        bool format = false;
        rs_buf_str(b, "{\"__metadata__\":{");
        for (size_t i = 0; i < w->n_meta; i++) {
                format |= !strcmp(w->meta[i].key, "format");
                rs_buf_str(b, i ? "," : "");
                rs_json_quote(b, w->meta[i].key);
                rs_buf_str(b, ":");
                rs_json_quote(b, w->meta[i].value);
        }
        if (!format) /* Transformers refuses files that do not say whose layout they are in */
                rs_buf_printf(b, "%s\"format\":\"pt\"", w->n_meta ? "," : "");
        rs_buf_str(b, "}");
}

static bool
put_header(const rs_writing *w, rs_buf *b, resect_error *err)
{
        uint64_t at = 0;
        put_meta(w, b);
        for (int class = 0; class < CLASSES; class ++)
                for (size_t i = 0; i < w->n_entries; i++) {
                        const rs_entry *e = &w->entries[i];
                        const char *code = code_of(e->dtype);
                        if (width_class(e) != class)
                                continue;
                        if (!code || !rs_is_utf8(e->name, strlen(e->name)))
                                return rs_fail(err, RESECT_UNSUPPORTED,
                                        "%s: safetensors has no %s%s", e->name,
                                        code ? "names that are not UTF-8" : "elements of type ",
                                        code ? "" : resect_dtype_name((resect_dtype)e->dtype));
                        rs_buf_str(b, ",");
                        rs_json_quote(b, e->name);
                        rs_buf_printf(b, ":{\"dtype\":\"%s\",\"shape\":[", code);
                        for (int k = 0; k < e->rank; k++)
                                rs_buf_printf(b, "%s%lld", k ? "," : "", (long long)e->dims[k]);
                        rs_buf_printf(b, "],\"data_offsets\":[%llu,%llu]}", (unsigned long long)at,
                                (unsigned long long)(at + e->bytes));
                        at += e->bytes;
                }
        rs_buf_str(b, "}");
        while (!b->oom && b->size % 8)
                rs_buf_str(b, " ");
        if (b->oom)
                return rs_fail_nomem(err);
        return b->size <= HEADER_MAX ||
               rs_fail(err, RESECT_UNSUPPORTED, "%s: a header of %zu bytes; safetensors allows %d",
                       w->path, b->size, HEADER_MAX);
}

static bool
put_values(const rs_writing *w, resect_error *err)
{
        for (int class = 0; class < CLASSES; class ++)
                for (size_t i = 0; i < w->n_entries; i++) {
                        rs_arena scratch = {0};
                        rs_span bytes;
                        if (width_class(&w->entries[i]) != class)
                                continue;
                        bool ok = rs_entry_bytes(&w->entries[i], &scratch, &bytes, err) &&
                                  rs_output_put(w->out, &bytes, 1, err);
                        rs_arena_free(&scratch);
                        if (!ok)
                                return false;
                }
        return true;
}

static bool
write(const rs_writing *w, resect_error *err)
{
        rs_buf b = {0};
        unsigned char length[8];
        bool ok = put_header(w, &b, err);
        for (int i = 0; ok && i < 8; i++)
                length[i] = (unsigned char)((uint64_t)b.size >> 8 * i);
        ok = ok && rs_output_bytes(w->out, length, 8, err) &&
             rs_output_bytes(w->out, b.data, b.size, err) && put_values(w, err);
        rs_buf_free(&b);
        return ok;
}

static const char *const suffixes[] = {".safetensors", NULL};

const rs_format rs_format_safetensors = {
        .name = "safetensors",
        .help = "safetensors, as Hugging Face keeps weights",
        .suffixes = suffixes,
        .sniff = sniff,
        .read = read,
        .write = write,
};
