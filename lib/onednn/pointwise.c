/* SPDX-License-Identifier: 0BSD */
/*
 * Relu and Add, where nothing before them took them in, in the layout that is there. They are a
 * normalisation with scale 1 and shift 0, and run by its kernels: x and, of an Add, the residual.
 */
#include "onednn/lower.h"
#include "onednn/norm_kernels.h"

typedef struct pointwise {
        rs_bn_shape shape;
        bool relu, add;
        const float *ones, *zeros; /* [C] */
        size_t count, bytes;
} pointwise;

static const char *
pointwise_name(const void *state)
{
        (void)state;
        return "resect pointwise";
}

static void
pointwise_forward(const rs_call *c)
{
        const pointwise *s = c->state;
        rs_bn_forward(&s->shape, &(rs_bn){.x = c->in[0]->data,
                                         .residual = s->add ? c->in[1]->data : NULL,
                                         .y = c->out[0]->data,
                                         .scale = s->ones,
                                         .shift = s->zeros,
                                         .relu = s->relu});
}

static void
pointwise_backward(const rs_call *c)
{
        const pointwise *s = c->state;
        void *d[2] = {c->din[0] ? c->din[0]->data : NULL,
                s->add && c->din[1] ? c->din[1]->data : NULL},
             *to[2];
        if (!c->dout[0] || (!d[0] && !d[1]))
                return;
        for (int i = 0; i < 2; i++)
                to[i] = d[i] && !(c->first >> i & 1) ? (char *)c->scratch + (size_t)i * s->bytes
                                                     : d[i];
        rs_bn_backward(&s->shape, &(rs_bn_grad){.dy = c->dout[0]->data,
                                          .dy2 = c->dout2 ? c->dout2->data : NULL,
                                          .y = s->relu ? c->out[0]->data : NULL,
                                          .scale = s->ones,
                                          .dx = to[0],
                                          .dres = to[1]});
        for (int i = 0; i < 2; i++)
                if (to[i] != d[i])
                        rs_sum_into(d[i], to[i], s->count, s->shape.bf16, s->shape.threads);
}

static const rs_kernel kernel = {.name = pointwise_name,
        .forward = pointwise_forward,
        .backward = pointwise_backward,
        .two_douts = true};

static bool
lower(rs_lower *l, rs_pstep *s, bool relu, bool *done, resect_error *err)
{
        dnnl_memory_desc_t md;
        const rs_type *x = &l->p->values[s->in[0]].type;
        bool able = x->dtype == RESECT_FLOAT && x->rank >= 2 && s->residual < 0 && !s->relu;
        for (int i = 0; able && i < x->rank; i++)
                able = x->dims[i] > 0;
        if (!able || !rs_lower_md(l, s->in[0], &md, err) || !rs_md_block(&md))
                return true;
        pointwise *k = RS_NEW(&l->p->arena, 1, pointwise, err);
        float *ones = RS_NEW(&l->p->arena, 2 * (size_t)x->dims[1], float, err);
        if (!k || !ones || (!relu && (s->in[1] = rs_lower_as(l, s, s->in[1], &md, err)) < 0))
                return false;
        for (int64_t i = 0; i < x->dims[1]; i++)
                ones[i] = 1;
        *k = (pointwise){.shape = {.n = (size_t)md.dims[0],
                                 .c = (size_t)md.dims[1],
                                 .s = 1,
                                 .block = rs_md_block(&md),
                                 .bf16 = md.data_type == dnnl_bf16,
                                 .threads = l->p->threads},
                .relu = relu,
                .add = !relu,
                .ones = ones,
                .zeros = ones + x->dims[1],
                .bytes = rs_md_size(&md)};
        for (int i = 2; i < md.ndims; i++)
                k->shape.s *= (size_t)md.dims[i];
        k->count = k->bytes / (k->shape.bf16 ? 2 : 4);
        s->kernel = &kernel;
        s->state = k;
        s->scratch = s->saved = 0;
        s->scratch_add = 2 * k->bytes;
        s->reads = relu ? RS_READS_OUT(0) : 0;
        s->overwrites = relu ? 1 : 3;
        *done = true;
        return rs_lower_output(l, s->out[0], &md, err);
}

bool
rs_lower_relu(rs_lower *l, rs_pstep *s, bool *done, resect_error *err)
{
        return lower(l, s, true, done, err);
}

bool
rs_lower_add(rs_lower *l, rs_pstep *s, bool *done, resect_error *err)
{
        if (s->n_in != 2 || s->in[0] < 0 || s->in[1] < 0)
                return true;
        const rs_type *a = &l->p->values[s->in[0]].type, *b = &l->p->values[s->in[1]].type;
        bool same = a->rank == b->rank && b->dtype == RESECT_FLOAT;
        for (int i = 0; same && i < a->rank; i++)
                same = a->dims[i] == b->dims[i];
        return !same || lower(l, s, false, done, err);
}
