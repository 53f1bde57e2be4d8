/* SPDX-License-Identifier: 0BSD */
/*
 * Judging a model: its outputs over a data set, what they are worth, and how far that figure can be trusted. The metrics are
 * pure functions of arrays; nothing in them knows a model.
 */
#ifndef RESECT_STUDY_H
#define RESECT_STUDY_H

#include "resect/data.h"
#include "resect/plan.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What became of one sample. */
typedef struct resect_outcome {
        int64_t label, predicted; /* classes; the first of equal largest outputs is the predicted one */
        size_t rank;              /* of the label among the outputs: 0 is a hit, below 5 a top-5 hit */
        double loss;              /* -ln p(label) */
        double confidence;        /* p(predicted) */
} resect_outcome;

/* One outcome a row, p being the softmax of a row of logits. Fails with FORMAT when an output is not finite, with ARG when a
   label is outside 0..classes-1. */
RESECT_API bool resect_outcomes(const float *logits /* [n, classes] */, const int64_t *labels /* [n] */, size_t n,
        size_t classes, resect_outcome *out /* [n] */, resect_error *err) RESECT_MUST;

/*
 * Figures over a set of samples. balanced is the mean recall of the classes that have samples (Brodersen et al., "The
 * balanced accuracy and its posterior distribution", ICPR 2010); macro_f1 the mean F1 of the classes that have samples or predictions,
 * F1 being 0 where precision or recall is; ece the expected calibration error over 15 bins of equal width (Guo et al., "On calibration
 * of modern neural networks", ICML 2017). All but loss (nats) lie in 0..1.
 */
typedef struct resect_scores {
        size_t n;
        double loss, top1, top5, balanced, macro_f1, ece;
} resect_scores;

typedef struct resect_class_scores {
        size_t support, predicted, hits; /* samples of the class, samples said to be of it, and both */
        double precision, recall, f1;    /* 0 where they are undefined */
} resect_class_scores;

/* per_class and confusion (row: label, column: predicted) may be NULL. All figures are 0 for n = 0. */
RESECT_API bool resect_scores_of(const resect_outcome *o /* [n] */, size_t n, size_t classes, resect_scores *out,
        resect_class_scores *per_class /* [classes] */, size_t *confusion /* [classes, classes] */, resect_error *err)
        RESECT_MUST;

/*
 * Percentile bootstrap (Efron and Tibshirani, "An introduction to the bootstrap", 1993, chapter 13): each figure over
 * `rounds` resamples of the n outcomes, of which the (1 - level) / 2 and (1 + level) / 2 quantiles (linear between order
 * statistics, as NumPy's percentile) are low and high. A function of its arguments alone.
 */
RESECT_API bool resect_scores_bootstrap(const resect_outcome *o /* [n] */, size_t n, size_t classes, size_t rounds, double level,
        uint64_t seed, resect_scores *low, resect_scores *high, resect_error *err) RESECT_MUST;

/* The value that class scores are read from: the model's first output with a final Softmax or LogSoftmax taken off. Lives as
   long as the model. */
RESECT_API const char *resect_model_logits(resect_model *m, resect_error *err) RESECT_MUST;

/*
 * Which output each class of the data is: by resect.labels when the model has them, whatever their order, else (or when
 * by_index is set, or the data is an .npz, whose y is the output's number) class i is output i. Fails with ARG when a class is not among the labels, or, by index, when the
 * data has more classes than the model has outputs.
 */
RESECT_API bool resect_class_map(const resect_model *m, const resect_data *d, size_t outputs, bool by_index,
        int64_t *map /* [data's classes] */, resect_error *err) RESECT_MUST;

typedef struct resect_predict_options {
        const resect_input *input; /* NULL: what resect_input_of says */
        size_t batch;              /* 0: about 32, so that the last one is nearly full; a model whose batch is fixed is run at its own */
        int threads;               /* 0: all processors */
        resect_kernels kernels;
        resect_precision precision;
        bool exact; /* as in resect_plan_options */
        bool (*progress)(void *ctx, size_t done, size_t total); /* may be NULL; false stops with STOPPED */
        void *ctx;
} resect_predict_options;

/* The logits of every sample of a split, in its order: float32 [n, classes]; free with resect_tensor_free. Fails with GRAPH when the model
   ends in maps, not in one row a picture. */
RESECT_API bool resect_predict(resect_model *m, const resect_data *d, resect_split split,
        const resect_predict_options *options, resect_tensor *logits, resect_error *err) RESECT_MUST;

#ifdef __cplusplus
}
#endif
#endif
