/* SPDX-License-Identifier: 0BSD */
/*
 * Softmax cross-entropy over soft targets. The target of a row is label a with weight mix and label
 * b with 1 - mix (mixup), each smoothed: (1 - s) on the label and s / classes on every class
 * (Szegedy et al., "Rethinking the Inception architecture", 2016). With class weights w the loss is
 *
 *         sum_i sum_c w_c t_ic (-ln p_ic)  /  sum_i (mix_i w_a + (1 - mix_i) w_b),
 *
 * which for mix = 1 is PyTorch's CrossEntropyLoss(weight, label_smoothing) on class indices.
 */
#ifndef RS_TRAIN_LOSS_H
#define RS_TRAIN_LOSS_H

#include <stddef.h>
#include <stdint.h>

typedef struct rs_targets {
        const int64_t *a, *b; /* [n]; b may be NULL when mix is 1 */
        double mix;
        double smoothing;
        const double *weights; /* [classes] or NULL: all 1 */
} rs_targets;

/* The loss, and its gradient by the logits. *hits (may be NULL) counts rows whose largest logit is
 * label a. */
double rs_cross_entropy(const float *logits /* [n, classes] */, const rs_targets *t, size_t n,
        size_t classes, float *dlogits /* [n, classes] */, size_t *hits);

#endif
