/* SPDX-License-Identifier: 0BSD */
/*
 * ncnn's layers as lib/weights/ncnn_graph.c calls them: by the places' canonical names. Where all
 * BatchNormalizations are folded away they are the first ones; where they are not, a v1 network has
 * torchvision's and a v2 network the second ones.
 */
#include "weights/names.h"

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

const rs_scheme rs_scheme_ncnn_v2 = {
        .name = "ncnn-v2",
        .help = "resect's own names of v2 networks: layer1.0.bn1.weight, norm.weight",
        .modules = {[RS_STEM_CONV] = "conv1",
                [RS_STEM_BN] = "bn1",
                [RS_DATA_BN] = "bn0",
                [RS_CONV] = "layer{s}.{b}.conv{c}",
                [RS_BN] = "layer{s}.{b}.bn{c}",
                [RS_DOWN_CONV] = "layer{s}.{b}.downsample.0",
                [RS_NORM] = "norm",
                [RS_HEAD] = "fc"},
        .slots = {RS_SLOTS_PYTORCH},
        .preactivation = true,
        .epsilon = 1e-5,
        .stride = RS_STRIDE_CONV2,
};
