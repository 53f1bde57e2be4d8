/* SPDX-License-Identifier: 0BSD */
/*
 * Which element types ONNX's operators take, as its schemas have it, opset 7 to 22: float32 and
 * double since the beginning (with exceptions), float16 mostly so, bfloat16 for one part since
 * opset 13 and for another, Conv and the pools in it, since 22. A row is what the schema calls a
 * type parameter: some of a node's inputs (and its first output, where nothing but a type decides
 * that), which all have one type, and what types were added when. The first entry of an operator
 * is where it came in, where 1 stands for 7 and whatever was before.
 */
#include "edit/opset_types.h"

#include <stdio.h>
#include <string.h>

#include "edit/edit.h"

enum set {
        F32 = 1 << RESECT_FLOAT,
        F64 = 1 << RESECT_DOUBLE,
        F16 = 1 << RESECT_FLOAT16,
        BRAIN = 1 << RESECT_BFLOAT16,
        I8 = 1 << RESECT_INT8,
        I16 = 1 << RESECT_INT16,
        I32 = 1 << RESECT_INT32,
        I64 = 1 << RESECT_INT64,
        U8 = 1 << RESECT_UINT8,
        U16 = 1 << RESECT_UINT16,
        U32 = 1 << RESECT_UINT32,
        U64 = 1 << RESECT_UINT64,
        BOOL = 1 << RESECT_BOOL,
        TEXT = 1 << RESECT_STRING,
        FLOATS = F32 | F64 | F16,
        WIDE = I32 | I64 | U32 | U64,
        SHORT = I16 | U16,
        BYTES = I8 | U8,
        SMALL = SHORT | BYTES,
        SIGNED = I8 | I16 | I32 | I64,
        NUMBERS = FLOATS | WIDE | SMALL,
        OTHER = BOOL | TEXT | 1 << RESECT_COMPLEX64 | 1 << RESECT_COMPLEX128,
        ALL = NUMBERS | OTHER,
        F8 = 1 << RESECT_FLOAT8E4M3FN | 1 << RESECT_FLOAT8E4M3FNUZ | 1 << RESECT_FLOAT8E5M2 |
             1 << RESECT_FLOAT8E5M2FNUZ,
        NIBBLES = 1 << RESECT_UINT4 | 1 << RESECT_INT4
};

/* Inputs of a row, bit by bit; the first output is bit OUT. EVERY of them, however many. */
#define IN(i) (UINT32_C(1) << (i))
#define OUT IN(31)
#define EVERY (OUT - 1)

/* clang-format off */
static const struct row {
        const char *op;
        uint32_t slots;
        struct { int since; uint32_t types; } added[5];
        int from, until; /* opsets in which the row holds; 0: all */
} table[] = {
        {"Abs", IN(0), .added = {{1, NUMBERS}, {13, BRAIN}}},
        {"Acos", IN(0), .added = {{7, FLOATS}, {22, BRAIN}}},
        {"Acosh", IN(0), .added = {{9, FLOATS}, {22, BRAIN}}},
        {"Add", EVERY, .added = {{1, FLOATS | WIDE}, {13, BRAIN}, {14, SMALL}}},
        {"ArgMax", IN(0), .added = {{1, NUMBERS}, {13, BRAIN}}},
        {"ArgMin", IN(0), .added = {{1, NUMBERS}, {13, BRAIN}}},
        {"Asin", IN(0), .added = {{7, FLOATS}, {22, BRAIN}}},
        {"Asinh", IN(0), .added = {{9, FLOATS}, {22, BRAIN}}},
        {"Atan", IN(0), .added = {{7, FLOATS}, {22, BRAIN}}},
        {"Atanh", IN(0), .added = {{9, FLOATS}, {22, BRAIN}}},
        {"AveragePool", IN(0), .added = {{1, FLOATS}, {22, BRAIN}}},
        {"BatchNormalization", EVERY, .added = {{1, FLOATS}}, .until = 13},
        {"BatchNormalization", IN(0) | IN(1) | IN(2), .added = {{1, FLOATS}, {14, BRAIN}}, .from = 14, .until = 14},
        {"BatchNormalization", IN(0), .added = {{1, FLOATS}, {14, BRAIN}}, .from = 15},
        {"BatchNormalization", IN(1) | IN(2), .added = {{1, FLOATS}, {14, BRAIN}}, .from = 15},
        {"BatchNormalization", IN(3) | IN(4), .added = {{1, FLOATS}, {14, BRAIN}}, .from = 14},
        {"Ceil", IN(0), .added = {{1, FLOATS}, {13, BRAIN}}},
        {"Clip", EVERY, .added = {{1, FLOATS}, {12, WIDE | SMALL}, {13, BRAIN}}},
        {"Concat", EVERY, .added = {{1, FLOATS}, {4, WIDE | SMALL | OTHER}, {13, BRAIN}}},
        {"Conv", EVERY, .added = {{1, FLOATS}, {22, BRAIN}}},
        {"ConvTranspose", EVERY, .added = {{1, FLOATS}, {22, BRAIN}}},
        {"Cos", IN(0), .added = {{7, FLOATS}, {22, BRAIN}}},
        {"Cosh", IN(0), .added = {{9, FLOATS}, {22, BRAIN}}},
        {"DepthToSpace", IN(0), .added = {{1, ALL}, {13, BRAIN}}},
        {"Div", EVERY, .added = {{1, FLOATS | WIDE}, {13, BRAIN}, {14, SMALL}}},
        {"Dropout", IN(0), .added = {{1, FLOATS}, {13, BRAIN}, {22, F8}}},
        {"Elu", IN(0), .added = {{1, FLOATS}, {22, BRAIN}}},
        {"Equal", EVERY, .added = {{1, I32 | I64 | BOOL}, {11, FLOATS | SMALL | U32 | U64}, {13, BRAIN}, {19, TEXT}}},
        {"Erf", IN(0), .added = {{9, NUMBERS}, {13, BRAIN}}},
        {"Exp", IN(0), .added = {{1, FLOATS}, {13, BRAIN}}},
        {"Expand", IN(0), .added = {{8, ALL}, {13, BRAIN}}},
        {"Flatten", IN(0), .added = {{1, FLOATS}, {9, WIDE | SMALL | OTHER}, {13, BRAIN}, {21, F8 | NIBBLES}}},
        {"Floor", IN(0), .added = {{1, FLOATS}, {13, BRAIN}}},
        {"Gather", IN(0), .added = {{1, ALL}, {13, BRAIN}}},
        {"GatherElements", IN(0), .added = {{11, ALL}, {13, BRAIN}}},
        {"Gelu", IN(0), .added = {{20, FLOATS | BRAIN}}},
        {"Gemm", EVERY, .added = {{1, FLOATS}, {9, WIDE}, {13, BRAIN}}},
        {"GlobalAveragePool", IN(0), .added = {{1, FLOATS}, {22, BRAIN}}},
        {"GlobalLpPool", IN(0), .added = {{1, FLOATS}, {22, BRAIN}}},
        {"GlobalMaxPool", IN(0), .added = {{1, FLOATS}, {22, BRAIN}}},
        {"Greater", EVERY, .added = {{1, FLOATS}, {9, WIDE | SMALL}, {13, BRAIN}}},
        {"GreaterOrEqual", EVERY, .added = {{12, NUMBERS}, {16, BRAIN}}},
        {"HardSigmoid", IN(0), .added = {{1, FLOATS}, {22, BRAIN}}},
        {"HardSwish", IN(0), .added = {{14, FLOATS}, {22, BRAIN}}},
        {"Identity", IN(0), .added = {{1, ALL}, {13, BRAIN}, {19, F8}, {21, NIBBLES}}},
        {"InstanceNormalization", EVERY, .added = {{1, FLOATS}, {22, BRAIN}}},
        {"IsNaN", IN(0), .added = {{9, FLOATS}, {13, BRAIN}, {20, F8}}},
        {"LRN", IN(0), .added = {{1, FLOATS}, {13, BRAIN}}},
        {"LeakyRelu", IN(0), .added = {{1, FLOATS}, {16, BRAIN}}},
        {"Less", EVERY, .added = {{1, FLOATS}, {9, WIDE | SMALL}, {13, BRAIN}}},
        {"LessOrEqual", EVERY, .added = {{12, NUMBERS}, {16, BRAIN}}},
        {"Log", IN(0), .added = {{1, FLOATS}, {13, BRAIN}}},
        {"LogSoftmax", IN(0), .added = {{1, FLOATS}, {13, BRAIN}}},
        {"LpPool", IN(0), .added = {{1, FLOATS}, {22, BRAIN}}},
        {"MatMul", EVERY, .added = {{1, FLOATS}, {9, WIDE}, {13, BRAIN}}},
        {"Max", EVERY, .added = {{1, FLOATS}, {12, WIDE | SMALL}, {13, BRAIN}}},
        {"MaxPool", IN(0), .added = {{1, FLOATS}, {12, BYTES}, {22, BRAIN}}},
        {"Mean", EVERY, .added = {{1, FLOATS}, {13, BRAIN}}},
        {"Min", EVERY, .added = {{1, FLOATS}, {12, WIDE | SMALL}, {13, BRAIN}}},
        {"Mish", IN(0), .added = {{18, FLOATS}, {22, BRAIN}}},
        {"Mul", EVERY, .added = {{1, FLOATS | WIDE}, {13, BRAIN}, {14, SMALL}}},
        {"Neg", IN(0), .added = {{1, FLOATS | SIGNED}, {13, BRAIN}}},
        {"PRelu", EVERY, .added = {{1, FLOATS}, {9, WIDE}, {16, BRAIN}}},
        {"Pad", IN(0) | IN(2), .added = {{1, FLOATS}, {11, WIDE | SMALL}, {13, OTHER | BRAIN}, {21, F8 | NIBBLES}}},
        {"Pow", EVERY, .added = {{1, FLOATS}}, .until = 11},
        {"Pow", IN(0), .added = {{1, FLOATS}, {12, I32 | I64}, {13, BRAIN}}, .from = 12},
        {"Pow", IN(1), .added = {{1, FLOATS}, {12, WIDE | SMALL}, {15, BRAIN}}, .from = 12},
        {"Reciprocal", IN(0), .added = {{1, FLOATS}, {13, BRAIN}}},
        {"ReduceL1", IN(0), .added = {{1, FLOATS | WIDE}, {13, BRAIN}}},
        {"ReduceL2", IN(0), .added = {{1, FLOATS | WIDE}, {13, BRAIN}}},
        {"ReduceLogSum", IN(0), .added = {{1, FLOATS | WIDE}, {13, BRAIN}}},
        {"ReduceLogSumExp", IN(0), .added = {{1, FLOATS | WIDE}, {13, BRAIN}}},
        {"ReduceMax", IN(0), .added = {{1, FLOATS | WIDE}, {12, BYTES}, {13, BRAIN}, {20, BOOL}}},
        {"ReduceMean", IN(0), .added = {{1, FLOATS | WIDE}, {13, BRAIN}}},
        {"ReduceMin", IN(0), .added = {{1, FLOATS | WIDE}, {12, BYTES}, {13, BRAIN}, {20, BOOL}}},
        {"ReduceProd", IN(0), .added = {{1, FLOATS | WIDE}, {13, BRAIN}}},
        {"ReduceSum", IN(0), .added = {{1, FLOATS | WIDE}, {13, BRAIN}}},
        {"ReduceSumSquare", IN(0), .added = {{1, FLOATS | WIDE}, {13, BRAIN}}},
        {"Relu", IN(0), .added = {{1, FLOATS}, {13, BRAIN}, {14, SIGNED}}},
        {"Reshape", IN(0), .added = {{1, ALL}, {13, BRAIN}, {19, F8}, {21, NIBBLES}}},
        {"Round", IN(0), .added = {{11, FLOATS}, {22, BRAIN}}},
        {"Selu", IN(0), .added = {{1, FLOATS}, {22, BRAIN}}},
        {"Sigmoid", IN(0), .added = {{1, FLOATS}, {13, BRAIN}}},
        {"Sign", IN(0), .added = {{9, NUMBERS}, {13, BRAIN}}},
        {"Sin", IN(0), .added = {{7, FLOATS}, {22, BRAIN}}},
        {"Sinh", IN(0), .added = {{9, FLOATS}, {22, BRAIN}}},
        {"Slice", IN(0), .added = {{1, ALL}, {13, BRAIN}}},
        {"Softmax", IN(0), .added = {{1, FLOATS}, {13, BRAIN}}},
        {"Softplus", IN(0), .added = {{1, FLOATS}, {22, BRAIN}}},
        {"Softsign", IN(0), .added = {{1, FLOATS}, {22, BRAIN}}},
        {"SpaceToDepth", IN(0), .added = {{1, ALL}, {13, BRAIN}}},
        {"Split", IN(0), .added = {{1, ALL}, {13, BRAIN}}},
        {"Sqrt", IN(0), .added = {{1, FLOATS}, {13, BRAIN}}},
        {"Squeeze", IN(0), .added = {{1, ALL}, {13, BRAIN}, {21, F8 | NIBBLES}}},
        {"Sub", EVERY, .added = {{1, FLOATS | WIDE}, {13, BRAIN}, {14, SMALL}}},
        {"Sum", EVERY, .added = {{1, FLOATS}, {13, BRAIN}}},
        {"Tan", IN(0), .added = {{7, FLOATS}, {22, BRAIN}}},
        {"Tanh", IN(0), .added = {{1, FLOATS}, {13, BRAIN}}},
        {"ThresholdedRelu", IN(0), .added = {{10, FLOATS}, {22, BRAIN}}},
        {"Tile", IN(0), .added = {{1, ALL}, {13, BRAIN}}},
        {"Transpose", IN(0), .added = {{1, ALL}, {13, BRAIN}, {21, F8 | NIBBLES}}},
        {"Unsqueeze", IN(0), .added = {{1, ALL}, {13, BRAIN}, {21, F8 | NIBBLES}}},
        {"Where", IN(1) | IN(2), .added = {{9, ALL}, {16, BRAIN}}},
},
/* Those that compute in no float, or whose types are not resect-cast's to change. */
others[] = {
        {"And", EVERY, .added = {{1, BOOL}}},
        {"Cast", IN(0), .added = {{1, NUMBERS | BOOL}, {9, TEXT}, {13, BRAIN}, {19, F8}, {21, NIBBLES}}},
        {"Cast", OUT, .added = {{1, NUMBERS | BOOL}, {9, TEXT}, {13, BRAIN}, {19, F8}, {21, NIBBLES}}},
        {"CastLike", IN(0), .added = {{15, NUMBERS | BRAIN | TEXT | BOOL}, {19, F8}, {21, NIBBLES}}},
        {"CastLike", IN(1) | OUT, .added = {{15, NUMBERS | BRAIN | TEXT | BOOL}, {19, F8}, {21, NIBBLES}}},
        {"Celu", IN(0), .added = {{12, F32}}},
        {"ConstantOfShape", OUT, .added = {{9, NUMBERS | BOOL}, {20, BRAIN | F8}, {21, NIBBLES}}},
        {"ConvInteger", IN(0) | IN(2), .added = {{10, BYTES}}},
        {"DequantizeLinear", IN(0) | IN(2), .added = {{10, BYTES | I32}, {19, F8}, {21, SHORT | NIBBLES}}},
        {"DequantizeLinear", IN(1), .added = {{10, F32}, {19, F16 | BRAIN}}},
        {"DynamicQuantizeLinear", IN(0), .added = {{11, F32}}},
        {"IsInf", IN(0), .added = {{10, F32 | F64}, {20, F16 | BRAIN | F8}}},
        {"MatMulInteger", IN(0) | IN(2), .added = {{10, BYTES}}},
        {"Mod", EVERY, .added = {{10, NUMBERS}, {13, BRAIN}}},
        {"Not", IN(0), .added = {{1, BOOL}}},
        {"Or", EVERY, .added = {{1, BOOL}}},
        {"QLinearConv", IN(0) | IN(2), .added = {{10, BYTES}}},
        {"QLinearMatMul", IN(0) | IN(2), .added = {{10, BYTES}, {21, F8}}},
        {"QLinearMatMul", IN(3) | IN(5), .added = {{10, BYTES}, {21, F8}}},
        {"QLinearMatMul", IN(7), .added = {{10, BYTES}, {21, F8}}},
        {"QLinearMatMul", IN(1) | IN(4) | IN(6), .added = {{10, F32}, {21, F16 | BRAIN}}},
        {"QuantizeLinear", IN(0), .added = {{10, F32 | I32}}, .until = 18},
        {"QuantizeLinear", IN(1), .added = {{10, F32}}, .until = 18},
        {"QuantizeLinear", IN(0) | IN(1), .added = {{10, F32 | I32}, {19, F16 | BRAIN}}, .from = 19},
        {"QuantizeLinear", IN(2) | OUT, .added = {{10, BYTES}, {19, F8}, {21, SHORT | NIBBLES}}},
        {"Range", EVERY, .added = {{11, F32 | F64 | I16 | I32 | I64}}},
        {"Shape", IN(0), .added = {{1, ALL}, {13, BRAIN}, {19, F8}, {21, NIBBLES}}},
        {"Size", IN(0), .added = {{1, ALL}, {13, BRAIN}, {19, F8}, {21, NIBBLES}}},
        {"Xor", EVERY, .added = {{1, BOOL}}},
};
/* clang-format on */

enum { N_TABLE = sizeof table / sizeof *table, N_OTHERS = sizeof others / sizeof *others };

/* The opset in which a row's type was added; 0: never. */
static int
added(const struct row *r, int32_t dtype)
{
        for (int k = 0; k < 5 && r->added[k].since != 0; k++)
                if (dtype >= 0 && dtype < 31 && (r->added[k].types & IN(dtype)) != 0)
                        return r->added[k].since;
        return 0;
}

int
rs_opset_since(const rs_node *n, int32_t dtype)
{
        int least = 0;
        for (int i = 0; n->domain[0] == '\0' && i < N_TABLE; i++) {
                const int since = strcmp(table[i].op, n->op) == 0 ? added(&table[i], dtype) : 0;
                if (since != 0 && (least == 0 || since < least))
                        least = since;
        }
        return least;
}

static const struct row *
row_at(int i)
{
        return i < N_TABLE ? &table[i] : &others[i - N_TABLE];
}

static bool
has_slot(const struct row *r, size_t slot)
{
        return (r->slots & IN(slot < 30 ? slot : 30)) != 0;
}

static bool
holds(const struct row *r, const rs_node *n, int64_t opset)
{
        return strcmp(r->op, n->op) == 0 && opset >= r->from &&
               (r->until == 0 || opset <= r->until);
}

/* The first opset after this one in which two inputs need not be of one type; 0: none. */
static int
apart_from(const rs_node *n, size_t a, size_t b, int64_t opset)
{
        for (int v = (int)opset + 1; v <= 22; v++) {
                bool together = false;
                for (int i = 0; i < N_TABLE + N_OTHERS; i++)
                        together |= holds(row_at(i), n, v) && has_slot(row_at(i), a) &&
                                    has_slot(row_at(i), b);
                if (!together)
                        return v;
        }
        return 0;
}

static int32_t
dtype_of(const rs_types *types, const char *name)
{
        const rs_type *t = rs_types_find(types, name);
        return t != NULL ? t->dtype : 0;
}

/* One row: each of its values is of a type that is there, and all are of the same one. */
static bool
takes(const struct row *r, const rs_node *n, const rs_types *types, int64_t opset,
        resect_error *err)
{
        int32_t one = 0;
        size_t first = 0;
        for (size_t i = 0; i < n->n_in + (n->n_out != 0); i++) {
                const bool out = i == n->n_in;
                const int32_t d = out                   ? dtype_of(types, n->out[0])
                                  : n->in[i][0] != '\0' ? dtype_of(types, n->in[i])
                                                        : 0;
                if (d == 0 || !(out ? (r->slots & OUT) != 0 : has_slot(r, i)))
                        continue;
                const char *name = resect_dtype_name((resect_dtype)d);
                int since = added(r, d);
                for (int k = 0; since == 0 && k < N_TABLE + N_OTHERS; k++)
                        if (strcmp(row_at(k)->op, n->op) == 0 && !out && has_slot(row_at(k), i))
                                since = added(row_at(k), d);
                if (since == 0 || since > opset) {
                        char when[48] = "in no opset that is known here";
                        if (since != 0)
                                snprintf(when, sizeof when, "from opset %d on", since);
                        return rs_fail(err, RESECT_UNSUPPORTED, "--opset: %s (%s): it %s %s %s",
                                rs_node_title(n), n->op, out ? "makes" : "takes", name, when);
                }
                if (one != 0 && d != one && !out) {
                        char when[48] = "";
                        const int apart = apart_from(n, first, i, opset);
                        if (apart != 0)
                                snprintf(when, sizeof when, " before opset %d", apart);
                        return rs_fail(err, RESECT_UNSUPPORTED,
                                "--opset: %s (%s): inputs %zu and %zu are %s and %s, and must be "
                                "of one type%s",
                                rs_node_title(n), n->op, first, i,
                                resect_dtype_name((resect_dtype)one), name, when);
                }
                if (one == 0) {
                        one = d;
                        first = i;
                }
        }
        return true;
}

bool
rs_opset_takes(const rs_node *n, const rs_types *types, int64_t opset, resect_error *err)
{
        int came = 0;
        for (int i = 0; n->domain[0] == '\0' && i < N_TABLE + N_OTHERS; i++) {
                const int since = row_at(i)->added[0].since;
                if (strcmp(row_at(i)->op, n->op) == 0 && (came == 0 || since < came))
                        came = since;
        }
        if (came == 0)
                return true;
        if (came > opset && came > 7)
                return rs_fail(err, RESECT_UNSUPPORTED,
                        "--opset: %s (%s): there is no %s before opset %d", rs_node_title(n), n->op,
                        n->op, came);
        for (int i = 0; i < N_TABLE + N_OTHERS; i++)
                if (holds(row_at(i), n, opset) && !takes(row_at(i), n, types, opset, err))
                        return false;
        return true;
}
