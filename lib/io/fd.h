/* SPDX-License-Identifier: 0BSD */
/* read and writev as one wants them: interrupted calls are made again, and a descriptor that would
 * block is waited for. */
#ifndef RS_IO_FD_H
#define RS_IO_FD_H

#include "base/mem.h"

/* Up to n bytes, as read(2): 0 at the end, -1 with errno. */
ssize_t rs_fd_read(int fd, void *buf, size_t n);

/* All of the vector, which is used up; false with errno. */
bool rs_fd_write(int fd, struct iovec *iov, size_t count);

/* A file without a name in a folder, with its space reserved, so that nothing stays behind whatever happens and a
   full disk shows now; -1 with errno. */
int rs_fd_nameless(const char *folder, size_t bytes);

#endif
