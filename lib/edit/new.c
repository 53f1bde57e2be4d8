/* SPDX-License-Identifier: 0BSD */
/*
 * new: a fresh residual network, as torchvision would export it with its BatchNormalization kept.
 * Architectures: He et al., "Deep residual learning" (arXiv:1512.03385) and "Identity mappings"
 * (arXiv:1603.05027) for v2; recipe.c knows them by name. v1 has the stride of a bottleneck on its
 * first 1x1, v1.5 on the 3x3 (as torchvision); basic blocks are the same in both.
 */
#include "edit/recipe.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* A pen that writes nodes one after the other. A failure stops it; whoever holds it asks once, at
 * the end. */
typedef struct pen {
        rs_surgery *s;
        resect_error *err;
        uint64_t seed;
        const rs_recipe *r;
        bool ok;
} pen;

static const char *
text(pen *p, const char *part, const char *name)
{
        const char *t = NULL;
        if (p->ok)
                t = rs_arena_printf(
                        &p->s->m->arena, p->err, "%s%s%s", part, part[0] != '\0' ? "." : "", name);
        p->ok = t != NULL;
        return p->ok ? t : "";
}

static const char *
tensor(pen *p, const char *part, const char *name, int rank, const int64_t *dims, double fill)
{
        const char *full = text(p, part, name);
        rs_tensor *t =
                p->ok ? rs_model_add_tensor(p->s->m, full, RESECT_FLOAT, rank, dims, p->err) : NULL;
        p->ok = t != NULL;
        if (p->ok && fill != 0)
                rs_init_constant(p->s, t, fill);
        return full;
}

/* A node with in[0 .. n) whose output has its own name. */
static rs_node *
node(pen *p, const char *op, const char *name, const char *const *in, size_t n)
{
        rs_node *made =
                p->ok ? rs_model_add_node(p->s->m, op, name, in, n, &name, 1, p->err) : NULL;
        p->ok = made != NULL;
        return made;
}

static void
window(pen *p, rs_node *n, int64_t kernel, int64_t stride, int64_t pad)
{
        const int64_t k[2] = {kernel, kernel}, s[2] = {stride, stride},
                      pads[4] = {pad, pad, pad, pad};
        p->ok = p->ok && rs_node_set_ints(p->s->m, n, "kernel_shape", k, 2, p->err) &&
                rs_node_set_ints(p->s->m, n, "pads", pads, 4, p->err) &&
                rs_node_set_ints(p->s->m, n, "strides", s, 2, p->err);
}

/* weight is "conv1", or "downsample.0" as torchvision calls a shortcut's. */
static const char *
grouped(pen *p, const char *part, const char *weight, const char *x, int64_t from, int64_t to,
        int64_t kernel, int64_t stride, int64_t groups)
{
        const int64_t dims[4] = {to, from / groups, kernel, kernel}, one[2] = {1, 1};
        const char *name = text(p, part, weight), *w = tensor(p, name, "weight", 4, dims, 0);
        if (p->ok)
                rs_init_he(p->s, rs_find_tensor(&p->s->m->graph, w), p->seed, w);
        const char *in[] = {x, w};
        rs_node *n = node(p, "Conv", name, in, 2);
        window(p, n, kernel, stride, kernel / 2);
        p->ok = p->ok && rs_node_set_ints(p->s->m, n, "dilations", one, 2, p->err) &&
                rs_node_set_int(p->s->m, n, "group", groups, p->err);
        return name;
}

static const char *
conv(pen *p, const char *part, const char *weight, const char *x, int64_t from, int64_t to,
        int64_t kernel, int64_t stride)
{
        return grouped(p, part, weight, x, from, to, kernel, stride, 1);
}

static const char *
bn(pen *p, const char *part, const char *which, const char *x, int64_t channels)
{
        const char *name = text(p, part, which);
        const char *in[5] = {x};
        static const char *const names[4] = {"weight", "bias", "running_mean", "running_var"};
        for (int i = 0; i < 4; i++)
                in[i + 1] = tensor(p, name, names[i], 1, &channels, i == 0 || i == 3);
        rs_node *n = node(p, "BatchNormalization", name, in, 5);
        p->ok = p->ok && rs_node_set_float(p->s->m, n, "epsilon", 1e-5f, p->err) &&
                rs_node_set_float(p->s->m, n, "momentum", 0.9f, p->err) &&
                rs_node_set_int(p->s->m, n, "training_mode", 0, p->err);
        return name;
}

static const char *
plain(pen *p, const char *op, const char *part, const char *which, const char *x, const char *y)
{
        const char *name = text(p, part, which), *in[] = {x, y};
        node(p, op, name, in, y != NULL ? 2 : 1);
        return name;
}

typedef struct shape {
        int64_t from, inner, to, stride;
        bool first; /* of its stage */
} shape;

static const char *
ints(pen *p, const char *part, const char *name, const int64_t *v, size_t n)
{
        const char *full = text(p, part, name);
        p->ok = p->ok && rs_build_ints(p->s, full, v, n, p->err) != NULL;
        return full;
}

/* Every other pixel, and half of the channels that are missing on either side, as zeros. */
static const char *
pad_shortcut(pen *p, const char *part, const char *x, const shape *b)
{
        const int64_t zero[2] = {0, 0}, far[2] = {INT64_MAX, INT64_MAX}, axes[2] = {2, 3},
                      steps[2] = {b->stride, b->stride}, more = b->to - b->from,
                      pads[8] = {0, more / 2, 0, 0, 0, more - more / 2, 0, 0};
        if (b->stride != 1) {
                const char *in[] = {x, ints(p, part, "shortcut.starts", zero, 2),
                        ints(p, part, "shortcut.ends", far, 2),
                        ints(p, part, "shortcut.axes", axes, 2),
                        ints(p, part, "shortcut.steps", steps, 2)};
                x = text(p, part, "shortcut.slice");
                node(p, "Slice", x, in, 5);
        }
        const char *in[] = {x, ints(p, part, "shortcut.pads", pads, 8)};
        x = text(p, part, "shortcut.pad");
        node(p, "Pad", x, in, 2);
        return x;
}

/* From x to the sum, where they differ in size or channels; else x itself. raw is what a padded
 * shortcut starts from: in v2 x has passed a norm. */
static const char *
shortcut(pen *p, const char *part, const char *x, const char *raw, const shape *b)
{
        const rs_recipe *r = p->r;
        bool pooled = r->skip == RS_SKIP_POOL;
        if (b->stride == 1 && b->from == b->to && !(r->skip_first && b->first))
                return raw;
        if (r->skip == RS_SKIP_PAD)
                return pad_shortcut(p, part, raw, b);
        if (pooled && b->stride != 1) {
                const char *name = text(p, part, "downsample.0");
                rs_node *n = node(p, "AveragePool", name, &x, 1);
                window(p, n, 2, b->stride, 0);
                p->ok = p->ok && rs_node_set_int(p->s->m, n, "ceil_mode", 1, p->err) &&
                        rs_node_set_int(p->s->m, n, "count_include_pad", 0, p->err);
                x = name;
        }
        x = conv(p, part, pooled ? "downsample.1" : "downsample.0", x, b->from, b->to, 1,
                pooled ? 1 : b->stride);
        if (r->kind == RS_V2 || r->skip == RS_SKIP_BARE)
                return x;
        return bn(p, part, pooled ? "downsample.2" : "downsample.1", x, b->to);
}

/* conv, bn, relu, conv, bn[, relu, conv, bn], add, relu */
static const char *
block_v1(pen *p, const char *part, const char *x, const shape *b)
{
        const char *y;
        if (p->r->bottleneck) {
                bool first = p->r->kind == RS_V1;
                y = conv(p, part, "conv1", x, b->from, b->inner, 1, first ? b->stride : 1);
                y = plain(p, "Relu", part, "relu1", bn(p, part, "bn1", y, b->inner), NULL);
                y = grouped(p, part, "conv2", y, b->inner, b->inner, 3, first ? 1 : b->stride,
                        p->r->groups);
                y = plain(p, "Relu", part, "relu2", bn(p, part, "bn2", y, b->inner), NULL);
                y = bn(p, part, "bn3", conv(p, part, "conv3", y, b->inner, b->to, 1, 1), b->to);
        } else {
                y = conv(p, part, "conv1", x, b->from, b->to, 3, b->stride);
                y = plain(p, "Relu", part, "relu1", bn(p, part, "bn1", y, b->to), NULL);
                y = bn(p, part, "bn2", conv(p, part, "conv2", y, b->to, b->to, 3, 1), b->to);
        }
        const char *skip = shortcut(p, part, x, x, b);
        return plain(p, "Relu", part, "relu", plain(p, "Add", part, "add", y, skip), NULL);
}

/* bn, relu, conv, bn, relu, conv[, bn, relu, conv], add; a projecting shortcut starts from the
 * first relu */
static const char *
block_v2(pen *p, const char *part, const char *x, const shape *b)
{
        const char *y = plain(p, "Relu", part, "relu1", bn(p, part, "bn1", x, b->from), NULL),
                   *skip = shortcut(p, part, y, x, b);
        if (p->r->bottleneck) {
                y = conv(p, part, "conv1", y, b->from, b->inner, 1, 1);
                y = plain(p, "Relu", part, "relu2", bn(p, part, "bn2", y, b->inner), NULL);
                y = grouped(p, part, "conv2", y, b->inner, b->inner, 3, b->stride, p->r->groups);
                y = plain(p, "Relu", part, "relu3", bn(p, part, "bn3", y, b->inner), NULL);
                y = conv(p, part, "conv3", y, b->inner, b->to, 1, 1);
        } else {
                y = conv(p, part, "conv1", y, b->from, b->to, 3, b->stride);
                y = plain(p, "Relu", part, "relu2", bn(p, part, "bn2", y, b->to), NULL);
                y = conv(p, part, "conv2", y, b->to, b->to, 3, 1);
        }
        return plain(p, "Add", part, "add", y, skip);
}

/* Up to the first block; v2 has its last norm and ReLU in that. */
static const char *
stem(pen *p, int64_t *channels)
{
        static const char *const convs[] = {"conv1.0", "conv1.3", "conv1.6"},
                                 *const norms[] = {"conv1.1", "conv1.4", "bn1"},
                                 *const relus[] = {"conv1.2", "conv1.5", "relu"};
        const rs_recipe *r = p->r;
        const char *x = "input";
        int n = r->stem == RS_STEM_DEEP ? 3 : 1;
        *channels = 3;
        for (int i = 0; i < n; i++) {
                int64_t to = r->stem_width[i];
                x = conv(p, "", n == 1 ? "conv1" : convs[i], x, *channels, to,
                        r->stem == RS_STEM_LARGE ? 7 : 3,
                        i == 0 && r->stem != RS_STEM_SMALL ? 2 : 1);
                *channels = to;
                if (r->kind == RS_V2 && i + 1 == n)
                        break;
                x = bn(p, "", n == 1 ? "bn1" : norms[i], x, to);
                x = plain(p, "Relu", "", n == 1 ? "relu" : relus[i], x, NULL);
        }
        if (r->stem == RS_STEM_SMALL)
                return x;
        rs_node *pool = node(p, "MaxPool", "maxpool", &x, 1);
        window(p, pool, 3, 2, 1);
        return "maxpool";
}

static const char *
trunk(pen *p, int64_t *channels)
{
        const rs_recipe *r = p->r;
        const char *x = stem(p, channels);
        for (int stage = 0; stage < r->n_stages; stage++) {
                const int64_t width = r->width << stage, to = r->bottleneck ? 4 * width : width;
                for (int i = 0; i < r->blocks[stage]; i++) {
                        char part[32];
                        snprintf(part, sizeof part, "layer%d.%d", stage + 1, i);
                        const shape b = {*channels, rs_recipe_inner(r, width), to,
                                stage > 0 && i == 0 ? 2 : 1, i == 0};
                        x = (r->kind == RS_V2 ? block_v2 : block_v1)(p, part, x, &b);
                        *channels = to;
                }
        }
        return r->kind != RS_V2
                       ? x
                       : plain(p, "Relu", "", "relu", bn(p, "", "norm", x, *channels), NULL);
}

static void
head(pen *p, const char *x, int64_t channels, int64_t classes)
{
        const int64_t dims[2] = {classes, channels};
        x = plain(p, "GlobalAveragePool", "", "avgpool", x, NULL);
        rs_node *flat = node(p, "Flatten", "features", &x, 1);
        p->ok = p->ok && rs_node_set_int(p->s->m, flat, "axis", 1, p->err);
        const char *in[] = {"features", tensor(p, "fc", "weight", 2, dims, 0),
                tensor(p, "fc", "bias", 1, &classes, 0)};
        if (p->ok) {
                double bound = 1 / sqrt((double)channels);
                rs_init_uniform(
                        p->s, rs_find_tensor(&p->s->m->graph, in[1]), p->seed, in[1], bound);
                rs_init_uniform(
                        p->s, rs_find_tensor(&p->s->m->graph, in[2]), p->seed, in[2], bound);
        }
        const char *out = "logits";
        rs_node *fc =
                p->ok ? rs_model_add_node(p->s->m, "Gemm", "fc", in, 3, &out, 1, p->err) : NULL;
        p->ok = fc != NULL && rs_node_set_int(p->s->m, fc, "transB", 1, p->err);
}

static bool
ends(pen *p, int64_t height, int64_t width, int64_t classes)
{
        resect_model *m = p->s->m;
        const int64_t in[4] = {-1, 3, height, width}, out[2] = {-1, classes};
        const char *const symbols[4] = {"N", NULL, NULL, NULL};
        rs_value *x = rs_model_make_value(m, "input", RESECT_FLOAT, 4, in, symbols, p->err);
        rs_value *y =
                x != NULL ? rs_model_make_value(m, "logits", RESECT_FLOAT, 2, out, symbols, p->err)
                          : NULL;
        rs_graph *g = &m->graph;
        return y != NULL && rs_array_push(m, (void ***)&g->inputs, &g->n_inputs, x, p->err) &&
               rs_array_push(m, (void ***)&g->outputs, &g->n_outputs, y, p->err);
}

static bool
run(rs_surgery *s, resect_error *err)
{
        rs_recipe r;
        pen p = {.s = s, .err = err, .r = &r, .ok = true};
        resect_model *m = s->m;
        int64_t classes, seed, channels;
        if (!rs_recipe_read(s, &r, err) ||
                !rs_setting_int(s, "classes", 1, 1 << 24, r.stem == RS_STEM_SMALL ? 10 : 1000,
                        &classes, err) ||
                !rs_setting_int(s, "seed", 0, INT64_MAX, 0, &seed, err))
                return false;
        p.seed = (uint64_t)seed;
        m->ir_version = 8;
        m->producer = "resect";
        m->producer_version = resect_version();
        m->opsets = RS_NEW(&m->arena, 1, rs_opset, err);
        if (m->opsets == NULL)
                return false;
        m->n_opsets = 1;
        m->opsets[0] = (rs_opset){"", 17};
        m->graph.name = rs_arena_strdup(&m->arena, r.name, err);
        if (m->graph.name == NULL)
                return false;
        const char *x = trunk(&p, &channels);
        head(&p, x, channels, classes);
        if (!p.ok || !ends(&p, r.size[0], r.size[1], classes))
                return false;
        rs_note(s, "%s, %s: %zu nodes, %lld classes, input [N, 3, %lld, %lld]", r.name,
                r.kind == RS_V1    ? "v1"
                : r.kind == RS_V15 ? "v1.5"
                                   : "v2",
                m->graph.n_nodes, (long long)classes, (long long)r.size[0], (long long)r.size[1]);
        return true;
}

static const resect_option options[] = {
        {"name", "NAME",
                "which network (may stand without --name): resnet18, 34, 50, 101, 152, with c, d "
                "or "
                "s behind it for timm's; resnet20, 32, 44, 56, 110 of CIFAR; resnext50_32x4d, "
                "resnext101_32x8d, resnext101_64x4d, wide_resnet50_2, wide_resnet101_2"},
        {"classes", "N", "so many classes (1000, or CIFAR's 10)"},
        {"size", "H[,W]", "height and width of the pictures (224, or CIFAR's 32)"},
        {"variant", "v1|v1.5|v2",
                "stride on the first 1x1, on the 3x3 (as torchvision, the default), or "
                "pre-activation"},
        {"blocks", "N,N,...", "so many blocks in each stage, instead of the name's"},
        {"width", "N",
                "channels of the first stage, doubled from stage to stage (64, or CIFAR's 16)"},
        {"groups", "N", "groups of a bottleneck's 3x3 (ResNeXt)"},
        {"group-width", "N", "channels of a group, where the stage is 64 wide"},
        {"stem", "large|small|deep",
                "a 7x7 of stride 2 and a pool; one 3x3 without either, as CIFAR's; or three 3x3, "
                "the first of stride 2, and a pool"},
        {"stem-width", "N[,N,N]", "channels of the stem's Convs"},
        {"shortcut", "conv|pool|bare|pad",
                "where a block changes sizes: a 1x1 Conv with its norm, the same behind an average "
                "pool, the Conv alone, or no weights: every other pixel, and channels of zeros on "
                "both sides (option A of the paper)"},
        {"shortcut-first", NULL,
                "a stage's first block has a Conv in its shortcut even where nothing changes "
                "(PaddleClas's ResNet18 and 34)"},
        {"seed", "N", "seed of the random weights (0)"},
        {NULL, NULL, NULL},
};

const rs_edit rs_edit_new = {
        .face = {.name = "new",
                .brief = "make a fresh residual network",
                .description = "Writes a residual network with random weights: opset 17, IR "
                               "version 8, a symbolic batch N, torchvision's tensor "
                               "names, BatchNormalization kept apart from Conv, so that it can be "
                               "trained.\n\n"
                               "Weights of Conv are drawn from a normal distribution of variance 2 "
                               "/ (output channels x kernel size), those of "
                               "the classifier uniformly within 1 / sqrt(features); "
                               "BatchNormalization starts at scale 1, bias 0, mean 0, "
                               "variance 1. The same seed gives the same bytes.\n\n"
                               "v1 and v1.5 differ in where a bottleneck block has its stride; v2 "
                               "is the pre-activation form, with one "
                               "more norm and ReLU before the pool.",
                .example = "resect-new resnet18 --classes 10 --size 32 > small.onnx\n"
                           "resect-new resnet56 --shortcut pad -o cifar.onnx\n"
                           "resect-new resnet101d -o deep.onnx\n"
                           "resect-new resnet101 --variant v1 --seed 7 -o v1.onnx",
                .options = options,
                .creates = true},
        .run = run,
};
