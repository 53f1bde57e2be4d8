/* SPDX-License-Identifier: 0BSD */
/*
 * Operators whose output is known without running anything, or from shapes alone: Constant,
 * ConstantOfShape, Shape, Size, Range. Their small integers go on as ints, from which other shapes
 * are made.
 */
#include "op/move.h"

#include <string.h>

/* What the output is filled with: a run of bytes, over and over. */
struct fill {
        const void *bytes;
        size_t size;
};

static void
forward_fill(const rs_call *c)
{
        const struct fill *s = c->state;
        resect_tensor *y = c->out[0];
        if (!y || !y->size)
                return;
        if (s->size >= y->size) {
                memcpy(y->data, s->bytes, y->size);
                return;
        }
        size_t n = y->size / s->size, rows = (n + RS_ROW - 1) / RS_ROW;
        int threads = rs_threads_for(c->threads, n);
        RS_PARALLEL(threads)
        for (size_t u = 0; u < rows; u++)
                for (size_t i = u * RS_ROW; i < n && i < (u + 1) * RS_ROW; i++)
                        memcpy((char *)y->data + i * s->size, s->bytes, s->size);
}

static bool
keep_fill(rs_infer *x, const void *bytes, size_t size, resect_error *err)
{
        struct fill *s = RS_STATE(x, struct fill, err);
        if (!s)
                return false;
        *s = (struct fill){bytes, size};
        return true;
}

/* An attribute's tensor in the machine's order. */
static bool
tensor_values(rs_infer *x, const rs_tensor *t, void **out, resect_error *err)
{
        rs_span raw;
        size_t count, bytes;
        if (!rs_dtype_in(t->dtype, RS_ANY))
                return rs_op_fail(x, err, RESECT_UNSUPPORTED, "its value is %s",
                        resect_dtype_name((resect_dtype)t->dtype));
        if (t->rank > RESECT_RANK_MAX)
                return rs_op_fail(x, err, RESECT_UNSUPPORTED,
                        "its value has rank %d, at most %d go", t->rank, RESECT_RANK_MAX);
        if (!rs_tensor_extent(t->dtype, t->rank, t->dims, &count, &bytes, err) ||
                !rs_tensor_bytes(x->model, t, x->arena, &raw, err))
                return false;
        if (raw.size < bytes)
                return rs_op_fail(x, err, RESECT_FORMAT, "its value has %zu bytes, wants %zu",
                        raw.size, bytes);
        *out = rs_arena_alloc(x->arena, bytes + 1, 1, err);
        if (*out && bytes)
                rs_from_little(*out, raw.data, t->dtype, count);
        return *out != NULL;
}

/* The one value_* attribute of a Constant, as a type and values. */
static bool
constant_value(rs_infer *x, rs_type *t, const void **values, resect_error *err)
{
        static const char *const names[] = {
                "value", "value_float", "value_floats", "value_int", "value_ints"};
        static const int32_t kinds[] = {
                RS_ATTR_TENSOR, RS_ATTR_FLOAT, RS_ATTR_FLOATS, RS_ATTR_INT, RS_ATTR_INTS};
        const rs_attr *a = NULL;
        size_t k = 0, found = 0;
        for (size_t i = 0; i < 5; i++) {
                const rs_attr *b = rs_node_attr(x->node, names[i]);
                if (b) {
                        a = b;
                        k = i;
                        found++;
                }
        }
        if (!found &&
                (rs_node_attr(x->node, "value_string") || rs_node_attr(x->node, "value_strings") ||
                        rs_node_attr(x->node, "sparse_value")))
                return rs_op_fail(x, err, RESECT_UNSUPPORTED, "its value is a string or sparse");
        if (found != 1)
                return rs_op_fail(x, err, RESECT_GRAPH, "has %zu values, wants one", found);
        if (a->type != kinds[k] || (k == 0 && !a->t))
                return rs_op_fail(
                        x, err, RESECT_GRAPH, "attribute %s is of the wrong kind", names[k]);
        *t = (rs_type){.dtype = k < 3 ? RESECT_FLOAT : RESECT_INT64};
        if (k == 2 || k == 4) {
                t->rank = 1;
                t->dims[0] = (int64_t)a->n;
        }
        *values = k == 1   ? (const void *)&a->f
                  : k == 2 ? (const void *)a->floats
                  : k == 3 ? (const void *)&a->i
                           : (const void *)a->ints;
        if (k)
                return true;
        void *p;
        if (!tensor_values(x, a->t, &p, err))
                return false;
        t->dtype = a->t->dtype;
        t->rank = a->t->rank;
        for (int d = 0; d < t->rank; d++)
                t->dims[d] = a->t->dims[d];
        *values = p;
        return true;
}

static bool
infer_constant(rs_infer *x, resect_error *err)
{
        rs_type t;
        const void *values = NULL;
        if (!rs_op_counts(x, 0, 0, 1, err) || !constant_value(x, &t, &values, err) ||
                !rs_op_out_like(x, 0, &t, err) ||
                !rs_type_set_ints(&x->out[0], x->arena, values, err))
                return false;
        return !x->concrete ||
               keep_fill(x, values, (size_t)rs_type_count(&t) * rs_dtype_size(t.dtype), err);
}

static bool
infer_constant_of_shape(rs_infer *x, resect_error *err)
{
        const int64_t *v;
        int64_t n, dims[RESECT_RANK_MAX];
        if (!rs_op_counts(x, 1, 1, 1, err) || !rs_op_elements(x, 0, "shape", &v, &n, err))
                return false;
        const rs_attr *a = rs_node_attr(x->node, "value");
        if (a && (a->type != RS_ATTR_TENSOR || !a->t || a->t->count != 1))
                return rs_op_fail(x, err, RESECT_GRAPH, "its value is not a tensor of one element");
        int32_t dtype = a ? a->t->dtype : RESECT_FLOAT;
        void *value = NULL;
        if (!(a ? tensor_values(x, a->t, &value, err)
                : (value = rs_arena_alloc(x->arena, 1, sizeof(float), err)) != NULL))
                return false;
        if (!v && n < 0) {
                x->out[0] = (rs_type){.dtype = dtype, .rank = -1};
                return true;
        }
        if (n > RESECT_RANK_MAX)
                return rs_op_fail(x, err, RESECT_UNSUPPORTED,
                        "the shape has %lld sizes, at most %d go", (long long)n, RESECT_RANK_MAX);
        for (int i = 0; i < n; i++)
                if (v)
                        dims[i] = v[i];
                else if (!rs_op_size_new(x, &dims[i], err))
                        return false;
        if (!rs_op_out(x, 0, dtype, (int)n, dims, err))
                return false;
        int64_t count = rs_type_count(&x->out[0]);
        if (n <= 1 && count >= 0 && count <= RS_INTS_MAX && rs_dtype_in(dtype, RS_INTEGERS)) {
                int64_t one = rs_load_int(value, dtype, 0),
                        *all = RS_NEW(x->arena, (size_t)count + 1, int64_t, err);
                if (!all)
                        return false;
                for (int64_t i = 0; i < count; i++)
                        all[i] = one;
                x->out[0].ints = rs_is_symbol(one) ? NULL : all;
                x->out[0].n_ints = rs_is_symbol(one) ? 0 : (size_t)count;
        }
        return !x->concrete || keep_fill(x, value, rs_dtype_size(dtype), err);
}

/* An output of known integers: Shape, Size, Range. */
static bool
give_ints(rs_infer *x, const int64_t *v, size_t n, resect_error *err)
{
        x->out[0].ints = v;
        x->out[0].n_ints = n;
        if (!x->concrete)
                return true;
        void *bytes = rs_arena_alloc(x->arena, n + 1, sizeof *v, err);
        if (!bytes)
                return false;
        rs_row_store_int(bytes, x->out[0].dtype, 0, n, v);
        return keep_fill(x, bytes, n * rs_dtype_size(x->out[0].dtype), err);
}

static bool
infer_shape(rs_infer *x, resect_error *err)
{
        int64_t start, end;
        if (!rs_op_counts(x, 1, 1, 1, err))
                return false;
        const rs_type *t = x->in[0];
        if (!rs_op_int(x, "start", 0, &start, err) || !rs_op_int(x, "end", t->rank, &end, err))
                return false;
        start = start < 0 ? start + t->rank : start;
        end = end < 0 ? end + t->rank : end;
        start = start < 0 ? 0 : start > t->rank ? t->rank : start;
        end = end > t->rank ? t->rank : end;
        int64_t n = end > start ? end - start : 0,
                *v = RS_NEW(x->arena, (size_t)n + 1, int64_t, err);
        if (!v || !rs_op_out(x, 0, RESECT_INT64, 1, &n, err))
                return false;
        memcpy(v, t->dims + start, (size_t)n * sizeof *v);
        return give_ints(x, v, (size_t)n, err);
}

static bool
infer_size(rs_infer *x, resect_error *err)
{
        if (!rs_op_counts(x, 1, 1, 1, err) || !rs_op_out(x, 0, RESECT_INT64, 0, NULL, err))
                return false;
        const rs_type *t = x->in[0];
        int64_t *v = RS_NEW(x->arena, 1, int64_t, err);
        if (!v)
                return false;
        *v = 1;
        for (int d = 0; d < t->rank; d++)
                if (!rs_op_size_mul(x, *v, t->dims[d], v, err))
                        return false;
        return give_ints(x, v, 1, err);
}

static bool
infer_range(rs_infer *x, resect_error *err)
{
        static const char *const names[] = {"start", "limit", "delta"};
        int64_t v[3], n;
        if (!rs_op_counts(x, 3, 3, 1, err) || !rs_op_same_dtype(x, 0, 1, err) ||
                !rs_op_same_dtype(x, 0, 2, err) || !rs_op_dtype(x, 0, RS_INTEGERS, err))
                return false;
        bool known = true;
        for (size_t i = 0; i < 3; i++) {
                const int64_t *e;
                if (!rs_op_elements(x, i, names[i], &e, &n, err))
                        return false;
                if (n != 1)
                        return rs_op_fail(x, err, RESECT_GRAPH, "%s is not one number", names[i]);
                v[i] = e ? *e : RS_SYMBOL(0);
                known &= e && !rs_is_symbol(*e);
        }
        if (!known) {
                n = v[1];
                bool counts = v[0] == 0 && v[2] == 1 && rs_op_in(x, 1)->ints; /* 0, 1, ... N - 1 */
                return (counts || rs_op_size_new(x, &n, err)) &&
                       rs_op_out(x, 0, x->in[0]->dtype, 1, &n, err);
        }
        int64_t span;
        if (!v[2] || __builtin_sub_overflow(v[1], v[0], &span) || v[2] == INT64_MIN)
                return rs_op_fail(x, err, RESECT_GRAPH, "%lld to %lld by %lld is no range",
                        (long long)v[0], (long long)v[1], (long long)v[2]);
        n = span && (span < 0) == (v[2] < 0)
                    ? (span < 0 ? (span + 1) / v[2] : (span - 1) / v[2]) + 1
                    : 0;
        if (!rs_op_out(x, 0, x->in[0]->dtype, 1, &n, err))
                return false;
        if (n > RS_INTS_MAX)
                return !x->concrete || rs_op_fail(x, err, RESECT_UNSUPPORTED,
                                               "a range of %lld numbers is too long", (long long)n);
        int64_t *all = RS_NEW(x->arena, (size_t)n + 1, int64_t, err);
        if (!all)
                return false;
        for (int64_t i = 0; i < n; i++)
                all[i] = v[0] + i * v[2];
        return give_ints(x, all, (size_t)n, err);
}

#define KNOWN(id, op_name, from, how)              \
        const rs_op rs_op_##id = {.name = op_name, \
                .domain = "",                      \
                .since = from,                     \
                .alias = -1,                       \
                .infer = how,                      \
                .forward = forward_fill};
KNOWN(constant, "Constant", 1, infer_constant)
KNOWN(constant_of_shape, "ConstantOfShape", 9, infer_constant_of_shape)
KNOWN(shape, "Shape", 1, infer_shape)
KNOWN(size, "Size", 1, infer_size)
KNOWN(range, "Range", 11, infer_range)
