/* SPDX-License-Identifier: 0BSD */
/* Calls one of our own two methods, or the other. */
#include "onednn/own.h"

bool
rs_own_able(const rs_own *o)
{
        if (o->method == RS_OWN_POINT)
                return rs_pointconv_able(&o->point);
        return o->method == RS_OWN_WINOGRAD && rs_winograd_able(&o->winograd);
}

const char *
rs_own_name(const rs_own *o)
{
        return o->method == RS_OWN_POINT ? "resect 1x1" : "resect winograd";
}

size_t
rs_own_weight_bytes(const rs_own *o)
{
        return o->method == RS_OWN_POINT ? rs_pointconv_weight_bytes(&o->point)
                                         : rs_winograd_weight_bytes(&o->winograd);
}

void
rs_own_weights(const rs_own *o, const float *w, bool turned, float *u)
{
        if (o->method == RS_OWN_POINT)
                rs_pointconv_weights(&o->point, w, turned, u);
        else
                rs_winograd_weights(&o->winograd, w, turned, u);
}

size_t
rs_own_scratch(const rs_own *o)
{
        return o->method == RS_OWN_POINT ? rs_pointconv_scratch(&o->point)
                                         : rs_winograd_scratch(&o->winograd);
}

void
rs_own_forward(const rs_own *o, const float *x, const float *u, const float *bias, bool add,
        bool relu, float *y, void *scratch)
{
        if (o->method == RS_OWN_POINT)
                rs_pointconv_forward(&o->point, x, u, bias, add, relu, y, scratch);
        else
                rs_winograd_forward(&o->winograd, x, u, bias, add, relu, y, scratch);
}

void
rs_own_weight_gradient(const rs_own *o, const float *x, const float *dy, float *dw, void *scratch)
{
        if (o->method == RS_OWN_POINT)
                rs_pointconv_weight_gradient(&o->point, x, dy, dw, scratch);
        else
                rs_winograd_weight_gradient(&o->winograd, x, dy, dw, scratch);
}
