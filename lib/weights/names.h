/* SPDX-License-Identifier: 0BSD */
/* What several naming schemes have in common. */
#ifndef RS_WEIGHTS_NAMES_H
#define RS_WEIGHTS_NAMES_H

#include "weights/weights.h"

/* What PyTorch's modules call their tensors; and the counter, which not all who follow it keep. */
#define RS_SLOTS_PYTORCH                                                                                                       \
        [RS_CONV_WEIGHT] = "{m}.weight", [RS_CONV_BIAS] = "{m}.bias", [RS_BN_GAMMA] = "{m}.weight", [RS_BN_BETA] = "{m}.bias", \
        [RS_BN_MEAN] = "{m}.running_mean", [RS_BN_VAR] = "{m}.running_var", [RS_HEAD_WEIGHT] = "{m}.weight",                   \
        [RS_HEAD_BIAS] = "{m}.bias"
#define RS_SLOT_COUNTER [RS_BN_COUNT] = "{m}.num_batches_tracked"

/* What torchvision's networks, and most since, were trained with. */
#define RS_INPUT_IMAGENET "size=224x224 resize=256 mean=0.485,0.456,0.406 std=0.229,0.224,0.225"

#endif
