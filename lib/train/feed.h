/* SPDX-License-Identifier: 0BSD */
/*
 * Batches for the trained part: pictures from the loader (through the trunk, when there is one) or
 * rows of a cache, in the order of the epoch, mixed when mixup is on. What comes out depends on
 * (seed, epoch, place) alone, so that an epoch can be entered anywhere.
 */
#ifndef RS_TRAIN_FEED_H
#define RS_TRAIN_FEED_H

#include "train/cache.h"

typedef struct rs_feed {
        /* set by the owner */
        rs_net *net;
        const resect_data *data;
        resect_split split;
        const size_t *samples; /* [n] or NULL: all */
        size_t n;
        const int64_t *map;    /* data class -> output */
        const rs_cache *cache; /* or NULL */
        bool shuffle;
        const resect_augment *augment; /* or NULL */
        double mixup;
        uint64_t seed;
        /* inside */
        rs_arena arena;
        size_t *order;  /* [n] places in samples */
        size_t *listed; /* [n] samples themselves, for the loader */
        size_t at, epoch;
        resect_loader *loader;
        float **rows, **mixed; /* [n_reads] and the picture */
        int64_t *labels, *other;
} rs_feed;

typedef struct rs_fed {
        size_t n;             /* 0: the epoch is over */
        resect_tensor *reads; /* [n_reads] n rows each */
        const int64_t *a, *b; /* [n] outputs; b NULL without mixup */
        double mix;
} rs_fed;

bool rs_feed_make(rs_feed *f, resect_error *err) RESECT_MUST; /* after the owner's part is set */
bool rs_feed_start(rs_feed *f, size_t epoch, size_t first /* batches to leave out */,
        resect_error *err) RESECT_MUST;
bool rs_feed_next(rs_feed *f, rs_fed *out, resect_error *err) RESECT_MUST;
/* A sample of the batch that rs_feed_next gave last, for messages. */
const char *rs_feed_name(const rs_feed *f, size_t i_of_last, size_t n_of_last);
void rs_feed_free(rs_feed *f);

/* Beta(alpha, alpha), by two gamma variates. */
double rs_beta(double alpha, uint64_t seed, uint64_t stream);

#endif
