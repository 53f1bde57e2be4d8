/* SPDX-License-Identifier: 0BSD */
/*
 * BatchNormalization, with a residual and ReLU behind it, by the kernels of norm_kernels.c. It
 * takes whatever layout its input has and gives it on. Its gradient may come in two parts (the
 * block's own and what its successor's shortcut brings), which are added while they are read.
 */
#include "onednn/lower.h"
#include "onednn/norm_kernels.h"
#include "op/norm.h"

typedef struct norm {
        rs_norm_facts facts;
        rs_bn_shape shape;
        size_t bytes, count;
        bool added; /* there is a residual: y tells nothing of x */
} norm;

static const char *
norm_name(const void *state)
{
        (void)state;
        return "resect norm";
}

/* What the running statistics become, as the reference has it. */
static void
keep_statistics(const rs_call *c, const norm *s)
{
        const double n = (double)s->shape.n * (double)s->shape.s, m = s->facts.momentum,
                     *saved = c->saved;
        for (size_t j = 1; j < 3 && j < c->n_out; j++) {
                const float *before = c->in[j + 2]->data;
                float *after = c->out[j] ? c->out[j]->data : NULL;
                for (size_t ch = 0; after && ch < s->shape.c; ch++) {
                        double v = saved[(j - 1) * s->shape.c + ch];
                        if (j == 2 && s->facts.unbiased && n > 1)
                                v = v * n / (n - 1);
                        after[ch] =
                                s->facts.batch ? (float)(before[ch] * m + v * (1 - m)) : before[ch];
                }
        }
}

static void
norm_forward(const rs_call *c)
{
        const norm *s = c->state;
        rs_bn_forward(&s->shape, &(rs_bn){.x = c->in[0]->data,
                                         .residual = c->residual ? c->residual->data : NULL,
                                         .y = c->out[0]->data,
                                         .scale = c->in[1]->data,
                                         .shift = c->in[2]->data,
                                         .mean = c->in[3]->data,
                                         .var = c->in[4]->data,
                                         .eps = s->facts.epsilon,
                                         .training = s->facts.batch,
                                         .relu = c->relu,
                                         .saved = c->saved});
        keep_statistics(c, s);
}

static void
norm_again(const rs_call *c)
{
        const norm *s = c->state;
        rs_bn_again(&s->shape, &(rs_bn){.x = c->in[0]->data,
                                       .y = c->out[0]->data,
                                       .scale = c->in[1]->data,
                                       .shift = c->in[2]->data,
                                       .relu = c->relu,
                                       .saved = c->saved});
}

static void
norm_backward(const rs_call *c)
{
        const norm *s = c->state;
        if (!c->dout[0])
                return;
        char *scratch = c->scratch;
        void *dx = c->din[0] ? c->din[0]->data : NULL,
             *dres = c->dresidual ? c->dresidual->data : NULL;
        bool adds = dx && !(c->first & 1), adds_res = dres && !(c->first & RS_OVERWRITES_RESIDUAL);
        rs_bn_backward(&s->shape, &(rs_bn_grad){.dy = c->dout[0]->data,
                                          .dy2 = c->dout2 ? c->dout2->data : NULL,
                                          .y = c->relu && s->added ? c->out[0]->data : NULL,
                                          .relu = c->relu && !s->added,
                                          .x = c->in[0]->data,
                                          .scale = c->in[1]->data,
                                          .shift = c->in[2]->data,
                                          .saved = c->saved,
                                          .training = s->facts.batch,
                                          .dx = adds ? scratch : dx,
                                          .dres = adds_res ? scratch + s->bytes : dres,
                                          .dscale = c->din[1] ? c->din[1]->data : NULL,
                                          .dshift = c->din[2] ? c->din[2]->data : NULL});
        if (adds)
                rs_sum_into(dx, scratch, s->count, s->shape.bf16, s->shape.threads);
        if (adds_res)
                rs_sum_into(dres, scratch + s->bytes, s->count, s->shape.bf16, s->shape.threads);
}

static const rs_kernel kernel = {.name = norm_name,
        .forward = norm_forward,
        .backward = norm_backward,
        .again = norm_again,
        .adds_in_place = true,
        .two_douts = true,
        .gradient_in_place = true};

bool
rs_lower_norm(rs_lower *l, rs_pstep *s, bool *done, resect_error *err)
{
        dnnl_memory_desc_t md;
        if (!rs_plan_plain_norm(l->p, s))
                return true;
        norm *k = RS_NEW(&l->p->arena, 1, norm, err);
        if (!k || !rs_lower_md(l, s->in[0], &md, err))
                return false;
        if (!rs_md_block(&md)) {
                if ((s->in[0] = rs_lower_as(l, s, s->in[0], NULL, err)) < 0 ||
                        !rs_lower_md(l, s->in[0], &md, err))
                        return false;
        }
        if (s->residual >= 0 && (s->residual = rs_lower_as(l, s, s->residual, &md, err)) < 0)
                return false;
        k->facts = rs_norm_facts_of(s->state);
        k->shape = (rs_bn_shape){.n = (size_t)md.dims[0],
                .c = (size_t)md.dims[1],
                .s = 1,
                .block = rs_md_block(&md),
                .bf16 = md.data_type == dnnl_bf16,
                .threads = l->p->threads};
        for (int i = 2; i < md.ndims; i++)
                k->shape.s *= (size_t)md.dims[i];
        k->bytes = rs_md_size(&md);
        k->count = k->bytes / (k->shape.bf16 ? 2 : 4);
        s->kernel = &kernel;
        s->state = k;
        s->scratch = 0;
        s->scratch_add = 2 * k->bytes;
        s->saved = l->p->training ? 3 * sizeof(double) * k->shape.c : 0;
        bool statistic = false;
        for (size_t j = 1; j < s->n_out; j++)
                statistic |= s->out[j] >= 0;
        if (k->facts.batch || statistic)
                s->saved = 3 * sizeof(double) * k->shape.c;
        s->overwrites =
                (rs_lower_has_grad(l, s->in[0]) ? 1 : 0) |
                (s->residual >= 0 && rs_lower_has_grad(l, s->residual) ? RS_OVERWRITES_RESIDUAL
                                                                       : 0);
        k->added = s->residual >= 0;
        s->reads = RS_READS_IN(0) | RS_READS_IN(1) |
                   (!s->relu          ? 0
                           : k->added ? RS_READS_OUT(0)
                                      : RS_READS_IN(2));
        *done = true;
        return rs_lower_output(l, s->out[0], &md, err);
}
