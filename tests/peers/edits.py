# SPDX-License-Identifier: 0BSD
"""What edited models must compute, from PyTorch, and whether they do.

edits.py make NAME FORM AFTER DROP DIR
                                 exports a torchvision network (eval: BN folded, kept: BN kept) and writes what its parts compute on
                                 DIR/x.npy: AFTER is where it will be cut, DROP the blocks that will go
edits.py check DIR LIST          LIST has lines: model, ONNX Runtime's output, expectation, opset (or nothing). Each model passes onnx.checker
                                 and is compared; what an edit should leave alone has its bytes
edits.py fresh NAME VARIANT DIR  puts a random torchvision network's weights into DIR/new.onnx, by name, as DIR/filled.onnx
"""
import copy
import sys
import numpy as np
import onnx
from onnx import numpy_helper


def busy(model):
    import torch
    with torch.no_grad():
        for m in model.modules():
            if isinstance(m, torch.nn.BatchNorm2d):
                m.weight.uniform_(0.5, 1.0)
                m.bias.normal_(0, 0.1)
                m.running_mean.normal_(0, 0.1)
                m.running_var.uniform_(0.5, 1.5)
    return model.eval()


def make(name, form, after, drop, folder):
    import torch
    import torchvision
    torch.manual_seed(11)
    torch.set_num_threads(1)
    model = busy(getattr(torchvision.models, name)(num_classes=10))
    x = torch.randn(2, 3, 64, 64)
    mode = torch.onnx.TrainingMode.EVAL if form == "eval" else torch.onnx.TrainingMode.PRESERVE
    batch = {"x": {0: "N"}, "logits": {0: "N"}}

    def export(what, net, x, mode, opset, axes):
        torch.onnx.export(net, x, f"{folder}/{what}.onnx", opset_version=opset, training=mode,
                          do_constant_folding=mode == torch.onnx.TrainingMode.EVAL,
                          input_names=["x"], output_names=["logits"], dynamic_axes=axes)
    export("model", model, x, mode, 17, batch)
    with torch.no_grad():
        def save(what, value):
            np.save(f"{folder}/{what}.npy", value.numpy())
        save("x", x)
        save("logits", model(x))
        h = model.maxpool(model.relu(model.bn1(model.conv1(x))))
        for s in range(1, 5):
            for i, block in enumerate(getattr(model, f"layer{s}")):
                h = block(h)
                if f"layer{s}.{i}" == after:
                    save("after", h.mean((2, 3)))
            save(f"layer{s}", h)
            if f"layer{s}" == after:
                save("after", h.mean((2, 3)))
        save("maps", h)
        save("features", h.mean((2, 3)))
        if name == "resnet18":  # what only the rewrites need
            export("fixed", model, x[:1], mode, 11, {})
            trains = copy.deepcopy(model).train()
            export("training", trains, x, torch.onnx.TrainingMode.TRAINING, 17, batch)
            save("evaluated", trains.eval()(x))
            save("softmax", torch.softmax(model(x), 1))
            save("bgr", x.flip(1))
            pixels = torch.randint(0, 256, x.shape).float()
            save("pixels", pixels)
            save("baked", model((pixels / 255 - 0.5) / 0.25))
        for part in drop.split(","):
            stage, _, i = part.partition(".")
            getattr(model, stage)[int(i)] = torch.nn.Identity()
        save("dropped", model(x))
    state = {k: v.numpy() for k, v in model.state_dict().items()}
    np.savez(f"{folder}/state.npz", **state)


def tensors(model):
    return {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}


def expected(folder, model, how):
    kind, _, name = how.rpartition(":")
    value = np.load(f"{folder}/{name}.npy")
    if kind == "head":
        w = tensors(model)
        assert w["fc.weight"].std() > 0, "a classifier of zeros"
        value = value @ w["fc.weight"].T + w["fc.bias"]
    return value


def check(folder, lines):
    bad, original = 0, {}
    for line in open(lines):
        path, result, how, *version = line.split()
        what = path.rsplit("/", 1)[1][:-5]
        model = onnx.load(path, load_external_data=False)
        notes = ""
        if model.ir_version <= onnx.IR_VERSION and model.opset_import[0].version <= onnx.defs.onnx_opset_version():
            onnx.checker.check_model(path, full_check=True)
        else:
            notes += f", too new for the checker of onnx {onnx.__version__}"
        want, got = expected(folder, model, how), np.load(result)
        rel = float(np.abs(got - want).max() / np.abs(want).max()) if got.shape == want.shape else np.inf
        ok = rel < 1e-4
        if version:
            ok &= is_opset(model, int(version[0]))
            notes += f", opset {model.opset_import[0].version}, IR {model.ir_version}"
        if version and not what.startswith("from") or what in ("frozen", "strip", "dropped", "softmax"):
            if not original:
                original = {t.name: t.SerializeToString() for t in onnx.load(f"{folder}/model.onnx").graph.initializer}
            wrong = [t.name for t in model.graph.initializer if original.get(t.name) != t.SerializeToString()]
            ok &= not wrong and len(model.graph.initializer) > 0
            notes += f", {len(model.graph.initializer)} of {len(original)} tensors, {len(wrong)} with other bytes {wrong[:3]}"
        bad += not ok
        print(f"{'ok  ' if ok else 'FAIL'} {folder.rsplit('/', 1)[1]} {what}: {got.shape} against {want.shape}, {rel:.1e} ({how}){notes}")
    sys.exit(bad != 0)


def is_opset(model, version):
    """The model imports this version, and an IR version that knows it; no operator has an attribute or inputs of another one."""
    if model.opset_import[0].version != version:
        return False
    known = {v: ir for _, ir, v, *_ in onnx.helper.VERSION_TABLE}
    for n in model.graph.node:
        if version in known:
            schema = onnx.defs.get_schema(n.op_type, version, n.domain)
            if not (schema.min_input <= len(n.input) <= schema.max_input and all(a.name in schema.attributes for a in n.attribute)):
                print(f"     {n.op_type} {n.name} is not of opset {version}")
                return False
    return model.ir_version >= known.get(version, 8)


def names(path, folder):
    """Canonical names and, where BatchNormalization was kept, torchvision's very values."""
    state = np.load(f"{folder}/state.npz")
    want = {k for k in state.files if not k.endswith("num_batches_tracked")}  # all but those of the parts that were dropped
    have = tensors(onnx.load(path))
    floats = {k for k, v in have.items() if v.dtype == np.float32}
    dropped = {k.rsplit(".", 2)[0] for k in floats - want}
    unknown = {k for k in dropped if k.count(".") != 1}
    missing = want - floats
    wrong = [k for k in want & floats if not np.array_equal(state[k], have[k])]
    print(f"{len(floats)} tensors, beside the dropped {sorted(dropped)}: unknown {sorted(unknown)[:3]}, missing {sorted(missing)[:3]}, "
          f"other values {wrong[:3]}")
    sys.exit(bool(unknown or missing or wrong) or len(dropped) != 2)


def statistics(trained, measured):
    """The means and variances that --unfold --data measured are near those that training left: the network saw such pictures."""
    def norms(path):
        model = onnx.load(path)
        have = tensors(model)
        return [[have[i] for i in n.input[1:5]] for n in model.graph.node if n.op_type == "BatchNormalization"]
    a, b = norms(trained), norms(measured)
    assert len(a) == len(b) == 21, (len(a), len(b))
    # A folded Conv makes what the norm made: on such pictures with about the norm's bias as mean and its scale as deviation. These
    # are what the new norm's bias and scale must be (136 pictures tell them roughly; a few channels are dead).
    means = [np.corrcoef(x[1], y[1])[0, 1] for x, y in zip(a, b)]
    ratios = [np.median(y[0] / np.abs(x[0])) for x, y in zip(a, b)]
    print(f"correlation of means {np.median(means):.3f}, deviations {min(ratios):.3f} to {max(ratios):.3f} of the trained ones")
    sys.exit(not (np.median(means) > 0.9 and min(ratios) > 0.85 and max(ratios) < 1.15))


def fresh(name, variant, folder):
    import torch
    import torchvision
    torch.manual_seed(5)
    net = busy(getattr(torchvision.models, name)(num_classes=7))
    for m in net.modules():
        if isinstance(m, torchvision.models.resnet.Bottleneck) and variant == "v1":
            m.conv1.stride, m.conv2.stride = m.conv2.stride, m.conv1.stride
    state = {k: v.numpy() for k, v in net.state_dict().items() if not k.endswith("num_batches_tracked")}
    model = onnx.load(f"{folder}/new.onnx")
    onnx.checker.check_model(model, full_check=True)
    made = tensors(model)
    assert set(made) == set(state), sorted(set(made) ^ set(state))[:5]
    for t in model.graph.initializer:
        assert made[t.name].shape == state[t.name].shape, t.name
        if made[t.name].ndim == 4:
            fan = made[t.name].shape[0] * made[t.name].shape[2] * made[t.name].shape[3]
            assert abs(made[t.name].std() / np.sqrt(2 / fan) - 1) < 0.05, t.name
        t.CopyFrom(numpy_helper.from_array(state[t.name], t.name))
    onnx.save(model, f"{folder}/filled.onnx")
    x = torch.randn(2, 3, 64, 64)
    np.save(f"{folder}/x.npy", x.numpy())
    with torch.no_grad():
        np.save(f"{folder}/y.npy", net(x).numpy())


if __name__ == "__main__":
    {"make": make, "check": check, "fresh": fresh, "names": names,
     "statistics": statistics}[sys.argv[1]](*sys.argv[2:])
