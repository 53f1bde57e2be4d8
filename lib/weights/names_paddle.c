/* SPDX-License-Identifier: 0BSD */
/*
 * Paddle's two: paddle.vision (torchvision's names, another pair of statistics) and PaddleClas,
 * whose blocks are counted through all stages; its vd networks have a deep stem and an average pool
 * before the shortcut's Conv, and only they have either. Paddle's dense weights are [in, out].
 * Strides are v1.5's.
 */
#include "weights/names.h"

#define SLOTS                                                                 \
        {                                                                     \
                [RS_CONV_WEIGHT] = "{m}.weight", [RS_CONV_BIAS] = "{m}.bias", \
                [RS_BN_GAMMA] = "{m}.weight", [RS_BN_BETA] = "{m}.bias",      \
                [RS_BN_MEAN] = "{m}._mean", [RS_BN_VAR] = "{m}._variance",    \
                [RS_HEAD_WEIGHT] = "{m}.weight", [RS_HEAD_BIAS] = "{m}.bias"  \
        }

const rs_scheme rs_scheme_paddle = {
        .name = "paddle",
        .help = "paddle.vision's: layer1.0.conv1.weight, bn1._mean",
        .modules = {[RS_STEM_CONV] = "conv1",
                [RS_STEM_BN] = "bn1",
                [RS_CONV] = "layer{s}.{b}.conv{c}",
                [RS_BN] = "layer{s}.{b}.bn{c}",
                [RS_DOWN_CONV] = "layer{s}.{b}.downsample.0",
                [RS_DOWN_BN] = "layer{s}.{b}.downsample.1",
                [RS_HEAD] = "fc"},
        .slots = SLOTS,
        .head_in_out = true,
        .epsilon = 1e-5,
        .momentum = 0.9,
        .stride = RS_STRIDE_CONV2,
        .input = RS_INPUT_IMAGENET,
};

const rs_scheme rs_scheme_paddleclas = {
        .name = "paddleclas",
        .help = "PaddleClas's ResNet and ResNet_vd: stem.0.conv.weight, blocks.0.conv0.bn._mean",
        .modules = {[RS_STEM_CONV] = "stem.0.conv",
                [RS_STEM_BN] = "stem.0.bn",
                [RS_CONV] = "blocks.{i}.conv{c-1}.conv",
                [RS_BN] = "blocks.{i}.conv{c-1}.bn",
                [RS_DOWN_CONV] = "blocks.{i}.short.conv",
                [RS_DOWN_BN] = "blocks.{i}.short.bn",
                [RS_HEAD] = "fc"},
        .deep_conv = {"stem.0.conv", "stem.1.conv", "stem.2.conv"},
        .deep_bn = {"stem.0.bn", "stem.1.bn", "stem.2.bn"},
        .deep_pools = true,
        .first_down = true,
        .slots = SLOTS,
        .head_in_out = true,
        .epsilon = 1e-5,
        .momentum = 0.9,
        .stride = RS_STRIDE_CONV2,
        .input = RS_INPUT_IMAGENET,
};
