# SPDX-License-Identifier: 0BSD
"""Operators as opset 18 to 23 define them, and two of com.microsoft, against ONNX Runtime, in the form of ONNX's test folders.

opsets.py make DIR writes DIR/CASE/model.onnx and test_data_set_0/input_I.{pb,npy}; ort_folders.js runs them and leaves output_I.npy;
opsets.py finish DIR turns those into output_I.pb, for resect-run --vectors."""
import glob
import os
import sys
import numpy as np
import onnx
from onnx import TensorProto as T, helper, numpy_helper

rng = np.random.default_rng(5)


def f(*shape):
    return rng.standard_normal(shape).astype(np.float32)


def i64(*values):
    return np.array(values, np.int64)


def u8(*shape):
    return rng.integers(0, 256, shape).astype(np.uint8)


# (name, operator, opset, inputs (None: absent), attributes, number of outputs, domain)
CASES = []


def case(op, opset, inputs, outputs=1, domain="", **attributes):
    CASES.append((f"{op.lower()}_{opset}_{len(CASES)}", op, opset, inputs, attributes, outputs, domain))


for op in ["ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceSumSquare", "ReduceSum"]:
    x = np.abs(f(2, 3, 4)) + 0.5
    case(op, 18, [x, i64(1, -1)], keepdims=1)
    case(op, 18, [x, i64(0)], keepdims=0)
    case(op, 18, [x, i64()], noop_with_empty_axes=1)
    case(op, 18, [x], keepdims=0)
case("Split", 18, [f(7, 2)], outputs=3, num_outputs=3)
case("Split", 18, [f(2, 6), i64(1, 2, 3)], outputs=3, axis=1)
for mode in ["constant", "edge", "reflect"]:
    case("Pad", 18, [f(3, 4), i64(2, 1), np.float32(1.5), i64(1)], mode=mode)
    case("Pad", 19, [f(1, 2, 4, 5), i64(0, 0, 1, 2, 0, 0, 2, 1)], mode=mode)
case("Pad", 19, [f(3, 4), i64(1, 2, 2, 3)], mode="wrap")
case("Pad", 21, [f(3, 4), i64(-1, 1, 0, -2)])
for opset in (19, 22):
    case("AveragePool", opset, [f(1, 2, 9, 9)], kernel_shape=[3, 3], dilations=[2, 2], strides=[2, 2], pads=[1, 1, 1, 1])
    case("AveragePool", opset, [f(1, 2, 9, 9)], kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1, pads=[1, 0, 1, 0])
    case("AveragePool", opset, [f(1, 2, 8, 8)], kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1, count_include_pad=1, pads=[1, 1, 1, 1])
    case("AveragePool", opset, [f(1, 2, 7, 8)], kernel_shape=[3, 2], strides=[2, 2], auto_pad="SAME_UPPER")
case("MaxPool", 22, [f(1, 2, 8, 8)], kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1, pads=[1, 1, 1, 1])
case("MaxPool", 12, [u8(1, 2, 8, 8)], kernel_shape=[2, 2], strides=[2, 2])
case("MaxPool", 22, [f(1, 2, 8, 8)], outputs=2, kernel_shape=[3, 3], strides=[2, 2], dilations=[2, 2])
case("MaxPool", 22, [f(1, 2, 7, 7)], kernel_shape=[2, 2], strides=[2, 2], auto_pad="SAME_LOWER")
case("GlobalAveragePool", 22, [f(2, 3, 5, 4)])
case("GlobalMaxPool", 22, [f(2, 3, 5, 4)])
for pad in ["NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"]:
    case("Conv", 22, [f(2, 4, 9, 8), f(6, 2, 3, 3), f(6)], group=2, strides=[2, 2], auto_pad=pad)
case("Conv", 22, [f(2, 3, 10, 9), f(5, 3, 3, 2)], dilations=[2, 3], pads=[2, 1, 0, 1])
case("Conv", 11, [f(1, 6, 11), f(6, 1, 4)], group=6, strides=[2], pads=[1, 2])
case("Conv", 11, [f(1, 2, 5, 6, 7), f(3, 2, 2, 3, 2)], strides=[1, 2, 1], pads=[1, 0, 1, 0, 1, 0])
case("ConvTranspose", 11, [f(1, 3, 5, 5), f(3, 2, 3, 3), f(2)], strides=[2, 2], output_padding=[1, 1], pads=[1, 1, 1, 1])
case("BatchNormalization", 15, [f(2, 3, 4, 4), f(3), f(3), f(3), np.abs(f(3)) + 0.1], epsilon=1e-3)
case("InstanceNormalization", 22, [f(2, 3, 4, 4), f(3), f(3)])
case("LRN", 13, [f(2, 6, 3, 3)], size=3, alpha=0.01, beta=0.75, bias=1.0)
case("Gelu", 20, [f(3, 4)])
case("Gelu", 20, [f(3, 4)], approximate="tanh")
for op in ["Relu", "Sigmoid", "Tanh", "Erf", "Softplus", "Softsign", "HardSwish", "HardSigmoid", "Elu", "Selu", "LeakyRelu", "Celu", "Exp", "Neg", "Abs", "Sign",
           "Floor", "Ceil", "Round", "Reciprocal"]:
    case(op, 22 if op in ("Elu", "Selu", "HardSwish", "HardSigmoid", "Softplus", "Softsign", "Round") else 16, [f(2, 5)])
for op in ["Add", "Sub", "Mul", "Div"]:
    case(op, 14, [f(2, 1, 4), f(3, 1)])
    case(op, 14, [i64(7, -8, 9), i64(2, 3, -4)])
case("Pow", 15, [np.abs(f(2, 3)), f(3)])
for op in ["Min", "Max"]:
    case(op, 13, [f(2, 1), f(3), f(1, 1)])
case("Clip", 13, [f(3, 4), np.float32(-0.5), np.float32(0.5)])
case("Clip", 13, [f(3, 4), None, np.float32(0.5)])
case("PRelu", 16, [f(2, 3, 4), f(3, 1)])
case("Where", 16, [rng.integers(0, 2, (2, 1)).astype(bool), f(2, 3), f(3)])
case("Softmax", 13, [f(2, 3, 4)], axis=1)
case("Softmax", 11, [f(2, 3, 4)], axis=1)
case("LogSoftmax", 13, [f(2, 3, 4)])
case("LogSoftmax", 11, [f(2, 3, 4)], axis=2)
case("Gemm", 13, [f(3, 4), f(5, 4), f(5)], transB=1, alpha=0.5, beta=2.0)
case("Gemm", 13, [f(4, 3), f(4, 5), f(3, 1)], transA=1)
case("Gemm", 13, [f(3, 4), f(4, 5)])
case("MatMul", 13, [f(2, 1, 3, 4), f(5, 4, 2)])
case("MatMul", 13, [f(4), f(4, 3)])
case("Reshape", 19, [f(2, 3, 4), i64(0, -1)])
case("Reshape", 21, [f(0, 3), i64(3, 0)], allowzero=1)
case("Flatten", 21, [f(2, 3, 4)], axis=-1)
case("Squeeze", 21, [f(2, 1, 3, 1), i64(-1)])
case("Squeeze", 13, [f(2, 1, 3, 1)])
case("Unsqueeze", 21, [f(2, 3), i64(0, -1)])
case("Transpose", 21, [f(2, 3, 4)], perm=[2, 0, 1])
case("Transpose", 21, [f(2, 3, 4)])
case("Concat", 13, [f(2, 3), f(2, 1), f(2, 2)], axis=-1)
case("Slice", 13, [f(5, 6), i64(-1, 1), i64(-100, 5), i64(0, 1), i64(-2, 2)])
case("Gather", 13, [f(4, 3), i64(3, -1, 0)], axis=0)
case("Gather", 13, [f(4, 3), np.array([[0, 2], [1, -1]], np.int64)], axis=1)
case("GatherElements", 13, [f(3, 3), np.array([[1, 2, 0], [2, 0, -1]], np.int64)], axis=0)
case("Expand", 13, [f(3, 1), i64(2, 1, 4)])
case("Tile", 13, [f(2, 3), i64(2, 1)])
case("Shape", 19, [f(2, 3, 4, 5)], start=1, end=-1)
case("Size", 19, [f(2, 3)])
case("ConstantOfShape", 20, [i64(2, 3)])
case("Cast", 19, [f(2, 3) * 100], to=T.INT32)
case("Cast", 13, [i64(1, 0, -3)], to=T.BOOL)
case("ArgMax", 13, [f(3, 4)], axis=1, keepdims=0)
case("ArgMin", 13, [np.array([[1, 0, 0]], np.float32)], axis=-1, select_last_index=1)
case("DepthToSpace", 13, [f(1, 8, 2, 3)], blocksize=2, mode="CRD")
case("SpaceToDepth", 13, [f(1, 2, 4, 6)], blocksize=2)
case("Dropout", 22, [f(3, 4)])
case("Identity", 19, [f(3)])
case("QuantizeLinear", 19, [f(2, 3, 4) * 3, np.array([0.1, 0.02, 0.5], np.float32), np.array([3, 128, 0], np.uint8)], axis=1)
case("QuantizeLinear", 13, [f(4, 4), np.float32(0.03), np.int8(-5)])
case("DequantizeLinear", 19, [u8(2, 3), np.array([0.1, 0.2, 0.3], np.float32), np.array([1, 2, 3], np.uint8)], axis=1)
case("DynamicQuantizeLinear", 11, [f(4, 5)], outputs=3)
s, z = np.float32(0.02), np.uint8(120)
case("QLinearConv", 10, [u8(1, 3, 6, 6), s, z, u8(4, 3, 3, 3), np.float32(0.01), np.uint8(128), np.float32(0.5), np.uint8(100), rng.integers(-99, 99, 4).astype(np.int32)], pads=[1, 1, 1, 1])
case("QLinearMatMul", 10, [u8(3, 4), s, z, u8(4, 2), np.float32(0.03), np.uint8(90), np.float32(0.3), np.uint8(110)])
MS = "com.microsoft"
s2, z2, s3, z3 = np.float32(0.05), np.uint8(7), np.float32(0.11), np.uint8(99)
case("QLinearAdd", 1, [u8(2, 3, 5, 5), s, z, u8(2, 3, 5, 5), s2, z2, s3, z3], domain=MS)
case("QLinearAdd", 1, [u8(2, 3, 5, 5), s, z, u8(3, 1, 1), s2, z2, s3, z3], domain=MS)
case("QLinearAdd", 1, [u8(4, 5).view(np.int8), s, np.int8(-3), u8(4, 1).view(np.int8), s2, np.int8(5), s3, np.int8(9)], domain=MS)
case("QLinearGlobalAveragePool", 1, [u8(2, 8, 7, 7), s, z, s2, z2], domain=MS)
case("QLinearGlobalAveragePool", 1, [u8(2, 7, 7, 8), s, z, s2, z2], domain=MS, channels_last=1)
case("DequantizeLinear", 21, [u8(4, 5), np.abs(f(2, 5)) + 0.1, u8(2, 5)], axis=0, block_size=2)
case("QuantizeLinear", 21, [f(4, 6) * 9, np.abs(f(4, 2)) + 0.1, u8(4, 2)], axis=1, block_size=3)
for op, x in [("Sin", f(7)), ("Cos", f(7)), ("Tan", f(7)), ("Atan", f(7)), ("Sinh", f(7)), ("Asinh", f(7)), ("Acosh", np.abs(f(7)) + 1), ("Mish", f(7))]:
    case(op, 22 if op != "Mish" else 18, [x])
case("IsInf", 20, [np.array([np.inf, -np.inf, np.nan, 1], np.float32)], detect_negative=0)
case("IsNaN", 20, [np.array([np.inf, -np.inf, np.nan, 1], np.float32)])
case("Mod", 13, [i64(7, -8, 9), i64(4, 3, -4)])
case("Mod", 13, [f(5) * 9, f(5)], fmod=1)
case("Range", 11, [np.array(9, np.int64), np.array(-3, np.int64), np.array(-4, np.int64)])
case("ReduceMax", 20, [rng.integers(0, 2, (3, 4)).astype(bool), i64(1)])
case("ReduceSum", 13, [rng.integers(-2**40, 2**40, (3, 4)), i64(1)])
case("ReduceMean", 18, [f(2, 3, 4)], noop_with_empty_axes=1)
case("Mean", 13, [f(2, 1), f(3)])
case("Sum", 13, [f(2, 1), f(3), f(2, 3)])
case("Split", 13, [f(2, 6)], outputs=2, axis=-1)
case("CastLike", 19, [f(2, 3) * 9, i64(0)])
case("Cast", 19, [np.array([70000, -1, 255], np.int32)], to=T.UINT8)
case("Xor", 7, [rng.integers(0, 2, (3, 4)).astype(bool), rng.integers(0, 2, (4,)).astype(bool)])
case("GreaterOrEqual", 16, [i64(1, 2, 3), i64(2)])
case("Equal", 19, [f(3), f(3)])
case("Pow", 15, [np.array([2, -3, 4], np.int64), np.array([3, 3, 2], np.int64)])
case("ConvInteger", 10, [u8(1, 2, 5, 5), u8(3, 2, 3, 3), np.uint8(7)])
case("MatMulInteger", 10, [u8(3, 4), u8(4, 2), np.uint8(12), np.uint8(3)])


def make(folder):
    for name, op, opset, inputs, attributes, outputs, domain in CASES:
        data = f"{folder}/{name}/test_data_set_0"
        os.makedirs(data)
        names, infos, k = [], [], 0
        for x in inputs:
            names.append("" if x is None else f"x{k}")
            if x is None:
                continue
            x = np.asarray(x)
            infos.append(helper.make_tensor_value_info(f"x{k}", helper.np_dtype_to_tensor_dtype(x.dtype) if hasattr(helper, "np_dtype_to_tensor_dtype") else onnx.mapping.NP_TYPE_TO_TENSOR_TYPE[x.dtype], x.shape))
            with open(f"{data}/input_{k}.pb", "wb") as out:
                out.write(numpy_helper.from_array(x, f"x{k}").SerializeToString())
            np.save(f"{data}/input_{k}.npy", x)
            k += 1
        ys = [f"y{i}" for i in range(outputs)]
        node = helper.make_node(op, names, ys, domain=domain, **attributes)
        graph = helper.make_graph([node], name, infos, [onnx.ValueInfoProto(name=y) for y in ys])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17 if domain else opset)] + [helper.make_opsetid(domain, opset)] * bool(domain), ir_version=10)
        onnx.save(model, f"{folder}/{name}/model.onnx")


def finish(folder):
    for file in glob.glob(f"{folder}/*/test_data_set_0/output_*.npy"):
        with open(file[:-3] + "pb", "wb") as out:
            out.write(numpy_helper.from_array(np.load(file), "y").SerializeToString())
    for model in glob.glob(f"{folder}/*/model.onnx"):
        if not os.path.exists(os.path.dirname(model) + "/test_data_set_0/output_0.pb"):
            print("ONNX Runtime has no answer for", os.path.basename(os.path.dirname(model)))
            os.remove(model)


{"make": make, "finish": finish}[sys.argv[1]](sys.argv[2])
