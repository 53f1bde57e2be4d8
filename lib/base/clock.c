/* SPDX-License-Identifier: 0BSD */
#include "base/clock.h"

#include <time.h>

double
rs_now(void)
{
        struct timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);
        return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}
