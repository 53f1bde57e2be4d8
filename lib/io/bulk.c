/* SPDX-License-Identifier: 0BSD */
/*
 * A long run is cut into pieces, and a few threads take one after the other: what it costs to touch
 * the bytes of a mapped file for the first time (its page tables are filled piece by piece) is
 * shared, too. Neither the threads nor the pieces change the answer; without threads the caller's
 * own does it all. They are not OpenMP's, which would spin between one run and the next, where
 * somebody else writes to a disk.
 */
#include "config.h"
#include "io/bulk.h"

#include <pthread.h>
#include <signal.h>
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
        PIECES = 64, /* at a time: 32 MiB */
        MOST = 4     /* threads: memory is not faster for more */
};

struct bulk {
        rs_span a;
        const unsigned char *b; /* what a is compared with; NULL: nothing */
        uint32_t *sums;         /* [pieces]; NULL: none are wanted */
        size_t pieces;
        atomic_size_t next;
        atomic_bool differ;
};

static uint32_t
crc_of(uint32_t crc, rs_span s)
{
#ifdef HAVE_LIBDEFLATE
        return libdeflate_crc32(crc, s.data, s.size);
#else
        return (uint32_t)crc32_z(crc, s.data, s.size);
#endif
}

static size_t
piece_size(size_t n, size_t i)
{
        size_t left = n - i * PIECE;
        return left < PIECE ? left : PIECE;
}

static void *
work(void *arg)
{
        struct bulk *k = arg;
        for (size_t i; !k->differ && (i = atomic_fetch_add(&k->next, 1)) < k->pieces;) {
                rs_span s = {k->a.data + i * PIECE, piece_size(k->a.size, i)};
                rs_span_populate(s);
                if (k->sums)
                        k->sums[i] = crc_of(0, s);
                if (k->b) {
                        rs_span t = {k->b + i * PIECE, s.size};
                        rs_span_populate(t);
                        if (memcmp(s.data, t.data, s.size) != 0)
                                k->differ = true;
                }
        }
        return NULL;
}

static void
share(struct bulk *k)
{
        pthread_t others[MOST];
        int n = 0, want = k->pieces > 1 ? rs_threads(0) : 1;
        want = want > MOST ? MOST : want;
        want = (size_t)want > k->pieces ? (int)k->pieces : want;
        sigset_t all, old;
        sigfillset(&all); /* signals are for the program's own threads */
        pthread_sigmask(SIG_SETMASK, &all, &old);
        while (n < want - 1 && pthread_create(&others[n], NULL, work, k) == 0)
                n++;
        pthread_sigmask(SIG_SETMASK, &old, NULL);
        work(k);
        while (n)
                pthread_join(others[--n], NULL);
}

static size_t
pieces_of(size_t n)
{
        return n / PIECE + (n % PIECE != 0);
}

bool
rs_bulk_same(const void *a, const void *b, size_t n)
{
        struct bulk k = {.a = {a, n}, .b = b, .pieces = pieces_of(n)};
        share(&k);
        return !k.differ;
}

/* The sum of two runs follows from the sums of both and the length of the second. */
uint32_t
rs_bulk_crc32(uint32_t crc, rs_span s)
{
        if (s.size <= PIECE)
                return s.size ? crc_of(crc, s) : crc;
        while (s.size) {
                uint32_t sums[PIECES];
                size_t most = (size_t)PIECE * PIECES;
                struct bulk k = {
                        .a = {s.data, s.size < most ? s.size : most},
                        .sums = sums,
                };
                k.pieces = pieces_of(k.a.size);
                share(&k);
                for (size_t i = 0; i < k.pieces; i++)
                        crc = (uint32_t)crc32_combine(
                                crc, sums[i], (z_off_t)piece_size(k.a.size, i));
                s.data += k.a.size;
                s.size -= k.a.size;
        }
        return crc;
}
