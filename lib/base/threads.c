/* SPDX-License-Identifier: 0BSD */
#include "config.h" /* _GNU_SOURCE, before the first system header */

#include "base/threads.h"

#include <sched.h>
#ifdef _OPENMP
#include <omp.h>
#endif

int
rs_threads(int wanted)
{
        int n = wanted;
        if (n <= 0) {
                cpu_set_t set;
                n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
#ifdef _OPENMP
                if (omp_get_max_threads() < n) /* OMP_NUM_THREADS */
                        n = omp_get_max_threads();
#else
                n = 1;
#endif
        }
        return n < 1 ? 1 : n > 256 ? 256 : n;
}
