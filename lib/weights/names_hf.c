/* SPDX-License-Identifier: 0BSD */
/* Hugging Face transformers (modeling_resnet.py): ResNetForImageClassification, and ResNetModel,
 * which lacks "resnet." and the head. */
#include "weights/names.h"

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
        .slots = {RS_SLOTS_PYTORCH, RS_SLOT_COUNTER},
        .epsilon = 1e-5,
        .momentum = 0.9,
        .stride = RS_STRIDE_CONV2,
        .input = RS_INPUT_IMAGENET,
};
