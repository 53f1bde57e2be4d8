/* SPDX-License-Identifier: 0BSD */
/* libFuzzer over what libhdf5's child says: half of the input is the file, the rest the answer. */
#include <stdlib.h>
#include <string.h>
#include "fuzz_weights.h"
#include "weights/h5.h"

static bool
hear(void *ctx, void *bytes, size_t n)
{
        rs_span *rest = ctx;
        if (n > rest->size)
                return false;
        memcpy(bytes, rest->data, n);
        *rest = (rs_span){rest->data + n, rest->size - n};
        return true;
}

bool
rs_confined_say(int fd, const void *bytes, size_t n)
{
        (void)fd, (void)bytes, (void)n;
        return false;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        rs_span rest = {data, size};
        rs_h5_answer a = {.hear = hear, .ctx = &rest};
        rs_checkpoint *c = fuzz_checkpoint("fuzz.h5");
        resect_error err = {0};
        bool ok = rs_h5_take(&a, c, (rs_span){data, size / 2}, &err);
        if ((ok && !a.ended) || (!ok && a.ended != (err.code != RESECT_OK)))
                abort();
        if (ok)
                fuzz_use(c);
        rs_checkpoint_free(c);
        uint64_t places[4];
        rest = (rs_span){data, size};
        a.ended = false;
        err = (resect_error){0};
        ok = rs_h5_take_places(&a, "fuzz.h5", 4, places, sizeof *places, &err);
        if (!ok && a.ended)
                fuzz_said(false, &err);
        return 0;
}
