/* SPDX-License-Identifier: 0BSD */
/*
 * BatchNormalization's memory of the pictures a model was trained on: its running means and variances. resect_adapt replaces them by
 * those of other pictures, labels unseen (AdaBN: Li et al., "Revisiting batch normalization for practical domain adaptation", arXiv 1603.04779);
 * resect_shift measures how far other pictures are from them, layer by layer.
 */
#ifndef RESECT_ADAPT_H
#define RESECT_ADAPT_H

#include "resect/data.h"
#include "resect/plan.h"
#include "resect/study.h"

#ifdef __cplusplus
extern "C" {
#endif

/* All zero is a good beginning: exact, over the whole split. */
typedef struct resect_adapt_options {
        const resect_input *input; /* NULL: what resect_input_of says */
        const size_t *samples;     /* [n_samples] these of the split only; NULL: all */
        size_t n_samples;
        double momentum;           /* 0: exact; else, in (0, 1], what a batch's own statistics weigh, as PyTorch counts it */
        size_t batch;              /* 0: 32; a model whose batch is fixed is run at its own */
        bool no_shuffle;           /* momentum: batches in the order of the samples; else in an order drawn from seed */
        uint64_t seed;
        uint64_t memory;           /* exact: bytes of activations to hold in memory, beyond that in a nameless file; 0: 1 GiB */
        const char *temporary;     /* folder of that file; NULL: $TMPDIR, else /tmp */
        int threads;               /* 0: all processors */
        resect_kernels kernels;
        resect_precision precision;
        bool exact;                /* as in resect_plan_options */
        bool (*progress)(void *ctx, size_t done, size_t total); /* may be NULL; false stops with STOPPED */
        void *ctx;
} resect_adapt_options;

typedef struct resect_adapt_result {
        size_t pictures;   /* that were looked at */
        size_t norms;      /* BatchNormalization with new statistics */
        size_t frozen;     /* that are frozen, and were left as they are */
        double moved;      /* mean over channels of the distance (resect_gauss_distance) between old and new statistics */
        uint64_t held;     /* exact: most bytes of activations held at once */
} resect_adapt_result;

/*
 * Re-estimates the means and variances of every BatchNormalization that is not frozen on the pictures of a split.
 *
 * Exact (momentum 0): each layer gets mean and variance (over N, in double) of what it reads, over all pictures and positions, under the
 * already re-estimated layers before it. That is what one batch of all pictures in training mode would compute, and a fixed point: measured
 * again in the adapted model, the statistics are those that are stored. It is one pass over the network, a level of
 * BatchNormalization at a time, all pictures in step; the activations between are held (result->held).
 *
 * Momentum M: one pass over the pictures in training mode, running = (1 - M) running + M batch, variances over N - 1, as
 * PyTorch's train() does without a gradient (Dropout inside the trunk drops there, too). A last batch of a single picture is left out.
 *
 * Nothing but the statistics changes; one that several layers share becomes one for each. Fails with GRAPH when the model has no
 * BatchNormalization (one that was folded is gone: resect-fold --unfold --data, on pictures like those that the model was trained on, brings it back; on the
 * new pictures themselves it would leave nothing to adapt), with ARG when all of them are frozen, with UNSUPPORTED when one is in training mode or computes its statistics.
 * After a failure the model must be freed, not used. Result may be NULL.
 */
RESECT_API bool resect_adapt(resect_model *m, const resect_data *d, resect_split split, const resect_adapt_options *options,
        resect_adapt_result *result, resect_error *err) RESECT_MUST;

/*
 * The distance of two Gaussians: the symmetric Kullback-Leibler divergence KL(a, b) + KL(b, a) =
 * ((va / vb + vb / va - 2) + (ma - mb)^2 (1 / va + 1 / vb)) / 2 (Jeffreys 1946; so measured by Li et al.). A mean that moved by one standard
 * deviation is 1, a variance that doubled 0.25. Variances below 0 or a NaN give NaN.
 */
RESECT_API double resect_gauss_distance(double mean_a, double var_a, double mean_b, double var_b);

#ifdef __cplusplus
}
#endif
#endif
