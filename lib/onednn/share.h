/* SPDX-License-Identifier: 0BSD */
/* How work is cut into parts. */
#ifndef RS_ONEDNN_SHARE_H
#define RS_ONEDNN_SHARE_H

#include <stddef.h>

/* Where part number i of [0, n) begins when there are `of`; part i ends where i + 1 begins. */
static inline size_t
rs_part(size_t n, size_t i, size_t of)
{
        return n * i / of;
}

/* a / b, rounded up. */
static inline size_t
rs_up(size_t a, size_t b)
{
        return (a + b - 1) / b;
}

#endif
