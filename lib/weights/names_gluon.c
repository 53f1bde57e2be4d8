/* SPDX-License-Identifier: 0BSD */
/*
 * Gluon's model zoo and GluonCV's (mxnet: python/mxnet/gluon/model_zoo/vision/resnet.py; gluon-cv:
 * model_zoo/resnetv1b.py). The zoo's networks have two kinds of names: by structure
 * (save_parameters) and by numbers that run through a stage in the order in which layers were made
 * (save_params, and what exports to symbols and ONNX): a block's Convs, and after the first block's
 * its shortcut's. The first kind is written.
 */
#include "weights/names.h"

#include <stdio.h>
#include <string.h>

#define SLOTS                                                                                     \
        {                                                                                         \
                [RS_CONV_WEIGHT] = "{m}.weight|{m}_weight", [RS_CONV_BIAS] = "{m}.bias|{m}_bias", \
                [RS_BN_GAMMA] = "{m}.gamma|{m}_gamma", [RS_BN_BETA] = "{m}.beta|{m}_beta",        \
                [RS_BN_MEAN] = "{m}.running_mean|{m}_running_mean",                               \
                [RS_BN_VAR] = "{m}.running_var|{m}_running_var",                                  \
                [RS_HEAD_WEIGHT] = "{m}.weight|{m}_weight", [RS_HEAD_BIAS] = "{m}.bias|{m}_bias"  \
        }

/* {k}: the running number of a Conv, or of a BatchNormalization of v1. {n}: of one of v2, whose
   shortcuts have none. {y}: the place in a v1 block's body, where every Conv is followed by a
   BatchNormalization and a Relu. {f}: where v2's last one stands. */
static bool
variable(const char *v, const rs_net *net, const rs_place *at, int alternative, char *out,
        size_t size)
{
        int convs = net->bottleneck ? 3 : 2, n = at->block * convs + at->conv - 1;
        bool down = at->module == RS_DOWN_CONV || at->module == RS_DOWN_BN;
        if (alternative > 0)
                return false;
        if (!strcmp(v, "k"))
                n = down ? convs : n + (at->block > 0 && net->down[at->stage - 1]);
        else if (!strcmp(v, "y"))
                n = 3 * (at->conv - 1) + (at->module == RS_BN);
        else if (!strcmp(v, "f"))
                n = net->n_stages + 5;
        else if (strcmp(v, "n") != 0)
                return false;
        return snprintf(out, size, "%d", n) < (int)size;
}

const rs_scheme rs_scheme_gluon = {
        .name = "gluon",
        .help = "Gluon's resnetN_v1: features.4.0.body.0.weight or stage1_conv0_weight",
        .modules = {[RS_STEM_CONV] = "features.0|conv0",
                [RS_STEM_BN] = "features.1|batchnorm0",
                [RS_CONV] = "features.{s+3}.{b}.body.{y}|stage{s}_conv{k}",
                [RS_BN] = "features.{s+3}.{b}.body.{y}|stage{s}_batchnorm{k}",
                [RS_DOWN_CONV] = "features.{s+3}.{b}.downsample.0|stage{s}_conv{k}",
                [RS_DOWN_BN] = "features.{s+3}.{b}.downsample.1|stage{s}_batchnorm{k}",
                [RS_HEAD] = "output|dense0|classifier.2"},
        .slots = SLOTS,
        .biases = RS_BIAS_CONV1 | RS_BIAS_CONV3,
        .epsilon = 1e-5,
        .momentum = 0.9,
        .stride = RS_STRIDE_CONV1,
        .input = RS_INPUT_IMAGENET,
        .variable = variable,
};

const rs_scheme rs_scheme_gluon_v2 = {
        .name = "gluon-v2",
        .help = "Gluon's resnetN_v2: features.5.0.conv1.weight or stage1_conv0_weight",
        .modules = {[RS_DATA_BN] = "features.0|batchnorm0",
                [RS_STEM_CONV] = "features.1|conv0",
                [RS_STEM_BN] = "features.2|batchnorm1",
                [RS_CONV] = "features.{s+4}.{b}.conv{c}|stage{s}_conv{k}",
                [RS_BN] = "features.{s+4}.{b}.bn{c}|stage{s}_batchnorm{n}",
                [RS_DOWN_CONV] = "features.{s+4}.{b}.downsample|stage{s}_conv{k}",
                [RS_NORM] = "features.{f}|batchnorm2|classifier.0",
                [RS_HEAD] = "output|dense0|classifier.4"},
        .slots = SLOTS,
        .preactivation = true,
        .epsilon = 1e-5,
        .momentum = 0.9,
        .stride = RS_STRIDE_CONV2,
        .fixed_gamma_data = true,
        .input = RS_INPUT_IMAGENET,
        .variable = variable,
};

const rs_scheme rs_scheme_gluoncv = {
        .name = "gluoncv",
        .help = "GluonCV's resnetN_v1b, v1c, v1d, v1s: layer1.0.conv1.weight, bn1.gamma",
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
        .slots = {[RS_CONV_WEIGHT] = "{m}.weight",
                [RS_CONV_BIAS] = "{m}.bias",
                [RS_BN_GAMMA] = "{m}.gamma",
                [RS_BN_BETA] = "{m}.beta",
                [RS_BN_MEAN] = "{m}.running_mean",
                [RS_BN_VAR] = "{m}.running_var",
                [RS_HEAD_WEIGHT] = "{m}.weight",
                [RS_HEAD_BIAS] = "{m}.bias"},
        .epsilon = 1e-5,
        .momentum = 0.9,
        .stride = RS_STRIDE_CONV2,
        .input = RS_INPUT_IMAGENET,
};
