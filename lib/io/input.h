/* SPDX-License-Identifier: 0BSD */
/* The bounded reader: a whole input in memory, wherever it comes from, and never more of it than
 * was allowed. */
#ifndef RS_IO_INPUT_H
#define RS_IO_INPUT_H

#include "base/mem.h"

#define RS_INPUT_MAX (UINT64_C(8) << 30) /* --max-size when not given */

typedef struct rs_input {
        const unsigned char *data;
        size_t size;
        size_t mapped; /* length of the mapping; 0 when data is on the heap */
        bool of_file;  /* the mapping is of the file itself */
        bool is_file;  /* a regular file, of this device and inode */
        dev_t dev;
        ino_t ino;
} rs_input;

/* Reads a file, or standard input for "-". Gzip is recognised and undone. Fails with IO, FORMAT (a
   damaged gzip), UNSUPPORTED (more than max_size bytes; 0 is RS_INPUT_MAX) or NOMEM. A large plain
   file is mapped: whoever cuts it short while it is being read raises SIGBUS, as with every program
   that maps files; the tools make one line and status 2 of it (tools/cli_io.c). */
rs_input *rs_input_open(const char *path, uint64_t max_size, resect_error *err) RESECT_MUST;
/* The same from an open descriptor, which stays open; name is for messages. */
rs_input *rs_input_read_fd(
        int fd, const char *name, uint64_t max_size, resect_error *err) RESECT_MUST;
/* A copy of bytes in memory, gzip undone; name is for messages. */
rs_input *rs_input_copy(const void *bytes, size_t size, const char *name, uint64_t max_size,
        resect_error *err) RESECT_MUST;
void rs_input_free(rs_input *in);

/* Has the page tables of a large span that may be mapped filled at once: taking the faults one after the other costs more than
   copying the bytes does. Only a hint. */
void rs_span_populate(rs_span s);
/* Gives the memory of a mapped file back to the system until it is looked at again; nothing for other inputs. */
void rs_input_rest(const rs_input *in);

#endif
