/* SPDX-License-Identifier: 0BSD */
/*
 * Atomic output. The bytes go to a temporary file in the same folder: without a name where the file
 * system can do that (O_TMPFILE), so that not even SIGKILL leaves anything behind, else under a
 * random one, which is listed in slots for a signal handler to remove. Then fsync, rename over the
 * old name, and fsync of the folder. A failed fsync is not tried again: Linux reports it once and
 * forgets the pages.
 */
#include "config.h"
#include "io/output.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include "io/fd.h"
#include "io/flush.h"
#include "io/gunzip.h"
#include "io/input.h"

enum {
        GZIP_MODE = 16 + MAX_WBITS,
        DEFLATE_CHUNK = 64 * 1024,
        BATCH = 256,
        FLUSH_BYTES = 8 << 20,
        N_SLOTS = 8,
        PIPE_SIZE = 1 << 20
};

bool rs_output_nameless = true;

struct rs_output {
        int fd;
        mode_t mode;       /* of the new file, before the umask */
        bool direct;       /* written in place: no temporary file */
        bool named;        /* the temporary file has its name */
        int slot;          /* in slots, or -1 */
        const char *shown; /* for messages */
        char *target;      /* what is renamed over */
        char *temp;
        char *folder;
        rs_arena arena;
        uint64_t written, begun; /* bytes; those that are on their way to the disk */
        rs_flush *flush;
        z_stream *z;
        bool ended;           /* z has given its last byte */
        unsigned char *chunk; /* [DEFLATE_CHUNK] */
};

/* Temporary files that have a name now. A slot is written before it is armed and left alone until
 * it is disarmed. */
enum { FREE, TAKEN, ARMED };
static struct slot {
        atomic_int state;
        char path[PATH_MAX];
        dev_t dev;
        ino_t ino;
} slots[N_SLOTS];

static int
arm(const char *path, int fd)
{
        struct stat st;
        if (strlen(path) >= sizeof slots[0].path || fstat(fd, &st) != 0)
                return -1;
        for (int i = 0; i < N_SLOTS; i++) {
                int expected = FREE;
                if (!atomic_compare_exchange_strong(&slots[i].state, &expected, TAKEN))
                        continue;
                strcpy(slots[i].path, path);
                slots[i].dev = st.st_dev;
                slots[i].ino = st.st_ino;
                atomic_store(&slots[i].state, ARMED);
                return i;
        }
        return -1;
}

static void
disarm(int slot)
{
        if (slot >= 0)
                atomic_store(&slots[slot].state, FREE);
}

void
rs_output_abandon_all(void)
{
        int saved = errno;
        for (int i = 0; i < N_SLOTS; i++) {
                struct stat st;
                if (atomic_load(&slots[i].state) == ARMED && lstat(slots[i].path, &st) == 0 &&
                        st.st_dev == slots[i].dev && st.st_ino == slots[i].ino)
                        unlink(slots[i].path);
        }
        errno = saved;
}

/* Standard input, output and error may have been closed; a file of ours must not become one of
 * them. */
static int
above_standard(int fd)
{
        if (fd < 0 || fd > STDERR_FILENO)
                return fd;
        int higher = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1), saved = errno;
        close(fd);
        errno = saved;
        return higher;
}

/* A fresh name beside the target, in o->temp. */
static bool
make_temp_name(rs_output *o)
{
        static const char letters[] = "abcdefghijklmnopqrstuvwxyz012345";
        unsigned char random[12];
        if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
                return false;
        char *at = o->temp + strlen(o->temp) - sizeof random;
        for (size_t i = 0; i < sizeof random; i++)
                at[i] = letters[random[i] & 31];
        return true;
}

static bool
open_named(rs_output *o)
{
        sigset_t all, before;
        sigfillset(&all);
        pthread_sigmask(
                SIG_BLOCK, &all, &before); /* no signal between the file's birth and its slot */
        for (int tries = 0; tries < 100 && o->fd < 0 && make_temp_name(o); tries++) {
                o->fd = above_standard(
                        open(o->temp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, o->mode));
                if (o->fd < 0 && errno != EEXIST)
                        break;
        }
        if (o->fd >= 0) {
                o->named = true;
                o->slot = arm(o->temp, o->fd);
        }
        int saved = errno;
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        errno = saved;
        return o->fd >= 0;
}

static bool
open_temp(rs_output *o, resect_error *err)
{
        const char *slash = strrchr(o->target, '/');
        int n = slash ? (int)(slash - o->target) + 1 : 0;
        o->folder = n ? rs_arena_strndup(&o->arena, o->target, (size_t)n, err)
                      : rs_arena_strdup(&o->arena, "./", err);
        o->temp = rs_arena_printf(&o->arena, err, "%.*s.resect-%s", n, o->target, "xxxxxxxxxxxx");
        if (!o->folder || !o->temp)
                return false;
        /* A nameless file is given its name through /proc. */
        if (rs_output_nameless && access("/proc/self/fd", X_OK) == 0)
                o->fd = above_standard(open(o->folder, O_TMPFILE | O_RDWR | O_CLOEXEC, o->mode));
        if (o->fd < 0 && !open_named(o))
                return rs_fail(err, RESECT_IO, "%s: %m", o->shown);
        return true;
}

static bool
open_direct(rs_output *o, const char *path, resect_error *err)
{
        o->direct = true;
        o->fd = path ? above_standard(open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY)) : STDOUT_FILENO;
        if (o->fd < 0)
                return rs_fail(err, RESECT_IO, "%s: %m", o->shown);
        fcntl(o->fd, F_SETPIPE_SZ, PIPE_SIZE); /* fails on anything but a pipe, and that is well */
        return true;
}

static bool
resolve_link(rs_output *o, const char *path, resect_error *err)
{
        char real[PATH_MAX];
        if (!realpath(path, real))
                return rs_fail(err, RESECT_IO, "%s: %m", path);
        o->target = rs_arena_strdup(&o->arena, real, err);
        return o->target;
}

static bool
open_file(rs_output *o, const char *path, resect_error *err)
{
        struct stat st, link;
        bool there = stat(path, &st) == 0;
        if (!there && errno != ENOENT)
                return rs_fail(err, RESECT_IO, "%s: %m", path);
        bool is_link = lstat(path, &link) == 0 && S_ISLNK(link.st_mode);
        if (!there && is_link)
                return rs_fail(err, RESECT_IO, "%s: is a symbolic link to nothing", path);
        if (there && (S_ISCHR(st.st_mode) ||
                             (!S_ISREG(st.st_mode) && strncmp(path, "/dev/fd/", 8) == 0)))
                return open_direct(o, path, err);
        if (there && !S_ISREG(st.st_mode))
                return rs_fail(err, RESECT_IO,
                        "%s: not a regular file; only a regular file can be replaced", path);
        if (there && access(path, W_OK) != 0)
                return rs_fail(err, RESECT_IO, "%s: %m", path);
        o->target = is_link ? NULL : rs_arena_strdup(&o->arena, path, err);
        if (!o->target && (!is_link || !resolve_link(o, path, err)))
                return false;
        o->mode = there ? st.st_mode & 0666 : 0666; /* never more open than the old one */
        if (!open_temp(o, err))
                return false;
        if (there) {
                /* The owner only where we may; the mode after it, because chown clears bits. */
                if ((st.st_uid != geteuid() || st.st_gid != getegid()) &&
                        fchown(o->fd, st.st_uid, st.st_gid) != 0)
                        st.st_mode &= (mode_t) ~(S_ISUID | S_ISGID);
                if (fchmod(o->fd, st.st_mode & 07777) != 0)
                        return rs_fail(err, RESECT_IO, "%s: %m", path);
        }
        return true;
}

static bool
start_gzip(rs_output *o, resect_error *err)
{
        o->chunk = RS_NEW(&o->arena, DEFLATE_CHUNK, unsigned char, err);
        z_stream *z = RS_NEW(&o->arena, 1, z_stream, err);
        if (!o->chunk || !z)
                return false;
        z->zalloc = rs_zlib_alloc;
        z->zfree = rs_zlib_free;
        if (deflateInit2(z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP_MODE, 8, Z_DEFAULT_STRATEGY) !=
                Z_OK)
                return rs_fail_nomem(err);
        o->z = z;
        return true;
}

rs_output *
rs_output_open(const char *path, resect_error *err)
{
        rs_output *o = rs_alloc(1, sizeof *o, err);
        if (!o)
                return NULL;
        bool is_stdout = strcmp(path, "-") == 0 || strcmp(path, "/dev/stdout") == 0;
        size_t n = strlen(path);
        o->fd = o->slot = -1;
        o->shown = is_stdout ? "standard output" : rs_arena_strdup(&o->arena, path, err);
        if (!o->shown || !(is_stdout ? open_direct(o, NULL, err) : open_file(o, path, err)) ||
                (n > 3 && strcmp(path + n - 3, ".gz") == 0 && !start_gzip(o, err))) {
                rs_output_abandon(o);
                return NULL;
        }
        return o;
}

bool
rs_output_is(const rs_output *o, dev_t dev, ino_t ino)
{
        struct stat st;
        return o->direct && fstat(o->fd, &st) == 0 && st.st_dev == dev && st.st_ino == ino;
}

/* What is going to be fsynced begins its way to the disk while the rest is being made. */
static void
begin_flush(rs_output *o, uint64_t at_least)
{
        if (o->direct || o->written - o->begun < at_least)
                return;
        if (!o->begun)
                o->flush = rs_flush_start(o->fd);
        rs_flush_to(o->flush, o->written);
        o->begun = o->written;
}

static void
end_flush(rs_output *o)
{
        rs_flush_end(o->flush);
        o->flush = NULL;
}

static bool
write_all(rs_output *o, struct iovec *iov, size_t count, resect_error *err)
{
        size_t bytes = 0;
        for (size_t i = 0; i < count; i++)
                bytes += iov[i].iov_len;
        if (rs_fd_write(o->fd, iov, count)) {
                o->written += bytes;
                begin_flush(o, FLUSH_BYTES);
                return true;
        }
        /* what the kernel calls a bad address is a mapped file that somebody has cut short
         * meanwhile */
        if (errno == EFAULT)
                return rs_fail(err, RESECT_IO,
                        "%s: a file that its bytes come from is no longer there in full: it was "
                        "cut short, or its disk failed",
                        o->shown);
        return rs_fail(err, RESECT_IO, "%s: %m", o->shown);
}

/* Compresses a piece; at the end (flush Z_FINISH) also what zlib kept back. */
static bool
deflate_piece(rs_output *o, rs_span piece, int flush, resect_error *err)
{
        z_stream *z = o->z;
        do {
                size_t step = piece.size < UINT_MAX ? piece.size : UINT_MAX;
                z->next_in =
                        (unsigned char *)piece.data; /* zlib's type lacks a const; it only reads */
                z->avail_in = (unsigned)step;
                piece.data = step ? piece.data + step : piece.data;
                piece.size -= step;
                do {
                        z->next_out = o->chunk;
                        z->avail_out = DEFLATE_CHUNK;
                        if (deflate(z, flush) == Z_STREAM_ERROR)
                                return rs_fail(
                                        err, RESECT_IO, "%s: gzip state is broken", o->shown);
                        struct iovec v = {o->chunk, DEFLATE_CHUNK - z->avail_out};
                        if (!write_all(o, &v, 1, err))
                                return false;
                } while (z->avail_out == 0);
        } while (piece.size > 0);
        return true;
}

bool
rs_output_put(rs_output *o, const rs_span *spans, size_t count, resect_error *err)
{
        if (o->z) {
                for (size_t i = 0; i < count; i++)
                        if (spans[i].size && !deflate_piece(o, spans[i], Z_NO_FLUSH, err))
                                return false;
                return true;
        }
        for (size_t i = 0; i < count;) {
                struct iovec iov[BATCH];
                size_t n = 0;
                for (; i < count && n < BATCH; i++) {
                        rs_span_populate(spans[i]);
                        iov[n++] = (struct iovec){(void *)spans[i].data, spans[i].size};
                }
                if (!write_all(o, iov, n, err))
                        return false;
        }
        return true;
}

bool
rs_output_bytes(rs_output *o, const void *bytes, size_t size, resect_error *err)
{
        return rs_output_put(o, &(rs_span){bytes, size}, 1, err);
}

/* What zlib has kept back. */
static bool
end_gzip(rs_output *o, resect_error *err)
{
        if (o->z && !o->ended && !deflate_piece(o, (rs_span){NULL, 0}, Z_FINISH, err))
                return false;
        o->ended = true;
        return true;
}

bool
rs_output_is_direct(const rs_output *o)
{
        return o->direct;
}

rs_input *
rs_output_read_back(rs_output *o, uint64_t max_size, resect_error *err)
{
        if (!end_gzip(o, err))
                return NULL;
        rs_flush_to(o->flush, o->written);
        if (lseek(o->fd, 0, SEEK_SET) != 0)
                return RS_FAIL_NULL(err, RESECT_IO, "%s: %m", o->shown);
        return rs_input_read_fd(o->fd, o->shown, max_size, err);
}

/* Gives a nameless file its temporary name: linkat cannot replace, and only rename can do that in
 * one step. */
static bool
give_name(rs_output *o, resect_error *err)
{
        char self[64];
        snprintf(self, sizeof self, "/proc/self/fd/%d", o->fd);
        for (int tries = 0; tries < 100 && make_temp_name(o); tries++) {
                o->slot = arm(
                        o->temp, o->fd); /* before the name is there: the slot knows the inode */
                if (linkat(AT_FDCWD, self, AT_FDCWD, o->temp, AT_SYMLINK_FOLLOW) == 0)
                        return o->named = true;
                int saved = errno;
                disarm(o->slot);
                o->slot = -1;
                errno = saved;
                if (errno != EEXIST)
                        break;
        }
        return rs_fail(err, RESECT_IO, "%s: %m", o->shown);
}

static bool
sync_folder(rs_output *o, resect_error *err)
{
        int fd = open(o->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        /* A folder that we may not read, or of a file system that cannot sync folders, is no
         * failure. */
        bool ok = fd < 0 || rs_hooks.fsync(fd) == 0 || errno == EINVAL || errno == ENOTSUP;
        if (!ok)
                rs_fail(err, RESECT_IO,
                        "%s: the new file is in place, but its folder could not be synced: %m",
                        o->shown);
        if (fd >= 0)
                close(fd);
        return ok;
}

static bool
commit(rs_output *o, resect_error *err)
{
        if (!end_gzip(o, err))
                return false;
        if (o->direct)
                return true;
        end_flush(o);
        if (rs_hooks.fsync(o->fd) != 0)
                return rs_fail(err, RESECT_IO, "%s: %m", o->shown);
        if (!o->named && !give_name(o, err))
                return false;
        int fd = o->fd;
        o->fd = -1;
        if (close(fd) != 0 && errno != EINTR)
                return rs_fail(err, RESECT_IO, "%s: %m", o->shown);
        if (rs_hooks.rename(o->temp, o->target) != 0)
                return rs_fail(err, RESECT_IO, "%s: %m", o->shown);
        o->named = false;
        return sync_folder(o, err);
}

bool
rs_output_close(rs_output *o, resect_error *err)
{
        bool ok = commit(o, err);
        rs_output_abandon(o);
        return ok;
}

void
rs_output_abandon(rs_output *o)
{
        if (!o)
                return;
        end_flush(o);
        if (o->z)
                deflateEnd(o->z);
        if (o->fd > STDERR_FILENO)
                close(o->fd);
        if (o->named)
                unlink(o->temp);
        disarm(o->slot);
        rs_arena_free(&o->arena);
        rs_free(o);
}
