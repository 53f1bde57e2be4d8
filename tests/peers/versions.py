# SPDX-License-Identifier: 0BSD
"""versions.py: resect-edit --opset on models of one operator each, those of opsets.py, and on what exporters make of several.

chains DIR adds the latter. bind DIR makes constants of all inputs but the first, and old.onnx, where it lies beside, the model. check DIR VERSION FOLDER: what came out in FOLDER is of that version, passes
onnx.checker where that knows it, and ONNX Runtime computed with it what it computed with the models in DIR."""
import glob
import os
import sys
import numpy as np
import onnx
from onnx import TensorProto as T, helper, numpy_helper


def chain(folder, name, opset, nodes, constants, old=None):
    """nodes: (operator, inputs, output, attributes). old: another opset and its nodes, of which ONNX Runtime knows no kernels."""
    data = f"{folder}/chain_{name}/test_data_set_0"
    os.makedirs(data)
    x = np.random.default_rng(7).standard_normal((2, 3, 8, 8)).astype(np.float32)
    np.save(f"{data}/input_0.npy", x)
    with open(f"{data}/input_0.pb", "wb") as out:
        out.write(numpy_helper.from_array(x, "x").SerializeToString())
    for file, version, list in [("model", opset, nodes)] + ([("old", *old)] if old else []):
        used = {i for _, inputs, _, _ in list for i in inputs}
        tensors = [numpy_helper.from_array(v, k) for k, v in constants.items() if k in used]
        inputs = [helper.make_tensor_value_info("x", T.FLOAT, x.shape)]
        if version < 7:
            inputs += [helper.make_tensor_value_info(t.name, t.data_type, t.dims) for t in tensors]
        graph = helper.make_graph([helper.make_node(op, i, [o], **a) for op, i, o, a in list], name, inputs, [onnx.ValueInfoProto(name="y")], tensors)
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", version)], ir_version=3 if version < 7 else 8), f"{folder}/chain_{name}/{file}.onnx")


def chains(folder):
    rng = np.random.default_rng(6)
    c = {"w": (4, 3, 3, 3), "g": 4, "b": 4, "m": 4, "v": 4, "fw": (5, 4), "fb": 5, "big": (192, 5)}
    c = {k: np.abs(rng.standard_normal(s)).astype(np.float32) - (k in ("w", "fw")) * np.float32(0.5) for k, s in c.items()}
    c |= {"ax": np.array([-1, -2]), "four": np.array([4]), "last": np.array(-1), "shape": np.array([0, -1]), "like64": np.ones(1), "like32": np.ones(1, np.float32),
          "start": np.array([0]), "end": np.array([2]), "axis": np.array([-1])}
    conv = ("Conv", ["x", "w"], "c", {"pads": [1, 1, 1, 1]})
    # PyTorch's dynamo: a part of a shape, axes as an input, allowzero
    chain(folder, "dynamo", 18, [conv, ("ReduceMean", ["c", "ax"], "p", {"noop_with_empty_axes": 0}), ("Shape", ["p"], "s", {"start": 0, "end": 1}),
                                 ("Concat", ["s", "four"], "sh", {"axis": 0}), ("Reshape", ["p", "sh"], "f", {"allowzero": 1}), ("Gemm", ["f", "fw", "fb"], "y", {"transB": 1})], c)
    chain(folder, "last", 13, [conv, ("Shape", ["c"], "s", {}), ("Gather", ["s", "last"], "n", {}), ("Cast", ["n"], "r", {"to": T.FLOAT}), ("Div", ["c", "r"], "y", {})], c)
    chain(folder, "like", 18, [("CastLike", ["x", "like64"], "d", {}), ("Slice", ["d", "start", "end", "axis"], "p", {}), ("CastLike", ["p", "like32"], "y", {})], c)
    chain(folder, "gemm", 13, [("Flatten", ["x"], "f", {"axis": -3}), ("Gemm", ["f", "big"], "y", {})], c)
    # numbers that become inputs are of the type of what they are for (the picture is at its bounds everywhere: no rounding shows)
    chain(folder, "half", 10, [("Mul", ["x", "k"], "l", {}), ("Cast", ["l"], "h", {"to": T.FLOAT16}), ("Pad", ["h"], "p", {"pads": [0, 0, 1, 1, 0, 0, 1, 1], "value": 0.5}),
                               ("Clip", ["p"], "q", {"min": -0.25, "max": 0.25}), ("Cast", ["q"], "y", {"to": T.FLOAT})], c | {"k": np.full(1, 1000, np.float32)})
    # Chainer's, of opset 6, and Caffe2's
    norm, end = ["c", "g", "b", "m", "v"], [("Relu", ["n"], "r", {}), ("Sum", ["r", "c"], "s", {}), ("AveragePool", ["s"], "a", {"kernel_shape": [8, 8]})]
    new = [conv, ("BatchNormalization", norm, "n", {"epsilon": 2e-5})] + end + [("Reshape", ["a", "shape"], "f", {}), ("Gemm", ["f", "fw", "fb"], "y", {"transB": 1})]
    chain(folder, "chainer", 7, new, c, (6, [conv, ("BatchNormalization", norm, "n", {"epsilon": 2e-5, "is_test": 1, "spatial": 1})] + end + [
        ("Reshape", ["a", "shape"], "f", {}), ("Gemm", ["f", "fw", "fb"], "y", {"transB": 1, "broadcast": 1})]))
    chain(folder, "caffe2", 7, new, c, (3, [conv, ("BatchNormalization", norm, "n", {"epsilon": 2e-5, "is_test": 1, "consumed_inputs": [0, 0, 0, 1, 1]})] + end + [
        ("Reshape", ["a"], "f", {"shape": [0, 4]}), ("Gemm", ["f", "fw", "fb"], "y", {"transB": 1, "broadcast": 1})]))


def bind(folder):
    for path in glob.glob(f"{folder}/chain_*"):
        if not os.path.exists(f"{path}/test_data_set_0/output_0.npy"):
            sys.exit(f"{path}: ONNX Runtime has no answer")
    for path in glob.glob(f"{folder}/chain_*/old.onnx"):
        os.rename(path, path[:-8] + "model.onnx")
    for path in glob.glob(f"{folder}/*/model.onnx"):
        if "/chain_" in path:
            continue
        model = onnx.load(path)
        for k, x in list(enumerate(model.graph.input))[:0:-1]:
            file = f"{os.path.dirname(path)}/test_data_set_0/input_{k}"
            model.graph.initializer.append(numpy_helper.from_array(np.load(file + ".npy"), x.name))
            del model.graph.input[k]
            os.remove(file + ".npy")
            os.remove(file + ".pb")
        onnx.save(model, path)


def check(before, version, after):
    bad = ran = 0
    for path in sorted(glob.glob(f"{after}/*/model.onnx")):
        name = path.split("/")[-2]
        model = onnx.load(path)
        found = {o.domain: o.version for o in model.opset_import}[""]
        if found != version:
            print(f"FAIL {name}: of opset {found}, not {version}")
            bad += 1
        if version <= onnx.defs.onnx_opset_version():
            model.ir_version = min(model.ir_version, onnx.IR_VERSION)  # the models are written as of 10
            for y in model.graph.output:
                y.type.Clear()
            try:
                for n in model.graph.node:
                    schema = onnx.defs.get_schema(n.op_type, version, n.domain) if not n.domain else None
                    if schema and not (schema.min_input <= len(n.input) <= schema.max_input and all(a.name in schema.attributes for a in n.attribute)):
                        raise ValueError(f"{n.op_type} is not of that version")
                onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True)
            except Exception as e:
                if "com.microsoft" not in str(model.opset_import):
                    print(f"FAIL {name} as of {version}: {str(e).splitlines()[0]}")
                    bad += 1
        for y in glob.glob(f"{before}/{name}/test_data_set_0/output_*.npy"):
            mine = f"{after}/{name}/test_data_set_0/{os.path.basename(y)}"
            if not os.path.exists(mine):
                continue  # ONNX Runtime has no kernel of that version and type: resect-run is asked, too
            want, got = np.load(y), np.load(mine)
            ran += 1
            if want.shape != got.shape or want.dtype != got.dtype or not np.allclose(got, want, 1e-5, 1e-6, equal_nan=True):
                print(f"FAIL {name} as of {version} computes something else")
                bad += 1
    print(f"opset {version}: {ran} outputs by ONNX Runtime, {bad} faults")
    return bad or ran < 60


mode, args = sys.argv[1], sys.argv[2:]
sys.exit(bool(chains(*args) if mode == "chains" else bind(*args) if mode == "bind" else check(args[0], int(args[1]), args[2])))
