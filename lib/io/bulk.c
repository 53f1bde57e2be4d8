/* SPDX-License-Identifier: 0BSD */
/*
 * A long run is cut into pieces, and every thread takes some: what it costs to touch the bytes of a
 * mapped file for the first time (its page tables are filled piece by piece) is shared, too.
 * Neither the threads nor the pieces change the answer. A short run is dealt with as it stands.
 */
#include "config.h"
#include "io/bulk.h"

#include <stdatomic.h>
#include <string.h>
#include <zlib.h>
#ifdef HAVE_LIBDEFLATE
#include <libdeflate.h>
#endif
#include "base/threads.h"
#include "io/input.h"

enum {
        PIECE = 512 << 10,
        PIECES = 64 /* at a time: 32 MiB */
};

/* As many threads as there is work for. */
static int
threads_for(size_t pieces)
{
        if (pieces < 2)
                return 1;
        int n = rs_threads(0);
        return (size_t)n < pieces ? n : (int)pieces;
}

/* Piece i of n bytes, its pages at hand. */
static rs_span
piece(const void *bytes, size_t n, size_t i)
{
        size_t at = i * PIECE;
        rs_span s = {(const unsigned char *)bytes + at, n - at < PIECE ? n - at : PIECE};
        rs_span_populate(s);
        return s;
}

bool
rs_bulk_same(const void *a, const void *b, size_t n)
{
        size_t pieces = n / PIECE + (n % PIECE != 0);
        atomic_bool same = true;
#pragma omp parallel for num_threads(threads_for(pieces)) schedule(dynamic)
        for (size_t i = 0; i < pieces; i++)
                if (same) {
                        rs_span s = piece(a, n, i);
                        if (memcmp(s.data, piece(b, n, i).data, s.size) != 0)
                                same = false;
                }
        return same;
}

static uint32_t
crc_of(uint32_t crc, rs_span s)
{
#ifdef HAVE_LIBDEFLATE
        return libdeflate_crc32(crc, s.data, s.size);
#else
        return (uint32_t)crc32_z(crc, s.data, s.size);
#endif
}

/* The sum of two runs follows from the sums of both and the length of the second. */
uint32_t
rs_bulk_crc32(uint32_t crc, rs_span s)
{
        if (s.size <= PIECE)
                return s.size ? crc_of(crc, s) : crc;
        for (size_t at = 0; at < s.size; at += (size_t)PIECE * PIECES) {
                uint32_t sums[PIECES];
                size_t n = s.size - at, pieces = n / PIECE + (n % PIECE != 0);
                pieces = pieces < PIECES ? pieces : PIECES;
#pragma omp parallel for num_threads(threads_for(pieces)) schedule(dynamic)
                for (size_t i = 0; i < pieces; i++)
                        sums[i] = crc_of(0, piece(s.data + at, n, i));
                for (size_t i = 0; i < pieces; i++) {
                        size_t left = n - i * PIECE;
                        crc = (uint32_t)crc32_combine(
                                crc, sums[i], (z_off_t)(left < PIECE ? left : PIECE));
                }
        }
        return crc;
}
