/* SPDX-License-Identifier: 0BSD */
/* Making and freeing a network laid out for training (net.h): its sides, their plans, and what they
 * share. */
#include "train/net.h"

#include <math.h>
#include <string.h>
#include "model/model.h"

static void
side_free(rs_side *s)
{
        resect_exec_free(s->exec);
        resect_plan_free(s->plan);
        *s = (rs_side){0};
}

void
rs_net_free(rs_net *net)
{
        side_free(&net->tail); /* works on train's weights */
        side_free(&net->eval);
        side_free(&net->train);
        side_free(&net->trunk);
        rs_free_aligned(net->full);
        for (size_t i = 0; net->pads && i < net->n_reads; i++)
                rs_free_aligned(net->pads[i]);
        rs_arena_free(&net->arena);
        *net = (rs_net){0};
}

static bool
on_timing(void *ctx, size_t done, size_t total)
{
        const resect_train_events *on = ctx;
        return !on->progress || on->progress(on->ctx, "timing kernels", done, total);
}

/* A plan with the run's options. */
static resect_plan *
plan(rs_net *net, resect_plan_options o, resect_error *err)
{
        o.threads = net->o->threads;
        o.kernels = net->o->kernels;
        o.precision = net->o->precision;
        o.exact = net->o->exact;
        o.choices = (const char *)net->choices->data;
        o.progress = on_timing;
        o.ctx = (void *)(uintptr_t)net->on;
        resect_plan *p = resect_plan_make(net->m, &o, err);
        const char *all = p ? resect_plan_choices(p) : "";
        if (strlen(all) > net->choices->size) {
                net->choices->size = 0;
                rs_buf_str(net->choices, all);
        }
        if (!net->choices->oom)
                return p;
        resect_plan_free(p);
        rs_fail_nomem(err);
        return NULL;
}

/* The trunk: a plan from the picture to the frontier. */
static bool
make_trunk(rs_net *net, const char *const *cuts, size_t n, resect_error *err)
{
        resect_binding picture = {net->in.name, net->in.shape};
        net->trunk.batch = net->batch;
        net->trunk.plan = plan(net,
                (resect_plan_options){
                        .inputs = &picture, .n_inputs = 1, .outputs = cuts, .n_outputs = n},
                err);
        if (!net->trunk.plan)
                return false;
        for (size_t i = 0; i < n; i++)
                if (!resect_plan_output(
                            net->trunk.plan, i, &net->reads[i].name, &net->reads[i].tensor))
                        return rs_fail(err, RESECT_GRAPH, "%s: no such value", cuts[i]);
        net->trunk.exec = resect_exec_make(net->trunk.plan, err);
        return net->trunk.exec != NULL;
}

static bool
measure_reads(rs_net *net, resect_error *err)
{
        for (size_t i = 0; i < net->n_reads; i++) {
                const resect_tensor *t = &net->reads[i].tensor;
                if (t->dtype != RESECT_FLOAT)
                        return rs_fail(err, RESECT_UNSUPPORTED,
                                "%s is %s where training would begin, and only float32 is trained "
                                "(resect-cast --to fp32)",
                                net->reads[i].name, resect_dtype_name(t->dtype));
                if (t->rank < 1 || t->dims[0] != (int64_t)net->batch)
                        return rs_fail(err, RESECT_UNSUPPORTED,
                                "%s: the frozen part ends in a value that is not one row for "
                                "each picture",
                                net->reads[i].name);
                net->row[i] = (size_t)resect_tensor_count(t) / net->batch;
                for (int k = 2; k < t->rank; k++)
                        net->spatial |= t->dims[k] > 1;
        }
        return true;
}

static bool
plan_side(rs_net *net, rs_side *side, size_t n, bool training, resect_error *err)
{
        resect_binding *in = rs_alloc(net->n_reads, sizeof *in, err);
        if (!in)
                return false;
        for (size_t i = 0; i < net->n_reads; i++)
                in[i] = (resect_binding){net->reads[i].name, rs_net_rows(net, i, n, NULL)};
        side->batch = n;
        side->plan = plan(net,
                (resect_plan_options){.inputs = in,
                        .n_inputs = net->n_reads,
                        .outputs = &net->logits,
                        .n_outputs = 1,
                        .training = training,
                        .recompute = net->o->recompute,
                        .bn_unbiased = net->o->unbiased},
                err);
        rs_free(in);
        return side->plan != NULL;
}

static bool
make_side(rs_net *net, rs_side *side, size_t n, bool training, resect_error *err)
{
        if (!plan_side(net, side, n, training, err))
                return false;
        side->exec = resect_exec_make(side->plan, err);
        return side->exec != NULL;
}

bool
rs_net_make(rs_net *net, resect_model *m, const resect_data *d, const resect_train_options *o,
        const resect_train_events *on, size_t batch, size_t tail, rs_buf *choices,
        resect_error *err)
{
        *net = (rs_net){.m = m,
                .batch = batch,
                .o = o,
                .on = on,
                .choices = choices,
                .logits = resect_model_logits(m, err)};
        size_t fixed = rs_fixed_batch(m), n_cuts;
        const char **cuts;
        if (!net->logits || !rs_intake_make(&net->in, m, d, o->input, batch, err) ||
                !rs_frontier(m, &net->arena, &cuts, &n_cuts, err))
                return false;
        net->n_reads = n_cuts ? n_cuts : 1;
        net->reads = RS_NEW(&net->arena, net->n_reads, resect_binding, err);
        net->row = RS_NEW(&net->arena, net->n_reads, size_t, err);
        net->pads = RS_NEW(&net->arena, net->n_reads, float *, err);
        net->padded = RS_NEW(&net->arena, net->n_reads, resect_tensor, err);
        if (!net->reads || !net->row || !net->pads || !net->padded)
                return false;
        net->reads[0] = (resect_binding){net->in.name, net->in.shape};
        bool ok = (!n_cuts || make_trunk(net, cuts, n_cuts, err)) && measure_reads(net, err) &&
                  make_side(net, &net->train, batch, true, err) &&
                  rs_logits_width(net->train.plan, 0, batch, &net->classes, err);
        if (!ok)
                return fixed && fixed != batch ? rs_fail_at(err,
                                                         "batch %zu (the model is fixed to %zu; "
                                                         "resect-edit --batch "
                                                         "sym frees it)",
                                                         batch, fixed)
                                               : false;
        if (!rs_exec_parameters(net->train.exec)->n_pieces)
                return rs_fail(err, RESECT_UNSUPPORTED,
                        "nothing to train: every weight is frozen (resect-freeze --thaw) or no "
                        "float32, or there is none");
        net->full = rs_alloc_aligned(net->in.shape.size, err);
        for (size_t i = 0; i < net->n_reads; i++) {
                net->pads[i] = rs_alloc_aligned(net->reads[i].tensor.size, err);
                if (!net->pads[i])
                        return false;
        }
        /* a run that is never judged needs no second copy of the weights */
        return net->full &&
               (!resect_data_count(d, RESECT_VAL) ||
                       make_side(net, &net->eval, batch, false, err)) &&
               (!tail || rs_net_leaves_out(net, tail) ||
                       plan_side(net, &net->tail, tail, true, err));
}

bool
rs_net_leaves_out(const rs_net *net, size_t n)
{
        return n == 1 && rs_exec_statistics(net->train.exec)->n_pieces;
}

resect_tensor
rs_net_rows(const rs_net *net, size_t i, size_t n, void *data)
{
        resect_tensor t = net->reads[i].tensor;
        t.size = t.size / (size_t)t.dims[0] * n;
        t.dims[0] = (int64_t)n;
        t.data = data;
        return t;
}

bool
rs_net_trunk(rs_net *net, const resect_tensor *x, size_t n, resect_tensor *reads, resect_error *err)
{
        if (!net->trunk.exec) {
                reads[0] = *x;
                return true;
        }
        resect_tensor full = rs_full_batch(x, n, net->batch, net->full);
        if (!rs_exec_run_first(net->trunk.exec, n, &full, reads, err))
                return false;
        for (size_t i = 0; i < net->n_reads; i++)
                reads[i] = rs_net_rows(net, i, n, reads[i].data);
        return true;
}

static rs_side *
side_for(rs_net *net, size_t n)
{
        return n == net->batch ? &net->train : &net->tail;
}

bool
rs_net_forward(rs_net *net, const resect_tensor *reads, size_t n, uint64_t seed, uint64_t step,
        float **logits, resect_error *err)
{
        rs_side *s = side_for(net, n);
        if (s->batch != n) {
                side_free(s);
                if (!plan_side(net, s, n, true, err))
                        return false;
        }
        if (!s->exec && !(s->exec = rs_exec_sharing(s->plan, net->train.exec, err)))
                return false;
        resect_tensor out;
        rs_exec_set_step(s->exec, seed, step);
        if (!resect_exec_run(s->exec, reads, &out, err))
                return false;
        *logits = out.data;
        return true;
}

void
rs_net_backward(rs_net *net, size_t n, float *dlogits)
{
        rs_side *s = side_for(net, n);
        resect_tensor d;
        const char *name;
        if (resect_plan_output(s->plan, 0, &name, &d)) {
                d.data = dlogits;
                rs_exec_backward(s->exec, &d);
        }
}

bool
rs_net_refresh(rs_net *net, resect_error *err)
{
        return rs_exec_refresh(net->eval.exec, net->train.exec, err);
}

/* Rows do not mix here, so that a short batch may be filled up with zeros. */
bool
rs_net_eval(rs_net *net, const resect_tensor *reads, size_t n, float **logits, resect_error *err)
{
        resect_tensor out;
        for (size_t i = 0; i < net->n_reads; i++)
                net->padded[i] = rs_full_batch(&reads[i], n, net->batch, net->pads[i]);
        if (!rs_exec_run_first(net->eval.exec, n, net->padded, &out, err))
                return false;
        *logits = out.data;
        return true;
}

static bool
all_finite(const resect_tensor *t)
{
        const float *v = t->data;
        for (int64_t i = 0, n = resect_tensor_count(t); t->dtype == RESECT_FLOAT && i < n; i++)
                if (!isfinite(v[i]))
                        return false;
        return true;
}

/* Every step's output asked for, so that none is overwritten; on the trained weights as they stand.
 */
const char *
rs_net_first_bad(rs_net *net, const resect_tensor *reads, size_t n, uint64_t seed, uint64_t step)
{
        resect_error err;
        const resect_plan *p = side_for(net, n)->plan;
        size_t steps = resect_plan_step_count(p);
        const char **names = RS_NEW(&net->arena, steps + 1, const char *, &err);
        resect_binding *in = RS_NEW(&net->arena, net->n_reads, resect_binding, &err);
        resect_tensor *out = RS_NEW(&net->arena, steps + 1, resect_tensor, &err);
        const char *bad = "";
        if (!names || !in || !out)
                return bad;
        for (size_t i = 0; i < net->n_reads; i++)
                in[i] = (resect_binding){net->reads[i].name, rs_net_rows(net, i, n, NULL)};
        size_t wanted = 0;
        for (size_t i = 0; i < steps; i++) {
                resect_step s;
                if (resect_plan_step(p, i, &s) && s.output && *s.output)
                        names[wanted++] = s.output;
        }
        rs_side all = {.batch = n};
        all.plan = plan(net,
                (resect_plan_options){.inputs = in,
                        .n_inputs = net->n_reads,
                        .outputs = names,
                        .n_outputs = wanted,
                        .training = true},
                &err);
        if (all.plan && (all.exec = rs_exec_sharing(all.plan, net->train.exec, &err))) {
                rs_exec_set_step(all.exec, seed, step);
                if (resect_exec_run(all.exec, reads, out, &err))
                        for (size_t i = 0; i < wanted && !*bad; i++)
                                if (!all_finite(&out[i]))
                                        bad = names[i];
        }
        side_free(&all);
        return bad;
}
