/* SPDX-License-Identifier: 0BSD */
/*
 * Sorted tables. The index is itself a block, whose values say where the other blocks are. Reading
 * goes through them in order, each once and none inside another, so that the work is bounded by the
 * file's size.
 */
#include "weights/sstable.h"

#include <string.h>
#include "base/crc32c.h"
#include "onnx/wire.h"

enum { FOOTER = 48, TRAILER = 5, KEY_MAX = 65536, BLOCK = 262144, INTERVAL = 16 };
static const uint64_t magic = UINT64_C(0xdb4775248b80fb57);

uint32_t
rs_crc32c_mask(uint32_t crc)
{
        return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

bool
rs_is_sstable(rs_span f)
{
        return f.size >= FOOTER && rs_wire_load64(f.data + f.size - 8) == magic;
}

/* Reading */

static bool
damaged(resect_error *err, const char *what)
{
        return rs_fail(err, RESECT_FORMAT, "damaged: %s", what);
}

static bool
less(rs_span a, rs_span b)
{
        size_t n = a.size < b.size ? a.size : b.size;
        int d = n ? memcmp(a.data, b.data, n) : 0;
        return d < 0 || (d == 0 && a.size < b.size);
}

/* The block that a handle names. */
static bool
block_at(rs_span file, rs_span *handle, uint64_t *from, rs_span *block, resect_error *err)
{
        uint64_t at, size;
        if (!rs_wire_varint(handle, &at) || !rs_wire_varint(handle, &size))
                return damaged(err, "a block's place");
        if (at < *from || at > file.size - FOOTER || size > file.size - FOOTER - at ||
                file.size - FOOTER - at - size < TRAILER)
                return damaged(err, "a block that is not in the file, or in another");
        const unsigned char *p = file.data + at, *trailer = p + size;
        if (rs_wire_load32(trailer + 1) != rs_crc32c_mask(rs_crc32c(0, p, (size_t)size + 1)))
                return damaged(err, "a block's checksum is wrong");
        if (*trailer == 1)
                return rs_fail(
                        err, RESECT_UNSUPPORTED, "compressed with snappy, which is not read");
        if (*trailer)
                return damaged(err, "a block of an unknown kind");
        *block = (rs_span){p, (size_t)size};
        *from = at + size + TRAILER;
        return true;
}

/* The entries of a block, without the restart points behind them. */
static bool
entries_of(rs_span *b, resect_error *err)
{
        if (b->size < 4)
                return damaged(err, "a block of less than four bytes");
        uint32_t restarts = rs_wire_load32(b->data + b->size - 4);
        if (restarts > (b->size - 4) / 4)
                return damaged(err, "restart points");
        b->size -= 4 + 4 * (size_t)restarts;
        return true;
}

/* Takes an entry off a block; key is the last one, and becomes this. */
static bool
next_entry(rs_span *b, rs_buf *key, rs_span *value, resect_error *err)
{
        uint64_t shared, own, size;
        if (!rs_wire_varint(b, &shared) || !rs_wire_varint(b, &own) || !rs_wire_varint(b, &size) ||
                own > b->size || size > b->size - own || shared > key->size)
                return damaged(err, "an entry");
        if (shared + own > KEY_MAX)
                return rs_fail(err, RESECT_UNSUPPORTED, "a key of %llu bytes",
                        (unsigned long long)(shared + own));
        bool ascends = true;
        if (key->cap)
                ascends = less((rs_span){key->data + shared, key->size - (size_t)shared},
                        (rs_span){b->data, (size_t)own});
        key->size = (size_t)shared;
        rs_buf_add(key, b->data, (size_t)own);
        rs_buf_str(key, ""); /* there is memory, then, even of an empty key */
        if (key->oom)
                return rs_fail_nomem(err);
        if (!ascends)
                return damaged(err, "keys out of order");
        *value = (rs_span){b->data + own, (size_t)size};
        *b = (rs_span){b->data + own + size, b->size - (size_t)(own + size)};
        return true;
}

static bool
walk_block(rs_span block, rs_buf *key, rs_sstable_visit *visit, void *ctx, resect_error *err)
{
        rs_span value;
        if (!entries_of(&block, err))
                return false;
        for (bool first = true; block.size; first = false) {
                /* a block begins with a whole key */
                if (first && block.data[0])
                        return damaged(err, "an entry");
                if (!next_entry(&block, key, &value, err) ||
                        !visit(ctx, (rs_span){key->data, key->size}, value, err))
                        return false;
        }
        return true;
}

struct walking {
        rs_span file;
        uint64_t from; /* the next block begins here or later */
        rs_buf key;
        rs_sstable_visit *visit;
        void *ctx;
};

static bool
visit_block(void *ctx, rs_span key, rs_span value, resect_error *err)
{
        struct walking *w = ctx;
        rs_span block;
        (void)key;
        return block_at(w->file, &value, &w->from, &block, err) &&
               walk_block(block, &w->key, w->visit, w->ctx, err);
}

bool
rs_sstable_walk(rs_span file, rs_sstable_visit *visit, void *ctx, resect_error *err)
{
        uint64_t from = 0, meta;
        rs_span index;
        rs_buf key = {0};
        if (!rs_is_sstable(file))
                return damaged(err, "it does not end as a table does");
        rs_span footer = {file.data + file.size - FOOTER, FOOTER - 8};
        if (!rs_wire_varint(&footer, &meta) || !rs_wire_varint(&footer, &meta))
                return damaged(err, "the footer");
        struct walking w = {.file = file, .visit = visit, .ctx = ctx};
        bool ok = block_at(file, &footer, &from, &index, err) &&
                  walk_block(index, &key, visit_block, &w, err);
        rs_buf_free(&key);
        rs_buf_free(&w.key);
        return ok;
}

/* Writing */

static void
put_varint(rs_buf *b, uint64_t v)
{
        unsigned char s[10];
        rs_buf_add(b, s, rs_wire_put_varint(s, v));
}

static void
put_fixed(rs_buf *b, uint64_t v, int bytes)
{
        unsigned char s[8];
        for (int i = 0; i < bytes; i++)
                s[i] = (unsigned char)(v >> 8 * i);
        rs_buf_add(b, s, (size_t)bytes);
}

static void
put_entry(rs_buf *b, size_t shared, rs_span key, rs_span value)
{
        put_varint(b, shared);
        put_varint(b, key.size - shared);
        put_varint(b, value.size);
        rs_buf_add(b, key.data + shared, key.size - shared);
        rs_buf_add(b, value.data, value.size);
}

/* Finishes a block and adds it to the file; its place goes to handle. */
static void
put_block(rs_sstable *t, rs_buf *block, rs_buf *restarts, rs_buf *handle)
{
        if (!restarts->size)
                put_fixed(restarts, 0, 4);
        rs_buf_add(block, restarts->data, restarts->size);
        put_fixed(block, restarts->size / 4, 4);
        put_varint(handle, t->out.size);
        put_varint(handle, block->size);
        rs_buf_add(block, "", 1); /* not compressed */
        uint32_t crc = block->oom ? 0 : rs_crc32c(0, block->data, block->size);
        rs_buf_add(&t->out, block->data, block->size);
        put_fixed(&t->out, rs_crc32c_mask(crc), 4);
        t->out.oom |= block->oom || restarts->oom;
        block->size = restarts->size = 0;
}

static void
end_block(rs_sstable *t)
{
        rs_buf handle = {0};
        put_block(t, &t->block, &t->restarts, &handle);
        put_fixed(&t->index_restarts, t->index.size, 4);
        put_entry(&t->index, 0, (rs_span){t->last.data, t->last.size},
                (rs_span){handle.data, handle.size});
        t->index.oom |= handle.oom;
        rs_buf_free(&handle);
        t->since = 0;
}

void
rs_sstable_put(rs_sstable *t, rs_span key, rs_span value)
{
        rs_span last = {t->last.data, t->last.size};
        size_t shared = 0;
        if (t->last.oom)
                return;
        t->broken |= t->last.cap && !less(last, key);
        if (t->since % INTERVAL)
                while (shared < last.size && shared < key.size &&
                        last.data[shared] == key.data[shared])
                        shared++;
        else
                put_fixed(&t->restarts, t->block.size, 4);
        put_entry(&t->block, shared, key, value);
        t->since++;
        t->last.size = 0;
        rs_buf_add(&t->last, key.data, key.size);
        rs_buf_str(&t->last, "");
        if (t->block.size >= BLOCK)
                end_block(t);
}

bool
rs_sstable_end(rs_sstable *t, resect_error *err)
{
        rs_buf footer = {0}, empty = {0}, none = {0};
        if (t->block.size)
                end_block(t);
        put_block(t, &empty, &none, &footer);
        put_block(t, &t->index, &t->index_restarts, &footer);
        rs_buf_free(&empty);
        rs_buf_free(&none);
        static const unsigned char zeros[FOOTER];
        rs_buf_add(&footer, zeros, footer.size < FOOTER - 8 ? FOOTER - 8 - footer.size : 0);
        put_fixed(&footer, magic, 8);
        rs_buf_add(&t->out, footer.data, footer.size);
        bool oom = t->out.oom || t->block.oom || t->index.oom || t->last.oom || footer.oom;
        rs_buf_free(&footer);
        if (oom)
                return rs_fail_nomem(err);
        return !t->broken || rs_fail(err, RESECT_ARG, "keys out of order");
}

void
rs_sstable_free(rs_sstable *t)
{
        rs_buf *const bufs[] = {
                &t->out, &t->block, &t->index, &t->last, &t->restarts, &t->index_restarts};
        for (size_t i = 0; i < sizeof bufs / sizeof *bufs; i++)
                rs_buf_free(bufs[i]);
}
