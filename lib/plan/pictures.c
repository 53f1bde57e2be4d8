/* SPDX-License-Identifier: 0BSD */
/*
 * Runs of fewer pictures than a plan was made for: the last few of a data set. Kernels that heed
 * how many are wanted leave the rest of the batch as it lies, whatever that is. That may be done
 * only where no step mixes the pictures of a batch, which is known of the fast kernels (all of
 * operators that go through a batch one by one) and of views that keep the first dimension,
 * provided that it is the batch in everything that they read and make.
 */
#include "plan/plan.h"

#include <string.h>
#include "model/model.h"

/* Not a weight, and without the batch in front. */
static bool
strange(const resect_plan *p, int v, int64_t batch)
{
        if (v < 0)
                return false;
        const enum rs_place place = p->values[p->values[v].root].place;
        const rs_type *t = &p->values[v].type;
        return (place == RS_PLACE_SLAB || place == RS_PLACE_INPUT) &&
               (t->rank < 1 || t->dims[0] != batch);
}

static bool
by_picture(const resect_plan *p, const rs_pstep *s, int64_t batch)
{
        bool ok = s->view || s->kernel;
        if (!strcmp(s->op->name, "Gemm")) /* a transposed one sums over the batch */
                ok = ok && !rs_node_int(s->node, "transA", 0);
        for (size_t i = 0; i < s->n_in; i++)
                ok = ok && !strange(p, s->in[i], batch);
        for (size_t i = 0; i < s->n_out; i++)
                ok = ok && !strange(p, s->out[i], batch);
        return ok && !strange(p, s->residual, batch);
}

double
rs_plan_spares(const resect_plan *p)
{
        uint64_t macs = 0, heeding = 0;
        if (p->training || p->n_inputs != 1 || p->input_shapes[0].rank < 1)
                return 0;
        for (size_t k = 0; k < p->n_steps; k++) {
                if (!by_picture(p, &p->steps[k], p->input_shapes[0].dims[0]))
                        return 0;
                macs += p->steps[k].macs;
                heeding += p->steps[k].heeds_pictures ? p->steps[k].macs : 0;
        }
        return macs ? (double)heeding / (double)macs : 0;
}
