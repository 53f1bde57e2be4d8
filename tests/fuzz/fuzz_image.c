/* SPDX-License-Identifier: 0BSD */
/*
 * libFuzzer harness of the picture decoders: decode, fit, encode, decode again. The mutator mends
 * the sums of PNG chunks, so that most inputs get past them. tests/fuzz/run.sh image SECONDS builds
 * and runs it.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include "image/image.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint32_t
be32(const uint8_t *p)
{
        return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

size_t
LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed)
{
        size = LLVMFuzzerMutate(data, size, max);
        if (seed % 8 == 0 || size < 8 || data[0] != 0x89)
                return size;
        for (size_t at = 8; at + 12 <= size;) {
                size_t n = be32(data + at);
                if (n > size - at - 12)
                        break;
                uint32_t sum = (uint32_t)crc32(0, data + at + 4, (uInt)n + 4);
                for (int i = 0; i < 4; i++)
                        data[at + 8 + n + (size_t)i] = (uint8_t)(sum >> (24 - 8 * i));
                at += n + 12;
        }
        return size;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const resect_input in = {.channels = 3, .height = 16, .width = 12, .resize = 20};
        resect_error err = {0};
        rs_picture p, fitted, again;
        rs_buf file = {0};
        if (!rs_picture_decode(&p, (rs_span){data, size},
                    (int)(size % 3 == 0     ? 0
                            : size % 3 == 1 ? 1
                                            : 3),
                    &err)) {
                if (err.code == RESECT_OK || !err.msg[0] || p.pixels)
                        abort();
                return 0;
        }
        if (!rs_picture_fit(&fitted, rs_picture_view(&p), &in, &err) ||
                !rs_png_encode(&fitted, &file, &err) ||
                !rs_picture_decode(&again, (rs_span){file.data, file.size}, 0, &err))
                abort();
        if (memcmp(again.pixels, fitted.pixels, rs_picture_bytes(&fitted)) != 0)
                abort();
        rs_picture_free(&p);
        rs_picture_free(&fitted);
        rs_picture_free(&again);
        rs_buf_free(&file);
        return 0;
}
