/* SPDX-License-Identifier: 0BSD */
/* Conv and ConvTranspose: the second is the first with input and output exchanged (convolve.h). */
#include "op/convolve.h"
#include "op/gemm.h"

typedef struct conv {
        rs_conv c;
        int32_t dtype;
} conv;

/* Sizes that may be symbols: fails when they surely differ. */
static bool
check_channels(
        const rs_infer *x, int64_t channels, int64_t per_group, int64_t group, resect_error *err)
{
        int64_t all = per_group;

        if (rs_is_symbol(channels) || rs_is_symbol(per_group))
                return true;
        if (__builtin_mul_overflow(per_group, group, &all) || all != channels)
                return rs_op_fail(x, err, RESECT_GRAPH,
                        group == 1 ? "input has %lld channels, weight wants %lld"
                                   : "input has %lld channels, weight wants %lld (group %lld)",
                        (long long)channels, (long long)all, (long long)group);
        if (channels < 1)
                return rs_op_fail(x, err, RESECT_GRAPH, "input has no channels");
        return true;
}

/* What Conv and ConvTranspose share: counts, types, ranks, group, bias. */
static bool
check(rs_infer *x, bool transposed, int64_t *group, resect_error *err)
{
        if (!rs_op_counts(x, 2, 3, 1, err) || !rs_op_dtype(x, 0, RS_FLOATS, err) ||
                !rs_op_same_dtype(x, 0, 1, err) || !rs_op_same_dtype(x, 0, 2, err))
                return false;
        const rs_type *in = x->in[0], *w = x->in[1], *b = rs_op_in(x, 2);
        if (in->rank < 3)
                return rs_op_fail(
                        x, err, RESECT_GRAPH, "input has rank %d, wants 3 or more", in->rank);
        if (w->rank != in->rank)
                return rs_op_fail(
                        x, err, RESECT_GRAPH, "input has rank %d, weight %d", in->rank, w->rank);
        if (!rs_op_int(x, "group", 1, group, err))
                return false;
        if (*group < 1)
                return rs_op_fail(x, err, RESECT_GRAPH, "group is %lld", (long long)*group);
        const int64_t cin = in->dims[1], w0 = w->dims[0];
        if (!rs_is_symbol(w0) && (w0 < 1 || w0 % *group))
                return rs_op_fail(x, err, RESECT_GRAPH,
                        "group %lld does not divide %lld %s channels", (long long)*group,
                        (long long)w0, transposed ? "input" : "output");
        if (!check_channels(x, cin, transposed ? w0 / *group : w->dims[1], *group, err))
                return false;
        int64_t cout = w0;
        if (transposed && !rs_is_symbol(w->dims[1]) &&
                __builtin_mul_overflow(w->dims[1], *group, &cout))
                return rs_op_fail(x, err, RESECT_GRAPH, "sizes do not fit into memory");
        if (transposed && rs_is_symbol(w->dims[1])) {
                if (*group == 1)
                        cout = w->dims[1];
                else if (!rs_op_size_new(x, &cout, err))
                        return false;
        }
        if (!rs_is_symbol(cout) && cout < 1)
                return rs_op_fail(x, err, RESECT_GRAPH, "the output has no channels");
        if (b && (b->rank != 1 || !rs_size_equal(b->dims[0], cout, NULL)))
                return rs_op_fail(x, err, RESECT_GRAPH,
                        "bias has %lld numbers in rank %d, wants %lld",
                        b->rank >= 1 ? (long long)b->dims[0] : 1LL, b->rank, (long long)cout);
        x->out[0].dims[0] = in->dims[0];
        x->out[0].dims[1] = cout;
        return true;
}

/* Leaves the state of a convolution from `in` to `out` channels and sizes. */
static bool
settle(rs_infer *x, const rs_window *w, int64_t images, int64_t group, int64_t cin, int64_t cout,
        const int64_t *in, const int64_t *out, resect_error *err)
{
        conv *s = RS_STATE(x, conv, err);

        if (!s)
                return false;
        s->dtype = x->in[0]->dtype;
        s->c.images = (size_t)images;
        s->c.groups = (size_t)group;
        s->c.cin = (size_t)(cin / group);
        s->c.cout = (size_t)(cout / group);
        if (!rs_conv_make(x, &s->c, w, in, out, err))
                return false;
        x->scratch = rs_gemm_scratch(x->threads);
        x->macs = (uint64_t)images * (uint64_t)cout * s->c.out_plane * s->c.cin * s->c.volume;
        return true;
}

static bool
conv_infer(rs_infer *x, resect_error *err)
{
        int64_t group;
        rs_window w;

        if (!check(x, false, &group, err))
                return false;
        const rs_type *in = x->in[0];
        int64_t *out = x->out[0].dims;
        if (!rs_window_read(x, in->rank - 2, x->in[1]->dims + 2, &w, err) ||
                !rs_window_sizes(x, &w, false, in->dims + 2, out + 2, err) ||
                !rs_op_out(x, 0, in->dtype, in->rank, out, err))
                return false;
        return !x->concrete ||
               settle(x, &w, in->dims[0], group, in->dims[1], out[1], in->dims + 2, out + 2, err);
}

static rs_finish
finish_of(const rs_call *c, int32_t dtype)
{
        return (rs_finish){.dtype = dtype,
                .y = c->out[0]->data,
                .bias = c->n_in > 2 && c->in[2] ? c->in[2]->data : NULL,
                .residual = c->residual ? c->residual->data : NULL,
                .relu = c->relu};
}

static void
conv_forward(const rs_call *c)
{
        const conv *s = c->state;
        const rs_finish f = finish_of(c, s->dtype);

        rs_conv_apply(&s->c, c->in[0]->data, c->in[1]->data, &f, c->threads, c->scratch);
}

static void
conv_backward(const rs_call *c)
{
        const conv *s = c->state;
        const resect_tensor *dy = c->dout[0];

        if (!dy)
                return;
        if (c->din[0]) {
                const rs_finish f = {.dtype = s->dtype, .y = c->din[0]->data, .add = true};
                rs_conv_spread(&s->c, dy->data, c->in[1]->data, &f, c->threads, c->scratch);
        }
        if (c->din[1])
                rs_conv_correlate(&s->c, c->in[0]->data, dy->data, s->dtype, c->din[1]->data,
                        c->threads, c->scratch);
        if (c->n_in > 2 && c->din[2])
                rs_conv_sum(s->dtype, dy->data, s->c.images, s->c.groups * s->c.cout,
                        s->c.out_plane, c->din[2]->data, c->threads);
}

const rs_op rs_op_conv = {.name = "Conv",
        .domain = "",
        .since = 1,
        .reads = RS_READS_IN(0) | RS_READS_IN(1),
        .alias = -1,
        .fuses = true,
        .trains = 1u << 1 | 1u << 2,
        .infer = conv_infer,
        .forward = conv_forward,
        .backward = conv_backward};

/* An axis of ConvTranspose: the output size from attributes, or the paddings from output_shape or
 * auto_pad. */
static bool
transposed_axis(const rs_infer *x, rs_window *w, int i, int64_t in, int64_t extra,
        const int64_t *wish, int64_t *out, resect_error *err)
{
        const int64_t reach = (w->kernel[i] - 1) * w->dilation[i] + 1;
        int64_t full; /* without padding */

        if (__builtin_mul_overflow(in - 1, w->stride[i], &full) ||
                __builtin_add_overflow(full, reach + extra, &full))
                return rs_op_fail(x, err, RESECT_GRAPH, "sizes do not fit into memory");
        if (wish || w->automatic >= RS_PAD_SAME_UPPER) {
                *out = wish ? wish[i] : in * w->stride[i];
                const int64_t total = full - *out;
                if (total < 0) { /* more than the windows reach: the rest is bias */
                        w->before[i] = w->after[i] = 0;
                        return true;
                }
                w->before[i] = w->automatic == RS_PAD_SAME_UPPER ? total / 2 : total - total / 2;
                w->after[i] = total - w->before[i];
                return true;
        }
        *out = full - w->before[i] - w->after[i];
        if (in < 1 || *out < 1)
                return rs_op_fail(
                        x, err, RESECT_GRAPH, "the output's size would be %lld", (long long)*out);
        return true;
}

static bool
transposed_sizes(rs_infer *x, rs_window *w, const int64_t *in, int64_t *out, resect_error *err)
{
        const int64_t *extra, *wish;
        size_t n_extra, n_wish;
        const size_t axes = (size_t)w->axes;

        if (!rs_op_ints(x, "output_padding", &extra, &n_extra, err) ||
                !rs_op_ints(x, "output_shape", &wish, &n_wish, err))
                return false;
        if (extra && n_extra != axes)
                return rs_op_fail(x, err, RESECT_GRAPH, "output_padding has %zu numbers, wants %zu",
                        n_extra, axes);
        if (wish && n_wish == axes + 2)
                wish += 2; /* some exporters give batch and channels as well */
        else if (wish && n_wish != axes)
                return rs_op_fail(x, err, RESECT_GRAPH, "output_shape has %zu numbers, wants %zu",
                        n_wish, axes);
        for (int i = 0; i < w->axes; i++) {
                const int64_t e = extra ? extra[i] : 0;
                if (e < 0 || e > INT32_MAX)
                        return rs_op_fail(
                                x, err, RESECT_GRAPH, "output_padding has %lld", (long long)e);
                if (wish && (wish[i] < 1 || wish[i] > INT32_MAX))
                        return rs_op_fail(
                                x, err, RESECT_GRAPH, "output_shape has %lld", (long long)wish[i]);
                if (rs_is_symbol(in[i]) || rs_is_symbol(w->kernel[i])) {
                        if (wish)
                                out[i] = wish[i];
                        else if (!rs_op_size_new(x, &out[i], err))
                                return false;
                } else if (in[i] > INT32_MAX) {
                        return rs_op_fail(
                                x, err, RESECT_GRAPH, "an input size is %lld", (long long)in[i]);
                } else if (!transposed_axis(x, w, i, in[i], e, wish, &out[i], err)) {
                        return false;
                }
        }
        return true;
}

static bool
transpose_infer(rs_infer *x, resect_error *err)
{
        int64_t group;
        rs_window w;

        if (!check(x, true, &group, err))
                return false;
        const rs_type *in = x->in[0];
        int64_t *out = x->out[0].dims;
        if (!rs_window_read(x, in->rank - 2, x->in[1]->dims + 2, &w, err) ||
                !transposed_sizes(x, &w, in->dims + 2, out + 2, err) ||
                !rs_op_out(x, 0, in->dtype, in->rank, out, err))
                return false;
        return !x->concrete ||
               settle(x, &w, in->dims[0], group, out[1], in->dims[1], out + 2, in->dims + 2, err);
}

static void
transpose_forward(const rs_call *c)
{
        const conv *s = c->state;
        const rs_finish f = finish_of(c, s->dtype);

        rs_conv_spread(&s->c, c->in[0]->data, c->in[1]->data, &f, c->threads, c->scratch);
}

static void
transpose_backward(const rs_call *c)
{
        const conv *s = c->state;
        const resect_tensor *dy = c->dout[0];

        if (!dy)
                return;
        if (c->din[0]) {
                const rs_finish f = {.dtype = s->dtype, .y = c->din[0]->data, .add = true};
                rs_conv_apply(&s->c, dy->data, c->in[1]->data, &f, c->threads, c->scratch);
        }
        if (c->din[1])
                rs_conv_correlate(&s->c, dy->data, c->in[0]->data, s->dtype, c->din[1]->data,
                        c->threads, c->scratch);
        if (c->n_in > 2 && c->din[2])
                rs_conv_sum(s->dtype, dy->data, s->c.images, s->c.groups * s->c.cin, s->c.in_plane,
                        c->din[2]->data, c->threads);
}

const rs_op rs_op_conv_transpose = {.name = "ConvTranspose",
        .domain = "",
        .since = 1,
        .reads = RS_READS_IN(0) | RS_READS_IN(1),
        .alias = -1,
        .fuses = true,
        .trains = 1u << 1 | 1u << 2,
        .infer = transpose_infer,
        .forward = transpose_forward,
        .backward = transpose_backward};
