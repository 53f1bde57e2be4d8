/* SPDX-License-Identifier: 0BSD */
/* A value of every picture at once: in memory while there is room, else in a nameless file. */
#ifndef RS_ADAPT_HELD_H
#define RS_ADAPT_HELD_H

#include "base/mem.h"
#include "resect/tensor.h"

typedef struct rs_held {
        const char *name;
        resect_tensor batch; /* its shape for a full batch; data NULL */
        size_t row;          /* bytes of one picture */
        size_t bytes;
        unsigned char *rows; /* [pictures, row] */
        bool mapped;
} rs_held;

/* In memory when `in_memory`, else in a file of `folder` (NULL: $TMPDIR, else /tmp). Fails with IO when there is no room. */
bool rs_held_make(rs_held *h, const char *name, const resect_tensor *batch, size_t pictures,
        bool in_memory, const char *folder, resect_error *err) RESECT_MUST;
void rs_held_free(rs_held *h);

#endif
