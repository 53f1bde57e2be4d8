/* SPDX-License-Identifier: 0BSD */
/*
 * Conv by oneDNN or by kernels of our own: forward with the addition of a residual and ReLU inside,
 * and the gradients of input and weight. What never changes is packed when weights are loaded. A
 * trained weight lies dense and float32 in the parameters' slab and is brought into shape at each
 * run: that is a few percent of the time that the products take, and keeps the slab one for all
 * kernels.
 *
 * Where a method of our own (own.h) has the shape, or a gradient can be a product of matrices
 * (conv_matrix.h), which is faster depends on the sizes, so each of the three products is timed,
 * once.
 */
#include "onednn/choose.h"
#include "onednn/conv_matrix.h"
#include "onednn/conv_shape.h"
#include "onednn/norm_kernels.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum {
        FORWARD = RS_CONV_FORWARD,
        INPUT = RS_CONV_INPUT,
        WEIGHT = RS_CONV_WEIGHT,
        IN_FORM = RS_CONV_PRODUCTS,
        IN_BACK_FORM,
        OUT_OF_FORM
};

/* Buffers within the step's scratch. */
typedef struct conv {
        rs_lowered head;
        size_t out_bytes, in_bytes, w_bytes; /* of the output; of the input; of the dense weight */
        bool bias, dense_w, sum;      /* dense_w: the weight is brought into form at each run */
        bool own[RS_CONV_PRODUCTS];   /* which products our own methods do */
        rs_own ahead, back;           /* back: of the input's gradient */
        bool picks[RS_CONV_PRODUCTS]; /* which products are of some positions alone: those of */
        rs_strided strides;
        size_t form, other, picked, dense; /* offsets in scratch: the weight in form; a second one;
                                              positions that were picked; what is to be added */
        bool bf16;                         /* of the input and its gradient */
        size_t grad_count;
} conv;

static size_t
max(size_t a, size_t b)
{
        return a > b ? a : b;
}

/* A product as it is timed: by a convolution of oneDNN's, and by a method of our own or as a
 * product of matrices. form: what a trained weight or its gradient needs; may be none. */
typedef struct trial {
        const rs_conv_shape *c;
        int which;
        const rs_launch *direct, *form;
        const rs_own *own; /* or */
        const rs_launch *matrix, *matrix_form;
        const rs_strided *strides; /* NULL: none */
} trial;
enum { X, W, Y, BIAS, W_DENSE, SCRATCH, PICKED, N_BUFFERS };

static bool
by_onednn(const trial *t, const rs_launch *direct, const rs_launch *form, void *x, void *const *b,
        resect_error *err)
{
        const rs_conv_shape *c = t->c;
        const rs_dnn *d = c->l->dnn;
        void *values[] = {x, b[W], b[Y], c->has_bias ? b[BIAS] : NULL};
        void *into[] = {b[W_DENSE], b[W]}, *out_of[] = {b[W], b[W_DENSE]};
        const bool weight = t->which == WEIGHT, forms = form->primitive != NULL;
        return (weight || !forms || rs_launch_once(d, form, into, b[SCRATCH], err)) &&
               rs_launch_once(d, direct, values, b[SCRATCH], err) &&
               (!weight || !forms || rs_launch_once(d, form, out_of, b[SCRATCH], err));
}

static bool
by_matrix(const trial *t, void *const *b, resect_error *err)
{
        if (t->strides && t->which == WEIGHT)
                rs_strided_gather(t->strides, b[X], b[PICKED]);
        if (!by_onednn(t, t->matrix, t->matrix_form, t->strides ? b[PICKED] : b[X], b, err))
                return false;
        if (t->strides && t->which == INPUT)
                rs_strided_spread(t->strides, b[PICKED], false, b[X]);
        return true;
}

static bool
try_product(void *ctx, int method, void *const *b, resect_error *err)
{
        const trial *t = ctx;
        const rs_conv_shape *c = t->c;
        const bool turned = t->which == INPUT;
        if (method == 0)
                return by_onednn(t, t->direct, t->form, b[X], b, err);
        if (t->matrix)
                return by_matrix(t, b, err);
        if (t->which == WEIGHT) {
                rs_own_weight_gradient(t->own, b[X], b[Y], b[W_DENSE], b[SCRATCH]);
                return true;
        }
        float *w = c->training ? rs_own_form(t->own, b[W_DENSE], turned, b[W]) : b[W];
        if (turned)
                rs_own_forward(t->own, b[Y], w, NULL, false, false, b[X], b[SCRATCH]);
        else
                rs_own_forward(t->own, b[X], w, c->has_bias ? b[BIAS] : NULL, c->sum, c->relu, b[Y],
                        b[SCRATCH]);
        return true;
}

/* Times a product both ways. Sizes of the weight in form and of the scratch: what the second way
 * takes. 1 when that is faster; -1 on failure. */
static int
contest(const trial *t, const char *method, const conv *k, size_t form, size_t scratch,
        resect_error *err)
{
        static const char *const names[RS_CONV_PRODUCTS] = {"forward", "input", "weight"};
        const rs_conv_shape *c = t->c;
        size_t sizes[N_BUFFERS] = {[X] = k->in_bytes,
                [W] = max(rs_md_size(&t->direct->args[1].md), form),
                [Y] = k->out_bytes,
                [BIAS] = rs_md_size(&c->bias),
                [W_DENSE] = k->w_bytes,
                [SCRATCH] = max(max(t->direct->scratch, t->form->scratch), scratch),
                [PICKED] = t->strides ? rs_strided_bytes(t->strides) : 0};
        char key[200];
        snprintf(key, sizeof key, "%s,%s%s,%s", method, names[t->which],
                c->training ? "-training" : "", c->key);
        /* a trained weight's form is made just before it is read */
        const uint32_t far = 1u << (c->training ? W_DENSE : W);
        return rs_choose(
                c->l->dnn, key, try_product, (void *)(uintptr_t)t, sizes, N_BUFFERS, far, err);
}

/* Whether a product is faster by a method of our own; -1 on failure. */
static int
by_own(const rs_conv_shape *c, int which, const conv *k, resect_error *err)
{
        const rs_own *own = which == INPUT ? &k->back : &k->ahead;
        if ((which == WEIGHT && c->has_bias) || !rs_own_able(own))
                return 0;
        const trial t = {.c = c,
                .which = which,
                .direct = &k->head.launches[which],
                .form = &k->head.launches[IN_FORM + which],
                .own = own};
        return contest(&t, own->method == RS_OWN_POINT ? "1x1" : "winograd", k,
                rs_own_weight_bytes(own), rs_own_scratch(own), err);
}

/* A gradient becomes a product of matrices where that is faster. */
static bool
prefer_matrix(const rs_conv_shape *c, int which, conv *k, resect_error *err)
{
        rs_launch *direct = &k->head.launches[which], *form = &k->head.launches[IN_FORM + which];
        rs_launch other, other_form;
        rs_strided strides;
        bool able;
        if (!rs_conv_matrix(c, which, &other, &other_form, &able, err))
                return false;
        if (!able)
                return true;
        const bool picks = rs_conv_strided(c, &strides);
        const trial t = {.c = c,
                .which = which,
                .direct = direct,
                .form = form,
                .matrix = &other,
                .matrix_form = &other_form,
                .strides = picks ? &strides : NULL};
        const int faster = contest(&t, picks ? "matrix-strided" : "matrix", k,
                rs_md_size(&other.args[1].md), max(other.scratch, other_form.scratch), err);
        if (faster <= 0)
                return faster == 0;
        *direct = other;
        *form = other_form;
        k->picks[which] = picks;
        k->strides = strides;
        return true;
}

/* The reorder that a product needs of a weight that is trained: into form, or its gradient out of
 * it. */
static bool
form(const rs_conv_shape *c, int which, rs_launch *at, resect_error *err)
{
        const dnnl_memory_desc_t *w = &at[which].args[1].md, *dense = &c->w_dense;
        if (!c->training || rs_md_equal(dense, w))
                return true;
        return rs_launch_reorder(c->l->dnn, &at[IN_FORM + which], which == WEIGHT ? w : dense,
                which == WEIGHT ? dense : w, false, err);
}

/* A product's launches, or the decision for a method of our own. Input and output have the layouts
   c->src and c->dst; hint is the forward's description (kept). */
static bool
product(const rs_conv_shape *c, int which, dnnl_primitive_desc_t hint, conv *k, bool *unable,
        resect_error *err)
{
        dnnl_primitive_desc_t pd;
        rs_launch *at = k->head.launches;
        if (!rs_conv_describe(c, which, hint, &pd, unable, err) ||
                !rs_conv_launch(c, which, pd, &at[which], err) || !form(c, which, at, err))
                return false;
        int own = by_own(c, which, k, err);
        if (own <= 0)
                return own == 0 && prefer_matrix(c, which, k, err);
        k->own[which] = true;
        at[which] = at[IN_FORM + which] =
                (rs_launch){0}; /* the primitives are the plan's, and freed with it */
        return true;
}

/* Which of our own methods could do it: blocks of 16 channels are what both sides have. */
static void
prepare_own(const rs_conv_shape *c, conv *k)
{
        const int last = c->rank - 1;
        const size_t n = (size_t)c->src.dims[0], in = (size_t)c->src.dims[1],
                     out = (size_t)c->dst.dims[1];
        const int threads = c->l->p->threads;
        if (c->l->p->exact || c->l->dnn->bf16 || rs_md_block(&c->src) != 16 ||
                rs_md_block(&c->dst) != 16)
                return;
        if (c->maybe_point) {
                size_t s = 1;
                for (int i = 2; i <= last; i++)
                        s *= (size_t)c->dst.dims[i];
                k->ahead = (rs_own){RS_OWN_POINT, .point = {n, in, out, s, threads}};
                k->back = (rs_own){RS_OWN_POINT, .point = {n, out, in, s, threads}};
                if (rs_conv_strided(c, &k->ahead.from))
                        k->back.to = k->ahead.from;
        }
        if (c->maybe_winograd) {
                rs_winograd w = {.n = n,
                        .c = in,
                        .o = out,
                        .h = (size_t)c->src.dims[last - 1],
                        .w = (size_t)c->src.dims[last],
                        .oh = (size_t)c->dst.dims[last - 1],
                        .ow = (size_t)c->dst.dims[last],
                        .before_h = (int)c->before[0],
                        .before_w = (int)c->before[1],
                        .threads = threads,
                        .kept = !c->training};
                k->ahead = (rs_own){RS_OWN_WINOGRAD, .winograd = w};
                k->back = (rs_own){RS_OWN_WINOGRAD, .winograd = rs_winograd_turned(&w)};
        }
        if (c->training) {
                rs_own_trained(&k->ahead, false);
                rs_own_trained(&k->back, true);
        }
}

/* The weight as product `which` reads it. */
static void *
formed(const rs_call *c, int which)
{
        const conv *s = c->state;
        char *scratch = c->scratch;
        void *w = c->in[1]->data, *form = scratch + s->form;
        if (s->own[which] && s->dense_w)
                return rs_own_form(which == INPUT ? &s->back : &s->ahead, w, which == INPUT, form);
        if (s->head.launches[IN_FORM + which].primitive)
                rs_lowered_run(c, IN_FORM + which, (void *[]){w, form}, scratch);
        else
                return w;
        return form;
}

static void
conv_forward(const rs_call *c)
{
        const conv *s = c->state;
        void *w = formed(c, FORWARD), *out = c->out[0]->data,
             *bias = s->bias ? c->in[2]->data : NULL;
        if (s->sum && c->residual->data != out)
                memcpy(out, c->residual->data, s->out_bytes);
        if (s->own[FORWARD])
                rs_own_forward_first(&s->ahead, c->pictures ? c->pictures : SIZE_MAX,
                        c->in[0]->data, w, bias, s->sum, c->relu, out, c->scratch);
        else
                rs_lowered_run(c, FORWARD, (void *[]){c->in[0]->data, w, out, bias}, c->scratch);
}

static void
input_gradient(const rs_call *c, const conv *s)
{
        char *scratch = c->scratch;
        void *w = formed(c, INPUT), *dy = c->dout[0]->data, *dx = c->din[0]->data;
        bool adds = !(c->first & 1);
        if (s->own[INPUT]) {
                rs_own_forward(&s->back, dy, w, NULL, adds, false, dx, scratch);
                return;
        }
        if (adds)
                dx = scratch + s->dense;
        void *to = s->picks[INPUT] ? scratch + s->picked : dx;
        rs_lowered_run(c, INPUT, (void *[]){to, w, dy}, scratch);
        if (s->picks[INPUT])
                rs_strided_spread(&s->strides, to, false, dx);
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
        void *x = c->in[0]->data;
        if (s->picks[WEIGHT]) {
                x = scratch + s->picked;
                rs_strided_gather(&s->strides, c->in[0]->data, x);
        }
        if (s->own[WEIGHT])
                rs_own_weight_gradient(&s->ahead, x, c->dout[0]->data, dense, scratch);
        else
                rs_lowered_run(c, WEIGHT, (void *[]){x, dw, c->dout[0]->data, db}, scratch);
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
lower_backward(const rs_conv_shape *c, rs_pstep *s, conv *k, dnnl_primitive_desc_t hint,
        bool *unable, resect_error *err)
{
        bool weight = rs_lower_trained(c->l, s->in[1]),
             bias = k->bias && rs_lower_trained(c->l, s->in[2]);
        if (rs_lower_has_grad(c->l, s->in[0])) {
                if (!product(c, INPUT, hint, k, unable, err))
                        return false;
                s->reads |= RS_READS_IN(1);
                s->overwrites |= 1;
        }
        if (weight || bias) {
                if (!product(c, WEIGHT, hint, k, unable, err))
                        return false;
                s->reads |= RS_READS_IN(0);
                s->overwrites |= (weight ? 2 : 0) | (bias ? 4 : 0);
        }
        return true;
}

static void
lay_out_scratch(const rs_conv_shape *c, rs_pstep *s, conv *k)
{
        const rs_launch *at = k->head.launches;
        size_t pads = 0, form = 0;
        bool weight = at[WEIGHT].primitive || k->own[WEIGHT];
        for (int i = 0; i < RS_LAUNCHES_MAX; i++)
                pads = max(pads, at[i].scratch);
        for (int i = 0; i < RS_CONV_PRODUCTS; i++) {
                const rs_own *own = i == INPUT ? &k->back : &k->ahead;
                if (k->own[i]) {
                        pads = max(pads, rs_own_scratch(own));
                        if (i != WEIGHT && k->dense_w)
                                form = max(form, rs_own_weight_bytes(own));
                } else if (at[IN_FORM + i].primitive)
                        form = max(form, rs_md_size(&at[IN_FORM + i].args[i == WEIGHT ? 0 : 1].md));
        }
        k->form = lines(pads);
        k->other = k->form + lines(form);
        k->picked = k->other + (k->bias ? lines(rs_md_size(&c->bias)) : 0);
        k->dense = k->picked +
                   (k->picks[INPUT] || k->picks[WEIGHT] ? lines(rs_strided_bytes(&k->strides)) : 0);
        s->scratch = k->dense;
        if (weight)
                s->scratch_add = k->w_bytes;
        if (at[INPUT].primitive)
                s->scratch_add = max(s->scratch_add, k->in_bytes);
        if (weight && !rs_lower_trained(c->l, s->in[1])) /* it comes with the bias's */
                s->scratch += k->w_bytes;
}

static bool
lower(rs_conv_shape *c, rs_pstep *s, conv *k, dnnl_primitive_desc_t hint, bool *done,
        resect_error *err)
{
        rs_lower *l = c->l;
        rs_launch *at = k->head.launches;
        bool unable = false;
        c->src = rs_conv_md(hint, FORWARD, 0);
        c->dst = rs_conv_md(hint, FORWARD, 2);
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
        if (c->training && !lower_backward(c, s, k, hint, &unable, err)) {
                *s = was;
                return unable;
        }
        lay_out_scratch(c, s, k);
        if (!k->dense_w)
                s->in[1] = k->own[FORWARD] ? rs_lower_packed_own(l, s->in[1], &k->ahead, err)
                                           : rs_lower_packed(l, s->in[1], &c->w_dense, &w, err);
        if ((!k->dense_w && s->in[1] < 0) ||
                (s->in[0] = rs_lower_as(l, s, s->in[0], &c->src, err)) < 0 ||
                (c->sum && (s->residual = rs_lower_as(l, s, s->residual, &c->dst, err)) < 0))
                return false;
        if (k->own[FORWARD])
                k->head.name = rs_own_name(&k->ahead);
        s->heeds_pictures = k->own[FORWARD];
        s->kernel = &kernel;
        s->state = k;
        *done = true;
        return rs_lower_output(l, s->out[0], &c->dst, err);
}

bool
rs_lower_conv(rs_lower *l, rs_pstep *s, bool *done, resect_error *err)
{
        rs_conv_shape c;
        bool able, unable = false;
        dnnl_primitive_desc_t hint = NULL;
        if (!rs_conv_read(l, s, &c, &able, err))
                return false;
        /* weights and biases must be weights: constants of the plan, or trained */
        enum rs_place w = l->p->values[l->p->values[s->in[1]].root].place;
        if (!able || (w != RS_PLACE_WEIGHT && w != RS_PLACE_FOLDED))
                return true;
        conv *k = RS_NEW(&l->p->arena, 1, conv, err);
        if (!k)
                return false;
        if (!rs_conv_describe(&c, FORWARD, NULL, &hint, &unable, err))
                return unable;
        k->head.name = rs_lower_name(l, hint, err);
        bool ok = k->head.name && lower(&c, s, k, hint, done, err);
        dnnl_primitive_desc_destroy(hint);
        return ok;
}
