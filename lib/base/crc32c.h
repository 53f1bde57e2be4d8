/* SPDX-License-Identifier: 0BSD */
/* CRC-32C (Castagnoli; RFC 3720, B.4), with the processor's instruction where it has one. */
#ifndef RS_BASE_CRC32C_H
#define RS_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Goes on from crc, which is 0 at first. */
uint32_t rs_crc32c(uint32_t crc, const void *bytes, size_t n);

/* The portable half, for its test. */
uint32_t rs_crc32c_table(uint32_t crc, const void *bytes, size_t n);

#endif
