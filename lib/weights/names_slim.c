/* SPDX-License-Identifier: 0BSD */
/*
 * TF-slim's ResNets (models/research/slim/nets/resnet_v1.py, resnet_v2.py). A stage's stride is in
 * its last unit, whose shortcut is a 1x1 MaxPool; the first pool pads at the end. Version 2 was
 * trained with pictures of -1 to 1 and with a class for the background, version 1 with pictures of
 * 0 to 255 less a mean.
 */
#include "weights/weights.h"

#include <stdio.h>
#include <string.h>

#define SLIM_SLOTS                                                                \
        .slots = {[RS_CONV_WEIGHT] = "{m}/weights",                               \
                [RS_CONV_BIAS] = "{m}/biases",                                    \
                [RS_BN_GAMMA] = "{m}/gamma",                                      \
                [RS_BN_BETA] = "{m}/beta",                                        \
                [RS_BN_MEAN] = "{m}/moving_mean",                                 \
                [RS_BN_VAR] = "{m}/moving_variance",                              \
                [RS_HEAD_WEIGHT] = "{m}/weights",                                 \
                [RS_HEAD_BIAS] = "{m}/biases"},                                   \
        .kernel = RS_HWIO, .head_conv = true, .epsilon = 1e-5, .momentum = 0.997, \
        .stride = RS_STRIDE_LAST, .pool1 = RS_POOL1_END

/* {kind}: what a unit is called by. {p}: the norm before Conv c is preact, or stands behind the
 * Conv before it. */
static bool
variable(const char *v, const rs_net *net, const rs_place *at, int alternative, char *out,
        size_t size)
{
        if (alternative)
                return false;
        if (!strcmp(v, "kind"))
                snprintf(out, size, "%s", net->bottleneck ? "bottleneck" : "basic_block");
        else if (strcmp(v, "p") != 0)
                return false;
        else if (at->conv == 1)
                snprintf(out, size, "preact");
        else
                snprintf(out, size, "conv%d/BatchNorm", at->conv - 1);
        return true;
}

const rs_scheme rs_scheme_slim = {
        .name = "slim",
        .help = "TF-slim's resnet_v1: resnet_v1_101/block1/unit_1/bottleneck_v1/conv1/weights",
        .prefix = "resnet_v1_{d}/",
        .modules = {[RS_STEM_CONV] = "conv1",
                [RS_STEM_BN] = "conv1/BatchNorm",
                [RS_CONV] = "block{s}/unit_{b+1}/{kind}_v1/conv{c}",
                [RS_BN] = "block{s}/unit_{b+1}/{kind}_v1/conv{c}/BatchNorm",
                [RS_DOWN_CONV] = "block{s}/unit_{b+1}/{kind}_v1/shortcut",
                [RS_DOWN_BN] = "block{s}/unit_{b+1}/{kind}_v1/shortcut/BatchNorm",
                [RS_HEAD] = "logits"},
        SLIM_SLOTS,
        .input = "size=224x224 resize=256 mean=0.485019608,0.457960784,0.407607843 std="
                 "0.00392156862745098,0.00392156862745098,0.00392156862745098",
        .variable = variable,
};

const rs_scheme rs_scheme_slim_v2 = {
        .name = "slim-v2",
        .help = "TF-slim's resnet_v2: .../bottleneck_v2/preact/gamma, postnorm, 1001 classes",
        .prefix = "resnet_v2_{d}/",
        .modules = {[RS_STEM_CONV] = "conv1",
                [RS_CONV] = "block{s}/unit_{b+1}/{kind}_v2/conv{c}",
                [RS_BN] = "block{s}/unit_{b+1}/{kind}_v2/{p}",
                [RS_DOWN_CONV] = "block{s}/unit_{b+1}/{kind}_v2/shortcut",
                [RS_NORM] = "postnorm",
                [RS_HEAD] = "logits"},
        SLIM_SLOTS,
        .preactivation = true,
        .biases = RS_BIAS_STEM | RS_BIAS_CONV3 | RS_BIAS_DOWN,
        .biases_basic = RS_BIAS_STEM | RS_BIAS_CONV2 | RS_BIAS_DOWN,
        .label_offset = 1,
        .input = "size=299x299 resize=342 mean=0.5,0.5,0.5 std=0.5,0.5,0.5",
        .variable = variable,
};
