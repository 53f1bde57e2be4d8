# SPDX-License-Identifier: 0BSD
"""What weights_mx.sh compares with: a small ResNet of torchvision's, readers of MXNet's and ncnn's files that share nothing with resect
(struct and NumPy, torch.nn.functional), and OpenCV's reader of Caffe's.

    make DIR            model.onnx with its BatchNormalizations, x.npy, y.npy (logits by PyTorch), state.npz
    mxnet FILE DIR      every array is the state's, under Gluon's names
    ncnn FILE DIR TOL   the network in words, run by PyTorch, gives y
    caffe FILE DIR TOL  OpenCV runs the weights with a prototxt made here, and gives y
    shrink FILE OUT     OpenCV writes the weights as halves
    halves NPZ NPZ      b is a, rounded to half where OpenCV rounds
"""
import struct
import sys

import numpy as np

BLOCKS = [1, 2, 2, 1]


def net():
    import torch
    from torchvision.models.resnet import Bottleneck, ResNet

    torch.manual_seed(5)
    m = ResNet(Bottleneck, BLOCKS, num_classes=17).eval()
    for n in m.modules():
        if isinstance(n, torch.nn.BatchNorm2d):
            n.running_mean.normal_(0, 0.1)
            n.running_var.uniform_(0.5, 2)
            n.weight.data.uniform_(0.5, 1.5)
            n.bias.data.normal_(0, 0.1)
    return m


def make(folder):
    import torch

    m = net()
    x = torch.rand(2, 3, 64, 64) * 2 - 1
    torch.onnx.export(m, x, folder + "/model.onnx", opset_version=13, do_constant_folding=False, input_names=["x"],
                      output_names=["y"], training=torch.onnx.TrainingMode.PRESERVE)
    np.save(folder + "/x.npy", x.numpy())
    np.save(folder + "/y.npy", m(x).detach().numpy())
    np.savez(folder + "/state.npz", **{k: v.numpy() for k, v in m.state_dict().items()})


def close(got, folder, tolerance):
    want = np.load(folder + "/y.npy")
    off = np.abs(got.reshape(want.shape) - want).max() / np.abs(want).max()
    print("largest difference %.2e of the scale" % off)
    if not off <= float(tolerance):
        sys.exit("more than " + str(tolerance))


def params(path):
    """MXNet's list, version 2 only: that is what is written."""
    data = open(path, "rb").read()
    magic, reserved, count = struct.unpack_from("<QQQ", data)
    assert (magic, reserved) == (0x112, 0)
    at, arrays = 24, []
    for _ in range(count):
        version, storage, rank = struct.unpack_from("<IiI", data, at)
        assert (version, storage) == (0xF993FAC9, 0)
        shape = struct.unpack_from("<%dq" % rank, data, at + 12)
        at += 12 + 8 * rank
        device, _, flag = struct.unpack_from("<iii", data, at)
        assert (device, flag) == (1, 0)
        n = int(np.prod(shape))
        arrays.append(np.frombuffer(data, "<f4", n, at + 12).reshape(shape))
        at += 12 + 4 * n
    assert struct.unpack_from("<Q", data, at)[0] == count
    at, names = at + 8, []
    for _ in range(count):
        n = struct.unpack_from("<Q", data, at)[0]
        names.append(data[at + 8:at + 8 + n].decode())
        at += 8 + n
    assert at == len(data)
    return dict(zip(names, arrays))


def mxnet(path, folder):
    state, got, want = np.load(folder + "/state.npz"), params(path), {}
    bn = {"weight": "gamma", "bias": "beta", "running_mean": "running_mean", "running_var": "running_var"}

    def norm(theirs, ours):
        for k, v in bn.items():
            want[theirs + "." + v] = state[ours + "." + k]

    want["features.0.weight"] = state["conv1.weight"]
    norm("features.1", "bn1")
    for s, blocks in enumerate(BLOCKS):
        for b in range(blocks):
            theirs, ours = "features.%d.%d" % (s + 4, b), "layer%d.%d" % (s + 1, b)
            for c in range(3):
                w = state["%s.conv%d.weight" % (ours, c + 1)]
                want["%s.body.%d.weight" % (theirs, 3 * c)] = w
                if c != 1:
                    want["%s.body.%d.bias" % (theirs, 3 * c)] = np.zeros(len(w), "f4")
                norm("%s.body.%d" % (theirs, 3 * c + 1), "%s.bn%d" % (ours, c + 1))
            if b == 0:
                want[theirs + ".downsample.0.weight"] = state[ours + ".downsample.0.weight"]
                norm(theirs + ".downsample.1", ours + ".downsample.1")
    want["output.weight"], want["output.bias"] = state["fc.weight"], state["fc.bias"]
    assert set(got) == set(want), set(got) ^ set(want)
    for k in want:
        assert np.array_equal(got[k], want[k]), k
    print(len(want), "arrays")


def ncnn(path, folder, tolerance):
    import torch
    import torch.nn.functional as F

    words = [line.split() for line in open(path)]
    data = open(path[:-len("param")] + "bin", "rb").read()
    assert words[0] == ["7767517"] and int(words[1][0]) == len(words) - 2
    at, blobs = 0, {}

    def plain(n):
        nonlocal at
        at += 4 * n
        return torch.from_numpy(np.frombuffer(data, "<f4", n, at - 4 * n).copy())

    def flagged(n):
        nonlocal at
        flag = struct.unpack_from("<I", data, at)[0]
        at += 4
        if flag == 0:
            return plain(n)
        assert flag == 0x01306B47, hex(flag)
        half = np.frombuffer(data, "<f2", n, at).astype("f4")
        at += (2 * n + 3) // 4 * 4
        return torch.from_numpy(half)

    for w in words[2:]:
        kind, n_in, n_out = w[0], int(w[2]), int(w[3])
        ins, outs = w[4:4 + n_in], w[4 + n_in:4 + n_in + n_out]
        p = {int(k): float(v) for k, v in (kv.split("=") for kv in w[4 + n_in + n_out:])}
        i = {k: int(v) for k, v in p.items()}
        x = [blobs.pop(b) for b in ins]  # each is read once
        if kind == "Input":
            y = torch.from_numpy(np.load(folder + "/x.npy"))
        elif kind == "Split":
            y = x[0]
        elif kind == "Convolution":
            weight = flagged(i[6]).reshape(i[0], -1, i[11], i[1])
            bias = plain(i[0]) if i[5] else None
            y = F.conv2d(F.pad(x[0], (i[4], i[15], i[14], i[16])), weight, bias, (i[13], i[3]), 0, (i[12], i[2]))
        elif kind == "BatchNorm":
            slope, mean, var, bias = (plain(i[0]) for _ in range(4))
            y = F.batch_norm(x[0], mean, var, slope, bias, False, 0, p[1])
        elif kind == "ReLU":
            y = F.relu(x[0])
        elif kind == "BinaryOp":
            assert i[0] == 0
            y = x[0] + x[1]
        elif kind == "Pooling" and i.get(4):
            y = x[0].mean((2, 3))
        elif kind == "Pooling":
            assert i[0] == 0 and i[5] == 1
            padded = F.pad(x[0], (i[3], i[14], i[13], i[15]), value=-np.inf)
            y = F.max_pool2d(padded, (i[11], i[1]), (i[12], i[2]))
        elif kind == "Flatten":
            y = x[0].flatten(1)
        elif kind == "InnerProduct":
            weight = flagged(i[2]).reshape(i[0], -1)
            y = F.linear(x[0], weight, plain(i[0]) if i[1] else None)
        else:
            sys.exit("a layer of type " + kind)
        blobs.update({o: y for o in outs})
    assert at == len(data), "%d of %d bytes" % (at, len(data))
    assert sum(int(w[3]) for w in words[2:]) == int(words[1][1])
    assert len(blobs) == 1
    close(next(iter(blobs.values())).numpy(), folder, tolerance)


def prototxt():
    out = ['input: "data" input_dim: 2 input_dim: 3 input_dim: 64 input_dim: 64']

    def layer(name, kind, bottoms, top, extra=""):
        out.append('layer { name: "%s" type: "%s" %s top: "%s" %s }' %
                   (name, kind, " ".join('bottom: "%s"' % b for b in bottoms), top, extra))

    def conv(name, rest, bottom, n, k, stride):
        layer(name, "Convolution", [bottom], name, "convolution_param { num_output: %d kernel_size: %d pad: %d stride: %d "
              "bias_term: false }" % (n, k, k // 2, stride))
        layer("bn" + rest, "BatchNorm", [name], name, "batch_norm_param { use_global_stats: true }")
        layer("scale" + rest, "Scale", [name], name, "scale_param { bias_term: true }")
        return name

    def relu(top):
        layer(top + "_relu", "ReLU", [top], top)

    at = conv("conv1", "_conv1", "data", 64, 7, 2)
    relu(at)
    layer("pool1", "Pooling", [at], "pool1", "pooling_param { pool: MAX kernel_size: 3 stride: 2 pad: 1 ceil_mode: false }")
    at = "pool1"
    for s, blocks in enumerate(BLOCKS):
        for b in range(blocks):
            rest, stride, width = "%d%s" % (s + 2, "abc"[b]), 2 if s and not b else 1, 64 << s
            short = conv("res%s_branch1" % rest, rest + "_branch1", at, 4 * width, 1, stride) if b == 0 else at
            for c, (n, k) in enumerate([(width, 1), (width, 3), (4 * width, 1)]):
                name = rest + "_branch2" + "abc"[c]
                at = conv("res" + name, name, at, n, k, stride if c == 1 else 1)
                if c < 2:
                    relu(at)
            layer("res" + rest, "Eltwise", [short, at], "res" + rest)
            at = "res" + rest
            relu(at)
    layer("pool5", "Pooling", [at], "pool5", "pooling_param { pool: AVE global_pooling: true }")
    layer("fc1000", "InnerProduct", ["pool5"], "fc1000", "inner_product_param { num_output: 17 }")
    return "\n".join(out) + "\n"


def caffe(path, folder, tolerance):
    import cv2

    with open(folder + "/net.prototxt", "w") as f:
        f.write(prototxt())
    m = cv2.dnn.readNetFromCaffe(folder + "/net.prototxt", path)
    m.setInput(np.load(folder + "/x.npy"), "data")
    close(m.forward(), folder, tolerance)


def shrink(path, out):
    import cv2

    cv2.dnn.shrinkCaffeModel(path, out)


def halves(a, b):
    a, b = np.load(a), np.load(b)
    assert set(a.files) == set(b.files), set(a.files) ^ set(b.files)
    rounded = 0
    for k in a.files:
        want = a[k].astype(b[k].dtype)
        rounded += b[k].dtype == np.float16
        assert a[k].dtype == np.float32 and np.array_equal(want, b[k]), k
    assert rounded, "nothing is a half"
    print(len(a.files), "tensors,", rounded, "of them halves")


globals()[sys.argv[1]](*sys.argv[2:])
