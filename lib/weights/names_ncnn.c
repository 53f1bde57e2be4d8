/* SPDX-License-Identifier: 0BSD */
/* ncnn's layers as lib/weights/ncnn_graph.c calls them: torchvision's places, all
 * BatchNormalizations folded away. */
#include "weights/weights.h"

const rs_scheme rs_scheme_ncnn = {
        .name = "ncnn",
        .help = "torchvision's names without BatchNormalization: conv1.bias, layer1.0.conv1.bias",
        .modules = {[RS_STEM_CONV] = "conv1",
                [RS_CONV] = "layer{s}.{b}.conv{c}",
                [RS_DOWN_CONV] = "layer{s}.{b}.downsample.0",
                [RS_HEAD] = "fc"},
        .slots = {[RS_CONV_WEIGHT] = "{m}.weight",
                [RS_CONV_BIAS] = "{m}.bias",
                [RS_HEAD_WEIGHT] = "{m}.weight",
                [RS_HEAD_BIAS] = "{m}.bias"},
        .folded = true,
        .biases = RS_BIAS_ALL,
        .biases_basic = RS_BIAS_ALL,
        .epsilon = 1e-5,
        .stride = RS_STRIDE_CONV2,
};
