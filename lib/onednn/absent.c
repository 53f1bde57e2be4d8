/* SPDX-License-Identifier: 0BSD */
/* A build without oneDNN. */
#include "onednn/onednn.h"

const char *
rs_fast_name(void)
{
        return "";
}

bool
rs_fast_bf16(void)
{
        return false;
}

void
rs_fast_on_timing(void (*tell)(void *ctx, size_t timed), void *ctx)
{
        (void)tell;
        (void)ctx;
}

bool
rs_fast_lower(resect_plan *p, const char *choices, resect_error *err)
{
        (void)p;
        (void)choices;
        return rs_fail(err, RESECT_UNSUPPORTED,
                "this build has the reference kernels only (--kernels auto or reference)");
}
