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
        bool (*progress)(void *ctx, size_t done, size_t total); /* may be NULL; false stops with STOPPED; total is 0 while kernels
                                                                   are timed, as in resect_plan_options */
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

/*
 * Shift: how far the statistics of other pictures are from those that the model remembers, in every layer, the model being run as it is
 * (stored statistics, inference). A layer's distance from the reference is resect_gauss_distance of each channel of what its BatchNormalization reads, the
 * layer's epsilon added to both variances, as the layer itself sees them.
 */
typedef struct resect_shift_options {
        const resect_input *input;        /* NULL: what resect_input_of says */
        size_t samples;                   /* most pictures of either data, from all over it; 0: all */
        size_t batch;                     /* 0: 8; a model whose batch is fixed is run at its own */
        uint64_t seed;                    /* of folds and resamples */
        int threads;                      /* 0: all processors */
        resect_kernels kernels;
        resect_precision precision;
        bool exact;                       /* as in resect_plan_options */
        bool (*progress)(void *ctx, size_t done, size_t total); /* may be NULL; false stops with STOPPED; total is 0 while kernels
                                                                   are timed, as in resect_plan_options */
        void *ctx;
} resect_shift_options;

/* One place where statistics are compared. Borrowed from the shift; arrays are [channels]. */
typedef struct resect_shift_layer {
        const char *name;  /* by structure: "stem.bn1", "layer3.5.bn2"; else the node's own */
        const char *stage; /* "stem", "layer3", ... "" where the structure does not tell */
        size_t channels;
        double mean, sum, median; /* of the channels' distances */
        double chance;     /* what the mean would be without any shift, from so few pictures: a quarter of the distance between the two halves of them */
        double source;     /* mean distance of the source's pictures from the stored statistics: what is normal; NAN when either is lacking */
        const double *distance;
        const double *reference_mean, *reference_var; /* stored, or the source's */
        const double *data_mean, *data_var;
} resect_shift_layer;

typedef struct resect_shift_facts {
        bool stored;       /* the reference is what the model remembers; else it was folded away, and the source's pictures are the reference */
        size_t pictures, source_pictures;
        size_t layers;
        size_t features;   /* pooled features that the domain classifier reads; 0: none was made (no source, or no pooled features) */
        size_t shared;     /* pictures that are in both data (the same features), left out of the classifier */
        double auc, auc_low, auc_high; /* of telling DATA from source, held out, with its 95 % interval; 0.5 is no difference; NAN without */
} resect_shift_facts;

typedef struct resect_shift resect_shift;

/*
 * Measures. source may be NULL when the model has BatchNormalization. The domain classifier is a logistic regression on the pooled features of source and
 * data, each picture scored by a fit that did not see it (resect_logistic_held_out); the interval is a bootstrap over the pictures. Fails with GRAPH for a
 * model without BatchNormalization and no source, ARG for too few pictures. Free with resect_shift_free.
 */
RESECT_API resect_shift *resect_shift_measure(resect_model *m, const resect_data *d, resect_split split, const resect_data *source,
        resect_split source_split, const resect_shift_options *options, resect_error *err) RESECT_MUST;
RESECT_API void resect_shift_free(resect_shift *s);
RESECT_API resect_shift_facts resect_shift_about(const resect_shift *s);
RESECT_API bool resect_shift_layer_at(const resect_shift *s, size_t i, resect_shift_layer *out); /* false past the end */

/* How a class of the data is among the labels of a model. */
typedef enum resect_likeness {
        RESECT_UNLIKE,  /* it is not */
        RESECT_SAME,    /* byte for byte */
        RESECT_FOLDED,  /* but for case, underscores, hyphens, a WordNet number in front, or the plural */
        RESECT_SYNONYM  /* it is one of the names that the label lists, as ImageNet's "ant, emmet, pismire" */
} resect_likeness;
typedef struct resect_label_match {
        resect_likeness how;
        size_t label; /* its number; the first of the best */
} resect_label_match;
/* One match a class. Names are compared as bytes beyond ASCII; English plurals in -s, -es, -ies alone are known. */
RESECT_API bool resect_labels_match(const char *const *labels /* [n_labels] */, size_t n_labels, const char *const *classes /* [n] */,
        size_t n, resect_label_match *out /* [n] */, resect_error *err) RESECT_MUST;

#ifdef __cplusplus
}
#endif
#endif
