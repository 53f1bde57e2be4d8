/* SPDX-License-Identifier: 0BSD */
/*
 * Operators of two broadcast operands: arithmetic, comparison, logic, PRelu. One kernel serves them
 * all: rows of both operands are loaded as doubles (or as 64-bit integers when both are integers),
 * combined by a loop of the operator's own, and stored. Rounding a double sum, difference, product
 * or quotient of two floats to float gives exactly the float result (Figueroa, 1995), so nothing is
 * lost by the detour.
 */
#include "op/walk.h"

#include <math.h>
#include <string.h>

enum kind {
        ADD,
        SUB,
        MUL,
        DIV,
        POW,
        MOD,
        PRELU,
        AND,
        OR,
        XOR,
        EQUAL,
        LESS,
        GREATER,
        LESS_EQUAL,
        GREATER_EQUAL
};

static const struct {
        const char *name;
        enum kind kind;
        uint32_t dtypes;
} table[] = {
        {"Add", ADD, RS_NUMBERS},
        {"Sub", SUB, RS_NUMBERS},
        {"Mul", MUL, RS_NUMBERS},
        {"Div", DIV, RS_NUMBERS},
        {"Pow", POW, RS_NUMBERS},
        {"Mod", MOD, RS_NUMBERS},
        {"PRelu", PRELU, RS_NUMBERS},
        {"And", AND, RS_BOOLS},
        {"Or", OR, RS_BOOLS},
        {"Xor", XOR, RS_BOOLS},
        {"Equal", EQUAL, RS_ANY},
        {"Less", LESS, RS_NUMBERS},
        {"Greater", GREATER, RS_NUMBERS},
        {"LessOrEqual", LESS_EQUAL, RS_NUMBERS},
        {"GreaterOrEqual", GREATER_EQUAL, RS_NUMBERS},
};

struct state {
        enum kind kind;
        bool fmod;        /* Mod: C's fmod, not Python's % */
        bool integer;     /* both operands and the result are integers */
        bool is_unsigned; /* 64-bit unsigned */
        rs_walk walk;
        rs_fold fold[2]; /* training: gradients of a and b; operands dout, a, b, out */
};

static int64_t
power_int(int64_t base, int64_t exponent)
{
        uint64_t r = 1, b = (uint64_t)base;
        if (exponent < 0)
                return base == 1 ? 1 : base == -1 ? (exponent & 1 ? -1 : 1) : 0;
        for (; exponent; exponent >>= 1, b *= b)
                if (exponent & 1)
                        r *= b;
        return (int64_t)r;
}

/* Python's %, or C's. A divisor of 0 gives 0: kernels do not fail. */
static int64_t
mod_int(int64_t a, int64_t b, bool c_like)
{
        if (!b || b == -1)
                return 0;
        int64_t r = a % b;
        return r && !c_like && (r < 0) != (b < 0) ? r + b : r;
}

#define ROW(expression)                        \
        do {                                   \
                for (size_t i = 0; i < n; i++) \
                        y[i] = (expression);   \
        } while (0)

static void
apply_real(const struct state *s, size_t n, const double *a, const double *b, double *y)
{
        switch (s->kind) {
        case ADD:
                ROW(a[i] + b[i]);
                break;
        case SUB:
                ROW(a[i] - b[i]);
                break;
        case MUL:
                ROW(a[i] * b[i]);
                break;
        case DIV:
                ROW(a[i] / b[i]);
                break;
        case POW:
                ROW(pow(a[i], b[i]));
                break;
        case MOD:
                ROW(fmod(a[i], b[i]));
                break;
        case PRELU:
                ROW(a[i] < 0 ? a[i] * b[i] : a[i]);
                break;
        case AND:
                ROW(a[i] != 0 && b[i] != 0);
                break;
        case OR:
                ROW(a[i] != 0 || b[i] != 0);
                break;
        case XOR:
                ROW((a[i] != 0) != (b[i] != 0));
                break;
        case EQUAL:
                ROW(a[i] == b[i]);
                break;
        case LESS:
                ROW(a[i] < b[i]);
                break;
        case GREATER:
                ROW(a[i] > b[i]);
                break;
        case LESS_EQUAL:
                ROW(a[i] <= b[i]);
                break;
        case GREATER_EQUAL:
                ROW(a[i] >= b[i]);
                break;
        }
}

/* Sums and products wrap, computed without sign, which C defines. */
#define U(v) ((uint64_t)(v))
static void
apply_signed(const struct state *s, size_t n, const int64_t *a, const int64_t *b, int64_t *y)
{
        switch (s->kind) {
        case ADD:
                ROW((int64_t)(U(a[i]) + U(b[i])));
                break;
        case SUB:
                ROW((int64_t)(U(a[i]) - U(b[i])));
                break;
        case MUL:
                ROW((int64_t)(U(a[i]) * U(b[i])));
                break;
        case DIV:
                ROW(!b[i] ? 0 : b[i] == -1 ? (int64_t)(0 - U(a[i])) : a[i] / b[i]);
                break;
        case POW:
                ROW(power_int(a[i], b[i]));
                break;
        case MOD:
                ROW(mod_int(a[i], b[i], s->fmod));
                break;
        case PRELU:
                ROW(a[i] < 0 ? (int64_t)(U(a[i]) * U(b[i])) : a[i]);
                break;
        case AND:
                ROW(a[i] && b[i]);
                break;
        case OR:
                ROW(a[i] || b[i]);
                break;
        case XOR:
                ROW(!a[i] != !b[i]);
                break;
        case EQUAL:
                ROW(a[i] == b[i]);
                break;
        case LESS:
                ROW(a[i] < b[i]);
                break;
        case GREATER:
                ROW(a[i] > b[i]);
                break;
        case LESS_EQUAL:
                ROW(a[i] <= b[i]);
                break;
        case GREATER_EQUAL:
                ROW(a[i] >= b[i]);
                break;
        }
}

/* Where 64 unsigned bits differ from signed ones. */
static void
apply_unsigned(const struct state *s, size_t n, const int64_t *a, const int64_t *b, int64_t *y)
{
        switch (s->kind) {
        case DIV:
                ROW(b[i] ? (int64_t)(U(a[i]) / U(b[i])) : 0);
                break;
        case MOD:
                ROW(b[i] ? (int64_t)(U(a[i]) % U(b[i])) : 0);
                break;
        case PRELU:
                ROW(a[i]);
                break;
        case LESS:
                ROW(U(a[i]) < U(b[i]));
                break;
        case GREATER:
                ROW(U(a[i]) > U(b[i]));
                break;
        case LESS_EQUAL:
                ROW(U(a[i]) <= U(b[i]));
                break;
        case GREATER_EQUAL:
                ROW(U(a[i]) >= U(b[i]));
                break;
        default:
                apply_signed(s, n, a, b, y);
        }
}
#undef U

/* Opsets 1 to 6: b's shape is equal to a's, or with broadcast = 1 a run of a's axes that starts at
 * axis (default: the last ones). */
static bool
old_broadcast(rs_infer *x, rs_type *b, resect_error *err)
{
        const rs_type *a = x->in[0];
        int64_t broadcast, axis;
        if (!rs_op_int(x, "broadcast", 0, &broadcast, err) ||
                !rs_op_int(x, "axis", a->rank - b->rank, &axis, err))
                return false;
        if (!broadcast && a->rank != b->rank)
                return rs_op_fail(x, err, RESECT_GRAPH, "ranks %d and %d differ and broadcast is 0",
                        a->rank, b->rank);
        if (axis < 0)
                axis += a->rank;
        if (broadcast && b->rank == 1 && b->dims[0] == 1)
                return true; /* a single element goes everywhere */
        if (b->rank > a->rank || axis < 0 || axis > a->rank - b->rank)
                return rs_op_fail(x, err, RESECT_GRAPH,
                        "rank %d cannot be laid along rank %d from axis %lld", b->rank, a->rank,
                        (long long)axis);
        for (int d = b->rank; d < a->rank - (int)axis; d++)
                b->dims[d] = 1; /* axes of size 1 behind it align it */
        b->rank = a->rank - (int)axis;
        for (int d = 0; d < b->rank; d++)
                if (b->dims[d] != 1 && !rs_size_equal(b->dims[d], a->dims[axis + d], NULL))
                        return rs_op_fail(x, err, RESECT_GRAPH,
                                "sizes of axis %d differ: %lld and %lld", (int)axis + d,
                                (long long)a->dims[axis + d], (long long)b->dims[d]);
        return true;
}

/* One element of + - * / on sizes; false when the result is not known. */
static bool
combine_ints(rs_infer *x, enum kind kind, int64_t a, int64_t b, int64_t *out, resect_error *err,
        bool *oom)
{
        if (rs_is_symbol(a) || rs_is_symbol(b)) {
                if ((kind == ADD && !b) || (kind == SUB && !b) ||
                        ((kind == MUL || kind == DIV) && b == 1))
                        *out = a;
                else if ((kind == ADD && !a) || (kind == MUL && a == 1))
                        *out = b;
                else if (kind == SUB && a == b)
                        *out = 0;
                else if (kind == MUL && (!a || !b))
                        *out = 0;
                else if (x->concrete || !x->symbols)
                        return false;
                else if (!rs_op_size_new(x, out, err))
                        return !(*oom = true);
                return true;
        }
        bool wraps = false;
        switch (kind) {
        case ADD:
                wraps = __builtin_add_overflow(a, b, out);
                break;
        case SUB:
                wraps = __builtin_sub_overflow(a, b, out);
                break;
        case MUL:
                wraps = __builtin_mul_overflow(a, b, out);
                break;
        case DIV:
                wraps = !b || (a == INT64_MIN && b == -1);
                *out = wraps ? 0 : a / b;
                break;
        default:
                wraps = true;
        }
        return !wraps && !rs_is_symbol(*out);
}

/* Small integers are computed when planned: shapes are made of them. */
static bool
propagate_ints(rs_infer *x, enum kind kind, resect_error *err)
{
        const rs_type *a = x->in[0], *b = x->in[1];
        int64_t n = x->out[0].rank ? x->out[0].dims[0] : 1;
        if (kind > DIV || !a->ints || !b->ints || x->out[0].rank > 1 || n < 0 || n > RS_INTS_MAX ||
                (a->dtype != RESECT_INT64 && a->dtype != RESECT_INT32))
                return true;
        int64_t *v = RS_NEW(x->arena, (size_t)n + 1, int64_t, err);
        if (!v)
                return false;
        for (int64_t i = 0; i < n; i++) {
                bool oom = false;
                if (!combine_ints(x, kind, a->ints[a->n_ints == 1 ? 0 : i],
                            b->ints[b->n_ints == 1 ? 0 : i], &v[i], err, &oom))
                        return !oom;
                if (a->dtype == RESECT_INT32 && !rs_is_symbol(v[i]) && v[i] != (int32_t)v[i])
                        return true;
        }
        x->out[0].ints = v;
        x->out[0].n_ints = (size_t)n;
        return true;
}

static bool
make_state(rs_infer *x, enum kind kind, const rs_type *b, resect_error *err)
{
        const rs_type *a = x->in[0], *operands[] = {a, b}, *out = &x->out[0];
        struct state *s = RS_STATE(x, struct state, err);
        int64_t c_like = 0;
        if (!s || (kind == MOD && !rs_op_int(x, "fmod", 0, &c_like, err)))
                return false;
        s->kind = kind;
        s->fmod = c_like != 0;
        s->integer = rs_dtype_in(a->dtype, RS_INTEGERS | RS_BOOLS) &&
                     rs_dtype_in(b->dtype, RS_INTEGERS | RS_BOOLS);
        s->is_unsigned = a->dtype == RESECT_UINT64;
        if (!rs_walk_broadcast(&s->walk, x->arena, out, operands, 2, err))
                return false;
        const rs_type *all[] = {out, a, b, out};
        return !x->training ||
               (rs_fold_broadcast(&s->fold[0], x->arena, out, a, all, 4, err) &&
                       rs_fold_broadcast(&s->fold[1], x->arena, out, b, all, 4, err));
}

static bool
infer(rs_infer *x, resect_error *err)
{
        size_t k = 0;
        while (k + 1 < sizeof table / sizeof *table && strcmp(table[k].name, x->node->op))
                k++;
        enum kind kind = table[k].kind;
        if (!rs_op_counts(x, 2, 2, 1, err) || !rs_op_dtype(x, 0, table[k].dtypes, err) ||
                !rs_op_dtype(x, 1, table[k].dtypes, err))
                return false;
        if (kind != POW && !rs_op_same_dtype(x, 0, 1, err))
                return false;
        rs_type b = *x->in[1];
        if (x->opset < 7 && kind != PRELU && kind != MOD && !old_broadcast(x, &b, err))
                return false;
        if (x->opset < 7 && kind == PRELU && b.rank == 1 && b.dims[0] != 1 &&
                x->in[0]->rank > 1) { /* a slope a channel */
                b.rank = x->in[0]->rank - 1;
                for (int d = 1; d < b.rank; d++)
                        b.dims[d] = 1;
        }
        const rs_type *t[] = {x->in[0], &b};
        int rank;
        int64_t dims[RESECT_RANK_MAX];
        if (!rs_op_broadcast(x, t, 2, &rank, dims, err) ||
                !rs_op_out(x, 0, kind >= AND ? RESECT_BOOL : x->in[0]->dtype, rank, dims, err))
                return false;
        if (kind == PRELU && rank != x->in[0]->rank)
                return rs_op_fail(x, err, RESECT_GRAPH, "the slope has more axes than the input");
        return propagate_ints(x, kind, err) && (!x->concrete || make_state(x, kind, &b, err));
}

static void
forward(const rs_call *c)
{
        const struct state *s = c->state;
        const rs_walk *w = &s->walk;
        const resect_tensor *a = c->in[0], *b = c->in[1];
        resect_tensor *y = c->out[0];
        int threads = rs_threads_for(c->threads, w->count);
        RS_PARALLEL(threads)
        for (size_t u = 0; u < w->units; u++) {
                rs_row r;
                rs_walk_row(w, u, &r);
                int64_t ia = rs_walk_at(w, &r, 0), ib = rs_walk_at(w, &r, 1);
                if (s->integer) {
                        int64_t va[RS_ROW], vb[RS_ROW];
                        rs_row_load_int(
                                a->data, (int32_t)a->dtype, ia, rs_walk_step(w, 0), r.n, va);
                        rs_row_load_int(
                                b->data, (int32_t)b->dtype, ib, rs_walk_step(w, 1), r.n, vb);
                        (s->is_unsigned ? apply_unsigned : apply_signed)(s, r.n, va, vb, va);
                        rs_row_store_int(y->data, (int32_t)y->dtype, r.at, r.n, va);
                } else {
                        double va[RS_ROW], vb[RS_ROW];
                        rs_row_load(a->data, (int32_t)a->dtype, ia, rs_walk_step(w, 0), r.n, va);
                        rs_row_load(b->data, (int32_t)b->dtype, ib, rs_walk_step(w, 1), r.n, vb);
                        apply_real(s, r.n, va, vb, va);
                        if (c->residual || c->relu)
                                rs_row_fuse(c, r.at, r.n, va);
                        rs_row_store(y->data, (int32_t)y->dtype, r.at, r.n, va);
                }
        }
}

/* The derivative by a times the output's gradient: v is dout, a, b, out. */
static void
slope_a(const void *ctx, size_t n, const double *const *v, double *y)
{
        const double *g = v[0], *a = v[1], *b = v[2];
        switch (*(const enum kind *)ctx) {
        case MUL:
                ROW(g[i] * b[i]);
                break;
        case DIV:
                ROW(g[i] / b[i]);
                break;
        case POW:
                ROW(b[i] == 0 ? 0 : g[i] * b[i] * pow(a[i], b[i] - 1));
                break;
        case PRELU:
                ROW(a[i] < 0 ? g[i] * b[i] : g[i]);
                break;
        default:
                ROW(g[i]);
        }
}

/* The same by b. */
static void
slope_b(const void *ctx, size_t n, const double *const *v, double *y)
{
        const double *g = v[0], *a = v[1], *b = v[2], *out = v[3];
        switch (*(const enum kind *)ctx) {
        case SUB:
                ROW(-g[i]);
                break;
        case MUL:
                ROW(g[i] * a[i]);
                break;
        case DIV:
                ROW(-g[i] * a[i] / (b[i] * b[i]));
                break;
        case POW:
                ROW(a[i] > 0 ? g[i] * out[i] * log(a[i]) : 0);
                break;
        case PRELU:
                ROW(a[i] < 0 ? g[i] * a[i] : 0);
                break;
        default:
                ROW(g[i]);
        }
}

static void
backward(const rs_call *c)
{
        const struct state *s = c->state;
        if (!c->dout[0])
                return;
        /* What an operator does not read may be gone: its own gradient stands in, and its slope
         * does not look at it. */
        const resect_tensor *g = c->dout[0];
        for (int i = 0; i < 2; i++) {
                if (!c->din[i])
                        continue;
                bool reads = s->kind != ADD && s->kind != SUB;
                const resect_tensor *v[] = {g, c->in[0], c->in[1], s->kind == POW ? c->out[0] : g};
                rs_fold f = s->fold[i];
                if (!reads)
                        f.kept.n = f.summed.n = 1;
                rs_fold_run(&f, c->threads, v, i ? slope_b : slope_a, &s->kind, c->din[i],
                        RS_ADD_TO, NULL);
        }
}

#define BOTH (RS_READS_IN(0) | RS_READS_IN(1))
#define BINARY(id, op_name, from, read, shares, fused, back, ...) \
        const rs_op rs_op_##id = {.name = op_name,                \
                .domain = "",                                     \
                .since = from,                                    \
                .reads = read,                                    \
                .alias = shares,                                  \
                .fuses = fused,                                   \
                .infer = infer,                                   \
                .forward = forward,                               \
                .backward = back,                                 \
                __VA_ARGS__};
/* clang-format off */
BINARY(add, "Add", 1, 0, 0, true, backward, .adjusts = 3)
BINARY(sub, "Sub", 1, 0, 0, false, backward)
BINARY(mul, "Mul", 1, BOTH, 0, false, backward, .adjusts = 3)
BINARY(div, "Div", 1, BOTH, 0, false, backward)
BINARY(pow, "Pow", 1, BOTH | RS_READS_OUT(0), 0, false, backward)
BINARY(mod, "Mod", 10, 0, 0, false, NULL)
BINARY(prelu, "PRelu", 1, BOTH, 0, false, backward, .trains = 2)
BINARY(and, "And", 1, 0, 0, false, NULL)
BINARY(or, "Or", 1, 0, 0, false, NULL)
BINARY(xor, "Xor", 1, 0, 0, false, NULL)
BINARY(equal, "Equal", 1, 0, -1, false, NULL)
BINARY(less, "Less", 1, 0, -1, false, NULL)
BINARY(greater, "Greater", 1, 0, -1, false, NULL)
BINARY(less_or_equal, "LessOrEqual", 12, 0, -1, false, NULL)
BINARY(greater_or_equal, "GreaterOrEqual", 12, 0, -1, false, NULL)
