/* SPDX-License-Identifier: 0BSD */
/* A 1x1 Conv's gradients told to oneDNN as matrices. */
#include "onednn/conv_matrix.h"

#include <string.h>

static bool
channels_last(const dnnl_memory_desc_t *md)
{
        return md->dims[1] > 1 && rs_md_block(md) == (size_t)md->dims[1];
}

static bool
matrix(dnnl_memory_desc_t *md, int64_t rows, int64_t columns, bool turned, dnnl_data_type_t type,
        resect_error *err)
{
        return rs_md_tagged(
                md, 2, (int64_t[]){rows, columns}, type, turned ? dnnl_ba : dnnl_ab, err);
}

/* The multiplication; *able is false when oneDNN has none that is worth it. */
static bool
describe(const rs_conv_shape *c, const dnnl_memory_desc_t *a, const dnnl_memory_desc_t *b,
        const dnnl_memory_desc_t *y, dnnl_primitive_desc_t *pd, bool *able, resect_error *err)
{
        dnnl_matmul_desc_t d;
        bool unable = false;
        const char *name = "";
        if (!rs_dnn_check(dnnl_matmul_desc_init(&d, a, b, NULL, y), &unable, err) ||
                !rs_dnn_describe(c->l->dnn, &d, NULL, NULL, pd, &unable, err))
                return unable;
        dnnl_primitive_desc_query(*pd, dnnl_query_impl_info_str, 0, &name);
        *able = strncmp(name, "ref", 3) != 0;
        if (!*able)
                dnnl_primitive_desc_destroy(*pd);
        return true;
}

bool
rs_conv_matrix(const rs_conv_shape *c, int which, rs_launch *direct, rs_launch *form, bool *able,
        resect_error *err)
{
        const dnnl_data_type_t type = dnnl_bf16;
        const bool weight = which == RS_CONV_WEIGHT;
        dnnl_memory_desc_t x, w, y;
        dnnl_primitive_desc_t pd = NULL;
        int64_t rows = c->dst.dims[0];

        *able = false;
        if (which == RS_CONV_FORWARD || !c->training || !c->maybe_point || !c->l->dnn->bf16 ||
                (weight && c->has_bias) || !channels_last(&c->src) || !channels_last(&c->dst))
                return true;
        for (int i = 2; i < c->rank; i++)
                rows *= c->dst.dims[i];
        const int64_t in = c->src.dims[1], out = c->dst.dims[1];
        if (!matrix(&x, rows, in, false, type, err) ||
                !matrix(&w, out, in, false, weight ? dnnl_f32 : type, err) ||
                !matrix(&y, weight ? out : rows, weight ? rows : out, weight, type, err) ||
                !describe(c, &y, weight ? &x : &w, weight ? &w : &x, &pd, able, err))
                return false;
        if (!*able)
                return true;
        *direct = *form = (rs_launch){0};
        rs_launch_arg(direct, weight ? DNNL_ARG_WEIGHTS : DNNL_ARG_DST, &x);
        rs_launch_arg(direct, weight ? DNNL_ARG_DST : DNNL_ARG_WEIGHTS, &w);
        rs_launch_arg(direct, DNNL_ARG_SRC, &y);
        if (!rs_launch_make(c->l->dnn, direct, pd, err))
                return false;
        if (weight)
                return true;
        dnnl_memory_desc_t dense;
        return matrix(&dense, out, in, false, dnnl_f32, err) &&
               rs_launch_reorder(c->l->dnn, form, &dense, &w, false, err);
}
