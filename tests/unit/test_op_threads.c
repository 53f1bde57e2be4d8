/* SPDX-License-Identifier: 0BSD */
/*
 * The same bits for any number of threads, forward and backward, on tensors large enough that
 * threads are used: one case for each way a kernel is cut into work.
 */
#include "op_case.h"

#define CASE(o, version, a, in, ...)                                             \
        {                                                                        \
                .op = o, .opset = version, .attrs = a, .inputs = in, __VA_ARGS__ \
        }
/* clang-format off */
static const op_case cases[] = {
        CASE("Relu", 14, "", "d3,7,41,97"),
        CASE("Sigmoid", 13, "", "w50021"),
        CASE("Add", 14, "", "d2,60,33,17 d2,60,33,17"),
        CASE("Add", 14, "", "d2,60,33,17 d60,1,1"),
        CASE("Mul", 14, "", "d40,33,61 d33,1"),
        CASE("Div", 14, "", "d200,401 u401"),
        CASE("Sum", 13, "", "d3,60,401 d60,1 d401"),
        CASE("Max", 13, "", "d3,60,401 d3,60,401"),
        CASE("PRelu", 16, "", "d2,60,33,17 d60,1,1"),
        CASE("Where", 16, "", "B60,1 d3,60,401 d401"),
        CASE("Clip", 13, "", "d70001 S[-0.5] S[0.5]"),
        CASE("Cast", 13, "to=11", "d70001"),
        CASE("Dropout", 13, "", "d70001 S[0.3]"),
        CASE("ReduceMean", 13, "axes=[2,3]", "d4,60,33,17"),
        CASE("ReduceMean", 13, "axes=[0]", "d70,33,41"),
        CASE("ReduceSum", 11, "", "d70001"),
        CASE("ReduceLogSumExp", 13, "axes=[1]", "d40,70,33"),
        CASE("Transpose", 13, "perm=[0,3,1,2]", "d3,60,33,17"),
        CASE("Slice", 13, "", "d60,61,31 i[50,0] i[-100,60] i[0,1] i[-1,2]"),
        CASE("Expand", 13, "", "d60,1,31 i[3,60,41,31]"),
        CASE("Tile", 13, "", "d60,41 i[3,7]"),
        CASE("Pad", 13, "", "d3,60,33,17 i[0,0,1,2,0,0,2,1]"),
        CASE("Pad", 13, "mode=reflect", "d3,60,33,17 i[0,0,1,2,0,0,2,1]"),
        CASE("Concat", 13, "axis=1", "d60,31,21 d60,11,21"),
        CASE("Split", 13, "axis=1", "d60,42,21 i[31,11]", .outs = 2),
        CASE("Gather", 13, "axis=1", "d60,31,41 i[3,0,3,30,-1]"),
        CASE("Reshape", 13, "", "d60,31,41 i[-1,41]"),
        CASE("DepthToSpace", 13, "blocksize=2", "d2,60,33,17"),
        CASE("Conv", 11, "pads=[1,1,1,1] strides=[2,2]", "d3,16,33,21 d24,16,3,3 d24"),
        CASE("Conv", 11, "group=16 pads=[1,1,1,1]", "d3,16,33,21 d16,1,3,3"),
        CASE("ConvTranspose", 11, "strides=[2,2]", "d2,16,17,13 d16,12,2,2 d12"),
        CASE("Gemm", 13, "transB=1", "d37,301 d67,301 d67"),
        CASE("MatMul", 13, "", "d3,41,101 d101,67"),
        CASE("BatchNormalization", 15, "training_mode=1", "d5,13,33,21 p13 d13 D13 P13", .outs = 3, .grads = 1),
        CASE("MaxPool", 12, "kernel_shape=[3,3] strides=[2,2] pads=[1,1,1,1]", "d3,16,33,41"),
        CASE("AveragePool", 11, "kernel_shape=[3,3] strides=[1,1]", "d3,16,33,41"),
        CASE("GlobalAveragePool", 1, "", "d5,60,33,17"),
        CASE("Softmax", 13, "axis=1", "d60,401,3"),
};
/* clang-format on */

/* Everything that a run wrote, one after the other. */
static void
digest(const op_case *k, int threads, rs_buf *out)
{
        op_run r;
        size_t outs = k->outs ? k->outs : 1;
        uint32_t which = op_case_start(&r, k, RESECT_FLOAT);
        r.x.training = true;
        r.x.threads = r.call.threads = threads;
        op_make(&r);
        op_case_gradients(&r, which, k->grads ? k->grads : outs);
        r.op->forward(&r.call);
        r.op->backward(&r.call);
        for (size_t i = 0; i < outs; i++)
                rs_buf_add(out, r.out[i].data, r.out[i].size);
        for (size_t i = 0; i < r.x.n_in; i++)
                if (r.din[i].data)
                        rs_buf_add(out, r.din[i].data, r.din[i].size);
        ck_assert(!out->oom && out->size);
        op_free(&r);
}

START_TEST(same_bits)
{
        static const int counts[] = {2, 3, 8};
        for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
                rs_buf one = {0};
                digest(&cases[k], 1, &one);
                for (size_t i = 0; i < 3; i++) {
                        rs_buf many = {0};
                        digest(&cases[k], counts[i], &many);
                        ck_assert_uint_eq(one.size, many.size);
                        ck_assert_msg(!memcmp(one.data, many.data, one.size),
                                "%s (%s; %s) differs on %d threads", cases[k].op, cases[k].attrs,
                                cases[k].inputs, counts[i]);
                        rs_buf_free(&many);
                }
                rs_buf_free(&one);
        }
}
END_TEST

UNIT_MAIN("op_threads", same_bits)
