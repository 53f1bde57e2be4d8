/* SPDX-License-Identifier: 0BSD */
/*
 * The features of a split at the frozen frontier, computed once: a row for each sample and view
 * (the picture as it is, and mirrored when training flips). In memory up to a budget, beyond it in
 * a nameless temporary file that is mapped.
 */
#ifndef RS_TRAIN_CACHE_H
#define RS_TRAIN_CACHE_H

#include "train/net.h"

typedef struct rs_cache {
        size_t n, views, n_reads;
        size_t row;     /* floats of a row: all values that are read, one after the other */
        size_t *offset; /* [n_reads] where each stands in it */
        size_t bytes;
        float *memory; /* or NULL */
        void *mapped;  /* or NULL */
        int fd;
} rs_cache;

/* samples may be NULL: the split's own order. Fails with IO when the temporary file does not fit,
 * STOPPED when progress says so. */
rs_cache *rs_cache_make(rs_net *net, const resect_data *d, resect_split split,
        const size_t *samples, size_t n, bool mirrored, const resect_train_options *o,
        const resect_train_events *events, resect_error *err) RESECT_MUST;
void rs_cache_free(rs_cache *c);
/* Value i of a sample (its place in samples). */
const float *rs_cache_row(const rs_cache *c, size_t sample, size_t view, size_t i);

/* Left and right exchanged, in place. */
void rs_mirror(resect_tensor *x, bool nhwc);

#endif
