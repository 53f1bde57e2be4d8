/* SPDX-License-Identifier: 0BSD */
/*
 * Reductions over axes. Each is a formula for a summand, a way summands meet, and a formula for the
 * end; floats are reduced in double in the order of their indices, integers in 64 bits (they wrap
 * as the dtype does). LogSumExp takes the maximum first.
 */
#include "op/move.h"

#include <math.h>
#include <string.h>

enum kind { SUM, MEAN, MAX, MIN, PROD, L1, L2, SUM_SQUARE, LOG_SUM, LOG_SUM_EXP };

static const struct {
        const char *name;
        enum kind kind;
        rs_combine combine;
} table[] = {
        {"ReduceSum", SUM, RS_SUM},
        {"ReduceMean", MEAN, RS_SUM},
        {"ReduceMax", MAX, RS_MAXIMUM},
        {"ReduceMin", MIN, RS_MINIMUM},
        {"ReduceProd", PROD, RS_PRODUCT},
        {"ReduceL1", L1, RS_SUM},
        {"ReduceL2", L2, RS_SUM},
        {"ReduceSumSquare", SUM_SQUARE, RS_SUM},
        {"ReduceLogSum", LOG_SUM, RS_SUM},
        {"ReduceLogSumExp", LOG_SUM_EXP, RS_SUM},
};

struct state {
        enum kind kind;
        bool integer, is_unsigned;
        double count; /* elements that meet in one output */
        rs_fold fold; /* operands: the input; the output, broadcast back (LogSumExp) */
        rs_walk back; /* over the input: operand 0 is the output's shape */
};

/* The axes, as bits; *known false when only data tells. */
static bool
read_axes(rs_infer *x, uint32_t *set, bool *known, resect_error *err)
{
        const rs_type *t = x->in[0];
        const int64_t *v;
        int64_t n, noop;
        if (!rs_op_ints_or_input(x, "axes", 1, &v, &n, err) ||
                !rs_op_int(x, "noop_with_empty_axes", 0, &noop, err))
                return false;
        *known = v || !n;
        if (!*known)
                return true;
        if (!n) {
                *set = noop ? 0 : (1u << t->rank) - 1;
                return true;
        }
        return rs_op_axes(x, v, (size_t)n, t->rank, set, err);
}

/* The product of a shape's elements is a size; of plain numbers, so are the others. */
static bool
reduce_ints(rs_infer *x, enum kind kind, uint32_t set, resect_error *err)
{
        const rs_type *t = x->in[0];
        if (!t->ints || t->rank != 1 || set != 1 || !t->n_ints || kind > PROD || kind == MEAN ||
                (t->dtype != RESECT_INT64 && t->dtype != RESECT_INT32))
                return true;
        int64_t *v = RS_NEW(x->arena, 1, int64_t, err);
        if (!v)
                return false;
        *v = t->ints[0];
        for (size_t i = 0; i < t->n_ints; i++)
                if (rs_is_symbol(t->ints[i]) ? kind != PROD : t->ints[i] < 0)
                        return true;
        for (size_t i = 1; i < t->n_ints; i++) {
                int64_t e = t->ints[i];
                if (kind == MAX || kind == MIN)
                        *v = (e > *v) == (kind == MAX) ? e : *v;
                else if (!(kind == PROD ? rs_op_size_mul : rs_op_size_add)(x, *v, e, v, err))
                        return false;
        }
        if (t->dtype == RESECT_INT32 && *v > INT32_MAX)
                return true;
        x->out[0].ints = v;
        x->out[0].n_ints = 1;
        return true;
}

static bool
make_state(rs_infer *x, size_t k, uint32_t set, const rs_type *kept, resect_error *err)
{
        const rs_type *t = x->in[0];
        struct state *s = RS_STATE(x, struct state, err);
        if (!s || !rs_fold_make(&s->fold, x->arena, t->rank, t->dims, set, 2, err))
                return false;
        s->kind = table[k].kind;
        s->integer = rs_dtype_in(t->dtype, RS_INTEGERS | RS_BOOLS);
        s->is_unsigned = t->dtype == RESECT_UINT64;
        s->fold.combine = table[k].combine;
        rs_fold_operand(&s->fold, set, 0, t->rank, t->dims, t->rank);
        rs_fold_operand(&s->fold, set, 1, kept->rank, kept->dims, t->rank);
        rs_fold_end(&s->fold);
        s->count = (double)s->fold.summed.count;
        return !x->training || rs_walk_broadcast(&s->back, x->arena, t, &kept, 1, err);
}

static bool
infer(rs_infer *x, resect_error *err)
{
        size_t k = 0;
        while (k + 1 < sizeof table / sizeof *table && strcmp(table[k].name, x->node->op))
                k++;
        enum kind kind = table[k].kind;
        int64_t keep;
        uint32_t set = 0, floats_only = kind == LOG_SUM || kind == LOG_SUM_EXP || kind == L2
                                                ? RS_FLOATS
                                                : RS_NUMBERS;
        bool known;
        if (!rs_op_counts(x, 1,
                    kind == SUM     ? (x->opset < 13 ? 1 : 2)
                    : x->opset < 18 ? 1
                                    : 2,
                    1, err) ||
                !rs_op_dtype(
                        x, 0, floats_only | (kind == MAX || kind == MIN ? RS_BOOLS : 0), err) ||
                !rs_op_int(x, "keepdims", 1, &keep, err) || !read_axes(x, &set, &known, err))
                return false;
        const rs_type *t = x->in[0];
        rs_type kept = *t, out = {.dtype = t->dtype};
        if (!known && !keep) {
                x->out[0] = (rs_type){.dtype = t->dtype, .rank = -1};
                return true;
        }
        for (int d = 0; d < t->rank; d++) {
                if (!known && !rs_op_size_new(x, &kept.dims[d], err))
                        return false;
                if (set & 1u << d)
                        kept.dims[d] = 1;
                if (keep || !(set & 1u << d))
                        out.dims[out.rank++] = kept.dims[d];
        }
        return rs_op_out_like(x, 0, &out, err) && reduce_ints(x, kind, set, err) &&
               (!x->concrete || make_state(x, k, set, &kept, err));
}

static void
summand(const void *ctx, size_t n, const double *const *v, double *y)
{
        const double *x = v[0], *m = v[1];
        switch (((const struct state *)ctx)->kind) {
        case L1:
                for (size_t i = 0; i < n; i++)
                        y[i] = fabs(x[i]);
                break;
        case L2:
        case SUM_SQUARE:
                for (size_t i = 0; i < n; i++)
                        y[i] = x[i] * x[i];
                break;
        case LOG_SUM_EXP: /* the maximum stands in the output */
                for (size_t i = 0; i < n; i++)
                        y[i] = exp(x[i] - (isfinite(m[i]) ? m[i] : 0));
                break;
        default:
                memcpy(y, x, n * sizeof *y);
        }
}

static void
finish(const void *ctx, const resect_tensor *target, size_t at, size_t n, double *sum)
{
        const struct state *s = ctx;
        double m[RS_ROW];
        switch (s->kind) {
        case MEAN:
                for (size_t i = 0; i < n; i++)
                        sum[i] /= s->count;
                break;
        case L2:
                for (size_t i = 0; i < n; i++)
                        sum[i] = sqrt(sum[i]);
                break;
        case LOG_SUM:
                for (size_t i = 0; i < n; i++)
                        sum[i] = log(sum[i]);
                break;
        case LOG_SUM_EXP:
                rs_row_load(target->data, (int32_t)target->dtype, (int64_t)at, 1, n, m);
                for (size_t i = 0; i < n; i++)
                        sum[i] = (isfinite(m[i]) ? m[i] : 0) + log(sum[i]);
                break;
        default:
                break;
        }
}

static int64_t
meet_int(const struct state *s, int64_t a, int64_t b)
{
        uint64_t ua = (uint64_t)a, ub = (uint64_t)b;
        switch (s->kind) {
        case MAX:
                return (s->is_unsigned ? ub > ua : b > a) ? b : a;
        case MIN:
                return (s->is_unsigned ? ub < ua : b < a) ? b : a;
        case PROD:
                return (int64_t)(ua * ub);
        case L1:
                return (int64_t)(ua + (b < 0 && !s->is_unsigned ? 0 - ub : ub));
        case SUM_SQUARE:
                return (int64_t)(ua + ub * ub);
        default:
                return (int64_t)(ua + ub);
        }
}

/* What no summand at all gives: for a maximum the least of the dtype. */
static int64_t
neutral_int(const struct state *s, int32_t dtype)
{
        bool is_unsigned = rs_dtype_in(dtype, RS_UNSIGNED | RS_BOOLS);
        unsigned bits = dtype == RESECT_BOOL ? 1 : rs_dtype_bits(dtype);
        if (s->kind == PROD)
                return 1;
        if (s->kind == MAX)
                return is_unsigned ? 0 : bits == 64 ? INT64_MIN : -(INT64_C(1) << (bits - 1));
        if (s->kind == MIN)
                return bits == 64 ? (is_unsigned ? -1 : INT64_MAX)
                                  : (INT64_C(1) << (bits - !is_unsigned)) - 1;
        return 0;
}

static int64_t
reduce_one_int(const struct state *s, const resect_tensor *x, int64_t base)
{
        const rs_walk *w = &s->fold.summed;
        int64_t sum = neutral_int(s, (int32_t)x->dtype), v[RS_ROW];
        for (size_t u = 0; u < w->units; u++) {
                rs_row r;
                rs_walk_row(w, u, &r);
                rs_row_load_int(x->data, (int32_t)x->dtype, base + rs_walk_at(w, &r, 0),
                        rs_walk_step(w, 0), r.n, v);
                for (size_t i = 0; i < r.n; i++)
                        sum = meet_int(s, sum, v[i]);
        }
        if (s->kind == MEAN && w->count)
                sum = s->is_unsigned ? (int64_t)((uint64_t)sum / w->count)
                                     : sum / (int64_t)w->count;
        return sum;
}

static void
forward_int(const rs_call *c, const struct state *s)
{
        const rs_walk *w = &s->fold.kept;
        int threads = rs_threads_for(c->threads, w->count * s->fold.summed.count);
        RS_PARALLEL(threads)
        for (size_t u = 0; u < w->units; u++) {
                rs_row r;
                int64_t v[RS_ROW];
                rs_walk_row(w, u, &r);
                int64_t base = rs_walk_at(w, &r, 0);
                for (size_t i = 0; i < r.n; i++)
                        v[i] = reduce_one_int(s, c->in[0], base + (int64_t)i * rs_walk_step(w, 0));
                rs_row_store_int(c->out[0]->data, (int32_t)c->out[0]->dtype, r.at, r.n, v);
        }
}

static void
forward(const rs_call *c)
{
        const struct state *s = c->state;
        if (s->integer) {
                forward_int(c, s);
                return;
        }
        const resect_tensor *v[] = {c->in[0], c->out[0]};
        rs_fold f = s->fold;
        f.kept.n = f.summed.n = 1;
        if (s->kind == LOG_SUM_EXP) {
                struct state most = {.kind = MAX};
                f.combine = RS_MAXIMUM;
                rs_fold_run(&f, c->threads, v, summand, &most, c->out[0], RS_STORE_IN, NULL);
                f = s->fold;
        }
        rs_fold_run(&f, c->threads, v, summand, s, c->out[0], RS_STORE_IN, finish);
}

/* g (already times 1/count for a mean) by what one element x contributes to its output o. */
static void
slope(const struct state *s, size_t n, const double *x, const double *o, double *g)
{
        for (size_t i = 0; i < n; i++)
                switch (s->kind) {
                case MEAN:
                        g[i] /= s->count;
                        break;
                case MAX:
                case MIN:
                        g[i] = x[i] == o[i] ? g[i] : 0;
                        break;
                case L1:
                        g[i] = x[i] > 0 ? g[i] : x[i] < 0 ? -g[i] : 0;
                        break;
                case L2:
                        g[i] = o[i] > 0 ? g[i] * x[i] / o[i] : 0;
                        break;
                case SUM_SQUARE:
                        g[i] *= 2 * x[i];
                        break;
                case LOG_SUM:
                        g[i] /= exp(o[i]);
                        break;
                case LOG_SUM_EXP:
                        g[i] *= exp(x[i] - o[i]);
                        break;
                default:
                        break;
                }
}

static void
backward(const rs_call *c)
{
        const struct state *s = c->state;
        const rs_walk *w = &s->back;
        const resect_tensor *g = c->dout[0];
        resect_tensor *d = c->din[0];
        if (!g || !d)
                return;
        bool reads = s->kind != SUM && s->kind != MEAN;
        const resect_tensor *x = reads ? c->in[0] : g, *o = reads ? c->out[0] : g;
        int threads = rs_threads_for(c->threads, w->count);
        RS_PARALLEL(threads)
        for (size_t u = 0; u < w->units; u++) {
                double vg[RS_ROW], vx[RS_ROW] = {0}, vo[RS_ROW];
                rs_row r;
                rs_walk_row(w, u, &r);
                int64_t at = rs_walk_at(w, &r, 0), step = rs_walk_step(w, 0);
                rs_row_load(g->data, (int32_t)g->dtype, at, step, r.n, vg);
                rs_row_load(o->data, (int32_t)o->dtype, at, step, r.n, vo);
                if (reads)
                        rs_row_load(x->data, (int32_t)x->dtype, (int64_t)r.at, 1, r.n, vx);
                slope(s, r.n, vx, vo, vg);
                rs_row_add(d->data, (int32_t)d->dtype, r.at, r.n, vg);
        }
}

#define BOTH (RS_READS_IN(0) | RS_READS_OUT(0))
#define REDUCE(id, op_name, read, back)            \
        const rs_op rs_op_##id = {.name = op_name, \
                .domain = "",                      \
                .since = 1,                        \
                .reads = read,                     \
                .alias = -1,                       \
                .infer = infer,                    \
                .forward = forward,                \
                .backward = back};
/* clang-format off */
REDUCE(reduce_sum, "ReduceSum", 0, backward)
REDUCE(reduce_mean, "ReduceMean", 0, backward)
REDUCE(reduce_max, "ReduceMax", BOTH, backward)
REDUCE(reduce_min, "ReduceMin", BOTH, backward)
REDUCE(reduce_prod, "ReduceProd", 0, NULL)
REDUCE(reduce_l1, "ReduceL1", BOTH, backward)
REDUCE(reduce_l2, "ReduceL2", BOTH, backward)
REDUCE(reduce_sum_square, "ReduceSumSquare", BOTH, backward)
REDUCE(reduce_log_sum, "ReduceLogSum", BOTH, backward)
REDUCE(reduce_log_sum_exp, "ReduceLogSumExp", BOTH, backward)
