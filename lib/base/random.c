/* SPDX-License-Identifier: 0BSD */
/* Philox4x32-10 and the few distributions that the library draws from. */
#include "base/random.h"

#include <math.h>

__extension__ typedef unsigned __int128 rs_u128;

void
rs_philox(uint64_t seed, uint64_t stream, uint64_t index, uint32_t out[4])
{
        uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
        uint32_t c0 = (uint32_t)index, c1 = (uint32_t)(index >> 32), c2 = (uint32_t)stream,
                 c3 = (uint32_t)(stream >> 32);
        for (int round = 0; round < 10; round++) {
                uint64_t p0 = UINT64_C(0xD2511F53) * c0, p1 = UINT64_C(0xCD9E8D57) * c2;
                c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
                c1 = (uint32_t)p1;
                c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
                c3 = (uint32_t)p0;
                k0 += 0x9E3779B9;
                k1 += 0xBB67AE85;
        }
        out[0] = c0;
        out[1] = c1;
        out[2] = c2;
        out[3] = c3;
}

uint64_t
rs_stream(const char *purpose, uint64_t a, uint64_t b)
{
        uint64_t h = UINT64_C(
                0xcbf29ce484222325); /* FNV-1a over the purpose; Philox scatters it with a and b */
        for (; *purpose; purpose++)
                h = (h ^ (unsigned char)*purpose) * UINT64_C(0x100000001b3);
        uint32_t r[4];
        rs_philox(h, a, b, r);
        return (uint64_t)r[1] << 32 | r[0];
}

static uint64_t
bits64(uint64_t seed, uint64_t stream, uint64_t index)
{
        uint32_t r[4];
        rs_philox(seed, stream, index, r);
        return (uint64_t)r[1] << 32 | r[0];
}

double
rs_uniform(uint64_t seed, uint64_t stream, uint64_t index)
{
        return (double)(bits64(seed, stream, index) >> 11) * 0x1p-53;
}

double
rs_normal(uint64_t seed, uint64_t stream, uint64_t index)
{
        uint32_t r[4];
        rs_philox(seed, stream, index, r);
        double u = ((double)((uint64_t)r[1] << 32 | r[0]) + 1) * 0x1p-64;
        double v = (double)((uint64_t)r[3] << 32 | r[2]) * 0x1p-64;
        return sqrt(-2 * log(u)) * cos(6.283185307179586 * v);
}

uint64_t
rs_below(uint64_t seed, uint64_t stream, uint64_t index, uint64_t n)
{
        return (uint64_t)((rs_u128)bits64(seed, stream, index) * n >> 64);
}

void
rs_shuffle(uint64_t seed, uint64_t stream, size_t *order, size_t n)
{
        for (size_t i = 0; i < n; i++)
                order[i] = i;
        for (size_t i = n; i > 1; i--) {
                size_t j = (size_t)rs_below(seed, stream, i, i), t = order[i - 1];
                order[i - 1] = order[j];
                order[j] = t;
        }
}
