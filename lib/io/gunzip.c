/* SPDX-License-Identifier: 0BSD */
/*
 * zlib in gzip mode checks each member's CRC-32 and length (modulo 2^32); what it leaves to us is
 * the sequence of members, and that nothing follows the last one: rubbish there is not padding but
 * a file that is not what it claims to be.
 */
#include "config.h"
#include "io/gunzip.h"

#include <limits.h>
#include <zlib.h>

enum {
        GZIP_MODE = 16 + MAX_WBITS,
        /* Deflate can make 1032 bytes out of one; no model or picture comes near, and past the
           first megabytes what does is a bomb. */
        RATIO_MAX = 256,
        RATIO_FROM = 16 << 20
};

bool
rs_is_gzip(const void *bytes, size_t n)
{
        const unsigned char *b = bytes;
        return n >= 2 && b[0] == 0x1f && b[1] == 0x8b;
}

bool
rs_is_bomb(uint64_t size, uint64_t deflated)
{
        return size > RATIO_FROM && size / RATIO_MAX > deflated;
}

void *
rs_zlib_alloc(void *opaque, unsigned count, unsigned size)
{
        (void)opaque;
        return rs_alloc(count, size, NULL);
}

void
rs_zlib_free(void *opaque, void *p)
{
        (void)opaque;
        rs_free(p);
}

static bool
inflate_members(z_stream *z, rs_gunzip_more *more, rs_gunzip_room *room, void *ctx, size_t *size,
        const char *name, resect_error *err)
{
        size_t taken = 0;
        bool inside = true; /* a member is begun (the first one before its first byte) */
        for (rs_span piece = {NULL, 0};;) {
                if (piece.size == 0) {
                        if (!more(ctx, &piece, err))
                                return false;
                        if (piece.size == 0)
                                return !inside || rs_fail(err, RESECT_FORMAT,
                                                          "%s: the gzip data are cut short", name);
                }
                if (!inside) {
                        if (inflateReset(z) != Z_OK)
                                return rs_fail(
                                        err, RESECT_FORMAT, "%s: gzip state is broken", name);
                        inside = true;
                }
                unsigned char *at;
                size_t free_room;
                if (!room(ctx, *size, &at, &free_room, err))
                        return false;
                z->next_in =
                        (unsigned char *)piece.data; /* zlib's type lacks a const; it only reads */
                z->avail_in = piece.size < UINT_MAX ? (unsigned)piece.size : UINT_MAX;
                z->next_out = at;
                z->avail_out = free_room < UINT_MAX ? (unsigned)free_room : UINT_MAX;
                int rc = inflate(z, Z_NO_FLUSH);
                size_t eaten = (size_t)(z->next_in - piece.data);
                piece.data += eaten;
                piece.size -= eaten;
                *size += (size_t)(z->next_out - at);
                taken += eaten;
                if (rs_is_bomb(*size, taken))
                        return rs_fail(err, RESECT_UNSUPPORTED,
                                "%s: gzip data that grow to more than %d times their size", name,
                                RATIO_MAX);
                if (rc == Z_STREAM_END)
                        inside = false;
                else if (rc == Z_MEM_ERROR)
                        return rs_fail_nomem(err);
                else if (rc != Z_OK && rc != Z_BUF_ERROR)
                        return rs_fail(err, RESECT_FORMAT, "%s: bad gzip data: %s", name,
                                z->msg ? z->msg : "unknown");
        }
}

bool
rs_gunzip(rs_gunzip_more *more, rs_gunzip_room *room, void *ctx, size_t *size, const char *name,
        resect_error *err)
{
        z_stream z = {.zalloc = rs_zlib_alloc, .zfree = rs_zlib_free};
        *size = 0;
        if (inflateInit2(&z, GZIP_MODE) != Z_OK)
                return rs_fail_nomem(err);
        bool ok = inflate_members(&z, more, room, ctx, size, name, err);
        inflateEnd(&z);
        return ok;
}
