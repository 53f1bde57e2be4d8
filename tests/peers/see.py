# SPDX-License-Identifier: 0BSD
"""see.py FOLDER make | check: a torchvision ResNet-18 whose BatchNormalization has lived, and what resect-see says of it against PyTorch
in double: Grad-CAM by hooks, at the last maps and deeper."""
import json
import sys
import numpy as np
import torch
import torchvision

folder, what = sys.argv[1:3]
torch.set_num_threads(1)
torch.manual_seed(4)
SIDE, CLASSES = 96, 5


def network():
    net = torchvision.models.resnet18(num_classes=CLASSES)
    gen = torch.Generator().manual_seed(8)
    for m in net.modules():
        if isinstance(m, torch.nn.BatchNorm2d):
            c = m.num_features
            m.weight.data = 0.5 + torch.rand(c, generator=gen)
            m.bias.data = 0.2 * torch.randn(c, generator=gen)
            m.running_mean.data = 0.2 * torch.randn(c, generator=gen)
            m.running_var.data = 0.5 + torch.rand(c, generator=gen)
    return net.double().eval()


def pictures():
    gen = np.random.default_rng(3)
    x = gen.normal(size=(6, 3, SIDE, SIDE)).astype(np.float32)
    y = np.arange(6) % CLASSES
    x += 0.5 * y[:, None, None, None] * (np.arange(3)[None, :, None, None] == y[:, None, None, None] % 3)
    return x.astype(np.float32), y.astype(np.int64)


if what == "make":
    torch.save(network().float().state_dict(), folder + "/net.pth")
    x, y = pictures()
    np.savez(folder + "/data.npz", x=x, y=y)
    sys.exit()

net = network()
x, y = pictures()
values = {}


def keep(name):
    def hook(_module, _inputs, out):
        values[name] = out
        if out.requires_grad:
            out.retain_grad()
    return hook


for name in ("maxpool", "layer1", "layer2", "layer3", "layer4"):
    getattr(net, name).register_forward_hook(keep(name))


def close(what, a, b, tolerance=1e-4):
    a, b = np.asarray(a, float), np.asarray(b, float)
    assert a.shape == b.shape, (what, a.shape, b.shape)
    worst = np.abs(a - b).max() / max(np.abs(b).max(), 1e-12)
    assert worst <= tolerance, (what, worst)
    return worst


def check_cams(path, layer):
    worst, n = 0, 0
    for picture in json.load(open(path))["pictures"]:
        i = int(picture["name"].lstrip("#"))
        for cam in picture["gradcam"]:
            net.zero_grad()
            logits = net(torch.from_numpy(x[i:i + 1]).double())
            logits[0, cam["output"]].backward()
            maps, grad = values[layer][0], values[layer].grad[0]
            want = torch.relu((grad.mean((1, 2))[:, None, None] * maps).sum(0)).detach().numpy()
            worst = max(worst, close("cam " + layer, cam["map"], want))
            close("score", [cam["score"]], [logits[0, cam["output"]].item()])
            n += 1
    assert n >= 4, n
    print(f"{path.split('/')[-1]}: {n} maps at {layer}, worst {worst:.1e} of the largest value")


check_cams(folder + "/last.json", "layer4")
check_cams(folder + "/deep.json", "layer2")
check_cams(folder + "/folded.json", "layer4")
check_cams(folder + "/fast.json", "layer4")
