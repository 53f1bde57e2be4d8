/* SPDX-License-Identifier: 0BSD */
/*
 * Zip (PKWARE's APPNOTE, zip64 included) over bytes in memory, for .npz and PyTorch's files: members that are stored are lent
 * where they stand. The central directory is the truth and must agree with what stands before each member; two members may
 * not share bytes; sums are verified when a member is taken.
 */
#ifndef RS_IO_ZIP_H
#define RS_IO_ZIP_H

#include "base/mem.h"
#include "io/output.h"

typedef struct rs_zip_member {
        const char *name;
        bool deflated;
        uint32_t crc;
        uint64_t size;  /* inflated; at most 1032 times packed */
        rs_span packed; /* as they stand in the file */
} rs_zip_member;

typedef struct rs_zip {
        rs_zip_member *members; /* in the directory's order; no two of one name */
        size_t n;
} rs_zip;

bool rs_is_zip(const void *bytes, size_t n);

/* Reads the directory; members and names are the arena's, packed bytes the input's. Fails with FORMAT or UNSUPPORTED (encryption, other
   methods than stored and deflated, more than 65,535 members), without a file's name. */
bool rs_zip_read(rs_zip *z, const unsigned char *data, size_t size, rs_arena *arena, resect_error *err) RESECT_MUST;
/* A member's bytes, with their CRC-32 verified: lent when stored, else inflated into arena. */
bool rs_zip_bytes(const rs_zip_member *m, rs_arena *arena, rs_span *out, resect_error *err) RESECT_MUST;
/* The first bytes of a member (fewer when it is shorter), unverified, into buf: to see what it is before its size is believed. */
bool rs_zip_peek(const rs_zip_member *m, void *buf, size_t size, size_t *got, resect_error *err) RESECT_MUST;
const rs_zip_member *rs_zip_find(const rs_zip *z, const char *name); /* NULL when there is none; one look at each */

/* Writing: members are stored, each beginning at a multiple of 64 bytes. Set to {.out = out}. */
typedef struct rs_zip_writer {
        rs_output *out;
        uint64_t at;
        uint64_t members;
        rs_buf directory;
} rs_zip_writer;

bool rs_zip_put(rs_zip_writer *z, const char *name, const rs_span *spans, size_t n, resect_error *err) RESECT_MUST;
/* Writes the directory. */
bool rs_zip_end(rs_zip_writer *z, resect_error *err) RESECT_MUST;
void rs_zip_writer_free(rs_zip_writer *z); /* in any case */

#endif
