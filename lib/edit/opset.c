/* SPDX-License-Identifier: 0BSD */
/*
 * opset: another version of ONNX's operators, for those that residual networks are made of. An
 * operator's history is one row: the versions at which its meaning or form changed, and a function
 * that brings a node across one such step, up or down. What has no row, or cannot be said in the
 * other version, is refused by name; weights are never touched. Between the listed versions only
 * element types were added, which opset_types.c knows: going down, a node that is given a type that
 * its operator did not take yet is refused, too. resect-cast can bring the model to another type.
 */
#include "edit/opset.h"

#include <stdio.h>
#include <string.h>

#include "edit/opset_types.h"
#include "edit/rewrite.h"
#include "tensor/dtype.h"

bool
rs_cross_refuse(const rs_node *n, const char *why, resect_error *err)
{
        return rs_fail(
                err, RESECT_UNSUPPORTED, "--opset: %s (%s): %s", rs_node_title(n), n->op, why);
}

bool
rs_cross_has(const rs_node *n, size_t slot)
{
        return slot < n->n_in && n->in[slot][0] != '\0';
}

const rs_type *
rs_cross_type(const rs_crossing *c, const rs_node *n, size_t slot)
{
        return rs_cross_has(n, slot) ? rs_types_find(&c->types, n->in[slot]) : NULL;
}

const rs_tensor *
rs_cross_constant(const rs_crossing *c, const rs_node *n, size_t slot)
{
        if (!rs_cross_has(n, slot))
                return NULL;
        const rs_tensor *t = rs_constant(&c->index, n->in[slot]);
        return t != NULL ? t : rs_find_tensor(&c->s->m->graph, n->in[slot]); /* made by a step */
}

bool
rs_cross_ints(rs_crossing *c, const rs_node *n, size_t slot, int64_t **v, size_t *count,
        resect_error *err)
{
        const rs_tensor *t = rs_cross_constant(c, n, slot);
        rs_span raw;
        *v = NULL;
        *count = 0;
        if (t == NULL || (t->dtype != RESECT_INT64 && t->dtype != RESECT_INT32))
                return true;
        int64_t *all = RS_NEW(&c->s->arena, t->count + 1, int64_t, err);
        if (all == NULL || !rs_tensor_bytes(c->s->m, t, &c->s->arena, &raw, err))
                return false;
        const size_t width = t->dtype == RESECT_INT64 ? 8 : 4;
        for (size_t i = 0; i < t->count; i++) {
                int64_t one;
                rs_from_little(&one, raw.data + i * width, t->dtype, 1);
                all[i] = rs_load_int(&one, t->dtype, 0);
        }
        *v = all;
        *count = t->count;
        return true;
}

bool
rs_cross_input(rs_crossing *c, rs_node *n, size_t slot, const char *name, resect_error *err)
{
        const size_t count = n->n_in > slot ? n->n_in : slot + 1;
        const char **in = RS_NEW(&c->s->m->arena, count, const char *, err);
        if (in == NULL)
                return false;
        for (size_t i = 0; i < count; i++)
                in[i] = i < n->n_in ? n->in[i] : "";
        in[slot] = name;
        n->in = in;
        n->n_in = count;
        rs_node_touch(n);
        return true;
}

/* A name for a new constant of a node. */
static const char *
name_of(rs_crossing *c, const rs_node *n, const char *what, resect_error *err)
{
        char *wish = rs_arena_printf(
                &c->s->arena, err, "%s_%s", n->n_out != 0 ? n->out[0] : n->op, what);
        return wish != NULL ? rs_model_fresh_name(c->s->m, wish, err) : NULL;
}

bool
rs_cross_put_ints(rs_crossing *c, rs_node *n, size_t slot, const char *what, const int64_t *v,
        size_t count, resect_error *err)
{
        const char *name = name_of(c, n, what, err);
        return name != NULL && rs_build_ints(c->s, name, v, count, err) != NULL &&
               rs_cross_input(c, n, slot, name, err);
}

bool
rs_cross_put_number(rs_crossing *c, rs_node *n, size_t slot, const char *what, int32_t dtype,
        double v, resect_error *err)
{
        const rs_type *x = rs_cross_type(c, n, 0);
        if (dtype == 0 && (x == NULL || x->dtype == 0))
                return rs_cross_refuse(n, "the type of its input is not known", err);
        const char *name = name_of(c, n, what, err);
        rs_tensor *t = name != NULL ? rs_model_add_tensor(c->s->m, name,
                                              dtype != 0 ? dtype : x->dtype, 0, NULL, err)
                                    : NULL;
        if (t == NULL)
                return false;
        rs_tensor_put(t, &v, 1);
        return rs_cross_input(c, n, slot, name, err);
}

bool
rs_cross_ints_move(rs_crossing *c, rs_node *n, const char *attr, size_t slot, resect_error *err)
{
        const rs_attr *a = rs_node_attr(n, attr);
        if (c->up) {
                if (a == NULL || a->type != RS_ATTR_INTS)
                        return true;
                if (!rs_cross_put_ints(c, n, slot, attr, a->ints, a->n, err))
                        return false;
                rs_node_drop_attr(n, attr);
                return true;
        }
        int64_t *v;
        size_t count;
        if (!rs_cross_has(n, slot)) {
                n->n_in = n->n_in > slot ? slot : n->n_in;
                return true;
        }
        if (!rs_cross_ints(c, n, slot, &v, &count, err))
                return false;
        if (v == NULL) {
                char why[80];
                snprintf(why, sizeof why, "its %s are computed, not constant", attr);
                return rs_cross_refuse(n, why, err);
        }
        n->n_in = slot;
        return count == 0 || rs_node_set_ints(c->s->m, n, attr, v, count, err);
}

bool
rs_cross_forget(rs_crossing *c, rs_node *n, const char *attr, int64_t otherwise, resect_error *err)
{
        if (c->up)
                return true;
        if (rs_node_int(n, attr, otherwise) != otherwise)
                return rs_fail(err, RESECT_UNSUPPORTED,
                        "--opset: %s (%s): %s=%lld cannot be said there", rs_node_title(n), n->op,
                        attr, (long long)rs_node_int(n, attr, otherwise));
        rs_node_drop_attr(n, attr);
        return true;
}

bool
rs_cross_forget_ones(rs_crossing *c, rs_node *n, const char *attr, resect_error *err)
{
        const rs_attr *a = rs_node_attr(n, attr);
        if (c->up || a == NULL)
                return true;
        for (size_t i = 0; a->type == RS_ATTR_INTS && i < a->n; i++)
                if (a->ints[i] != 1)
                        return rs_cross_refuse(n, "its dilations cannot be said there", err);
        rs_node_drop_attr(n, attr);
        return true;
}

/* Every change between opset 1 and 22. Operators with no steps only gained element types. */
static const struct history {
        const char *op;
        struct {
                int version;
                rs_step *cross;
        } steps[4];
} histories[] = {
        {"Abs", {{6, rs_step_plain_6}}},
        {"Acos", {{0, NULL}}},
        {"Acosh", {{0, NULL}}},
        {"Add", {{7, rs_step_binary_7}}},
        {"And", {{7, rs_step_binary_7}}},
        {"ArgMax", {{11, rs_step_axis_11}, {12, rs_step_arg_12}}},
        {"ArgMin", {{11, rs_step_axis_11}, {12, rs_step_arg_12}}},
        {"Asin", {{0, NULL}}},
        {"Asinh", {{0, NULL}}},
        {"Atan", {{0, NULL}}},
        {"Atanh", {{0, NULL}}},
        {"AveragePool",
                {{7, rs_step_average_7}, {10, rs_step_average_10}, {19, rs_step_average_19}}},
        {"BatchNormalization", {{7, rs_step_norm_7}, {9, rs_step_norm_9}, {14, rs_step_norm_14}}},
        {"Cast", {{6, rs_step_cast_6}, {19, rs_step_cast_19}}},
        {"CastLike", {{19, rs_step_cast_19}}},
        {"Ceil", {{6, rs_step_plain_6}}},
        {"Celu", {{0, NULL}}},
        {"Clip", {{6, rs_step_plain_6}, {11, rs_step_clip_11}}},
        {"Concat", {{4, rs_step_concat_4}, {11, rs_step_axis_11}}},
        {"ConstantOfShape", {{0, NULL}}},
        {"Conv", {{0, NULL}}},
        {"ConvInteger", {{0, NULL}}},
        {"ConvTranspose", {{0, NULL}}},
        {"Cos", {{0, NULL}}},
        {"Cosh", {{0, NULL}}},
        {"DepthToSpace", {{11, rs_step_depth_11}}},
        {"DequantizeLinear", {{13, rs_step_quantize_13}, {21, rs_step_dequantize_21}}},
        {"Div", {{7, rs_step_binary_7}}},
        {"Dropout", {{7, rs_step_dropout_7}, {10, rs_step_dropout_10}, {12, rs_step_dropout_12}}},
        {"DynamicQuantizeLinear", {{0, NULL}}},
        {"Elu", {{6, rs_step_plain_6}}},
        {"Equal", {{7, rs_step_binary_7}}},
        {"Erf", {{0, NULL}}},
        {"Exp", {{6, rs_step_plain_6}}},
        {"Expand", {{0, NULL}}},
        {"Flatten", {{11, rs_step_axis_11}}},
        {"Floor", {{6, rs_step_plain_6}}},
        {"Gather", {{11, rs_step_gather_11}}},
        {"GatherElements", {{0, NULL}}},
        {"Gelu", {{0, NULL}}},
        {"Gemm", {{7, rs_step_gemm_7}, {11, rs_step_gemm_11}}},
        {"GlobalAveragePool", {{0, NULL}}},
        {"GlobalLpPool", {{2, rs_step_lp_2}}},
        {"GlobalMaxPool", {{0, NULL}}},
        {"Greater", {{7, rs_step_binary_7}}},
        {"GreaterOrEqual", {{0, NULL}}},
        {"HardSigmoid", {{6, rs_step_plain_6}}},
        {"HardSwish", {{0, NULL}}},
        {"Identity", {{0, NULL}}},
        {"InstanceNormalization", {{6, rs_step_plain_6}}},
        {"IsInf", {{0, NULL}}},
        {"IsNaN", {{0, NULL}}},
        {"LRN", {{0, NULL}}},
        {"LeakyRelu", {{6, rs_step_plain_6}}},
        {"Less", {{7, rs_step_binary_7}}},
        {"LessOrEqual", {{0, NULL}}},
        {"Log", {{6, rs_step_plain_6}}},
        {"LogSoftmax", {{13, rs_step_softmax_13}}},
        {"LpPool", {{2, rs_step_lp_2}, {18, rs_step_lp_18}}},
        {"MatMul", {{0, NULL}}},
        {"MatMulInteger", {{0, NULL}}},
        {"Max", {{6, rs_step_plain_6}, {8, rs_step_variadic_8}}},
        {"MaxPool", {{8, rs_step_max_8}, {10, rs_step_max_10}}},
        {"Mean", {{6, rs_step_plain_6}, {8, rs_step_variadic_8}}},
        {"Min", {{6, rs_step_plain_6}, {8, rs_step_variadic_8}}},
        {"Mish", {{0, NULL}}},
        {"Mod", {{0, NULL}}},
        {"Mul", {{7, rs_step_binary_7}}},
        {"Neg", {{6, rs_step_plain_6}}},
        {"Not", {{0, NULL}}},
        {"Or", {{7, rs_step_binary_7}}},
        {"PRelu", {{6, rs_step_plain_6}, {7, rs_step_prelu_7}}},
        {"Pad", {{2, rs_step_pad_2}, {11, rs_step_pad_11}, {18, rs_step_pad_18},
                        {19, rs_step_pad_19}}},
        {"Pow", {{7, rs_step_binary_7}}},
        {"QLinearConv", {{0, NULL}}},
        {"QLinearMatMul", {{0, NULL}}},
        {"QuantizeLinear",
                {{13, rs_step_quantize_13}, {19, rs_step_cast_19}, {21, rs_step_quantize_21}}},
        {"Range", {{0, NULL}}},
        {"Reciprocal", {{6, rs_step_plain_6}}},
        {"ReduceL1", {{11, rs_step_axis_11}, {18, rs_step_reduce_input}}},
        {"ReduceL2", {{11, rs_step_axis_11}, {18, rs_step_reduce_input}}},
        {"ReduceLogSum", {{11, rs_step_axis_11}, {18, rs_step_reduce_input}}},
        {"ReduceLogSumExp", {{11, rs_step_axis_11}, {18, rs_step_reduce_input}}},
        {"ReduceMax", {{11, rs_step_axis_11}, {18, rs_step_reduce_input}}},
        {"ReduceMean", {{11, rs_step_axis_11}, {18, rs_step_reduce_input}}},
        {"ReduceMin", {{11, rs_step_axis_11}, {18, rs_step_reduce_input}}},
        {"ReduceProd", {{11, rs_step_axis_11}, {18, rs_step_reduce_input}}},
        {"ReduceSum", {{11, rs_step_axis_11}, {13, rs_step_reduce_input}}},
        {"ReduceSumSquare", {{11, rs_step_axis_11}, {18, rs_step_reduce_input}}},
        {"Relu", {{6, rs_step_plain_6}}},
        {"Reshape", {{5, rs_step_reshape_5}, {14, rs_step_reshape_14}}},
        {"Round", {{0, NULL}}},
        {"Selu", {{6, rs_step_selu_6}}},
        {"Shape", {{15, rs_step_shape_15}}},
        {"Sigmoid", {{6, rs_step_plain_6}}},
        {"Sign", {{0, NULL}}},
        {"Sin", {{0, NULL}}},
        {"Sinh", {{0, NULL}}},
        {"Size", {{0, NULL}}},
        {"Slice", {{10, rs_step_slice_10}, {11, rs_step_slice_11}}},
        {"Softmax", {{13, rs_step_softmax_13}}},
        {"Softplus", {{0, NULL}}},
        {"Softsign", {{0, NULL}}},
        {"SpaceToDepth", {{0, NULL}}},
        {"Split", {{2, rs_step_split_2}, {11, rs_step_axis_11}, {13, rs_step_split_13},
                          {18, rs_step_split_18}}},
        {"Sqrt", {{6, rs_step_plain_6}}},
        {"Squeeze", {{11, rs_step_axis_11}, {13, rs_step_axes_input}}},
        {"Sub", {{7, rs_step_binary_7}}},
        {"Sum", {{6, rs_step_plain_6}, {8, rs_step_variadic_8}}},
        {"Tan", {{0, NULL}}},
        {"Tanh", {{6, rs_step_plain_6}}},
        {"ThresholdedRelu", {{0, NULL}}},
        {"Tile", {{6, rs_step_tile_6}}},
        {"Transpose", {{0, NULL}}},
        {"Unsqueeze", {{11, rs_step_axis_11}, {13, rs_step_axes_input}}},
        {"Where", {{0, NULL}}},
        {"Xor", {{7, rs_step_binary_7}}},
};

static const struct history *
find_history(const char *op)
{
        for (size_t i = 0; i < sizeof histories / sizeof *histories; i++)
                if (strcmp(histories[i].op, op) == 0)
                        return &histories[i];
        return NULL;
}

static bool
cross_node(rs_crossing *c, rs_node *n, resect_error *err)
{
        const struct history *h = find_history(n->op);
        const int64_t low = c->up ? c->from : c->to, high = c->up ? c->to : c->from;
        if (h == NULL)
                return rs_cross_refuse(n, "how it changed between versions is not known here", err);
        if (!c->up && c->to < 15 && strcmp(n->op, "CastLike") == 0) {
                if (!rs_step_cast_like(c, n, err))
                        return false;
                h = find_history(n->op);
        }
        if (!c->up && !rs_opset_takes(n, &c->types, c->to, err))
                return false;
        for (int k = 0; k < 4; k++) {
                const int i = c->up ? k : 3 - k;
                if (h->steps[i].cross != NULL && h->steps[i].version > low &&
                        h->steps[i].version <= high && !h->steps[i].cross(c, n, err))
                        return false;
        }
        rs_node_touch(n);
        return true;
}

bool
rs_set_opset(rs_surgery *s, int64_t version, resect_error *err)
{
        resect_model *m = s->m;
        rs_graph *g = &m->graph;
        rs_crossing c = {.s = s, .from = rs_model_opset(m), .to = version};
        size_t constants;
        if (c.from == 0)
                return rs_fail(
                        err, RESECT_GRAPH, "--opset: the model does not import ONNX's operators");
        if (c.from > 22)
                return rs_fail(err, RESECT_UNSUPPORTED,
                        "--opset: the model is of opset %lld, changes after 22 are not known here",
                        (long long)c.from);
        if (c.from == version) {
                rs_note(s, "opset is %lld already", (long long)version);
                return true;
        }
        c.up = version > c.from;
        if (!rs_constants_out(s, &constants, err) || !rs_index_make(&c.index, g, err))
                return false;
        bool ok = rs_infer_all(m, &c.types, err);
        /* A step may add a node, in the form of the new version. */
        const size_t n = g->n_nodes;
        rs_node **nodes = ok ? RS_NEW(&s->arena, n + 1, rs_node *, err) : NULL;
        ok = nodes != NULL;
        if (ok)
                memcpy(nodes, g->nodes, n * sizeof *nodes);
        for (size_t i = 0; ok && i < n; i++)
                if (nodes[i]->domain[0] == '\0')
                        ok = cross_node(&c, nodes[i], err);
        rs_index_free(&c.index);
        rs_types_free(&c.types);
        for (size_t i = 0; ok && i < m->n_opsets; i++)
                if (m->opsets[i].domain[0] == '\0')
                        m->opsets[i].version = version;
        /* Which IR version knows an opset: onnx/helper.py, OP_SET_ID_VERSION_MAP. */
        const int64_t ir = version <= 8    ? 3
                           : version == 9  ? 4
                           : version == 10 ? 5
                           : version == 11 ? 6
                           : version <= 14 ? 7
                           : version <= 18 ? 8
                           : version <= 20 ? 9
                                           : 10;
        if (ok && m->ir_version < ir)
                m->ir_version = ir;
        if (!ok)
                return false;
        rs_note(s, "opset %lld -> %lld", (long long)c.from, (long long)version);
        return rs_graph_prune(m, err);
}
