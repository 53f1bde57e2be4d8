/* SPDX-License-Identifier: 0BSD */
/* The atomic writer: the file that was there stands until the new one is whole and on the disk. */
#ifndef RS_IO_OUTPUT_H
#define RS_IO_OUTPUT_H

#include "io/input.h"

typedef struct rs_output rs_output;

/*
 * Begins to write a file; "-" and /dev/stdout are standard output, and character devices
 * (/dev/null, /dev/full) and /dev/fd/N are written directly. Any other name must be a regular file
 * or none yet; a symbolic link is followed, so that what it points to is replaced. The new file
 * gets the old one's mode. A name that ends in .gz gets gzip.
 */
rs_output *rs_output_open(const char *path, resect_error *err) RESECT_MUST;

/* Whether it writes straight into this file: one that is being read must not be overwritten. */
bool rs_output_is(const rs_output *o, dev_t dev, ino_t ino);

/* Writes the spans one after the other. After a failure only rs_output_abandon is of use. */
bool rs_output_put(rs_output *o, const rs_span *spans, size_t count, resect_error *err) RESECT_MUST;
bool rs_output_bytes(rs_output *o, const void *bytes, size_t size, resect_error *err) RESECT_MUST;

/* Whether it is written straight to where it goes, a pipe or a device: there is no file that could be read again. */
bool rs_output_is_direct(const rs_output *o);

/* The file as it is now, read again before it takes its place; nothing can be written after that. The system is bringing it to
   the disk meanwhile. The input must be freed before rs_output_close. Fails as rs_input_open does. */
rs_input *rs_output_read_back(rs_output *o, uint64_t max_size, resect_error *err) RESECT_MUST;

/* Makes it so: fsync, rename, fsync of the folder. Frees o in any case. When this fails the old
   file stands (but for a failing fsync of the folder, which is reported although the new file is in
   place). */
bool rs_output_close(rs_output *o, resect_error *err) RESECT_MUST;

/* Forgets it; nothing is left of it. NULL is fine. */
void rs_output_abandon(rs_output *o);

/* Removes the temporary files of all writes in progress; safe in a signal handler. */
void rs_output_abandon_all(void);

/* Whether temporary files may be nameless until they are done (O_TMPFILE); a test turns it off to
 * see the other way. */
extern bool rs_output_nameless;

#endif
