/* SPDX-License-Identifier: 0BSD */
/*
 * timm. Its ResNets are called as torchvision's; those with a deep stem (c, d, s) and, of them,
 * those with a pool in the shortcut (d) have names of their own there. Its pre-activation networks
 * (resnetv2_*) share nothing with them.
 */
#include "weights/names.h"

const rs_scheme rs_scheme_timm = {
        .name = "timm",
        .help = "timm's resnet*, deep stems and pooled shortcuts (c, d, s) included: "
                "conv1.3.weight, downsample.1.weight",
        .modules = {[RS_STEM_CONV] = "conv1",
                [RS_STEM_BN] = "bn1",
                [RS_CONV] = "layer{s}.{b}.conv{c}",
                [RS_BN] = "layer{s}.{b}.bn{c}",
                [RS_DOWN_CONV] = "layer{s}.{b}.downsample.0",
                [RS_DOWN_BN] = "layer{s}.{b}.downsample.1",
                [RS_HEAD] = "fc"},
        .deep_conv = {"conv1.0", "conv1.3", "conv1.6"},
        .deep_bn = {"conv1.1", "conv1.4", "bn1"},
        .pooled_conv = "layer{s}.{b}.downsample.1",
        .pooled_bn = "layer{s}.{b}.downsample.2",
        .slots = {RS_SLOTS_PYTORCH, RS_SLOT_COUNTER},
        .epsilon = 1e-5,
        .momentum = 0.9,
        .stride = RS_STRIDE_CONV2,
        .input = "size=224x224 resize=236 mean=0.485,0.456,0.406 std=0.229,0.224,0.225",
};

const rs_scheme rs_scheme_timm_v2 = {
        .name = "timm-v2",
        .help = "timm's resnetv2_*: stages.0.blocks.0.conv1.weight, head.fc.weight a 1x1 Conv",
        .modules = {[RS_STEM_CONV] = "stem.conv",
                [RS_CONV] = "stages.{s-1}.blocks.{b}.conv{c}",
                [RS_BN] = "stages.{s-1}.blocks.{b}.norm{c}",
                [RS_DOWN_CONV] = "stages.{s-1}.blocks.{b}.downsample.conv",
                [RS_NORM] = "norm",
                [RS_HEAD] = "head.fc"},
        .slots = {RS_SLOTS_PYTORCH, RS_SLOT_COUNTER},
        .head_conv = true,
        .preactivation = true,
        .epsilon = 1e-5,
        .momentum = 0.9,
        .stride = RS_STRIDE_CONV2,
        .input = "size=224x224 resize=236 mean=0.5,0.5,0.5 std=0.5,0.5,0.5",
};
