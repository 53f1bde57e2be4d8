/* SPDX-License-Identifier: 0BSD */
/*
 * A whole input at once. A large regular file is mapped and costs nothing until it is looked at;
 * anything else is read into pages that mremap moves when they must grow, so that a piped model
 * takes its own size in memory and no doubling copy. Gzip is inflated as it arrives: the compressed
 * bytes are never all there.
 */
#include "config.h"
#include "io/input.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "io/fd.h"
#include "io/gunzip.h"

enum {
        MAP_AT_LEAST = 1 << 20, /* smaller files are read: no fault, no SIGBUS */
        FIRST_PAGES = 1 << 20,
        HUGE_AT_LEAST = 4 << 20,
        POPULATE_AT_LEAST = 1 << 18,
        PIPE_SIZE = 1 << 20, /* Linux's default limit for F_SETPIPE_SZ */
        CHUNK = 128 * 1024
};

/* Pages that are being filled, and where the bytes come from. */
struct filling {
        rs_input *in;
        unsigned char *pages; /* in->mapped of them are there */
        uint64_t max_size;
        const char *name;
        int fd;               /* -1: memory */
        rs_span memory;       /* what has been read ahead, or all there is */
        unsigned char *chunk; /* [CHUNK] */
};

static bool
too_large(const struct filling *f, resect_error *err)
{
        return rs_fail(err, RESECT_UNSUPPORTED,
                "%s: more than %llu bytes, which is the limit (--max-size)", f->name,
                (unsigned long long)f->max_size);
}

/* Makes room after the used bytes. One byte beyond max_size is allowed for, so that the reader can
   tell "as large as allowed" from "larger". */
static bool
make_room(void *ctx, size_t used, unsigned char **at, size_t *room, resect_error *err)
{
        struct filling *f = ctx;
        if (used > f->max_size)
                return too_large(f, err);
        size_t old = f->in->mapped;
        if (used == old) {
                size_t want;
                if (!rs_add(old, old / 2 + FIRST_PAGES, &want))
                        return rs_fail_nomem(err);
                want &= ~(size_t)(FIRST_PAGES - 1);
                unsigned char *p = rs_hooks.remap(f->pages, old, want);
                if (!p)
                        return rs_fail_nomem(err);
                if (want >= HUGE_AT_LEAST)
                        madvise(p, want,
                                MADV_HUGEPAGE); /* a hint: where it is refused, small pages do */
                f->pages = p;
                f->in->data = p;
                f->in->mapped = want;
        }
        size_t most = f->max_size - used < SIZE_MAX ? (size_t)(f->max_size - used) + 1 : SIZE_MAX;
        *at = f->pages + used;
        *room = f->in->mapped - used;
        if (*room > most)
                *room = most;
        return true;
}

/* The next compressed bytes. */
static bool
next_piece(void *ctx, rs_span *piece, resect_error *err)
{
        struct filling *f = ctx;
        *piece = f->memory;
        f->memory.size = 0;
        if (piece->size > 0 || f->fd < 0)
                return true;
        ssize_t got = rs_fd_read(f->fd, f->chunk, CHUNK);
        if (got < 0)
                return rs_fail(err, RESECT_IO, "%s: %m", f->name);
        *piece = (rs_span){f->chunk, (size_t)got};
        return true;
}

static bool
inflate_all(struct filling *f, resect_error *err)
{
        size_t size;
        if (!rs_gunzip(next_piece, make_room, f, &size, f->name, err))
                return false;
        if (size > f->max_size)
                return too_large(f, err);
        f->in->size = size;
        return true;
}

/* Gives back the pages that were not needed. */
static void
trim(struct filling *f)
{
        size_t page = (size_t)sysconf(_SC_PAGESIZE);
        size_t keep = (f->in->size + page) & ~(page - 1); /* at least one page */
        if (keep < f->in->mapped && munmap(f->pages + keep, f->in->mapped - keep) == 0)
                f->in->mapped = keep;
}

static bool
read_stream(struct filling *f, resect_error *err)
{
        fcntl(f->fd, F_SETPIPE_SZ, PIPE_SIZE); /* fails on anything but a pipe, and that is well */
        size_t size = 0;
        for (;;) {
                unsigned char *at = NULL;
                size_t room = 0;
                if (!make_room(f, size, &at, &room, err))
                        return false;
                if (size < 2 && room > CHUNK)
                        room = CHUNK; /* what may turn out to be gzip fits into the chunk */
                ssize_t got = rs_fd_read(f->fd, at, room);
                if (got < 0)
                        return rs_fail(err, RESECT_IO, "%s: %m", f->name);
                if (got == 0)
                        break;
                bool first = size < 2;
                size += (size_t)got;
                if (first && rs_is_gzip(f->pages, size)) {
                        f->chunk = rs_alloc(CHUNK + 2, 1, err);
                        if (!f->chunk)
                                return false;
                        memcpy(f->chunk, f->pages, size);
                        f->memory = (rs_span){f->chunk, size};
                        return inflate_all(f, err);
                }
        }
        f->in->size = size;
        return true;
}

/* Plain bytes of known size into heap memory: an overrun of even one byte is visible to the
 * sanitizers. */
static bool
read_small(struct filling *f, size_t size, resect_error *err)
{
        unsigned char *data = rs_alloc(size, 1, err);
        if (!data)
                return false;
        f->in->data = data;
        while (f->in->size < size) {
                ssize_t got = rs_fd_read(f->fd, data + f->in->size, size - f->in->size);
                if (got < 0)
                        return rs_fail(err, RESECT_IO, "%s: %m", f->name);
                if (got == 0)
                        break;
                f->in->size += (size_t)got;
        }
        return true;
}

static bool
map_file(struct filling *f, size_t size, resect_error *err)
{
        void *p = mmap(NULL, size, PROT_READ, MAP_PRIVATE, f->fd, 0);
        if (p == MAP_FAILED)
                return errno == ENOMEM ? rs_fail_nomem(err)
                                       : rs_fail(err, RESECT_IO, "%s: %m", f->name);
        f->in->data = p;
        f->in->size = f->in->mapped = size;
        f->in->of_file = true;
        return true;
}

void
rs_span_populate(rs_span s)
{
#ifdef MADV_POPULATE_READ
        uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), start = (uintptr_t)s.data & ~(page - 1);
        if (s.size >= POPULATE_AT_LEAST)
                madvise((void *)start, (uintptr_t)s.data + s.size - start, MADV_POPULATE_READ);
#else
        (void)s;
#endif
}

void
rs_input_rest(const rs_input *in)
{
        if (in && in->of_file)
                (void)madvise((void *)(uintptr_t)in->data, in->mapped, MADV_DONTNEED);
}

static bool
fill(struct filling *f, resect_error *err)
{
        struct stat st;
        if (fstat(f->fd, &st) != 0)
                return rs_fail(err, RESECT_IO, "%s: %m", f->name);
        if (S_ISDIR(st.st_mode))
                return rs_fail(err, RESECT_IO, "%s: is a directory", f->name);
        unsigned char head[2];
        /* A file that says it is empty may be one of /proc; one that is read from its middle is a
         * stream. */
        if (!S_ISREG(st.st_mode) || st.st_size == 0 || lseek(f->fd, 0, SEEK_CUR) != 0)
                return read_stream(f, err);
        f->in->is_file = true;
        f->in->dev = st.st_dev;
        f->in->ino = st.st_ino;
        ssize_t got = pread(f->fd, head, sizeof head, 0);
        if (got < 0)
                return rs_fail(err, RESECT_IO, "%s: %m", f->name);
        if (rs_is_gzip(head, (size_t)got))
                return read_stream(f, err);
        if ((uint64_t)st.st_size > f->max_size)
                return too_large(f, err);
        if ((uint64_t)st.st_size > SIZE_MAX)
                return rs_fail_nomem(err);
        if (st.st_size < MAP_AT_LEAST)
                return read_small(f, (size_t)st.st_size, err);
        if (!map_file(f, (size_t)st.st_size, err))
                return false;
        lseek(f->fd, 0, SEEK_END); /* whoever shares the descriptor sees it read */
        return true;
}

static rs_input *
finish(struct filling *f, bool ok)
{
        if (ok && f->pages)
                trim(f);
        rs_free(f->chunk);
        if (!ok) {
                rs_input_free(f->in);
                return NULL;
        }
        return f->in;
}

rs_input *
rs_input_read_fd(int fd, const char *name, uint64_t max_size, resect_error *err)
{
        struct filling f = {.fd = fd, .name = name, .max_size = max_size ? max_size : RS_INPUT_MAX};
        f.in = rs_alloc(1, sizeof *f.in, err);
        return f.in ? finish(&f, fill(&f, err)) : NULL;
}

rs_input *
rs_input_open(const char *path, uint64_t max_size, resect_error *err)
{
        if (strcmp(path, "-") == 0)
                return rs_input_read_fd(STDIN_FILENO, "standard input", max_size, err);
        int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        if (fd < 0)
                return RS_FAIL_NULL(err, RESECT_IO, "%s: %m", path);
        rs_input *in = rs_input_read_fd(fd, path, max_size, err);
        close(fd);
        return in;
}

rs_input *
rs_input_copy(
        const void *bytes, size_t size, const char *name, uint64_t max_size, resect_error *err)
{
        struct filling f = {.fd = -1,
                .name = name,
                .max_size = max_size ? max_size : RS_INPUT_MAX,
                .memory = {bytes, size}};
        f.in = rs_alloc(1, sizeof *f.in, err);
        if (!f.in)
                return NULL;
        if (rs_is_gzip(bytes, size))
                return finish(&f, inflate_all(&f, err));
        if (size > f.max_size)
                return finish(&f, too_large(&f, err));
        unsigned char *copy = rs_alloc(size, 1, err);
        if (!copy)
                return finish(&f, false);
        if (size)
                memcpy(copy, bytes, size);
        f.in->data = copy;
        f.in->size = size;
        return f.in;
}

void
rs_input_free(rs_input *in)
{
        if (!in)
                return;
        if (in->mapped)
                munmap((void *)in->data, in->mapped);
        else
                rs_free((void *)in->data);
        rs_free(in);
}
