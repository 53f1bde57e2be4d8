/* SPDX-License-Identifier: 0BSD */
/* Answering questions about a plan. */
#include "plan/plan.h"

#include <string.h>

void
resect_plan_free(resect_plan *p)
{
        if (!p)
                return;
        if (p->fast_free)
                p->fast_free(p->fast);
        rs_arena_free(&p->arena);
        rs_free(p->values);
        rs_free(p->blocks);
        rs_free(p);
}

size_t
resect_plan_step_count(const resect_plan *p)
{
        return p->n_steps;
}

bool
resect_plan_step(const resect_plan *p, size_t i, resect_step *out)
{
        if (i >= p->n_steps)
                return false;
        const rs_pstep *s = &p->steps[i];
        static const char *const fused[8] = {
                "", "relu", "add", "add+relu", "bn", "bn+relu", "bn+add", "bn+add+relu"};
        *out = (resect_step){.op = s->op->name,
                .node = rs_plan_node_name(s->node),
                .output = "",
                .macs = s->macs,
                .fused = fused[(s->fold >= 0) << 2 | (s->residual >= 0) << 1 | (s->relu ? 1 : 0)],
                .kernels = s->view     ? "view"
                           : s->kernel ? s->kernel->name(s->state)
                                       : "reference"};
        if (s->n_out == 0 || s->out[0] < 0)
                return true;
        const rs_pvalue *v = &p->values[s->out[0]];
        int block = p->values[rs_plan_home(p, s->out[0])].block;
        out->output = v->name;
        out->dtype = (resect_dtype)v->type.dtype;
        out->rank = v->type.rank;
        memcpy(out->dims, v->type.dims, sizeof out->dims);
        out->offset = block >= 0 ? p->blocks[block].offset : 0;
        out->size = v->bytes;
        return true;
}

uint64_t
resect_plan_slab_size(const resect_plan *p)
{
        return p->slab_bytes;
}

uint64_t
resect_plan_weight_size(const resect_plan *p)
{
        uint64_t sum = 0;
        for (size_t i = 0; i < p->n_values; i++)
                if (p->values[i].place == RS_PLACE_WEIGHT && p->values[i].root == (int)i)
                        sum += p->values[i].bytes;
        return sum;
}

const char *
resect_plan_choices(const resect_plan *p)
{
        return p->choices ? p->choices : "";
}

size_t
resect_plan_output_count(const resect_plan *p)
{
        return p->n_outputs;
}

bool
resect_plan_output(const resect_plan *p, size_t i, const char **name, resect_tensor *out)
{
        if (i >= p->n_outputs)
                return false;
        const rs_pvalue *v = &p->values[p->outputs[i]];
        if (name)
                *name = v->name;
        *out = (resect_tensor){
                .dtype = (resect_dtype)v->type.dtype, .rank = v->type.rank, .size = v->bytes};
        memcpy(out->dims, v->type.dims, sizeof out->dims);
        return true;
}
