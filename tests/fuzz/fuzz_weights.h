/* SPDX-License-Identifier: 0BSD */
/* What the harnesses of checkpoint formats share. Each links the parts it fuzzes and no list of formats. */
#ifndef FUZZ_WEIGHTS_H
#define FUZZ_WEIGHTS_H

#include "weights/weights.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

const rs_format *
rs_format_list(size_t i)
{
        (void)i;
        return NULL;
}

static inline rs_checkpoint *
fuzz_checkpoint(const char *path)
{
        rs_checkpoint *c = rs_alloc(1, sizeof *c, NULL);
        if (!c)
                abort();
        c->path = path;
        c->max_size = 1 << 20;
        return c;
}

/* A failure has a code and one line of words. */
static inline void
fuzz_said(bool ok, const resect_error *err)
{
        if (!ok && (err->code == RESECT_OK || !err->msg[0] || strchr(err->msg, '\n')))
                abort();
}

/* Takes every byte of every tensor; false when one is not to be had. */
static inline bool
fuzz_use(const rs_checkpoint *c)
{
        bool all = true;
        for (size_t i = 0; i < c->n_entries; i++) {
                rs_arena scratch = {0};
                rs_span s;
                resect_error err = {0};
                unsigned sum = 0;
                if (rs_entry_bytes(&c->entries[i], &scratch, &s, &err)) {
                        for (size_t k = 0; k < s.size; k++)
                                sum += s.data[k];
                        if (s.size != c->entries[i].bytes)
                                abort();
                } else {
                        fuzz_said(false, &err);
                        all = false;
                }
                volatile unsigned sink = sum;
                (void)sink;
                rs_arena_free(&scratch);
        }
        return all;
}

#endif
