/* SPDX-License-Identifier: 0BSD */
/*
 * Operators of one operand, element by element: activations and functions. Each has a formula and,
 * when it is differentiable, a slope written in terms of its input x or its output y, whichever is
 * cheaper to keep.
 */
#include "op/walk.h"

#include <math.h>
#include <string.h>

enum kind {
        RELU,
        LEAKY_RELU,
        THRESHOLDED_RELU,
        ELU,
        SELU,
        CELU,
        SIGMOID,
        HARD_SIGMOID,
        HARD_SWISH,
        TANH,
        SOFTPLUS,
        SOFTSIGN,
        MISH,
        GELU,
        EXP,
        LOG,
        SQRT,
        RECIPROCAL,
        ABS,
        NEG,
        SIGN,
        FLOOR,
        CEIL,
        ROUND,
        ERF,
        SIN,
        COS,
        TAN,
        ASIN,
        ACOS,
        ATAN,
        SINH,
        COSH,
        ASINH,
        ACOSH,
        ATANH,
        NOT,
        IS_NAN,
        IS_INF
};

static const struct {
        const char *name;
        enum kind kind;
        uint32_t dtypes;
        const char *attr[2]; /* float attributes p[0] and p[1] */
        float otherwise[2];
} table[] = {
        {"Relu", RELU, RS_FLOATS | RS_SIGNED, {0}, {0}},
        {"LeakyRelu", LEAKY_RELU, RS_FLOATS, {"alpha"}, {0.01f}},
        {"ThresholdedRelu", THRESHOLDED_RELU, RS_FLOATS, {"alpha"}, {1}},
        {"Elu", ELU, RS_FLOATS, {"alpha"}, {1}},
        {"Selu", SELU, RS_FLOATS, {"alpha", "gamma"},
                {1.67326319217681884765625f, 1.05070102214813232421875f}},
        {"Celu", CELU, RS_FLOATS, {"alpha"}, {1}},
        {"Sigmoid", SIGMOID, RS_FLOATS, {0}, {0}},
        {"HardSigmoid", HARD_SIGMOID, RS_FLOATS, {"alpha", "beta"}, {0.2f, 0.5f}},
        {"HardSwish", HARD_SWISH, RS_FLOATS, {0}, {0}},
        {"Tanh", TANH, RS_FLOATS, {0}, {0}},
        {"Softplus", SOFTPLUS, RS_FLOATS, {0}, {0}},
        {"Softsign", SOFTSIGN, RS_FLOATS, {0}, {0}},
        {"Mish", MISH, RS_FLOATS, {0}, {0}},
        {"Gelu", GELU, RS_FLOATS, {0}, {0}},
        {"Exp", EXP, RS_FLOATS, {0}, {0}},
        {"Log", LOG, RS_FLOATS, {0}, {0}},
        {"Sqrt", SQRT, RS_FLOATS, {0}, {0}},
        {"Reciprocal", RECIPROCAL, RS_FLOATS, {0}, {0}},
        {"Abs", ABS, RS_NUMBERS, {0}, {0}},
        {"Neg", NEG, RS_FLOATS | RS_SIGNED, {0}, {0}},
        {"Sign", SIGN, RS_NUMBERS, {0}, {0}},
        {"Floor", FLOOR, RS_FLOATS, {0}, {0}},
        {"Ceil", CEIL, RS_FLOATS, {0}, {0}},
        {"Round", ROUND, RS_FLOATS, {0}, {0}},
        {"Erf", ERF, RS_NUMBERS, {0}, {0}},
        {"Sin", SIN, RS_FLOATS, {0}, {0}},
        {"Cos", COS, RS_FLOATS, {0}, {0}},
        {"Tan", TAN, RS_FLOATS, {0}, {0}},
        {"Asin", ASIN, RS_FLOATS, {0}, {0}},
        {"Acos", ACOS, RS_FLOATS, {0}, {0}},
        {"Atan", ATAN, RS_FLOATS, {0}, {0}},
        {"Sinh", SINH, RS_FLOATS, {0}, {0}},
        {"Cosh", COSH, RS_FLOATS, {0}, {0}},
        {"Asinh", ASINH, RS_FLOATS, {0}, {0}},
        {"Acosh", ACOSH, RS_FLOATS, {0}, {0}},
        {"Atanh", ATANH, RS_FLOATS, {0}, {0}},
        {"Not", NOT, RS_BOOLS, {0}, {0}},
        {"IsNaN", IS_NAN, RS_FLOATS, {0}, {0}},
        {"IsInf", IS_INF, RS_FLOATS, {0}, {0}},
};

struct state {
        enum kind kind;
        double p[2];
        bool integer;
        bool tanh_form;          /* Gelu's approximation */
        bool positive, negative; /* IsInf: which infinities */
};

static bool
infer(rs_infer *x, resect_error *err)
{
        size_t k = 0;
        while (k + 1 < sizeof table / sizeof *table && strcmp(table[k].name, x->node->op))
                k++;
        enum kind kind = table[k].kind;
        bool predicate = kind == NOT || kind == IS_NAN || kind == IS_INF;
        if (!rs_op_counts(x, 1, 1, 1, err) || !rs_op_dtype(x, 0, table[k].dtypes, err) ||
                !rs_op_out_like(x, 0, x->in[0], err))
                return false;
        if (predicate)
                x->out[0].dtype = RESECT_BOOL;
        struct state s = {.kind = kind, .integer = rs_dtype_in(x->in[0]->dtype, RS_INTEGERS)};
        for (int i = 0; i < 2 && table[k].attr[i]; i++) {
                float v;
                if (!rs_op_float(x, table[k].attr[i], table[k].otherwise[i], &v, err))
                        return false;
                s.p[i] = (double)v;
        }
        if (kind == CELU && s.p[0] == 0)
                return rs_op_fail(x, err, RESECT_GRAPH, "alpha is 0");
        if (kind == GELU) {
                rs_span how;
                if (!rs_op_string(x, "approximate", &how, err))
                        return false;
                s.tanh_form = how.data && rs_span_is(how, "tanh");
                if (how.data && !s.tanh_form && !rs_span_is(how, "none"))
                        return rs_op_fail(
                                x, err, RESECT_GRAPH, "approximate is neither none nor tanh");
        }
        if (kind == IS_INF) {
                int64_t positive, negative;
                if (!rs_op_int(x, "detect_positive", 1, &positive, err) ||
                        !rs_op_int(x, "detect_negative", 1, &negative, err))
                        return false;
                s.positive = positive != 0;
                s.negative = negative != 0;
        }
        if (!x->concrete)
                return true;
        struct state *keep = RS_STATE(x, struct state, err);
        if (keep)
                *keep = s;
        return keep != NULL;
}

static double
softplus(double x)
{
        return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
}

static double
sigmoid(double x)
{
        double e = exp(-fabs(x)); /* never overflows */
        return (x >= 0 ? 1 : e) / (1 + e);
}

#define SQRT_2_PI 0.7978845608028654 /* sqrt(2 / pi) */
#define GELU_CUBE 0.044715           /* Hendrycks and Gimpel, 2016 */

static double
gelu(double x, bool tanh_form)
{
        return tanh_form ? 0.5 * x * (1 + tanh(SQRT_2_PI * (x + GELU_CUBE * x * x * x)))
                         : 0.5 * x * (1 + erf(x * M_SQRT1_2));
}

static double
gelu_slope(double x, bool tanh_form)
{
        if (!tanh_form)
                return 0.5 * (1 + erf(x * M_SQRT1_2)) + x * exp(-0.5 * x * x) * 0.5 * SQRT_2_PI;
        double t = tanh(SQRT_2_PI * (x + GELU_CUBE * x * x * x));
        return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * SQRT_2_PI * (1 + 3 * GELU_CUBE * x * x);
}

static double
clamp01(double v)
{
        return v < 0 ? 0 : v > 1 ? 1 : v;
}

#define ROW(expression)                        \
        do {                                   \
                for (size_t i = 0; i < n; i++) \
                        y[i] = (expression);   \
        } while (0)

static void
apply(const struct state *s, size_t n, const double *x, double *y)
{
        double a = s->p[0], b = s->p[1];
        switch (s->kind) {
        case RELU:
                ROW(x[i] < 0 ? 0 : x[i]);
                break;
        case LEAKY_RELU:
                ROW(x[i] < 0 ? a * x[i] : x[i]);
                break;
        case THRESHOLDED_RELU:
                ROW(x[i] > a ? x[i] : 0);
                break;
        case ELU:
                ROW(x[i] < 0 ? a * expm1(x[i]) : x[i]);
                break;
        case SELU:
                ROW(b * (x[i] > 0 ? x[i] : a * expm1(x[i])));
                break;
        case CELU:
                ROW(x[i] < 0 ? a * expm1(x[i] / a) : x[i]);
                break;
        case SIGMOID:
                ROW(sigmoid(x[i]));
                break;
        case HARD_SIGMOID:
                ROW(clamp01(a * x[i] + b));
                break;
        case HARD_SWISH:
                ROW(x[i] * clamp01(x[i] / 6 + 0.5));
                break;
        case TANH:
                ROW(tanh(x[i]));
                break;
        case SOFTPLUS:
                ROW(softplus(x[i]));
                break;
        case SOFTSIGN:
                ROW(x[i] / (1 + fabs(x[i])));
                break;
        case MISH:
                ROW(x[i] * tanh(softplus(x[i])));
                break;
        case GELU:
                ROW(gelu(x[i], s->tanh_form));
                break;
        case EXP:
                ROW(exp(x[i]));
                break;
        case LOG:
                ROW(log(x[i]));
                break;
        case SQRT:
                ROW(sqrt(x[i]));
                break;
        case RECIPROCAL:
                ROW(1 / x[i]);
                break;
        case ABS:
                ROW(fabs(x[i]));
                break;
        case NEG:
                ROW(-x[i]);
                break;
        case SIGN:
                ROW(x[i] > 0 ? 1 : x[i] < 0 ? -1 : x[i]);
                break;
        case FLOOR:
                ROW(floor(x[i]));
                break;
        case CEIL:
                ROW(ceil(x[i]));
                break;
        case ROUND:
                ROW(rint(x[i]));
                break; /* halves to even */
        case ERF:
                ROW(erf(x[i]));
                break;
        case SIN:
                ROW(sin(x[i]));
                break;
        case COS:
                ROW(cos(x[i]));
                break;
        case TAN:
                ROW(tan(x[i]));
                break;
        case ASIN:
                ROW(asin(x[i]));
                break;
        case ACOS:
                ROW(acos(x[i]));
                break;
        case ATAN:
                ROW(atan(x[i]));
                break;
        case SINH:
                ROW(sinh(x[i]));
                break;
        case COSH:
                ROW(cosh(x[i]));
                break;
        case ASINH:
                ROW(asinh(x[i]));
                break;
        case ACOSH:
                ROW(acosh(x[i]));
                break;
        case ATANH:
                ROW(atanh(x[i]));
                break;
        case NOT:
                ROW(x[i] == 0);
                break;
        case IS_NAN:
                ROW(isnan(x[i]) != 0);
                break;
        case IS_INF:
                ROW(isinf(x[i]) && (x[i] > 0 ? s->positive : s->negative));
                break;
        }
}

static void
apply_int(enum kind kind, bool is_unsigned, size_t n, const int64_t *x, int64_t *y)
{
        switch (kind) {
        case RELU:
                ROW(x[i] < 0 && !is_unsigned ? 0 : x[i]);
                break;
        case ABS:
                ROW(x[i] < 0 && !is_unsigned ? (int64_t)(0 - (uint64_t)x[i]) : x[i]);
                break;
        case NEG:
                ROW((int64_t)(0 - (uint64_t)x[i]));
                break;
        case SIGN:
                ROW(!x[i] ? 0 : x[i] < 0 && !is_unsigned ? -1 : 1);
                break;
        default:
                ROW((int64_t)erf((double)x[i])); /* the only one left */
        }
}

/* g times dy/dx, from the input x or the output o. */
static void
slope(const struct state *s, size_t n, const double *g, const double *x, const double *o, double *y)
{
        double a = s->p[0], b = s->p[1];
        switch (s->kind) {
        case RELU:
                ROW(o[i] > 0 ? g[i] : 0);
                break;
        case LEAKY_RELU:
                ROW(x[i] < 0 ? a * g[i] : g[i]);
                break;
        case THRESHOLDED_RELU:
                ROW(x[i] > a ? g[i] : 0);
                break;
        case ELU:
                ROW(x[i] < 0 ? g[i] * a * exp(x[i]) : g[i]);
                break;
        case SELU:
                ROW(g[i] * b * (x[i] > 0 ? 1 : a * exp(x[i])));
                break;
        case CELU:
                ROW(x[i] < 0 ? g[i] * exp(x[i] / a) : g[i]);
                break;
        case SIGMOID:
                ROW(g[i] * o[i] * (1 - o[i]));
                break;
        case HARD_SIGMOID:
                ROW(o[i] > 0 && o[i] < 1 ? g[i] * a : 0);
                break;
        case HARD_SWISH:
                ROW(x[i] <= -3 ? 0 : x[i] >= 3 ? g[i] : g[i] * (x[i] / 3 + 0.5));
                break;
        case TANH:
                ROW(g[i] * (1 - o[i] * o[i]));
                break;
        case SOFTPLUS:
                ROW(g[i] * sigmoid(x[i]));
                break;
        case SOFTSIGN:
                ROW(g[i] / ((1 + fabs(x[i])) * (1 + fabs(x[i]))));
                break;
        case MISH:
                for (size_t i = 0; i < n; i++) {
                        double t = tanh(softplus(x[i]));
                        y[i] = g[i] * (t + x[i] * (1 - t * t) * sigmoid(x[i]));
                }
                break;
        case GELU:
                ROW(g[i] * gelu_slope(x[i], s->tanh_form));
                break;
        case EXP:
                ROW(g[i] * o[i]);
                break;
        case LOG:
                ROW(g[i] / x[i]);
                break;
        case SQRT:
                ROW(g[i] * 0.5 / o[i]);
                break;
        case RECIPROCAL:
                ROW(-g[i] * o[i] * o[i]);
                break;
        case ABS:
                ROW(x[i] > 0 ? g[i] : x[i] < 0 ? -g[i] : 0);
                break;
        case NEG:
                ROW(-g[i]);
                break;
        case ERF:
                ROW(g[i] * M_2_SQRTPI * exp(-x[i] * x[i]));
                break;
        case SIN:
                ROW(g[i] * cos(x[i]));
                break;
        case COS:
                ROW(-g[i] * sin(x[i]));
                break;
        case TAN:
                ROW(g[i] * (1 + o[i] * o[i]));
                break;
        case ASIN:
                ROW(g[i] / sqrt(1 - x[i] * x[i]));
                break;
        case ACOS:
                ROW(-g[i] / sqrt(1 - x[i] * x[i]));
                break;
        case ATAN:
                ROW(g[i] / (1 + x[i] * x[i]));
                break;
        case SINH:
                ROW(g[i] * cosh(x[i]));
                break;
        case COSH:
                ROW(g[i] * sinh(x[i]));
                break;
        case ASINH:
                ROW(g[i] / sqrt(x[i] * x[i] + 1));
                break;
        case ACOSH:
                ROW(g[i] / sqrt(x[i] * x[i] - 1));
                break;
        case ATANH:
                ROW(g[i] / (1 - x[i] * x[i]));
                break;
        default:
                ROW(0);
        }
}

/* Rows of a dense tensor. */
static size_t
row_count(size_t count)
{
        return (count + RS_ROW - 1) / RS_ROW;
}

static void
forward(const rs_call *c)
{
        const struct state *s = c->state;
        const resect_tensor *x = c->in[0];
        resect_tensor *y = c->out[0];
        size_t count = (size_t)resect_tensor_count(x);
        int threads = rs_threads_for(c->threads, count);
        RS_PARALLEL(threads)
        for (size_t u = 0; u < row_count(count); u++) {
                size_t at = u * RS_ROW, n = count - at < RS_ROW ? count - at : RS_ROW;
                if (s->integer) {
                        int64_t v[RS_ROW];
                        rs_row_load_int(x->data, (int32_t)x->dtype, (int64_t)at, 1, n, v);
                        apply_int(s->kind, rs_dtype_in((int32_t)x->dtype, RS_UNSIGNED), n, v, v);
                        rs_row_store_int(y->data, (int32_t)y->dtype, at, n, v);
                } else {
                        double v[RS_ROW];
                        rs_row_load(x->data, (int32_t)x->dtype, (int64_t)at, 1, n, v);
                        apply(s, n, v, v);
                        rs_row_store(y->data, (int32_t)y->dtype, at, n, v);
                }
        }
}

/* in[0] and out[0] may be gone when the operator does not read them. */
static void
run_backward(const rs_call *c, bool reads_in)
{
        const struct state *s = c->state;
        const resect_tensor *g = c->dout[0], *read = reads_in ? c->in[0] : c->out[0];
        resect_tensor *dx = c->din[0];
        if (!g || !dx)
                return;
        size_t count = (size_t)resect_tensor_count(dx);
        int threads = rs_threads_for(c->threads, count);
        RS_PARALLEL(threads)
        for (size_t u = 0; u < row_count(count); u++) {
                size_t at = u * RS_ROW, n = count - at < RS_ROW ? count - at : RS_ROW;
                double vg[RS_ROW], vr[RS_ROW];
                rs_row_load(g->data, (int32_t)g->dtype, (int64_t)at, 1, n, vg);
                rs_row_load(read->data, (int32_t)read->dtype, (int64_t)at, 1, n, vr);
                slope(s, n, vg, vr, vr, vg);
                rs_row_add(dx->data, (int32_t)dx->dtype, at, n, vg);
        }
}

static void
backward_in(const rs_call *c)
{
        run_backward(c, true);
}

static void
backward_out(const rs_call *c)
{
        run_backward(c, false);
}

#define UNARY(id, op_name, from, read, shares, back) \
        const rs_op rs_op_##id = {.name = op_name,   \
                .domain = "",                        \
                .since = from,                       \
                .reads = read,                       \
                .alias = shares,                     \
                .infer = infer,                      \
                .forward = forward,                  \
                .backward = back};
/* What reads its output: y tells the slope, and x's buffer may be shared. */
#define BY_OUT(id, op_name, from) UNARY(id, op_name, from, RS_READS_OUT(0), 0, backward_out)
#define BY_IN(id, op_name, from) UNARY(id, op_name, from, RS_READS_IN(0), 0, backward_in)
#define NO_SLOPE(id, op_name, from, shares) UNARY(id, op_name, from, 0, shares, NULL)
/* clang-format off */
BY_OUT(relu, "Relu", 1)
BY_IN(leaky_relu, "LeakyRelu", 1)
BY_IN(thresholded_relu, "ThresholdedRelu", 10)
BY_IN(elu, "Elu", 1)
BY_IN(selu, "Selu", 1)
BY_IN(celu, "Celu", 12)
BY_OUT(sigmoid, "Sigmoid", 1)
BY_OUT(hard_sigmoid, "HardSigmoid", 1)
BY_IN(hard_swish, "HardSwish", 14)
BY_OUT(tanh, "Tanh", 1)
BY_IN(softplus, "Softplus", 1)
BY_IN(softsign, "Softsign", 1)
BY_IN(mish, "Mish", 18)
BY_IN(gelu, "Gelu", 20)
BY_OUT(exp, "Exp", 1)
BY_IN(log, "Log", 1)
BY_OUT(sqrt, "Sqrt", 1)
BY_OUT(reciprocal, "Reciprocal", 1)
BY_IN(abs, "Abs", 1)
BY_IN(neg, "Neg", 1)
NO_SLOPE(sign, "Sign", 9, 0)
NO_SLOPE(floor, "Floor", 1, 0)
NO_SLOPE(ceil, "Ceil", 1, 0)
NO_SLOPE(round, "Round", 11, 0)
BY_IN(erf, "Erf", 9)
BY_IN(sin, "Sin", 7)
BY_IN(cos, "Cos", 7)
BY_OUT(tan, "Tan", 7)
BY_IN(asin, "Asin", 7)
BY_IN(acos, "Acos", 7)
BY_IN(atan, "Atan", 7)
BY_IN(sinh, "Sinh", 9)
BY_IN(cosh, "Cosh", 9)
BY_IN(asinh, "Asinh", 9)
BY_IN(acosh, "Acosh", 9)
BY_IN(atanh, "Atanh", 9)
NO_SLOPE(not, "Not", 1, 0)
NO_SLOPE(isnan, "IsNaN", 9, -1)
NO_SLOPE(isinf, "IsInf", 10, -1)
