/* SPDX-License-Identifier: 0BSD */
/*
 * Cast and CastLike. Integers to integers keep their low bits; floats to integers drop the
 * fraction, stay within the target's range and make NaN 0 (what the specification leaves open);
 * anything to bool asks whether it is 0; float16 and bfloat16 round to nearest even.
 */
#include "op/move.h"

#include <math.h>

struct state {
        bool integer; /* from integers or bool */
};

int32_t
rs_op_dtype_named(rs_span name)
{
        static const char *const names[] = {"", "FLOAT", "UINT8", "INT8", "UINT16", "INT16",
                "INT32", "INT64", "STRING", "BOOL", "FLOAT16", "DOUBLE", "UINT32", "UINT64"};
        int32_t to = 13;
        while (to > 0 && !(name.data && rs_span_is(name, names[to])))
                to--;
        return to;
}

static bool
infer(rs_infer *x, resect_error *err)
{
        bool like = x->node->op[4] == 'L';
        int64_t to;
        if (!rs_op_counts(x, like ? 2 : 1, like ? 2 : 1, 1, err) || !rs_op_dtype(x, 0, RS_ANY, err))
                return false;
        if (like)
                to = x->in[1]->dtype;
        else if (x->opset < 6) {
                rs_span name;
                if (!rs_op_string(x, "to", &name, err))
                        return false;
                to = rs_op_dtype_named(name);
        } else if (!rs_op_int(x, "to", 0, &to, err))
                return false;
        if (to < 1 || to > 31)
                return rs_op_fail(x, err, RESECT_GRAPH, "attribute to is missing or no dtype");
        if (!rs_dtype_in((int32_t)to, RS_ANY))
                return rs_op_fail(
                        x, err, RESECT_UNSUPPORTED, "to %s", resect_dtype_name((resect_dtype)to));
        const rs_type *t = x->in[0];
        if (!rs_op_out(x, 0, (int32_t)to, t->rank, t->dims, err))
                return false;
        bool fits = t->ints != NULL && (to == RESECT_INT64 || to == RESECT_INT32);
        for (size_t i = 0; fits && i < t->n_ints && to == RESECT_INT32; i++)
                fits = rs_is_symbol(t->ints[i]) || t->ints[i] == (int32_t)t->ints[i];
        if (fits) {
                x->out[0].ints = t->ints;
                x->out[0].n_ints = t->n_ints;
        }
        if (!x->concrete)
                return true;
        struct state *s = RS_STATE(x, struct state, err);
        if (s)
                s->integer = rs_dtype_in(t->dtype, RS_INTEGERS | RS_BOOLS);
        return s != NULL;
}

static void
cast_ints(const resect_tensor *x, resect_tensor *y, size_t at, size_t n)
{
        int64_t v[RS_ROW];
        rs_row_load_int(x->data, (int32_t)x->dtype, (int64_t)at, 1, n, v);
        if (rs_dtype_in((int32_t)y->dtype, RS_INTEGERS | RS_BOOLS)) {
                rs_row_store_int(y->data, (int32_t)y->dtype, at, n, v);
                return;
        }
        bool is_unsigned = x->dtype == RESECT_UINT64;
        if (y->dtype == RESECT_FLOAT) { /* in one rounding */
                float *out = (float *)y->data + at;
                for (size_t i = 0; i < n; i++)
                        out[i] = is_unsigned ? (float)(uint64_t)v[i] : (float)v[i];
                return;
        }
        for (size_t i = 0; i < n; i++)
                rs_store(y->data, (int32_t)y->dtype, at + i,
                        is_unsigned ? (double)(uint64_t)v[i] : (double)v[i]);
}

static void
cast_reals(const resect_tensor *x, resect_tensor *y, size_t at, size_t n)
{
        double v[RS_ROW];
        rs_row_load(x->data, (int32_t)x->dtype, (int64_t)at, 1, n, v);
        if (y->dtype == RESECT_BOOL)
                for (size_t i = 0; i < n; i++)
                        v[i] = v[i] != 0;
        else if (rs_dtype_in((int32_t)y->dtype, RS_INTEGERS))
                for (size_t i = 0; i < n; i++)
                        v[i] = trunc(v[i]);
        rs_row_store(y->data, (int32_t)y->dtype, at, n, v);
}

static void
forward(const rs_call *c)
{
        const struct state *s = c->state;
        size_t count = (size_t)resect_tensor_count(c->in[0]), rows = (count + RS_ROW - 1) / RS_ROW;
        int threads = rs_threads_for(c->threads, count);
        RS_PARALLEL(threads)
        for (size_t u = 0; u < rows; u++) {
                size_t at = u * RS_ROW, n = count - at < RS_ROW ? count - at : RS_ROW;
                (s->integer ? cast_ints : cast_reals)(c->in[0], c->out[0], at, n);
        }
}

/* Between floats the slope is 1; nothing goes through integers. */
static void
backward(const rs_call *c)
{
        if (c->dout[0] && c->din[0] && rs_dtype_in((int32_t)c->dout[0]->dtype, RS_FLOATS) &&
                rs_dtype_in((int32_t)c->din[0]->dtype, RS_FLOATS))
                rs_accumulate(c->din[0], c->dout[0], c->threads);
}

const rs_op rs_op_cast = {.name = "Cast",
        .domain = "",
        .since = 1,
        .alias = -1,
        .infer = infer,
        .forward = forward,
        .backward = backward};
const rs_op rs_op_cast_like = {.name = "CastLike",
        .domain = "",
        .since = 15,
        .alias = -1,
        .infer = infer,
        .forward = forward,
        .backward = backward};
