/* SPDX-License-Identifier: 0BSD */
/* The path opener: a file named by an untrusted model, which must lie beneath a folder. */
#ifndef RS_IO_BENEATH_H
#define RS_IO_BENEATH_H

#include "base/mem.h"

/* Whether a name may be opened at all: relative, in the folder or below, plain components. The
 * message says why not. */
bool rs_beneath_name(const char *name, size_t size, resect_error *err) RESECT_MUST;

/* Opens base/name for reading. No component may be a symbolic link and the file must be a regular
   one; one with other names (hard links) is refused unless allowed. Returns the descriptor
   (close-on-exec), or -1. */
int rs_open_beneath(
        const char *base, const char *name, bool allow_hard_links, resect_error *err) RESECT_MUST;

/* The part of it that works where openat2 does not exist, for its test. */
int rs_open_beneath_walk(int folder, const char *name);

#endif
