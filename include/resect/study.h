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

/*
 * Runs that are repeated with several seeds and judged on the same pictures: a table of scores x [seeds, pictures], 0 or 1 for a miss or a hit.
 * Both are samples, of the seeds one might have drawn and of the pictures one might have been asked about, and
 * x[s][i] = mean + a_s + b_i + r_si: luck of the seed, ease of the picture, the rest. An interval for the mean is the 2.5 and 97.5
 * % quantiles of draws, each the sum of
 *   - the mean of resampled pictures (a bootstrap of the pictures' means over the seeds, which holds b and r): of as many as there
 *     are out of these and two more, one a hit and one a miss (for differences: one +1 and one -1, at half the weight each, and
 *     one 0), so that a perfect score has no interval of no width (Agresti and Coull, "Approximate is better than exact", The American
 *     Statistician 52, 1998; Agresti and Min, "Simple improved confidence intervals for comparing matched proportions", Statistics in
 *     Medicine 24, 2005);
 *   - a seed's luck, sqrt(max(0, MS_a (S - 1) / chi2 - MS_r) / (S N)) z, MS being the mean squares of the two-way table, chi2 a draw
 *     with S - 1 degrees of freedom and z a normal one: the generalised pivotal quantity of a variance component (Weerahandi, "Generalized confidence
 *     intervals", JASA 88, 1993). To resample three or five seeds instead would understate their variance, by (S - 1) / S and by all that is
 *     unknown about it.
 * With one seed the interval knows pictures alone.
 */
typedef struct resect_crossed_options {
        size_t rounds;  /* draws, and permutations; 0: 9999 */
        double level;   /* of the intervals; 0: 0.95 */
        size_t family;  /* comparisons that are made at once (detectable is of a test at (1 - level) / family); 0: 1 */
        bool unbounded; /* scores are any numbers: no pictures are added, nothing is clamped to 0..1 or -1..1 */
        uint64_t seed;
} resect_crossed_options;

typedef struct resect_crossed {
        double value;     /* the mean, or the difference of two */
        double low, high; /* its interval; [value, value] without pictures */
        double error;     /* its standard error */
        double spread;    /* standard deviation of the seeds' own means; 0 for one seed */
        double p;         /* of a difference: how often chance alone shows as much, in 0..1; 1 for a mean */
        double detectable; /* of a difference: the least true one that these seeds and pictures would find with 80 % power */
} resect_crossed;

/* The mean of one table. options NULL: defaults. Fails with ARG for an empty table or options that make no sense, FORMAT for scores that
   are not finite (or, unless unbounded, not in 0..1). */
RESECT_API bool resect_crossed_mean(const double *x /* [seeds, pictures] */, size_t seeds, size_t pictures,
        const resect_crossed_options *options, resect_crossed *out, resect_error *err) RESECT_MUST;

/*
 * The mean of a less that of b, of the same seeds and pictures: the interval is that of a mean over the differences. p is by permutation: under the
 * hypothesis that the two do not differ, a picture's mean difference is as likely to have the other sign, so all of them get signs by
 * chance (Fisher's randomisation test for pairs; Edgington and Onghena, "Randomization tests", 2007) and the seeds' luck is added as above; p is the share, the observed one included
 * (Phipson and Smyth 2010), of rounds in which that lies as far from 0.
 */
RESECT_API bool resect_crossed_difference(const double *a /* [seeds, pictures] */, const double *b /* [seeds, pictures] */, size_t seeds,
        size_t pictures, const resect_crossed_options *options, resect_crossed *out, resect_error *err) RESECT_MUST;

/* p-values of a family of n tests, adjusted so that all may be read at one level (Holm, "A simple sequentially rejective multiple test
   procedure", Scandinavian Journal of Statistics 6, 1979). adjusted may be p. */
RESECT_API bool resect_holm(const double *p /* [n] */, size_t n, double *adjusted /* [n] */, resect_error *err) RESECT_MUST;

/* Rank correlations in -1..1: Spearman's rho (ties share their mean rank) and Kendall's tau-b ("The treatment of ties in ranking
   problems", Biometrika 33, 1945). Either may be NULL; both are NAN when one of the lists is constant. Fails with ARG for n < 2 and
   FORMAT for numbers that are not finite. */
RESECT_API bool resect_rank_correlation(const double *x /* [n] */, const double *y /* [n] */, size_t n, double *rho, double *tau,
        resect_error *err) RESECT_MUST;

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
        size_t batch;              /* at most, 0: 32; less where the last one is then nearly full; a model whose batch is fixed is run at its own */
        int threads;               /* 0: all processors */
        resect_kernels kernels;
        resect_precision precision;
        bool exact; /* as in resect_plan_options */
        bool (*progress)(void *ctx, size_t done, size_t total); /* may be NULL; false stops with STOPPED; total is 0 while kernels
                                                                   are timed, as in resect_plan_options */
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
