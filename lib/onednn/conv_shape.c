/* SPDX-License-Identifier: 0BSD */
/* A Conv's step read into a shape, and the shape's three products described to oneDNN. */
#include "onednn/conv_shape.h"
#include "op/window.h"

#include <stdio.h>
#include <string.h>

/*
 * With AVX-512 and no matrix unit, blocks of 16 channels serve all three products (and Winograd)
 * well, while oneDNN 2.6 by itself takes channels last, which is as good forward but has no kernel
 * for the weight's gradient. A first Conv reads few channels as they lie.
 */
static bool
prefer_blocks(
        rs_lower *l, rs_conv_shape *c, const rs_type *in, const rs_type *out, resect_error *err)
{
        static const dnnl_format_tag_t tags[] = {dnnl_nCw16c, dnnl_nChw16c, dnnl_nCdhw16c};
        dnnl_cpu_isa_t isa = dnnl_get_effective_cpu_isa();
        bool wide = (isa & dnnl_cpu_isa_avx512_core) == dnnl_cpu_isa_avx512_core,
             matrix = (isa & dnnl_cpu_isa_avx512_core_amx) == dnnl_cpu_isa_avx512_core_amx &&
                      l->dnn->bf16;
        if (!wide || matrix)
                return true;
        dnnl_data_type_t type = rs_lower_type(l);
        dnnl_format_tag_t tag = tags[in->rank - 3];
        return (in->dims[1] < 16 || rs_md_tagged(&c->src, in->rank, in->dims, type, tag, err)) &&
               rs_md_tagged(&c->dst, out->rank, out->dims, type, tag, err);
}

bool
rs_conv_read(rs_lower *l, rs_pstep *s, rs_conv_shape *c, bool *able, resect_error *err)
{
        rs_infer *x = rs_plan_infer(l->p, s, err);
        rs_window w;
        if (!x)
                return false;
        const rs_type *in = x->in[0], *wt = x->in[1];
        const rs_type *out = &l->p->values[s->out[0]].type;
        int axes = in->rank - 2;
        int64_t sizes[RESECT_RANK_MAX], group = rs_node_int(s->node, "group", 1);
        *able = in->dtype == RESECT_FLOAT && axes >= 1 && axes <= 3;
        for (int i = 0; *able && i < in->rank; i++)
                *able = in->dims[i] > 0 && wt->dims[i] > 0 && out->dims[i] > 0;
        if (!*able)
                return true;
        if (!rs_window_read(x, axes, wt->dims + 2, &w, err) ||
                !rs_window_sizes(x, &w, false, in->dims + 2, sizes, err))
                return false;
        *c = (rs_conv_shape){.l = l, .rank = in->rank, .w_rank = in->rank + (group > 1)};
        int k = 0;
        if (group > 1)
                c->w[k++] = group;
        c->w[k++] = wt->dims[0] / group;
        for (int i = 1; i < in->rank; i++)
                c->w[k++] = wt->dims[i];
        c->maybe_winograd = axes == 2 && group == 1;
        c->maybe_point = group == 1;
        for (int i = 0; i < axes; i++) {
                c->stride[i] = w.stride[i];
                c->dilation[i] = w.dilation[i] - 1;
                c->before[i] = w.before[i];
                /* what floor leaves over at the end is padding less */
                c->after[i] = (out->dims[i + 2] - 1) * w.stride[i] +
                              (wt->dims[i + 2] - 1) * w.dilation[i] + 1 - in->dims[i + 2] -
                              w.before[i];
                c->maybe_winograd &= wt->dims[i + 2] == 3 && w.stride[i] == 1 && w.dilation[i] == 1;
                c->maybe_point &= wt->dims[i + 2] == 1 && w.before[i] == 0 && c->after[i] <= 0 &&
                                  (axes == 2 || w.stride[i] == 1);
        }
        c->has_bias = s->n_in > 2 && s->in[2] >= 0;
        c->sum = s->residual >= 0;
        c->relu = s->relu;
        c->training = l->p->training && s->backward;
        dnnl_data_type_t type = rs_lower_type(l);
        snprintf(c->key, sizeof c->key, "%s,%d,%lldx%lldx%lldx%lld,%lldx%lldx%lld,%lld,%d",
                type == dnnl_bf16 ? "bf16" : "f32", l->dnn->threads, (long long)in->dims[0],
                (long long)in->dims[1], (long long)in->dims[2],
                (long long)(in->rank > 3 ? in->dims[3] : 1), (long long)out->dims[1],
                (long long)out->dims[2], (long long)(out->rank > 3 ? out->dims[3] : 1),
                (long long)w.before[0], c->sum);
        return rs_md_any(&c->src, in->rank, in->dims, type, err) &&
               rs_md_any(&c->weight, c->w_rank, c->w, type, err) &&
               rs_md_any(&c->dst, out->rank, out->dims, type, err) &&
               prefer_blocks(l, c, in, out, err) &&
               rs_md_dense(&c->bias, 1, out->dims + 1, dnnl_f32, err) &&
               rs_md_dense(&c->w_dense, c->w_rank, c->w, dnnl_f32, err);
}

static bool
post_ops(const rs_conv_shape *c, dnnl_primitive_attr_t *attr, resect_error *err)
{
        dnnl_post_ops_t ops = NULL;
        *attr = NULL;
        dnnl_status_t status = dnnl_primitive_attr_create(attr);
        if (status == dnnl_success)
                status = dnnl_post_ops_create(&ops);
        if (status == dnnl_success && c->sum)
                status = dnnl_post_ops_append_sum(ops, 1);
        if (status == dnnl_success && c->relu)
                status = dnnl_post_ops_append_eltwise(ops, 1, dnnl_eltwise_relu, 0, 0);
        if (status == dnnl_success)
                status = dnnl_primitive_attr_set_post_ops(*attr, ops);
        if (ops)
                dnnl_post_ops_destroy(ops);
        return rs_dnn_check(status, NULL, err);
}

bool
rs_conv_describe(const rs_conv_shape *c, int which, dnnl_primitive_desc_t hint,
        dnnl_primitive_desc_t *pd, bool *unable, resect_error *err)
{
        dnnl_convolution_desc_t d;
        const dnnl_alg_kind_t method = dnnl_convolution_direct;
        dnnl_status_t status;
        dnnl_primitive_attr_t attr = NULL;
        const dnnl_memory_desc_t *bias = c->has_bias ? &c->bias : NULL;
        dnnl_memory_desc_t gradient; /* of the weight: summed in float32 */
        *unable = false;
        if (which == RS_CONV_WEIGHT && !rs_md_any(&gradient, c->w_rank, c->w, dnnl_f32, err))
                return false;
        if (which == RS_CONV_FORWARD)
                status = dnnl_dilated_convolution_forward_desc_init(&d,
                        c->training ? dnnl_forward_training : dnnl_forward_inference, method,
                        &c->src, &c->weight, bias, &c->dst, c->stride, c->dilation, c->before,
                        c->after);
        else if (which == RS_CONV_INPUT)
                status = dnnl_dilated_convolution_backward_data_desc_init(&d, method, &c->src,
                        &c->weight, &c->dst, c->stride, c->dilation, c->before, c->after);
        else
                status = dnnl_dilated_convolution_backward_weights_desc_init(&d, method, &c->src,
                        &gradient, bias, &c->dst, c->stride, c->dilation, c->before, c->after);
        if (!rs_dnn_check(status, unable, err) ||
                (which == RS_CONV_FORWARD && !post_ops(c, &attr, err)))
                return false;
        bool ok = rs_dnn_describe(c->l->dnn, &d, attr, hint, pd, unable, err);
        if (attr)
                dnnl_primitive_attr_destroy(attr);
        if (!ok)
                return false;
        /* oneDNN's own reference loops, which is all that it has for the gradients of odd numbers
         * of channels, take tens of times as long as ours */
        const char *name = "";
        dnnl_primitive_desc_query(*pd, dnnl_query_impl_info_str, 0, &name);
        if (strncmp(name, "ref", 3) != 0)
                return true;
        dnnl_primitive_desc_destroy(*pd);
        *unable = true;
        return false;
}

static const dnnl_query_t sides[3][3] = {
        {dnnl_query_src_md, dnnl_query_weights_md, dnnl_query_dst_md},
        {dnnl_query_diff_src_md, dnnl_query_weights_md, dnnl_query_diff_dst_md},
        {dnnl_query_src_md, dnnl_query_diff_weights_md, dnnl_query_diff_dst_md}};

dnnl_memory_desc_t
rs_conv_md(dnnl_primitive_desc_t pd, int which, int side)
{
        return *dnnl_primitive_desc_query_md(pd, sides[which][side], 0);
}

bool
rs_conv_launch(const rs_conv_shape *c, int which, dnnl_primitive_desc_t pd, rs_launch *l,
        resect_error *err)
{
        static const int args[3][4] = {
                {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST, DNNL_ARG_BIAS},
                {DNNL_ARG_DIFF_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DIFF_DST, 0},
                {DNNL_ARG_SRC, DNNL_ARG_DIFF_WEIGHTS, DNNL_ARG_DIFF_DST, DNNL_ARG_DIFF_BIAS}};
        *l = (rs_launch){0};
        for (int side = 0; side < 3; side++) {
                dnnl_memory_desc_t md = rs_conv_md(pd, which, side);
                rs_launch_arg(l, args[which][side], &md);
        }
        if (which != RS_CONV_INPUT && c->has_bias)
                rs_launch_arg(l, args[which][3], &c->bias);
        return rs_launch_make(c->l->dnn, l, pd, err);
}

bool
rs_conv_strided(const rs_conv_shape *c, rs_strided *s)
{
        const size_t block = rs_md_block(&c->src); /* what lies together at a position */
        if (c->rank != 4 || (c->stride[0] == 1 && c->stride[1] == 1))
                return false;
        *s = (rs_strided){.planes = (size_t)c->src.dims[0] * ((size_t)c->src.dims[1] / block),
                .bytes = block * dnnl_data_type_size(c->src.data_type),
                .h = (size_t)c->src.dims[2],
                .w = (size_t)c->src.dims[3],
                .oh = (size_t)c->dst.dims[2],
                .ow = (size_t)c->dst.dims[3],
                .step_h = (size_t)c->stride[0],
                .step_w = (size_t)c->stride[1],
                .threads = c->l->p->threads};
        return true;
}
