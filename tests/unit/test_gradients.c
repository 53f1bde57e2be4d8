/* SPDX-License-Identifier: 0BSD */
/*
 * Every backward against central finite differences, in double. The test walks the list of
 * operators: one that has a backward and no case here fails it, so that no gradient can be added
 * untested.
 */
#include "op_case.h"

#define CASE(o, version, a, in, ...)                                             \
        {                                                                        \
                .op = o, .opset = version, .attrs = a, .inputs = in, __VA_ARGS__ \
        }
/* clang-format off */
static const op_case cases[] = {
        CASE("Add", 14, "", "d2,3,4 d3,1"),
        CASE("Add", 6, "broadcast=1 axis=1", "d2,3,4 d3"),
        CASE("Sub", 14, "", "d3,1 d2,3,4"),
        CASE("Mul", 14, "", "d2,3,4 d4"),
        CASE("Mul", 14, "", "d2,1,4 d3,1"),
        CASE("Div", 14, "", "d2,3,4 u3,4"),
        CASE("Pow", 15, "", "p2,3 d2,3"),
        CASE("Pow", 15, "", "d2,3 S[2]"),
        CASE("PRelu", 16, "", "d2,3,4 d3,1"),
        CASE("Sum", 13, "", "d2,3 d3 d1"),
        CASE("Mean", 13, "", "d2,3 d3 d2,1"),
        CASE("Max", 13, "", "d2,3 d2,3 d3"),
        CASE("Min", 13, "", "d2,3 d2,3 d3"),
        CASE("Relu", 14, "", "d2,3,5"),
        CASE("LeakyRelu", 16, "alpha=0.1", "d11"),
        CASE("ThresholdedRelu", 10, "alpha=0.3", "d23"),
        CASE("Elu", 6, "alpha=1.5", "d11"),
        CASE("Selu", 6, "", "d11"),
        CASE("Celu", 12, "alpha=0.7", "d11"),
        CASE("Sigmoid", 13, "", "w11"),
        CASE("HardSigmoid", 6, "", "w23"),
        CASE("HardSwish", 14, "", "w23"),
        CASE("Tanh", 13, "", "d11"),
        CASE("Softplus", 1, "", "w11"),
        CASE("Softsign", 1, "", "w11"),
        CASE("Mish", 18, "", "w11"),
        CASE("Gelu", 20, "", "w11"),
        CASE("Gelu", 20, "approximate=tanh", "w11"),
        CASE("Exp", 13, "", "d11"),
        CASE("Log", 13, "", "p11"),
        CASE("Sqrt", 13, "", "p11"),
        CASE("Reciprocal", 13, "", "p11"),
        CASE("Abs", 13, "", "d11"),
        CASE("Neg", 13, "", "d11"),
        CASE("Erf", 13, "", "d11"),
        CASE("Sin", 7, "", "w11"),
        CASE("Cos", 7, "", "w11"),
        CASE("Tan", 7, "", "d11"),
        CASE("Asin", 7, "", "d6"),
        CASE("Acos", 7, "", "d6"),
        CASE("Atan", 7, "", "w11"),
        CASE("Sinh", 9, "", "d11"),
        CASE("Cosh", 9, "", "d11"),
        CASE("Asinh", 9, "", "w11"),
        CASE("Acosh", 9, "", "u11"),
        CASE("Atanh", 9, "", "d6"),
        CASE("Identity", 13, "", "d2,3"),
        CASE("Flatten", 13, "axis=1", "d2,3,2"),
        CASE("Reshape", 13, "", "d2,3,2 i[3,-1]"),
        CASE("Squeeze", 13, "", "d2,1,3 i[1]"),
        CASE("Unsqueeze", 13, "", "d2,3 i[0,3]"),
        CASE("Cast", 13, "to=11", "d2,3"),
        CASE("CastLike", 15, "", "d2,3 D1"),
        CASE("Concat", 13, "axis=1", "d2,3 d2,1 d2,2"),
        CASE("Split", 13, "axis=1", "d2,5,2 i[2,3]", .outs = 2),
        CASE("Gather", 13, "axis=1", "d2,4,3 i[3,0,-1,0]"),
        CASE("Transpose", 13, "perm=[2,0,1]", "d2,3,4"),
        CASE("Slice", 13, "", "d4,5,3 i[3,0] i[-10,4] i[0,1] i[-2,3]"),
        CASE("Slice", 9, "starts=[1] ends=[1000] axes=[2]", "d2,3,4"),
        CASE("Expand", 13, "", "d3,1 i[2,1,4]"),
        CASE("Tile", 13, "", "d2,3 i[2,3]"),
        CASE("DepthToSpace", 13, "blocksize=2 mode=CRD", "d1,8,2,3"),
        CASE("DepthToSpace", 13, "blocksize=2", "d1,8,2,3"),
        CASE("SpaceToDepth", 13, "blocksize=2", "d1,2,4,2"),
        CASE("Pad", 18, "", "d2,3,1 i[1,-1,1,0,2,0]"),
        CASE("Pad", 18, "mode=reflect", "d2,4 i[0,3,1,2]"),
        CASE("Pad", 18, "mode=edge", "d2,4 i[2,1] - i[1]"),
        CASE("Pad", 19, "mode=wrap", "d2,4 i[0,3,1,2]"),
        CASE("Where", 16, "", "B2,3 d3 d2,1"),
        CASE("Clip", 13, "", "d23 S[-0.4] S[0.5]"),
        CASE("Clip", 6, "min=-0.5", "d23"),
        CASE("Dropout", 13, "", "d4,5 S[0.4]"),
        CASE("Dropout", 7, "ratio=0.25", "d4,5"),
        CASE("ReduceSum", 13, "keepdims=0", "d2,3,4 i[1]"),
        CASE("ReduceSum", 11, "axes=[0,2]", "d2,3,4"),
        CASE("ReduceMean", 18, "", "d2,3,4 i[-1,-2]"),
        CASE("ReduceMean", 13, "keepdims=0 axes=[0]", "d2,3,4"),
        CASE("ReduceMax", 13, "axes=[1]", "d2,5,3"),
        CASE("ReduceMin", 13, "", "d2,5"),
        CASE("ReduceL1", 13, "axes=[1]", "d2,5,3"),
        CASE("ReduceL2", 13, "axes=[1]", "d2,5,3"),
        CASE("ReduceSumSquare", 13, "axes=[2]", "d2,5,3"),
        CASE("ReduceLogSum", 13, "axes=[1]", "p2,5"),
        CASE("ReduceLogSumExp", 13, "axes=[1]", "w2,5"),
        /* products */
        CASE("Conv", 11, "pads=[1,1,1,1] strides=[2,1]", "d1,2,4,5 d3,2,3,3 d3"),
        CASE("ConvTranspose", 11, "strides=[2,2]", "d1,2,3,2 d2,3,2,2 d3"),
        CASE("Gemm", 13, "transB=1 alpha=0.5 beta=2.0", "d2,3 d4,3 d4"),
        CASE("MatMul", 13, "", "d2,2,3 d3,4"),
        CASE("BatchNormalization", 15, "training_mode=1", "d2,3,4 p3 d3 D3 P3", .outs = 3, .grads = 1),
        CASE("BatchNormalization", 9, "", "d2,3,4 p3 d3 D3 P3", .outs = 3, .grads = 1),
        CASE("InstanceNormalization", 6, "", "d2,3,4 p3 d3"),
        CASE("MaxPool", 12, "kernel_shape=[2,2] strides=[2,1]", "d1,2,4,3"),
        CASE("AveragePool", 11, "kernel_shape=[3,2] pads=[1,0,1,1]", "d1,2,4,3"),
        CASE("GlobalAveragePool", 1, "", "d2,3,2,3"),
        CASE("GlobalMaxPool", 1, "", "d2,3,2,3"),
        CASE("Softmax", 13, "axis=1", "d2,4,2"),
        CASE("LogSoftmax", 11, "axis=1", "d2,4,2"),
};
/* clang-format on */
enum { N_CASES = sizeof cases / sizeof *cases };

static void
check(const op_case *k)
{
        op_run r;
        uint32_t which = op_case_start(&r, k, RESECT_DOUBLE);
        size_t outs = k->outs ? k->outs : 1;
        const double h = 1e-5, tolerance = 2e-7;
        ck_assert_msg(which && r.op->backward, "%s has no backward", k->op);
        r.x.training = true;
        op_make(&r);
        op_case_gradients(&r, which, k->grads ? k->grads : outs);
        r.op->forward(&r.call);
        r.op->backward(&r.call);
        for (size_t i = 0; i < r.x.n_in; i++)
                for (int64_t e = 0; r.din[i].data && e < resect_tensor_count(&r.in[i]); e++) {
                        double *v = (double *)r.in[i].data + e, was = *v;
                        *v = was + h;
                        r.op->forward(&r.call);
                        double up = op_objective(&r);
                        *v = was - h;
                        r.op->forward(&r.call);
                        double down = op_objective(&r);
                        *v = was;
                        double want = (up - down) / (2 * h), got = op_get(&r.din[i], e) - 1;
                        ck_assert_msg(fabs(want - got) <= tolerance * (1 + fabs(want)),
                                "%s (%s; %s) input %zu element %lld: difference quotient %.9g, "
                                "backward %.9g",
                                k->op, k->attrs, k->inputs, i, (long long)e, want, got);
                }
        op_free(&r);
}

START_TEST(every_backward)
{
        for (const rs_op *const *op = rs_ops; *op; op++) {
                bool tested = !(*op)->backward;
                for (size_t k = 0; k < N_CASES && !tested; k++)
                        tested = rs_op_find((*op)->domain, cases[k].op, cases[k].opset) == *op;
                ck_assert_msg(tested, "%s has a backward and no case here", (*op)->name);
        }
        for (size_t k = 0; k < N_CASES; k++)
                check(&cases[k]);
}
END_TEST

UNIT_MAIN("gradients", every_backward)
