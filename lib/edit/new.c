/* SPDX-License-Identifier: 0BSD */
/*
 * new: a fresh residual network, as torchvision would export it with its BatchNormalization kept.
 * Architectures: He et al., "Deep residual learning" (arXiv:1512.03385, table 1) and "Identity
 * mappings" (arXiv:1603.05027) for v2. v1 has the stride of a bottleneck on its first 1x1, v1.5 on
 * the 3x3 (as torchvision); basic blocks are the same in both.
 */
#include "edit/edit.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const struct net {
        const char *name;
        int blocks[4];
        bool bottleneck;
} nets[] = {
        {"resnet18", {2, 2, 2, 2}, false},
        {"resnet34", {3, 4, 6, 3}, false},
        {"resnet50", {3, 4, 6, 3}, true},
        {"resnet101", {3, 4, 23, 3}, true},
        {"resnet152", {3, 8, 36, 3}, true},
};

typedef enum variant { V1, V15, V2 } variant;

/* A pen that writes nodes one after the other. A failure stops it; whoever holds it asks once, at
 * the end. */
typedef struct pen {
        rs_surgery *s;
        resect_error *err;
        uint64_t seed;
        variant variant;
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
                rs_init_constant(t, fill);
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
conv(pen *p, const char *part, const char *weight, const char *x, int64_t from, int64_t to,
        int64_t kernel, int64_t stride)
{
        const int64_t dims[4] = {to, from, kernel, kernel}, one[2] = {1, 1};
        const char *name = text(p, part, weight), *w = tensor(p, name, "weight", 4, dims, 0);
        if (p->ok)
                rs_init_he(rs_find_tensor(&p->s->m->graph, w), p->seed, w);
        const char *in[] = {x, w};
        rs_node *n = node(p, "Conv", name, in, 2);
        window(p, n, kernel, stride, kernel / 2);
        p->ok = p->ok && rs_node_set_ints(p->s->m, n, "dilations", one, 2, p->err) &&
                rs_node_set_int(p->s->m, n, "group", 1, p->err);
        return name;
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
        int64_t from, width, to, stride;
        bool bottleneck;
} shape;

/* conv, bn, relu, conv, bn[, relu, conv, bn], add, relu */
static const char *
block_v1(pen *p, const char *part, const char *x, const shape *b)
{
        const char *skip = x, *y;
        if (b->bottleneck) {
                bool first = p->variant == V1;
                y = conv(p, part, "conv1", x, b->from, b->width, 1, first ? b->stride : 1);
                y = plain(p, "Relu", part, "relu1", bn(p, part, "bn1", y, b->width), NULL);
                y = conv(p, part, "conv2", y, b->width, b->width, 3, first ? 1 : b->stride);
                y = plain(p, "Relu", part, "relu2", bn(p, part, "bn2", y, b->width), NULL);
                y = bn(p, part, "bn3", conv(p, part, "conv3", y, b->width, b->to, 1, 1), b->to);
        } else {
                y = conv(p, part, "conv1", x, b->from, b->to, 3, b->stride);
                y = plain(p, "Relu", part, "relu1", bn(p, part, "bn1", y, b->to), NULL);
                y = bn(p, part, "bn2", conv(p, part, "conv2", y, b->to, b->to, 3, 1), b->to);
        }
        if (b->stride != 1 || b->from != b->to) {
                skip = conv(p, part, "downsample.0", x, b->from, b->to, 1, b->stride);
                skip = bn(p, part, "downsample.1", skip, b->to);
        }
        return plain(p, "Relu", part, "relu", plain(p, "Add", part, "add", y, skip), NULL);
}

/* bn, relu, conv, bn, relu, conv[, bn, relu, conv], add; a projecting shortcut starts from the
 * first relu */
static const char *
block_v2(pen *p, const char *part, const char *x, const shape *b)
{
        const char *y = plain(p, "Relu", part, "relu1", bn(p, part, "bn1", x, b->from), NULL),
                   *skip = x;
        if (b->stride != 1 || b->from != b->to)
                skip = conv(p, part, "downsample.0", y, b->from, b->to, 1, b->stride);
        if (b->bottleneck) {
                y = conv(p, part, "conv1", y, b->from, b->width, 1, 1);
                y = plain(p, "Relu", part, "relu2", bn(p, part, "bn2", y, b->width), NULL);
                y = conv(p, part, "conv2", y, b->width, b->width, 3, b->stride);
                y = plain(p, "Relu", part, "relu3", bn(p, part, "bn3", y, b->width), NULL);
                y = conv(p, part, "conv3", y, b->width, b->to, 1, 1);
        } else {
                y = conv(p, part, "conv1", y, b->from, b->to, 3, b->stride);
                y = plain(p, "Relu", part, "relu2", bn(p, part, "bn2", y, b->to), NULL);
                y = conv(p, part, "conv2", y, b->to, b->to, 3, 1);
        }
        return plain(p, "Add", part, "add", y, skip);
}

static const char *
trunk(pen *p, const struct net *net, int64_t *channels)
{
        const char *x = conv(p, "", "conv1", "input", 3, 64, 7, 2);
        if (p->variant != V2)
                x = plain(p, "Relu", "", "relu", bn(p, "", "bn1", x, 64), NULL);
        rs_node *pool = node(p, "MaxPool", "maxpool", &x, 1);
        window(p, pool, 3, 2, 1);
        x = "maxpool";
        *channels = 64;
        for (int stage = 0; stage < 4; stage++) {
                const int64_t width = (int64_t)64 << stage,
                              to = net->bottleneck ? 4 * width : width;
                for (int i = 0; i < net->blocks[stage]; i++) {
                        char part[32];
                        snprintf(part, sizeof part, "layer%d.%d", stage + 1, i);
                        const shape b = {
                                *channels, width, to, stage > 0 && i == 0 ? 2 : 1, net->bottleneck};
                        x = (p->variant == V2 ? block_v2 : block_v1)(p, part, x, &b);
                        *channels = to;
                }
        }
        return p->variant != V2
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
                rs_init_uniform(rs_find_tensor(&p->s->m->graph, in[1]), p->seed, in[1], bound);
                rs_init_uniform(rs_find_tensor(&p->s->m->graph, in[2]), p->seed, in[2], bound);
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
choose(rs_surgery *s, const struct net **net, variant *v, int64_t size[2], resect_error *err)
{
        const char *name = rs_setting(s, "name"), *kind = rs_setting(s, "variant");
        if (name == NULL)
                return rs_fail(err, RESECT_ARG,
                        "which network? resnet18, resnet34, resnet50, resnet101 or resnet152");
        *net = NULL;
        for (size_t i = 0; i < sizeof nets / sizeof *nets; i++)
                if (strcmp(nets[i].name, name) == 0)
                        *net = &nets[i];
        if (*net == NULL)
                return rs_fail(err, RESECT_ARG,
                        "%s is not one of resnet18, resnet34, resnet50, resnet101 and resnet152",
                        name);
        *v = kind == NULL || strcmp(kind, "v1.5") == 0 ? V15 : strcmp(kind, "v1") == 0 ? V1 : V2;
        if (*v == V2 && strcmp(kind, "v2") != 0)
                return rs_fail(err, RESECT_ARG, "--variant: \"%s\" is not v1, v1.5 or v2", kind);
        const char **side, *given = rs_setting(s, "size");
        size_t n;
        size[0] = size[1] = 224;
        if (given == NULL)
                return true;
        if (!rs_split(&s->arena, "--size", given, ',', &side, &n, err))
                return false;
        if (n > 2)
                return rs_fail(err, RESECT_ARG, "--size: \"%s\" is not H or H,W", given);
        for (size_t i = 0; i < 2; i++)
                if (!rs_parse_int("--size", side[i < n ? i : 0], 1, 1 << 16, &size[i], err))
                        return false;
        return true;
}

static bool
run(rs_surgery *s, resect_error *err)
{
        pen p = {.s = s, .err = err, .ok = true};
        resect_model *m = s->m;
        const struct net *net = &nets[0];
        int64_t size[2], classes, seed, channels;
        if (!choose(s, &net, &p.variant, size, err) ||
                !rs_setting_int(s, "classes", 1, 1 << 24, 1000, &classes, err) ||
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
        m->graph.name = net->name;
        const char *x = trunk(&p, net, &channels);
        head(&p, x, channels, classes);
        if (!p.ok || !ends(&p, size[0], size[1], classes))
                return false;
        rs_note(s, "%s, %s: %zu nodes, %lld classes, input [N, 3, %lld, %lld]", net->name,
                p.variant == V1    ? "v1"
                : p.variant == V15 ? "v1.5"
                                   : "v2",
                m->graph.n_nodes, (long long)classes, (long long)size[0], (long long)size[1]);
        return true;
}

static const resect_option options[] = {
        {"name", "NAME",
                "resnet18, resnet34, resnet50, resnet101 or resnet152 (may stand without --name)"},
        {"classes", "N", "so many classes (1000)"},
        {"size", "H[,W]", "height and width of the pictures (224)"},
        {"variant", "v1|v1.5|v2",
                "stride on the first 1x1, on the 3x3 (as torchvision, the default), or "
                "pre-activation"},
        {"seed", "N", "of the random weights (0)"},
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
                           "resect-new resnet101 --variant v1 --seed 7 -o v1.onnx",
                .options = options,
                .creates = true},
        .run = run,
};
