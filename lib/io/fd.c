/* SPDX-License-Identifier: 0BSD */
/*
 * Full reads and writes. Short counts, EINTR, and EAGAIN from a descriptor that somebody set to
 * O_NONBLOCK (a shell's or a parent's doing, shared with us) are dealt with here and nowhere else.
 */
#include "config.h"
#include "io/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { VECTOR_MAX = 1024 }; /* Linux's IOV_MAX */

/* Whether the call that just failed should be made again. */
static bool
again(int fd, short events)
{
        if (errno == EINTR)
                return true;
        if (errno != EAGAIN && errno != EWOULDBLOCK)
                return false;
        struct pollfd p = {.fd = fd, .events = events};
        return poll(&p, 1, -1) >= 0 || errno == EINTR;
}

ssize_t
rs_fd_read(int fd, void *buf, size_t n)
{
        for (;;) {
                ssize_t got = rs_hooks.read(fd, buf, n);
                if (got >= 0 || !again(fd, POLLIN))
                        return got;
        }
}

bool
rs_fd_write(int fd, struct iovec *iov, size_t count)
{
        while (count > 0) {
                if (iov->iov_len == 0) {
                        iov++;
                        count--;
                        continue;
                }
                ssize_t wrote =
                        rs_hooks.writev(fd, iov, (int)(count < VECTOR_MAX ? count : VECTOR_MAX));
                if (wrote < 0) {
                        if (!again(fd, POLLOUT))
                                return false;
                        continue;
                }
                for (size_t left = (size_t)wrote; left > 0;) {
                        size_t step = left < iov->iov_len ? left : iov->iov_len;
                        iov->iov_base = (char *)iov->iov_base + step;
                        iov->iov_len -= step;
                        left -= step;
                        if (iov->iov_len == 0) {
                                iov++;
                                count--;
                        }
                }
        }
        return true;
}

int
rs_fd_nameless(const char *folder, size_t bytes)
{
        char path[4096];
        int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
        if (fd < 0 &&
                (size_t)snprintf(path, sizeof path, "%s/resect-XXXXXX", folder) < sizeof path &&
                (fd = mkostemp(path, O_CLOEXEC)) >= 0)
                unlink(path);
        int why = fd < 0 ? errno : posix_fallocate(fd, 0, (off_t)bytes);
        if (!why)
                return fd;
        if (fd >= 0)
                close(fd);
        errno = why;
        return -1;
}
