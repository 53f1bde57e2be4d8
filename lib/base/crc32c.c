/* SPDX-License-Identifier: 0BSD */
/*
 * CRC-32C: a nibble's table of sixteen, which the eye can check against the polynomial 0x82f63b78,
 * and eight bytes an instruction on processors with SSE 4.2.
 */
#include "base/crc32c.h"

#include <string.h>

uint32_t
rs_crc32c_table(uint32_t crc, const void *bytes, size_t n)
{
        static const uint32_t t[16] = {0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc,
                0x5125dad3, 0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
                0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75};
        const unsigned char *p = bytes;
        crc = ~crc;
        while (n--) {
                crc ^= *p++;
                crc = t[crc & 15] ^ crc >> 4;
                crc = t[crc & 15] ^ crc >> 4;
        }
        return ~crc;
}

#if defined(__x86_64__) && defined(__GNUC__)
__attribute__((target("sse4.2"))) static uint32_t
crc_instruction(uint32_t crc, const void *bytes, size_t n)
{
        const unsigned char *p = bytes;
        uint64_t wide = ~crc, eight;
        for (; n >= 8; p += 8, n -= 8) {
                memcpy(&eight, p, 8);
                wide = __builtin_ia32_crc32di(wide, eight);
        }
        crc = (uint32_t)wide;
        for (; n; n--)
                crc = __builtin_ia32_crc32qi(crc, *p++);
        return ~crc;
}
#endif

uint32_t
rs_crc32c(uint32_t crc, const void *bytes, size_t n)
{
#if defined(__x86_64__) && defined(__GNUC__)
        if (__builtin_cpu_supports("sse4.2"))
                return crc_instruction(crc, bytes, n);
#endif
        return rs_crc32c_table(crc, bytes, n);
}
