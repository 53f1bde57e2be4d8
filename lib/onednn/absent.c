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

bool
rs_fast_lower(resect_plan *p, const resect_plan_options *o, resect_error *err)
{
        (void)p;
        (void)o;
        return rs_fail(err, RESECT_UNSUPPORTED,
                "this build has the reference kernels only (--kernels auto or reference)");
}
