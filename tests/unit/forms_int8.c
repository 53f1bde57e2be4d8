/* SPDX-License-Identifier: 0BSD */
/*
 * The forms in 8 bits, as ONNX Runtime's quantisation writes them: with QuantizeLinear and
 * DequantizeLinear around float nodes (QDQ), weights behind a DequantizeLinear of their own; or of
 * QLinear nodes, com.microsoft's among them. A zero point that is the least number does what a Relu
 * did, so that no Relu is left but in QUANT_QDQ_RELU.
 */
#include "unit.h"

#include <math.h>
#include <string.h>
#include "forms.h"

typedef struct quant {
        resect_model *m;
        rs_node **old; /* the float nodes */
        size_t n_old;
        const char **cut; /* values that a Relu made, or would have */
        size_t n_cut;
        bool qlinear, gemm; /* the classifier is QGemm, else QLinearMatMul and QLinearAdd */
        resect_error err;
} quant;

static const char *
joined(quant *q, const char *name, const char *suffix)
{
        const char *s = rs_arena_printf(&q->m->arena, &q->err, "%s%s", name, suffix);
        CK_OK(s != NULL, q->err);
        return s;
}

static rs_tensor *
find(const quant *q, const char *name)
{
        const rs_graph *g = &q->m->graph;
        for (size_t i = 0; i < g->n_tensors; i++)
                if (!strcmp(g->tensors[i]->name, name))
                        return g->tensors[i];
        return NULL;
}

static bool
made(const quant *q, const char *value)
{
        const rs_graph *g = &q->m->graph;
        for (size_t i = 0; i < g->n_nodes; i++)
                if (!strcmp(g->nodes[i]->out[0], value))
                        return true;
        return false;
}

static rs_node *
put(quant *q, const char *op, const char *out, size_t n, const char *const *in)
{
        rs_node *node =
                rs_model_add_node(q->m, op, joined(q, "quant_", out), in, n, &out, 1, &q->err);
        CK_OK(node != NULL, q->err);
        return node;
}
#define PUT(q, op, out, ...)                                                    \
        put(q, op, out, sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *), \
                (const char *[]){__VA_ARGS__})

/* NAME_scale and NAME_point, rank 0. */
static void
parameters(quant *q, const char *name, float scale, int32_t dtype, int point)
{
        rs_tensor *s = rs_model_add_tensor(
                q->m, joined(q, name, "_scale"), RESECT_FLOAT, 0, NULL, &q->err);
        CK_OK(s != NULL, q->err);
        *(float *)(void *)s->data.data = scale;
        rs_tensor *z =
                rs_model_add_tensor(q->m, joined(q, name, "_point"), dtype, 0, NULL, &q->err);
        CK_OK(z != NULL, q->err);
        if (dtype == RESECT_INT32)
                *(int32_t *)(void *)z->data.data = point;
        else
                *(uint8_t *)(void *)z->data.data = (uint8_t)point;
}

/* An activation's. */
static void
activation(quant *q, const char *value)
{
        int point = 128;
        for (size_t i = 0; i < q->n_cut; i++)
                if (!strcmp(q->cut[i], value))
                        point = 0;
        if (!find(q, joined(q, value, "_scale")))
                parameters(q, value, 0.0625f, RESECT_UINT8, point);
}

/* Turns a float initializer into one of 8 bits (a bias: 32) with the same name. */
static void
initializer(quant *q, const char *name, int32_t dtype, bool transposed)
{
        rs_tensor *t = find(q, name);
        ck_assert_ptr_nonnull(t);
        if (t->dtype != RESECT_FLOAT)
                return;
        const float *x = (const float *)(const void *)t->data.data;
        size_t n = t->count;
        float most = 0;
        for (size_t i = 0; i < n; i++)
                most = fmaxf(most, fabsf(x[i]));
        float scale = dtype == RESECT_INT32 ? 0.0625f / 1024 : most / 127;
        int64_t dims[4] = {t->rank > 0 ? t->dims[0] : 0, t->rank > 1 ? t->dims[1] : 1,
                t->rank > 2 ? t->dims[2] : 1, t->rank > 3 ? t->dims[3] : 1};
        size_t rows = (size_t)dims[0], columns = rows ? n / rows : 0;
        if (transposed) {
                dims[0] = (int64_t)columns;
                dims[1] = (int64_t)rows;
        }
        t->dtype = dtype;
        CK_OK(rs_tensor_renew(q->m, t, t->rank, dims, &q->err), q->err);
        for (size_t i = 0; i < n; i++) {
                size_t at = transposed ? i % columns * rows + i / columns : i;
                long v = lrintf(x[i] / scale);
                if (dtype == RESECT_INT32)
                        ((int32_t *)(void *)t->data.data)[at] = (int32_t)v;
                else
                        ((uint8_t *)(void *)t->data.data)[at] =
                                (uint8_t)(v + (dtype == RESECT_UINT8 ? 128 : 0));
        }
        parameters(q, name, scale, dtype, dtype == RESECT_UINT8 ? 128 : 0);
}

/* What a float node of the QDQ form reads in the place of an input. */
static const char *
dressed(quant *q, const rs_node *n, size_t slot)
{
        const char *x = n->in[slot], *out = joined(q, x, "_dq");
        bool live = !find(q, x);
        if (made(q, out))
                return out;
        if (!live)
                initializer(q, x, slot == 2 ? RESECT_INT32 : RESECT_INT8, false);
        const char *s = joined(q, x, "_scale"), *z = joined(q, x, "_point"), *in = x;
        if (live) {
                activation(q, x);
                in = joined(q, x, "_q");
                PUT(q, "QuantizeLinear", in, x, s, z);
        }
        PUT(q, "DequantizeLinear", out, in, s, z);
        return out;
}

static void
qdq(quant *q, rs_node *n)
{
        if (strcmp(n->op, "Relu") != 0)
                for (size_t i = 0; i < n->n_in; i++)
                        n->in[i] = dressed(q, n, i);
        CK_OK(rs_array_push(q->m, (void ***)&q->m->graph.nodes, &q->m->graph.n_nodes, n, &q->err),
                q->err);
}

static void
with_attributes(quant *q, rs_node *node, const rs_node *of)
{
        static const char *const names[] = {"kernel_shape", "strides", "pads"};
        for (size_t i = 0; i < 3; i++) {
                const rs_attr *a = rs_node_attr(of, names[i]);
                if (a)
                        CK_OK(rs_node_set_ints(q->m, node, names[i], a->ints, a->n, &q->err),
                                q->err);
        }
        CK_OK(rs_node_set_int(q->m, node, "group", rs_node_int(of, "group", 1), &q->err), q->err);
}

/* One node of QLinear kind in the place of one in float; a value x is x_q. */
static void
qlinear(quant *q, const rs_node *n)
{
        const char *x = n->in[0], *y = n->out[0], *xq = joined(q, x, "_q"),
                   *yq = joined(q, y, "_q"), *xs = joined(q, x, "_scale"),
                   *xz = joined(q, x, "_point"), *ys = joined(q, y, "_scale"),
                   *yz = joined(q, y, "_point");
        bool moves = !strcmp(n->op, "MaxPool") ||
                     !strcmp(n->op, "Flatten"); /* the numbers as they are */
        activation(q, x);
        activation(q, y);
        if (!made(q, xq))
                PUT(q, "QuantizeLinear", xq, x, xs, xz);
        if (!strcmp(n->op, "Conv")) {
                const char *w = n->in[1], *b = n->in[2];
                initializer(q, w, RESECT_INT8, false);
                initializer(q, b, RESECT_INT32, false);
                with_attributes(q,
                        PUT(q, "QLinearConv", yq, xq, xs, xz, w, joined(q, w, "_scale"),
                                joined(q, w, "_point"), ys, yz, b),
                        n);
        } else if (!strcmp(n->op, "Add")) {
                const char *r = n->in[1];
                PUT(q, "QLinearAdd", yq, xq, xs, xz, joined(q, r, "_q"), joined(q, r, "_scale"),
                        joined(q, r, "_point"), ys, yz)
                        ->domain = "com.microsoft";
        } else if (!strcmp(n->op, "GlobalAveragePool")) {
                PUT(q, "QLinearGlobalAveragePool", yq, xq, xs, xz, ys, yz)->domain =
                        "com.microsoft";
        } else if (!strcmp(n->op, "Gemm") && q->gemm) {
                const char *w = n->in[1], *b = n->in[2];
                initializer(q, w, RESECT_INT8, false);
                initializer(q, b, RESECT_INT32, false);
                rs_node *g = PUT(q, "QGemm", yq, xq, xs, xz, w, joined(q, w, "_scale"),
                        joined(q, w, "_point"), b, ys, yz);
                g->domain = "com.microsoft";
                CK_OK(rs_node_set_int(q->m, g, "transB", 1, &q->err), q->err);
                PUT(q, "DequantizeLinear", y, yq, ys, yz);
        } else if (!strcmp(n->op, "Gemm")) {
                const char *w = n->in[1], *b = n->in[2], *product = joined(q, y, "_product");
                initializer(q, w, RESECT_INT8, true);
                initializer(q, b, RESECT_UINT8, false);
                PUT(q, "QLinearMatMul", product, xq, xs, xz, w, joined(q, w, "_scale"),
                        joined(q, w, "_point"), ys, yz);
                PUT(q, "QLinearAdd", yq, product, ys, yz, b, joined(q, b, "_scale"),
                        joined(q, b, "_point"), ys, yz)
                        ->domain = "com.microsoft";
                PUT(q, "DequantizeLinear", y, yq, ys, yz);
        } else {
                ck_assert_msg(moves, "no 8-bit form of %s", n->op);
                rs_node *copy = PUT(q, n->op, yq, xq);
                if (!strcmp(n->op, "MaxPool"))
                        with_attributes(q, copy, n), rs_node_drop_attr(copy, "group");
        }
}

/* Notes what each Relu cuts, and takes it away unless it is to stay. */
static void
relus(quant *q, bool stay)
{
        const rs_graph *g = &q->m->graph;
        q->cut = RS_NEW(&q->m->arena, 2 * g->n_nodes, const char *, &q->err);
        CK_OK(q->cut != NULL, q->err);
        for (size_t i = 0; i < g->n_nodes; i++) {
                const rs_node *n = g->nodes[i];
                const bool relu = !strcmp(n->op, "Relu");
                if (relu || !strcmp(n->op, "MaxPool")) /* a pool leaves the numbers as they are */
                        q->cut[q->n_cut++] = n->out[0];
                if (relu && !stay) {
                        q->cut[q->n_cut++] = n->in[0];
                        CK_OK(rs_graph_redirect(q->m, n->out[0], n->in[0], &q->err), q->err);
                }
        }
        CK_OK(rs_graph_prune(q->m, &q->err), q->err);
}

void
form_quantise(resect_model *m, enum form_quant how)
{
        rs_graph *g = &m->graph;
        quant q = {.m = m,
                .qlinear = how == QUANT_QLINEAR || how == QUANT_QGEMM,
                .gemm = how == QUANT_QGEMM};
        relus(&q, how == QUANT_QDQ_RELU);
        q.n_old = g->n_nodes;
        q.old = RS_NEW(&m->arena, q.n_old, rs_node *, &q.err);
        CK_OK(q.old != NULL, q.err);
        memcpy(q.old, g->nodes, q.n_old * sizeof *q.old);
        g->n_nodes = 0;
        for (size_t i = 0; i < q.n_old; i++)
                if (q.qlinear)
                        qlinear(&q, q.old[i]);
                else
                        qdq(&q, q.old[i]);
        if (q.qlinear) {
                rs_opset *opsets = RS_NEW(&m->arena, 2, rs_opset, &q.err);
                CK_OK(opsets != NULL, q.err);
                opsets[0] = m->opsets[0];
                opsets[1] = (rs_opset){"com.microsoft", 1};
                m->opsets = opsets;
                m->n_opsets = 2;
        }
}
