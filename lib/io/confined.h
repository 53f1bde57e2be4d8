/* SPDX-License-Identifier: 0BSD */
/*
 * A child process for a library that is not trusted with hostile bytes: it has the parent's memory as it was, and one pipe to
 * answer through; then it gives up its rights, and can but compute and write into that pipe.
 */
#ifndef RS_IO_CONFINED_H
#define RS_IO_CONFINED_H

#include "base/mem.h"

typedef struct rs_confined {
        pid_t pid;
        int fd;        /* the parent's end of the pipe */
        unsigned time; /* seconds of processor time that it was given */
        int error;     /* errno of a read that failed */
} rs_confined;

/* Starts it: job runs in the child with the pipe to write to, and its result is the child's exit status (0: all said). The child gets `seconds` of processor time. */
bool rs_confined_start(rs_confined *c, unsigned seconds, int (*job)(int fd, void *ctx), void *ctx, resect_error *err) RESECT_MUST;

/* In the child: no files, no network, no processes, no programs, at most `memory` bytes more than now. False when the system cannot
   do that: the child must then end. */
bool rs_confined_drop(int fd, size_t memory);

/* In the child: all of the bytes into the pipe. */
bool rs_confined_say(int fd, const void *bytes, size_t n);

/* In the parent: exactly n bytes out of the pipe; false when the child ended before, or was silent for too long (it is then
   killed): rs_confined_failed says why. */
bool rs_confined_hear(rs_confined *c, void *bytes, size_t n);

/* Ends it, when all has been heard or nothing more is wanted. */
void rs_confined_stop(rs_confined *c);

/* Ends it after rs_confined_hear has failed, and says what became of it. Returns false. what names the library and the file. */
bool rs_confined_failed(rs_confined *c, const char *what, resect_error *err);

#endif
