/* SPDX-License-Identifier: 0BSD */
/* libFuzzer over Keras's .keras; what reads the HDF5 file in it is fuzz_weights_h5's, and here
 * gives one tensor, made of the file's first bytes. */
#include <stdlib.h>
#include "fuzz_weights.h"

extern const rs_format rs_format_keras_zip;

static bool
read_h5(rs_checkpoint *c, const rs_input *in, resect_error *err)
{
        const int64_t n = in->size < 16 ? (int64_t)in->size : 16;
        return rs_checkpoint_add(c, "layers/batch_normalization/vars/3", RESECT_UINT8, 1, &n,
                (rs_span){in->data, (size_t)n}, err);
}

extern const rs_format rs_format_h5;
const rs_format rs_format_h5 = {.name = "h5", .read = read_h5};

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        const rs_input in = {.data = data, .size = size};
        resect_error err = {0};
        rs_checkpoint *c = fuzz_checkpoint("fuzz");
        bool ok = rs_format_keras_zip.read(c, &in, &err);
        fuzz_said(ok, &err);
        if (ok && !fuzz_use(c))
                abort();
        (void)rs_format_keras_zip.sniff(data, size, "fuzz");
        rs_checkpoint_free(c);
        return 0;
}
