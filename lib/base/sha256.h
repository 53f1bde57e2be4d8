/* SPDX-License-Identifier: 0BSD */
/* SHA-256 (FIPS 180-4), with the processor's SHA instructions where it has them. */
#ifndef RS_BASE_SHA256_H
#define RS_BASE_SHA256_H

#include <stddef.h>
#include <stdint.h>

typedef struct rs_sha256 {
        uint32_t state[8];
        uint64_t length; /* bytes so far */
        unsigned char block[64];
} rs_sha256;

void rs_sha256_start(rs_sha256 *s);
void rs_sha256_add(rs_sha256 *s, const void *bytes, size_t n);
void rs_sha256_end(rs_sha256 *s, unsigned char digest[32]);

void rs_sha256_hex(const unsigned char digest[32], char hex[65]);

#endif
