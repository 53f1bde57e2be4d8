/* SPDX-License-Identifier: 0BSD */
/* The names of Gluon, Caffe, Detectron, Paddle, Keras, TF-slim and Flax, against names that stand
 * in those projects' own files or follow from their code, and how many there are; and what else
 * their code says: epsilon, momentum, pictures. */
#include "config.h"
#include "unit.h"

#include <math.h>
#include <string.h>
#include "base/map.h"
#include "weights/weights.h"

static const rs_net resnet101 = {.n_stages = 4,
        .blocks = {3, 4, 23, 3},
        .down = {true, true, true, true},
        .bottleneck = true,
        .stem = 1,
        .head = true,
        .classes = 1000};
static const rs_net resnet50 = {.n_stages = 4,
        .blocks = {3, 4, 6, 3},
        .down = {true, true, true, true},
        .bottleneck = true,
        .stem = 1,
        .head = true,
        .classes = 1000};
static const rs_net resnet18 = {.n_stages = 4,
        .blocks = {2, 2, 2, 2},
        .down = {false, true, true, true},
        .stem = 1,
        .head = true,
        .classes = 1000};
static const rs_net resnet101d = {.n_stages = 4,
        .blocks = {3, 4, 23, 3},
        .down = {true, true, true, true},
        .bottleneck = true,
        .stem = 3,
        .down_pool = true,
        .head = true,
        .classes = 10};
static const rs_net resnet101v2 = {.n_stages = 4,
        .blocks = {3, 4, 23, 3},
        .down = {true, true, true, true},
        .bottleneck = true,
        .preactivation = true,
        .data_norm = true,
        .stem = 1,
        .head = true,
        .classes = 1000};

static const rs_net plain101v2 = {.n_stages = 4,
        .blocks = {3, 4, 23, 3},
        .down = {true, true, true, true},
        .bottleneck = true,
        .preactivation = true,
        .stem = 1,
        .head = true,
        .classes = 1001};

START_TEST(known_names)
{
        static const struct {
                const char *scheme;
                const rs_net *net;
                rs_place at;
                rs_role role;
                int alternative;
                const char *name;
        } t[] = {{"gluon", &resnet101, {RS_CONV, 1, 0, 1}, RS_CONV_WEIGHT, 0,
                         "features.4.0.body.0.weight"},
                {"gluon", &resnet101, {RS_BN, 1, 0, 3}, RS_BN_GAMMA, 0,
                        "features.4.0.body.7.gamma"},
                {"gluon", &resnet101, {RS_CONV, 3, 22, 3}, RS_CONV_WEIGHT, 3,
                        "stage3_conv69_weight"},
                {"gluon", &resnet101, {RS_CONV, 3, 22, 3}, RS_CONV_BIAS, 3, "stage3_conv69_bias"},
                {"gluon", &resnet101, {RS_DOWN_CONV, 2, 0, 1}, RS_CONV_WEIGHT, 3,
                        "stage2_conv3_weight"},
                {"gluon", &resnet101, {RS_DOWN_BN, 2, 0, 1}, RS_BN_VAR, 3,
                        "stage2_batchnorm3_running_var"},
                {"gluon", &resnet101, {RS_HEAD, 0, 0, 1}, RS_HEAD_WEIGHT, 0, "output.weight"},
                {"gluon", &resnet18, {RS_CONV, 1, 1, 1}, RS_CONV_WEIGHT, 3, "stage1_conv2_weight"},
                {"gluon", &resnet18, {RS_CONV, 2, 1, 1}, RS_CONV_WEIGHT, 3, "stage2_conv3_weight"},
                {"gluon-v2", &resnet101v2, {RS_DATA_BN, 0, 0, 1}, RS_BN_GAMMA, 0,
                        "features.0.gamma"},
                {"gluon-v2", &resnet101v2, {RS_CONV, 4, 2, 3}, RS_CONV_WEIGHT, 0,
                        "features.8.2.conv3.weight"},
                {"gluon-v2", &resnet101v2, {RS_BN, 4, 2, 3}, RS_BN_MEAN, 3,
                        "stage4_batchnorm8_running_mean"},
                {"gluon-v2", &resnet101v2, {RS_CONV, 4, 2, 3}, RS_CONV_WEIGHT, 3,
                        "stage4_conv9_weight"},
                {"gluon-v2", &resnet101v2, {RS_NORM, 0, 0, 1}, RS_BN_BETA, 0, "features.9.beta"},
                {"gluon-v2", &resnet101v2, {RS_NORM, 0, 0, 1}, RS_BN_BETA, 3, "batchnorm2_beta"},
                {"gluoncv", &resnet101d, {RS_STEM_CONV, 0, 0, 3}, RS_CONV_WEIGHT, 0,
                        "conv1.6.weight"},
                {"gluoncv", &resnet101d, {RS_STEM_BN, 0, 0, 3}, RS_BN_GAMMA, 0, "bn1.gamma"},
                {"gluoncv", &resnet101d, {RS_DOWN_CONV, 3, 0, 1}, RS_CONV_WEIGHT, 0,
                        "layer3.0.downsample.1.weight"},
                {"gluoncv", &resnet101, {RS_DOWN_BN, 3, 0, 1}, RS_BN_MEAN, 0,
                        "layer3.0.downsample.1.running_mean"},
                {"caffe", &resnet101, {RS_STEM_BN, 0, 0, 1}, RS_BN_FACTOR, 0, "bn_conv1/2"},
                {"caffe", &resnet101, {RS_STEM_BN, 0, 0, 1}, RS_BN_GAMMA, 0, "scale_conv1/0"},
                {"caffe", &resnet101, {RS_CONV, 3, 22, 3}, RS_CONV_WEIGHT, 0, "res4b22_branch2c/0"},
                {"caffe", &resnet101, {RS_CONV, 1, 2, 2}, RS_CONV_WEIGHT, 0, "res2c_branch2b/0"},
                {"caffe", &resnet101, {RS_BN, 2, 3, 1}, RS_BN_VAR, 0, "bn3b3_branch2a/1"},
                {"caffe", &resnet50, {RS_CONV, 2, 3, 1}, RS_CONV_WEIGHT, 0, "res3d_branch2a/0"},
                {"caffe", &resnet50, {RS_CONV, 2, 3, 1}, RS_CONV_WEIGHT, 1, "res3b3_branch2a/0"},
                {"caffe", &resnet101, {RS_DOWN_BN, 4, 0, 1}, RS_BN_BETA, 0, "scale5a_branch1/1"},
                {"caffe", &resnet101, {RS_HEAD, 0, 0, 1}, RS_HEAD_BIAS, 0, "fc1000/1"},
                {"detectron", &resnet101, {RS_STEM_BN, 0, 0, 1}, RS_BN_VAR, 0, "res_conv1_bn_riv"},
                {"detectron", &resnet101, {RS_BN, 3, 22, 3}, RS_BN_GAMMA, 0,
                        "res4_22_branch2c_bn_s"},
                {"detectron", &resnet101, {RS_DOWN_CONV, 1, 0, 1}, RS_CONV_WEIGHT, 0,
                        "res2_0_branch1_w"},
                {"detectron2", &resnet101, {RS_DOWN_BN, 1, 0, 1}, RS_BN_MEAN, 0,
                        "res2.0.shortcut.norm.running_mean"},
                {"detectron2", &resnet101, {RS_STEM_BN, 0, 0, 1}, RS_BN_GAMMA, 0,
                        "stem.conv1.norm.weight"},
                {"paddle", &resnet101, {RS_BN, 3, 22, 3}, RS_BN_VAR, 0, "layer3.22.bn3._variance"},
                {"paddleclas", &resnet101, {RS_CONV, 4, 2, 3}, RS_CONV_WEIGHT, 0,
                        "blocks.32.conv2.conv.weight"},
                {"paddleclas", &resnet101, {RS_DOWN_BN, 3, 0, 1}, RS_BN_MEAN, 0,
                        "blocks.7.short.bn._mean"},
                {"paddleclas", &resnet101d, {RS_STEM_CONV, 0, 0, 2}, RS_CONV_WEIGHT, 0,
                        "stem.1.conv.weight"},
                {"paddleclas", &resnet101d, {RS_DOWN_CONV, 4, 0, 1}, RS_CONV_WEIGHT, 0,
                        "blocks.30.short.conv.weight"},
                /* research/slim/nets/resnet_v1.py, resnet_v2.py: the scopes */
                {"slim", &resnet101, {RS_BN, 3, 22, 3}, RS_BN_VAR, 0,
                        "block3/unit_23/bottleneck_v1/conv3/BatchNorm/moving_variance"},
                {"slim", &resnet101, {RS_DOWN_CONV, 1, 0, 1}, RS_CONV_WEIGHT, 0,
                        "block1/unit_1/bottleneck_v1/shortcut/weights"},
                {"slim-v2", &plain101v2, {RS_BN, 2, 3, 1}, RS_BN_GAMMA, 0,
                        "block2/unit_4/bottleneck_v2/preact/gamma"},
                {"slim-v2", &plain101v2, {RS_BN, 2, 3, 3}, RS_BN_GAMMA, 0,
                        "block2/unit_4/bottleneck_v2/conv2/BatchNorm/gamma"},
                {"slim-v2", &plain101v2, {RS_CONV, 2, 3, 3}, RS_CONV_BIAS, 0,
                        "block2/unit_4/bottleneck_v2/conv3/biases"},
                {"slim-v2", &plain101v2, {RS_NORM, 0, 0, 1}, RS_BN_MEAN, 0, "postnorm/moving_mean"},
                /* examples/imagenet/models.py */
                {"flax-example", &resnet101, {RS_STEM_BN, 0, 0, 1}, RS_BN_GAMMA, 0,
                        "params/bn_init/scale"},
                {"flax-example", &resnet101, {RS_BN, 4, 2, 3}, RS_BN_MEAN, 0,
                        "batch_stats/BottleneckResNetBlock_32/BatchNorm_2/mean"},
                {"flax-example", &resnet101, {RS_DOWN_CONV, 1, 0, 1}, RS_CONV_WEIGHT, 0,
                        "params/BottleneckResNetBlock_0/conv_proj/kernel"},
                {"flax-example", &resnet18, {RS_CONV, 2, 0, 2}, RS_CONV_WEIGHT, 0,
                        "params/ResNetBlock_2/Conv_1/kernel"},
                {"flax-example", &resnet18, {RS_HEAD, 0, 0, 1}, RS_HEAD_WEIGHT, 0,
                        "params/Dense_0/kernel"},
                /* modeling_flax_resnet.py: a bottleneck names its Convs, a basic block does not */
                {"flax", &resnet101, {RS_CONV, 1, 0, 3}, RS_CONV_WEIGHT, 0,
                        "params/resnet/encoder/stages/0/layers/0/layer/2/convolution/kernel"},
                {"flax", &resnet18, {RS_CONV, 1, 0, 2}, RS_CONV_WEIGHT, 0,
                        "params/resnet/encoder/stages/0/layers/0/layer/layer_1/convolution/kernel"},
                {"flax", &resnet18, {RS_CONV, 1, 0, 2}, RS_CONV_WEIGHT, 2,
                        "params/resnet/encoder/stages/0/layers/0/layer/1/convolution/kernel"},
                {"flax", &resnet101, {RS_HEAD, 0, 0, 1}, RS_HEAD_WEIGHT, 0,
                        "params/classifier/1/kernel"},
                /* keras_applications/resnet_common.py has probs, Keras's own applications have
                   predictions; weights of Keras 3's HDF5 end without :0 */
                {"keras", &resnet101, {RS_HEAD, 0, 0, 1}, RS_HEAD_WEIGHT, 0,
                        "predictions/predictions/kernel:0"},
                {"keras", &resnet101, {RS_HEAD, 0, 0, 1}, RS_HEAD_WEIGHT, 4,
                        "probs/probs/kernel:0"},
                {"keras", &resnet101, {RS_HEAD, 0, 0, 1}, RS_HEAD_BIAS, 2,
                        "predictions/predictions/bias"},
                {"keras-v2", &plain101v2, {RS_BN, 1, 0, 1}, RS_BN_GAMMA, 0,
                        "conv2_block1_preact_bn/conv2_block1_preact_bn/gamma:0"},
                {"keras3", &resnet101, {RS_BN, 1, 0, 3}, RS_BN_VAR, 0,
                        "layers/batch_normalization_4/vars/3"},
                {"keras3", &resnet101, {RS_DOWN_CONV, 1, 0, 1}, RS_CONV_BIAS, 0,
                        "layers/conv2d_3/vars/1"},
                {"keras3", &resnet101, {RS_DOWN_CONV, 1, 0, 1}, RS_CONV_BIAS, 1,
                        "_layer_checkpoint_dependencies/conv2d_3/vars/1"}};
        for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
                char name[RS_NAME_MAX];
                const rs_scheme *s = rs_scheme_find(t[i].scheme);
                ck_assert_msg(s != NULL, "%s", t[i].scheme);
                ck_assert_msg(
                        rs_scheme_name(s, t[i].net, &t[i].at, t[i].role, t[i].alternative, name),
                        "%s: no name for %s", s->name, t[i].name);
                ck_assert_str_eq(name, t[i].name);
        }
}
END_TEST

/* Every name that a network has under a scheme, no two of them alike. */
struct count {
        const rs_scheme *s;
        const rs_net *net;
        rs_arena arena;
        rs_map names;
        int n, alternative;
};

static void
one(struct count *c, rs_place at, rs_role role)
{
        char name[RS_NAME_MAX];
        void *old;
        resect_error err;
        if (!rs_scheme_name(c->s, c->net, &at, role, c->alternative, name))
                return;
        char *kept = rs_arena_strdup(&c->arena, name, &err);
        ck_assert(kept && rs_map_put(&c->names, kept, c, &old, &err));
        ck_assert_msg(!old, "%s: twice %s", c->s->name, name);
        c->n++;
}

static void
conv_and_bn(
        struct count *c, rs_module conv, rs_module bn, int stage, int block, int k, unsigned bias)
{
        one(c, (rs_place){conv, stage, block, k}, RS_CONV_WEIGHT);
        if (bias & (c->net->bottleneck ? c->s->biases : c->s->biases_basic))
                one(c, (rs_place){conv, stage, block, k}, RS_CONV_BIAS);
        for (int r = RS_BN_GAMMA; r <= RS_BN_FACTOR; r++)
                one(c, (rs_place){bn, stage, block, k}, (rs_role)r);
}

static int
count(const char *scheme, const rs_net *net, int alternative)
{
        struct count c = {.s = rs_scheme_find(scheme), .net = net, .alternative = alternative};
        static const unsigned bias[] = {RS_BIAS_CONV1, RS_BIAS_CONV2, RS_BIAS_CONV3};
        for (int i = 1; i <= net->stem; i++)
                conv_and_bn(&c, RS_STEM_CONV, RS_STEM_BN, 0, 0, i, RS_BIAS_STEM);
        for (int s = 1; s <= net->n_stages; s++)
                for (int b = 0; b < net->blocks[s - 1]; b++) {
                        for (int k = 1; k <= (net->bottleneck ? 3 : 2); k++)
                                conv_and_bn(&c, RS_CONV, RS_BN, s, b, k, bias[k - 1]);
                        if (b == 0 && net->down[s - 1])
                                conv_and_bn(&c, RS_DOWN_CONV, RS_DOWN_BN, s, b, 1, RS_BIAS_DOWN);
                }
        for (int r = RS_BN_GAMMA; r <= RS_BN_FACTOR; r++) {
                if (net->preactivation)
                        one(&c, (rs_place){RS_NORM, 0, 0, 1}, (rs_role)r);
                if (net->data_norm)
                        one(&c, (rs_place){RS_DATA_BN, 0, 0, 1}, (rs_role)r);
        }
        one(&c, (rs_place){RS_HEAD, 0, 0, 1}, RS_HEAD_WEIGHT);
        one(&c, (rs_place){RS_HEAD, 0, 0, 1}, RS_HEAD_BIAS);
        rs_map_free(&c.names);
        rs_arena_free(&c.arena);
        return c.n;
}

/* What the projects' code says beside names; pictures are as pixels of 0 to 255 become what the
 * network takes: (pixel - mean) * scale, in the order of its channels. */
START_TEST(known_settings)
{
        static const struct {
                const char *scheme;
                double epsilon, momentum;
                rs_stride stride;
                rs_pool1 pool1;
                bool convs_end, bgr;
                int label_offset, size;
                double mean[3], scale;
        } t[] = {/* resnet_utils.py: batch_norm_decay 0.997, epsilon 1e-5, max_pool2d SAME, Convs
                    padded by hand; vgg_preprocessing.py's means */
                {"slim", 1e-5, 0.997, RS_STRIDE_LAST, RS_POOL1_END, false, false, 0, 224,
                        {123.68, 116.78, 103.94}, 1},
                {"slim-v2", 1e-5, 0.997, RS_STRIDE_LAST, RS_POOL1_END, false, false, 1, 299,
                        {127.5, 127.5, 127.5}, 1 / 127.5},
                /* imagenet_utils.py: modes caffe and tf */
                {"keras", 1.001e-5, 0.99, RS_STRIDE_CONV1, RS_POOL1_EVEN, false, true, 0, 224,
                        {103.939, 116.779, 123.68}, 1},
                {"keras-v2", 1.001e-5, 0.99, RS_STRIDE_LAST, RS_POOL1_ZERO, false, false, 0, 224,
                        {127.5, 127.5, 127.5}, 1 / 127.5},
                {"keras3", 1.001e-5, 0.99, RS_STRIDE_CONV1, RS_POOL1_EVEN, false, true, 0, 224,
                        {103.939, 116.779, 123.68}, 1},
                /* examples/imagenet/models.py: nn.Conv's own padding is SAME */
                {"flax-example", 1e-5, 0.9, RS_STRIDE_CONV2, RS_POOL1_END, true, false, 0, 224,
                        {0.485 * 255, 0.456 * 255, 0.406 * 255}, 1 / (0.229 * 255)},
                {"flax", 1e-5, 0.9, RS_STRIDE_CONV2, RS_POOL1_EVEN, false, false, 0, 224,
                        {0.485 * 255, 0.456 * 255, 0.406 * 255}, 1 / (0.229 * 255)},
                {"paddleclas", 1e-5, 0.9, RS_STRIDE_CONV2, RS_POOL1_EVEN, false, false, 0, 224,
                        {0.485 * 255, 0.456 * 255, 0.406 * 255}, 1 / (0.229 * 255)}};
        for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
                const rs_scheme *s = rs_scheme_find(t[i].scheme);
                double mean[3], std = 0;
                int side = 0;
                ck_assert(s && s->input);
                ck_assert_msg(
                        s->epsilon == t[i].epsilon && s->momentum == t[i].momentum, "%s", s->name);
                ck_assert_msg(s->stride == t[i].stride && s->pool1 == t[i].pool1 &&
                                      s->convs_end == t[i].convs_end &&
                                      s->label_offset == t[i].label_offset,
                        "%s", s->name);
                ck_assert_int_eq(strstr(s->input, "channels=bgr") != NULL, t[i].bgr);
                ck_assert_int_eq(sscanf(s->input, "size=%d", &side), 1);
                ck_assert_int_eq(side, t[i].size);
                ck_assert_int_eq(sscanf(strstr(s->input, "mean="), "mean=%lf,%lf,%lf", &mean[0],
                                         &mean[1], &mean[2]),
                        3);
                ck_assert_int_eq(sscanf(strstr(s->input, "std="), "std=%lf", &std), 1);
                for (int k = 0; k < 3; k++)
                        ck_assert_msg(fabs(mean[k] * 255 - t[i].mean[k]) < 2e-4, "%s: mean %g",
                                s->name, mean[k] * 255);
                ck_assert_msg(
                        fabs(1 / (std * 255) - t[i].scale) < 1e-6, "%s: std %g", s->name, std);
        }
}
END_TEST

START_TEST(how_many)
{
        ck_assert_int_eq(count("gluon", &resnet101, 0), 588);
        ck_assert_int_eq(count("gluon", &resnet101, 3), 588); /* running numbers */
        ck_assert_int_eq(count("gluon", &resnet18, 3), 20 * 5 + 2);
        ck_assert_int_eq(count("gluon-v2", &resnet101v2, 0), 514);
        ck_assert_int_eq(count("gluon-v2", &resnet101v2, 3), 514);
        ck_assert_int_eq(count("gluoncv", &resnet101, 0), 522);
        ck_assert_int_eq(count("gluoncv", &resnet101d, 0), 522 + 2 * 5);
        ck_assert_int_eq(count("caffe", &resnet101, 0), 626);
        ck_assert_int_eq(count("caffe", &resnet50, 0), 53 * 6 + 2);
        ck_assert_int_eq(count("detectron", &resnet101, 0), 522);
        ck_assert_int_eq(count("detectron2", &resnet101, 0), 522);
        ck_assert_int_eq(count("paddle", &resnet101, 0), 522);
        ck_assert_int_eq(count("paddleclas", &resnet101, 0), 522);
        ck_assert_int_eq(count("paddleclas", &resnet101d, 0), 522 + 2 * 5);
        ck_assert_int_eq(count("ncnn", &resnet101, 0), 210);
}
END_TEST

UNIT_MAIN("names of MXNet's and Caffe's families", known_names, known_settings, how_many)
