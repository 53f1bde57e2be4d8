# SPDX-License-Identifier: 0BSD
"""Reading and writing against Python's onnx. Every model of libonnx-testdata goes through the library and comes back equal as a
message; values of every data type, raw, typed and external, are the ones NumPy has; resect.digest is what hashlib makes of its
definition; and what resect writes after a change passes onnx.checker."""
import ctypes
import glob
import hashlib
import os
import struct
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

lib = ctypes.CDLL(sys.argv[1])
tmp = sys.argv[2]
failed = 0


class Error(ctypes.Structure):
    _fields_ = [("code", ctypes.c_int), ("msg", ctypes.c_char * 512)]


class Tensor(ctypes.Structure):
    _fields_ = [("dtype", ctypes.c_int), ("rank", ctypes.c_int), ("dims", ctypes.c_int64 * 8), ("size", ctypes.c_size_t),
                ("data", ctypes.c_void_p)]


lib.resect_model_read.restype = ctypes.c_void_p
lib.resect_model_meta.restype = ctypes.c_char_p
for name in ("write", "seal", "tensor_values", "set_meta"):
    getattr(lib, "resect_model_" + name).restype = ctypes.c_bool


def fail(text):
    global failed
    failed += 1
    print("FAIL:", text)


def read(path):
    err = Error()
    model = lib.resect_model_read(path.encode(), None, ctypes.byref(err))
    if not model:
        fail(err.msg.decode())
        raise SystemExit(1)
    return ctypes.c_void_p(model)


def write(model, path):
    err = Error()
    if not lib.resect_model_write(model, path.encode(), ctypes.byref(err)):
        fail(err.msg.decode())


def values(model, name):
    t, err = Tensor(), Error()
    if not lib.resect_model_tensor_values(model, name.encode(), ctypes.byref(t), ctypes.byref(err)):
        fail(err.msg.decode())
        return b""
    out = ctypes.string_at(t.data, t.size) if t.size else b""
    lib.resect_tensor_free(ctypes.byref(t))
    return out


def load(path):
    model = onnx.ModelProto()
    with open(path, "rb") as f:
        model.ParseFromString(f.read())
    return model


def digest(model, arrays):
    """The definition at resect_model_seal, in Python."""
    h = hashlib.sha256()
    for t in sorted(model.graph.initializer, key=lambda t: t.name.encode()):
        inner = hashlib.sha256()
        if t.data_type == TensorProto.STRING:
            for s in t.string_data:
                inner.update(struct.pack("<Q", len(s)) + s)
        else:
            inner.update(arrays[t.name.split("_", 1)[1]].tobytes())
        h.update(t.name.encode() + b"\0" + struct.pack("<II", t.data_type, len(t.dims)))
        h.update(b"".join(struct.pack("<q", d) for d in t.dims) + inner.digest())
    return h.hexdigest()


def round_trips():
    out = os.path.join(tmp, "out.onnx")
    paths = glob.glob("/usr/share/libonnx-testdata/data/**/*.onnx", recursive=True)
    for path in paths:
        model = read(path)
        write(model, out)
        lib.resect_model_free(model)
        if load(path) != load(out):
            fail(f"{path}: another message came out")
    print(f"{len(paths)} models of libonnx-testdata, {failed} of them changed")


def all_types():
    rng = np.random.default_rng(0)
    arrays = {}
    for dtype in ("float32", "float64", "float16", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "bool",
                  "complex64", "complex128"):
        a = (rng.standard_normal((3, 5)) * 50)
        if dtype.startswith("u"):
            a = np.abs(a)
        arrays[dtype] = a.astype(dtype)
        arrays[dtype + "_scalar"] = a.astype(dtype)[0, 0].reshape(())
        arrays[dtype + "_empty"] = np.zeros((0, 4), dtype)
    tensors = []
    for name, a in arrays.items():
        tensors.append(numpy_helper.from_array(a, "raw_" + name))
        t = TensorProto(name="typed_" + name, data_type=tensors[-1].data_type, dims=a.shape)
        flat = a.flatten()
        if a.dtype == np.complex64:
            t.float_data.extend(flat.view(np.float32).tolist())
        elif a.dtype == np.complex128:
            t.double_data.extend(flat.view(np.float64).tolist())
        elif a.dtype == np.float32:
            t.float_data.extend(flat.tolist())
        elif a.dtype == np.float64:
            t.double_data.extend(flat.tolist())
        elif a.dtype == np.int64:
            t.int64_data.extend(flat.tolist())
        elif a.dtype in (np.uint32, np.uint64):
            t.uint64_data.extend(flat.tolist())
        elif a.dtype == np.float16:
            t.int32_data.extend(flat.view(np.uint16).tolist())
        else:
            t.int32_data.extend(flat.astype(np.int32).tolist())
        tensors.append(t)
    tensors.append(helper.make_tensor("words", TensorProto.STRING, [2], [b"eins", b"zwei"]))
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 2])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 2])
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [x], [y], tensors)
    return arrays, helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])


def check_values(path, arrays, what):
    model = read(path)
    for name, a in arrays.items():
        for kind in ("raw_", "typed_"):
            if values(model, kind + name) != a.tobytes():
                fail(f"{what}: {kind}{name} has other values")
    return model


def main():
    round_trips()
    arrays, proto = all_types()
    path = os.path.join(tmp, "types.onnx")
    onnx.save(proto, path)
    lib.resect_model_free(check_values(path, arrays, "inside"))

    sealed = os.path.join(tmp, "sealed.onnx")
    model, err = read(path), Error()
    if not lib.resect_model_seal(model, ctypes.byref(err)):
        fail(err.msg.decode())
    want = digest(proto, arrays)
    if lib.resect_model_meta(model, b"resect.digest").decode() != want:
        fail("resect.digest is not what its definition says")
    write(model, sealed)
    lib.resect_model_free(model)
    lib.resect_model_free(check_values(sealed, arrays, "sealed"))
    onnx.checker.check_model(sealed)

    # External data as Python's onnx writes them, in one file and in one each.
    for one in (True, False):
        folder = os.path.join(tmp, f"external{one:d}")
        os.mkdir(folder)
        out = os.path.join(folder, "m.onnx")
        copy = onnx.ModelProto()
        copy.CopyFrom(proto)
        for t in copy.graph.initializer:
            t.name = t.name.replace("/", "_")
        onnx.save_model(copy, out, save_as_external_data=True, all_tensors_to_one_file=one, location="w.bin" if one else None,
                        size_threshold=16)
        model = check_values(out, arrays, "external")
        if not lib.resect_model_seal(model, ctypes.byref(err)):
            fail(err.msg.decode())
        if lib.resect_model_meta(model, b"resect.digest").decode() != want:
            fail("the digest depends on where the values are")
        write(model, out)
        lib.resect_model_free(model)
        lib.resect_model_free(check_values(out, arrays, "external, sealed"))
    print(f"{len(arrays) * 2} tensors of 14 types, raw, typed and external; digests against hashlib: {failed} wrong")
    raise SystemExit(failed != 0)


main()
