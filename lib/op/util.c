/* SPDX-License-Identifier: 0BSD */
/* Checks that every operator makes, in one place: counts, kinds, axes, and arithmetic on sizes that
 * may be symbols. */
#include "op/util.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* No tensor of more elements is worth planning; sums of a few extents then stay far from overflow.
 */
#define COUNT_MAX (INT64_C(1) << 40)

bool
rs_op_fail(const rs_infer *x, resect_error *err, resect_code code, const char *fmt, ...)
{
        char msg[RESECT_ERROR_MAX];
        va_list ap;
        va_start(ap, fmt);
        vsnprintf(msg, sizeof msg, fmt, ap);
        va_end(ap);
        const rs_node *n = x->node;
        const char *name = n->name && *n->name ? n->name : n->n_out ? n->out[0] : "";
        return *name ? rs_fail(err, code, "%.200s (%.60s): %s", name, n->op, msg)
                     : rs_fail(err, code, "%.60s: %s", n->op, msg);
}

bool
rs_op_counts(const rs_infer *x, size_t min, size_t max, size_t outs, resect_error *err)
{
        if (x->n_in < min || x->n_in > max || x->n_in > RS_IN_MAX)
                return rs_op_fail(x, err, RESECT_GRAPH, "has %zu inputs, takes %zu to %zu", x->n_in,
                        min, max);
        for (size_t i = 0; i < min; i++)
                if (!x->in[i])
                        return rs_op_fail(x, err, RESECT_GRAPH, "input %zu is missing", i);
        if (!x->n_out || x->n_out > outs || x->n_out > RS_OUT_MAX)
                return rs_op_fail(
                        x, err, RESECT_GRAPH, "has %zu outputs, makes 1 to %zu", x->n_out, outs);
        return true;
}

bool
rs_op_dtype(const rs_infer *x, size_t i, uint32_t set, resect_error *err)
{
        const rs_type *t = rs_op_in(x, i);
        return !t || rs_dtype_in(t->dtype, set) ||
               rs_op_fail(x, err, RESECT_UNSUPPORTED, "input %zu cannot be %s", i,
                       resect_dtype_name((resect_dtype)t->dtype));
}

bool
rs_op_same_dtype(const rs_infer *x, size_t i, size_t j, resect_error *err)
{
        const rs_type *a = rs_op_in(x, i), *b = rs_op_in(x, j);
        return !a || !b || a->dtype == b->dtype ||
               rs_op_fail(x, err, RESECT_GRAPH, "input %zu is %s, input %zu is %s", i,
                       resect_dtype_name((resect_dtype)a->dtype), j,
                       resect_dtype_name((resect_dtype)b->dtype));
}

/* The attribute, *a NULL when absent; an error when it is of another kind. */
static bool
attr(const rs_infer *x, const char *name, int32_t type, const rs_attr **a, resect_error *err)
{
        *a = rs_node_attr(x->node, name);
        return !*a || (*a)->type == type ||
               rs_op_fail(x, err, RESECT_GRAPH, "attribute %s is of the wrong kind", name);
}

bool
rs_op_int(const rs_infer *x, const char *name, int64_t otherwise, int64_t *out, resect_error *err)
{
        const rs_attr *a;
        if (!attr(x, name, RS_ATTR_INT, &a, err))
                return false;
        *out = a ? a->i : otherwise;
        return true;
}

bool
rs_op_float(const rs_infer *x, const char *name, float otherwise, float *out, resect_error *err)
{
        const rs_attr *a;
        if (!attr(x, name, RS_ATTR_FLOAT, &a, err))
                return false;
        *out = a ? a->f : otherwise;
        return true;
}

bool
rs_op_ints(const rs_infer *x, const char *name, const int64_t **v, size_t *n, resect_error *err)
{
        static const int64_t none;
        const rs_attr *a;
        if (!attr(x, name, RS_ATTR_INTS, &a, err))
                return false;
        for (size_t i = 0; a && i < a->n; i++) /* symbols are made by inference alone */
                if (rs_is_symbol(a->ints[i]))
                        return rs_op_fail(x, err, RESECT_GRAPH, "attribute %s has %lld", name,
                                (long long)a->ints[i]);
        *v = !a ? NULL : a->n ? a->ints : &none;
        *n = a ? a->n : 0;
        return true;
}

bool
rs_op_string(const rs_infer *x, const char *name, rs_span *out, resect_error *err)
{
        const rs_attr *a;
        if (!attr(x, name, RS_ATTR_STRING, &a, err))
                return false;
        *out = a ? a->s : (rs_span){0};
        if (a && !out->data)
                out->data = (const unsigned char *)"";
        return true;
}

bool
rs_op_elements(const rs_infer *x, size_t i, const char *what, const int64_t **v, int64_t *n,
        resect_error *err)
{
        const rs_type *t = rs_op_in(x, i);
        *v = NULL;
        *n = 0;
        if (!t)
                return rs_op_fail(x, err, RESECT_GRAPH, "input %zu (%s) is missing", i, what);
        if (!rs_dtype_in(t->dtype, RS_INTEGERS) || t->rank > 1)
                return rs_op_fail(x, err, RESECT_GRAPH,
                        "%s must be a list of integers, not %s of rank %d", what,
                        resect_dtype_name((resect_dtype)t->dtype), t->rank);
        *n = t->rank ? t->dims[0] : 1;
        if (t->ints) {
                *v = t->ints;
                *n = (int64_t)t->n_ints;
                return true;
        }
        return !x->concrete || rs_op_fail(x, err, RESECT_UNSUPPORTED,
                                       "%s's %s is computed from data", x->node->op, what);
}

bool
rs_op_ints_or_input(const rs_infer *x, const char *name, size_t i, const int64_t **v, int64_t *n,
        resect_error *err)
{
        size_t count;
        *v = NULL;
        *n = 0;
        if (rs_op_in(x, i))
                return rs_op_elements(x, i, name, v, n, err);
        if (!rs_op_ints(x, name, v, &count, err))
                return false;
        *n = (int64_t)count;
        return true;
}

bool
rs_op_axis(const rs_infer *x, int64_t axis, int rank, int *out, resect_error *err)
{
        if (axis < -rank || axis >= rank)
                return rs_op_fail(x, err, RESECT_GRAPH, "axis %lld is not one of rank %d",
                        (long long)axis, rank);
        *out = (int)(axis < 0 ? axis + rank : axis);
        return true;
}

bool
rs_op_axes(
        const rs_infer *x, const int64_t *v, size_t n, int rank, uint32_t *set, resect_error *err)
{
        *set = 0;
        for (size_t i = 0; i < n; i++) {
                int a = 0;
                if (!rs_op_axis(x, v[i], rank, &a, err))
                        return false;
                if (*set & 1u << a)
                        return rs_op_fail(x, err, RESECT_GRAPH, "axis %d is given twice", a);
                *set |= 1u << a;
        }
        return true;
}

bool
rs_symbol_add(rs_symbols *s, rs_arena *arena, const char *name, int64_t *out, resect_error *err)
{
        if (s->count < 16 ? !s->count
                          : !(s->count & (s->count - 1))) { /* full at 0, 16, 32, 64 ... */
                size_t cap = s->count < 16 ? 16 : s->count * 2;
                const char **names = RS_NEW(arena, cap, const char *, err);
                if (!names)
                        return false;
                if (s->count)
                        memcpy(names, s->names, s->count * sizeof *names);
                s->names = names;
        }
        *out = RS_SYMBOL(s->count);
        s->names[s->count++] = name;
        return true;
}

bool
rs_type_set_ints(rs_type *t, rs_arena *arena, const void *data, resect_error *err)
{
        t->ints = NULL;
        t->n_ints = 0;
        int64_t n = rs_type_count(t);
        if (t->rank < 0 || t->rank > 1 || n < 0 || n > RS_INTS_MAX ||
                !rs_dtype_in(t->dtype, RS_INTEGERS | RS_BOOLS))
                return true;
        int64_t *v = RS_NEW(arena, (size_t)n + 1, int64_t, err);
        if (!v)
                return false;
        for (size_t i = 0; i < (size_t)n; i++) {
                v[i] = rs_load_int(data, t->dtype, i);
                if (rs_is_symbol(v[i]))
                        return true;
        }
        t->ints = v;
        t->n_ints = (size_t)n;
        return true;
}

bool
rs_op_size_new(rs_infer *x, int64_t *out, resect_error *err)
{
        if (x->concrete || !x->symbols)
                return rs_op_fail(x, err, RESECT_UNSUPPORTED, "a size is computed from data");
        return rs_symbol_add(x->symbols, x->arena, NULL, out, err);
}

bool
rs_size_equal(int64_t a, int64_t b, int64_t *out)
{
        if (out)
                *out = a < 0 ? b : a;
        return a == b || a < 0 || b < 0;
}

bool
rs_op_size_add(rs_infer *x, int64_t a, int64_t b, int64_t *out, resect_error *err)
{
        if (!a || !b) {
                *out = a ? a : b;
                return true;
        }
        if (a < 0 || b < 0)
                return rs_op_size_new(x, out, err);
        return !__builtin_add_overflow(a, b, out) ||
               rs_op_fail(x, err, RESECT_GRAPH, "a size does not fit");
}

bool
rs_op_size_mul(rs_infer *x, int64_t a, int64_t b, int64_t *out, resect_error *err)
{
        if (!a || !b || a == 1 || b == 1) {
                *out = !a || !b ? 0 : a == 1 ? b : a;
                return true;
        }
        if (a < 0 || b < 0)
                return rs_op_size_new(x, out, err);
        return !__builtin_mul_overflow(a, b, out) ||
               rs_op_fail(x, err, RESECT_GRAPH, "a size does not fit");
}

bool
rs_op_out(rs_infer *x, size_t k, int32_t dtype, int rank, const int64_t *dims, resect_error *err)
{
        rs_type *t = &x->out[k];
        if (rank > RESECT_RANK_MAX)
                return rs_op_fail(x, err, RESECT_UNSUPPORTED,
                        "output %zu has rank %d, at most %d go", k, rank, RESECT_RANK_MAX);
        t->dtype = dtype;
        t->rank = rank;
        t->ints = NULL;
        t->n_ints = 0;
        bool empty = false, large = false;
        int64_t count = 1;
        for (int i = 0; i < rank; i++) {
                t->dims[i] = dims[i];
                if (dims[i] < 0 && (x->concrete || !rs_is_symbol(dims[i])))
                        return rs_op_fail(x, err, RESECT_GRAPH, "output %zu would have size %lld",
                                k, (long long)dims[i]);
                empty |= !dims[i];
                if (dims[i] > 0)
                        large |=
                                __builtin_mul_overflow(count, dims[i], &count) || count > COUNT_MAX;
                if (large)
                        count = COUNT_MAX;
        }
        return empty || !large ||
               rs_op_fail(x, err, RESECT_UNSUPPORTED, "output %zu has more than 2^40 elements", k);
}

bool
rs_op_out_like(rs_infer *x, size_t k, const rs_type *t, resect_error *err)
{
        return rs_op_out(x, k, t->dtype, t->rank, t->dims, err);
}

bool
rs_op_broadcast(
        rs_infer *x, const rs_type *const *t, size_t n, int *rank, int64_t *dims, resect_error *err)
{
        *rank = 0;
        for (size_t i = 0; i < n; i++)
                *rank = t[i]->rank > *rank ? t[i]->rank : *rank;
        for (int d = 0; d < *rank; d++) {
                int64_t size = 1;
                for (size_t i = 0; i < n; i++) {
                        int at = d - (*rank - t[i]->rank);
                        int64_t s = at < 0 ? 1 : t[i]->dims[at];
                        if (s == 1 || s == size)
                                continue;
                        if (size == 1)
                                size = s;
                        else if (s < 0 && size < 0) { /* one of the two, or equal: nobody knows */
                                if (!rs_op_size_new(x, &size, err))
                                        return false;
                        } else if (!rs_size_equal(s, size, &size))
                                return rs_op_fail(x, err, RESECT_GRAPH,
                                        "sizes %lld and %lld of axis %d do not broadcast",
                                        (long long)size, (long long)s, d);
                }
                dims[d] = size;
        }
        return true;
}

int64_t
rs_type_count(const rs_type *t)
{
        int64_t n = 1;
        for (int i = 0; i < t->rank; i++) {
                if (t->dims[i] < 0)
                        return -1;
                if (__builtin_mul_overflow(n, t->dims[i], &n))
                        return -1;
        }
        return n;
}
