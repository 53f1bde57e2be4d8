/* SPDX-License-Identifier: 0BSD */
/*
 * Backward over a plan. A gradient's buffer is zeroed at the time its life begins, every reader of
 * the value then adds to it, and the value's maker reads it last. Views share their root's
 * gradient, so that nothing runs for them.
 */
#include "exec/inside.h"

#include <string.h>
#include "base/clock.h"
#include "tensor/dtype.h"

rs_slab *
rs_exec_parameters(resect_exec *e)
{
        return &e->parameters;
}

rs_slab *
rs_exec_statistics(resect_exec *e)
{
        return &e->statistics;
}

float *
rs_exec_gradients(resect_exec *e)
{
        return e->gradients;
}

const resect_tensor *
rs_exec_input_gradient(const resect_exec *e, size_t i)
{
        int v = i < e->plan->n_inputs ? e->plan->inputs[i] : -1;
        return v >= 0 && e->grads[v].data ? &e->grads[v] : NULL;
}

void
rs_exec_set_step(resect_exec *e, uint64_t seed, uint64_t step)
{
        for (size_t k = 0; k < e->plan->n_steps; k++) {
                e->calls[k].seed = e->back[k].seed = seed;
                e->calls[k].step = e->back[k].step = step;
        }
}

/* Zeroes the gradients whose life begins at a time. */
static void
begin(resect_exec *e, int time)
{
        const resect_plan *p = e->plan;
        for (int v = 0; v < (int)p->n_values; v++)
                if (p->values[v].grad >= 0 && p->values[v].root == v && p->values[v].grad_zero &&
                        p->blocks[p->values[v].grad].from == time)
                        memset(e->grads[v].data, 0, e->grads[v].size);
}

static void
run_again(resect_exec *e, size_t a)
{
        const rs_pstep *s = &e->plan->again[a];
        double start = rs_now();
        (!s->kernel                ? s->op->forward
                : s->kernel->again ? s->kernel->again
                                   : s->kernel->forward)(&e->again[a]);
        e->seconds_back[s->number] += rs_now() - start;
}

void
rs_exec_backward(resect_exec *e, const resect_tensor *douts)
{
        const resect_plan *p = e->plan;
        int n = (int)p->n_steps;
        for (int v = 0; v < (int)p->n_values; v++)
                if (p->values[v].trained && p->values[v].root == v && p->values[v].grad_zero)
                        memset(e->grads[v].data, 0, e->grads[v].size);
        begin(e, n);
        for (size_t i = 0; i < p->n_outputs; i++) {
                resect_tensor *g = &e->grads[p->outputs[i]];
                if (!g->data || !douts[i].data)
                        continue;
                size_t count = g->size / (rs_dtype_bits((int32_t)g->dtype) / 8);
                for (size_t j = 0; j < count;
                        j++) /* added: two outputs may be views of one value */
                        rs_store(g->data, (int32_t)g->dtype, j,
                                rs_load(g->data, (int32_t)g->dtype, j) +
                                        rs_load(douts[i].data, (int32_t)g->dtype, j));
        }
        size_t a = 0;
        for (int k = n - 1; k >= 0; k--) {
                if (k < n - 1)
                        begin(e, 2 * n - 1 - k);
                for (; a < p->n_again && p->again[a].time <= 2 * n - 1 - k; a++)
                        run_again(e, a);
                if (!p->steps[k].backward)
                        continue;
                double start = rs_now();
                const rs_kernel *kernel = p->steps[k].kernel;
                (kernel ? kernel->backward : p->steps[k].op->backward)(&e->back[k]);
                e->seconds_back[k] += rs_now() - start;
        }
}
