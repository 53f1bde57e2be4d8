/* SPDX-License-Identifier: 0BSD */
/*
 * Which family? The blocks of each stage and their kind say the depth; the width of the first stage
 * and its groups say wide or ResNeXt. A network that was cut behind a stage is still told apart
 * when its stages begin like exactly one family. The variant is where the stride sits, and how the
 * stem and the shortcuts are built.
 */
#include "config.h"
#include "look/trunk.h"

#include <stdio.h>
#include <string.h>

static const struct {
        const char *name;
        resect_block_kind kind;
        int blocks[4];
} families[] = {
        {"10", RESECT_BASIC, {1, 1, 1, 1}},
        {"14", RESECT_BOTTLENECK, {1, 1, 1, 1}},
        {"18", RESECT_BASIC, {2, 2, 2, 2}},
        {"26", RESECT_BOTTLENECK, {2, 2, 2, 2}},
        {"34", RESECT_BASIC, {3, 4, 6, 3}},
        {"50", RESECT_BOTTLENECK, {3, 4, 6, 3}},
        {"101", RESECT_BOTTLENECK, {3, 4, 23, 3}},
        {"152", RESECT_BOTTLENECK, {3, 8, 36, 3}},
        {"200", RESECT_BOTTLENECK, {3, 24, 36, 3}},
        {"269", RESECT_BOTTLENECK, {3, 30, 48, 8}},
};
enum { N_FAMILIES = sizeof families / sizeof *families };

static int
stage_blocks(const resect_anatomy *a, int stage)
{
        int n = 0;
        for (size_t i = 0; i < a->n_blocks; i++)
                n += a->blocks[i].pub.stage == stage;
        return n;
}

/* The depth, when the stages begin like exactly one family; *cut tells that stages are missing. */
static const char *
depth_of(const resect_anatomy *a, bool *cut)
{
        const char *found = NULL;
        int stages = (int)a->summary.n_stages;
        if (stages < 3) /* two stages are too little to go by */
                return NULL;
        for (size_t f = 0; f < N_FAMILIES && stages <= 4; f++) {
                bool fits = families[f].kind == a->blocks[0].pub.kind;
                for (int s = 0; fits && s < stages; s++)
                        fits = families[f].blocks[s] == stage_blocks(a, s + 1);
                if (fits && found)
                        return NULL;
                if (fits)
                        found = families[f].name;
        }
        *cut = stages < 4;
        return found;
}

static int64_t
dim(const resect_anatomy *a, const rs_node *conv, int i)
{
        const rs_tensor *t = rs_anatomy_initializer(a, conv, rs_weight_slot(conv));
        int rank;
        int64_t dims[RESECT_RANK_MAX];
        if (t)
                return i < t->rank ? t->dims[i] : -1;
        return rs_weight_slot(conv) < conv->n_in &&
                               rs_value_dims(a, conv->in[rs_weight_slot(conv)], &rank, dims)
                       ? dims[i]
                       : -1;
}

/* CIFAR's: three stages of n blocks each, and a stem of 16 channels. */
static bool
cifar(const resect_anatomy *a, char *out, size_t size)
{
        const rs_ablock *b = &a->blocks[0];
        int n = stage_blocks(a, 1);
        bool basic = b->pub.kind == RESECT_BASIC;
        if (a->summary.n_stages != 3 || n != stage_blocks(a, 2) || n != stage_blocks(a, 3) ||
                !a->stem_convs.n)
                return false;
        if (dim(a, a->stem_convs.at[0], 0) != 16)
                return false;
        int64_t widen = b->pub.out_channels / (basic ? 16 : 64);
        if (widen > 1 && basic)
                snprintf(out, size, "wrn_%d_%lld", 6 * n + 4, (long long)widen);
        else
                snprintf(out, size, "resnet%d", (basic ? 6 : 9) * n + 2);
        return true;
}

/* Squeeze and excitation: beside each main branch a reduction over space that ends in a product
 * with it. */
static const char *
attention(const resect_anatomy *a)
{
        size_t se = 0, eca = 0;
        for (size_t i = 0; i < a->n_blocks; i++) {
                const rs_nodes *n = &a->blocks[i].main_nodes;
                bool reduces = false, scales = false;
                size_t maps = 0, lines = 0;
                for (size_t k = 0; k < n->n; k++) {
                        const rs_node *node = n->at[k];
                        reduces |= rs_op_in(node, (const char *const[]){"GlobalAveragePool",
                                                          "ReduceMean", "AveragePool", NULL});
                        scales |= !strcmp(node->op, "Mul");
                        if (rs_is_conv(node) ||
                                rs_op_in(node, (const char *const[]){"Gemm", "MatMul", NULL})) {
                                maps++;
                                lines += rs_is_conv(node) && dim(a, node, 2) > 0 &&
                                         dim(a, node, 3) < 0;
                        }
                }
                se += reduces && scales && maps >= a->blocks[i].convs.n + 2;
                eca += reduces && scales && lines > 0;
        }
        return eca * 2 > a->n_blocks ? "eca" : se * 2 > a->n_blocks ? "se" : "";
}

static void
name_family(resect_anatomy *a)
{
        char *out = a->summary.family;
        size_t size = sizeof a->summary.family;
        bool cut = false;
        if (!a->n_blocks) {
                snprintf(out, size, "not a residual network");
                return;
        }
        snprintf(out, size, "residual network");
        if (cifar(a, out, size))
                return;
        const char *depth = depth_of(a, &cut), *extra = attention(a);
        if (!depth)
                return;
        const rs_ablock *b = &a->blocks[0];
        const rs_node *middle = b->convs.at[b->convs.n / 2];
        int64_t groups = rs_node_int(middle, "group", 1), inner = dim(a, middle, 0);
        char suffix[32] = "";
        if (cut)
                snprintf(suffix, sizeof suffix, " up to layer%zu", a->summary.n_stages);
        if (b->pub.kind == RESECT_BOTTLENECK && groups > 1 && inner > 0 && inner % groups == 0)
                snprintf(out, size, "%.3sresnext%.3s_%dx%dd%.20s", extra, depth, (int)groups,
                        (int)(inner / groups), suffix);
        else if (b->pub.kind == RESECT_BOTTLENECK && inner > 64 && inner % 64 == 0 &&
                 b->pub.out_channels == 256)
                snprintf(out, size, "wide_%.3sresnet%.3s_%d%.20s", extra, depth, (int)(inner / 64),
                        suffix);
        else
                snprintf(out, size, "%.3sresnet%.3s%.20s", extra, depth, suffix);
}

static int64_t
stride(const rs_node *conv)
{
        const rs_attr *s = rs_node_attr(conv, "strides");
        return s && s->type == RS_ATTR_INTS && s->n ? s->ints[0] : 1;
}

static void
name_variant(resect_anatomy *a)
{
        size_t first = 0, second = 0, last = 0, pooled = 0, plain = 0;
        if (!a->n_blocks)
                return;
        for (size_t i = 0; i < a->n_blocks; i++) {
                const rs_ablock *b = &a->blocks[i];
                plain += !b->relu && !b->cut && !b->pub.preactivation;
                if (b->pub.stride > 1 && !b->downsample && b->pub.index &&
                        b->pub.in_channels == b->pub.out_channels)
                        last++;
                else if (b->pub.stride > 1 && b->pub.kind == RESECT_BOTTLENECK &&
                         stride(b->convs.at[0]) > 1)
                        first++;
                else if (b->pub.stride > 1 && b->pub.kind == RESECT_BOTTLENECK)
                        second++;
                for (size_t k = 0; b->downsample && k < b->shortcut_nodes.n; k++)
                        pooled += !strcmp(b->shortcut_nodes.at[k]->op, "AveragePool");
        }
        if (plain * 2 > a->n_blocks) /* no activation after the sums nor before: MobileNet v2 and
                                        its like */
                return;
        const char *base = a->blocks[0].pub.preactivation ? "v2"
                           : last                         ? "v1-slim"
                           : second > first               ? "v1.5"
                                                          : "v1",
                   *more = "";
        if (a->stem_convs.n == 3 && dim(a, a->stem_convs.at[0], 2) == 3)
                more = pooled ? "-d" : dim(a, a->stem_convs.at[0], 0) == 64 ? "-s" : "-c";
        snprintf(a->summary.variant, sizeof a->summary.variant, "%s%s", base, more);
}

static bool
any_name(const resect_model *m, const char *part)
{
        for (size_t i = 0; i < m->graph.n_nodes && i < 200; i++) {
                const rs_node *n = m->graph.nodes[i];
                if (n->n_out && (strstr(n->out[0], part) || strstr(n->name, part)))
                        return true;
        }
        return false;
}

/* PyTorch's newer exporter, which starts from torch.export, says so in the metadata of its nodes.
 */
static bool
is_dynamo(const resect_model *m)
{
        static const char mark[] = "pkg.torch.onnx.";
        for (size_t i = 0; i < m->graph.n_nodes && i < 8; i++) {
                rs_span wire = m->graph.nodes[i]->wire;
                if (wire.size && memmem(wire.data, wire.size, mark, sizeof mark - 1))
                        return true;
        }
        return false;
}

static void
name_exporter(resect_anatomy *a)
{
        const resect_model *m = a->model;
        const char *guess = "unknown";
        if (m->producer[0]) {
                snprintf(a->summary.exporter, sizeof a->summary.exporter, "%.32s%s%.16s%s",
                        m->producer, m->producer_version[0] ? " " : "", m->producer_version,
                        is_dynamo(m) ? " (dynamo)" : "");
                return;
        }
        if (any_name(m, "gpu_0/"))
                guess = "Caffe2";
        else if (any_name(m, "resnetv") || any_name(m, "_fwd") || any_name(m, "_plus"))
                guess = "MXNet";
        else if (any_name(m, "StatefulPartitionedCall") || any_name(m, "/BiasAdd"))
                guess = "TensorFlow";
        else if (any_name(m, "p2o."))
                guess = "Paddle2ONNX";
        snprintf(a->summary.exporter, sizeof a->summary.exporter, "%s", guess);
}

void
rs_anatomy_family(resect_anatomy *a)
{
        name_family(a);
        name_variant(a);
        name_exporter(a);
}
