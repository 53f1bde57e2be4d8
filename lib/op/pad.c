/* SPDX-License-Identifier: 0BSD */
/*
 * Pad: a constant, the edge, a reflection or the other side around a tensor; negative pads cut.
 * Constant padding fills and then copies the inside; the other modes ask for each element where it
 * comes from.
 */
#include "op/move.h"

#include <string.h>

enum mode { CONSTANT, REFLECT, EDGE, WRAP };

struct state {
        enum mode mode;
        bool has_input; /* the constant is in[2] */
        double value;
        int rank;
        int64_t in[RESECT_RANK_MAX], before[RESECT_RANK_MAX];
        rs_walk inside; /* what is copied: operand 0 the input, 1 the output */
        rs_walk all;    /* the output's rows along its last axis, axes not joined; no operands */
        int64_t stride[RESECT_RANK_MAX]; /* of the input */
};

/* Where coordinate i of the output, less its pad, comes from in an axis of that size. */
static int64_t
source(enum mode mode, int64_t i, int64_t size)
{
        if (i >= 0 && i < size)
                return i;
        if (mode == EDGE || size == 1)
                return i < 0 ? 0 : size - 1;
        int64_t period = mode == WRAP ? size : 2 * (size - 1), m = i % period;
        m = m < 0 ? m + period : m;
        return m < size ? m : period - m;
}

static bool
read_mode(rs_infer *x, enum mode *mode, resect_error *err)
{
        static const char *const names[] = {"constant", "reflect", "edge", "wrap"};
        rs_span name;
        if (!rs_op_string(x, "mode", &name, err))
                return false;
        int k = 0;
        while (name.data && k < (x->opset < 19 ? 3 : 4) && !rs_span_is(name, names[k]))
                k++;
        if (k == 4 || (k == 3 && x->opset < 19))
                return rs_op_fail(x, err, RESECT_GRAPH, "mode %.*s is none of its opset's",
                        (int)(name.size < 40 ? name.size : 40), (const char *)name.data);
        *mode = (enum mode)k;
        return true;
}

/* before and after of each axis; *known false when only data tells. */
static bool
read_pads(rs_infer *x, int64_t *before, int64_t *after, bool *known, resect_error *err)
{
        const rs_type *t = x->in[0];
        const int64_t *v, *axes = NULL;
        int64_t n, n_axes = t->rank;
        if (!rs_op_ints_or_input(x, x->opset < 2 ? "paddings" : "pads", 1, &v, &n, err))
                return false;
        if (!v && !n)
                return rs_op_fail(x, err, RESECT_GRAPH, "pads are missing");
        if (rs_op_in(x, 3) && !rs_op_elements(x, 3, "axes", &axes, &n_axes, err))
                return false;
        *known = v && (axes || !rs_op_in(x, 3));
        memset(before, 0, (size_t)t->rank * sizeof *before);
        memset(after, 0, (size_t)t->rank * sizeof *after);
        if (!*known)
                return true;
        if (n_axes > t->rank || n != 2 * n_axes)
                return rs_op_fail(x, err, RESECT_GRAPH, "%lld pads for %lld axes", (long long)n,
                        (long long)n_axes);
        uint32_t seen = 0;
        if (axes && !rs_op_axes(x, axes, (size_t)n_axes, t->rank, &seen, err))
                return false;
        for (int64_t i = 0; i < n_axes; i++) {
                int a = (int)i;
                if (axes && !rs_op_axis(x, axes[i], t->rank, &a, err))
                        return false;
                before[a] = v[i];
                after[a] = v[n_axes + i];
                if (rs_is_symbol(v[i]) || rs_is_symbol(v[n_axes + i]))
                        *known = false;
                else if (v[i] > INT64_C(1) << 40 || v[i] < -(INT64_C(1) << 40) ||
                         after[a] > INT64_C(1) << 40 || after[a] < -(INT64_C(1) << 40))
                        return rs_op_fail(x, err, RESECT_UNSUPPORTED, "a pad of %lld or %lld",
                                (long long)v[i], (long long)after[a]);
        }
        return true;
}

static bool
make_state(rs_infer *x, enum mode mode, const int64_t *before, resect_error *err)
{
        const rs_type *t = x->in[0], *o = &x->out[0];
        struct state *s = RS_STATE(x, struct state, err);
        float value;
        int64_t dims[RESECT_RANK_MAX], from = 0, to = 0, in_stride = 1, out_stride = 1;
        if (!s || !rs_op_float(x, "value", 0, &value, err))
                return false;
        *s = (struct state){.mode = mode, .value = (double)value, .rank = t->rank};
        s->has_input = rs_op_in(x, 2) != NULL;
        if (!rs_walk_make(&s->inside, x->arena, t->rank, t->dims, 2, err) ||
                !rs_walk_make(&s->all, x->arena, t->rank, o->dims, 0, err))
                return false;
        for (int d = t->rank - 1; d >= 0; d--) {
                s->in[d] = t->dims[d];
                s->before[d] = before[d];
                s->stride[d] = in_stride;
                int64_t skip = before[d] < 0 ? -before[d] : 0, lead = before[d] > 0 ? before[d] : 0;
                int64_t left = t->dims[d] - skip, room = o->dims[d] - lead;
                dims[d] = left < room ? left : room;
                dims[d] = dims[d] < 0 ? 0 : dims[d];
                from += rs_wrap_mul(skip, in_stride);
                to += rs_wrap_mul(lead, out_stride);
                s->inside.dims[d] = dims[d];
                s->inside.stride[0][d] = in_stride;
                s->inside.stride[1][d] = out_stride;
                in_stride = rs_wrap_mul(in_stride, t->dims[d]);
                out_stride = rs_wrap_mul(out_stride, o->dims[d]);
        }
        s->inside.base[0] = from;
        s->inside.base[1] = to;
        rs_walk_end(&s->inside);
        /* rows of the output, axes as they are: every coordinate is asked for its source */
        size_t count = (size_t)rs_type_count(o), last = t->rank ? (size_t)o->dims[t->rank - 1] : 1;
        if (!t->rank) {
                s->all.rank = 1;
                s->all.dims[0] = 1;
        }
        s->all.count = count;
        s->all.pieces = (last + RS_ROW - 1) / RS_ROW;
        s->all.units = count ? count / last * s->all.pieces : 0;
        return true;
}

static bool
infer(rs_infer *x, resect_error *err)
{
        enum mode mode = CONSTANT;
        int64_t before[RESECT_RANK_MAX], after[RESECT_RANK_MAX], dims[RESECT_RANK_MAX];
        bool known = false;
        size_t least = x->opset < 11 ? 1 : 2, most = x->opset < 11 ? 1 : x->opset < 18 ? 3 : 4;
        if (!rs_op_counts(x, least, most, 1, err) || !rs_op_dtype(x, 0, RS_ANY, err) ||
                !read_mode(x, &mode, err) || !rs_op_same_dtype(x, 0, 2, err) ||
                !read_pads(x, before, after, &known, err))
                return false;
        const rs_type *t = x->in[0], *value = rs_op_in(x, 2);
        if (value && (value->rank > 1 || (value->rank && !rs_size_equal(value->dims[0], 1, NULL))))
                return rs_op_fail(x, err, RESECT_GRAPH, "constant_value is not one number");
        for (int d = 0; d < t->rank; d++) {
                if (!known               ? !rs_op_size_new(x, &dims[d], err)
                        : t->dims[d] < 0 ? !rs_op_size_add(x, t->dims[d], before[d] + after[d],
                                                   &dims[d], err)
                                         : false)
                        return false;
                if (!known || t->dims[d] < 0)
                        continue;
                if (__builtin_add_overflow(t->dims[d], before[d] + after[d], &dims[d]) ||
                        dims[d] < 0)
                        return rs_op_fail(x, err, RESECT_GRAPH, "pads %lld and %lld on size %lld",
                                (long long)before[d], (long long)after[d], (long long)t->dims[d]);
                if (mode != CONSTANT && !t->dims[d] && dims[d])
                        return rs_op_fail(x, err, RESECT_GRAPH,
                                "axis %d is empty, there is nothing to repeat", d);
        }
        return rs_op_out(x, 0, t->dtype, t->rank, dims, err) &&
               (!x->concrete || make_state(x, mode, before, err));
}

static void
fill(const rs_call *c, const struct state *s)
{
        resect_tensor *y = c->out[0];
        size_t size = rs_dtype_size((int32_t)y->dtype), n = y->size / size,
               rows = (n + RS_ROW - 1) / RS_ROW;
        unsigned char value[8] = {0};
        if (s->has_input && c->in[2]->size >= size)
                memcpy(value, c->in[2]->data, size);
        else
                rs_store(value, (int32_t)y->dtype, 0, s->value);
        int threads = rs_threads_for(c->threads, n);
        RS_PARALLEL(threads)
        for (size_t u = 0; u < rows; u++)
                rs_row_gather(y->data, u * RS_ROW, value, 0, 0,
                        n - u * RS_ROW < RS_ROW ? n - u * RS_ROW : RS_ROW, size);
}

/* Where the row's outer coordinates come from in the input. */
static int64_t
row_source(const struct state *s, const rs_row *r)
{
        int64_t at = 0;
        for (int d = 0; d + 1 < s->rank; d++)
                at += source(s->mode, r->index[d] - s->before[d], s->in[d]) * s->stride[d];
        return at;
}

static int64_t
element_source(const struct state *s, const rs_row *r, size_t i)
{
        int d = s->rank - 1;
        return d < 0 ? 0 : source(s->mode, r->index[d] + (int64_t)i - s->before[d], s->in[d]);
}

static void
copy_inside(const rs_call *c, const rs_walk *w, const rs_row *r, size_t size)
{
        int64_t from = rs_walk_at(w, r, 0), to = rs_walk_at(w, r, 1), step = rs_walk_step(w, 0),
                stride = rs_walk_step(w, 1);
        if (stride == 1)
                rs_row_gather(c->out[0]->data, (size_t)to, c->in[0]->data, from, step, r->n, size);
        else
                for (size_t i = 0; i < r->n; i++)
                        rs_row_gather(c->out[0]->data, (size_t)(to + (int64_t)i * stride),
                                c->in[0]->data, from + (int64_t)i * step, 1, 1, size);
}

static void
forward(const rs_call *c)
{
        const struct state *s = c->state;
        const rs_walk *w = s->mode == CONSTANT ? &s->inside : &s->all;
        size_t size = rs_dtype_size((int32_t)c->in[0]->dtype);
        if (!c->out[0]->size)
                return;
        if (s->mode == CONSTANT)
                fill(c, s);
        int threads = rs_threads_for(c->threads, w->count);
        RS_PARALLEL(threads)
        for (size_t u = 0; u < w->units; u++) {
                rs_row r;
                rs_walk_row(w, u, &r);
                if (s->mode == CONSTANT) {
                        copy_inside(c, w, &r, size);
                        continue;
                }
                int64_t at = row_source(s, &r);
                for (size_t i = 0; i < r.n; i++)
                        rs_row_gather(c->out[0]->data, r.at + i, c->in[0]->data,
                                at + element_source(s, &r, i), 1, 1, size);
        }
}

/* What was repeated gathers several gradients, in the order of the output: one thread. */
static void
backward_repeated(const rs_call *c, const struct state *s)
{
        for (size_t u = 0; u < s->all.units; u++) {
                rs_row r;
                double v[RS_ROW];
                rs_walk_row(&s->all, u, &r);
                int64_t at = row_source(s, &r);
                rs_row_load(c->dout[0]->data, (int32_t)c->dout[0]->dtype, (int64_t)r.at, 1, r.n, v);
                for (size_t i = 0; i < r.n; i++)
                        rs_row_add(c->din[0]->data, (int32_t)c->din[0]->dtype,
                                (size_t)(at + element_source(s, &r, i)), 1, v + i);
        }
}

static void
backward(const rs_call *c)
{
        const struct state *s = c->state;
        const rs_walk *w = &s->inside;
        if (!c->dout[0] || !c->din[0])
                return;
        if (s->mode != CONSTANT) {
                backward_repeated(c, s);
                return;
        }
        int threads = rs_threads_for(c->threads, w->count);
        RS_PARALLEL(threads)
        for (size_t u = 0; u < w->units; u++) {
                rs_row r;
                double v[RS_ROW];
                rs_walk_row(w, u, &r);
                rs_row_load(c->dout[0]->data, (int32_t)c->dout[0]->dtype, rs_walk_at(w, &r, 1),
                        rs_walk_step(w, 1), r.n, v);
                rs_row_add_step(c->din[0]->data, (int32_t)c->din[0]->dtype, rs_walk_at(w, &r, 0),
                        rs_walk_step(w, 0), r.n, v);
        }
}

const rs_op rs_op_pad = {.name = "Pad",
        .domain = "",
        .since = 1,
        .alias = -1,
        .infer = infer,
        .forward = forward,
        .backward = backward};
