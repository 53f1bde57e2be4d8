/* SPDX-License-Identifier: 0BSD */
/*
 * Conv by oneDNN: forward with the addition of a residual and ReLU inside, and the gradients of
 * input and weight. What never changes is packed when weights are loaded. A trained weight lies
 * dense and float32 in the parameters' slab and is brought into shape at each run: that is two
 * percent of the time that the products take, and keeps the slab one for all kernels.
 *
 * A 3x3 Conv of stride 1 can also be done by Winograd's method (winograd.h), which multiplies less
 * and moves more; which is faster depends on the sizes, so each of the three products is timed,
 * once. So is a 1x1 Conv of stride 1 by pointconv.h, where its weight is packed at loading.
 */
#include "onednn/choose.h"
#include "onednn/lower.h"
#include "onednn/norm_kernels.h"
#include "op/window.h"

#include <stdio.h>
#include <string.h>

enum { FORWARD, INPUT, WEIGHT, IN_FORM, IN_BACK_FORM, OUT_OF_FORM };

/* Buffers within the step's scratch. */
typedef struct conv {
        rs_lowered head;
        size_t out_bytes, in_bytes, w_bytes; /* of the output; of the input; of the dense weight */
        bool bias, dense_w, sum; /* dense_w: the weight is brought into form at each run */
        bool winograd[3];        /* by product */
        bool by_point;           /* forward, a 1x1 Conv */
        rs_winograd ahead, back;
        rs_pointconv point;
        size_t form, other, dense; /* offsets in scratch: the weight in form; a second one; what is
                                      to be added */
        bool bf16;                 /* of the input and its gradient */
        size_t grad_count;
} conv;

static size_t
max(size_t a, size_t b)
{
        return a > b ? a : b;
}

/* What the three primitives have in common. */
typedef struct shape {
        rs_lower *l;
        int rank, w_rank;
        dnnl_dims_t w;                               /* [G,] O, I, kernel */
        dnnl_dims_t stride, dilation, before, after; /* [rank - 2] */
        dnnl_memory_desc_t src, weight, bias,
                dst;                /* what the value is asked to be: any, or as it is */
        dnnl_memory_desc_t w_dense; /* float32 */
        bool has_bias, sum, relu, training, maybe_winograd, maybe_point;
        char key[160];
} shape;

/*
 * With AVX-512 and no matrix unit, blocks of 16 channels serve all three products (and Winograd)
 * well, while oneDNN 2.6 by itself takes channels last, which is as good forward but has no kernel
 * for the weight's gradient. A first Conv reads few channels as they lie.
 */
static bool
prefer_blocks(rs_lower *l, shape *c, const rs_type *in, const rs_type *out, resect_error *err)
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

static bool
read_shape(rs_lower *l, rs_pstep *s, shape *c, bool *able, resect_error *err)
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
        *c = (shape){.l = l, .rank = in->rank, .w_rank = in->rank + (group > 1)};
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
                c->maybe_point &= wt->dims[i + 2] == 1 && in->dims[i + 2] == out->dims[i + 2] &&
                                  w.stride[i] == 1 && w.before[i] == 0;
        }
        c->has_bias = s->n_in > 2 && s->in[2] >= 0;
        c->sum = s->residual >= 0;
        c->relu = s->relu;
        c->training = l->p->training && s->backward;
        dnnl_data_type_t type = rs_lower_type(l);
        snprintf(c->key, sizeof c->key, "%s,%d,%lldx%lldx%lldx%lld,%lld,%lld,%d",
                type == dnnl_bf16 ? "bf16" : "f32", l->dnn->threads, (long long)in->dims[0],
                (long long)in->dims[1], (long long)in->dims[2],
                (long long)(in->rank > 3 ? in->dims[3] : 1), (long long)out->dims[1],
                (long long)w.before[0], c->sum);
        return rs_md_any(&c->src, in->rank, in->dims, type, err) &&
               rs_md_any(&c->weight, c->w_rank, c->w, type, err) &&
               rs_md_any(&c->dst, out->rank, out->dims, type, err) &&
               prefer_blocks(l, c, in, out, err) &&
               rs_md_dense(&c->bias, 1, out->dims + 1, dnnl_f32, err) &&
               rs_md_dense(&c->w_dense, c->w_rank, c->w, dnnl_f32, err);
}

static bool
post_ops(const shape *c, dnnl_primitive_attr_t *attr, resect_error *err)
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

/* One of the three products: its description. Sets *unable when there is none. */
static bool
describe(const shape *c, int which, dnnl_primitive_desc_t hint, dnnl_primitive_desc_t *pd,
        bool *unable, resect_error *err)
{
        dnnl_convolution_desc_t d;
        const dnnl_alg_kind_t method = dnnl_convolution_direct;
        dnnl_status_t status;
        dnnl_primitive_attr_t attr = NULL;
        const dnnl_memory_desc_t *bias = c->has_bias ? &c->bias : NULL;
        dnnl_memory_desc_t gradient; /* of the weight: summed in float32 */
        *unable = false;
        if (which == WEIGHT && !rs_md_any(&gradient, c->w_rank, c->w, dnnl_f32, err))
                return false;
        if (which == FORWARD)
                status = dnnl_dilated_convolution_forward_desc_init(&d,
                        c->training ? dnnl_forward_training : dnnl_forward_inference, method,
                        &c->src, &c->weight, bias, &c->dst, c->stride, c->dilation, c->before,
                        c->after);
        else if (which == INPUT)
                status = dnnl_dilated_convolution_backward_data_desc_init(&d, method, &c->src,
                        &c->weight, &c->dst, c->stride, c->dilation, c->before, c->after);
        else
                status = dnnl_dilated_convolution_backward_weights_desc_init(&d, method, &c->src,
                        &gradient, bias, &c->dst, c->stride, c->dilation, c->before, c->after);
        if (!rs_dnn_check(status, unable, err) || (which == FORWARD && !post_ops(c, &attr, err)))
                return false;
        bool ok = rs_dnn_describe(c->l->dnn, &d, attr, hint, pd, unable, err);
        if (attr)
                dnnl_primitive_attr_destroy(attr);
        return ok;
}

static const dnnl_query_t sides[3][3] = {
        {dnnl_query_src_md, dnnl_query_weights_md, dnnl_query_dst_md},
        {dnnl_query_diff_src_md, dnnl_query_weights_md, dnnl_query_diff_dst_md},
        {dnnl_query_src_md, dnnl_query_diff_weights_md, dnnl_query_diff_dst_md}};

static dnnl_memory_desc_t
md_of(dnnl_primitive_desc_t pd, int which, int side)
{
        return *dnnl_primitive_desc_query_md(pd, sides[which][side], 0);
}

/* A described product as a launch: input, weight, output, bias. */
static bool
launch(const shape *c, int which, dnnl_primitive_desc_t pd, rs_launch *l, resect_error *err)
{
        static const int args[3][4] = {
                {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST, DNNL_ARG_BIAS},
                {DNNL_ARG_DIFF_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DIFF_DST, 0},
                {DNNL_ARG_SRC, DNNL_ARG_DIFF_WEIGHTS, DNNL_ARG_DIFF_DST, DNNL_ARG_DIFF_BIAS}};
        *l = (rs_launch){0};
        for (int side = 0; side < 3; side++) {
                dnnl_memory_desc_t md = md_of(pd, which, side);
                rs_launch_arg(l, args[which][side], &md);
        }
        if (which != INPUT && c->has_bias)
                rs_launch_arg(l, args[which][3], &c->bias);
        return rs_launch_make(c->l->dnn, l, pd, err);
}

/* A product as it is timed: direct, or by Winograd's method. */
typedef struct trial {
        const shape *c;
        int which;
        const rs_launch *direct;
        const conv *k;
} trial;
enum { X, W, Y, BIAS, W_DENSE, SCRATCH, N_BUFFERS };

static bool
try_product(void *ctx, int method, void *const *b, resect_error *err)
{
        const trial *t = ctx;
        if (method == 0)
                return rs_launch_once(t->c->l->dnn, t->direct,
                        (void *[]){b[X], b[W], b[Y], t->c->has_bias ? b[BIAS] : NULL}, b[SCRATCH],
                        err);
        const rs_winograd *p = t->which == INPUT ? &t->k->back : &t->k->ahead;
        if (t->which != WEIGHT && t->c->training)
                rs_winograd_weights(p, b[W_DENSE], t->which == INPUT, b[W]);
        if (t->which == FORWARD)
                rs_winograd_forward(
                        p, b[X], b[W], b[BIAS], t->c->sum, t->c->relu, b[Y], b[SCRATCH]);
        else if (t->which == INPUT)
                rs_winograd_forward(p, b[Y], b[W], NULL, false, false, b[X], b[SCRATCH]);
        else
                rs_winograd_weight_gradient(p, b[X], b[Y], b[W_DENSE], b[SCRATCH]);
        return true;
}

/* Whether a product is faster by Winograd's method; -1 on failure. */
static int
by_winograd(const shape *c, int which, const rs_launch *direct, const conv *k, resect_error *err)
{
        static const char *const names[3] = {"forward", "input", "weight"};
        const rs_winograd *p = which == INPUT ? &k->back : &k->ahead;
        if (!c->maybe_winograd || (which == WEIGHT && c->has_bias) || !rs_winograd_able(p))
                return 0;
        trial t = {c, which, direct, k};
        size_t sizes[N_BUFFERS] = {[X] = k->in_bytes,
                [W] = max(rs_md_size(&direct->args[1].md), rs_winograd_weight_bytes(p)),
                [Y] = k->out_bytes,
                [BIAS] = rs_md_size(&c->bias),
                [W_DENSE] = k->w_bytes,
                [SCRATCH] = max(direct->scratch, rs_winograd_scratch(p))};
        char key[200];
        snprintf(key, sizeof key, "winograd,%s%s,%s", names[which], c->training ? "-training" : "",
                c->key);
        return rs_choose(c->l->dnn, key, try_product, &t, sizes, N_BUFFERS, err);
}

static bool
try_point(void *ctx, int method, void *const *b, resect_error *err)
{
        const trial *t = ctx;
        if (method == 0)
                return try_product(ctx, method, b, err);
        rs_pointconv_forward(&t->k->point, b[X], b[W], t->c->has_bias ? b[BIAS] : NULL, t->c->sum,
                t->c->relu, b[Y], b[SCRATCH]);
        return true;
}

/* Whether a 1x1 Conv is faster by our own product; -1 on failure. */
static int
by_point(const shape *c, const rs_launch *direct, const conv *k, resect_error *err)
{
        const rs_pointconv *p = &k->point;
        if (!c->maybe_point || !rs_pointconv_able(p))
                return 0;
        trial t = {c, FORWARD, direct, k};
        size_t sizes[N_BUFFERS] = {[X] = k->in_bytes,
                [W] = max(rs_md_size(&direct->args[1].md), rs_pointconv_weight_bytes(p)),
                [Y] = k->out_bytes,
                [BIAS] = rs_md_size(&c->bias),
                [SCRATCH] = max(direct->scratch, rs_pointconv_scratch(p))};
        char key[200];
        snprintf(key, sizeof key, "1x1,%s", c->key);
        return rs_choose(c->l->dnn, key, try_point, &t, sizes, N_BUFFERS, err);
}

/* A product's launch, or the decision for Winograd's method or pointconv.h's. Input and output have
   the layouts c->src and c->dst; hint is the forward's description (kept). */
static bool
product(const shape *c, int which, dnnl_primitive_desc_t hint, conv *k, bool *unable,
        resect_error *err)
{
        dnnl_primitive_desc_t pd;
        rs_launch *l = &k->head.launches[which];
        if (!describe(c, which, hint, &pd, unable, err) || !launch(c, which, pd, l, err))
                return false;
        int point = which == FORWARD ? by_point(c, l, k, err) : 0;
        int best = point ? point : by_winograd(c, which, l, k, err);
        if (best <= 0)
                return best == 0;
        k->by_point = point > 0;
        k->winograd[which] = !k->by_point;
        *l = (rs_launch){0}; /* the primitive is the plan's, and freed with it */
        return true;
}

/* Whether blocks of 16 channels are what both sides have. */
static void
prepare_own(shape *c, conv *k)
{
        size_t last = (size_t)c->rank - 1;
        bool may = !c->l->p->exact && !c->l->dnn->bf16 && rs_md_block(&c->src) == 16 &&
                   rs_md_block(&c->dst) == 16;
        c->maybe_winograd &= may;
        c->maybe_point &= may && !c->training;
        if (c->maybe_point) {
                k->point = (rs_pointconv){.n = (size_t)c->src.dims[0],
                        .c = (size_t)c->src.dims[1],
                        .o = (size_t)c->dst.dims[1],
                        .s = 1,
                        .threads = c->l->p->threads};
                for (size_t i = 2; i <= last; i++)
                        k->point.s *= (size_t)c->src.dims[i];
        }
        if (!c->maybe_winograd)
                return;
        k->ahead = (rs_winograd){.n = (size_t)c->src.dims[0],
                .c = (size_t)c->src.dims[1],
                .o = (size_t)c->dst.dims[1],
                .h = (size_t)c->src.dims[last - 1],
                .w = (size_t)c->src.dims[last],
                .oh = (size_t)c->dst.dims[last - 1],
                .ow = (size_t)c->dst.dims[last],
                .before_h = (int)c->before[0],
                .before_w = (int)c->before[1],
                .threads = c->l->p->threads};
        k->back = (rs_winograd){.n = k->ahead.n,
                .c = k->ahead.o,
                .o = k->ahead.c,
                .h = k->ahead.oh,
                .w = k->ahead.ow,
                .oh = k->ahead.h,
                .ow = k->ahead.w,
                .before_h = 2 - k->ahead.before_h,
                .before_w = 2 - k->ahead.before_w,
                .threads = k->ahead.threads};
}

static void
conv_forward(const rs_call *c)
{
        const conv *s = c->state;
        char *scratch = c->scratch;
        void *w = c->in[1]->data, *out = c->out[0]->data, *bias = s->bias ? c->in[2]->data : NULL;
        if (s->dense_w && s->winograd[FORWARD])
                rs_winograd_weights(&s->ahead, w, false, (void *)(scratch + s->form));
        else if (s->head.launches[IN_FORM].primitive)
                rs_lowered_run(c, IN_FORM, (void *[]){w, scratch + s->form}, scratch);
        if (s->winograd[FORWARD] ? s->dense_w : s->head.launches[IN_FORM].primitive != NULL)
                w = scratch + s->form;
        if (s->sum && c->residual->data != out)
                memcpy(out, c->residual->data, s->out_bytes);
        if (s->by_point)
                rs_pointconv_forward(
                        &s->point, c->in[0]->data, w, bias, s->sum, c->relu, out, scratch);
        else if (s->winograd[FORWARD])
                rs_winograd_forward(
                        &s->ahead, c->in[0]->data, w, bias, s->sum, c->relu, out, scratch);
        else
                rs_lowered_run(c, FORWARD, (void *[]){c->in[0]->data, w, out, bias}, scratch);
}

static void
input_gradient(const rs_call *c, const conv *s)
{
        char *scratch = c->scratch;
        void *w = c->in[1]->data, *dy = c->dout[0]->data, *dx = c->din[0]->data;
        bool adds = !(c->first & 1);
        if (s->winograd[INPUT]) {
                rs_winograd_weights(&s->back, w, true, (void *)(scratch + s->form));
                rs_winograd_forward(
                        &s->back, dy, (void *)(scratch + s->form), NULL, adds, false, dx, scratch);
                return;
        }
        if (s->head.launches[IN_BACK_FORM].primitive) {
                rs_lowered_run(c, IN_BACK_FORM, (void *[]){w, scratch + s->form}, scratch);
                w = scratch + s->form;
        }
        if (adds)
                dx = scratch + s->dense;
        rs_lowered_run(c, INPUT, (void *[]){dx, w, dy}, scratch);
        if (adds)
                rs_sum_into(c->din[0]->data, dx, s->grad_count, s->bf16, c->threads);
}

static void
weight_gradient(const rs_call *c, const conv *s)
{
        char *scratch = c->scratch;
        bool reorders = s->head.launches[OUT_OF_FORM].primitive != NULL, adds = !(c->first & 2),
             bias_adds = s->bias && !(c->first & 4);
        void *dense = c->din[1] && !adds ? c->din[1]->data : scratch + s->dense;
        void *dw = reorders ? scratch + s->form : dense;
        void *db = s->bias && c->din[2] && !bias_adds ? c->din[2]->data : scratch + s->other;
        if (s->winograd[WEIGHT])
                rs_winograd_weight_gradient(
                        &s->ahead, c->in[0]->data, c->dout[0]->data, dense, scratch);
        else
                rs_lowered_run(
                        c, WEIGHT, (void *[]){c->in[0]->data, dw, c->dout[0]->data, db}, scratch);
        if (reorders && c->din[1])
                rs_lowered_run(c, OUT_OF_FORM, (void *[]){dw, dense}, scratch);
        if (adds && c->din[1])
                rs_sum_into(c->din[1]->data, dense, s->w_bytes / sizeof(float), false, c->threads);
        if (bias_adds && c->din[2])
                rs_sum_into(
                        c->din[2]->data, db, c->din[2]->size / sizeof(float), false, c->threads);
}

static void
conv_backward(const rs_call *c)
{
        const conv *s = c->state;
        if (!c->dout[0])
                return;
        if (c->din[1] || (s->bias && c->din[2]))
                weight_gradient(c, s);
        if (c->din[0])
                input_gradient(c, s);
}

static const rs_kernel kernel = {.name = rs_lowered_name,
        .bind = rs_lowered_bind,
        .unbind = rs_lowered_unbind,
        .forward = conv_forward,
        .backward = conv_backward,
        .adds_in_place = true};

/* Rounded up, so that the next buffer begins on a line. */
static size_t
lines(size_t bytes)
{
        return (bytes + 63) / 64 * 64;
}

/* The backward half: launches, what they read and write. *unable: no such primitives. */
static bool
lower_backward(
        shape *c, rs_pstep *s, conv *k, dnnl_primitive_desc_t hint, bool *unable, resect_error *err)
{
        rs_lower *l = c->l;
        rs_launch *at = k->head.launches;
        bool weight = rs_lower_trained(l, s->in[1]),
             bias = k->bias && rs_lower_trained(l, s->in[2]);
        if (rs_lower_has_grad(l, s->in[0])) {
                if (!product(c, INPUT, hint, k, unable, err))
                        return false;
                if (!k->winograd[INPUT] && !rs_md_equal(&c->w_dense, &at[INPUT].args[1].md) &&
                        !rs_launch_reorder(l->dnn, &at[IN_BACK_FORM], &c->w_dense,
                                &at[INPUT].args[1].md, false, err))
                        return false;
                s->reads |= RS_READS_IN(1);
                s->overwrites |= 1;
        }
        if (weight || bias) {
                if (!product(c, WEIGHT, hint, k, unable, err))
                        return false;
                if (!k->winograd[WEIGHT] && !rs_md_equal(&c->w_dense, &at[WEIGHT].args[1].md) &&
                        !rs_launch_reorder(l->dnn, &at[OUT_OF_FORM], &at[WEIGHT].args[1].md,
                                &c->w_dense, false, err))
                        return false;
                s->reads |= RS_READS_IN(0);
                s->overwrites |= (weight ? 2 : 0) | (bias ? 4 : 0);
        }
        return true;
}

static void
lay_out_scratch(const shape *c, rs_pstep *s, conv *k)
{
        const rs_launch *at = k->head.launches;
        size_t pads = 0, form = 0;
        bool weight = at[WEIGHT].primitive || k->winograd[WEIGHT];
        for (int i = 0; i < RS_LAUNCHES_MAX; i++)
                pads = max(pads, at[i].scratch);
        for (int i = 0; i < 3; i++) {
                const rs_winograd *p = i == INPUT ? &k->back : &k->ahead;
                if (!k->winograd[i])
                        continue;
                pads = max(pads, rs_winograd_scratch(p));
                if (i != WEIGHT && k->dense_w)
                        form = max(form, rs_winograd_weight_bytes(p));
        }
        if (k->by_point)
                pads = max(pads, rs_pointconv_scratch(&k->point));
        if (at[IN_FORM].primitive)
                form = max(form, rs_md_size(&at[IN_FORM].args[1].md));
        if (at[IN_BACK_FORM].primitive)
                form = max(form, rs_md_size(&at[IN_BACK_FORM].args[1].md));
        if (at[OUT_OF_FORM].primitive)
                form = max(form, rs_md_size(&at[OUT_OF_FORM].args[0].md));
        k->form = lines(pads);
        k->other = k->form + lines(form);
        k->dense = k->other + (k->bias ? lines(rs_md_size(&c->bias)) : 0);
        s->scratch = k->dense;
        if (weight)
                s->scratch_add = k->w_bytes;
        if (at[INPUT].primitive)
                s->scratch_add = max(s->scratch_add, k->in_bytes);
        if (weight && !rs_lower_trained(c->l, s->in[1])) /* it comes with the bias's */
                s->scratch += k->w_bytes;
}

static bool
lower(shape *c, rs_pstep *s, conv *k, dnnl_primitive_desc_t hint, bool *done, resect_error *err)
{
        rs_lower *l = c->l;
        rs_launch *at = k->head.launches;
        bool unable = false;
        c->src = md_of(hint, FORWARD, 0);
        c->dst = md_of(hint, FORWARD, 2);
        k->head.dnn = l->dnn;
        k->bias = c->has_bias;
        k->sum = c->sum;
        k->dense_w = c->training;
        k->in_bytes = rs_md_size(&c->src);
        k->out_bytes = rs_md_size(&c->dst);
        k->w_bytes = rs_md_size(&c->w_dense);
        k->bf16 = l->dnn->bf16;
        k->grad_count = k->in_bytes / (l->dnn->bf16 ? 2 : 4);
        prepare_own(c, k);
        rs_pstep was = *s;
        s->reads = s->overwrites = 0;
        if (!product(c, FORWARD, NULL, k, &unable, err))
                return unable;
        dnnl_memory_desc_t w = at[FORWARD].args[1].md;
        if (k->dense_w && !k->winograd[FORWARD] && !rs_md_equal(&c->w_dense, &w) &&
                !rs_launch_reorder(l->dnn, &at[IN_FORM], &c->w_dense, &w, false, err))
                return false;
        if (c->training && !lower_backward(c, s, k, hint, &unable, err)) {
                *s = was;
                return unable;
        }
        lay_out_scratch(c, s, k);
        if (!k->dense_w)
                s->in[1] = k->by_point ? rs_lower_packed_point(l, s->in[1], &k->point, err)
                           : k->winograd[FORWARD]
                                   ? rs_lower_packed_winograd(l, s->in[1], &k->ahead, err)
                                   : rs_lower_packed(l, s->in[1], &c->w_dense, &w, err);
        if ((!k->dense_w && s->in[1] < 0) ||
                (s->in[0] = rs_lower_as(l, s, s->in[0], &c->src, err)) < 0 ||
                (c->sum && (s->residual = rs_lower_as(l, s, s->residual, &c->dst, err)) < 0))
                return false;
        if (k->winograd[FORWARD])
                k->head.name = "resect winograd";
        if (k->by_point)
                k->head.name = "resect 1x1";
        s->kernel = &kernel;
        s->state = k;
        *done = true;
        return rs_lower_output(l, s->out[0], &c->dst, err);
}

bool
rs_lower_conv(rs_lower *l, rs_pstep *s, bool *done, resect_error *err)
{
        shape c;
        bool able, unable = false;
        dnnl_primitive_desc_t hint = NULL;
        if (!read_shape(l, s, &c, &able, err))
                return false;
        /* weights and biases must be weights: constants of the plan, or trained */
        enum rs_place w = l->p->values[l->p->values[s->in[1]].root].place;
        if (!able || (w != RS_PLACE_WEIGHT && w != RS_PLACE_FOLDED))
                return true;
        conv *k = RS_NEW(&l->p->arena, 1, conv, err);
        if (!k)
                return false;
        if (!describe(&c, FORWARD, NULL, &hint, &unable, err))
                return unable;
        const char *name = "";
        dnnl_primitive_desc_query(hint, dnnl_query_impl_info_str, 0, &name);
        k->head.name = rs_arena_printf(&l->p->arena, err, "oneDNN %s", name);
        bool ok = k->head.name && lower(&c, s, k, hint, done, err);
        dnnl_primitive_desc_destroy(hint);
        return ok;
}
