/* SPDX-License-Identifier: 0BSD */
/*
 * Operators whose output element is one input element, found by a stride along each axis:
 * Transpose, Slice, Expand, Tile, DepthToSpace and SpaceToDepth. One kernel copies rows; gradients
 * go the same way back, or, where elements were repeated, are summed.
 */
#include "op/move.h"

#include <string.h>

struct state {
        rs_walk walk; /* over the output; operand 0 is the input */
        rs_fold fold; /* repeats: over the input's elements, summing the output's */
        bool repeats;
};

static void
forward(const rs_call *c)
{
        const struct state *s = c->state;
        const rs_walk *w = &s->walk;
        size_t size = rs_dtype_size((int32_t)c->in[0]->dtype);
        int threads = rs_threads_for(c->threads, w->count);
        RS_PARALLEL(threads)
        for (size_t u = 0; u < w->units; u++) {
                rs_row r;
                rs_walk_row(w, u, &r);
                rs_row_gather(c->out[0]->data, r.at, c->in[0]->data, rs_walk_at(w, &r, 0),
                        rs_walk_step(w, 0), r.n, size);
        }
}

static void
take(const void *ctx, size_t n, const double *const *v, double *y)
{
        (void)ctx;
        memcpy(y, v[0], n * sizeof *y);
}

static void
backward(const rs_call *c)
{
        const struct state *s = c->state;
        const rs_walk *w = &s->walk;
        const resect_tensor *g = c->dout[0];
        resect_tensor *d = c->din[0];
        if (!g || !d)
                return;
        if (s->repeats) {
                rs_fold_run(&s->fold, c->threads, &g, take, NULL, d, RS_ADD_TO, NULL);
                return;
        }
        int threads = rs_threads_for(c->threads, w->count);
        RS_PARALLEL(threads)
        for (size_t u = 0; u < w->units;
                u++) { /* no two elements come from one: rows do not meet */
                double v[RS_ROW];
                rs_row r;
                rs_walk_row(w, u, &r);
                int64_t at = rs_walk_at(w, &r, 0), step = rs_walk_step(w, 0);
                rs_row_load(g->data, (int32_t)g->dtype, (int64_t)r.at, 1, r.n, v);
                rs_row_add_step(d->data, (int32_t)d->dtype, at, step, r.n, v);
        }
}

/* Row-major strides; of no use, but no harm, where a size is a symbol. */
static void
dense(int rank, const int64_t *dims, int64_t *stride)
{
        int64_t s = 1;
        for (int d = rank - 1; d >= 0; s = rs_wrap_mul(s, dims[d--]))
                stride[d] = s;
}

/* A state whose walk has those dims and those strides into the input. */
static struct state *
make_state(rs_infer *x, int rank, const int64_t *dims, const int64_t *stride, int64_t base,
        resect_error *err)
{
        struct state *s = RS_STATE(x, struct state, err);
        if (!s || !rs_walk_make(&s->walk, x->arena, rank, dims, 1, err))
                return NULL;
        memcpy(s->walk.stride[0], stride, (size_t)rank * sizeof *stride);
        s->walk.base[0] = base;
        rs_walk_end(&s->walk);
        return s;
}

static bool
infer_transpose(rs_infer *x, resect_error *err)
{
        const int64_t *perm;
        size_t n;
        int64_t dims[RESECT_RANK_MAX], in[RESECT_RANK_MAX], stride[RESECT_RANK_MAX];
        if (!rs_op_counts(x, 1, 1, 1, err) || !rs_op_dtype(x, 0, RS_ANY, err) ||
                !rs_op_ints(x, "perm", &perm, &n, err))
                return false;
        const rs_type *t = x->in[0];
        uint32_t seen = 0;
        if (perm && n != (size_t)t->rank)
                return rs_op_fail(
                        x, err, RESECT_GRAPH, "perm has %zu axes, the input %d", n, t->rank);
        if (perm && !rs_op_axes(x, perm, n, t->rank, &seen, err))
                return false;
        dense(t->rank, t->dims, in);
        for (int d = 0; d < t->rank; d++) {
                int64_t from = perm ? perm[d] : t->rank - 1 - d;
                from = from < 0 ? from + t->rank : from;
                dims[d] = t->dims[from];
                stride[d] = in[from];
        }
        return rs_op_out(x, 0, t->dtype, t->rank, dims, err) &&
               (!x->concrete || make_state(x, t->rank, dims, stride, 0, err));
}

/* One axis of a Slice: where it starts and how many it takes, by ONNX's (Python's) rules. */
static bool
slice_axis(rs_infer *x, int64_t size, int64_t *start, int64_t end, int64_t step, int64_t *n,
        resect_error *err)
{
        if (!step)
                return rs_op_fail(x, err, RESECT_GRAPH, "a step is 0");
        if (size < 0 || rs_is_symbol(*start) || rs_is_symbol(end)) {
                bool whole = *start == 0 && step == 1 &&
                             (end == size || (!rs_is_symbol(end) && end >= INT32_MAX));
                bool prefix = *start == 0 && step == 1 && size > 0 && rs_is_symbol(end);
                *n = whole ? size : end;
                return whole || (prefix && !x->concrete) || rs_op_size_new(x, n, err);
        }
        int64_t least = step < 0 ? -1 : 0, most = step < 0 ? size - 1 : size;
        *start = *start < 0 ? *start + size : *start;
        end = end < 0 ? end + size : end;
        *start = *start < 0 ? 0 : *start > most ? most : *start;
        end = end < least ? least : end > most ? most : end;
        int64_t span = step < 0 ? *start - end : end - *start;
        *n = span <= 0 ? 0 : step == INT64_MIN ? 1 : (span - 1) / (step < 0 ? -step : step) + 1;
        return true;
}

struct slice {
        const int64_t *v[4]; /* starts, ends, axes, steps */
        int64_t n[4];
};

static bool
read_slice(rs_infer *x, struct slice *s, resect_error *err)
{
        static const char *const names[] = {"starts", "ends", "axes", "steps"};
        *s = (struct slice){0};
        if (x->opset < 10) {
                if (!rs_op_counts(x, 1, 1, 1, err))
                        return false;
                for (int i = 0; i < 3; i++) {
                        size_t n;
                        if (!rs_op_ints(x, names[i], &s->v[i], &n, err))
                                return false;
                        if (i < 2 && !s->v[i])
                                return rs_op_fail(
                                        x, err, RESECT_GRAPH, "attribute %s is missing", names[i]);
                        s->n[i] = (int64_t)n;
                }
                return true;
        }
        if (!rs_op_counts(x, 3, 5, 1, err))
                return false;
        for (size_t i = 0; i < 4; i++)
                if (rs_op_in(x, i + 1) &&
                        !rs_op_elements(x, i + 1, names[i], &s->v[i], &s->n[i], err))
                        return false;
        return true;
}

/* Slices of shapes are shapes. */
static bool
slice_ints(rs_infer *x, int64_t start, int64_t step, resect_error *err)
{
        const rs_type *t = x->in[0];
        int64_t n = x->out[0].dims[0];
        if (!t->ints || t->rank != 1 || n < 0)
                return true;
        int64_t *v = RS_NEW(x->arena, (size_t)n + 1, int64_t, err);
        if (!v)
                return false;
        for (int64_t i = 0; i < n; i++)
                v[i] = t->ints[start + i * step];
        x->out[0].ints = v;
        x->out[0].n_ints = (size_t)n;
        return true;
}

static bool
infer_slice(rs_infer *x, resect_error *err)
{
        struct slice s;
        if (!read_slice(x, &s, err) || !rs_op_dtype(x, 0, RS_ANY, err))
                return false;
        const rs_type *t = x->in[0];
        int64_t dims[RESECT_RANK_MAX], start[RESECT_RANK_MAX] = {0}, step[RESECT_RANK_MAX],
                                       stride[RESECT_RANK_MAX], base = 0;
        uint32_t seen = 0;
        for (int d = 0; d < t->rank; d++) {
                dims[d] = t->dims[d];
                step[d] = 1;
        }
        bool axes_unknown = !s.v[2] && rs_op_in(x, 3),
             known = s.v[0] && s.v[1] && (s.v[3] || !rs_op_in(x, 4));
        int64_t n = s.v[2] ? s.n[2] : s.n[0];
        if (n >= 0 && ((s.v[0] && s.n[0] != n) || (s.v[1] && s.n[1] != n) ||
                              (s.v[3] && s.n[3] != n) || (!axes_unknown && n > t->rank)))
                return rs_op_fail(
                        x, err, RESECT_GRAPH, "starts, ends, axes and steps do not go together");
        if (axes_unknown || n < 0) { /* any axis may be cut */
                for (int d = 0; d < t->rank; d++)
                        if (!rs_op_size_new(x, &dims[d], err))
                                return false;
                return rs_op_out(x, 0, t->dtype, t->rank, dims, err);
        }
        for (int64_t i = 0; i < n; i++) {
                int a = 0;
                if (!rs_op_axis(x, s.v[2] ? s.v[2][i] : i, t->rank, &a, err))
                        return false;
                if (seen & 1u << a)
                        return rs_op_fail(x, err, RESECT_GRAPH, "axis %d is given twice", a);
                seen |= 1u << a;
                if (!known) {
                        if (!rs_op_size_new(x, &dims[a], err))
                                return false;
                        continue;
                }
                start[a] = s.v[0][i];
                step[a] = s.v[3] ? s.v[3][i] : 1;
                if (!slice_axis(x, t->dims[a], &start[a], s.v[1][i], step[a], &dims[a], err))
                        return false;
        }
        if (!rs_op_out(x, 0, t->dtype, t->rank, dims, err))
                return false;
        if (known && !slice_ints(x, start[0], step[0], err))
                return false;
        if (!x->concrete)
                return true;
        dense(t->rank, t->dims, stride);
        for (int d = 0; d < t->rank; d++) {
                base += dims[d] ? start[d] * stride[d] : 0;
                stride[d] = dims[d] > 1 ? stride[d] * step[d]
                                        : 0; /* a step that is not taken may be huge */
        }
        return make_state(x, t->rank, dims, stride, base, err) != NULL;
}

/* Repetition: the space has an axis of repeats beside (or instead of) each of the input's; set are
 * those summed back. */
static bool
make_repeats(rs_infer *x, int rank, const int64_t *dims, int in_rank, const int64_t *in,
        uint32_t set, int fold_rank, const int64_t *fold_dims, resect_error *err)
{
        struct state *s = RS_STATE(x, struct state, err);
        if (!s || !rs_walk_make(&s->walk, x->arena, rank, dims, 1, err))
                return false;
        rs_walk_operand(&s->walk, 0, in_rank, in);
        rs_walk_end(&s->walk);
        s->repeats = true;
        if (!x->training)
                return true;
        if (!rs_fold_make(&s->fold, x->arena, fold_rank, fold_dims, set, 1, err))
                return false;
        rs_fold_operand(&s->fold, set, 0, fold_rank, fold_dims, fold_rank);
        rs_fold_end(&s->fold);
        return true;
}

static bool
infer_expand(rs_infer *x, resect_error *err)
{
        const int64_t *v;
        int64_t n, dims[RESECT_RANK_MAX];
        int rank;
        if (!rs_op_counts(x, 2, 2, 1, err) || !rs_op_dtype(x, 0, RS_ANY, err) ||
                !rs_op_elements(x, 1, "shape", &v, &n, err))
                return false;
        const rs_type *t = x->in[0];
        if (!v && n < 0) {
                x->out[0] = (rs_type){.dtype = t->dtype, .rank = -1};
                return true;
        }
        if (n > RESECT_RANK_MAX)
                return rs_op_fail(x, err, RESECT_UNSUPPORTED,
                        "the shape has %lld sizes, at most %d go", (long long)n, RESECT_RANK_MAX);
        rs_type shape = {.rank = (int)n};
        for (int i = 0; i < n; i++) {
                if (!v && !rs_op_size_new(x, &shape.dims[i], err))
                        return false;
                if (v)
                        shape.dims[i] = v[i];
                if (v && v[i] < 0 && !rs_is_symbol(v[i]))
                        return rs_op_fail(x, err, RESECT_GRAPH, "the shape has the size %lld",
                                (long long)v[i]);
        }
        const rs_type *both[] = {t, &shape};
        if (!rs_op_broadcast(x, both, 2, &rank, dims, err) ||
                !rs_op_out(x, 0, t->dtype, rank, dims, err))
                return false;
        if (!x->concrete)
                return true;
        uint32_t set = 0;
        for (int d = 0; d < rank; d++) {
                int at = d - (rank - t->rank);
                set |= (at < 0 ? 1 : t->dims[at]) != dims[d] ? 1u << d : 0;
        }
        return make_repeats(x, rank, dims, t->rank, t->dims, set, rank, dims, err);
}

static bool
infer_tile(rs_infer *x, resect_error *err)
{
        const int64_t *v;
        int64_t n, dims[RESECT_RANK_MAX], space[2 * RESECT_RANK_MAX], in[2 * RESECT_RANK_MAX];
        if (!rs_op_counts(x, 2, 2, 1, err) || !rs_op_dtype(x, 0, RS_ANY, err) ||
                !rs_op_elements(x, 1, "repeats", &v, &n, err))
                return false;
        const rs_type *t = x->in[0];
        if (!rs_size_equal(n, t->rank, NULL))
                return rs_op_fail(
                        x, err, RESECT_GRAPH, "%lld repeats for rank %d", (long long)n, t->rank);
        uint32_t set = 0;
        for (int d = 0; d < t->rank; d++) {
                if (v && v[d] < 0 && !rs_is_symbol(v[d]))
                        return rs_op_fail(x, err, RESECT_GRAPH, "%lld repeats", (long long)v[d]);
                if (!(v ? rs_op_size_mul(x, t->dims[d], v[d], &dims[d], err)
                        : rs_op_size_new(x, &dims[d], err)))
                        return false;
                space[2 * d] = v ? v[d] : 1;
                space[2 * d + 1] = in[2 * d + 1] = t->dims[d];
                in[2 * d] = 1;
                set |= 1u << 2 * d;
        }
        if (!rs_op_out(x, 0, t->dtype, t->rank, dims, err))
                return false;
        return !x->concrete ||
               make_repeats(x, 2 * t->rank, space, 2 * t->rank, in, set, 2 * t->rank, space, err);
}

/* [N, C, H, W] seen as six axes and transposed. */
static bool
infer_blocks(rs_infer *x, resect_error *err)
{
        bool to_space = x->node->op[0] == 'D';
        int64_t b;
        rs_span mode;
        if (!rs_op_counts(x, 1, 1, 1, err) || !rs_op_dtype(x, 0, RS_ANY, err) ||
                !rs_op_int(x, "blocksize", 0, &b, err) || !rs_op_string(x, "mode", &mode, err))
                return false;
        const rs_type *t = x->in[0];
        if (t->rank != 4)
                return rs_op_fail(x, err, RESECT_GRAPH, "the input has rank %d, not 4", t->rank);
        if (b < 1 || b > INT32_MAX)
                return rs_op_fail(x, err, RESECT_GRAPH, "blocksize is %lld", (long long)b);
        bool crd = to_space && mode.data && rs_span_is(mode, "CRD");
        if (to_space && mode.data && !crd && !rs_span_is(mode, "DCR"))
                return rs_op_fail(x, err, RESECT_GRAPH, "mode is neither DCR nor CRD");
        int64_t dims[4] = {t->dims[0]};
        for (int d = 1; d < 4; d++) {
                int64_t times = d == 1 ? b * b : b;
                bool grows = (d == 1) != to_space;
                if (grows) {
                        if (!rs_op_size_mul(x, t->dims[d], times, &dims[d], err))
                                return false;
                } else if (t->dims[d] < 0) {
                        if (!rs_op_size_new(x, &dims[d], err))
                                return false;
                } else if (t->dims[d] % times)
                        return rs_op_fail(x, err, RESECT_GRAPH,
                                "size %lld of axis %d is no multiple of %lld",
                                (long long)t->dims[d], d, (long long)times);
                else
                        dims[d] = t->dims[d] / times;
        }
        if (!rs_op_out(x, 0, t->dtype, 4, dims, err))
                return false;
        if (!x->concrete)
                return true;
        /* without sign, so that an empty tensor's other sizes may be anything */
        uint64_t c = (uint64_t)dims[1], deep = (uint64_t)t->dims[1], side = (uint64_t)b;
        uint64_t H = (uint64_t)t->dims[2], W = (uint64_t)t->dims[3], plane = H * W;
        if (to_space) { /* out [N, c, H, b, W, b]; the small axes are c's outer (DCR) or inner (CRD)
                           neighbours in the input */
                uint64_t by = (crd ? side : side * c) * plane, bx = (crd ? 1 : c) * plane;
                uint64_t each = (crd ? side * side : 1) * plane;
                int64_t space[] = {t->dims[0], dims[1], t->dims[2], b, t->dims[3], b};
                int64_t stride[] = {(int64_t)(deep * plane), (int64_t)each, (int64_t)W, (int64_t)by,
                        1, (int64_t)bx};
                return make_state(x, 6, space, stride, 0, err) != NULL;
        }
        int64_t space[] = {t->dims[0], b, b, t->dims[1], dims[2], dims[3]}; /* [N, b b C, h, w] */
        int64_t stride[] = {
                (int64_t)(deep * plane), (int64_t)W, 1, (int64_t)plane, (int64_t)(side * W), b};
        return make_state(x, 6, space, stride, 0, err) != NULL;
}

#define STRIDED(id, op_name, from, how)            \
        const rs_op rs_op_##id = {.name = op_name, \
                .domain = "",                      \
                .since = from,                     \
                .alias = -1,                       \
                .infer = how,                      \
                .forward = forward,                \
                .backward = backward};
STRIDED(transpose, "Transpose", 1, infer_transpose)
STRIDED(slice, "Slice", 1, infer_slice)
STRIDED(expand, "Expand", 8, infer_expand)
STRIDED(tile, "Tile", 6, infer_tile)
STRIDED(depth_to_space, "DepthToSpace", 1, infer_blocks)
STRIDED(space_to_depth, "SpaceToDepth", 1, infer_blocks)
