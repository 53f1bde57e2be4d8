/* SPDX-License-Identifier: 0BSD */
/*
 * Gather and GatherElements. Indices known when planned are checked then; one that only data tells
 * and that is out of range picks zeros, since kernels do not fail.
 */
#include "op/move.h"

#include <string.h>

struct state {
        size_t outer, axis, picks, inner; /* [outer, axis, inner] -> [outer, picks, inner] */
};

static bool
check_indices(rs_infer *x, int64_t size, resect_error *err)
{
        const rs_type *i = x->in[1];
        for (size_t k = 0; i->ints && size >= 0 && k < i->n_ints; k++)
                if (!rs_is_symbol(i->ints[k]) && (i->ints[k] < -size || i->ints[k] >= size))
                        return rs_op_fail(x, err, RESECT_GRAPH, "index %lld is not one of %lld",
                                (long long)i->ints[k], (long long)size);
        return true;
}

/* Picking sizes out of a shape. */
static bool
gather_ints(rs_infer *x, resect_error *err)
{
        const rs_type *t = x->in[0], *i = x->in[1];
        if (t->rank != 1 || i->rank > 1 || !t->ints || !i->ints)
                return true;
        int64_t *v = RS_NEW(x->arena, i->n_ints + 1, int64_t, err);
        if (!v)
                return false;
        for (size_t k = 0; k < i->n_ints; k++) {
                int64_t at = i->ints[k] < 0 ? i->ints[k] + (int64_t)t->n_ints : i->ints[k];
                if (at < 0 || at >= (int64_t)t->n_ints)
                        return true;
                v[k] = t->ints[at];
        }
        x->out[0].ints = v;
        x->out[0].n_ints = i->n_ints;
        return true;
}

static bool
infer_gather(rs_infer *x, resect_error *err)
{
        int64_t given, dims[2 * RESECT_RANK_MAX];
        int axis = 0, rank = 0;
        if (!rs_op_counts(x, 2, 2, 1, err) || !rs_op_dtype(x, 0, RS_ANY, err) ||
                !rs_op_dtype(x, 1, RS_BIT(RESECT_INT32) | RS_BIT(RESECT_INT64), err) ||
                !rs_op_int(x, "axis", 0, &given, err) ||
                !rs_op_axis(x, given, x->in[0]->rank, &axis, err))
                return false;
        const rs_type *t = x->in[0], *i = x->in[1];
        for (int d = 0; d < axis; d++)
                dims[rank++] = t->dims[d];
        for (int d = 0; d < i->rank; d++)
                dims[rank++] = i->dims[d];
        for (int d = axis + 1; d < t->rank; d++)
                dims[rank++] = t->dims[d];
        if (!check_indices(x, t->dims[axis], err) || !rs_op_out(x, 0, t->dtype, rank, dims, err) ||
                !gather_ints(x, err))
                return false;
        if (!x->concrete)
                return true;
        struct state *s = RS_STATE(x, struct state, err);
        if (!s)
                return false;
        *s = (struct state){.outer = 1, .axis = (size_t)t->dims[axis], .picks = 1, .inner = 1};
        for (int d = 0; d < axis; d++)
                s->outer *= (size_t)t->dims[d];
        for (int d = 0; d < i->rank; d++)
                s->picks *= (size_t)i->dims[d];
        for (int d = axis + 1; d < t->rank; d++)
                s->inner *= (size_t)t->dims[d];
        return true;
}

/* Index k as a place along the axis; SIZE_MAX when out of range. */
static size_t
place(const resect_tensor *indices, size_t k, size_t size)
{
        int64_t at;
        rs_row_load_int(indices->data, (int32_t)indices->dtype, (int64_t)k, 1, 1, &at);
        at = at < 0 ? at + (int64_t)size : at;
        return at >= 0 && at < (int64_t)size ? (size_t)at : SIZE_MAX;
}

static void
forward_gather(const rs_call *c)
{
        const struct state *s = c->state;
        size_t run = s->inner * rs_dtype_size((int32_t)c->in[0]->dtype), rows = s->outer * s->picks;
        const char *from = c->in[0]->data;
        char *to = c->out[0]->data;
        if (!run)
                return;
        int threads = rs_threads_for(c->threads, rows * s->inner);
        RS_PARALLEL(threads)
        for (size_t r = 0; r < rows; r++) {
                size_t at = place(c->in[1], r % s->picks, s->axis);
                if (at == SIZE_MAX)
                        memset(to + r * run, 0, run);
                else
                        memcpy(to + r * run, from + (r / s->picks * s->axis + at) * run, run);
        }
}

/* Several picks of one element add up, in the order of the picks; threads share the outer blocks.
 */
static void
backward_gather(const rs_call *c)
{
        const struct state *s = c->state;
        const resect_tensor *g = c->dout[0];
        resect_tensor *d = c->din[0];
        if (!g || !d)
                return;
        int threads = rs_threads_for(c->threads, s->outer * s->picks * s->inner);
        RS_PARALLEL(threads)
        for (size_t o = 0; o < s->outer; o++)
                for (size_t k = 0; k < s->picks; k++) {
                        size_t at = place(c->in[1], k, s->axis);
                        for (size_t i = 0; at != SIZE_MAX && i < s->inner; i += RS_ROW) {
                                double v[RS_ROW];
                                size_t n = s->inner - i < RS_ROW ? s->inner - i : RS_ROW;
                                rs_row_load(g->data, (int32_t)g->dtype,
                                        (int64_t)((o * s->picks + k) * s->inner + i), 1, n, v);
                                rs_row_add(d->data, (int32_t)d->dtype,
                                        (o * s->axis + at) * s->inner + i, n, v);
                        }
                }
}

struct elements {
        rs_walk walk;         /* over the indices; operand 0 is the data, still along the axis */
        int64_t size, stride; /* of the axis in the data */
};

static bool
infer_elements(rs_infer *x, resect_error *err)
{
        int64_t given;
        int axis = 0;
        if (!rs_op_counts(x, 2, 2, 1, err) || !rs_op_dtype(x, 0, RS_ANY, err) ||
                !rs_op_dtype(x, 1, RS_BIT(RESECT_INT32) | RS_BIT(RESECT_INT64), err) ||
                !rs_op_int(x, "axis", 0, &given, err) ||
                !rs_op_axis(x, given, x->in[0]->rank, &axis, err))
                return false;
        const rs_type *t = x->in[0], *i = x->in[1];
        if (i->rank != t->rank)
                return rs_op_fail(x, err, RESECT_GRAPH, "the indices have rank %d, the data %d",
                        i->rank, t->rank);
        for (int d = 0; d < t->rank; d++)
                if (d != axis && t->dims[d] >= 0 && i->dims[d] > t->dims[d])
                        return rs_op_fail(x, err, RESECT_GRAPH,
                                "%lld indices along axis %d of size %lld", (long long)i->dims[d], d,
                                (long long)t->dims[d]);
        if (!check_indices(x, t->dims[axis], err) ||
                !rs_op_out(x, 0, t->dtype, i->rank, i->dims, err))
                return false;
        if (!x->concrete)
                return true;
        struct elements *s = RS_STATE(x, struct elements, err);
        if (!s || !rs_walk_make(&s->walk, x->arena, i->rank, i->dims, 1, err))
                return false;
        int64_t stride = 1;
        for (int d = t->rank - 1; d >= 0; stride = rs_wrap_mul(stride, t->dims[d--]))
                if (d == axis)
                        s->stride = stride;
                else
                        s->walk.stride[0][d] = stride;
        s->size = t->dims[axis];
        rs_walk_end(&s->walk);
        return true;
}

static void
forward_elements(const rs_call *c)
{
        const struct elements *s = c->state;
        const rs_walk *w = &s->walk;
        size_t size = rs_dtype_size((int32_t)c->in[0]->dtype);
        int threads = rs_threads_for(c->threads, w->count);
        RS_PARALLEL(threads)
        for (size_t u = 0; u < w->units; u++) {
                rs_row r;
                rs_walk_row(w, u, &r);
                int64_t base = rs_walk_at(w, &r, 0);
                for (size_t k = 0; k < r.n; k++) {
                        size_t at = place(c->in[1], r.at + k, (size_t)s->size);
                        char *to = (char *)c->out[0]->data + (r.at + k) * size;
                        if (at == SIZE_MAX) {
                                memset(to, 0, size);
                                continue;
                        }
                        int64_t from =
                                base + (int64_t)k * rs_walk_step(w, 0) + (int64_t)at * s->stride;
                        memcpy(to, (const char *)c->in[0]->data + (size_t)from * size, size);
                }
        }
}

const rs_op rs_op_gather = {.name = "Gather",
        .domain = "",
        .since = 1,
        .reads = RS_READS_IN(1),
        .alias = -1,
        .infer = infer_gather,
        .forward = forward_gather,
        .backward = backward_gather};
const rs_op rs_op_gather_elements = {.name = "GatherElements",
        .domain = "",
        .since = 11,
        .alias = -1,
        .infer = infer_elements,
        .forward = forward_elements};
