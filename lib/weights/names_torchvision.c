/* SPDX-License-Identifier: 0BSD */
/* torchvision's state_dict, and what descends from it: the canonical names are these. CIFAR's
 * ResNets call the head linear. */
#include "weights/names.h"

const rs_scheme rs_scheme_torchvision = {
        .name = "torchvision",
        .help = "torchvision's state_dict: layer1.0.conv1.weight, bn1.running_mean, fc.bias",
        .modules = {[RS_STEM_CONV] = "conv1",
                [RS_STEM_BN] = "bn1",
                [RS_CONV] = "layer{s}.{b}.conv{c}",
                [RS_BN] = "layer{s}.{b}.bn{c}",
                [RS_DOWN_CONV] = "layer{s}.{b}.downsample.0|layer{s}.{b}.shortcut.0",
                [RS_DOWN_BN] = "layer{s}.{b}.downsample.1|layer{s}.{b}.shortcut.1",
                [RS_HEAD] = "fc|linear"},
        .slots = {RS_SLOTS_PYTORCH, RS_SLOT_COUNTER},
        .epsilon = 1e-5,
        .momentum = 0.9,
        .stride = RS_STRIDE_CONV2,
        .input = RS_INPUT_IMAGENET,
};
