/* SPDX-License-Identifier: 0BSD */
/*
 * The fast kernels against the reference: many small networks, each run forward (fused and not) and
 * trained, in the same order of sums or not, at every level of recomputation. First one network for
 * each thing that a lowering has to get right, then networks grown at random, where values are read
 * by several others and layouts meet.
 */
#include "config.h"
#include "unit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/random.h"
#include "exec/exec.h"
#include "onednn/onednn.h"
#include "plan/plan.h"
#ifdef HAVE_ONEDNN
#include "onednn/dnn.h"
#endif

static resect_error err;

/* A network under construction: the value that was made last, and its sizes. */
typedef struct growing {
        resect_model *m;
        char last[32];
        int64_t c, h, w;
        int count;
        uint64_t seed;
} growing;

static const char *
fresh(growing *g, const char *op)
{
        char name[32];
        snprintf(name, sizeof name, "%s%d", op, g->count++);
        const char *kept = rs_arena_strdup(&g->m->arena, name, &err);
        ck_assert_ptr_nonnull(kept);
        return kept;
}

static const char *
tensor(growing *g, int rank, const int64_t *dims, double scale, double shift)
{
        const char *name = fresh(g, "w");
        rs_tensor *t = rs_model_add_tensor(g->m, name, RESECT_FLOAT, rank, dims, &err);
        ck_assert_ptr_nonnull(t);
        float *x = (void *)(uintptr_t)t->data.data;
        for (size_t i = 0; i < t->count; i++)
                x[i] = (float)(scale * rs_normal(g->seed, rs_stream(name, 0, 0), i) + shift);
        return name;
}

static rs_node *
add(growing *g, const char *op, const char *const *in, size_t n)
{
        const char *out = fresh(g, op);
        rs_node *node =
                rs_model_add_node(g->m, op, out, (const char **)(uintptr_t)in, n, &out, 1, &err);
        ck_assert_ptr_nonnull(node);
        snprintf(g->last, sizeof g->last, "%s", out);
        return node;
}

static void
ints(growing *g, rs_node *n, const char *name, const int64_t *v, size_t count)
{
        CK_OK(rs_node_set_ints(g->m, n, name, v, count, &err), err);
}

typedef struct conv_of {
        int64_t to, kernel, stride, dilation, group;
        int64_t pads[4];
        bool bias;
} conv_of;

static rs_node *
conv(growing *g, conv_of o)
{
        int64_t group = o.group ? o.group : 1, dilation = o.dilation ? o.dilation : 1;
        const char *w = tensor(g, 4, (int64_t[]){o.to, g->c / group, o.kernel, o.kernel},
                sqrt(2.0 / (double)(g->c / group * o.kernel * o.kernel)), 0);
        const char *b = o.bias ? tensor(g, 1, &o.to, 0.3, 0) : NULL;
        rs_node *n = add(g, "Conv", (const char *[]){g->last, w, b}, b ? 3 : 2);
        ints(g, n, "strides", (int64_t[]){o.stride, o.stride}, 2);
        ints(g, n, "dilations", (int64_t[]){dilation, dilation}, 2);
        ints(g, n, "pads", o.pads, 4);
        CK_OK(rs_node_set_int(g->m, n, "group", group, &err), err);
        int64_t reach = (o.kernel - 1) * dilation + 1;
        g->h = (g->h + o.pads[0] + o.pads[2] - reach) / o.stride + 1;
        g->w = (g->w + o.pads[1] + o.pads[3] - reach) / o.stride + 1;
        g->c = o.to;
        return n;
}

/* A Conv of the usual kind: k x k, padded to keep the size. */
static rs_node *
plain(growing *g, int64_t to, int64_t k, int64_t stride)
{
        return conv(g, (conv_of){.to = to,
                               .kernel = k,
                               .stride = stride,
                               .pads = {k / 2, k / 2, k / 2, k / 2}});
}

static void
norm(growing *g)
{
        const char *in[5] = {g->last, tensor(g, 1, &g->c, 0.2, 1), tensor(g, 1, &g->c, 0.2, 0),
                tensor(g, 1, &g->c, 0.2, 0), tensor(g, 1, &g->c, 0.05, 1)};
        add(g, "BatchNormalization", in, 5);
}

static void
unary(growing *g, const char *op)
{
        add(g, op, (const char *[]){g->last}, 1);
}

static void
sum(growing *g, const char *op, const char *a, const char *b)
{
        add(g, op, (const char *[]){a, b}, 2);
}

static void
pool(growing *g, const char *op, int64_t k, int64_t stride, const int64_t *pads, bool ceil,
        int64_t count)
{
        rs_node *n = add(g, op, (const char *[]){g->last}, 1);
        ints(g, n, "kernel_shape", (int64_t[]){k, k}, 2);
        ints(g, n, "strides", (int64_t[]){stride, stride}, 2);
        ints(g, n, "pads", pads, 4);
        CK_OK(rs_node_set_int(g->m, n, "ceil_mode", ceil, &err), err);
        if (count)
                CK_OK(rs_node_set_int(g->m, n, "count_include_pad", count, &err), err);
        g->h = (g->h + pads[0] + pads[2] - k + (ceil ? stride - 1 : 0)) / stride + 1;
        g->w = (g->w + pads[1] + pads[3] - k + (ceil ? stride - 1 : 0)) / stride + 1;
}

static growing
begin(int64_t c, int64_t h, int64_t w, uint64_t seed)
{
        growing g = {.m = rs_model_new(&err), .c = c, .h = h, .w = w, .seed = seed};
        ck_assert_ptr_nonnull(g.m);
        g.m->ir_version = 8;
        g.m->opsets = RS_NEW(&g.m->arena, 1, rs_opset, &err);
        g.m->opsets[0] = (rs_opset){"", 17};
        g.m->n_opsets = 1;
        rs_value *in = rs_model_make_value(g.m, "x", RESECT_FLOAT, 4, (int64_t[]){-1, c, h, w},
                (const char *[]){"N", 0, 0, 0}, &err);
        CK_OK(rs_array_push(g.m, (void ***)&g.m->graph.inputs, &g.m->graph.n_inputs, in, &err),
                err);
        strcpy(g.last, "x");
        return g;
}

/* Y = alpha X W + beta C. */
typedef struct classifier {
        const char *what;
        int64_t to, turned;
        float alpha, beta;
        enum { NO_C, ROW, ONE_ROW, ONE_NUMBER, WHOLE } c;
        bool relu, inner;
} classifier;

enum { PICTURES = 3 }; /* for C as a whole */

static void
classify(growing *g, const classifier *k)
{
        const int64_t dims[][2] = {{0}, {k->to}, {1, k->to}, {1}, {PICTURES, k->to}};
        const int ranks[] = {0, 1, 2, 1, 2};
        const char *in[3] = {g->last,
                tensor(g, 2, k->turned ? (int64_t[]){k->to, g->c} : (int64_t[]){g->c, k->to}, 0.5,
                        0)};
        if (k->c)
                in[2] = tensor(g, ranks[k->c], dims[k->c], 0.5, 0);
        rs_node *n = add(g, "Gemm", in, k->c ? 3 : 2);
        CK_OK(rs_node_set_int(g->m, n, "transB", k->turned, &err), err);
        CK_OK(rs_node_set_float(g->m, n, "alpha", k->alpha, &err), err);
        CK_OK(rs_node_set_float(g->m, n, "beta", k->beta, &err), err);
        if (k->relu)
                unary(g, "Relu");
        rs_value *out = rs_model_make_value(g->m, g->last, RESECT_FLOAT, 2, (int64_t[]){-1, k->to},
                (const char *[]){"N", 0}, &err);
        CK_OK(rs_array_push(
                      g->m, (void ***)&g->m->graph.outputs, &g->m->graph.n_outputs, out, &err),
                err);
}

/* The tail that all share: the mean over the plane, and a classifier. */
static void
finish(growing *g, const char *mean)
{
        rs_node *n = add(g, mean, (const char *[]){g->last}, 1);
        if (!strcmp(mean, "ReduceMean")) {
                ints(g, n, "axes", (int64_t[]){2, -1}, 2);
                CK_OK(rs_node_set_int(g->m, n, "keepdims", 0, &err), err);
        } else {
                unary(g, "Flatten");
        }
        classify(g, &(classifier){.to = 5, .turned = 1, .alpha = 1, .beta = 1, .c = ROW});
}

/* One run of a network, and its gradients when it trains. */
typedef struct machine {
        resect_plan *plan;
        resect_exec *exec;
        resect_tensor x, y;
} machine;

static machine
run(const growing *g, const resect_tensor *x, resect_plan_options o)
{
        machine k = {.x = *x};
        resect_binding b = {"x", *x};
        o.inputs = &b;
        o.n_inputs = 1;
        k.plan = resect_plan_make(g->m, &o, &err);
        ck_assert_msg(k.plan, "%s", err.msg);
        k.exec = resect_exec_make(k.plan, &err);
        ck_assert_msg(k.exec, "%s", err.msg);
        CK_OK(resect_exec_run(k.exec, &k.x, &k.y, &err), err);
        if (o.training) {
                resect_tensor d = k.y;
                float dy[64];
                for (size_t i = 0; i < k.y.size / sizeof *dy; i++)
                        dy[i] = (float)rs_normal(9, 9, i);
                d.data = dy;
                ck_assert_uint_le(k.y.size, sizeof dy);
                rs_exec_backward(k.exec, &d);
        }
        return k;
}

static void
demolish(machine *k)
{
        resect_exec_free(k->exec);
        resect_plan_free(k->plan);
}

/* The largest difference in terms of the largest number. */
static double
distance(const float *a, const float *b, size_t n)
{
        double most = 0, scale = 1e-6;
        for (size_t i = 0; i < n; i++) {
                double d = fabs((double)a[i] - (double)b[i]);
                most = d > most || isnan(d) ? d : most;
                scale = fmax(scale, fabs((double)b[i]));
        }
        return most / scale;
}

static void
same_gradients(const char *what, machine *a, machine *b, double limit)
{
        const rs_slab *p = rs_exec_parameters(a->exec), *q = rs_exec_statistics(a->exec),
                      *r = rs_exec_statistics(b->exec);
        const float *ga = rs_exec_gradients(a->exec), *gb = rs_exec_gradients(b->exec);
        double scale = 0; /* a bias before a norm has a gradient of 0, but for rounding: judged by
                             the largest */
        for (size_t i = 0; i < p->count; i++)
                scale = fmax(scale, fabs((double)gb[i]));
        for (size_t i = 0; i < p->n_pieces; i++) {
                const rs_piece *w = &p->pieces[i];
                double d = distance(ga + w->offset, gb + w->offset, w->count), most = 0;
                for (size_t k = 0; k < w->count; k++)
                        most = fmax(most, fabs((double)gb[w->offset + k]));
                ck_assert_msg(d <= limit || d * most <= 1e-2 * limit * scale,
                        "%s: gradient of %s is %g away (largest %g of %g)", what, w->name, d, most,
                        scale);
        }
        ck_assert_uint_eq(q->count, r->count);
        ck_assert_msg(
                distance(q->values, r->values, q->count) <= limit, "%s: statistics differ", what);
}

/* oneDNN's own loops for what it has no kernel for take tens of times as long as ours. */
static void
none_by_loops(const char *what, const resect_plan *p)
{
#ifdef HAVE_ONEDNN
        for (size_t i = 0; i < p->n_steps; i++) {
                const rs_pstep *s = &p->steps[i];
                const bool conv = s->kernel && !strcmp(s->node->op, "Conv");
                const rs_lowered *l = s->state;
                for (int k = 0; conv && k < RS_LAUNCHES_MAX; k++) {
                        const_dnnl_primitive_desc_t pd = NULL;
                        dnnl_primitive_kind_t kind = dnnl_undefined_primitive;
                        const char *name = "";
                        if (!l->launches[k].primitive)
                                continue;
                        dnnl_primitive_get_primitive_desc(l->launches[k].primitive, &pd);
                        dnnl_primitive_desc_query(pd, dnnl_query_primitive_kind, 0, &kind);
                        dnnl_primitive_desc_query(pd, dnnl_query_impl_info_str, 0, &name);
                        ck_assert_msg(kind != dnnl_convolution || strncmp(name, "ref", 3),
                                "%s: a Conv's product number %d is done by oneDNN's %s", what, k,
                                name);
                }
        }
#else
        (void)what, (void)p;
#endif
}

enum { EXACT_BITS = 1 };

/* All that can be compared of a network. */
static void
compare(const char *what, const growing *g, int64_t batch, const char *must_have)
{
        resect_tensor x;
        CK_OK(resect_tensor_make(&x, RESECT_FLOAT, 4,
                      (int64_t[]){batch, g->m->graph.inputs[0]->dims[1],
                              g->m->graph.inputs[0]->dims[2], g->m->graph.inputs[0]->dims[3]},
                      &err),
                err);
        for (int64_t i = 0; i < resect_tensor_count(&x); i++)
                ((float *)x.data)[i] = (float)rs_normal(5, 6, (uint64_t)i);
        for (int unfused = 0; unfused < 2; unfused++) {
                machine a = run(g, &x,
                                (resect_plan_options){.kernels = RESECT_KERNELS_FAST,
                                        .no_fusion = unfused,
                                        .threads = 2}),
                        b = run(g, &x,
                                (resect_plan_options){
                                        .kernels = RESECT_KERNELS_REFERENCE, .no_fusion = unfused});
                double d = distance(a.y.data, b.y.data, a.y.size / sizeof(float));
                ck_assert_msg(
                        d <= 2e-5, "%s: output is %g away%s", what, d, unfused ? " unfused" : "");
                bool there = !must_have;
                resect_step s;
                for (size_t i = 0; resect_plan_step(a.plan, i, &s); i++)
                        there |= must_have && strcmp(s.kernels, "reference") &&
                                 !strcmp(s.op, must_have);
                ck_assert_msg(there, "%s: no fast %s", what, must_have);
                demolish(&a);
                demolish(&b);
        }
        machine b = run(g, &x,
                        (resect_plan_options){
                                .kernels = RESECT_KERNELS_REFERENCE, .training = true}),
                first = {0};
        for (int level = 0; level <= 3; level++) {
                machine a = run(g, &x,
                        (resect_plan_options){.kernels = RESECT_KERNELS_FAST,
                                .training = true,
                                .recompute = level,
                                .threads = 2});
                ck_assert_msg(distance(a.y.data, b.y.data, a.y.size / sizeof(float)) <= 1e-4,
                        "%s: training output", what);
                none_by_loops(what, a.plan);
                if (!level) {
                        same_gradients(what, &a, &b, 5e-4);
                        first = a;
                        continue;
                }
                ck_assert_msg(!memcmp(rs_exec_gradients(a.exec), rs_exec_gradients(first.exec),
                                      rs_exec_parameters(a.exec)->count * sizeof(float)),
                        "%s: recompute %d gives other gradients", what, level);
                demolish(&a);
        }
        demolish(&first);
        demolish(&b);
        resect_tensor_free(&x);
}

/* Networks with one thing in their middle. */
typedef struct special {
        const char *name, *must_have;
        void (*grow)(growing *g);
        int64_t c, h, w;
} special;

static const int64_t none[4], one[4] = {1, 1, 1, 1};
#define GROW(name, ...)                     \
        static void grow_##name(growing *g) \
        {                                   \
                __VA_ARGS__                 \
        }
GROW(plain, plain(g, 16, 3, 1);)
GROW(odd, plain(g, 5, 3, 1); plain(g, 17, 1, 1); plain(g, 24, 3, 2);)
GROW(winograd, plain(g, 32, 3, 1); plain(g, 16, 3, 1);)
GROW(pointwise, plain(g, 256, 1, 1); unary(g, "Relu"); plain(g, 256, 1, 1);)
GROW(asymmetric, plain(g, 16, 1, 1);
        conv(g, (conv_of){.to = 32, .kernel = 3, .stride = 1, .pads = {0, 2, 1, 0}, .bias = true});)
GROW(strided, plain(g, 16, 1, 1);
        conv(g, (conv_of){.to = 16, .kernel = 3, .stride = 2, .pads = {0, 0, 1, 1}});)
GROW(strided_points, plain(g, 16, 1, 1); unary(g, "Relu"); plain(g, 32, 1, 2); plain(g, 16, 1, 3);)
GROW(dilated, plain(g, 16, 1, 1); conv(
        g, (conv_of){.to = 16, .kernel = 3, .stride = 1, .dilation = 2, .pads = {2, 2, 2, 2}});)
GROW(grouped, plain(g, 32, 1, 1);
        conv(g, (conv_of){.to = 32, .kernel = 3, .stride = 1, .group = 4, .pads = {1, 1, 1, 1}});)
GROW(depthwise, plain(g, 24, 1, 1);
        conv(g, (conv_of){.to = 24, .kernel = 3, .stride = 1, .group = 24, .pads = {1, 1, 1, 1}});)
GROW(biased, conv(g, (conv_of){.to = 16, .kernel = 3, .stride = 1, .bias = true}); norm(g);
        unary(g, "Relu");)
GROW(norm_first, norm(g); unary(g, "Relu"); plain(g, 16, 3, 1); norm(g);)
GROW(norm_relu, plain(g, 16, 3, 1); norm(g); unary(g, "Relu"); plain(g, 20, 1, 1); norm(g);
        unary(g, "Relu");)
GROW(relu_alone, plain(g, 16, 3, 1); unary(g, "Relu"); unary(g, "Relu");)
GROW(max_pool, plain(g, 16, 3, 1); pool(g, "MaxPool", 3, 2, one, false, 0);)
GROW(max_ceil, plain(g, 16, 3, 1); pool(g, "MaxPool", 3, 2, none, true, 0); plain(g, 16, 1, 1);)
GROW(max_odd, plain(g, 7, 3, 1); pool(g, "MaxPool", 2, 2, none, false, 0);)
GROW(average, plain(g, 16, 3, 1); pool(g, "AveragePool", 3, 1, one, false, 1);)
GROW(average_out, plain(g, 16, 3, 1); pool(g, "AveragePool", 3, 2, one, false, 0);)
GROW(average_ceil, plain(g, 16, 3, 1); pool(g, "AveragePool", 3, 2, one, true, 1);)
GROW(fallback, plain(g, 16, 3, 1); unary(g, "Sigmoid"); plain(g, 16, 3, 1); unary(g, "Tanh");
        norm(g);)
GROW(views, plain(g, 16, 3, 1); unary(g, "Identity"); plain(g, 16, 3, 1); unary(g, "Identity");
        unary(g, "Relu");)

static void
grow_transposed(growing *g)
{
        plain(g, 16, 3, 1);
        rs_node *n = add(g, "Transpose", (const char *[]){g->last}, 1);
        ints(g, n, "perm", (int64_t[]){0, 1, 3, 2}, 4);
        int64_t h = g->h;
        g->h = g->w;
        g->w = h;
        plain(g, 16, 3, 1);
}

/* out = relu(norm(conv(relu(norm(conv(x))))) + x'), x' = x or a projection, by Add or Sum. */
static void
block(growing *g, int64_t to, int64_t stride, const char *op, bool swapped, bool norms)
{
        char from[32], branch[32];
        int64_t c = g->c, h = g->h, w = g->w;
        strcpy(from, g->last);
        plain(g, 16, 1, 1);
        if (norms)
                norm(g);
        unary(g, "Relu");
        plain(g, to, 3, stride);
        if (norms)
                norm(g);
        strcpy(branch, g->last);
        if (stride != 1 || c != to) {
                int64_t oh = g->h, ow = g->w;
                strcpy(g->last, from);
                g->c = c;
                g->h = h;
                g->w = w;
                plain(g, to, 1, stride);
                if (norms)
                        norm(g);
                strcpy(from, g->last);
                g->h = oh;
                g->w = ow;
        }
        g->c = to;
        sum(g, op, swapped ? from : branch, swapped ? branch : from);
        unary(g, "Relu");
}
GROW(blocks, plain(g, 16, 3, 1); norm(g); unary(g, "Relu"); block(g, 16, 1, "Add", false, true);
        block(g, 32, 2, "Sum", true, true); block(g, 32, 1, "Add", true, true);)
GROW(bare_blocks, plain(g, 16, 3, 1); unary(g, "Relu"); block(g, 16, 1, "Add", true, false);
        block(g, 24, 2, "Add", false, false);)
GROW(shallow_blocks, plain(g, 20, 3, 1); block(g, 20, 1, "Add", true, true);
        block(g, 20, 1, "Add", false, true);)

/* Pre-activation: a sum that is read by a norm and by the next sum. */
static void
grow_preactivated(growing *g)
{
        plain(g, 16, 3, 1);
        for (int i = 0; i < 3; i++) {
                char from[32];
                strcpy(from, g->last);
                norm(g);
                unary(g, "Relu");
                plain(g, 16, 3, 1);
                norm(g);
                unary(g, "Relu");
                plain(g, 16, 1, 1);
                sum(g, "Add", g->last, from);
        }
        norm(g);
        unary(g, "Relu");
}

/* One value, four readers, one of which reads it twice. */
static void
grow_many_readers(growing *g)
{
        char x[32], a[32], b[32];
        plain(g, 16, 3, 1);
        norm(g);
        unary(g, "Relu");
        strcpy(x, g->last);
        plain(g, 16, 3, 1);
        strcpy(a, g->last);
        strcpy(g->last, x);
        plain(g, 16, 1, 1);
        strcpy(b, g->last);
        sum(g, "Add", a, b);
        strcpy(a, g->last);
        sum(g, "Add", x, x);
        sum(g, "Add", g->last, a);
        sum(g, "Add", x, g->last);
}

/* One weight in two Convs: the gradients add. */
static void
grow_shared_weight(growing *g)
{
        plain(g, 16, 1, 1);
        const char *w = tensor(g, 4, (int64_t[]){16, 16, 3, 3}, 0.1, 0),
                   *b = tensor(g, 1, &g->c, 0.1, 0);
        for (int i = 0; i < 3; i++) {
                rs_node *n = add(g, "Conv", (const char *[]){g->last, w, b}, 3);
                ints(g, n, "pads", one, 4);
                unary(g, "Relu");
        }
}

static void
freeze(growing *g, const char *op, int nth)
{
        for (size_t i = 0, seen = 0; i < g->m->graph.n_nodes; i++) {
                const rs_node *n = g->m->graph.nodes[i];
                if (strcmp(n->op, op) || (int)seen++ != nth)
                        continue;
                for (size_t k = 1; k < n->n_in; k++)
                        CK_OK(rs_model_set_frozen(g->m, n->in[k], true, &err), err);
        }
}
GROW(frozen_parts, plain(g, 16, 3, 1); norm(g); unary(g, "Relu");
        block(g, 16, 1, "Add", false, true); freeze(g, "Conv", 1);
        freeze(g, "BatchNormalization", 1); freeze(g, "BatchNormalization", 0);)

#define SPECIAL(name, op)                        \
        {                                        \
#name, op, grow_##name, 3, 9, 10 \
        }
static const special specials[] = {SPECIAL(plain, "Conv"), SPECIAL(odd, "Conv"),
        {"winograd", "Conv", grow_winograd, 16, 14, 15},
        {"pointwise", "Conv", grow_pointwise, 64, 12, 14}, SPECIAL(asymmetric, "Conv"),
        SPECIAL(strided, "Conv"), {"strided_points", "Conv", grow_strided_points, 16, 11, 14},
        SPECIAL(dilated, "Conv"), SPECIAL(grouped, "Conv"), SPECIAL(depthwise, "Conv"),
        SPECIAL(biased, "Conv"), SPECIAL(norm_first, "BatchNormalization"),
        SPECIAL(norm_relu, NULL), SPECIAL(relu_alone, NULL), SPECIAL(max_pool, "MaxPool"),
        SPECIAL(max_ceil, "MaxPool"), SPECIAL(max_odd, "MaxPool"), SPECIAL(average, "AveragePool"),
        SPECIAL(average_out, "AveragePool"), SPECIAL(average_ceil, NULL), SPECIAL(fallback, "Conv"),
        SPECIAL(views, "Conv"), SPECIAL(transposed, "Conv"), SPECIAL(blocks, "Conv"),
        SPECIAL(bare_blocks, "Conv"), SPECIAL(shallow_blocks, "Conv"),
        SPECIAL(preactivated, "BatchNormalization"), SPECIAL(many_readers, "Add"),
        SPECIAL(shared_weight, "Conv"), SPECIAL(frozen_parts, "Conv")};

START_TEST(one_thing_each)
{
        for (size_t i = 0; i < sizeof specials / sizeof *specials; i++) {
                const special *s = &specials[i];
                growing g = begin(s->c, s->h, s->w, 1 + i);
                s->grow(&g);
                finish(&g, i % 2 ? "ReduceMean" : "GlobalAveragePool");
                compare(s->name, &g, i % 3 ? 3 : 1, s->must_have);
                resect_model_free(g.m);
        }
}
END_TEST

START_TEST(classifiers)
{
        static const classifier rows[] = {
                {"as PyTorch writes it", 19, 1, 1, 1, ROW, false, true},
                {"as TensorFlow writes it", 19, 0, 1, 1, ROW, false, true},
                {"without C", 19, 1, 1, 1, NO_C, false, true},
                {"C unread", 19, 1, 1, 0, ROW, false, true},
                {"C of one row", 16, 1, 1, 1, ONE_ROW, false, true},
                {"and ReLU", 19, 1, 1, 1, ROW, true, true},
                {"one class", 1, 1, 1, 1, ROW, false, true},
                {"C of one number", 19, 1, 1, 1, ONE_NUMBER, false, false},
                {"C of all", 19, 1, 1, 1, WHOLE, false, false},
                {"half a C", 19, 1, 1, 0.5F, ROW, false, false},
                {"twice the product", 19, 0, 2, 1, ROW, true, false},
        };
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
                growing g = begin(24, 4, 3, 50 + i);
                unary(&g, "GlobalAveragePool");
                unary(&g, "Flatten");
                classify(&g, &rows[i]);
                compare(rows[i].what, &g, PICTURES, "Gemm");
#ifdef HAVE_ONEDNN
                resect_tensor x;
                CK_OK(resect_tensor_make(
                              &x, RESECT_FLOAT, 4, (int64_t[]){PICTURES, 24, 4, 3}, &err),
                        err);
                machine k = run(&g, &x, (resect_plan_options){.kernels = RESECT_KERNELS_FAST});
                bool sgemm = false;
                resect_step s;
                for (size_t n = 0; resect_plan_step(k.plan, n, &s); n++)
                        sgemm = sgemm || !strcmp(s.kernels, "oneDNN sgemm");
                ck_assert_msg(sgemm == !rows[i].inner, "%s", rows[i].what);
                demolish(&k);
                resect_tensor_free(&x);
#endif
                resect_model_free(g.m);
        }
}
END_TEST

/* All choices of a plan made the same way. */
static char *
all_chosen(const resect_plan *p, char choice)
{
        char *text = strdup(resect_plan_choices(p));
        ck_assert_ptr_nonnull(text);
        for (char *end = text; (end = strchr(end, '\n')); end++)
                end[-1] = choice;
        return text;
}

/* Counts the choices that a plan has timed, and stops the plan at one of them. */
struct timed {
        size_t choices, stop_at;
};

static bool
on_timing(void *ctx, size_t done, size_t total)
{
        struct timed *t = ctx;
        ck_assert_uint_eq(total, 0);
        ck_assert_uint_eq(done, ++t->choices);
        return done != t->stop_at;
}

/* Where two kernels could do a product, a timing chooses, and tells: each of them is right,
 * whichever it was. */
START_TEST(whichever_is_chosen)
{
        setenv("XDG_CACHE_HOME", "/dev/null/none", 1); /* nothing is remembered */
        static const struct {
                void (*grow)(growing *g);
                int64_t c, h, w;
        } nets[] = {{grow_winograd, 16, 14, 15}, {grow_pointwise, 64, 12, 14},
                {grow_strided_points, 16, 11, 14}, {grow_blocks, 16, 9, 10}};
        for (size_t i = 0; i < 2 * sizeof nets / sizeof *nets; i++) {
                const bool training = i % 2;
                growing g = begin(nets[i / 2].c, nets[i / 2].h, nets[i / 2].w, 100 + i);
                nets[i / 2].grow(&g);
                finish(&g, "GlobalAveragePool");
                resect_tensor x;
                CK_OK(resect_tensor_make(&x, RESECT_FLOAT, 4,
                              (int64_t[]){2, nets[i / 2].c, nets[i / 2].h, nets[i / 2].w}, &err),
                        err);
                for (int64_t k = 0; k < resect_tensor_count(&x); k++)
                        ((float *)x.data)[k] = (float)rs_normal(5, 7, (uint64_t)k);
                struct timed told = {0};
                resect_plan_options fast = {.kernels = RESECT_KERNELS_FAST,
                        .training = training,
                        .threads = 2,
                        .progress = on_timing,
                        .ctx = &told};
                machine timed = run(&g, &x, fast),
                        b = run(&g, &x,
                                (resect_plan_options){
                                        .kernels = RESECT_KERNELS_REFERENCE, .training = training});
                size_t lines = 0;
                for (const char *c = resect_plan_choices(timed.plan); *c; c++)
                        lines += *c == '\n';
                ck_assert_uint_eq(told.choices, lines);
                if (lines) {
                        told = (struct timed){.stop_at = lines};
                        const resect_binding in = {"x", x};
                        fast.inputs = &in;
                        fast.n_inputs = 1;
                        ck_assert_ptr_null(resect_plan_make(g.m, &fast, &err));
                        ck_assert_int_eq(err.code, RESECT_STOPPED);
                }
                told = (struct timed){0};
                for (char choice = '0'; choice <= '1'; choice++) {
                        char *text = all_chosen(timed.plan, choice), what[40];
                        snprintf(what, sizeof what, "network %zu, all %c", i, choice);
                        fast.choices = text;
                        machine a = run(&g, &x, fast);
                        ck_assert_str_eq(resect_plan_choices(a.plan), text);
                        ck_assert_uint_eq(told.choices, 0);
                        double d = distance(a.y.data, b.y.data, a.y.size / sizeof(float));
                        ck_assert_msg(
                                d <= (training ? 1e-4 : 2e-5), "%s: output is %g away", what, d);
                        if (training)
                                same_gradients(what, &a, &b, 5e-4);
                        demolish(&a);
                        free(text);
                }
                demolish(&timed);
                demolish(&b);
                resect_tensor_free(&x);
                resect_model_free(g.m);
        }
}
END_TEST

static resect_tensor
noise(int64_t batch, const growing *g)
{
        resect_tensor x;
        const rs_value *t = g->m->graph.inputs[0];
        CK_OK(resect_tensor_make(&x, RESECT_FLOAT, 4,
                      (int64_t[]){batch, t->dims[1], t->dims[2], t->dims[3]}, &err),
                err);
        for (int64_t i = 0; i < resect_tensor_count(&x); i++)
                ((float *)x.data)[i] = (float)rs_normal(5, 6, (uint64_t)i);
        return x;
}

/* The first pictures alone are what they are among all, whatever lies in the place of the others.
 */
START_TEST(fewer_pictures)
{
        static const struct {
                void (*grow)(growing *g);
                int64_t c, h, w;
                bool mixes;
        } nets[] = {{grow_winograd, 16, 14, 15, false}, {grow_pointwise, 64, 12, 14, false},
                {grow_strided_points, 16, 11, 14, false}, {grow_blocks, 16, 9, 10, false},
                {grow_transposed, 16, 9, 10, true}};
        enum { ALL = 5 };
        bool spared = false;
        for (size_t i = 0; i < sizeof nets / sizeof *nets; i++)
                for (char choice = '0'; choice <= '1'; choice++) {
                        growing g = begin(nets[i].c, nets[i].h, nets[i].w, 200 + i);
                        nets[i].grow(&g);
                        finish(&g, "GlobalAveragePool");
                        resect_tensor x = noise(ALL, &g), kept = noise(ALL, &g), y;
                        resect_plan_options fast = {.kernels = RESECT_KERNELS_FAST, .threads = 2};
                        machine timed = run(&g, &x, fast);
                        char *text = all_chosen(timed.plan, choice);
                        fast.choices = text;
                        machine a = run(&g, &x, fast);
                        const size_t row = a.y.size / ALL, picture = x.size / ALL;
                        char want[ALL * 5 * sizeof(float)];
                        memcpy(want, a.y.data, a.y.size);
                        spared = spared || rs_plan_spares(a.plan) > 0;
                        ck_assert(!nets[i].mixes || rs_plan_spares(a.plan) <= 0);
                        for (size_t n = ALL - 1; n >= 1; n--) {
                                /* nothing right is left lying about */
                                memset(x.data, 0xff, x.size);
                                CK_OK(resect_exec_run(a.exec, &x, &y, &err), err);
                                memcpy(x.data, kept.data, n * picture);
                                CK_OK(rs_exec_run_first(a.exec, n, &x, &y, &err), err);
                                ck_assert_mem_eq(y.data, want, n * row);
                        }
                        demolish(&timed);
                        demolish(&a);
                        free(text);
                        resect_tensor_free(&x);
                        resect_tensor_free(&kept);
                        resect_model_free(g.m);
                }
        if (!spared)
                puts("SKIP fewer_pictures: this machine has none of our own kernels");
}
END_TEST

typedef struct dice {
        uint64_t seed, at;
} dice;

static int64_t
roll(dice *d, int64_t n)
{
        return (int64_t)(rs_uniform(d->seed, 77, d->at++) * (double)n);
}

START_TEST(grown_at_random)
{
        for (uint64_t seed = 1; seed <= 40; seed++) {
                dice d = {seed, 0};
                static const int64_t widths[] = {3, 8, 16, 20, 32};
                growing g = begin(1 + roll(&d, 4), 6 + roll(&d, 5), 6 + roll(&d, 5), seed);
                char older[4][32];
                int64_t size[4][3];
                int n_older = 0;
                plain(&g, widths[roll(&d, 5)], 3, 1);
                for (int layer = 0; layer < 8; layer++) {
                        switch (roll(&d, 8)) {
                        case 0:
                                plain(&g, widths[roll(&d, 5)], roll(&d, 2) ? 3 : 1, 1);
                                break;
                        case 1:
                                norm(&g);
                                break;
                        case 2:
                                unary(&g, "Relu");
                                break;
                        case 3:
                                block(&g, widths[roll(&d, 5)], 1, roll(&d, 2) ? "Add" : "Sum",
                                        roll(&d, 2), roll(&d, 3));
                                break;
                        case 4:
                                norm(&g);
                                unary(&g, "Relu");
                                break;
                        case 5:
                                if (g.h > 3 && g.w > 3)
                                        pool(&g, roll(&d, 2) ? "MaxPool" : "AveragePool", 3,
                                                1 + roll(&d, 2), one, false, 0);
                                break;
                        case 6:
                                unary(&g, roll(&d, 2) ? "Sigmoid" : "Identity");
                                break;
                        default: /* a value from before comes in again, if its sizes are these */
                                for (int k = 0; k < n_older; k++)
                                        if (size[k][0] == g.c && size[k][1] == g.h &&
                                                size[k][2] == g.w && strcmp(older[k], g.last)) {
                                                sum(&g, "Add", older[k], g.last);
                                                break;
                                        }
                        }
                        strcpy(older[n_older % 4], g.last);
                        size[n_older % 4][0] = g.c;
                        size[n_older % 4][1] = g.h;
                        size[n_older % 4][2] = g.w;
                        n_older = n_older < 4 ? n_older + 1 : 4;
                }
                finish(&g, roll(&d, 2) ? "ReduceMean" : "GlobalAveragePool");
                char what[32];
                snprintf(what, sizeof what, "seed %d", (int)seed);
                compare(what, &g, 1 + roll(&d, 3), "Conv");
                resect_model_free(g.m);
        }
}
END_TEST

START_TEST(same_bits_each_time)
{
        growing g = begin(3, 12, 12, 3);
        grow_blocks(&g);
        finish(&g, "GlobalAveragePool");
        resect_tensor x;
        CK_OK(resect_tensor_make(&x, RESECT_FLOAT, 4, (int64_t[]){4, 3, 12, 12}, &err), err);
        for (int64_t i = 0; i < resect_tensor_count(&x); i++)
                ((float *)x.data)[i] = (float)rs_normal(5, 6, (uint64_t)i);
        for (int threads = 1; threads <= 3; threads++) {
                machine a = run(&g, &x,
                                (resect_plan_options){.kernels = RESECT_KERNELS_FAST,
                                        .training = true,
                                        .threads = threads}),
                        b = run(&g, &x,
                                (resect_plan_options){.kernels = RESECT_KERNELS_FAST,
                                        .training = true,
                                        .threads = threads});
                ck_assert_mem_eq(rs_exec_gradients(a.exec), rs_exec_gradients(b.exec),
                        rs_exec_parameters(a.exec)->count * sizeof(float));
                demolish(&a);
                demolish(&b);
        }
        resect_tensor_free(&x);
        resect_model_free(g.m);
}
END_TEST

/* Eight bits, and no more. */
static void
is_near(const machine *a, const machine *b, bool training)
{
        double d = distance(a->y.data, b->y.data, a->y.size / sizeof(float));
        ck_assert_msg(d < 4e-2 && d > 1e-5, "output is %g away", d);
        double dot = 0, aa = 0, bb = 0;
        for (size_t i = 0; training && i < rs_exec_parameters(a->exec)->count; i++) {
                double p = rs_exec_gradients(a->exec)[i], q = rs_exec_gradients(b->exec)[i];
                dot += p * q;
                aa += p * p;
                bb += q * q;
        }
        ck_assert_msg(!training || dot > 0.99 * sqrt(aa * bb), "gradients' cosine is %g",
                dot / sqrt(aa * bb));
}

START_TEST(half_precision_is_near)
{
        if (!rs_fast_bf16()) {
                printf("SKIP half_precision_is_near: this machine has no bfloat16\n");
                return;
        }
        growing g = begin(3, 17, 16, 4);
        grow_blocks(&g);
        plain(&g, 48, 1, 2); /* with nine rows */
        plain(&g, 32, 1, 1);
        finish(&g, "GlobalAveragePool");
        resect_tensor x = noise(4, &g);
        for (int training = 0; training < 2; training++) {
                machine b = run(&g, &x,
                        (resect_plan_options){
                                .kernels = RESECT_KERNELS_REFERENCE, .training = training});
                char *text = NULL;
                for (char choice = '0'; choice <= '2'; choice++) { /* as timed, then all alike */
                        machine a = run(&g, &x,
                                (resect_plan_options){.kernels = RESECT_KERNELS_FAST,
                                        .training = training,
                                        .choices = text,
                                        .precision = RESECT_PRECISION_BF16});
                        is_near(&a, &b, training);
                        free(text);
                        text = all_chosen(a.plan, choice);
                        demolish(&a);
                }
                free(text);
                demolish(&b);
        }
        resect_tensor_free(&x);
        resect_model_free(g.m);
}
END_TEST

static int
suite(void)
{
        Suite *s = suite_create("fast");
        TCase *c = tcase_create("all");
        tcase_set_timeout(c, 600);
        tcase_add_test(c, one_thing_each);
        tcase_add_test(c, classifiers);
        tcase_add_test(c, whichever_is_chosen);
        tcase_add_test(c, fewer_pictures);
        tcase_add_test(c, grown_at_random);
        tcase_add_test(c, same_bits_each_time);
        tcase_add_test(c, half_precision_is_near);
        suite_add_tcase(s, c);
        SRunner *r = srunner_create(s);
        srunner_run_all(r, CK_NORMAL);
        int failed = srunner_ntests_failed(r);
        srunner_free(r);
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

int
main(void)
{
        if (*rs_fast_name())
                return suite();
        printf("SKIP: this build has no oneDNN (libdnnl-dev)\n");
        return 77;
}
