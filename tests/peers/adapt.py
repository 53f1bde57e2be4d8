# SPDX-License-Identifier: 0BSD
"""adapt.py make NET DIR: a network in inference form with BatchNormalization kept (model.onnx, model.pt) and pictures (data.npz, other.npz).
adapt.py check NET DIR: exact.onnx holds the statistics of one batch of all pictures in training mode (momentum None), and they are those of
inference in the adapted network; running.onnx those that momentum 0.1 leaves; shift.json what NumPy makes of PyTorch's activations."""
import json
import sys
import numpy as np
import onnx
import onnx.numpy_helper
import torch
import torchvision

job, net, folder = sys.argv[1], sys.argv[2], sys.argv[3]
torch.set_num_threads(1)


def network():
    torch.manual_seed(3)
    if net == "small":
        block = torchvision.models.resnet.BasicBlock
        model = torchvision.models.ResNet(block, [1, 1, 1, 1], num_classes=5)
    else:
        model = torchvision.models.resnet18(num_classes=5)
    with torch.no_grad():
        for m in model.modules():
            if isinstance(m, torch.nn.BatchNorm2d):
                m.weight.uniform_(0.5, 1.0)
                m.bias.normal_(0, 0.1)
                m.running_mean.normal_(0, 0.1)
                m.running_var.uniform_(0.5, 1.5)
    return model.eval()


def pictures(seed, n, gain):
    g = np.random.default_rng(seed)
    x = g.standard_normal((n, 3, 32, 32)) * gain + g.standard_normal((n, 3, 1, 1)) * 0.3
    return x.astype(np.float32)


data, other = pictures(1, 43, 1.4), pictures(2, 38, 1.0)
if job == "make":
    model = network()
    torch.onnx.export(model, torch.randn(2, 3, 32, 32), f"{folder}/model.onnx", opset_version=17,
                      training=torch.onnx.TrainingMode.PRESERVE, do_constant_folding=False, input_names=["x"], output_names=["logits"],
                      dynamic_axes={"x": {0: "N"}, "logits": {0: "N"}})
    np.savez(f"{folder}/data.npz", x=data, y=np.arange(43) % 5)
    np.savez(f"{folder}/other.npz", x=other, y=np.arange(38) % 5)
    sys.exit()


def norms(model):
    return {k: m for k, m in model.named_modules() if isinstance(m, torch.nn.BatchNorm2d)}


def statistics(path, names):
    """[(mean, var)] of the file's BatchNormalization, in the order of PyTorch's names: found by their scale, which is unique."""
    m = onnx.load(path)
    t = {i.name: onnx.numpy_helper.to_array(i) for i in m.graph.initializer}
    alias = {n.output[0]: n.input[0] for n in m.graph.node if n.op_type == "Identity"}
    get = lambda k: t[k] if k in t else t[alias[k]]
    found = [tuple(get(k).astype(np.float64) for k in n.input[1:5]) for n in m.graph.node if n.op_type == "BatchNormalization"]
    out = []
    for k, norm in names.items():
        scale = norm.weight.detach().numpy()
        hit = [f for f in found if f[0].shape == scale.shape and np.allclose(f[0], scale)]
        assert len(hit) == 1, k
        out.append(hit[0][2:])
    return out


worst = {}


def near(what, key, mean, var, want_mean, want_var, tolerance):
    error = max(np.max(np.abs(mean - want_mean) / np.sqrt(want_var + 1e-5)), np.max(np.abs(var - want_var) / (want_var + 1e-5)))
    worst[what] = max(worst.get(what, 0), error)
    assert error < tolerance, f"{what}, {key}: {error:.2e}"


def inputs_of(model, x):
    """What each norm reads in inference, as float64 arrays, by name."""
    seen, hooks = {}, []
    for k, m in norms(model).items():
        hooks.append(m.register_forward_hook(lambda m, i, o, k=k: seen.__setitem__(k, i[0].detach().numpy().astype(np.float64))))
    with torch.no_grad():
        model(torch.from_numpy(x).to(next(model.parameters()).dtype))
    for h in hooks:
        h.remove()
    return seen


# Exact: momentum None over one batch of all, in double; PyTorch's variance is over N - 1.
model = network().double()
names = norms(model)
for m in names.values():
    m.reset_running_stats()
    m.momentum = None
model.train()
size = {}
hooks = [m.register_forward_hook(lambda m, i, o, k=k: size.__setitem__(k, i[0].numel() // i[0].shape[1])) for k, m in names.items()]
with torch.no_grad():
    model(torch.from_numpy(data).double())
exact = statistics(f"{folder}/exact.onnx", names)
for (k, m), (mean, var) in zip(names.items(), exact):
    n = size[k]
    near("exact", k, mean, var, m.running_mean.numpy(), m.running_var.numpy() * (n - 1) / n, 1e-5)

# ... and a fixed point: the adapted network's own activations in inference have these means and variances.
model = network().double()
names = norms(model)
for m, (mean, var) in zip(names.values(), exact):
    m.running_mean.copy_(torch.from_numpy(mean))
    m.running_var.copy_(torch.from_numpy(var))
for (k, v), (mean, var) in zip(inputs_of(model, data).items(), exact):
    near("fixed point", k, mean, var, v.mean((0, 2, 3)), v.var((0, 2, 3)), 1e-5)

# Running: momentum 0.1 over batches of 16, 16 and 11.
model = network().double()
names = norms(model)
model.train()
with torch.no_grad():
    for at in range(0, len(data), 16):
        model(torch.from_numpy(data[at:at + 16]).double())
for (k, m), (mean, var) in zip(names.items(), statistics(f"{folder}/running.onnx", names)):
    near("running", k, mean, var, m.running_mean.numpy(), m.running_var.numpy(), 1e-5)

# Shift: layers stand in the order of the network.
model = network().double()
names = norms(model)
seen, seen_other = inputs_of(model, data), inputs_of(model, other)
shift = json.load(open(f"{folder}/shift.json"))
assert shift["reference"] == "stored" and shift["pictures"] == 43 and shift["source_pictures"] == 38
assert len(shift["layers"]) == len(names)
label = {k: k.replace("bn1", "stem.bn1") if k == "bn1" else k.replace("downsample.1", "downsample") for k in names}


def distance(ma, va, mb, vb, eps=1e-5):
    va, vb = va + eps, vb + eps
    kl = lambda m0, v0, m1, v1: 0.5 * (np.log(v1 / v0) + (v0 + (m0 - m1) ** 2) / v1 - 1)
    return kl(ma, va, mb, vb) + kl(mb, vb, ma, va)


by_name = {l["layer"]: l for l in shift["layers"]}
for k, m in names.items():
    l = by_name[label[k]]
    sm, sv = m.running_mean.numpy(), m.running_var.numpy()
    v, w = seen[k], seen_other[k]
    near("shift's moments", k, np.array(l["data_mean"]), np.array(l["data_var"]), v.mean((0, 2, 3)), v.var((0, 2, 3)), 1e-5)
    near("shift's reference", k, np.array(l["reference_mean"]), np.array(l["reference_var"]), sm, sv, 1e-6)
    each = distance(v.mean((0, 2, 3)), v.var((0, 2, 3)), sm, sv)
    source = distance(w.mean((0, 2, 3)), w.var((0, 2, 3)), sm, sv)
    # the two halves are interleaved by pairs within 16 samples, which is every other one
    a, b = v[0::2], v[1::2]
    chance = distance(a.mean((0, 2, 3)), a.var((0, 2, 3)), b.mean((0, 2, 3)), b.var((0, 2, 3))).mean() / 4
    for what, mine, want in (("distance", l["distance"], each.mean()), ("sum", l["sum"], each.sum()), ("median", l["median"], np.median(each)),
                             ("source", l["source"], source.mean()), ("chance", l["chance"], chance)):
        error = abs(mine - want) / max(abs(want), 1e-6)
        worst["shift's " + what] = max(worst.get("shift's " + what, 0), error)
        assert error < 2e-3, f"{k}, {what}: {mine} is not {want}"
    assert np.allclose(l["each"], each, rtol=2e-3, atol=1e-6), k
# a gain of 1.4 is plain to see, if a classifier of these features can see anything
assert shift["features"] == 512 and shift["shared"] == 0
assert shift["auc_low"] <= shift["auc"] <= shift["auc_high"] and shift["auc"] > 0.8
print(f"{net}: " + ", ".join(f"{k} within {v:.0e}" for k, v in worst.items()) + f"; AUC {shift['auc']:.2f}")
