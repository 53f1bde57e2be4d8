/* SPDX-License-Identifier: 0BSD */
/* Where a network ends: names of outputs, pool and squeeze, and the classifier. */
#include "edit/ends.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tensor/dtype.h"

/* "features", "resnetv24_pool1_fwd", "avgpool/Mean:0": yes. "190", "190_dequantized",
 * "/Flatten_output_0", "onnx::Gemm_188", "": no. */
static bool
sane(const char *name)
{
        bool letter = false;
        for (const char *p = name; *p != '\0'; p++) {
                const bool alpha = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z');
                if (!alpha && !(*p >= '0' && *p <= '9') && strchr("_.:/-", *p) == NULL)
                        return false;
                letter |= alpha;
        }
        return letter && name[0] != '/' && !(name[0] >= '0' && name[0] <= '9') &&
               strncmp(name, "onnx::", 6) != 0 && strlen(name) <= 128;
}

static bool
is_output(const rs_graph *g, const char *value)
{
        for (size_t i = 0; i < g->n_outputs; i++)
                if (strcmp(g->outputs[i]->name, value) == 0)
                        return true;
        return false;
}

const char *
rs_output_name(rs_surgery *s, const char *value, const char *wish, resect_error *err)
{
        if (sane(value) || is_output(&s->m->graph, value) ||
                rs_graph_find_input(&s->m->graph, value) != NULL)
                return value;
        return rs_model_fresh_name(s->m, wish, err);
}

bool
rs_end_at(rs_surgery *s, const char *old, const char *value, resect_error *err)
{
        const rs_graph *g = &s->m->graph;
        const char **names = RS_NEW(&s->arena, g->n_outputs + 1, const char *, err);
        if (names == NULL)
                return false;
        size_t n = 0;
        bool there = false;
        for (size_t i = 0; i < g->n_outputs; i++) {
                const char *name = g->outputs[i]->name;
                const bool swap = old != NULL && strcmp(name, old) == 0;
                if (swap)
                        name = value;
                const bool again = strcmp(name, value) == 0 && there;
                there |= strcmp(name, value) == 0;
                if (!again)
                        names[n++] = name;
        }
        if (!there)
                names[n++] = value;
        return rs_set_outputs(s, names, n, err);
}

static bool
type_of(rs_surgery *s, const char *value, rs_type *out, resect_error *err)
{
        rs_types types = {0};
        bool ok = rs_infer_all(s->m, &types, err);
        const rs_type *t = ok ? rs_types_find(&types, value) : NULL;
        *out = t != NULL ? *t : (rs_type){.rank = -1};
        out->ints = NULL;
        rs_types_free(&types);
        return ok;
}

/* Where a node in 8 bits has its output's scale; its zero point is the next input. 0: it leaves the
   numbers of input 0 as they are. -1: not known. */
static int
scale_slot(const rs_node *n)
{
        static const struct {
                const char *op;
                int slot;
        } kinds[] = {{"QuantizeLinear", 1}, {"QLinearConv", 6}, {"QLinearMatMul", 6},
                {"QLinearAdd", 6}, {"QLinearMul", 6}, {"QGemm", 7}, {"QLinearGlobalAveragePool", 3},
                {"QLinearAveragePool", 3}, {"QLinearLeakyRelu", 3}, {"QLinearSigmoid", 3},
                {"MaxPool", 0}, {"Flatten", 0}, {"Reshape", 0}, {"Squeeze", 0}, {"Unsqueeze", 0},
                {"Transpose", 0}, {"Identity", 0}};
        for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
                if (strcmp(n->op, kinds[i].op) == 0)
                        return kinds[i].slot;
        return -1;
}

const char *
rs_dequantised(rs_surgery *s, const char *value, const char *wish, resect_error *err)
{
        rs_type t;
        rs_index ix;
        if (!type_of(s, value, &t, err))
                return NULL;
        if (t.dtype != RESECT_UINT8 && t.dtype != RESECT_INT8)
                return value;
        if (!rs_index_make(&ix, &s->m->graph, err))
                return NULL;
        const rs_link *l = rs_index_find(&ix, value);
        const rs_node *n = l != NULL ? l->maker : NULL;
        int slot = -1;
        for (size_t steps = 0;
                n != NULL && (slot = scale_slot(n)) == 0 && steps < s->m->graph.n_nodes; steps++) {
                l = n->n_in > 0 ? rs_index_find(&ix, n->in[0]) : NULL;
                n = l != NULL ? l->maker : NULL;
        }
        rs_index_free(&ix);
        if (n == NULL || slot < 1 || (size_t)slot >= n->n_in)
                return RS_FAIL_NULL(err, RESECT_UNSUPPORTED,
                        "%s is of 8 bits, and with what scale cannot be told", value);
        const char *name = rs_model_fresh_name(s->m, wish, err),
                   *zero = (size_t)slot + 1 < n->n_in ? n->in[slot + 1] : "";
        return name != NULL && rs_build(s, "DequantizeLinear", name, name, err, value, n->in[slot],
                                       zero, NULL) != NULL
                       ? name
                       : NULL;
}

const char *
rs_pool_and_squeeze(rs_surgery *s, const char *value, int64_t *channels, resect_error *err)
{
        rs_type t;
        if (!type_of(s, value, &t, err))
                return NULL;
        if (t.rank != 2 && t.rank != 4)
                return RS_FAIL_NULL(err, RESECT_UNSUPPORTED,
                        t.rank < 0 ? "%s: its shape cannot be told, so that no classifier can be "
                                     "put behind it"
                                   : "%s has %d dimensions; a classifier wants features [N, C] or "
                                     "maps [N, C, H, W]",
                        value, t.rank);
        *channels = t.dims[1];
        if (t.dims[1] <= 0)
                return RS_FAIL_NULL(err, RESECT_UNSUPPORTED,
                        "%s: the number of its channels is not fixed", value);
        value = rs_dequantised(s, value, "dequantised", err);
        if (value == NULL || t.rank == 2)
                return value;
        if (t.dims[2] != 1 || t.dims[3] != 1) {
                const char *pool = rs_model_fresh_name(s->m, "avgpool", err);
                if (pool == NULL ||
                        rs_build(s, "GlobalAveragePool", pool, pool, err, value, NULL) == NULL)
                        return NULL;
                value = pool;
        }
        const char *flat = rs_model_fresh_name(s->m, "features", err);
        rs_node *n = flat != NULL ? rs_build(s, "Flatten", flat, flat, err, value, NULL) : NULL;
        return n != NULL && rs_node_set_int(s->m, n, "axis", 1, err) ? flat : NULL;
}

static const char *
dropout(rs_surgery *s, const char *x, double p, resect_error *err)
{
        const char *name = rs_model_fresh_name(s->m, "dropout", err);
        const int64_t opset = rs_model_opset(s->m);
        rs_node *n = NULL;
        if (name != NULL && opset >= 12) { /* the ratio became an input */
                const char *ratio = rs_model_fresh_name(s->m, "dropout_ratio", err);
                rs_tensor *t =
                        ratio != NULL ? rs_model_add_tensor(s->m, ratio, RESECT_FLOAT, 0, NULL, err)
                                      : NULL;
                if (t != NULL) {
                        rs_tensor_put(t, &p, 1);
                        n = rs_build(s, "Dropout", name, name, err, x, ratio, NULL);
                }
                return n != NULL ? name : NULL;
        }
        n = name != NULL ? rs_build(s, "Dropout", name, name, err, x, NULL) : NULL;
        if (n == NULL || !rs_node_set_float(s->m, n, "ratio", (float)p, err))
                return NULL;
        return opset >= 7 || rs_node_set_int(s->m, n, "is_test", 1, err) ? name : NULL;
}

/* One affine map, PyTorch's default start. name is "fc" or "hidden1"; out the value it makes. */
static const char *
linear(rs_surgery *s, const char *x, int64_t from, int64_t to, const char *name, const char *out,
        rs_head_spec *spec, resect_error *err)
{
        const int64_t dims[2] = {to, from};
        char wish[2][64];
        snprintf(wish[0], sizeof wish[0], "%s.weight", name);
        snprintf(wish[1], sizeof wish[1], "%s.bias", name);
        const char *w = rs_model_fresh_name(s->m, wish[0], err);
        spec->weight = w != NULL ? rs_model_add_tensor(s->m, w, RESECT_FLOAT, 2, dims, err) : NULL;
        const char *b = spec->weight != NULL ? rs_model_fresh_name(s->m, wish[1], err) : NULL;
        spec->bias = b != NULL ? rs_model_add_tensor(s->m, b, RESECT_FLOAT, 1, &to, err) : NULL;
        if (spec->bias == NULL)
                return NULL;
        rs_init_uniform(s, spec->weight, spec->seed, wish[0], 1 / sqrt((double)from));
        rs_init_uniform(s, spec->bias, spec->seed, wish[1], 1 / sqrt((double)from));
        const char *node = rs_model_fresh_name(s->m, name, err);
        rs_node *n = node != NULL ? rs_build(s, "Gemm", node, out != NULL ? out : node, err, x, w,
                                            b, NULL)
                                  : NULL;
        if (n == NULL || !rs_node_set_int(s->m, n, "transB", 1, err))
                return NULL;
        if (rs_model_opset(s->m) < 7 && !rs_node_set_int(s->m, n, "broadcast", 1, err))
                return NULL;
        return n->out[0];
}

/* Features of a model that was cast to another float type, as the fresh classifier's float32. */
static const char *
single(rs_surgery *s, const char *x, resect_error *err)
{
        rs_type t;
        if (!type_of(s, x, &t, err))
                return NULL;
        if (t.dtype != RESECT_FLOAT16 && t.dtype != RESECT_BFLOAT16 && t.dtype != RESECT_DOUBLE)
                return x;
        const char *name = rs_model_fresh_name(s->m, "features_fp32", err);
        rs_node *n = name != NULL ? rs_build(s, "Cast", name, name, err, x, NULL) : NULL;
        return n != NULL && rs_node_set_int(s->m, n, "to", RESECT_FLOAT, err) ? name : NULL;
}

bool
rs_head_attach(rs_surgery *s, const char *features, int64_t channels, rs_head_spec *spec,
        resect_error *err)
{
        const char *x = single(s, features, err);
        if (x == NULL)
                return false;
        for (size_t i = 0; i < spec->n_hidden; i++) {
                char name[32];
                snprintf(name, sizeof name, "hidden%zu", i + 1);
                x = linear(s, x, channels, spec->hidden[i], name, NULL, spec, err);
                const char *relu = x != NULL ? rs_model_fresh_name(s->m, "hidden_relu", err) : NULL;
                if (relu == NULL || rs_build(s, "Relu", relu, relu, err, x, NULL) == NULL)
                        return false;
                x = relu;
                channels = spec->hidden[i];
        }
        if (spec->dropout > 0 && (x = dropout(s, x, spec->dropout, err)) == NULL)
                return false;
        if (linear(s, x, channels, spec->classes, "fc", spec->output, spec, err) == NULL)
                return false;
        if (spec->zero) {
                rs_init_constant(s, spec->weight, 0);
                rs_init_constant(s, spec->bias, 0);
        }
        return true;
}
