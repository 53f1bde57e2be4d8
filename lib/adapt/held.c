/* SPDX-License-Identifier: 0BSD */
#include "config.h" /* _GNU_SOURCE, before the first system header */

#include "adapt/held.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "io/fd.h"

/* Mapped, and the descriptor closed again: the file is gone with the mapping. */
static bool
map(rs_held *h, const char *folder, resect_error *err)
{
        const char *tmp = getenv("TMPDIR");
        const char *dir = folder ? folder : tmp && *tmp ? tmp : "/tmp";
        int fd = rs_fd_nameless(dir, h->bytes);
        void *p = fd < 0 ? MAP_FAILED
                         : mmap(NULL, h->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        const int why = errno;
        if (fd >= 0)
                close(fd);
        if (p == MAP_FAILED)
                return rs_fail(err, RESECT_IO,
                        "%s: no room for %zu MiB of activations: %s (fewer pictures need less, "
                        "another $TMPDIR may have more)",
                        dir, h->bytes >> 20, strerror(why));
        h->rows = p;
        h->mapped = true;
        return true;
}

bool
rs_held_make(rs_held *h, const char *name, const resect_tensor *batch, size_t pictures,
        bool in_memory, const char *folder, resect_error *err)
{
        *h = (rs_held){.name = name, .batch = *batch};
        h->batch.data = NULL;
        h->row = batch->size / (size_t)batch->dims[0];
        if (!rs_mul(h->row, pictures, &h->bytes))
                return rs_fail_nomem(err);
        if (!in_memory && h->bytes)
                return map(h, folder, err);
        return (h->rows = rs_alloc_aligned(h->bytes + 1, err)) != NULL;
}

void
rs_held_free(rs_held *h)
{
        if (h->mapped)
                munmap(h->rows, h->bytes);
        else
                rs_free_aligned(h->rows);
        *h = (rs_held){0};
}
