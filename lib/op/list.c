/* SPDX-License-Identifier: 0BSD */
/* The list of operators, made of list.h's rows. */
#include "op/op.h"

#include <string.h>

#define RS_OP(name) extern const rs_op rs_op_##name;
#include "op/list.h"
#undef RS_OP

#define RS_OP(name) &rs_op_##name,
const rs_op *const rs_ops[] = {
#include "op/list.h"
        NULL};
#undef RS_OP

const rs_op *
rs_op_find(const char *domain, const char *name, int64_t opset)
{
        for (const rs_op *const *o = rs_ops; *o; o++)
                if (!strcmp((*o)->name, name) && !strcmp((*o)->domain, domain) &&
                        opset >= (*o)->since && (!(*o)->until || opset <= (*o)->until))
                        return *o;
        return NULL;
}

const rs_op *
rs_op_of(const resect_model *m, const rs_node *n, int64_t *opset)
{
        const char *domain = strcmp(n->domain, "ai.onnx") ? n->domain : "";
        int64_t version = m->n_opsets || *domain ? 0 : 1;
        for (size_t i = 0; i < m->n_opsets; i++)
                if (!strcmp(m->opsets[i].domain, domain))
                        version = m->opsets[i].version;
        if (opset)
                *opset = version;
        return rs_op_find(domain, n->op, version);
}
