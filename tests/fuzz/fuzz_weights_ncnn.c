/* SPDX-License-Identifier: 0BSD */
/* libFuzzer over ncnn's two files: the text ends at the first NUL, the rest are the weights. */
#include <stdlib.h>
#include <string.h>
#include "fuzz_weights.h"
#include "weights/ncnn.h"

bool
rs_ncnn_write(const rs_writing *w, resect_error *err) /* needs a graph, and is not fuzzed */
{
        (void)w;
        return rs_fail(err, RESECT_UNSUPPORTED, "not here");
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        const uint8_t *end = size ? memchr(data, 0, size) : NULL;
        size_t n = end ? (size_t)(end - data) : size;
        rs_checkpoint *c = fuzz_checkpoint("fuzz.param");
        resect_error err = {0};
        bool ok = rs_ncnn_read(c, "fuzz.param", (rs_span){data, n},
                (rs_span){data + n + (end != NULL), size - n - (end != NULL)}, &err);
        fuzz_said(ok, &err);
        if (ok && !fuzz_use(c))
                abort();
        rs_checkpoint_free(c);
        return 0;
}
