/* SPDX-License-Identifier: 0BSD */
/* libFuzzer over TensorFlow's checkpoints of version 1. The checksums are left out (the function
 * below stands for lib/base/crc32c.c), so that the mutator gets past them. */
#include <stdlib.h>
#include "base/crc32c.h"
#include "fuzz_weights.h"

extern const rs_format rs_format_tf_v1;

uint32_t
rs_crc32c(uint32_t crc, const void *bytes, size_t n)
{
        (void)crc, (void)bytes, (void)n;
        return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        const rs_input in = {.data = data, .size = size};
        resect_error err = {0};
        rs_checkpoint *c = fuzz_checkpoint("fuzz");
        bool ok = rs_format_tf_v1.read(c, &in, &err);
        fuzz_said(ok, &err);
        /* all that is needed was counted when it was read */
        if (ok && !fuzz_use(c))
                abort();
        (void)rs_format_tf_v1.sniff(data, size, "fuzz");
        rs_checkpoint_free(c);
        return 0;
}
