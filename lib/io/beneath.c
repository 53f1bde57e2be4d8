/* SPDX-License-Identifier: 0BSD */
/*
 * Joining a path and checking it afterwards has been the mistake of a dozen advisories (reference:
 * ONNX's ExternalDataSecurity.md). Here the kernel does the resolving: openat2 with RESOLVE_BENEATH
 * and RESOLVE_NO_SYMLINKS; where there is none, one openat a component with O_NOFOLLOW, which comes
 * to the same because ".." is refused as text. What was opened is then judged by its descriptor,
 * never by its name.
 */
#include "config.h"
#include "io/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#ifdef HAVE_LINUX_OPENAT2_H
#include <linux/openat2.h>
#endif

/* O_NONBLOCK: opening a FIFO must not wait for a writer. */
enum { FLAGS = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK };

bool
rs_beneath_name(const char *name, size_t size, resect_error *err)
{
        if (size == 0)
                return rs_fail(err, RESECT_FORMAT, "the file name is empty");
        if (memchr(name, 0, size))
                return rs_fail(err, RESECT_FORMAT, "the file name has a NUL byte");
        if (size >= PATH_MAX)
                return rs_fail(err, RESECT_FORMAT, "the file name has %zu bytes", size);
        if (name[0] == '/')
                return rs_fail(
                        err, RESECT_FORMAT, "%.*s: the file name is absolute", (int)size, name);
        if (memchr(name, '\\', size))
                return rs_fail(
                        err, RESECT_FORMAT, "%.*s: the file name has a backslash", (int)size, name);
        for (const char *p = name, *end = name + size; p < end;) {
                const char *slash = memchr(p, '/', (size_t)(end - p));
                size_t n = (size_t)((slash ? slash : end) - p);
                if (n == 2 && p[0] == '.' && p[1] == '.')
                        return rs_fail(err, RESECT_FORMAT,
                                "%.*s: the file name leads out of its folder (..)", (int)size,
                                name);
                if (n > NAME_MAX)
                        return rs_fail(
                                err, RESECT_FORMAT, "the file name has a part of %zu bytes", n);
                if (slash ? slash + 1 == end : n == 1 && p[0] == '.')
                        return rs_fail(err, RESECT_FORMAT, "%.*s: the file name is a folder's",
                                (int)size, name);
                p += n + 1;
        }
        return true;
}

int
rs_open_beneath_walk(int folder, const char *name)
{
        int at = folder;
        for (;;) {
                size_t n = strcspn(name, "/");
                char part[NAME_MAX + 1];
                if (n > NAME_MAX) {
                        errno = ENAMETOOLONG;
                        break;
                }
                memcpy(part, name, n);
                part[n] = '\0';
                bool last = name[n] == '\0';
                if (!last && (n == 0 || (n == 1 && part[0] == '.'))) {
                        name += n + 1;
                        continue;
                }
                int fd = openat(at, part,
                        last ? FLAGS | O_NOFOLLOW : O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
                int saved = errno;
                if (at != folder)
                        close(at);
                errno = saved;
                if (last || fd < 0)
                        return fd;
                at = fd;
                name += n + 1;
        }
        int saved = errno;
        if (at != folder)
                close(at);
        errno = saved;
        return -1;
}

static int
resolve(int folder, const char *name)
{
#if defined HAVE_LINUX_OPENAT2_H && defined SYS_openat2
        struct open_how how = {.flags = FLAGS,
                .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
        for (int tries = 0; tries < 16; tries++) {
                long fd = syscall(SYS_openat2, folder, name, &how, sizeof how);
                if (fd >= 0)
                        return (int)fd;
                if (errno == ENOSYS || errno == EPERM || errno == E2BIG)
                        break; /* an old kernel, or a sandbox that does not know the call */
                if (errno != EAGAIN && errno != EINTR)
                        return -1;
        }
#endif
        return rs_open_beneath_walk(folder, name);
}

static bool
acceptable(int fd, const char *name, bool allow_hard_links, resect_error *err)
{
        struct stat st;
        if (fstat(fd, &st) != 0)
                return rs_fail(err, RESECT_IO, "%s: %m", name);
        if (!S_ISREG(st.st_mode))
                return rs_fail(err, RESECT_IO, "%s: not a regular file", name);
        if (st.st_nlink > 1 && !allow_hard_links)
                return rs_fail(err, RESECT_IO,
                        "%s: the file has %llu names (hard links), and one of them may be somebody "
                        "else's; "
                        "--allow-hard-links opens it all the same",
                        name, (unsigned long long)st.st_nlink);
        return true;
}

int
rs_open_beneath(const char *base, const char *name, bool allow_hard_links, resect_error *err)
{
        if (!rs_beneath_name(name, strlen(name), err))
                return -1;
        int folder = open(base, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (folder < 0) {
                rs_fail(err, RESECT_IO, "%s: %m", base);
                return -1;
        }
        int fd = resolve(folder, name);
        if (fd < 0) {
                if (errno == ELOOP || errno == EXDEV || errno == ENOTDIR)
                        rs_fail(err, RESECT_IO,
                                "%s: a part of the path is a symbolic link, or no folder", name);
                else
                        rs_fail(err, RESECT_IO, "%s: %m", name);
        }
        close(folder);
        if (fd >= 0 && !acceptable(fd, name, allow_hard_links, err)) {
                close(fd);
                return -1;
        }
        return fd;
}
