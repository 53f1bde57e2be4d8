/* SPDX-License-Identifier: 0BSD */
/*
 * SHA-256 as FIPS 180-4 writes it, and the same compression with x86's SHA extension, chosen when
 * first needed. A model is hashed whole when its digest is verified, so that the fast one is worth
 * its forty lines.
 */
#include "base/sha256.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

static const uint32_t K[64] = {0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b,
        0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3,
        0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6,
        0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d,
        0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85,
        0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
        0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585,
        0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
        0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa,
        0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static uint32_t
rotr(uint32_t x, int n)
{
        return x >> n | x << (32 - n);
}

static void
compress_plain(uint32_t state[8], const unsigned char *p, size_t blocks)
{
        for (; blocks; blocks--, p += 64) {
                uint32_t w[64], v[8];
                for (int i = 0; i < 16; i++)
                        w[i] = (uint32_t)p[4 * i] << 24 | (uint32_t)p[4 * i + 1] << 16 |
                               (uint32_t)p[4 * i + 2] << 8 | p[4 * i + 3];
                for (int i = 16; i < 64; i++) {
                        uint32_t s0 = rotr(w[i - 15], 7) ^ rotr(w[i - 15], 18) ^ w[i - 15] >> 3;
                        uint32_t s1 = rotr(w[i - 2], 17) ^ rotr(w[i - 2], 19) ^ w[i - 2] >> 10;
                        w[i] = w[i - 16] + s0 + w[i - 7] + s1;
                }
                memcpy(v, state, sizeof v);
                for (int i = 0; i < 64; i++) {
                        uint32_t s1 = rotr(v[4], 6) ^ rotr(v[4], 11) ^ rotr(v[4], 25);
                        uint32_t t1 = v[7] + s1 + ((v[4] & v[5]) ^ (~v[4] & v[6])) + K[i] + w[i];
                        uint32_t s0 = rotr(v[0], 2) ^ rotr(v[0], 13) ^ rotr(v[0], 22);
                        uint32_t t2 = s0 + ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
                        memmove(v + 1, v, 7 * sizeof *v);
                        v[4] += t1;
                        v[0] = t1 + t2;
                }
                for (int i = 0; i < 8; i++)
                        state[i] += v[i];
        }
}

#if defined(__x86_64__)
__attribute__((target("sha,sse4.1,ssse3"))) static void
compress_sha_ni(uint32_t state[8], const unsigned char *p, size_t blocks)
{
        const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
        __m128i abcd = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)state), 0xb1);
        __m128i efgh = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)(state + 4)), 0x1b);
        __m128i abef = _mm_alignr_epi8(abcd, efgh, 8), cdgh = _mm_blend_epi16(efgh, abcd, 0xf0);
        for (; blocks; blocks--, p += 64) {
                __m128i abef0 = abef, cdgh0 = cdgh, w[4];
                for (int i = 0; i < 4; i++)
                        w[i] = _mm_shuffle_epi8(
                                _mm_loadu_si128((const __m128i *)(p + 16 * i)), swap);
                for (int i = 0; i < 16; i++) {
                        __m128i k =
                                _mm_add_epi32(w[0], _mm_loadu_si128((const __m128i *)(K + 4 * i)));
                        cdgh = _mm_sha256rnds2_epu32(cdgh, abef, k);
                        abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(k, 0x0e));
                        __m128i next = _mm_add_epi32(
                                _mm_sha256msg1_epu32(w[0], w[1]), _mm_alignr_epi8(w[3], w[2], 4));
                        next = _mm_sha256msg2_epu32(next, w[3]);
                        w[0] = w[1];
                        w[1] = w[2];
                        w[2] = w[3];
                        w[3] = next;
                }
                abef = _mm_add_epi32(abef, abef0);
                cdgh = _mm_add_epi32(cdgh, cdgh0);
        }
        __m128i feba = _mm_shuffle_epi32(abef, 0x1b), dchg = _mm_shuffle_epi32(cdgh, 0xb1);
        _mm_storeu_si128((__m128i *)state, _mm_blend_epi16(feba, dchg, 0xf0));
        _mm_storeu_si128((__m128i *)(state + 4), _mm_alignr_epi8(dchg, feba, 8));
}

static bool
has_sha_ni(void)
{
        unsigned a, b, c, d;
        return __get_cpuid_count(7, 0, &a, &b, &c, &d) && b & 1u << 29 &&
               __builtin_cpu_supports("sse4.1");
}
#endif

static void
compress(uint32_t state[8], const unsigned char *p, size_t blocks)
{
#if defined(__x86_64__)
        static int known; /* 0 not yet asked, 1 plain, 2 SHA extension; racing threads would write
                             the same */
        if (!known)
                known = has_sha_ni() ? 2 : 1;
        if (known == 2) {
                compress_sha_ni(state, p, blocks);
                return;
        }
#endif
        compress_plain(state, p, blocks);
}

void
rs_sha256_start(rs_sha256 *s)
{
        static const uint32_t first[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
        memcpy(s->state, first, sizeof first);
        s->length = 0;
}

void
rs_sha256_add(rs_sha256 *s, const void *bytes, size_t n)
{
        const unsigned char *p = bytes;
        size_t held = s->length % 64;
        if (!n) /* bytes may be NULL then */
                return;
        s->length += n;
        if (held) {
                size_t take = 64 - held < n ? 64 - held : n;
                memcpy(s->block + held, p, take);
                p += take;
                n -= take;
                if (held + take < 64)
                        return;
                compress(s->state, s->block, 1);
        }
        compress(s->state, p, n / 64);
        if (n % 64)
                memcpy(s->block, p + n / 64 * 64, n % 64);
}

void
rs_sha256_end(rs_sha256 *s, unsigned char digest[32])
{
        uint64_t bits = s->length * 8;
        static const unsigned char pad[64] = {0x80};
        rs_sha256_add(s, pad, 1 + (119 - s->length % 64) % 64);
        unsigned char tail[8];
        for (int i = 0; i < 8; i++)
                tail[i] = (unsigned char)(bits >> (56 - 8 * i));
        rs_sha256_add(s, tail, 8);
        for (int i = 0; i < 32; i++)
                digest[i] = (unsigned char)(s->state[i / 4] >> (24 - 8 * (i % 4)));
}

void
rs_sha256_hex(const unsigned char digest[32], char hex[65])
{
        for (int i = 0; i < 32; i++)
                snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}
