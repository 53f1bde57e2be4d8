/* SPDX-License-Identifier: 0BSD */
/* Hugging Face transformers (modeling_resnet.py): ResNetForImageClassification, and ResNetModel,
 * which lacks "resnet." and the head. */
#include "weights/weights.h"

#define EITHER(name) "resnet." name "|" name

const rs_scheme rs_scheme_hf = {
        .name = "hf",
        .help = "Hugging Face transformers: "
                "resnet.encoder.stages.0.layers.0.layer.0.convolution.weight, classifier.1.weight",
        .modules = {[RS_STEM_CONV] = EITHER("embedder.embedder.convolution"),
                [RS_STEM_BN] = EITHER("embedder.embedder.normalization"),
                [RS_CONV] = EITHER("encoder.stages.{s-1}.layers.{b}.layer.{c-1}.convolution"),
                [RS_BN] = EITHER("encoder.stages.{s-1}.layers.{b}.layer.{c-1}.normalization"),
                [RS_DOWN_CONV] = EITHER("encoder.stages.{s-1}.layers.{b}.shortcut.convolution"),
                [RS_DOWN_BN] = EITHER("encoder.stages.{s-1}.layers.{b}.shortcut.normalization"),
                [RS_HEAD] = "classifier.1"},
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
