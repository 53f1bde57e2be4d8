/* SPDX-License-Identifier: 0BSD */
/*
 * Making a plan, in passes: graph, fusion or gradients, fast kernels, memory. A plan is data:
 * nothing changes it once it is made. This stands in lib/exec because it is the first folder that
 * knows all the passes.
 */
#include "base/threads.h"
#include "onednn/onednn.h"
#include "plan/plan.h"

static bool
make(resect_plan *p, const resect_plan_options *o, resect_error *err)
{
        if (!rs_plan_graph(p, o, err))
                return false;
        if (p->training ? !rs_plan_gradients(p, err) : !p->no_fusion && !rs_plan_fuse(p, err))
                return false;
        return (!rs_fast_wanted(o->kernels) || rs_fast_lower(p, o, err)) &&
               (!p->training || o->recompute <= 0 || rs_plan_recompute(p, o->recompute, err)) &&
               rs_plan_memory(p, err);
}

const char *
resect_fast_name(void)
{
        return rs_fast_name();
}

bool
resect_fast_bf16(void)
{
        return rs_fast_bf16();
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
        p->by_input = o->training && o->by_input;
        p->no_fusion = o->no_fusion;
        p->bn_unbiased = o->bn_unbiased;
        p->exact = o->exact;
        p->bf16 = o->precision == RESECT_PRECISION_BF16 && rs_fast_bf16();
        p->threads = rs_threads(o->threads);
        if (make(p, o, err))
                return p;
        resect_plan_free(p);
        return NULL;
}
