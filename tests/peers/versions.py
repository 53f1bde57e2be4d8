# SPDX-License-Identifier: 0BSD
"""versions.py: resect-edit --opset on models of one operator each, those of opsets.py.

bind DIR makes constants of all inputs but the first. check DIR VERSION FOLDER: what came out in FOLDER is of that version, passes
onnx.checker where that knows it, and ONNX Runtime computed with it what it computed with the models in DIR."""
import glob
import os
import sys
import numpy as np
import onnx
from onnx import numpy_helper


def bind(folder):
    for path in glob.glob(f"{folder}/*/model.onnx"):
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


sys.exit(bool(bind(sys.argv[2]) if sys.argv[1] == "bind" else check(sys.argv[2], int(sys.argv[3]), sys.argv[4])))
