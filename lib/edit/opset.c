/* SPDX-License-Identifier: 0BSD */
/*
 * opset: another version of ONNX's operators, for those that residual networks are made of. An
 * operator's history is one row: the versions at which its meaning or form changed, and a function
 * that brings a node across one such step, up or down. What has no row, or cannot be said in the
 * other version, is refused by name; weights are never touched. Between the listed versions only
 * element types were added.
 */
#include "edit/rewrite.h"

#include <math.h>
#include <string.h>

#include "base/map.h"
#include "edit/fold.h"
#include "tensor/dtype.h"

typedef struct crossing {
        rs_surgery *s;
        rs_types types;
        rs_index index; /* as it was before: constants are looked up there */
        int64_t from, to;
        bool up;
} crossing;

typedef bool step(crossing *c, rs_node *n, resect_error *err);

static bool
refuse(const rs_node *n, const char *why, resect_error *err)
{
        return rs_fail(
                err, RESECT_UNSUPPORTED, "--opset: %s (%s): %s", rs_node_title(n), n->op, why);
}

/* The integers that a constant input holds; NULL when it is none. */
static const int64_t *
constant_ints(crossing *c, const rs_node *n, size_t slot, size_t *count, resect_error *err)
{
        const rs_tensor *t = slot < n->n_in ? rs_constant(&c->index, n->in[slot]) : NULL;
        rs_span raw;
        if (t == NULL || t->dtype != RESECT_INT64 ||
                !rs_tensor_bytes(c->s->m, t, &c->s->arena, &raw, err))
                return NULL;
        int64_t *v = RS_NEW(&c->s->arena, t->count + 1, int64_t, err);
        if (v != NULL)
                rs_from_little(v, raw.data, RESECT_INT64, t->count);
        *count = t->count;
        return v;
}

static bool
add_input(crossing *c, rs_node *n, size_t slot, const char *name, resect_error *err)
{
        const char **in = RS_NEW(&c->s->m->arena, slot + 1, const char *, err);
        if (in == NULL)
                return false;
        for (size_t i = 0; i < slot; i++)
                in[i] = i < n->n_in ? n->in[i] : "";
        in[slot] = name;
        n->in = in;
        n->n_in = slot + 1;
        rs_node_touch(n);
        return true;
}

/* An attribute of integers that became input 1 (axes, shape, pads), and the way back. */
static bool
ints_move(crossing *c, rs_node *n, const char *attr, resect_error *err)
{
        const rs_attr *a = rs_node_attr(n, attr);
        if (c->up) {
                if (a == NULL || a->type != RS_ATTR_INTS)
                        return true;
                char *wish = rs_arena_printf(
                        &c->s->arena, err, "%s_%s", n->n_out ? n->out[0] : n->op, attr);
                const char *name = wish != NULL ? rs_model_fresh_name(c->s->m, wish, err) : NULL;
                if (name == NULL || rs_build_ints(c->s, name, a->ints, a->n, err) == NULL)
                        return false;
                rs_node_drop_attr(n, attr);
                return add_input(c, n, 1, name, err);
        }
        size_t count;
        if (n->n_in < 2 || n->in[1][0] == '\0')
                return true;
        const int64_t *v = constant_ints(c, n, 1, &count, err);
        if (v == NULL)
                return err != NULL && err->code == RESECT_NOMEM
                               ? false
                               : refuse(n, "its second input is computed, not constant", err);
        n->n_in = 1;
        return rs_node_set_ints(c->s->m, n, attr, v, count, err);
}

/* Going down, an attribute that the older version does not know must have its default, and goes. */
static bool
forget_int(crossing *c, rs_node *n, const char *attr, int64_t otherwise, resect_error *err)
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

static bool
forget_ones(crossing *c, rs_node *n, const char *attr, resect_error *err)
{
        const rs_attr *a = rs_node_attr(n, attr);
        if (c->up || a == NULL)
                return true;
        for (size_t i = 0; a->type == RS_ATTR_INTS && i < a->n; i++)
                if (a->ints[i] != 1)
                        return refuse(n, "its dilations cannot be said there", err);
        rs_node_drop_attr(n, attr);
        return true;
}

static const rs_type *
type_of(const crossing *c, const rs_node *n, size_t slot)
{
        return slot < n->n_in ? rs_types_find(&c->types, n->in[slot]) : NULL;
}

/* Before 13 everything from axis on was one row: the same when the axis is the last. */
static bool
softmax_13(crossing *c, rs_node *n, resect_error *err)
{
        const rs_type *x = type_of(c, n, 0);
        int64_t axis = rs_node_int(n, "axis", c->up ? 1 : -1);
        if (x == NULL || x->rank < 1)
                return refuse(n, "the rank of its input is not known", err);
        axis += axis < 0 ? x->rank : 0;
        if (axis != x->rank - 1)
                return refuse(n, "its axis is not the last, and means something else there", err);
        return rs_node_set_int(c->s->m, n, "axis", axis, err);
}

/* Before 7 broadcasting was asked for, along an axis; equal shapes need none. */
static bool
binary_7(crossing *c, rs_node *n, resect_error *err)
{
        const rs_type *a = type_of(c, n, 0), *b = type_of(c, n, 1);
        bool same = a != NULL && b != NULL && a->rank >= 0 && a->rank == b->rank;
        for (int i = 0; same && i < a->rank; i++)
                same = a->dims[i] == b->dims[i];
        const bool tail = a != NULL && b != NULL && b->rank >= 0 && b->rank <= a->rank;
        const int64_t axis = rs_node_int(n, "axis", -1);
        rs_node_drop_attr(n, "consumed_inputs");
        if (rs_node_int(n, "broadcast", 0) != 0 && !same &&
                (!tail || (axis >= 0 && axis != a->rank - b->rank)))
                return refuse(n, "it broadcasts along an axis that is not the last", err);
        rs_node_drop_attr(n, "broadcast");
        rs_node_drop_attr(n, "axis");
        return true;
}

static bool
gemm_7(crossing *c, rs_node *n, resect_error *err)
{
        (void)c, (void)err;
        rs_node_drop_attr(n, "broadcast");
        return true;
}

static bool
gemm_11(crossing *c, rs_node *n, resect_error *err)
{
        return c->up || (n->n_in > 2 && n->in[2][0] != '\0')
                       ? true
                       : refuse(n, "it has no C, which was not optional there", err);
}

static bool
bn_7(crossing *c, rs_node *n, resect_error *err)
{
        if (rs_bn_trains(c->s->m, n))
                return refuse(n, "it is in training mode", err);
        rs_node_drop_attr(n, "is_test");
        rs_node_drop_attr(n, "consumed_inputs");
        return true;
}

/* 9 has no spatial any more: 1 is what it always does. Of one number a channel, as some exporters
 * write with 0, the meaning is that too. */
static bool
bn_9(crossing *c, rs_node *n, resect_error *err)
{
        const rs_type *scale = type_of(c, n, 1);
        if (c->up && rs_node_int(n, "spatial", 1) == 0 && (scale == NULL || scale->rank != 1))
                return refuse(n, "spatial=0 with parameters for each element", err);
        rs_node_drop_attr(n, "spatial");
        return true;
}

static bool
bn_14(crossing *c, rs_node *n, resect_error *err)
{
        if (c->up ? rs_bn_trains(c->s->m, n) : rs_node_int(n, "training_mode", 0) != 0)
                return refuse(n, "it is in training mode; resect-fold --eval ends that", err);
        return forget_int(c, n, "training_mode", 0, err);
}

static bool
dropout_7(crossing *c, rs_node *n, resect_error *err)
{
        (void)c, (void)err;
        rs_node_drop_attr(n, "is_test");
        return true;
}

static bool
dropout_12(crossing *c, rs_node *n, resect_error *err)
{
        if (c->up) {
                const double ratio = rs_node_float(n, "ratio", 0.5f);
                const char *name = rs_model_fresh_name(c->s->m, "dropout_ratio", err);
                rs_tensor *t = name != NULL ? rs_model_add_tensor(
                                                      c->s->m, name, RESECT_FLOAT, 0, NULL, err)
                                            : NULL;
                if (t == NULL)
                        return false;
                rs_tensor_put(t, &ratio, 1);
                rs_node_drop_attr(n, "ratio");
                return add_input(c, n, 1, name, err);
        }
        if (n->n_in > 2)
                return refuse(n, "its training_mode is an input", err);
        const rs_tensor *t =
                n->n_in > 1 && n->in[1][0] != '\0' ? rs_constant(&c->index, n->in[1]) : NULL;
        double *ratio, half = 0.5;
        if (n->n_in > 1 && n->in[1][0] != '\0' && (t == NULL || t->count != 1))
                return refuse(n, "its ratio is computed, not constant", err);
        if (t == NULL)
                ratio = &half;
        else if (!rs_tensor_doubles(c->s->m, &c->s->arena, t, &ratio, err))
                return false;
        n->n_in = 1;
        rs_node_drop_attr(n, "seed");
        return rs_node_set_float(c->s->m, n, "ratio", (float)*ratio, err);
}

static bool
reshape_5(crossing *c, rs_node *n, resect_error *err)
{
        rs_node_drop_attr(n, "consumed_inputs");
        return ints_move(c, n, "shape", err);
}
static bool
reshape_14(crossing *c, rs_node *n, resect_error *err)
{
        return forget_int(c, n, "allowzero", 0, err);
}

static bool
axes_input(crossing *c, rs_node *n, resect_error *err)
{
        return ints_move(c, n, "axes", err);
}

static bool
reduce_18(crossing *c, rs_node *n, resect_error *err)
{
        return forget_int(c, n, "noop_with_empty_axes", 0, err) && ints_move(c, n, "axes", err);
}

static bool
shape_15(crossing *c, rs_node *n, resect_error *err)
{
        return rs_node_attr(n, "end") != NULL && !c->up ? refuse(n, "it has an end", err)
                                                        : forget_int(c, n, "start", 0, err);
}

static bool
max_8(crossing *c, rs_node *n, resect_error *err)
{
        return forget_int(c, n, "storage_order", 0, err) &&
               (c->up || n->n_out < 2 || refuse(n, "it tells indices", err));
}
static bool
max_10(crossing *c, rs_node *n, resect_error *err)
{
        return forget_int(c, n, "ceil_mode", 0, err) && forget_ones(c, n, "dilations", err);
}
static bool
average_7(crossing *c, rs_node *n, resect_error *err)
{
        return forget_int(c, n, "count_include_pad", 0, err);
}
static bool
average_10(crossing *c, rs_node *n, resect_error *err)
{
        return forget_int(c, n, "ceil_mode", 0, err);
}
static bool
average_19(crossing *c, rs_node *n, resect_error *err)
{
        return forget_ones(c, n, "dilations", err);
}

/* Negative axes came with 11 (Flatten, Concat, Squeeze ...): going down they are counted from the
 * front. */
static bool
axis_11(crossing *c, rs_node *n, resect_error *err)
{
        const rs_type *x = type_of(c, n, 0);
        const rs_attr *axis = rs_node_attr(n, "axis"), *axes = rs_node_attr(n, "axes");
        if (c->up)
                return true;
        if (axis != NULL && axis->type == RS_ATTR_INT && axis->i < 0) {
                if (x == NULL || x->rank < 0)
                        return refuse(n, "its axis counts from the end of an unknown rank", err);
                return rs_node_set_int(c->s->m, n, "axis", axis->i + x->rank, err);
        }
        int64_t v[RESECT_RANK_MAX];
        if (axes == NULL || axes->type != RS_ATTR_INTS || axes->n > RESECT_RANK_MAX)
                return true;
        const int rank = x == NULL || x->rank < 0          ? -1
                         : strcmp(n->op, "Unsqueeze") == 0 ? x->rank + (int)axes->n
                                                           : x->rank;
        for (size_t i = 0; i < axes->n; i++) {
                v[i] = axes->ints[i];
                if (v[i] < 0 && rank < 0)
                        return refuse(n, "its axes count from the end of an unknown rank", err);
                v[i] += v[i] < 0 ? rank : 0;
        }
        return rs_node_set_ints(c->s->m, n, "axes", v, axes->n, err);
}

static bool
pad_11(crossing *c, rs_node *n, resect_error *err)
{
        if (!c->up) {
                double *value = NULL;
                const rs_tensor *t = n->n_in > 2 && n->in[2][0] != '\0'
                                             ? rs_constant(&c->index, n->in[2])
                                             : NULL;
                if (n->n_in > 3 ||
                        (n->n_in > 2 && n->in[2][0] != '\0' && (t == NULL || t->count != 1)))
                        return refuse(
                                n, "its value or axes are inputs that cannot be said there", err);
                if (t != NULL && !rs_tensor_doubles(c->s->m, &c->s->arena, t, &value, err))
                        return false;
                n->n_in = 2;
                return ints_move(c, n, "pads", err) &&
                       (value == NULL ||
                               rs_node_set_float(c->s->m, n, "value", (float)*value, err));
        }
        const double value = rs_node_float(n, "value", 0);
        if (!ints_move(c, n, "pads", err))
                return false;
        rs_node_drop_attr(n, "value");
        if (value == 0)
                return true;
        const char *name = rs_model_fresh_name(c->s->m, "pad_value", err);
        rs_tensor *t = name != NULL ? rs_model_add_tensor(c->s->m, name, RESECT_FLOAT, 0, NULL, err)
                                    : NULL;
        if (t == NULL)
                return false;
        rs_tensor_put(t, &value, 1);
        return add_input(c, n, 2, name, err);
}

static bool
clip_11(crossing *c, rs_node *n, resect_error *err)
{
        static const char *const names[2] = {"min", "max"};
        for (size_t i = 0; i < 2; i++) {
                if (c->up && rs_node_attr(n, names[i]) != NULL) {
                        const double v = rs_node_float(n, names[i], 0);
                        const char *name =
                                rs_model_fresh_name(c->s->m, i ? "clip_max" : "clip_min", err);
                        rs_tensor *t = name != NULL ? rs_model_add_tensor(c->s->m, name,
                                                              RESECT_FLOAT, 0, NULL, err)
                                                    : NULL;
                        if (t == NULL || !add_input(c, n, i + 1, name, err))
                                return false;
                        rs_tensor_put(t, &v, 1);
                        rs_node_drop_attr(n, names[i]);
                } else if (!c->up && n->n_in > i + 1 && n->in[i + 1][0] != '\0') {
                        const rs_tensor *t = rs_constant(&c->index, n->in[i + 1]);
                        double *v;
                        if (t == NULL || t->count != 1)
                                return refuse(n, "its bounds are computed, not constant", err);
                        if (!rs_tensor_doubles(c->s->m, &c->s->arena, t, &v, err) ||
                                !rs_node_set_float(c->s->m, n, names[i], (float)*v, err))
                                return false;
                }
        }
        if (!c->up)
                n->n_in = 1;
        return true;
}

static bool
sum_8(crossing *c, rs_node *n, resect_error *err)
{
        const rs_type *a = type_of(c, n, 0);
        for (size_t k = 1; !c->up && k < n->n_in; k++) {
                const rs_type *b = type_of(c, n, k);
                bool same = a != NULL && b != NULL && a->rank >= 0 && a->rank == b->rank;
                for (int i = 0; same && i < a->rank; i++)
                        same = a->dims[i] == b->dims[i];
                if (!same)
                        return refuse(n, "it broadcasts, which Sum did not do there", err);
        }
        return true;
}

static bool
plain_6(crossing *c, rs_node *n, resect_error *err)
{
        (void)c, (void)err;
        rs_node_drop_attr(n, "consumed_inputs");
        return true;
}

/* Every change between opset 6 and 22. Operators with no steps only gained element types. */
static const struct history {
        const char *op;
        struct {
                int version;
                step *cross;
        } steps[4];
} histories[] = {
        {"Add", {{7, binary_7}}},
        {"Sub", {{7, binary_7}}},
        {"Mul", {{7, binary_7}}},
        {"Div", {{7, binary_7}}},
        {"AveragePool", {{7, average_7}, {10, average_10}, {19, average_19}}},
        {"BatchNormalization", {{7, bn_7}, {9, bn_9}, {14, bn_14}}},
        {"Clip", {{6, plain_6}, {11, clip_11}}},
        {"Concat", {{11, axis_11}}},
        {"Conv", {{0, NULL}}},
        {"Dropout", {{7, dropout_7}, {12, dropout_12}}},
        {"Exp", {{6, plain_6}}},
        {"Expand", {{0, NULL}}},
        {"Flatten", {{11, axis_11}}},
        {"Gather", {{11, axis_11}}},
        {"Gemm", {{7, gemm_7}, {11, gemm_11}}},
        {"GlobalAveragePool", {{0, NULL}}},
        {"GlobalMaxPool", {{0, NULL}}},
        {"Identity", {{0, NULL}}},
        {"LogSoftmax", {{13, softmax_13}}},
        {"MatMul", {{0, NULL}}},
        {"MaxPool", {{8, max_8}, {10, max_10}}},
        {"Pad", {{11, pad_11}}},
        {"ReduceMean", {{11, axis_11}, {18, reduce_18}}},
        {"Relu", {{6, plain_6}}},
        {"Reshape", {{5, reshape_5}, {14, reshape_14}}},
        {"Shape", {{15, shape_15}}},
        {"Sigmoid", {{6, plain_6}}},
        {"Softmax", {{13, softmax_13}}},
        {"Sqrt", {{6, plain_6}}},
        {"Squeeze", {{11, axis_11}, {13, axes_input}}},
        {"Sum", {{6, plain_6}, {8, sum_8}}},
        {"Tanh", {{6, plain_6}}},
        {"Transpose", {{0, NULL}}},
        {"Unsqueeze", {{11, axis_11}, {13, axes_input}}},
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
cross_node(crossing *c, rs_node *n, resect_error *err)
{
        const struct history *h = find_history(n->op);
        const int64_t low = c->up ? c->from : c->to, high = c->up ? c->to : c->from;
        if (h == NULL)
                return refuse(n, "how it changed between versions is not known here", err);
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
        crossing c = {.s = s, .from = rs_model_opset(m), .to = version};
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
        const size_t n = g->n_nodes;
        for (size_t i = 0; ok && i < n; i++)
                if (g->nodes[i]->domain[0] == '\0')
                        ok = cross_node(&c, g->nodes[i], err);
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
