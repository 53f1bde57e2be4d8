/* SPDX-License-Identifier: 0BSD */
/*
 * Flax: Hugging Face's FlaxResNet (modeling_flax_resnet.py) and Flax's own example
 * (examples/imagenet/models.py), whose blocks are counted through all stages. What is trained is
 * below params, what is measured below batch_stats. The example pads as XLA's SAME does, at the end
 * alone where there is a stride and sizes are even.
 */
#include "weights/names.h"

#include <stdio.h>
#include <string.h>

#define FLAX_SLOTS                                                                \
        .slots = {[RS_CONV_WEIGHT] = "params/{m}/kernel",                         \
                [RS_CONV_BIAS] = "params/{m}/bias",                               \
                [RS_BN_GAMMA] = "params/{m}/scale",                               \
                [RS_BN_BETA] = "params/{m}/bias",                                 \
                [RS_BN_MEAN] = "batch_stats/{m}/mean",                            \
                [RS_BN_VAR] = "batch_stats/{m}/var",                              \
                [RS_HEAD_WEIGHT] = "params/{m}/kernel",                           \
                [RS_HEAD_BIAS] = "params/{m}/bias"},                              \
        .kernel = RS_HWIO, .head_in_out = true, .epsilon = 1e-5, .momentum = 0.9, \
        .stride = RS_STRIDE_CONV2

#define EITHER(name) "resnet/" name "|" name
#define LAYER "encoder/stages/{s-1}/layers/{b}/"

/* The Convs of a basic block stand in a list that nobody named, and are called layer_0 and layer_1;
 * a bottleneck's are named 0, 1 and 2, as PyTorch's, which others take for basic blocks, too. */
static bool
layer(const char *v, const rs_net *net, const rs_place *at, int alternative, char *out, size_t size)
{
        (void)at;
        if (strcmp(v, "l") != 0 || alternative > (net->bottleneck ? 0 : 1))
                return false;
        snprintf(out, size, "%s", net->bottleneck || alternative ? "" : "layer_");
        return true;
}

const rs_scheme rs_scheme_flax = {
        .name = "flax",
        .help = "Hugging Face's FlaxResNet: "
                "params/resnet/encoder/stages/0/layers/0/layer/0/convolution/kernel",
        .modules = {[RS_STEM_CONV] = EITHER("embedder/embedder/convolution"),
                [RS_STEM_BN] = EITHER("embedder/embedder/normalization"),
                [RS_CONV] = EITHER(LAYER "layer/{l}{c-1}/convolution"),
                [RS_BN] = EITHER(LAYER "layer/{l}{c-1}/normalization"),
                [RS_DOWN_CONV] = EITHER(LAYER "shortcut/convolution"),
                [RS_DOWN_BN] = EITHER(LAYER "shortcut/normalization"),
                [RS_HEAD] = "classifier/1"},
        FLAX_SLOTS,
        .input = RS_INPUT_IMAGENET,
        .variable = layer,
};

static bool
variable(const char *v, const rs_net *net, const rs_place *at, int alternative, char *out,
        size_t size)
{
        (void)at;
        if (strcmp(v, "kind") != 0 || alternative)
                return false;
        snprintf(out, size, "%s", net->bottleneck ? "BottleneckResNetBlock" : "ResNetBlock");
        return true;
}

const rs_scheme rs_scheme_flax_example = {
        .name = "flax-example",
        .help = "Flax's ImageNet example: params/BottleneckResNetBlock_0/Conv_0/kernel",
        .modules = {[RS_STEM_CONV] = "conv_init",
                [RS_STEM_BN] = "bn_init",
                [RS_CONV] = "{kind}_{i}/Conv_{c-1}",
                [RS_BN] = "{kind}_{i}/BatchNorm_{c-1}",
                [RS_DOWN_CONV] = "{kind}_{i}/conv_proj",
                [RS_DOWN_BN] = "{kind}_{i}/norm_proj",
                [RS_HEAD] = "Dense_0"},
        FLAX_SLOTS,
        .pool1 = RS_POOL1_END,
        .convs_end = true,
        .input = RS_INPUT_IMAGENET,
        .variable = variable,
};
