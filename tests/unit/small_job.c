/* SPDX-License-Identifier: 0BSD */
#include "small_job.h"

#include <stdio.h>
#include <string.h>
#include "base/random.h"
#include "base/sha256.h"
#include "forms.h"
#include "unit.h"

static void
big_endian(FILE *f, uint32_t x)
{
        for (int shift = 24; shift >= 0; shift -= 8)
                putc((int)(x >> shift & 255), f);
}

static FILE *
create(const char *folder, const char *name)
{
        char path[512];
        snprintf(path, sizeof path, "%s/%s", folder, name);
        FILE *f = fopen(path, "wb");
        ck_assert_ptr_nonnull(f);
        return f;
}

/* Class c is bright in colour c, on the left half for odd pictures and the right one for even ones.
 */
void
small_pictures(const char *folder, size_t n)
{
        FILE *images = create(folder, "train-images-idx3-ubyte"),
             *labels = create(folder, "train-labels-idx1-ubyte");
        big_endian(images, 0x804);
        big_endian(labels, 0x801);
        big_endian(images, (uint32_t)n);
        big_endian(labels, (uint32_t)n);
        big_endian(images, JOB_SIDE);
        big_endian(images, JOB_SIDE);
        big_endian(images, 3);
        for (size_t i = 0; i < n; i++) {
                uint64_t at = 0;
                int label = (int)(i % JOB_CLASSES);
                putc(label, labels);
                for (int p = 0; p < JOB_SIDE * JOB_SIDE; p++)
                        for (int c = 0; c < 3; c++) {
                                bool lit = c == label && (p % JOB_SIDE < JOB_SIDE / 2) == (i % 2);
                                putc((lit ? 60 : 0) + (int)rs_below(11, i, at++, 140), images);
                        }
        }
        ck_assert_int_eq(fclose(images), 0);
        ck_assert_int_eq(fclose(labels), 0);
}

resect_model *
small_model(bool dropout)
{
        form f = {.blocks = {1, 1},
                .width = 4,
                .size = JOB_SIDE,
                .classes = JOB_CLASSES,
                .stem = STEM_CIFAR,
                .dropout = dropout};
        return form_make(&f, 5);
}

void
small_digest(resect_model *m, char hex[65])
{
        rs_sha256 h;
        unsigned char digest[32];
        resect_error err;
        rs_sha256_start(&h);
        for (size_t i = 0; i < m->graph.n_tensors; i++) {
                rs_arena a = {0};
                rs_span s;
                CK_OK(rs_tensor_bytes(m, m->graph.tensors[i], &a, &s, &err), err);
                rs_sha256_add(&h, s.data, s.size);
                rs_arena_free(&a);
        }
        rs_sha256_end(&h, digest);
        rs_sha256_hex(digest, hex);
}
