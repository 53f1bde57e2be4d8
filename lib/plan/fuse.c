/* SPDX-License-Identifier: 0BSD */
/*
 * Fusion, for plans that only run forward: a Conv takes in the BatchNormalization that alone reads
 * it (its weights are rewritten when they are loaded), then the addition of another branch that is
 * ready by then, then a Relu. Two branches that meet in an Add are fused into the later of their
 * Convs. This file alone knows these patterns.
 */
#include "plan/plan.h"

#include <string.h>

/* Who reads each value. */
struct readers {
        int *count, *step; /* [n_values]: number of reads, and the last step that reads */
        bool *dead;        /* [n_steps] */
};

static bool
count_readers(resect_plan *p, struct readers *r, resect_error *err)
{
        /* two values for every Conv may be added: its folded weight and bias */
        size_t room = p->n_values + 2 * p->n_steps + 1;
        r->count = RS_NEW(&p->arena, room, int, err);
        r->step = RS_NEW(&p->arena, room, int, err);
        r->dead = RS_NEW(&p->arena, p->n_steps + 1, bool, err);
        if (!r->count || !r->step || !r->dead)
                return false;
        for (size_t s = 0; s < p->n_steps; s++)
                for (size_t i = 0; i < p->steps[s].n_in; i++)
                        if (p->steps[s].in[i] >= 0) {
                                r->count[p->steps[s].in[i]]++;
                                r->step[p->steps[s].in[i]] = (int)s;
                        }
        for (size_t s = 0; s < p->n_steps; s++)
                if (p->steps[s].residual >= 0) {
                        r->count[p->steps[s].residual]++;
                        r->step[p->steps[s].residual] = (int)s;
                }
        return true;
}

/* The step that alone reads what s makes, or NULL. */
static rs_pstep *
sole_reader(resect_plan *p, const struct readers *r, const rs_pstep *s)
{
        int v = s->out[0];
        return v >= 0 && !p->values[v].output && r->count[v] == 1 ? &p->steps[r->step[v]] : NULL;
}

static bool
is(const rs_pstep *s, const char *op)
{
        return s && !*s->op->domain && !strcmp(s->op->name, op);
}

/* s makes what `next` made, and next is gone. */
static void
swallow(resect_plan *p, struct readers *r, rs_pstep *s, rs_pstep *next)
{
        p->values[s->out[0]].step = -1; /* nobody makes it any more */
        s->out[0] = next->out[0];
        s->backward |= next->backward;
        p->values[s->out[0]].step = (int)(s - p->steps);
        r->dead[next - p->steps] = true;
}

/* The root of a value when it is a float vector of n elements among the weights, else -1. n of 0:
 * any size. */
static int
float_weight(const resect_plan *p, int v, size_t n)
{
        if (v < 0)
                return -1;
        int root = p->values[v].root;
        const rs_pvalue *w = &p->values[root];
        bool fits = w->place == RS_PLACE_WEIGHT && w->type.dtype == RESECT_FLOAT &&
                    (!n || w->tensor->count == n);
        return fits ? root : -1;
}

static bool
fold_norm(resect_plan *p, struct readers *r, rs_pstep *s, resect_error *err)
{
        rs_pstep *bn = sole_reader(p, r, s);
        if (!is(bn, "BatchNormalization") || bn->in[0] != s->out[0] || bn->n_in != 5)
                return true;
        bool once_more = rs_node_int(bn->node, "training_mode", 0) ||
                         (rs_model_opset(p->model) < 7 && !rs_node_int(bn->node, "is_test", 0));
        for (size_t j = 1; j < bn->n_out; j++)
                once_more |= bn->out[j] >= 0;
        int w = float_weight(p, s->in[1], 0);
        if (once_more || w < 0 || p->values[w].type.rank < 3)
                return true;
        size_t channels = (size_t)p->values[w].type.dims[0];
        bool bias = s->n_in > 2 && s->in[2] >= 0;
        rs_pfold f = {.w = w,
                .bias = bias ? float_weight(p, s->in[2], channels) : -1,
                .epsilon = rs_node_float(bn->node, "epsilon", 1e-5f),
                .scale = float_weight(p, bn->in[1], channels),
                .shift = float_weight(p, bn->in[2], channels),
                .mean = float_weight(p, bn->in[3], channels),
                .var = float_weight(p, bn->in[4], channels)};
        if ((bias && f.bias < 0) || f.scale < 0 || f.shift < 0 || f.mean < 0 || f.var < 0)
                return true;
        f.w_out = rs_plan_add_value(p, p->values[w].name, err);
        f.bias_out = f.w_out < 0 ? -1 : rs_plan_add_value(p, p->values[f.shift].name, err);
        if (f.bias_out < 0)
                return false;
        const int from[2] = {f.w, f.shift}, to[2] = {f.w_out, f.bias_out};
        for (int i = 0; i < 2; i++) {
                rs_pvalue *v = &p->values[to[i]];
                v->type = p->values[from[i]].type;
                v->bytes = p->values[from[i]].bytes;
                v->place = RS_PLACE_FOLDED;
                v->fold = (int)p->n_folds;
        }
        /* the bias is one vector whatever shape the BatchNormalization's had */
        p->values[f.bias_out].type.rank = 1;
        p->values[f.bias_out].type.dims[0] = (int64_t)channels;
        s->in[1] = f.w_out;
        s->in[2] = f.bias_out;
        s->n_in = 3;
        s->fold = (int)p->n_folds;
        p->folds[p->n_folds++] = f;
        swallow(p, r, s, bn);
        return rs_plan_infer(p, s, err) != NULL; /* it has a bias now */
}

static void
fuse_add(resect_plan *p, struct readers *r, rs_pstep *s)
{
        rs_pstep *add = sole_reader(p, r, s);
        if ((!is(add, "Add") && !is(add, "Sum")) || add->n_in != 2 || add->residual >= 0)
                return;
        int other = add->in[0] == s->out[0] ? add->in[1] : add->in[0];
        const rs_pvalue *a = &p->values[s->out[0]], *b = &p->values[other];
        bool ready = p->values[b->root].step < (int)(s - p->steps);
        bool same =
                a->type.dtype == b->type.dtype && a->type.rank == b->type.rank &&
                !memcmp(a->type.dims, b->type.dims, sizeof *a->type.dims * (size_t)a->type.rank);
        if (!ready || !same || other == s->out[0])
                return;
        s->residual = other;
        s->relu = add->relu; /* which it took in itself */
        swallow(p, r, s, add);
}

static void
fuse_relu(resect_plan *p, struct readers *r, rs_pstep *s)
{
        rs_pstep *relu = sole_reader(p, r, s);
        if (!is(relu, "Relu") || s->relu)
                return;
        s->relu = true;
        swallow(p, r, s, relu);
}

/* The steps that are left close up. */
static void
close_up(resect_plan *p, const struct readers *r)
{
        size_t kept = 0;
        for (size_t k = 0; k < p->n_steps; k++) {
                if (r->dead[k])
                        continue;
                if (kept != k) {
                        p->steps[kept] = p->steps[k];
                        for (size_t j = 0; j < p->steps[kept].n_out; j++)
                                if (p->steps[kept].out[j] >= 0)
                                        p->values[p->steps[kept].out[j]].step = (int)kept;
                }
                kept++;
        }
        p->n_steps = kept;
}

bool
rs_plan_fuse(resect_plan *p, resect_error *err)
{
        struct readers r;
        p->folds = RS_NEW(&p->arena, p->n_steps + 1, rs_pfold, err);
        if (!p->folds || !count_readers(p, &r, err))
                return false;
        for (size_t k = 0; k < p->n_steps; k++) {
                rs_pstep *s = &p->steps[k];
                if (r.dead[k] || !s->op->fuses || s->out[0] < 0 ||
                        p->values[s->out[0]].type.dtype != RESECT_FLOAT)
                        continue;
                if (!fold_norm(p, &r, s, err))
                        return false;
                fuse_add(p, &r, s);
                fuse_relu(p, &r, s);
        }
        close_up(p, &r);
        return true;
}

bool
rs_plan_plain_norm(const resect_plan *p, const rs_pstep *s)
{
        if (!is(s, "BatchNormalization") || s->n_in != 5 || s->out[0] < 0)
                return false;
        const rs_type *x = s->in[0] >= 0 ? &p->values[s->in[0]].type : NULL;
        bool plain = x && x->dtype == RESECT_FLOAT && x->rank >= 3;
        for (int i = 0; plain && i < x->rank; i++)
                plain = x->dims[i] > 0;
        for (size_t i = 1; plain && i < 5; i++) {
                const rs_type *t = s->in[i] >= 0 ? &p->values[s->in[i]].type : NULL;
                plain = t && t->dtype == RESECT_FLOAT && t->rank == 1 && t->dims[0] == x->dims[1];
        }
        for (size_t j = 3; plain && j < s->n_out; j++)
                plain = s->out[j] < 0;
        return plain;
}

bool
rs_plan_fuse_norms(resect_plan *p, resect_error *err)
{
        struct readers r;
        if (!count_readers(p, &r, err))
                return false;
        for (size_t k = 0; k < p->n_steps; k++) {
                rs_pstep *s = &p->steps[k];
                if (r.dead[k] || !rs_plan_plain_norm(p, s))
                        continue;
                fuse_add(p, &r, s);
                fuse_relu(p, &r, s);
        }
        close_up(p, &r);
        return true;
}
