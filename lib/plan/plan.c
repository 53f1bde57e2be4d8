/* SPDX-License-Identifier: 0BSD */
/*
 * Making a plan, in four passes (graph, fuse or gradients, memory), and answering questions about
 * it. A plan is data: nothing here runs a kernel, and nothing changes a plan once it is made.
 */
#include "plan/plan.h"

#include <string.h>
#include "base/threads.h"

static bool
make(resect_plan *p, const resect_plan_options *o, resect_error *err)
{
        if (o->kernels == RESECT_KERNELS_FAST)
                return rs_fail(err, RESECT_UNSUPPORTED,
                        "this build has the reference kernels only (--kernels auto or reference)");
        if (!rs_plan_graph(p, o, err))
                return false;
        if (p->training ? !rs_plan_gradients(p, err) : !p->no_fusion && !rs_plan_fuse(p, err))
                return false;
        return rs_plan_memory(p, err);
}

resect_plan *
resect_plan_make(resect_model *m, const resect_plan_options *options, resect_error *err)
{
        static const resect_plan_options none;
        const resect_plan_options *o = options ? options : &none;
        resect_plan *p = rs_alloc(1, sizeof *p, err);
        if (!p)
                return NULL;
        p->model = m;
        p->training = o->training;
        p->no_fusion = o->no_fusion;
        p->bn_unbiased = o->bn_unbiased;
        p->threads = rs_threads(o->threads);
        if (make(p, o, err))
                return p;
        resect_plan_free(p);
        return NULL;
}

void
resect_plan_free(resect_plan *p)
{
        if (!p)
                return;
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
                .kernels = s->view ? "view" : "reference"};
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
