/* SPDX-License-Identifier: 0BSD */
/* Gzip (RFC 1952) as a stream of input pieces into a growing store. */
#ifndef RS_IO_GUNZIP_H
#define RS_IO_GUNZIP_H

#include "base/mem.h"

/* Where the bytes come from: *piece is set to the next ones, size 0 at the end. */
typedef bool rs_gunzip_more(void *ctx, rs_span *piece, resect_error *err);
/* Room for at least one byte after the used ones; false when there must be no more, or no memory.
 */
typedef bool rs_gunzip_room(
        void *ctx, size_t used, unsigned char **at, size_t *room, resect_error *err);

bool rs_is_gzip(const void *bytes, size_t n);

/* Inflates every member up to the end of input. Each member's CRC-32 and length are checked;
   anything after the last member is refused. name is for messages. */
bool rs_gunzip(rs_gunzip_more *more, rs_gunzip_room *room, void *ctx, size_t *size,
        const char *name, resect_error *err) RESECT_MUST;

/* Whether so many deflated bytes are not to be believed to hold that many. */
bool rs_is_bomb(uint64_t size, uint64_t deflated);

/* zlib's allocator over rs_hooks, for inflate and deflate alike. */
void *rs_zlib_alloc(void *opaque, unsigned count, unsigned size);
void rs_zlib_free(void *opaque, void *p);

#endif
