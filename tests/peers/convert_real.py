# SPDX-License-Identifier: 0BSD
"""Real CIFAR-10 checkpoints, computed by PyTorch without us: convert_real.py truth REAL TMP writes for each the input, the logits and the
labels; config REAL MODEL.onnx compares epsilon and momentum with the file's own model_config; top1 LOGITS LABELS LEAST."""
import json, sys
import numpy as np


def pictures(real):
    z = np.load(f"{real}/pictures/cifar10-136.npz")
    return z["x"].astype("f4"), z["y"]


def akamaster(state, x):
    """The ResNet of github.com/akamaster/pytorch_resnet_cifar10, option A, its state loaded strictly."""
    import torch
    import torch.nn.functional as F
    from torch import nn

    class Block(nn.Module):
        def __init__(self, a, b, stride):
            super().__init__()
            self.conv1 = nn.Conv2d(a, b, 3, stride, 1, bias=False)
            self.bn1 = nn.BatchNorm2d(b)
            self.conv2 = nn.Conv2d(b, b, 3, 1, 1, bias=False)
            self.bn2 = nn.BatchNorm2d(b)
            self.pad = (b - a) // 2 if stride != 1 or a != b else None

        def forward(self, x):
            y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
            return F.relu(y + (x if self.pad is None else F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.pad, self.pad))))

    class Net(nn.Module):
        def __init__(self, n):
            super().__init__()
            self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
            self.bn1 = nn.BatchNorm2d(16)
            for s, (a, b) in enumerate(((16, 16), (16, 32), (32, 64))):
                blocks = [Block(a if i == 0 else b, b, 2 if s and i == 0 else 1) for i in range(n)]
                setattr(self, f"layer{s + 1}", nn.Sequential(*blocks))
            self.linear = nn.Linear(64, 10)

        def forward(self, x):
            x = F.relu(self.bn1(self.conv1(x)))
            x = self.layer3(self.layer2(self.layer1(x)))
            return self.linear(x.mean((2, 3)))

    state = {k[len("module."):]: v for k, v in state.items()}
    net = Net(sum(k.startswith("layer1.") and k.endswith("conv1.weight") for k in state))
    for k, v in net.state_dict().items():  # older than the counters
        if k.endswith("num_batches_tracked"):
            state.setdefault(k, v)
    net.load_state_dict(state, strict=True)
    with torch.no_grad():
        return net.eval()(torch.from_numpy(x)).numpy()


def keras(path, x):
    """The layers of the file's model_config, one by one as Keras defines them; up to the last layer's softmax."""
    import h5py, torch
    import torch.nn.functional as F

    f = h5py.File(path, "r")
    config, values = json.loads(f.attrs["model_config"]), {}
    weights = lambda name: {k.split("/")[-1]: torch.from_numpy(v[()]) for k, v in flat(f["model_weights"][name])}

    def flat(g, at=""):
        for k, v in g.items():
            yield from flat(v, at + k + "/") if isinstance(v, h5py.Group) else [(at + k, v)]

    for layer in config["config"]["layers"]:
        c, kind = layer["config"], layer["class_name"]
        ins = [values[n[0]] for n in layer["inbound_nodes"][0]] if layer["inbound_nodes"] else []
        w = weights(layer["name"]) if layer["name"] in f["model_weights"] else {}
        if kind == "InputLayer":
            y = torch.from_numpy(x)
        elif kind == "Conv2D":
            k, s, size = c["kernel_size"][0], c["strides"][0], ins[0].shape[2]
            assert c["padding"] == "same"
            pad = max((-(-size // s) - 1) * s + k - size, 0)
            y = F.conv2d(F.pad(ins[0], (pad // 2, pad - pad // 2) * 2), w["kernel:0"].permute(3, 2, 0, 1), w["bias:0"], s)
        elif kind == "BatchNormalization":
            y = F.batch_norm(ins[0], w["moving_mean:0"], w["moving_variance:0"], w["gamma:0"], w["beta:0"], eps=c["epsilon"])
        elif kind == "Activation" and c["activation"] == "softmax":
            break  # y are the logits that it would read
        elif kind == "Activation":
            assert c["activation"] == "relu"
            y = F.relu(ins[0])
        elif kind == "Add":
            y = ins[0] + ins[1]
        elif kind == "AveragePooling2D":
            y = F.avg_pool2d(ins[0], c["pool_size"], c["strides"])
        elif kind == "Flatten":
            y = ins[0].permute(0, 2, 3, 1).flatten(1)
        else:
            assert kind == "Dense", kind
            y = ins[0] @ w["kernel:0"] + w["bias:0"]
        values[layer["name"]] = y
    return y.numpy()


job = sys.argv[1]
if job == "truth":
    import torch

    real, tmp = sys.argv[2:]
    x, y = pictures(real)
    mean, std = (np.array(v, "f4").reshape(1, 3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    of_keras = x * std + mean - np.array([0.4914, 0.4822, 0.4465], "f4").reshape(1, 3, 1, 1)  # near its mean picture
    np.save(f"{tmp}/labels.npy", y)
    for name in ("resnet20-12fca82f.th", "resnet56-4bfd9763.th"):
        np.save(f"{tmp}/{name}.x.npy", x)
        np.save(f"{tmp}/{name}.y.npy", akamaster(torch.load(f"{real}/checkpoints/{name}", map_location="cpu")["state_dict"], x))
    name = "cifar10_ResNet20v1_model.h5"
    np.save(f"{tmp}/{name}.x.npy", of_keras)
    np.save(f"{tmp}/{name}.y.npy", keras(f"{real}/checkpoints/{name}", of_keras))
elif job == "config":
    import h5py, onnx

    real, model = sys.argv[2:]
    layers = json.loads(h5py.File(f"{real}/checkpoints/cifar10_ResNet20v1_model.h5", "r").attrs["model_config"])["config"]["layers"]
    want = {(round(c["epsilon"], 9), round(c["momentum"], 6)) for c in (l["config"] for l in layers if l["class_name"] == "BatchNormalization")}
    nodes = [{a.name: a.f for a in n.attribute} for n in onnx.load(model).graph.node if n.op_type == "BatchNormalization"]
    got = {(round(n["epsilon"], 9), round(n["momentum"], 6)) for n in nodes}
    print(f"{len(nodes)} BatchNormalizations: epsilon and momentum {got}, model_config {want}")
    sys.exit(got != want)
else:
    logits, labels = (np.load(a) for a in sys.argv[2:4])
    top1 = (logits.argmax(1) == labels).mean()
    print(f"top-1 {100 * top1:.1f} %, at least {sys.argv[4]} wanted")
    sys.exit(int(100 * top1 < float(sys.argv[4])))
