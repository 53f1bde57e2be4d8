/* SPDX-License-Identifier: 0BSD */
/*
 * libFuzzer over .npz: what is accepted is there or says why not, and can be written again. The
 * members' checksums are always 0 here (the function below stands for zlib's), as they are in half
 * of the corpus, so that the mutator gets past them to the arrays.
 */
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include "fuzz_weights.h"

extern const rs_format rs_format_npz;

uLong
crc32_z(uLong crc, const Bytef *bytes, z_size_t n)
{
        (void)crc, (void)bytes, (void)n;
        return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        const rs_input in = {.data = data, .size = size};
        rs_checkpoint *c = fuzz_checkpoint("fuzz.npz");
        resect_error err = {0};
        bool ok = rs_format_npz.read(c, &in, &err);
        fuzz_said(ok, &err);
        if (ok && fuzz_use(c)) {
                rs_writing w = {
                        .path = "/dev/null", .entries = c->entries, .n_entries = c->n_entries};
                w.out = rs_output_open(w.path, &err);
                ok = w.out && rs_format_npz.write(&w, &err);
                fuzz_said(ok || err.code == RESECT_UNSUPPORTED, &err);
                rs_output_abandon(w.out);
        }
        (void)rs_format_npz.sniff(data, size, "fuzz");
        rs_checkpoint_free(c);
        return 0;
}
