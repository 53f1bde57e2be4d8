/* SPDX-License-Identifier: 0BSD */
/*
 * What a training plan trains. Parameters and running statistics are told apart by the slot an
 * operator reads them in, never by names; frozen ones are neither. A gradient then flows through
 * every step that a parameter reaches; or, in a plan that asks for the gradients of its inputs and
 * has no parameters, through every step that an input reaches.
 */
#include "plan/plan.h"

static bool
is_float(const rs_pvalue *v)
{
        return v->type.dtype == RESECT_FLOAT || v->type.dtype == RESECT_DOUBLE;
}

/* The initializer that step s reads in slot i, when it may be trained at all; else NULL. */
static rs_pvalue *
candidate(resect_plan *p, const rs_pstep *s, size_t i)
{
        if (s->in[i] < 0 || i >= 32 || p->by_input)
                return NULL;
        rs_pvalue *v = &p->values[p->values[s->in[i]].root];
        bool may = v->place == RS_PLACE_WEIGHT && v->type.dtype == RESECT_FLOAT &&
                   *v->tensor->name && !rs_model_is_frozen(p->model, v->tensor->name);
        return may ? v : NULL;
}

static void
mark_trained(resect_plan *p, const rs_pstep *s, const bool *after)
{
        bool downstream = false;
        for (size_t i = 0; i < s->n_in; i++)
                downstream |= s->in[i] >= 0 && after[s->in[i]];
        for (size_t i = 0; i < s->n_in; i++) {
                rs_pvalue *v = candidate(p, s, i);
                if (!v)
                        continue;
                if (s->op->trains >> i & 1 ||
                        (s->op->adjusts >> i & 1 && downstream && v->tensor->count > 1))
                        v->trained = v->has_grad = true;
                if (s->op->statistics >> i & 1)
                        v->statistic = true;
        }
}

bool
rs_plan_gradients(resect_plan *p, resect_error *err)
{
        bool *after = RS_NEW(&p->arena, p->n_values + 1, bool,
                err); /* value lies downstream of a weight, trained or not */
        if (!after)
                return false;
        for (size_t i = 0; p->by_input && i < p->n_inputs; i++)
                if (p->inputs[i] >= 0 && is_float(&p->values[p->inputs[i]]))
                        p->values[p->inputs[i]].has_grad = true;
        for (size_t k = 0; k < p->n_steps; k++) {
                rs_pstep *s = &p->steps[k];
                mark_trained(p, s, after);
                bool reached = false, weighted = false;
                for (size_t i = 0; i < s->n_in; i++) {
                        if (s->in[i] < 0)
                                continue;
                        const rs_pvalue *root = &p->values[p->values[s->in[i]].root];
                        reached |= root->has_grad;
                        weighted |= after[s->in[i]] || (i < 32 && s->op->trains >> i & 1 &&
                                                               root->place == RS_PLACE_WEIGHT);
                }
                bool passes = false;
                for (size_t j = 0; j < s->n_out; j++) {
                        if (s->out[j] < 0)
                                continue;
                        after[s->out[j]] = weighted;
                        rs_pvalue *v = &p->values[s->out[j]];
                        if (!reached || !is_float(v) || (s->view && j == 0))
                                continue;
                        if (!s->op->backward)
                                return rs_fail(err, RESECT_UNSUPPORTED,
                                        "%s: operator %s has no gradient; freeze what lies before "
                                        "it to train the rest",
                                        rs_plan_node_name(s->node), s->op->name);
                        passes = v->has_grad = true;
                }
                s->backward = passes;
        }
        return true;
}
