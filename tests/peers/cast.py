# SPDX-License-Identifier: 0BSD
"""cast.py: what resect-cast wrote, against NumPy and ONNX's own schemas.

schema FILE.c: the table of types in lib/edit/opset_types.c.
half A B, bfloat A B: B's weights are A's, rounded to the nearest, ties to even, bit for bit. back A B: they are A's, through
float16. int8 A B FOLDER P: the scale of each value is that of its range, at the percentile P, in FOLDER, where A's values are as
NAME.npy. B passes the checker. apart A B FOLDER: B is A cut at every QuantizeLinear, each piece being given the bytes in
FOLDER. steps OURS THEIRS: what the pieces make of them, in two folders, is the same within one step of the quantisation."""
import glob
import os
import re
import sys
import numpy as np
import onnx
from onnx import checker, defs, numpy_helper


def raw(t):
    """An initializer's bytes as unsigned integers (Python's onnx does not know bfloat16 in all versions)."""
    width = {1: "<u4", 10: "<u2", 11: "<u8", 16: "<u2", 6: "<i4", 7: "<i8", 3: "i1", 2: "u1"}[t.data_type]
    return np.frombuffer(t.raw_data, width) if t.raw_data else numpy_helper.to_array(t).ravel().view(width)


def bfloat(x):
    u = x.view(np.uint32).astype(np.uint64)
    return ((u + 0x7FFF + (u >> 16 & 1)) >> 16).astype(np.uint16)


def schema(path):
    """Every row of the table of types, at every opset from 7 on that onnx knows, type by type."""
    source = open(path).read()
    known = {f"RESECT_{k}": v for k, v in onnx.TensorProto.DataType.items()}
    known |= {f"RESECT_FLOAT8E{k}": v for v, k in enumerate(("4M3FN", "4M3FNUZ", "5M2", "5M2FNUZ"), 17)} | {"RESECT_UINT4": 21, "RESECT_INT4": 22}
    known |= {"IN": lambda i: 1 << i, "OUT": 1 << 31, "EVERY": (1 << 31) - 1}
    for name, value in re.findall(r"^ {8}(\w+) = ([^,}]+?)(?:,\n|\n\};)", source[source.index("enum set") : source.index("#define IN")], re.M):
        known[name] = eval(re.sub(r"1 << (\w+)", r"(1 << \1)", value.replace("\n", " ")), {}, known)
    rows = re.findall(r'^ {8}\{"(\w+)", (.*?), \.added = \{(.*)\}(?:, \.from = (\d+))?(?:, \.until = (\d+))?\},$', source, re.M)
    asked = bad = 0
    for op, slots, added, first, last in rows:
        slots, added = eval(slots, {}, known), [(int(v), eval(t, {}, known)) for v, t in re.findall(r"\{(\d+), ([^}]*)\}", added)]
        # what came before 7 is of no matter: --opset goes no further down
        for v in range(max(7, int(first or 0)), min(int(last or 99), defs.onnx_opset_version()) + 1):
            types = sum({1 << k for k in range(27) for since, t in added if since <= v and t >> k & 1})
            try:
                s = defs.get_schema(op, v, "")
            except defs.SchemaError:
                bad += types != 0
                print(f"there is no {op} in {v}" if types else "", end="\n" if types else "")
                continue
            parameters = [p for i, p in enumerate(s.inputs) if slots >> i & 1] + [s.outputs[0]] * (slots >> 31)
            if len({p.typeStr for p in parameters}) != 1:
                print(f"{op} of {v}: {[p.name for p in parameters]} are not of one type")
                bad += 1
            for p in parameters:
                takes = next((c.allowed_type_strs for c in s.type_constraints if c.type_param_str == p.typeStr), [p.typeStr])
                for name, k in ((n.lower(), k) for n, k in onnx.TensorProto.DataType.items() if 0 < k <= 16):
                    asked += 1
                    if (f"tensor({name})" in takes) != bool(types >> k & 1):
                        print(f"{op} of {v}: {p.name}, {name}: {not types >> k & 1}")
                        bad += 1
    print(f"{len(rows)} rows, {asked} questions, {bad} answers differ from those of ONNX {onnx.__version__}")
    return bad or len(rows) < 120


def rounded(mode, before, after):
    a, b = onnx.load(before), onnx.load(after)
    checker.check_model(b, full_check=mode != "bfloat")
    old = {t.name: numpy_helper.to_array(t).ravel() for t in a.graph.initializer if t.data_type == 1}
    n = 0
    for t in b.graph.initializer:
        if t.name not in old:
            continue
        x, y = old[t.name], raw(t)
        if mode == "half" and t.data_type == 10:
            want = x.astype(np.float16).view(np.uint16)
        elif mode == "bfloat" and t.data_type == 16:
            want = bfloat(x)
        elif mode == "back" and t.data_type == 1:
            want = x.astype(np.float16).astype(np.float32).view(np.uint32)
            if (y == x.view(np.uint32)).all():
                continue  # a norm's, which stayed
        else:
            continue
        if not (y == want).all():
            sys.exit(f"{t.name} is not {mode}")
        n += x.size
    print(f"{mode}: {n} numbers, bit for bit")
    return n < 1000


def int8(before, after, dump, percentile):
    a, b = onnx.load(before), onnx.load(after)
    checker.check_model(b, full_check=True)
    init = {t.name: numpy_helper.to_array(t) for t in b.graph.initializer}
    n = 0
    for q in b.graph.node:
        if q.op_type != "QuantizeLinear" or f"{q.input[0]}_scale" != q.input[1]:
            continue
        v = np.load(f"{dump}/{q.input[0]}.npy").ravel().astype(np.float64)
        v = np.sort(v)
        step = (max(v[-1], 0) - min(v[0], 0)) / 4096 if percentile < 100 else 1e-6
        out = int(len(v) * (100 - percentile) / 100)  # so many are left out at each end, give or take one
        near = slice(max(out - 1, 0), out + 2) if percentile < 100 else slice(0, 1)
        lows, highs = np.minimum(v[near], 0), np.maximum(v[::-1][near], 0)
        scale, zero = float(init[q.input[1]]), float(init[q.input[2]])
        low, high = -zero * scale, (255 - zero) * scale
        slack = 1.01 * step + 0.501 * scale  # the zero point is a whole number
        if not (lows.min() - slack <= low <= lows.max() + slack and highs.min() - slack <= high <= highs.max() + slack):
            sys.exit(f"{q.input[0]}: {low} to {high}, but its range is {lows.mean()} to {highs.mean()}")
        if percentile == 100 and abs(255 * scale - (highs[0] - lows[0])) > 1e-5 * 255 * scale:
            sys.exit(f"{q.input[0]}: scale {scale}, but its range is {lows[0]} to {highs[0]}")
        n += 1
    print(f"int8: {n} ranges as NumPy has them")
    return n < 10


def apart(before, after, given):
    a = onnx.load(before)
    for q in a.graph.node:
        if q.op_type == "QuantizeLinear":
            name = q.output[0]
            q.output[0] = f"{name}_made"
            info = onnx.helper.make_tensor_value_info
            a.graph.output.append(info(q.output[0], onnx.TensorProto.UINT8, None))
            a.graph.input.append(info(name, onnx.TensorProto.UINT8, np.load(f"{given}/{name}.npy").shape))
    onnx.save(a, after)


def steps(ours, theirs):
    files = glob.glob(f"{theirs}/*_made.npy")
    other = numbers = 0
    for f in files:
        x, y = (np.load(p).astype(int) for p in (f"{ours}/{os.path.basename(f)}", f))
        d = np.abs(x - y)
        if x.shape != y.shape or d.max() > 1:
            sys.exit(f"{os.path.basename(f)}: {d.max()} steps apart at most, {(d > 1).sum()} of {d.size} by more than one")
        other, numbers = other + d.sum(), numbers + d.size
    print(f"steps: {numbers} bytes in {len(files)} layers, {other} of them one step apart, none more")
    return len(files) < 30 or other > numbers / 1000


mode, args = sys.argv[1], sys.argv[2:]
sys.exit(bool(schema(*args) if mode == "schema" else apart(*args) if mode == "apart" else steps(*args) if mode == "steps" else int8(*args[:3], float(args[3])) if mode == "int8" else rounded(mode, *args)))
