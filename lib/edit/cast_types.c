/* SPDX-License-Identifier: 0BSD */
/*
 * Which operators take which float types, as ONNX's schemas have it: float32 and double since the
 * beginning (with the exceptions below), float16 mostly so, bfloat16 for one part since opset 13
 * and for another, Conv and the pools in it, since 22. An operator that is not in the table keeps
 * the types it has.
 */
#include "edit/cast.h"

#include <string.h>

#include "tensor/dtype.h"

/* The first opset with float16, bfloat16 and double; 0: none. */
static const struct types {
        const char *op;
        unsigned char half, bfloat, twice;
} table[] = {
        {"Abs", 1, 13, 1},
        {"Acos", 7, 22, 7},
        {"Acosh", 9, 22, 9},
        {"Add", 1, 13, 1},
        {"ArgMax", 1, 13, 1},
        {"ArgMin", 1, 13, 1},
        {"Asin", 7, 22, 7},
        {"Asinh", 9, 22, 9},
        {"Atan", 7, 22, 7},
        {"Atanh", 9, 22, 9},
        {"AveragePool", 1, 22, 1},
        {"BatchNormalization", 1, 14, 1},
        {"Ceil", 1, 13, 1},
        {"Clip", 1, 13, 1},
        {"Concat", 1, 13, 4},
        {"Conv", 1, 22, 1},
        {"ConvTranspose", 1, 22, 1},
        {"Cos", 7, 22, 7},
        {"Cosh", 9, 22, 9},
        {"DepthToSpace", 1, 13, 1},
        {"Div", 1, 13, 1},
        {"Dropout", 1, 13, 1},
        {"Elu", 1, 22, 1},
        {"Equal", 11, 13, 11},
        {"Erf", 9, 13, 9},
        {"Exp", 1, 13, 1},
        {"Expand", 8, 13, 8},
        {"Flatten", 1, 13, 1},
        {"Floor", 1, 13, 1},
        {"Gather", 1, 13, 1},
        {"GatherElements", 11, 13, 11},
        {"Gelu", 20, 20, 20},
        {"Gemm", 1, 13, 1},
        {"GlobalAveragePool", 1, 22, 1},
        {"GlobalLpPool", 2, 22, 2},
        {"GlobalMaxPool", 1, 22, 1},
        {"Greater", 1, 13, 1},
        {"GreaterOrEqual", 12, 16, 12},
        {"HardSigmoid", 1, 22, 1},
        {"HardSwish", 14, 22, 14},
        {"Identity", 1, 13, 1},
        {"InstanceNormalization", 1, 22, 1},
        {"IsNaN", 9, 13, 9},
        {"LRN", 1, 13, 1},
        {"LeakyRelu", 1, 16, 1},
        {"Less", 1, 13, 1},
        {"LessOrEqual", 12, 16, 12},
        {"Log", 1, 13, 1},
        {"LogSoftmax", 1, 13, 1},
        {"LpPool", 2, 22, 2},
        {"MatMul", 1, 13, 1},
        {"Max", 1, 13, 1},
        {"MaxPool", 1, 22, 1},
        {"Mean", 1, 13, 1},
        {"Min", 1, 13, 1},
        {"Mish", 18, 22, 18},
        {"Mul", 1, 13, 1},
        {"Neg", 1, 13, 1},
        {"PRelu", 1, 16, 1},
        {"Pad", 1, 13, 1},
        {"Pow", 1, 13, 1},
        {"Reciprocal", 1, 13, 1},
        {"ReduceL1", 1, 13, 1},
        {"ReduceL2", 1, 13, 1},
        {"ReduceLogSum", 1, 13, 1},
        {"ReduceLogSumExp", 1, 13, 1},
        {"ReduceMax", 1, 13, 1},
        {"ReduceMean", 1, 13, 1},
        {"ReduceMin", 1, 13, 1},
        {"ReduceProd", 1, 13, 1},
        {"ReduceSum", 1, 13, 1},
        {"ReduceSumSquare", 1, 13, 1},
        {"Relu", 1, 13, 1},
        {"Reshape", 1, 13, 1},
        {"Round", 11, 22, 11},
        {"Selu", 1, 22, 1},
        {"Sigmoid", 1, 13, 1},
        {"Sign", 9, 13, 9},
        {"Sin", 7, 22, 7},
        {"Sinh", 9, 22, 9},
        {"Slice", 1, 13, 1},
        {"Softmax", 1, 13, 1},
        {"Softplus", 1, 22, 1},
        {"Softsign", 1, 22, 1},
        {"SpaceToDepth", 1, 13, 1},
        {"Split", 2, 13, 2},
        {"Sqrt", 1, 13, 1},
        {"Squeeze", 1, 13, 1},
        {"Sub", 1, 13, 1},
        {"Sum", 1, 13, 1},
        {"Tan", 7, 22, 7},
        {"Tanh", 1, 13, 1},
        {"ThresholdedRelu", 10, 22, 10},
        {"Tile", 6, 13, 6},
        {"Transpose", 1, 13, 1},
        {"Unsqueeze", 1, 13, 1},
        {"Where", 9, 16, 9},
};

int
rs_cast_since(const rs_node *n, int32_t dtype)
{
        for (size_t i = 0; n->domain[0] == '\0' && i < sizeof table / sizeof *table; i++)
                if (strcmp(table[i].op, n->op) == 0)
                        return dtype == RESECT_FLOAT16    ? table[i].half
                               : dtype == RESECT_BFLOAT16 ? table[i].bfloat
                               : dtype == RESECT_DOUBLE   ? table[i].twice
                                                          : 1;
        return 0;
}

const char *
rs_cast_name(int32_t dtype)
{
        return dtype == RESECT_FLOAT16    ? "fp16"
               : dtype == RESECT_BFLOAT16 ? "bf16"
               : dtype == RESECT_DOUBLE   ? "double"
               : dtype == RESECT_INT8     ? "int8"
                                          : "fp32";
}

bool
rs_is_float(int32_t dtype)
{
        return dtype == RESECT_FLOAT || dtype == RESECT_FLOAT16 || dtype == RESECT_BFLOAT16 ||
               dtype == RESECT_DOUBLE;
}

/* An operator of 8 bits. */
static bool
quantised(const rs_node *n)
{
        return strncmp(n->op, "QLinear", 7) == 0 || strstr(n->op, "QuantizeLinear") != NULL ||
               strcmp(n->op, "DequantizeLinear") == 0 || strcmp(n->op, "ConvInteger") == 0 ||
               strcmp(n->op, "MatMulInteger") == 0;
}

bool
rs_cast_kept(const rs_cast *c, const rs_node *n)
{
        if (c->keep == NULL || n->n_out == 0)
                return false;
        const char *part = resect_anatomy_value_part(c->anatomy, n->out[0]);
        return (part != NULL && rs_glob(c->keep, part)) || rs_glob(c->keep, n->name) ||
               rs_glob(c->keep, n->out[0]);
}

bool
rs_cast_unquantised(const rs_node *n, resect_error *err)
{
        return !quantised(n) ||
               rs_fail(err, RESECT_UNSUPPORTED,
                       "the model is of 8 bits already: %s (%s); take the one from before",
                       rs_node_title(n), n->op);
}

bool
rs_cast_allowed(const rs_cast *c, resect_error *err)
{
        const resect_model *m = c->s->m;
        const rs_graph *g = &m->graph;
        const int64_t opset = rs_model_opset(m), least = c->to == RESECT_BFLOAT16 ? 13 : 7;
        const char *to = rs_cast_name(c->to);
        if (opset < least)
                return rs_fail(err, RESECT_UNSUPPORTED,
                        "--to %s needs opset %lld or later, and the model is of %lld: resect-edit "
                        "--opset %lld "
                        "raises it",
                        to, (long long)least, (long long)opset, (long long)least);
        for (size_t i = 0; i < g->n_nodes; i++) {
                const rs_node *n = g->nodes[i];
                const char **names;
                size_t count;
                const int since = rs_cast_since(n, c->to);
                if (!rs_cast_unquantised(n, err))
                        return false;
                if (!rs_node_subgraph_names(n, &c->s->arena, &names, &count, err))
                        return false;
                if (count != 0)
                        return rs_fail(err, RESECT_UNSUPPORTED,
                                "%s (%s) has a graph of its own, whose types are not cast",
                                rs_node_title(n), n->op);
                if ((rs_is_op(n, "Conv") || rs_is_op(n, "ConvTranspose")) && since > opset &&
                        !c->weights_only && !rs_cast_kept(c, n))
                        return rs_fail(err, RESECT_UNSUPPORTED,
                                "%s takes %s from opset %d on, and the model is of %lld: "
                                "resect-edit --opset %d "
                                "raises it, --weights-only needs no more",
                                n->op, to, since, (long long)opset, since);
                for (size_t j = 1; rs_is_op(n, "BatchNormalization") && j < n->n_out; j++)
                        if (n->out[j][0] != '\0')
                                return rs_fail(err, RESECT_UNSUPPORTED,
                                        "%s is in training mode: resect-fold --eval takes it out",
                                        rs_node_title(n));
        }
        return true;
}

bool
rs_cast_check_keep(const rs_cast *c, resect_error *err)
{
        const rs_graph *g = &c->s->m->graph;
        for (size_t i = 0; i < g->n_nodes; i++)
                if (rs_cast_kept(c, g->nodes[i]))
                        return true;
        return c->keep == NULL ||
               rs_fail(err, RESECT_ARG, "--keep: no layer is called %s", c->keep);
}

void
rs_cast_lose(rs_cast *c, const char *tensor, const rs_loss *loss)
{
        rs_loss *to[2] = {&c->loss, NULL};
        const char *part = resect_anatomy_tensor_part(c->anatomy, tensor);
        for (size_t i = 0; part != NULL && to[1] == NULL && i < c->n_layers; i++)
                if (c->layers[i].node != NULL && strcmp(c->layers[i].name, part) == 0)
                        to[1] = &c->layers[i].loss;
        for (int k = 0; k < 2; k++)
                if (to[k] != NULL) {
                        to[k]->numbers += loss->numbers;
                        to[k]->infinite += loss->infinite;
                        to[k]->vanished += loss->vanished;
                }
}
