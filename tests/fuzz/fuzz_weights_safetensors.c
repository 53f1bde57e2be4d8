/* SPDX-License-Identifier: 0BSD */
/* libFuzzer over safetensors: what is accepted gives all its bytes and can be written again. */
#include <stdlib.h>
#include <string.h>
#include "fuzz_weights.h"

extern const rs_format rs_format_safetensors;

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        const rs_input in = {.data = data, .size = size};
        rs_checkpoint *c = fuzz_checkpoint("fuzz.safetensors");
        resect_error err = {0};
        bool ok = rs_format_safetensors.read(c, &in, &err);
        fuzz_said(ok, &err);
        if (ok && !fuzz_use(c))
                abort(); /* nothing is left to find out later */
        if (ok) {
                rs_writing w = {.path = "/dev/null",
                        .entries = c->entries,
                        .n_entries = c->n_entries,
                        .meta = c->meta,
                        .n_meta = c->n_meta};
                w.out = rs_output_open(w.path, &err);
                if (!w.out || !rs_format_safetensors.write(&w, &err))
                        abort(); /* every type and name that is read can be written */
                rs_output_abandon(w.out);
        }
        (void)rs_format_safetensors.sniff(data, size, "fuzz");
        rs_checkpoint_free(c);
        return 0;
}
