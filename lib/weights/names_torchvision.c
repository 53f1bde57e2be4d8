/* SPDX-License-Identifier: 0BSD */
/* torchvision's state_dict, and what descends from it: the canonical names are these. CIFAR's
 * ResNets call the head linear. */
#include "weights/weights.h"

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
        .slots = {[RS_CONV_WEIGHT] = "{m}.weight",
                [RS_CONV_BIAS] = "{m}.bias",
                [RS_BN_GAMMA] = "{m}.weight",
                [RS_BN_BETA] = "{m}.bias",
                [RS_BN_MEAN] = "{m}.running_mean",
                [RS_BN_VAR] = "{m}.running_var",
                [RS_BN_COUNT] = "{m}.num_batches_tracked",
                [RS_HEAD_WEIGHT] = "{m}.weight",
                [RS_HEAD_BIAS] = "{m}.bias"},
        .epsilon = 1e-5,
        .stride = RS_STRIDE_CONV2,
        .input = "size=224x224 resize=256 mean=0.485,0.456,0.406 std=0.229,0.224,0.225",
};
