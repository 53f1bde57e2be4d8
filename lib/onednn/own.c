/* SPDX-License-Identifier: 0BSD */
/* Calls one of our own two methods, or the other. The scratch of a 1x1 ends with what its stride
 * brings together. */
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

void
rs_own_trained(rs_own *o, bool turned)
{
        if (o->method == RS_OWN_WINOGRAD && rs_winograd_able(&o->winograd) &&
                rs_winograd_reads_once(&o->winograd))
                o->winograd.weights = turned ? RS_WINO_TURNED : RS_WINO_DENSE;
}

float *
rs_own_form(const rs_own *o, float *w, bool turned, float *u)
{
        if (o->method == RS_OWN_WINOGRAD && o->winograd.weights != RS_WINO_PACKED)
                return w;
        rs_own_weights(o, w, turned, u);
        return u;
}

/* In whole lines. */
static size_t
point_scratch(const rs_own *o)
{
        return (rs_pointconv_scratch(&o->point) + 63) / 64 * 64;
}

size_t
rs_own_scratch(const rs_own *o)
{
        if (o->method == RS_OWN_WINOGRAD)
                return rs_winograd_scratch(&o->winograd);
        return point_scratch(o) + (o->from.step_h ? rs_strided_bytes(&o->from) : 0) +
               (o->to.step_h ? rs_strided_bytes(&o->to) : 0);
}

/* What a 1x1 reads of x. */
static const float *
gathered(const rs_own *o, const float *x, void *scratch)
{
        float *some = (float *)((char *)scratch + point_scratch(o));
        if (!o->from.step_h)
                return x;
        rs_strided_gather(&o->from, x, some);
        return some;
}

void
rs_own_forward(const rs_own *o, const float *x, const float *u, const float *bias, bool add,
        bool relu, float *y, void *scratch)
{
        if (o->method == RS_OWN_WINOGRAD) {
                rs_winograd_forward(&o->winograd, x, u, bias, add, relu, y, scratch);
        } else if (o->to.step_h) {
                float *some = (float *)((char *)scratch + point_scratch(o));
                rs_pointconv_forward(&o->point, x, u, NULL, false, false, some, scratch);
                rs_strided_spread(&o->to, some, add, y);
        } else {
                x = gathered(o, x, scratch);
                rs_pointconv_forward(&o->point, x, u, bias, add, relu, y, scratch);
        }
}

void
rs_own_forward_first(const rs_own *o, size_t pictures, const float *x, const float *u,
        const float *bias, bool add, bool relu, float *y, void *scratch)
{
        rs_own some = *o;
        if (o->method == RS_OWN_WINOGRAD) {
                rs_winograd_forward_first(
                        &o->winograd, pictures, x, u, bias, add, relu, y, scratch);
                return;
        }
        /* what a 1x1 does with a picture, and how its weights lie, depends on no other picture */
        some.point.n = pictures < o->point.n ? pictures : o->point.n;
        some.from.planes = o->from.planes / o->point.n * some.point.n;
        some.to.planes = o->to.planes / o->point.n * some.point.n;
        rs_own_forward(&some, x, u, bias, add, relu, y, scratch);
}

void
rs_own_weight_gradient(const rs_own *o, const float *x, const float *dy, float *dw, void *scratch)
{
        if (o->method == RS_OWN_POINT)
                rs_pointconv_weight_gradient(&o->point, gathered(o, x, scratch), dy, dw, scratch);
        else
                rs_winograd_weight_gradient(&o->winograd, x, dy, dw, scratch);
}
