/* SPDX-License-Identifier: 0BSD */
/* What is going to be fsynced begins its way to the disk while the rest is being made. A hint, all of it: fsync says what has arrived. */
#ifndef RS_IO_FLUSH_H
#define RS_IO_FLUSH_H

#include <stdint.h>

typedef struct rs_flush rs_flush;

/* NULL where there is no such thing, no thread or no memory; NULL is fine for the others, too. */
rs_flush *rs_flush_start(int fd);
/* All bytes before end are written. */
void rs_flush_to(rs_flush *f, uint64_t end);
/* Before fd is closed. Waits for what the system is doing with it. */
void rs_flush_end(rs_flush *f);

#endif
