/* SPDX-License-Identifier: 0BSD */
/* What may be cast, and what is kept: resect-cast's questions about nodes. */
#include "edit/cast.h"
#include "edit/opset_types.h"

#include <string.h>

#include "tensor/dtype.h"

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
                const int since = rs_opset_since(n, c->to);
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
