/* SPDX-License-Identifier: 0BSD */
/* What sort of node is it? The one place where the anatomy knows operators by name. */
#include "look/trunk.h"

#include <string.h>

bool
rs_op_in(const rs_node *n, const char *const *names)
{
        for (; *names; names++)
                if (!strcmp(n->op, *names))
                        return true;
        return false;
}

bool
rs_is_conv(const rs_node *n)
{
        return rs_op_in(
                n, (const char *const[]){"Conv", "QLinearConv", "ConvInteger", "FusedConv", NULL});
}

bool
rs_is_norm(const rs_node *n)
{
        return rs_op_in(n, (const char *const[]){"BatchNormalization", "InstanceNormalization",
                                   "GroupNormalization", "LayerNormalization", NULL});
}

bool
rs_is_active(const rs_node *n)
{
        return rs_op_in(
                n, (const char *const[]){"Relu", "LeakyRelu", "PRelu", "Elu", "Selu", "Celu",
                           "Gelu", "Clip", "Sigmoid", "Tanh", "HardSwish", "HardSigmoid",
                           "Softplus", "Mish", "ThresholdedRelu", "QLinearLeakyRelu", NULL});
}

bool
rs_is_sum(const rs_node *n)
{
        return rs_op_in(n, (const char *const[]){"Add", "Sum", "QLinearAdd", NULL});
}

bool
rs_passes(const rs_node *n)
{
        return rs_op_in(n, (const char *const[]){"Identity", "Dropout", "Cast", "Transpose",
                                   "QuantizeLinear", "DequantizeLinear", NULL});
}

bool
rs_is_shaper(const rs_node *n)
{
        return rs_op_in(
                n, (const char *const[]){"Flatten", "Reshape", "Squeeze", "Unsqueeze", NULL});
}

/* Nodes in 8 bits give each operand three inputs: values, scale, zero point. */
static bool
in_threes(const rs_node *n)
{
        return !strncmp(n->op, "QLinear", 7) || !strcmp(n->op, "QGemm");
}

size_t
rs_weight_slot(const rs_node *n)
{
        return in_threes(n) ? 3 : 1;
}

size_t
rs_bias_slot(const rs_node *n)
{
        return !in_threes(n) ? 2 : strcmp(n->op, "QGemm") ? 8 : 6;
}

bool
rs_value_dims(const resect_anatomy *a, const char *value, int *rank, int64_t dims[RESECT_RANK_MAX])
{
        const rs_type *t = rs_types_find(&a->types, value);
        *rank = -1;
        for (int i = 0; i < RESECT_RANK_MAX; i++)
                dims[i] = -1;
        if (!t || t->rank < 0)
                return false;
        *rank = t->rank;
        for (int i = 0; i < t->rank; i++)
                dims[i] = t->dims[i] < 0 ? -1 : t->dims[i];
        return true;
}
