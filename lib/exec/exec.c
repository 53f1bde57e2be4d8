/* SPDX-License-Identifier: 0BSD */
/*
 * Running a plan. All pointers are worked out when the exec is made: every step's call stands
 * ready, and a run only sets the inputs' addresses and goes through the steps. Kernels neither
 * allocate nor fail, so neither does a run once shapes are right.
 */
#include "exec/inside.h"

#include <string.h>
#include "base/clock.h"

static bool
make_views(resect_exec *e, resect_error *err)
{
        const resect_plan *p = e->plan;
        e->values = RS_NEW(&e->arena, p->n_values + 1, resect_tensor, err);
        e->grads = RS_NEW(&e->arena, p->n_values + 1, resect_tensor, err);
        e->grads2 = RS_NEW(&e->arena, p->n_values + 1, resect_tensor, err);
        e->calls = RS_NEW(&e->arena, p->n_steps + 1, rs_call, err);
        e->seconds = RS_NEW(&e->arena, p->n_steps + 1, double, err);
        e->seconds_back = RS_NEW(&e->arena, p->n_steps + 1, double, err);
        e->slab = rs_alloc_aligned(p->slab_bytes, err);
        e->scratch = rs_alloc_aligned(p->scratch_bytes, err);
        e->back = p->n_again ? RS_NEW(&e->arena, p->n_steps + 1, rs_call, err) : e->calls;
        e->again = RS_NEW(&e->arena, p->n_again + 1, rs_call, err);
        if (!e->back || !e->again || !e->values || !e->grads || !e->grads2 || !e->calls ||
                !e->seconds || !e->seconds_back || !e->slab || !e->scratch)
                return false;
        if (!p->training) /* a step's kernels gain nothing by large ones, and a first run waits */
                rs_large_pages(e->slab, p->slab_bytes, false);
        for (size_t v = 0; v < p->n_values; v++) {
                const rs_pvalue *x = &p->values[v];
                resect_tensor *t = &e->values[v];
                t->dtype = (resect_dtype)x->type.dtype;
                t->rank = x->type.rank;
                t->size = x->bytes;
                memcpy(t->dims, x->type.dims, sizeof t->dims);
                e->grads[v] = e->grads2[v] = *t;
        }
        return true;
}

/* The addresses of everything that is not bound at run time. Needs the weights. */
static void
find_addresses(resect_exec *e)
{
        const resect_plan *p = e->plan;
        for (int v = 0; v < (int)p->n_values; v++) {
                const rs_pvalue *x = &p->values[v];
                if (x->place == RS_PLACE_SLAB && x->root == v &&
                        p->values[rs_plan_home(p, v)].block >= 0) {
                        e->values[v].data =
                                e->slab + p->blocks[p->values[rs_plan_home(p, v)].block].offset;
                        if (x->grad >= 0)
                                e->grads[v].data = e->slab + p->blocks[x->grad].offset;
                        if (x->grad2 >= 0)
                                e->grads2[v].data = e->slab + p->blocks[x->grad2].offset;
                } else if (x->place == RS_PLACE_INPUT && x->root == v && x->grad >= 0) {
                        e->grads[v].data = e->slab + p->blocks[x->grad].offset;
                } else if (x->place == RS_PLACE_KNOWN && x->root == v) {
                        e->values[v].data = (void *)(uintptr_t)x->known; /* kernels only read it */
                }
        }
        for (size_t v = 0; v < p->n_values; v++) {
                e->values[v].data = e->values[p->values[v].root].data;
                e->grads[v].data = e->grads[p->values[v].root].data;
        }
}

/* BatchNormalization in training writes its running statistics where they are kept. */
static void
bind_statistics(resect_exec *e, const rs_pstep *s, rs_call *c)
{
        for (size_t i = 2; i < s->n_in && i < 32; i++) {
                if (!(s->op->statistics >> i & 1) || s->in[i] < 0 ||
                        !e->plan->values[e->plan->values[s->in[i]].root].statistic)
                        continue;
                resect_tensor *kept = &e->values[s->in[i]];
                size_t j = i - 2;
                if (j < s->n_out && s->out[j] >= 0)
                        e->values[s->out[j]].data = kept->data;
                c->out[j] = kept;
                if (c->n_out <= j)
                        c->n_out = j + 1;
        }
}

/* Where a step's contribution to the gradient of value v goes. */
static resect_tensor *
contribution(resect_exec *e, const rs_pstep *s, int v, uint32_t bit)
{
        int root = e->plan->values[v].root;
        if (!s->backward || !e->plan->values[root].has_grad || !e->grads[v].data)
                return NULL;
        return s->second & bit ? &e->grads2[root] : &e->grads[v];
}

static void
make_calls(resect_exec *e)
{
        const resect_plan *p = e->plan;
        for (size_t k = 0; k < p->n_steps; k++) {
                const rs_pstep *s = &p->steps[k];
                rs_call *c = &e->calls[k];
                *c = (rs_call){.state = s->state,
                        .threads = p->threads,
                        .training = p->training,
                        .stream = k,
                        .n_in = s->n_in,
                        .n_out = s->n_out,
                        .relu = s->relu,
                        .first = s->first | s->second,
                        .scratch = e->scratch};
                if (s->saved_block >= 0)
                        c->saved = e->slab + p->blocks[s->saved_block].offset;
                if (s->residual >= 0) {
                        c->residual = &e->values[s->residual];
                        c->dresidual = contribution(e, s, s->residual, RS_OVERWRITES_RESIDUAL);
                }
                for (size_t i = 0; i < s->n_in; i++) {
                        if (s->in[i] < 0)
                                continue;
                        c->in[i] = &e->values[s->in[i]];
                        c->din[i] = contribution(e, s, s->in[i], i < 31 ? UINT32_C(1) << i : 0);
                }
                for (size_t j = 0; j < s->n_out; j++) {
                        if (s->out[j] < 0)
                                continue;
                        c->out[j] = &e->values[s->out[j]];
                        if (s->backward && e->grads[s->out[j]].data)
                                c->dout[j] = &e->grads[s->out[j]];
                }
                if (s->n_out > 0 && s->out[0] >= 0 && p->values[s->out[0]].grad2 >= 0)
                        c->dout2 = &e->grads2[s->out[0]];
                bind_statistics(e, s, c);
        }
}

/* Backward's calls, where some steps run again: on what these make. */
static void
make_calls_again(resect_exec *e)
{
        const resect_plan *p = e->plan;
        for (size_t k = 0; p->n_again && k < p->n_steps; k++) {
                const rs_pstep *s = &p->steps[k];
                rs_call *c = &e->back[k];
                *c = e->calls[k];
                for (size_t i = 0; i < s->n_in; i++)
                        if (s->in[i] >= 0)
                                c->in[i] = &e->values[rs_plan_backward_value(p, s->in[i])];
                for (size_t j = 0; j < s->n_out; j++)
                        if (s->out[j] >= 0 && p->values[s->out[j]].again >= 0)
                                c->out[j] = &e->values[p->values[s->out[j]].again];
        }
        for (size_t a = 0; a < p->n_again; a++) {
                rs_call *c = &e->again[a];
                *c = e->back[p->again[a].number];
                c->out[0] = &e->values[p->again[a].out[0]];
        }
}

/* The run-time objects of fast kernels. */
static bool
bind_kernels(resect_exec *e, resect_error *err)
{
        for (size_t k = 0; k < e->plan->n_steps; k++) {
                const rs_kernel *kernel = e->plan->steps[k].kernel;
                if (kernel && kernel->bind && !kernel->bind(&e->calls[k], err))
                        return rs_fail_at(err, "%s", rs_plan_node_name(e->plan->steps[k].node));
        }
        return true;
}

resect_exec *
rs_exec_sharing(resect_plan *p, resect_exec *base, resect_error *err)
{
        resect_exec *e = rs_alloc(1, sizeof *e, err);
        if (!e)
                return NULL;
        e->plan = p;
        e->spares = rs_plan_spares(p) > 0;
        if (make_views(e, err) && rs_exec_load(e, base, err)) {
                find_addresses(e);
                make_calls(e);
                if (bind_kernels(e, err)) {
                        make_calls_again(e);
                        return e;
                }
        }
        resect_exec_free(e);
        return NULL;
}

resect_exec *
resect_exec_make(resect_plan *p, resect_error *err)
{
        return rs_exec_sharing(p, NULL, err);
}

void
resect_exec_free(resect_exec *e)
{
        if (!e)
                return;
        for (size_t k = 0; e->calls && k < e->plan->n_steps; k++)
                if (e->calls[k].bound)
                        e->plan->steps[k].kernel->unbind(&e->calls[k]);
        if (e->owns_slabs) {
                rs_free_aligned(e->parameters.values);
                rs_free_aligned(e->statistics.values);
                rs_free_aligned(e->gradients);
        }
        rs_free_aligned(e->slab);
        rs_free_aligned(e->scratch);
        rs_free_aligned(e->weights);
        rs_arena_free(&e->arena);
        rs_free(e);
}

static bool
bind_inputs(resect_exec *e, const resect_tensor *inputs, resect_error *err)
{
        const resect_plan *p = e->plan;
        for (size_t i = 0; i < p->n_inputs; i++) {
                const resect_tensor *want = &p->input_shapes[i], *have = &inputs[i];
                bool same =
                        have->dtype == want->dtype && have->rank == want->rank &&
                        !memcmp(have->dims, want->dims, sizeof *have->dims * (size_t)want->rank);
                if (!same)
                        return rs_fail(err, RESECT_ARG,
                                "input '%s' does not have the planned shape or type",
                                p->values[p->inputs[i]].name);
                e->values[p->inputs[i]].data = have->data;
        }
        for (size_t v = 0; v < p->n_values; v++)
                if (p->values[v].place == RS_PLACE_INPUT)
                        e->values[v].data = e->values[p->values[v].root].data;
        return true;
}

bool
resect_exec_run(
        resect_exec *e, const resect_tensor *inputs, resect_tensor *outputs, resect_error *err)
{
        return rs_exec_run_first(e, SIZE_MAX, inputs, outputs, err);
}

bool
rs_exec_run_first(resect_exec *e, size_t pictures, const resect_tensor *inputs,
        resect_tensor *outputs, resect_error *err)
{
        const resect_plan *p = e->plan;
        if (!bind_inputs(e, inputs, err))
                return false;
        const bool all = !e->spares || pictures >= (size_t)p->input_shapes[0].dims[0];
        for (size_t k = 0; k < p->n_steps; k++) {
                if (p->steps[k].view)
                        continue;
                double start = rs_now();
                const rs_kernel *kernel = p->steps[k].kernel;
                e->calls[k].pictures = all ? 0 : pictures;
                (kernel ? kernel->forward : p->steps[k].op->forward)(&e->calls[k]);
                e->seconds[k] += rs_now() - start;
        }
        for (size_t i = 0; outputs && i < p->n_outputs; i++)
                outputs[i] = e->values[p->outputs[i]];
        return true;
}

double
resect_exec_step_seconds(const resect_exec *e, size_t i)
{
        return i < e->plan->n_steps ? e->seconds[i] : 0;
}
