/* SPDX-License-Identifier: 0BSD */
/* Building the forms: a small writer of graphs that keeps the current value, its channels and size.
 */
#include "unit.h"

#include <math.h>
#include <stdarg.h>
#include <string.h>
#include "base/random.h"
#include "forms.h"

typedef struct net {
        resect_model *m;
        const form *f;
        uint64_t seed;
        int64_t opset;
        const char *at; /* the current value */
        int64_t c, hw;  /* its channels, height and width */
        int number;
        resect_error err;
} net;

#define MUST(n, call) ck_assert_msg((call), "%s: %s", #call, (n)->err.msg)

static char *text(net *n, const char *fmt, ...) RESECT_PRINTF(2, 3);

static char *
text(net *n, const char *fmt, ...)
{
        char buf[128];
        va_list ap;
        va_start(ap, fmt);
        vsnprintf(buf, sizeof buf, fmt, ap);
        va_end(ap);
        char *s = rs_arena_strdup(&n->m->arena, buf, &n->err);
        ck_assert_ptr_nonnull(s);
        return s;
}

/* A node with a made-up output name, which becomes the current value. */
static rs_node *
put(net *n, const char *op, size_t n_in, const char *const *in)
{
        const char *out = text(n, "v%d", n->number), *name = text(n, "n%d", n->number);
        n->number++;
        rs_node *node = rs_model_add_node(n->m, op, name, in, n_in, &out, 1, &n->err);
        ck_assert_ptr_nonnull(node);
        n->at = node->out[0];
        return node;
}
#define PUT(n, op, ...)                                                    \
        put(n, op, sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *), \
                (const char *[]){__VA_ARGS__})

static void
ints(net *n, rs_node *node, const char *name, size_t count, ...)
{
        int64_t v[8];
        va_list ap;
        va_start(ap, count);
        for (size_t i = 0; i < count; i++)
                v[i] = va_arg(ap, int);
        va_end(ap);
        MUST(n, rs_node_set_ints(n->m, node, name, v, count, &n->err));
}

/* A float initializer: mean + spread * normal. */
static const char *
weights(net *n, const char *name, int rank, const int64_t *dims, double mean, double spread)
{
        rs_tensor *t = rs_model_add_tensor(n->m, name, RESECT_FLOAT, rank, dims, &n->err);
        ck_assert_ptr_nonnull(t);
        float *x = (float *)(void *)t->data.data;
        uint64_t stream = rs_stream(name, 0, 0);
        for (size_t i = 0; i < t->count; i++)
                x[i] = (float)(mean + (spread > 0 ? spread * rs_normal(n->seed, stream, i) : 0));
        return t->name;
}

static const char *
integers(net *n, size_t count, ...)
{
        rs_tensor *t = rs_model_add_tensor(n->m, text(n, "k%d", n->number++), RESECT_INT64, 1,
                (int64_t[]){(int64_t)count}, &n->err);
        ck_assert_ptr_nonnull(t);
        va_list ap;
        va_start(ap, count);
        for (size_t i = 0; i < count; i++)
                ((int64_t *)(void *)t->data.data)[i] = va_arg(ap, int);
        va_end(ap);
        return t->name;
}

/* With f->identity all equal vectors are one initializer behind Identity nodes. */
static const char *
vector(net *n, const char *name, int64_t c, double mean, double spread)
{
        if (!n->f->identity)
                return weights(n, name, 1, &c, mean, spread);
        const char *shared = text(n, "shared_%g_%lld", mean, (long long)c), *at = n->at;
        if (!rs_model_is_initializer(n->m, shared))
                weights(n, shared, 1, &c, mean, 0);
        PUT(n, "Identity", shared);
        const char *alias = n->at;
        n->at = at;
        return alias;
}

static void
norm(net *n, const char *name)
{
        if (n->f->bn == BN_FOLDED)
                return;
        const char *in = n->at, *w = vector(n, text(n, "%s.weight", name), n->c, 1, 0.1),
                   *b = vector(n, text(n, "%s.bias", name), n->c, 0, 0.1),
                   *mean = vector(n, text(n, "%s.running_mean", name), n->c, 0, 0.1),
                   *var = weights(n, text(n, "%s.running_var", name), 1, &n->c, 1, 0);
        rs_node *bn = PUT(n, "BatchNormalization", in, w, b, mean, var);
        MUST(n, rs_node_set_float(n->m, bn, "epsilon", 1e-5f, &n->err) &&
                        rs_node_set_float(n->m, bn, "momentum", 0.9f, &n->err));
}

static void
active(net *n)
{
        PUT(n, "Relu", n->at);
}

/* A Conv with padding that keeps the size (over the stride), as a node of its own where f->pads and
 * stride > 1. */
static void
conv(net *n, const char *name, int64_t out, int kernel, int stride, int group)
{
        const char *in = n->at, *bias = NULL;
        int pad = kernel / 2;
        if (n->f->pads && stride > 1 && pad) {
                if (n->opset >= 11) {
                        PUT(n, "Pad", in, integers(n, 8, 0, 0, pad, pad, 0, 0, pad, pad));
                } else {
                        ints(n, PUT(n, "Pad", in), "pads", 8, 0, 0, pad, pad, 0, 0, pad, pad);
                }
                in = n->at;
                pad = 0;
        }
        int64_t dims[] = {out, n->c / group, kernel, kernel};
        const char *w = weights(n, text(n, "%s.weight", name), 4, dims, 0,
                sqrt(2.0 / (double)(dims[1] * kernel * kernel)));
        if (n->f->bn == BN_FOLDED) {
                bias = weights(n, text(n, "%s.bias", name), 1, &out, 0, 0.1);
        } else if (n->f->bn == BN_KEPT_ZERO_BIAS) {
                bias = text(n, "zeros_%lld", (long long)out);
                if (!rs_model_is_initializer(n->m, bias))
                        weights(n, bias, 1, &out, 0, 0);
        }
        rs_node *c = bias ? PUT(n, "Conv", in, w, bias) : PUT(n, "Conv", in, w);
        ints(n, c, "kernel_shape", 2, kernel, kernel);
        ints(n, c, "strides", 2, stride, stride);
        ints(n, c, "pads", 4, pad, pad, pad, pad);
        MUST(n, rs_node_set_int(n->m, c, "group", group, &n->err));
        n->c = out;
        n->hw = (n->hw + stride - 1) / stride;
}

static void
pool(net *n, const char *op, int kernel, int stride, int pad)
{
        rs_node *p = PUT(n, op, n->at);
        ints(n, p, "kernel_shape", 2, kernel, kernel);
        ints(n, p, "strides", 2, stride, stride);
        ints(n, p, "pads", 4, pad, pad, pad, pad);
        n->hw = (n->hw + 2 * pad - kernel) / stride + 1;
}

static void
stem(net *n, int width)
{
        const form *f = n->f;
        if (f->data_bn)
                norm(n, "bn_data");
        if (f->stem == STEM_CIFAR) {
                conv(n, "conv1", width, 3, 1, 1);
        } else if (f->stem == STEM_IMAGENET) {
                conv(n, "conv1", width, 7, 2, 1);
        } else {
                int first = f->stem == STEM_DEEP_WIDE ? 64 : width / 2;
                conv(n, "conv1.0", first, 3, 2, 1);
                norm(n, "conv1.1");
                active(n);
                conv(n, "conv1.3", first, 3, 1, 1);
                norm(n, "conv1.4");
                active(n);
                conv(n, "conv1.6", width, 3, 1, 1);
        }
        if (!f->v2 || f->stem != STEM_CIFAR) {
                norm(n, "bn1");
                active(n);
        }
        if (f->stem != STEM_CIFAR)
                pool(n, "MaxPool", 3, 2, 1);
}

static void
excite(net *n, const char *name)
{
        const char *in = n->at;
        int64_t c = n->c, hw = n->hw;
        PUT(n, "GlobalAveragePool", in);
        n->hw = 1;
        conv(n, text(n, "%s.se.fc1", name), c / 2, 1, 1, 1);
        active(n);
        conv(n, text(n, "%s.se.fc2", name), c, 1, 1, 1);
        PUT(n, "Sigmoid", n->at);
        PUT(n, "Mul", in, n->at);
        n->hw = hw;
}

/* Channels and size without parameters: every second pixel, new channels zero. */
static void
shortcut_a(net *n, int64_t out, int stride)
{
        int add = (int)(out - n->c);
        if (n->f->shortcut == SHORTCUT_CONCAT) {
                pool(n, "AveragePool", stride, stride, 0);
                int64_t dims[] = {1, add, n->hw, n->hw};
                const char *at = n->at,
                           *zero = weights(n, text(n, "zero%d", n->number), 4, dims, 0, 0);
                MUST(n, rs_node_set_int(n->m, PUT(n, "Concat", at, zero), "axis", 1, &n->err));
        } else {
                const char *at = n->at;
                PUT(n, "Slice", at, integers(n, 2, 0, 0), integers(n, 2, 100000, 100000),
                        integers(n, 2, 2, 3), integers(n, 2, stride, stride));
                PUT(n, "Pad", n->at, integers(n, 8, 0, add / 2, 0, 0, 0, add - add / 2, 0, 0));
                n->hw = (n->hw + stride - 1) / stride;
        }
        n->c = out;
}

static void
shortcut(net *n, const char *name, int64_t out, int stride, bool project)
{
        const form *f = n->f;
        int number = 0;
        if (!project) {
                if (stride > 1)
                        pool(n, "MaxPool", 1, stride, 0);
                return;
        }
        if (f->shortcut == SHORTCUT_A || f->shortcut == SHORTCUT_CONCAT) {
                shortcut_a(n, out, stride);
                return;
        }
        if (f->shortcut == SHORTCUT_AVGPOOL && stride > 1) {
                pool(n, "AveragePool", 2, 2, 0);
                stride = 1;
                number++;
        }
        conv(n, text(n, "%s.downsample.%d", name, number), out, 1, stride, 1);
        if (!f->v2)
                norm(n, text(n, "%s.downsample.%d", name, number + 1));
}

static void
block(net *n, int s, int b, int64_t inner, int64_t out, int stride)
{
        const form *f = n->f;
        int convs = f->bottleneck ? 3 : 2,
            strided = f->bottleneck ? f->stride == STRIDE_V1 ? 1 : 2 : 1;
        const char *name = text(n, "layer%d.%d", s, b), *in = n->at;
        int64_t c = n->c, hw = n->hw;
        bool project = c != out;
        if (f->v2) { /* the first normalisation is kept in every v2 that was exported: nothing can
                        take it in */
                form kept = *f;
                kept.bn = f->bn == BN_FOLDED ? BN_KEPT : f->bn;
                n->f = &kept;
                norm(n, text(n, "%s.bn1", name));
                n->f = f;
                active(n);
        }
        const char *fork = f->v2 && project ? n->at : in;
        for (int i = 1; i <= convs; i++) {
                int kernel = f->bottleneck && i != 2 ? 1 : 3;
                conv(n, text(n, "%s.conv%d", name, i), i == convs ? out : inner, kernel,
                        i == strided ? stride : 1,
                        f->bottleneck && i == 2 && f->groups ? f->groups : 1);
                if (!f->v2 || i < convs)
                        norm(n, text(n, "%s.bn%d", name, f->v2 ? i + 1 : i));
                if (i < convs)
                        active(n);
        }
        if (f->se)
                excite(n, name);
        const char *main = n->at;
        int64_t hw_out = n->hw;
        n->at = fork;
        n->c = c;
        n->hw = hw;
        shortcut(n, name, out, stride, project);
        ck_assert_int_eq(n->hw, hw_out);
        PUT(n, f->sum ? "Sum" : "Add", b % 2 ? n->at : main, b % 2 ? main : n->at);
        n->c = out;
        if (!f->v2)
                active(n);
}

static void
body(net *n, int width)
{
        const form *f = n->f;
        for (int s = 0; s < 5 && f->blocks[s]; s++) {
                int64_t base = (int64_t)width << s, inner = base * (f->inner ? f->inner : 1),
                        out = f->bottleneck ? base * 4 : base;
                for (int b = 0; b < f->blocks[s]; b++) {
                        bool last = b + 1 == f->blocks[s];
                        int stride = f->stride == STRIDE_SLIM
                                             ? last && s < 3 && f->blocks[s + 1] && b ? 2 : 1
                                     : s && !b ? 2
                                               : 1;
                        block(n, s + 1, b, inner, out, stride);
                }
        }
        if (f->v2) {
                form kept = *f;
                kept.bn = BN_KEPT;
                n->f = &kept;
                norm(n, "norm");
                n->f = f;
                active(n);
        }
}

static void
reduce(net *n)
{
        switch (n->f->pool) {
        case POOL_GLOBAL:
                PUT(n, "GlobalAveragePool", n->at);
                break;
        case POOL_AVERAGE:
                pool(n, "AveragePool", (int)n->hw, 1, 0);
                break;
        case POOL_MEAN_ATTR: {
                rs_node *r = PUT(n, "ReduceMean", n->at);
                ints(n, r, "axes", 2, 2, 3);
                MUST(n, rs_node_set_int(
                                n->m, r, "keepdims", n->f->squeeze != SQUEEZE_NONE, &n->err));
                break;
        }
        case POOL_MEAN_INPUT: {
                const char *at = n->at, *axes = integers(n, 2, -1, -2);
                rs_node *r = PUT(n, "ReduceMean", at, axes);
                MUST(n, rs_node_set_int(
                                n->m, r, "keepdims", n->f->squeeze != SQUEEZE_NONE, &n->err));
                break;
        }
        case POOL_NONE:
                break;
        }
}

static void
squeeze(net *n)
{
        const char *at = n->at;
        int c = (int)n->c;
        switch (n->f->squeeze) {
        case SQUEEZE_FLATTEN:
                PUT(n, "Flatten", at);
                break;
        case SQUEEZE_RESHAPE:
                PUT(n, "Reshape", at, integers(n, 2, -1, c));
                break;
        case SQUEEZE_RESHAPE_ZERO:
                PUT(n, "Reshape", at, integers(n, 2, 0, -1));
                break;
        case SQUEEZE_DYNAMIC: { /* PyTorch's x.view(x.size(0), -1) */
                PUT(n, "Shape", at);
                rs_tensor *zero = rs_model_add_tensor(n->m, "zero", RESECT_INT64, 0, NULL, &n->err);
                ck_assert_ptr_nonnull(zero);
                PUT(n, "Gather", n->at, "zero");
                if (n->opset >= 13)
                        PUT(n, "Unsqueeze", n->at, integers(n, 1, 0));
                else
                        ints(n, PUT(n, "Unsqueeze", n->at), "axes", 1, 0);
                const char *batch = n->at;
                MUST(n, rs_node_set_int(n->m, PUT(n, "Concat", batch, integers(n, 1, -1)), "axis",
                                0, &n->err));
                const char *shape = n->at;
                PUT(n, "Reshape", at, shape);
                break;
        }
        case SQUEEZE_SQUEEZE:
                if (n->opset >= 13)
                        PUT(n, "Squeeze", at, integers(n, 2, 2, 3));
                else
                        ints(n, PUT(n, "Squeeze", at), "axes", 2, 2, 3);
                break;
        case SQUEEZE_NONE:
                break;
        }
}

static void
head(net *n)
{
        const form *f = n->f;
        int64_t classes = f->classes ? f->classes : 10, c = n->c, by_row[] = {classes, c, 1, 1},
                by_column[] = {c, classes};
        double spread = 1 / sqrt((double)c);
        if (f->dropout)
                PUT(n, "Dropout", n->at);
        const char *at = n->at;
        bool plain = f->affine == AFFINE_GEMM_PLAIN || f->affine == AFFINE_MATMUL;
        const char *w = weights(n, "fc.weight", f->affine == AFFINE_CONV ? 4 : 2,
                           plain ? by_column : by_row, 0, spread),
                   *b = weights(n, "fc.bias", 1, &classes, 0, 0.1);
        if (f->affine == AFFINE_MATMUL) {
                PUT(n, "MatMul", at, w);
                PUT(n, "Add", n->at, b);
        } else if (f->affine == AFFINE_CONV) {
                PUT(n, "Conv", at, w, b);
                PUT(n, "Flatten", n->at);
        } else {
                rs_node *g = PUT(n, "Gemm", at, w, b);
                if (!plain)
                        MUST(n, rs_node_set_int(n->m, g, "transB", 1, &n->err));
        }
        if (f->end != END_LOGITS)
                MUST(n, rs_node_set_int(n->m,
                                PUT(n, f->end == END_SOFTMAX ? "Softmax" : "LogSoftmax", n->at),
                                "axis", 1, &n->err));
}

static void
interface(net *n, int size)
{
        const form *f = n->f;
        int64_t batch = f->fixed_batch ? 1 : -1, nchw[] = {batch, 3, size, size},
                nhwc[] = {batch, size, size, 3};
        const char *symbols[] = {f->fixed_batch ? NULL : "N", NULL, NULL, NULL};
        rs_value *v = rs_model_make_value(
                n->m, "input", RESECT_FLOAT, 4, f->nhwc ? nhwc : nchw, symbols, &n->err);
        ck_assert_ptr_nonnull(v);
        MUST(n, rs_array_push(
                        n->m, (void ***)&n->m->graph.inputs, &n->m->graph.n_inputs, v, &n->err));
        n->at = "input";
        n->c = 3;
        n->hw = size;
        if (f->nhwc)
                ints(n, PUT(n, "Transpose", n->at), "perm", 4, 0, 3, 1, 2);
}

static void
finish(net *n)
{
        const form *f = n->f;
        rs_graph *g = &n->m->graph;
        MUST(n, rs_graph_rename(n->m, n->at, "output", &n->err));
        rs_value *v = rs_model_make_value(n->m, "output", RESECT_FLOAT, -1, NULL, NULL, &n->err);
        ck_assert_ptr_nonnull(v);
        MUST(n, rs_array_push(n->m, (void ***)&g->outputs, &g->n_outputs, v, &n->err));
        for (size_t i = 0; f->unsorted && i < g->n_nodes / 2; i++) {
                rs_node *swap = g->nodes[i];
                g->nodes[i] = g->nodes[g->n_nodes - 1 - i];
                g->nodes[g->n_nodes - 1 - i] = swap;
        }
}

resect_model *
form_make(const form *f, uint64_t seed)
{
        net n = {.f = f,
                .seed = seed,
                .opset = f->opset                     ? f->opset
                         : f->pool == POOL_MEAN_INPUT ? 18
                                                      : 17};
        n.m = rs_model_new(&n.err);
        ck_assert_ptr_nonnull(n.m);
        n.m->ir_version = f->listed ? 3 : 8;
        n.m->graph.name = "form";
        n.m->opsets = RS_NEW(&n.m->arena, 1, rs_opset, &n.err);
        ck_assert_ptr_nonnull(n.m->opsets);
        n.m->opsets[0] = (rs_opset){"", n.opset};
        n.m->n_opsets = 1;
        int width = f->width ? f->width : 8;
        interface(&n, f->size ? f->size : 32);
        stem(&n, width);
        body(&n, width);
        reduce(&n);
        if (f->pool != POOL_NONE)
                squeeze(&n);
        if (f->affine != AFFINE_NONE)
                head(&n);
        finish(&n);
        if (f->quant != QUANT_NONE)
                form_quantise(n.m, f->quant);
        return n.m;
}

static void
big_endian(FILE *f, unsigned v)
{
        for (int shift = 24; shift >= 0; shift -= 8)
                fputc((int)(v >> shift & 255), f);
}

void
form_pictures(const char *folder, unsigned n, unsigned side)
{
        char path[128];
        snprintf(path, sizeof path, "%s/train-images-idx3-ubyte", folder);
        FILE *f = fopen(path, "wb");
        big_endian(f, 0x803), big_endian(f, n), big_endian(f, side), big_endian(f, side);
        for (unsigned i = 0; i < n * side * side; i++)
                fputc((int)((i * 2654435761U >> 13) % 256), f);
        fclose(f);
        snprintf(path, sizeof path, "%s/train-labels-idx1-ubyte", folder);
        f = fopen(path, "wb");
        big_endian(f, 0x801), big_endian(f, n);
        for (unsigned i = 0; i < n; i++)
                fputc((int)(i % 3), f);
        fclose(f);
}
