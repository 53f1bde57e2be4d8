/* SPDX-License-Identifier: 0BSD */
/*
 * Keras's names. keras.applications calls layers by their places (conv2_block1_1_conv), and legacy
 * files say each layer's name twice; Keras 3's .weights.h5 counts the layers of a class in the
 * model's order, which is by depth: in a block the shortcut's Conv stands beside the last one.
 * TensorFlow's checkpoints of such models have the same names without the ":0".
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "weights/h5.h"

static bool
is_down(const rs_net *net, int stage, int block)
{
        return block == 0 && stage <= net->n_stages && net->down[stage - 1];
}

/* How many Convs stand before a place in the model's order, the stem's not counted. */
static int
convs_before(const rs_net *net, const rs_place *at)
{
        int each = net->bottleneck ? 3 : 2, n = 0;
        for (int s = 1; s < at->stage && s <= net->n_stages; s++)
                n += net->blocks[s - 1] * each + is_down(net, s, 0);
        n += at->block * each + (at->block > 0 && is_down(net, at->stage, 0));
        /* 1, 2, the shortcut's, 3; in a basic block 1, 2, the shortcut's */
        if (at->module == RS_DOWN_CONV || at->module == RS_DOWN_BN)
                return n + 2;
        return n + at->conv - 1 + (at->conv == 3 && is_down(net, at->stage, at->block));
}

static bool
number(const rs_net *net, const rs_place *at, bool from_one, char *out, size_t size)
{
        int n = at->module == RS_STEM_CONV || at->module == RS_STEM_BN ? 0
                                                                       : 1 + convs_before(net, at);
        if (from_one)
                n++;
        if (n)
                snprintf(out, size, "_%d", n);
        else
                out[0] = '\0';
        return true;
}

static bool
number_v1(const char *v, const rs_net *net, const rs_place *at, int alternative, char *out,
        size_t size)
{
        return !strcmp(v, "n") && alternative == 0 && number(net, at, false, out, size);
}

/* Of version 2, whose norms stand before their Convs: three in each block, none in the stem or the
 * shortcut, one at the end. */
static bool
number_v2(const char *v, const rs_net *net, const rs_place *at, int alternative, char *out,
        size_t size)
{
        if (strcmp(v, "n") != 0 || alternative)
                return false;
        if (at->module != RS_BN && at->module != RS_NORM)
                return number(net, at, false, out, size);
        int each = net->bottleneck ? 3 : 2, n = at->module == RS_BN ? at->conv - 1 : 0;
        for (int s = 1; s <= net->n_stages && (at->module == RS_NORM || s < at->stage); s++)
                n += net->blocks[s - 1] * each;
        if (at->module == RS_BN)
                n += at->block * each;
        if (n)
                snprintf(out, size, "_%d", n);
        else
                out[0] = '\0';
        return true;
}

/* The norm before Conv c is called after the Conv before it, the first preact. */
static bool
preact(const char *v, const rs_net *net, const rs_place *at, int alternative, char *out,
        size_t size)
{
        (void)net;
        if (strcmp(v, "p") != 0 || alternative)
                return false;
        if (at->conv == 1)
                snprintf(out, size, "preact");
        else
                snprintf(out, size, "%d", at->conv - 1);
        return true;
}

#define KERAS_SLOTS                                                                             \
        .slots = {[RS_CONV_WEIGHT] = "{m}/{m}/kernel:0|{m}/kernel:0|{m}/{m}/kernel|{m}/kernel", \
                [RS_CONV_BIAS] = "{m}/{m}/bias:0|{m}/bias:0|{m}/{m}/bias|{m}/bias",             \
                [RS_BN_GAMMA] = "{m}/{m}/gamma:0|{m}/gamma:0|{m}/{m}/gamma|{m}/gamma",          \
                [RS_BN_BETA] = "{m}/{m}/beta:0|{m}/beta:0|{m}/{m}/beta|{m}/beta",               \
                [RS_BN_MEAN] = "{m}/{m}/moving_mean:0|{m}/moving_mean:0|{m}/{m}/moving_mean|"   \
                               "{m}/moving_mean",                                               \
                [RS_BN_VAR] = "{m}/{m}/moving_variance:0|{m}/moving_variance:0|"                \
                              "{m}/{m}/moving_variance|{m}/moving_variance",                    \
                [RS_HEAD_WEIGHT] = "{m}/{m}/kernel:0|{m}/kernel:0|{m}/{m}/kernel|{m}/kernel",   \
                [RS_HEAD_BIAS] = "{m}/{m}/bias:0|{m}/bias:0|{m}/{m}/bias|{m}/bias"}

/* Keras 2.13 called the list otherwise. */
#define LAYERS(name) "layers/" name "|_layer_checkpoint_dependencies/" name

#define KERAS3_SLOTS                               \
        .slots = {[RS_CONV_WEIGHT] = "{m}/vars/0", \
                [RS_CONV_BIAS] = "{m}/vars/1",     \
                [RS_BN_GAMMA] = "{m}/vars/0",      \
                [RS_BN_BETA] = "{m}/vars/1",       \
                [RS_BN_MEAN] = "{m}/vars/2",       \
                [RS_BN_VAR] = "{m}/vars/3",        \
                [RS_HEAD_WEIGHT] = "{m}/vars/0",   \
                [RS_HEAD_BIAS] = "{m}/vars/1"}

/* Pictures are BGR of 0 to 255 less a mean: 1/255 undoes the division by 255. */
#define CAFFE_INPUT                                                                          \
        "size=224x224 resize=256 channels=bgr mean=0.407603922,0.457956863,0.485019608 std=" \
        "0.00392156862745098,0.00392156862745098,0.00392156862745098"

/* What both versions were trained with, in keras.applications. */
#define V1                                                                  \
        .kernel = RS_HWIO, .head_in_out = true, .biases = RS_BIAS_ALL,      \
        .biases_basic = RS_BIAS_ALL, .epsilon = 1.001e-5, .momentum = 0.99, \
        .stride = RS_STRIDE_CONV1, .input = CAFFE_INPUT
#define V2                                                                                \
        .kernel = RS_HWIO, .head_in_out = true, .preactivation = true,                    \
        .biases = RS_BIAS_STEM | RS_BIAS_CONV3 | RS_BIAS_DOWN,                            \
        .biases_basic = RS_BIAS_STEM | RS_BIAS_CONV2 | RS_BIAS_DOWN, .epsilon = 1.001e-5, \
        .momentum = 0.99, .stride = RS_STRIDE_LAST, .pool1 = RS_POOL1_ZERO,               \
        .input = "size=224x224 resize=256 mean=0.5,0.5,0.5 std=0.5,0.5,0.5"

const rs_scheme rs_scheme_keras = {
        .name = "keras",
        .help = "keras.applications' ResNets: conv2_block1_1_conv/conv2_block1_1_conv/kernel:0",
        .modules = {[RS_STEM_CONV] = "conv1_conv",
                [RS_STEM_BN] = "conv1_bn",
                [RS_CONV] = "conv{s+1}_block{b+1}_{c}_conv",
                [RS_BN] = "conv{s+1}_block{b+1}_{c}_bn",
                [RS_DOWN_CONV] = "conv{s+1}_block{b+1}_0_conv",
                [RS_DOWN_BN] = "conv{s+1}_block{b+1}_0_bn",
                [RS_HEAD] = "predictions|probs"},
        KERAS_SLOTS,
        V1,
};

const rs_scheme rs_scheme_keras_v2 = {
        .name = "keras-v2",
        .help = "keras.applications' ResNets, version 2: conv2_block1_preact_bn, post_bn",
        .modules = {[RS_STEM_CONV] = "conv1_conv",
                [RS_CONV] = "conv{s+1}_block{b+1}_{c}_conv",
                [RS_BN] = "conv{s+1}_block{b+1}_{p}_bn",
                [RS_DOWN_CONV] = "conv{s+1}_block{b+1}_0_conv",
                [RS_NORM] = "post_bn",
                [RS_HEAD] = "predictions|probs"},
        KERAS_SLOTS,
        V2,
        .variable = preact,
};

const rs_scheme rs_scheme_keras3 = {
        .name = "keras3",
        .help = "the same in Keras 3's .weights.h5: layers/conv2d_1/vars/0",
        .modules = {[RS_STEM_CONV] = LAYERS("conv2d{n}"),
                [RS_STEM_BN] = LAYERS("batch_normalization{n}"),
                [RS_CONV] = LAYERS("conv2d{n}"),
                [RS_BN] = LAYERS("batch_normalization{n}"),
                [RS_DOWN_CONV] = LAYERS("conv2d{n}"),
                [RS_DOWN_BN] = LAYERS("batch_normalization{n}"),
                [RS_HEAD] = LAYERS("dense")},
        KERAS3_SLOTS,
        V1,
        .variable = number_v1,
};

const rs_scheme rs_scheme_keras3_v2 = {
        .name = "keras3-v2",
        .help = "version 2 in Keras 3's .weights.h5: layers/batch_normalization_2/vars/0",
        .modules = {[RS_STEM_CONV] = LAYERS("conv2d{n}"),
                [RS_CONV] = LAYERS("conv2d{n}"),
                [RS_BN] = LAYERS("batch_normalization{n}"),
                [RS_DOWN_CONV] = LAYERS("conv2d{n}"),
                [RS_NORM] = LAYERS("batch_normalization{n}"),
                [RS_HEAD] = LAYERS("dense")},
        KERAS3_SLOTS,
        V2,
        .variable = number_v2,
};

/* Keras's example for CIFAR-10 (cifar10_resnet.py): layers counted from 1, no norm in the shortcut,
 * BatchNormalization's own epsilon, and Convs padded SAME, so that those with a stride are padded
 * at their end. Pictures are 0 to 1 less the training pictures' mean picture, which no file knows.
 */
static bool
number_cifar(const char *v, const rs_net *net, const rs_place *at, int alternative, char *out,
        size_t size)
{
        if (strcmp(v, "n") != 0 || alternative)
                return false;
        rs_net plain = *net;
        if (at->module == RS_BN || at->module == RS_STEM_BN)
                memset(plain.down, 0, sizeof plain.down);
        return number(&plain, at, true, out, size);
}

const rs_scheme rs_scheme_keras_cifar = {
        .name = "keras-cifar",
        .help = "Keras's CIFAR example, layers counted from 1: conv2d_2/conv2d_2/kernel:0",
        .modules = {[RS_STEM_CONV] = "conv2d{n}",
                [RS_STEM_BN] = "batch_normalization{n}",
                [RS_CONV] = "conv2d{n}",
                [RS_BN] = "batch_normalization{n}",
                [RS_DOWN_CONV] = "conv2d{n}",
                [RS_HEAD] = "dense_1"},
        KERAS_SLOTS,
        .kernel = RS_HWIO,
        .head_in_out = true,
        .biases = RS_BIAS_ALL,
        .biases_basic = RS_BIAS_ALL,
        .epsilon = 1e-3,
        .momentum = 0.99,
        .stride = RS_STRIDE_CONV2,
        .convs_end = true,
        .variable = number_cifar,
};

/* The order of Keras's lists */

struct ranked {
        size_t rank, entry;
};

static int
by_rank(const void *a, const void *b)
{
        const struct ranked *p = a, *q = b;
        if (p->rank != q->rank)
                return p->rank < q->rank ? -1 : 1;
        return (p->entry > q->entry) - (p->entry < q->entry);
}

struct ranking {
        const rs_writing *w;
        rs_map names; /* entry's number + 1 */
        struct ranked *list;
        size_t next;
};

static void
rank_place(struct ranking *r, rs_module module, int stage, int block, int conv)
{
        const rs_place at = {module, stage, block, conv};
        char name[RS_NAME_MAX];
        for (int role = 0; role < RS_ROLES; role++) {
                if (!rs_scheme_name(r->w->scheme, r->w->net, &at, (rs_role)role, 0, name))
                        continue;
                size_t found = (size_t)(uintptr_t)rs_map_get(&r->names, name);
                if (found)
                        r->list[found - 1].rank = r->next;
        }
        r->next++;
}

/* In the model's order, which is by depth: the shortcut's Conv beside the last one, the norms
 * behind both; of version 2, norms stand before. */
static void
rank_block(struct ranking *r, int s, int b)
{
        int n = r->w->net->bottleneck ? 3 : 2;
        bool v2 = r->w->scheme->preactivation;
        for (int c = 1; c <= n; c++) {
                if (v2)
                        rank_place(r, RS_BN, s, b, c);
                if (c == n)
                        rank_place(r, RS_DOWN_CONV, s, b, 1);
                rank_place(r, RS_CONV, s, b, c);
                if (c == n && !v2)
                        rank_place(r, RS_DOWN_BN, s, b, 1);
                if (!v2)
                        rank_place(r, RS_BN, s, b, c);
        }
}

bool
rs_keras_order(const rs_writing *w, size_t *order, resect_error *err)
{
        if (!w->net || !w->scheme)
                return true;
        struct ranking r = {.w = w, .list = rs_alloc(w->n_entries + 1, sizeof *r.list, err)};
        bool ok = r.list != NULL;
        for (size_t i = 0; ok && i < w->n_entries; i++) {
                r.list[i] = (struct ranked){SIZE_MAX, i};
                ok = rs_map_put(
                        &r.names, w->entries[i].name, (void *)(uintptr_t)(i + 1), NULL, err);
        }
        if (ok) {
                rank_place(&r, RS_STEM_CONV, 0, 0, 1);
                rank_place(&r, RS_STEM_BN, 0, 0, 1);
                for (int s = 1; s <= w->net->n_stages; s++)
                        for (int b = 0; b < w->net->blocks[s - 1]; b++)
                                rank_block(&r, s, b);
                rank_place(&r, RS_NORM, 0, 0, 1);
                rank_place(&r, RS_HEAD, 0, 0, 1);
                qsort(r.list, w->n_entries, sizeof *r.list, by_rank);
        }
        for (size_t i = 0; ok && i < w->n_entries; i++)
                order[i] = r.list[i].entry;
        rs_map_free(&r.names);
        rs_free(r.list);
        return ok;
}
