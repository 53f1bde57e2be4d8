/* SPDX-License-Identifier: 0BSD */
/*
 * One fit of logistic regression: the mean loss of some rows plus a penalty, and its minimum. A vector
 * of it is [m, r] weights and [m] biases.
 */
#ifndef RS_STUDY_SOFTMAX_H
#define RS_STUDY_SOFTMAX_H

#include <stdbool.h>
#include <stddef.h>

/* What is fitted: rows of z, of classes numbered without gaps. */
typedef struct rs_softmax {
        const double *z;    /* [n, r] */
        const size_t *rows; /* [n_rows] */
        const int *y;       /* [n], of all */
        size_t n_rows, r;
        size_t classes, m;     /* present; columns of weights: classes, or 1 for two */
        double shrink;         /* times half the squares of the columns */
        const double *inverse; /* [r, r] Cholesky factor of the preconditioner */
        double curvature;      /* of the biases */
} rs_softmax;

/* Numbers in a vector. */
size_t rs_softmax_width(const rs_softmax *p);
/* Numbers that a descent, or a row's scores, needs as scratch. */
size_t rs_softmax_scratch(const rs_softmax *p);
/* The scores of a row z [r]; score is [m]. */
void rs_softmax_scores(const rs_softmax *p, const double *v, const double *z, double *score);
/* The loss of a row's scores [m], which become the gradient by them; y is its class. */
double rs_softmax_loss(size_t classes, size_t m, double *score, int y);
/* Moves v to the minimum; true when the gradient came below the tolerance, or the objective cannot fall
   any more in double. */
bool rs_softmax_minimise(const rs_softmax *p, double *v, double tolerance, double *scratch);

#endif
