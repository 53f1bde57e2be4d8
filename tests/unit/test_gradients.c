/* SPDX-License-Identifier: 0BSD */
/*
 * Every backward against central finite differences, in double. The test walks the list of
 * operators: one that has a backward and no case here fails it, so that no gradient can be added
 * untested.
 */
#include "op_cases.h"

static void
check(const op_case *k)
{
        op_run r;
        uint32_t which = op_case_start(&r, k, RESECT_DOUBLE);
        size_t outs = k->outs ? k->outs : 1;
        const double h = 1e-5, tolerance = 2e-7;
        ck_assert_msg(which && r.op->backward, "%s has no backward", k->op);
        r.x.training = true;
        op_make(&r);
        op_case_gradients(&r, which, k->grads ? k->grads : outs);
        r.op->forward(&r.call);
        r.op->backward(&r.call);
        for (size_t i = 0; i < r.x.n_in; i++)
                for (int64_t e = 0; r.din[i].data && e < resect_tensor_count(&r.in[i]); e++) {
                        double *v = (double *)r.in[i].data + e, was = *v;
                        *v = was + h;
                        r.op->forward(&r.call);
                        double up = op_objective(&r);
                        *v = was - h;
                        r.op->forward(&r.call);
                        double down = op_objective(&r);
                        *v = was;
                        double want = (up - down) / (2 * h), got = op_get(&r.din[i], e) - 1;
                        ck_assert_msg(fabs(want - got) <= tolerance * (1 + fabs(want)),
                                "%s (%s; %s) input %zu element %lld: difference quotient %.9g, "
                                "backward %.9g",
                                k->op, k->attrs, k->inputs, i, (long long)e, want, got);
                }
        op_free(&r);
}

START_TEST(every_backward)
{
        for (const rs_op *const *op = rs_ops; *op; op++) {
                bool tested = !(*op)->backward;
                for (size_t k = 0; k < N_OP_CASES && !tested; k++)
                        tested =
                                rs_op_find((*op)->domain, op_cases[k].op, op_cases[k].opset) == *op;
                ck_assert_msg(tested, "%s has a backward and no case here", (*op)->name);
        }
        for (size_t k = 0; k < N_OP_CASES; k++)
                check(&op_cases[k]);
}
END_TEST

UNIT_MAIN("gradients", every_backward)
