/* SPDX-License-Identifier: 0BSD */
/* MaxPool and AveragePool by oneDNN in their input's layout; the global average by a kernel of our
   own, which ends in dense float32, so that a classifier can go on from there. */
#include "onednn/lower.h"
#include "onednn/norm_kernels.h"
#include "op/window.h"

#include <string.h>

enum { FORWARD, BACKWARD };

typedef struct pool {
        rs_lowered head;
        bool workspace, bf16;
        size_t in_bytes, add;
} pool;

static void
pool_forward(const rs_call *c)
{
        const pool *s = c->state;
        rs_lowered_run(c, FORWARD,
                (void *[]){c->in[0]->data, c->out[0]->data, s->workspace ? c->saved : NULL},
                c->scratch);
}

static void
pool_backward(const rs_call *c)
{
        const pool *s = c->state;
        if (!c->dout[0] || !c->din[0])
                return;
        bool adds = !(c->first & 1);
        void *dx = adds ? (char *)c->scratch + s->add : c->din[0]->data;
        rs_lowered_run(c, BACKWARD,
                (void *[]){dx, c->dout[0]->data, s->workspace ? c->saved : NULL}, c->scratch);
        if (adds)
                rs_sum_into(
                        c->din[0]->data, dx, s->in_bytes / (s->bf16 ? 2 : 4), s->bf16, c->threads);
}

static const rs_kernel pool_kernel = {.name = rs_lowered_name,
        .bind = rs_lowered_bind,
        .unbind = rs_lowered_unbind,
        .forward = pool_forward,
        .backward = pool_backward};

typedef struct window {
        dnnl_dims_t stride, kernel, dilation, before, after;
        dnnl_alg_kind_t method;
} window;

/* The window as oneDNN wants it; false where it means something else there. */
static bool
translate(const rs_pstep *s, const rs_window *w, const rs_type *in, const rs_type *out, window *o)
{
        bool max = !strcmp(s->op->name, "MaxPool"), ceil = false, padded = false;
        *o = (window){.method = dnnl_pooling_max};
        for (int i = 0; i < w->axes; i++) {
                int64_t reach = (w->kernel[i] - 1) * w->dilation[i] + 1;
                o->kernel[i] = w->kernel[i];
                o->stride[i] = w->stride[i];
                o->dilation[i] = w->dilation[i] - 1;
                o->before[i] = w->before[i];
                o->after[i] = (out->dims[i + 2] - 1) * w->stride[i] + reach - in->dims[i + 2] -
                              w->before[i];
                ceil |= o->after[i] > w->after[i];
                padded |= o->before[i] > 0 || o->after[i] > 0;
                /* a window that sees nothing but padding */
                if (o->before[i] >= reach || o->after[i] >= reach)
                        return false;
        }
        if (max)
                return s->n_out < 2 || s->out[1] < 0;
        bool count = rs_node_int(s->node, "count_include_pad", 0);
        o->method = count ? dnnl_pooling_avg_include_padding : dnnl_pooling_avg_exclude_padding;
        /* what a window that sticks out by ceil_mode counts is ONNX's own affair */
        return !(ceil && padded && count);
}

static bool
describe(rs_lower *l, const window *w, const dnnl_memory_desc_t *src, const rs_type *out, pool *k,
        bool backward, bool *unable, resect_error *err)
{
        dnnl_pooling_v2_desc_t d;
        dnnl_memory_desc_t dst;
        dnnl_primitive_desc_t forward = NULL, back = NULL;
        rs_launch *at = k->head.launches;
        bool training = l->p->training && backward;
        if (!rs_md_any(&dst, out->rank, out->dims, src->data_type, err) ||
                !rs_dnn_check(dnnl_pooling_v2_forward_desc_init(&d,
                                      training ? dnnl_forward_training : dnnl_forward_inference,
                                      w->method, src, &dst, w->stride, w->kernel, w->dilation,
                                      w->before, w->after),
                        unable, err) ||
                !rs_dnn_describe(l->dnn, &d, NULL, NULL, &forward, unable, err))
                return false;
        k->head.name = rs_lower_name(l, forward, err);
        dst = *dnnl_primitive_desc_query_md(forward, dnnl_query_dst_md, 0);
        const dnnl_memory_desc_t *space =
                dnnl_primitive_desc_query_md(forward, dnnl_query_workspace_md, 0);
        dnnl_memory_desc_t workspace = {0};
        if (space)
                workspace = *space;
        k->workspace = training && rs_md_size(&workspace) > 0;
        bool ok = k->head.name != NULL;
        if (ok && training)
                ok = rs_dnn_check(dnnl_pooling_v2_backward_desc_init(&d, w->method, src, &dst,
                                          w->stride, w->kernel, w->dilation, w->before, w->after),
                             unable, err) &&
                     rs_dnn_describe(l->dnn, &d, NULL, forward, &back, unable, err);
        if (!ok) {
                dnnl_primitive_desc_destroy(forward);
                return false;
        }
        rs_launch_arg(&at[FORWARD], DNNL_ARG_SRC, src);
        rs_launch_arg(&at[FORWARD], DNNL_ARG_DST, &dst);
        rs_launch_arg(&at[BACKWARD], DNNL_ARG_DIFF_SRC, src);
        rs_launch_arg(&at[BACKWARD], DNNL_ARG_DIFF_DST, &dst);
        for (int i = 0; i < 2 && k->workspace; i++)
                rs_launch_arg(&at[i], DNNL_ARG_WORKSPACE, &workspace);
        ok = rs_launch_make(l->dnn, &at[FORWARD], forward, err);
        if (back && !ok)
                dnnl_primitive_desc_destroy(back);
        return ok && (!back || rs_launch_make(l->dnn, &at[BACKWARD], back, err));
}

bool
rs_lower_pool(rs_lower *l, rs_pstep *s, bool *done, resect_error *err)
{
        rs_window w;
        window o;
        dnnl_memory_desc_t src;
        int64_t sizes[RESECT_RANK_MAX];
        bool unable = false;
        const rs_infer *x = rs_plan_infer(l->p, s, err);
        if (!x)
                return false;
        const rs_type *in = x->in[0], *out = &l->p->values[s->out[0]].type;
        int axes = in->rank - 2;
        bool able = in->dtype == RESECT_FLOAT && axes >= 1 && axes <= 3;
        for (int i = 0; able && i < in->rank; i++)
                able = in->dims[i] > 0 && out->dims[i] > 0;
        if (!able)
                return true;
        rs_infer again = *x;
        if (!rs_window_read(x, axes, NULL, &w, err) ||
                !rs_window_sizes(
                        &again, &w, rs_node_int(s->node, "ceil_mode", 0), in->dims + 2, sizes, err))
                return false;
        pool *k = RS_NEW(&l->p->arena, 1, pool, err);
        if (!k)
                return false;
        if (!translate(s, &w, in, out, &o) || !rs_lower_md(l, s->in[0], &src, err))
                return true;
        k->head.dnn = l->dnn;
        if (!describe(l, &o, &src, out, k, s->backward, &unable, err))
                return unable;
        const rs_launch *at = k->head.launches;
        k->bf16 = src.data_type == dnnl_bf16;
        k->in_bytes = rs_md_size(&src);
        k->add = (at[FORWARD].scratch > at[BACKWARD].scratch ? at[FORWARD].scratch
                                                             : at[BACKWARD].scratch);
        k->add = (k->add + 63) / 64 * 64;
        s->kernel = &pool_kernel;
        s->state = k;
        s->scratch = k->add;
        s->scratch_add = k->in_bytes;
        s->saved = k->workspace ? rs_md_size(&at[FORWARD].args[2].md) : 0;
        s->reads = 0;
        s->overwrites = 1;
        *done = true;
        return rs_lower_output(l, s->out[0], &at[FORWARD].args[1].md, err);
}

/* GlobalAveragePool, and a ReduceMean that is one. */
static const char *
mean_name(const void *state)
{
        (void)state;
        return "resect mean";
}

static void
mean_forward(const rs_call *c)
{
        rs_mean_forward(c->state, c->in[0]->data, c->out[0]->data);
}

static void
mean_backward(const rs_call *c)
{
        if (c->dout[0] && c->din[0])
                rs_mean_backward(c->state, c->dout[0]->data, c->din[0]->data, !(c->first & 1));
}

static const rs_kernel mean_kernel = {
        .name = mean_name, .forward = mean_forward, .backward = mean_backward};

/* Whether a step whose output keeps images and channels is the mean over all the other axes. When
   the output has their number of axes its sizes say so; else the axes must. */
static bool
is_mean(const rs_lower *l, const rs_pstep *s, const rs_type *in, const rs_type *out)
{
        bool same = in->rank >= 3 && out->rank >= 2 && out->dims[0] == in->dims[0] &&
                    out->dims[1] == in->dims[1];
        for (int i = 2; same && i < out->rank; i++)
                same = out->dims[i] == 1;
        if (!same || out->rank == in->rank)
                return same;
        const rs_attr *a = rs_node_attr(s->node, "axes");
        const rs_type *given = s->n_in > 1 && s->in[1] >= 0 ? &l->p->values[s->in[1]].type : NULL;
        const int64_t *axes = given ? given->ints : a ? a->ints : NULL;
        size_t n = given ? given->n_ints : a ? a->n : 0;
        uint32_t set = 0;
        for (size_t i = 0; axes && i < n; i++)
                set |= UINT32_C(1) << ((axes[i] < 0 ? axes[i] + in->rank : axes[i]) & 31);
        return out->rank == 2 && set == ((UINT32_C(1) << in->rank) - 1) - 3;
}

bool
rs_lower_mean(rs_lower *l, rs_pstep *s, bool *done, resect_error *err)
{
        dnnl_memory_desc_t md;
        const rs_type *in = &l->p->values[s->in[0]].type, *out = &l->p->values[s->out[0]].type;
        bool able = in->dtype == RESECT_FLOAT && is_mean(l, s, in, out);
        for (int i = 0; able && i < in->rank; i++)
                able = in->dims[i] > 0;
        if (!able || !rs_lower_md(l, s->in[0], &md, err) || !rs_md_block(&md))
                return true;
        rs_bn_shape *k = RS_NEW(&l->p->arena, 1, rs_bn_shape, err);
        if (!k)
                return false;
        *k = (rs_bn_shape){.n = (size_t)md.dims[0],
                .c = (size_t)md.dims[1],
                .s = 1,
                .block = rs_md_block(&md),
                .bf16 = md.data_type == dnnl_bf16,
                .threads = l->p->threads};
        for (int i = 2; i < md.ndims; i++)
                k->s *= (size_t)md.dims[i];
        s->kernel = &mean_kernel;
        s->state = k;
        s->scratch = s->saved = 0;
        s->reads = 0;
        s->overwrites = 1;
        *done = true;
        return true;
}
