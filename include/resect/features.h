/* SPDX-License-Identifier: 0BSD */
/*
 * Judging features: how well rows of numbers tell classes apart. Pure functions of arrays; nothing here knows a model. x is
 * [n, d], a sample a row; y its classes, 0..classes-1. All fail with FORMAT when a feature is not a finite number (the message says which)
 * and with ARG when a label lies outside or fewer than two classes have samples. Results are the same for any number of threads.
 */
#ifndef RESECT_FEATURES_H
#define RESECT_FEATURES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "resect/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Multinomial logistic regression with an L2 penalty: the weights W [classes, d] and biases that make
 *
 *     C * sum over samples of -ln softmax(W x + b)[y]  +  1/2 sum of the squares of W
 *
 * least (b is not penalised), as scikit-learn's LogisticRegression(C, multi_class="multinomial") does, on features standardised by the
 * mean and the standard deviation (of the population) of the rows given; a constant column counts for nothing. C is chosen by the log loss of
 * cross-validation, with the classes spread evenly over the folds. Where d exceeds n the problem is solved in the span of the samples, in which the solution lies.
 */
typedef struct resect_logistic_options {
        const double *penalties; /* [n_penalties] values of C to choose from, ascending; NULL: 1e-5, 1e-4 ... 1e2 */
        size_t n_penalties;
        size_t folds;            /* 0: 5; fewer where there are fewer samples */
        uint64_t seed;           /* of the folds */
        double tolerance;        /* of the solution: the largest component of the gradient of the objective / (C n); 0: 1e-6 */
        int threads;             /* 0: all processors */
} resect_logistic_options;

typedef struct resect_logistic resect_logistic;

/* What the fit came to. Borrowed. */
typedef struct resect_logistic_facts {
        size_t n, d, classes;
        double penalty;          /* the C that was chosen */
        bool at_edge;            /* it is the first or last of several */
        size_t folds;            /* 0: no sample could be held out (no class has two), and C is the middle one */
        double cv_loss, cv_accuracy; /* of the samples held out, at that C */
        bool converged;          /* to the tolerance within 2000 iterations */
        const double *weights;   /* [classes, d] for x as it was given, not standardised */
        const double *bias;      /* [classes] */
        const double *standard_weights, *standard_bias; /* the same for standardised features */
} resect_logistic_facts;

/* Free with resect_logistic_free. A class without samples is never predicted. */
RESECT_API resect_logistic *resect_logistic_fit(const float *x /* [n, d] */, const int64_t *y /* [n] */, size_t n, size_t d,
        size_t classes, const resect_logistic_options *options, resect_error *err) RESECT_MUST;
RESECT_API void resect_logistic_free(resect_logistic *l);
RESECT_API resect_logistic_facts resect_logistic_about(const resect_logistic *l);
/* W x + b of m other rows: float32 scores for resect_outcomes. */
RESECT_API bool resect_logistic_scores(const resect_logistic *l, const float *x /* [m, d] */, size_t m,
        float *scores /* [m, classes] */, resect_error *err) RESECT_MUST;
/* The scores of the rows it was fitted to, each from a fit of the other folds at the C that was chosen: honest ones, for an AUC or an accuracy without a
   second split. x and y are those of the fit. Fails with ARG when no sample could be held out. A sample that is the only one of its class is not held out. */
RESECT_API bool resect_logistic_held_out(const resect_logistic *l, const float *x /* [n, d] */, const int64_t *y /* [n] */,
        float *scores /* [n, classes] */, resect_error *err) RESECT_MUST;

/*
 * The k nearest neighbours' vote: Euclidean distance between features standardised as above. Of neighbours at the same distance the earlier row is
 * nearer; of classes with as many votes the one with the nearest neighbour wins.
 */
typedef struct resect_knn_options {
        const size_t *ks; /* [n_ks] to choose from, by leaving one out; NULL: 1, 3, 5, 9, 15, 25. More than n - 1 is n - 1 */
        size_t n_ks;
        int threads;
} resect_knn_options;

/* Predicts m other rows. *k (may be NULL) is the number of neighbours chosen: the first of those with the most hits. */
RESECT_API bool resect_knn(const float *x /* [n, d] */, const int64_t *y /* [n] */, size_t n, size_t d, size_t classes,
        const float *other /* [m, d] */, size_t m, const resect_knn_options *options, int64_t *predicted /* [m] */, size_t *k,
        resect_error *err) RESECT_MUST;

/*
 * LogME: the logarithm of the evidence that linear models of the features (not standardised) have for the labels, a sample and class, at its maximum over the prior's and the
 * noise's precision (You, Liu, Wang, Long, "LogME: practical assessment of pre-trained models for transfer learning", ICML 2021, algorithm 1). Higher is
 * better; only differences mean something. The mean is over the classes that have samples.
 */
RESECT_API bool resect_logme(const float *x /* [n, d] */, const int64_t *y /* [n] */, size_t n, size_t d, size_t classes,
        int threads, double *logme, resect_error *err) RESECT_MUST;

/*
 * Area under the ROC curve: the probability that a positive scores above a negative, ties counting half (Mann and Whitney 1947, by mid-ranks). Fails with
 * ARG when either kind is missing and with FORMAT when a score is not a number.
 */
RESECT_API bool resect_auc(const double *score /* [n] */, const bool *positive /* [n] */, size_t n, double *auc,
        resect_error *err) RESECT_MUST;

#ifdef __cplusplus
}
#endif
#endif
