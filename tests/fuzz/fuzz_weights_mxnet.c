/* SPDX-License-Identifier: 0BSD */
/* libFuzzer over MXNet's arrays: what is accepted gives all its bytes, and what can be written is
 * read again. */
#include <stdlib.h>
#include <string.h>
#include "fuzz_weights.h"

extern const rs_format rs_format_mxnet;

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        const rs_input in = {.data = data, .size = size};
        rs_checkpoint *c = fuzz_checkpoint("fuzz.params");
        resect_error err = {0};
        bool ok = rs_format_mxnet.read(c, &in, &err);
        fuzz_said(ok, &err);
        if (ok && !fuzz_use(c))
                abort(); /* nothing is left to find out later */
        if (ok) {
                rs_writing w = {
                        .path = "/dev/null", .entries = c->entries, .n_entries = c->n_entries};
                w.out = rs_output_open(w.path, &err);
                ok = w.out && rs_format_mxnet.write(&w, &err);
                fuzz_said(ok || err.code == RESECT_UNSUPPORTED, &err);
                rs_output_abandon(w.out);
        }
        (void)rs_format_mxnet.sniff(data, size, "fuzz");
        rs_checkpoint_free(c);
        return 0;
}
