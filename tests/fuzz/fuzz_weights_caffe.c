/* SPDX-License-Identifier: 0BSD */
/* libFuzzer over Caffe's protobuf: what is accepted gives all its bytes, and what can be written is
 * read again. */
#include <stdlib.h>
#include <string.h>
#include "fuzz_weights.h"

extern const rs_format rs_format_caffe;

int
rs_net_depth(
        const rs_net *net) /* of scheme.c, which needs all schemes; no network is written here */
{
        (void)net;
        abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        const rs_input in = {.data = data, .size = size};
        rs_checkpoint *c = fuzz_checkpoint("fuzz.caffemodel");
        resect_error err = {0};
        bool ok = rs_format_caffe.read(c, &in, &err);
        fuzz_said(ok, &err);
        if (ok && !fuzz_use(c))
                abort(); /* nothing is left to find out later */
        if (ok) {
                rs_writing w = {
                        .path = "/dev/null", .entries = c->entries, .n_entries = c->n_entries};
                w.out = rs_output_open(w.path, &err);
                ok = w.out && rs_format_caffe.write(&w, &err);
                fuzz_said(ok || err.code == RESECT_UNSUPPORTED, &err);
                rs_output_abandon(w.out);
        }
        (void)rs_format_caffe.sniff(data, size, "fuzz");
        rs_checkpoint_free(c);
        return 0;
}
