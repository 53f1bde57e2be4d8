/* SPDX-License-Identifier: 0BSD */
/*
 * Reading zip. What scanners and loaders have disagreed on is refused, not interpreted: two ends of
 * a directory, a name, size, method or flag that differs between the two headers, bytes before the
 * first member, members that overlap.
 */
#include "config.h"
#include "io/zip.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include "base/map.h"
#include "io/bulk.h"
#include "io/gunzip.h"

enum {
        LOCAL_SIZE = 30,
        ENTRY_SIZE = 46,
        END_SIZE = 22,
        END64_SIZE = 56,
        LOCATOR_SIZE = 20,
        MEMBERS_MAX = 65535,
        NAME_MAX_BYTES = 4096,
        DEFLATE_MOST = 1032, /* what one byte of deflate can become */
        FLAG_LATER = 8       /* sum and sizes stand behind the bytes */
};
enum {
        LOCAL_MAGIC = 0x04034b50,
        ENTRY_MAGIC = 0x02014b50,
        END_MAGIC = 0x06054b50,
        END64_MAGIC = 0x06064b50,
        LOCATOR_MAGIC = 0x07064b50
};
/* Flags that change nothing here: how hard deflate tried, sizes behind the bytes, names in UTF-8.
 */
enum { HARMLESS = 2 | 4 | FLAG_LATER | 2048 };

static uint64_t
little(const unsigned char *p, int n)
{
        uint64_t v = 0;
        for (int i = 0; i < n; i++)
                v |= (uint64_t)p[i] << 8 * i;
        return v;
}
#define U16(p) ((uint16_t)little(p, 2))
#define U32(p) ((uint32_t)little(p, 4))
#define U64(p) little(p, 8)

bool
rs_is_zip(const void *bytes, size_t n)
{
        return n >= 4 && U32((const unsigned char *)bytes) == LOCAL_MAGIC;
}

static bool
bad(resect_error *err, const char *what)
{
        return rs_fail(err, RESECT_FORMAT, "not a sound zip: %s", what);
}

struct directory {
        uint64_t at, size, n;
};

/* The end record stands where its comment reaches just to the end of the file; there must be one
 * such place. */
static bool
find_end(const unsigned char *d, size_t size, size_t *at, resect_error *err)
{
        int found = 0;
        size_t least = size > END_SIZE + 65535 ? size - END_SIZE - 65535 : 0;
        for (size_t i = size >= END_SIZE ? size - END_SIZE + 1 : 0; i-- > least;)
                if (d[i] == 'P' && U32(d + i) == END_MAGIC &&
                        U16(d + i + 20) == size - i - END_SIZE && !found++)
                        *at = i;
        if (found > 1)
                return bad(err, "it has two ends");
        return found || bad(err, "its directory is missing (the file is cut short?)");
}

/* With zip64, sizes that do not fit stand in a record of their own before the end record. */
static bool
find_directory(const unsigned char *d, size_t size, struct directory *out, resect_error *err)
{
        size_t end = 0;
        if (!find_end(d, size, &end, err))
                return false;
        const unsigned char *e = d + end;
        if (U16(e + 4) || U16(e + 6) || U16(e + 8) != U16(e + 10))
                return rs_fail(err, RESECT_UNSUPPORTED, "a zip in several parts");
        *out = (struct directory){.n = U16(e + 10), .size = U32(e + 12), .at = U32(e + 16)};
        bool wide = end >= LOCATOR_SIZE && U32(e - LOCATOR_SIZE) == LOCATOR_MAGIC;
        if (wide) {
                uint64_t at = U64(e - LOCATOR_SIZE + 8);
                if (end < LOCATOR_SIZE + END64_SIZE || at != end - LOCATOR_SIZE - END64_SIZE ||
                        U32(d + at) != END64_MAGIC || U64(d + at + 4) != END64_SIZE - 12)
                        return bad(err, "its zip64 end is not where it must be");
                const unsigned char *w = d + at;
                struct directory big = {.n = U64(w + 32), .size = U64(w + 40), .at = U64(w + 48)};
                if (U32(w + 16) || U32(w + 20) || U64(w + 24) != big.n ||
                        (out->n != 0xffff && out->n != big.n) ||
                        (out->size != 0xffffffff && out->size != big.size) ||
                        (out->at != 0xffffffff && out->at != big.at))
                        return bad(err, "its two ends say different things");
                *out = big;
                end = (size_t)at;
        }
        if (out->n > MEMBERS_MAX)
                return rs_fail(err, RESECT_UNSUPPORTED,
                        "a zip of %llu members; at most %d are read", (unsigned long long)out->n,
                        MEMBERS_MAX);
        if (out->size > end || out->at != end - out->size || out->n > out->size / ENTRY_SIZE)
                return bad(err, "its directory does not end where its end begins");
        return true;
}

/* The zip64 field among a header's extras: its size, 0 when there is none. */
static bool
find_wide(const unsigned char *x, size_t n, const unsigned char **field, size_t *size)
{
        *size = 0;
        while (n >= 4) {
                size_t length = U16(x + 2);
                if (length > n - 4)
                        return false;
                if (U16(x) == 1) {
                        if (*size)
                                return false;
                        *field = x + 4;
                        *size = length;
                }
                x += 4 + length;
                n -= 4 + length;
        }
        return true; /* up to three bytes of padding are seen in the wild */
}

/* Takes the next 8 bytes of the zip64 field for a number that stands as all ones. */
static bool
widen(uint64_t *v, const unsigned char **field, size_t *size)
{
        if (*v != 0xffffffff)
                return true;
        if (*size < 8)
                return false;
        *v = U64(*field);
        *field += 8;
        *size -= 8;
        return true;
}

struct entry {
        const unsigned char *name;
        size_t name_size;
        uint16_t flags, method;
        uint32_t crc;
        uint64_t packed, size, local;
};

/* One entry of the directory; *length is what it takes. */
static bool
read_entry(const unsigned char *p, size_t room, struct entry *e, size_t *length, resect_error *err)
{
        const unsigned char *wide = NULL;
        size_t wide_size;
        if (room < ENTRY_SIZE || U32(p) != ENTRY_MAGIC)
                return bad(err, "an entry of its directory is damaged");
        *e = (struct entry){.name = p + ENTRY_SIZE,
                .name_size = U16(p + 28),
                .flags = U16(p + 8),
                .method = U16(p + 10),
                .crc = U32(p + 16),
                .packed = U32(p + 20),
                .size = U32(p + 24),
                .local = U32(p + 42)};
        size_t extra = U16(p + 30);
        *length = ENTRY_SIZE + e->name_size + extra + U16(p + 32);
        if (*length > room)
                return bad(err, "an entry of its directory is cut short");
        if (e->name_size == 0 || e->name_size > NAME_MAX_BYTES ||
                memchr(e->name, '\0', e->name_size))
                return bad(err, "a member's name is empty, too long or has a NUL in it");
        if (!find_wide(e->name + e->name_size, extra, &wide, &wide_size) ||
                !widen(&e->size, &wide, &wide_size) || !widen(&e->packed, &wide, &wide_size) ||
                !widen(&e->local, &wide, &wide_size) || U16(p + 34))
                return bad(err, "an entry's sizes are damaged");
        if (e->flags & 1)
                return rs_fail(err, RESECT_UNSUPPORTED, "%.*s is encrypted", (int)e->name_size,
                        (const char *)e->name);
        if (e->flags & ~HARMLESS)
                return rs_fail(err, RESECT_UNSUPPORTED, "%.*s has flags 0x%x", (int)e->name_size,
                        (const char *)e->name, e->flags);
        if (e->method != 0 && e->method != 8)
                return rs_fail(err, RESECT_UNSUPPORTED,
                        "%.*s is compressed by method %d, not deflate", (int)e->name_size,
                        (const char *)e->name, e->method);
        return true;
}

/* What stands before the member's bytes must say the same. */
static bool
check_local(const unsigned char *d, uint64_t limit, const struct entry *e, uint64_t *bytes,
        resect_error *err)
{
        const unsigned char *p, *wide = NULL;
        size_t wide_size;
        if (e->local > limit || limit - e->local < LOCAL_SIZE ||
                U32(p = d + e->local) != LOCAL_MAGIC)
                return bad(err, "a member is not where the directory says");
        size_t name = U16(p + 26), extra = U16(p + 28);
        uint64_t packed = U32(p + 18), size = U32(p + 22);
        *bytes = e->local + LOCAL_SIZE + name + extra;
        if (*bytes > limit || e->packed > limit - *bytes)
                return bad(err, "a member reaches beyond the directory");
        if (U16(p + 6) != e->flags || U16(p + 8) != e->method || name != e->name_size ||
                memcmp(p + LOCAL_SIZE, e->name, name) != 0)
                return bad(err, "a member's two headers differ");
        if (!find_wide(p + LOCAL_SIZE + name, extra, &wide, &wide_size) ||
                !widen(&size, &wide, &wide_size) || !widen(&packed, &wide, &wide_size))
                return bad(err, "a member's sizes are damaged");
        bool later = e->flags & FLAG_LATER && !U32(p + 14) && !packed && !size;
        if (!later && (U32(p + 14) != e->crc || packed != e->packed || size != e->size))
                return bad(err, "a member's two headers differ");
        if (e->method == 0 ? e->packed != e->size : e->size / DEFLATE_MOST > e->packed)
                return rs_fail(err, RESECT_FORMAT, "%.*s claims %llu bytes out of %llu",
                        (int)e->name_size, (const char *)e->name, (unsigned long long)e->size,
                        (unsigned long long)e->packed);
        return true;
}

struct extent {
        uint64_t begin, end;
};

static int
by_begin(const void *a, const void *b)
{
        const struct extent *p = a, *q = b;
        return p->begin < q->begin ? -1 : p->begin > q->begin;
}

static bool
apart(struct extent *x, size_t n, resect_error *err)
{
        if (n == 0)
                return true;
        qsort(x, n, sizeof *x, by_begin);
        if (x[0].begin != 0)
                return bad(err, "something stands before its first member");
        for (size_t i = 1; i < n; i++)
                if (x[i].begin < x[i - 1].end)
                        return bad(err, "members overlap");
        return true;
}

static bool
read_members(rs_zip *z, const unsigned char *d, const struct directory *dir, rs_map *names,
        struct extent *extents, rs_arena *arena, resect_error *err)
{
        size_t at = (size_t)dir->at, room = (size_t)dir->size;
        for (size_t i = 0; i < z->n; i++) {
                struct entry e = {0};
                size_t length = 0;
                uint64_t bytes = 0;
                void *old = NULL;
                if (!read_entry(d + at, room, &e, &length, err) ||
                        !check_local(d, dir->at, &e, &bytes, err))
                        return false;
                char *name = rs_arena_strndup(arena, (const char *)e.name, e.name_size, err);
                if (!name || !rs_map_put(names, name, name, &old, err))
                        return false;
                if (old)
                        return rs_fail(err, RESECT_FORMAT,
                                "not a sound zip: two members are called '%s'", name);
                z->members[i] = (rs_zip_member){.name = name,
                        .deflated = e.method != 0,
                        .crc = e.crc,
                        .size = e.size,
                        .packed = {d + bytes, (size_t)e.packed}};
                extents[i] = (struct extent){e.local, bytes + e.packed};
                at += length;
                room -= length;
        }
        return room == 0 ? apart(extents, z->n, err)
                         : bad(err, "something follows the last entry of its directory");
}

bool
rs_zip_read(rs_zip *z, const unsigned char *data, size_t size, rs_arena *arena, resect_error *err)
{
        struct directory dir = {0};
        rs_map names = {0};
        *z = (rs_zip){0};
        if (!find_directory(data, size, &dir, err))
                return false;
        struct extent *extents = rs_alloc((size_t)dir.n + 1, sizeof *extents, err);
        z->members = RS_NEW(arena, (size_t)dir.n + 1, rs_zip_member, err);
        z->n = (size_t)dir.n;
        bool ok = extents && z->members && read_members(z, data, &dir, &names, extents, arena, err);
        rs_map_free(&names);
        rs_free(extents);
        return ok;
}

const rs_zip_member *
rs_zip_find(const rs_zip *z, const char *name)
{
        for (size_t i = 0; i < z->n; i++)
                if (!strcmp(z->members[i].name, name))
                        return &z->members[i];
        return NULL;
}

/* Inflates up to size bytes; *got are there. ended: the stream was over by then. */
static bool
inflate_some(const rs_zip_member *m, unsigned char *out, size_t size, size_t *got, bool *ended,
        resect_error *err)
{
        z_stream z = {.zalloc = rs_zlib_alloc, .zfree = rs_zlib_free};
        if (inflateInit2(&z, -MAX_WBITS) != Z_OK)
                return rs_fail_nomem(err);
        size_t in = m->packed.size;
        int status = Z_OK;
        *got = 0;
        z.next_in = (unsigned char *)(uintptr_t)m->packed.data;
        while (status == Z_OK && (*got < size || z.avail_out == 0)) {
                unsigned char spare;
                uInt given = in > UINT_MAX ? UINT_MAX : (uInt)in;
                size_t left = size - *got;
                z.avail_in = given;
                /* With all of size there, one byte more tells whether the stream ends just there.
                 */
                z.next_out = left ? out + *got : &spare;
                z.avail_out = left > UINT_MAX ? UINT_MAX : left ? (uInt)left : 1;
                uInt room = z.avail_out;
                status = inflate(&z, Z_NO_FLUSH);
                in -= given - z.avail_in;
                if (left)
                        *got += room - z.avail_out;
                else if (z.avail_out == 0)
                        break;
        }
        *ended = status == Z_STREAM_END && in == 0;
        inflateEnd(&z);
        if (status == Z_MEM_ERROR)
                return rs_fail_nomem(err);
        return status == Z_OK || status == Z_STREAM_END || status == Z_BUF_ERROR ||
               rs_fail(err, RESECT_FORMAT, "%s: the deflated data are damaged", m->name);
}

bool
rs_zip_peek(const rs_zip_member *m, void *buf, size_t size, size_t *got, resect_error *err)
{
        bool ended;
        if (m->deflated)
                return inflate_some(
                        m, buf, size < m->size ? size : (size_t)m->size, got, &ended, err);
        *got = m->packed.size < size ? m->packed.size : size;
        if (*got)
                memcpy(buf, m->packed.data, *got);
        return true;
}

bool
rs_zip_bytes(const rs_zip_member *m, rs_arena *arena, rs_span *out, resect_error *err)
{
        *out = m->packed;
        if (m->deflated) {
                bool ended;
                size_t got;
                unsigned char *bytes = rs_arena_alloc(arena, (size_t)m->size + 1, 1, err);
                if (!bytes || !inflate_some(m, bytes, (size_t)m->size, &got, &ended, err))
                        return false;
                if (got != m->size || !ended)
                        return rs_fail(err, RESECT_FORMAT, "%s: does not inflate to its %llu bytes",
                                m->name, (unsigned long long)m->size);
                *out = (rs_span){bytes, got};
        }
        return rs_bulk_crc32(0, *out) == m->crc ||
               rs_fail(err, RESECT_FORMAT, "%s: is damaged (its CRC-32 is another)", m->name);
}

/* Writing
 * ----------------------------------------------------------------------------------------------------------------
 */

enum {
        ALIGN = 64,
        PADDING_ID = 0x4246 /* "FB", as PyTorch pads */,
        DOS_DATE = 0x21 /* 1980-01-01: the same bytes every time */
};

static void
put(rs_buf *b, uint64_t v, int n)
{
        for (int i = 0; i < n; i++) {
                unsigned char c = (unsigned char)(v >> 8 * i);
                rs_buf_add(b, &c, 1);
        }
}

static uint64_t
narrow(uint64_t v)
{
        return v < 0xffffffff ? v : 0xffffffff;
}

/* What the two headers have in common, from "version needed" to the name's length. */
static void
put_common(rs_buf *b, bool wide, bool utf8, uint32_t crc, uint64_t size, size_t name)
{
        put(b, wide ? 45 : 20, 2);
        put(b, utf8 ? 2048 : 0, 2);
        put(b, 0, 4); /* stored; midnight */
        put(b, DOS_DATE, 2);
        put(b, crc, 4);
        put(b, narrow(size), 4);
        put(b, narrow(size), 4);
        put(b, name, 2);
}

bool
rs_zip_put(rs_zip_writer *z, const char *name, const rs_span *spans, size_t n, resect_error *err)
{
        uint64_t size = 0;
        uint32_t crc = 0;
        size_t length = strlen(name);
        bool utf8 = false;
        if (length > NAME_MAX_BYTES)
                return rs_fail(err, RESECT_UNSUPPORTED, "a zip member's name of %zu bytes", length);
        for (size_t i = 0; i < length; i++)
                utf8 |= (unsigned char)name[i] > 0x7f;
        for (size_t i = 0; i < n; i++) {
                size += spans[i].size;
                crc = rs_bulk_crc32(crc, spans[i]);
        }
        bool big = size >= 0xffffffff, far = z->at >= 0xffffffff;
        rs_buf b = {0}, *d = &z->directory;
        size_t wide = big ? 20 : 0, before = LOCAL_SIZE + length + wide + 4;
        size_t padding = (ALIGN - (z->at + before) % ALIGN) % ALIGN;
        put(&b, LOCAL_MAGIC, 4);
        put_common(&b, big, utf8, crc, size, length);
        put(&b, wide + 4 + padding, 2);
        rs_buf_add(&b, name, length);
        if (big) {
                put(&b, 1, 2), put(&b, 16, 2), put(&b, size, 8), put(&b, size, 8);
        }
        put(&b, PADDING_ID, 2);
        put(&b, padding, 2);
        for (size_t i = 0; i < padding; i++)
                put(&b, 0, 1);
        put(d, ENTRY_MAGIC, 4);
        put(d, 3 << 8 | (big || far ? 45 : 20), 2); /* made on Unix, for the mode below */
        put_common(d, big || far, utf8, crc, size, length);
        put(d, big || far ? 4 + (big ? 16 : 0) + (far ? 8 : 0) : 0, 2);
        put(d, 0, 6); /* no comment, first disk, binary */
        put(d, (uint64_t)0100644 << 16, 4);
        put(d, narrow(z->at), 4);
        rs_buf_add(d, name, length);
        if (big || far) {
                put(d, 1, 2);
                put(d, (big ? 16 : 0) + (far ? 8 : 0), 2);
                if (big)
                        put(d, size, 8), put(d, size, 8);
                if (far)
                        put(d, z->at, 8);
        }
        bool ok = !b.oom && !d->oom ? rs_output_bytes(z->out, b.data, b.size, err)
                                    : rs_fail_nomem(err);
        z->at += b.size + size;
        z->members++;
        rs_buf_free(&b);
        return ok && rs_output_put(z->out, spans, n, err);
}

bool
rs_zip_end(rs_zip_writer *z, resect_error *err)
{
        uint64_t size = z->directory.size;
        rs_buf *d = &z->directory;
        if (z->members >= 0xffff || z->at >= 0xffffffff || size >= 0xffffffff) {
                uint64_t end = z->at + size;
                put(d, END64_MAGIC, 4);
                put(d, END64_SIZE - 12, 8);
                put(d, 3 << 8 | 45, 2);
                put(d, 45, 2);
                put(d, 0, 8);
                put(d, z->members, 8), put(d, z->members, 8);
                put(d, size, 8), put(d, z->at, 8);
                put(d, LOCATOR_MAGIC, 4), put(d, 0, 4), put(d, end, 8), put(d, 1, 4);
        }
        uint64_t members = z->members < 0xffff ? z->members : 0xffff;
        put(d, END_MAGIC, 4);
        put(d, 0, 4);
        put(d, members, 2), put(d, members, 2);
        put(d, narrow(size), 4), put(d, narrow(z->at), 4);
        put(d, 0, 2);
        return d->oom ? rs_fail_nomem(err) : rs_output_bytes(z->out, d->data, d->size, err);
}

void
rs_zip_writer_free(rs_zip_writer *z)
{
        rs_buf_free(&z->directory);
}
