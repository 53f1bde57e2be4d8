/* SPDX-License-Identifier: 0BSD */
/* Long runs of bytes, which may be mapped files: compared and summed by all processors at once. */
#ifndef RS_IO_BULK_H
#define RS_IO_BULK_H

#include "base/mem.h"

/* Whether n bytes are the same. */
bool rs_bulk_same(const void *a, const void *b, size_t n);

/* CRC-32 as zip and gzip have it (ISO-HDLC): of nothing 0, else that of the bytes before and these. */
uint32_t rs_bulk_crc32(uint32_t crc, rs_span s);

#endif
