/* SPDX-License-Identifier: 0BSD */
/*
 * MSRA's ResNets for Caffe (gh: KaimingHe/deep-residual-networks) and what descends from them:
 * Detectron's for Caffe2, and Detectron2. Stages count from 2. Pictures are BGR of 0 to 255 less a
 * mean; Caffe's own mean is a picture, of which the mean of each plane is recorded here. The stride
 * is on the first 1x1.
 */
#include "weights/names.h"

#include <stdio.h>
#include <string.h>

/* 1/255: what is subtracted from has not been divided by 255. */
#define BGR_255 "size=224x224 resize=256 channels=bgr std=0.00392156862745098 mean="

/*
 * {L}: a block's letters: a, b, c ... in every stage of ResNet-50 and less; a, b1, b2 ... in stages
 * 3 and 4 of ResNet-101 and 152, which have more blocks than the alphabet has letters.
 */
static bool
variable(const char *v, const rs_net *net, const rs_place *at, int alternative, char *out,
        size_t size)
{
        bool may = at->block > 0 && (at->stage == 2 || at->stage == 3);
        bool numbered = may && (rs_net_depth(net) > 50) == (alternative == 0);
        if (strcmp(v, "L") != 0 || alternative > may || (!numbered && at->block > 25))
                return false;
        int n = numbered ? snprintf(out, size, "b%d", at->block)
                         : snprintf(out, size, "%c", 'a' + at->block);
        return n < (int)size;
}

const rs_scheme rs_scheme_caffe = {
        .name = "caffe",
        .help = "MSRA's ResNets for Caffe: res2a_branch2a, bn2a_branch2a, scale2a_branch2a",
        .modules = {[RS_STEM_CONV] = "conv1",
                [RS_STEM_BN] = "_conv1",
                [RS_CONV] = "res{s+1}{L}_branch2{a}",
                [RS_BN] = "{s+1}{L}_branch2{a}",
                [RS_DOWN_CONV] = "res{s+1}{L}_branch1",
                [RS_DOWN_BN] = "{s+1}{L}_branch1",
                [RS_HEAD] = "fc1000|fc|classifier"},
        .slots = {[RS_CONV_WEIGHT] = "{m}/0",
                [RS_CONV_BIAS] = "{m}/1",
                [RS_BN_GAMMA] = "scale{m}/0",
                [RS_BN_BETA] = "scale{m}/1",
                [RS_BN_MEAN] = "bn{m}/0",
                [RS_BN_VAR] = "bn{m}/1",
                [RS_BN_FACTOR] = "bn{m}/2",
                [RS_HEAD_WEIGHT] = "{m}/0",
                [RS_HEAD_BIAS] = "{m}/1"},
        .epsilon = 1e-5,
        .momentum = 0.999, /* BatchNormParameter's own */
        .stride = RS_STRIDE_CONV1,
        .pool1 = RS_POOL1_END,
        .input = BGR_255 "0.404167152,0.454521108,0.482947572", /* 103.0626 115.9029 123.1516 */
        .variable = variable,
};

const rs_scheme rs_scheme_detectron = {
        .name = "detectron",
        .help = "Detectron's for Caffe2: res2_0_branch2a_w, res2_0_branch2a_bn_s",
        .modules = {[RS_STEM_CONV] = "conv1",
                [RS_STEM_BN] = "res_conv1_bn",
                [RS_CONV] = "res{s+1}_{b}_branch2{a}",
                [RS_BN] = "res{s+1}_{b}_branch2{a}_bn",
                [RS_DOWN_CONV] = "res{s+1}_{b}_branch1",
                [RS_DOWN_BN] = "res{s+1}_{b}_branch1_bn",
                [RS_HEAD] = "fc1000|pred"},
        .slots = {[RS_CONV_WEIGHT] = "{m}_w",
                [RS_CONV_BIAS] = "{m}_b",
                [RS_BN_GAMMA] = "{m}_s",
                [RS_BN_BETA] = "{m}_b",
                [RS_BN_MEAN] = "{m}_rm",
                [RS_BN_VAR] = "{m}_riv",
                [RS_HEAD_WEIGHT] = "{m}_w",
                [RS_HEAD_BIAS] = "{m}_b"},
        .epsilon = 1e-5,
        .stride = RS_STRIDE_CONV1,
        .input = BGR_255 "0.403843529,0.454692157,0.481457647", /* 102.9801 115.9465 122.7717 */
};

const rs_scheme rs_scheme_detectron2 = {
        .name = "detectron2",
        .help = "Detectron2's: stem.conv1.weight, res2.0.conv1.norm.weight",
        .modules = {[RS_STEM_CONV] = "stem.conv1",
                [RS_STEM_BN] = "stem.conv1.norm",
                [RS_CONV] = "res{s+1}.{b}.conv{c}",
                [RS_BN] = "res{s+1}.{b}.conv{c}.norm",
                [RS_DOWN_CONV] = "res{s+1}.{b}.shortcut",
                [RS_DOWN_BN] = "res{s+1}.{b}.shortcut.norm",
                [RS_HEAD] = "linear|fc"},
        .slots = {RS_SLOTS_PYTORCH},
        .epsilon = 1e-5,
        .momentum = 0.9,
        .stride = RS_STRIDE_CONV1,
        .input = BGR_255 "0.406,0.456,0.485", /* 103.530 116.280 123.675 */
};
