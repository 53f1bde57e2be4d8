/* SPDX-License-Identifier: 0BSD */
/*
 * Writing Flax's msgpack. A map begins with the number of its keys, so the entries are sorted,
 * which puts what is below one folder together, and counted before they are written.
 */
#include "weights/flax.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "weights/json.h"
#include "weights/msgpack.h"

size_t rs_flax_chunk_max = (size_t)1 << 30;

/* By name, where '/' comes before everything, so that what is below one folder stands together. */
static int
by_name(const void *a, const void *b)
{
        const unsigned char *p = (const unsigned char *)(*(rs_entry *const *)a)->name,
                            *q = (const unsigned char *)(*(rs_entry *const *)b)->name;
        for (; *p == *q && *p; p++, q++)
                ;
        int x = *p == '/' ? 1 : *p ? *p + 1 : 0, y = *q == '/' ? 1 : *q ? *q + 1 : 0;
        return (x > y) - (x < y);
}

/* Length of what the two names have in common, up to and with the last '/'. */
static size_t
common(const char *a, const char *b)
{
        size_t folder = 0;
        for (size_t i = 0; a[i] && a[i] == b[i]; i++)
                if (a[i] == '/')
                        folder = i + 1;
        return folder;
}

/* How many keys the map has that entries[0] is in, whose name is the first `at` bytes. */
static size_t
keys_of(const rs_entry *const *entries, size_t n, size_t at)
{
        size_t keys = 1;
        const char *first = entries[0]->name;
        for (size_t i = 1; i < n && !strncmp(first, entries[i]->name, at); i++) {
                const char *a = entries[i - 1]->name + at, *b = entries[i]->name + at;
                size_t k = strcspn(a, "/");
                keys += k != strcspn(b, "/") || memcmp(a, b, k) != 0;
        }
        return keys;
}

/* An array's extension, without its elements. */
static void
put_array(rs_buf *b, const rs_entry *e, int rank, const int64_t *dims, size_t bytes)
{
        rs_buf inner = {0};
        const char *code = rs_flax_name(e->dtype);
        rs_msgpack_put_array(&inner, 3);
        rs_msgpack_put_array(&inner, (size_t)rank);
        for (int i = 0; i < rank; i++)
                rs_msgpack_put_uint(&inner, (uint64_t)dims[i]);
        rs_msgpack_put_str(&inner, code, strlen(code));
        rs_msgpack_put_bin(&inner, bytes);
        rs_msgpack_put_ext(b, RS_FLAX_ARRAY, inner.size + bytes);
        rs_buf_add(b, inner.data, inner.size);
        b->oom |= inner.oom;
        rs_buf_free(&inner);
}

static bool
flush(const rs_writing *w, rs_buf *b, resect_error *err)
{
        if (b->oom)
                return rs_fail_nomem(err);
        bool ok = rs_output_bytes(w->out, b->data, b->size, err);
        b->size = 0;
        return ok;
}

static void
put_number_key(rs_buf *b, size_t n)
{
        char s[24];
        snprintf(s, sizeof s, "%zu", n);
        rs_msgpack_put_str(b, s, strlen(s));
}

static bool
put_chunked(const rs_writing *w, rs_buf *b, const rs_entry *e, rs_span bytes, resect_error *err)
{
        size_t width = e->bytes / e->count, step = rs_flax_chunk_max / width * width;
        step = step ? step : width;
        rs_msgpack_put_map(b, 3);
        rs_msgpack_put_str(b, RS_FLAX_CHUNKED, sizeof RS_FLAX_CHUNKED - 1);
        rs_buf_add(b, "\xc3", 1);
        rs_msgpack_put_str(b, "shape", 5);
        rs_msgpack_put_map(b, (size_t)e->rank);
        for (int i = 0; i < e->rank; i++) {
                put_number_key(b, (size_t)i);
                rs_msgpack_put_uint(b, (uint64_t)e->dims[i]);
        }
        rs_msgpack_put_str(b, "chunks", 6);
        rs_msgpack_put_map(b, (bytes.size - 1) / step + 1);
        for (size_t at = 0; at < bytes.size; at += step) {
                size_t n = bytes.size - at < step ? bytes.size - at : step;
                put_number_key(b, at / step);
                put_array(b, e, 1, &(int64_t){(int64_t)(n / width)}, n);
                if (!flush(w, b, err) || !rs_output_bytes(w->out, bytes.data + at, n, err))
                        return false;
        }
        return true;
}

static bool
put_entry(const rs_writing *w, rs_buf *b, const rs_entry *e, resect_error *err)
{
        rs_arena scratch = {0};
        rs_span bytes;
        bool ok = rs_entry_bytes(e, &scratch, &bytes, err);
        if (ok && bytes.size > rs_flax_chunk_max)
                ok = put_chunked(w, b, e, bytes, err);
        else if (ok) {
                put_array(b, e, e->rank, e->dims, bytes.size);
                ok = flush(w, b, err) && rs_output_put(w->out, &bytes, 1, err);
        }
        rs_arena_free(&scratch);
        return ok;
}

/* The keys of entries[i] that entries[i - 1] has not, each a map but the last. */
static void
put_keys(rs_buf *b, const rs_entry *const *entries, size_t n, size_t i)
{
        const char *name = entries[i]->name;
        size_t at = i ? common(entries[i - 1]->name, name) : 0;
        if (!i)
                rs_msgpack_put_map(b, keys_of(entries, n, 0));
        for (;;) {
                size_t key = strcspn(name + at, "/");
                rs_msgpack_put_str(b, name + at, key);
                at += key;
                if (!name[at])
                        return;
                at++;
                rs_msgpack_put_map(b, keys_of(entries + i, n - i, at));
        }
}

static bool
check(const rs_entry *const *entries, size_t n, resect_error *err)
{
        for (size_t i = 0; i < n; i++) {
                const char *name = entries[i]->name;
                int depth = 0;
                for (const char *p = name; *p; p++)
                        depth += *p == '/';
                if (!rs_flax_name(entries[i]->dtype))
                        return rs_fail(err, RESECT_UNSUPPORTED, "%s: NumPy has no %s", name,
                                resect_dtype_name((resect_dtype)entries[i]->dtype));
                if (depth >= RS_FLAX_DEPTH || strlen(name) >= RS_FLAX_NAME ||
                        !rs_is_utf8(name, strlen(name)))
                        return rs_fail(err, RESECT_UNSUPPORTED,
                                "%s: a name that is too long or no text", name);
                size_t before = i ? strlen(entries[i - 1]->name) : 0;
                if (i && !strncmp(entries[i - 1]->name, name, before) && name[before] == '/')
                        return rs_fail(err, RESECT_UNSUPPORTED,
                                "%s is a tensor and a folder of others", entries[i - 1]->name);
        }
        return true;
}

bool
rs_flax_write(const rs_writing *w, resect_error *err)
{
        rs_buf b = {0};
        const rs_entry **sorted = rs_alloc(w->n_entries + 1, sizeof *sorted, err);
        if (!sorted)
                return false;
        for (size_t i = 0; i < w->n_entries; i++)
                sorted[i] = &w->entries[i];
        qsort(sorted, w->n_entries, sizeof *sorted, by_name);
        bool ok = check(sorted, w->n_entries, err);
        if (ok && !w->n_entries)
                rs_msgpack_put_map(&b, 0);
        for (size_t i = 0; ok && i < w->n_entries; i++) {
                put_keys(&b, sorted, w->n_entries, i);
                ok = put_entry(w, &b, sorted[i], err);
        }
        ok = ok && flush(w, &b, err);
        rs_buf_free(&b);
        rs_free(sorted);
        return ok;
}
