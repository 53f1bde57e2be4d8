# SPDX-License-Identifier: 0BSD
"""
Networks of frameworks that Debian has not, built and run as their own code builds and runs them, in small: variables are made where
that code makes them and are named by its rules (scopes, counters, lists), each layer is computed with that framework's padding, and
the file is written as the framework writes it. frameworks.py DIR makes NAME.FILE, x-NAME.npy, y-NAME.npy for every one.

keras/src/applications/resnet.py, keras/src/ops/function.py (the order of layers), keras/src/saving/saving_lib.py,
keras/src/legacy/saving/legacy_h5_format.py; tensorflow/models research/slim/nets/resnet_v1.py, resnet_v2.py, resnet_utils.py,
tensorflow/core/util/tensor_slice_writer.cc; flax examples/imagenet/models.py, flax/serialization.py, transformers
models/resnet/modeling_flax_resnet.py; PaddleClas ppcls/arch/backbone/legendary_models/resnet.py, paddle/framework/io.py.
"""
import json
import math
import os
import pickle
import re
import struct
import sys
import zipfile
import numpy as np
import torch
import torch.nn.functional as F

folder = sys.argv[1]
at = lambda name: os.path.join(folder, name)
WIDTH, BLOCKS, CLASSES, INF = 8, (2, 2, 2, 1), 5, float("inf")


class Values:
    """Random variables, float32, in the order in which they are asked for."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)

    def kernel(self, *shape):
        return (self.rng.standard_normal(shape) * math.sqrt(1.5 / np.prod(shape[:-1]))).astype("<f4")

    def bias(self, n):
        return (self.rng.standard_normal(n) * .1).astype("<f4")

    def norm(self, n):
        """gamma, beta, mean, variance"""
        return [self.rng.uniform(.6, 1.2, n).astype("<f4"), self.bias(n), self.bias(n), self.rng.uniform(.5, 1.5, n).astype("<f4")]


def same(size, kernel, stride):
    """TensorFlow's and XLA's SAME."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def conv(x, w, stride=1, pads="SAME", bias=None):
    k = w.shape[0]
    pads = same(x.shape[2], k, stride) if pads == "SAME" else pads
    b = None if bias is None else torch.from_numpy(bias).double()
    return F.conv2d(F.pad(x, pads * 2), torch.from_numpy(w).double().permute(3, 2, 0, 1), b, stride)


def norm(x, v, eps):
    g, b, m, s = (torch.from_numpy(a).double()[:, None, None] for a in v)
    return (x - m) / torch.sqrt(s + eps) * g + b


def pool(x, k, stride, pads="SAME", fill=-INF):
    pads = same(x.shape[2], k, stride) if pads == "SAME" else pads
    return F.max_pool2d(F.pad(x, pads * 2, value=fill), k, stride)


def dense(x, w, b):
    return x @ torch.from_numpy(w).double() + torch.from_numpy(b).double()


def picture(size):
    torch.manual_seed(size)
    return torch.randn(2, 3, size, size)


def done(name, x, y):
    np.save(at("x-%s.npy" % name), x.float().numpy())
    np.save(at("y-%s.npy" % name), y.float().numpy())


# Keras: a graph of layers, each with its weights in the order in which it makes them

class Op:
    def __init__(self, cls, name, config, weights, inputs):
        self.cls, self.name, self.config, self.weights, self.inputs = cls, name, config, weights, inputs


class Tensor:
    def __init__(self, op, value):
        self.op, self.value = op, value


def model_layers(output):
    """map_graph: by depth, deepest first; of one depth as a walk from the output, inputs in order, first comes by."""
    index, post, depth = {}, [], {}

    def walk(op):
        if op in index:
            return
        index[op] = len(index)
        for t in op.inputs:
            walk(t.op)
        post.append(op)
    walk(output.op)
    for op in reversed(post):
        for t in op.inputs:
            depth[t.op] = max(depth.get(t.op, 0), depth.get(op, 0) + 1)
    return sorted(post, key=lambda op: (-depth.get(op, 0), index[op]))


class Keras:
    def __init__(self, seed):
        self.v, self.n = Values(seed), 0

    def layer(self, cls, name, inputs, value, weights=(), **config):
        self.n += 1
        return Tensor(Op(cls, name or "auto_%d" % self.n, config, list(weights), inputs), value)

    def conv(self, x, n, k, stride=1, name=None, padding="valid", use_bias=True):
        w = self.v.kernel(k, k, x.value.shape[1], n)
        b = self.v.bias(n) if use_bias else None
        pads = (0, 0) if padding == "valid" else "SAME"
        return self.layer("Conv2D", name, [x], conv(x.value, w, stride, pads, b), [("kernel", w)] + [("bias", b)] * use_bias,
                          strides=[stride, stride], padding=padding, kernel_size=[k, k])

    def bn(self, x, name):
        v = self.v.norm(x.value.shape[1])
        return self.layer("BatchNormalization", name, [x], norm(x.value, v, 1.001e-5),
                          zip(("gamma", "beta", "moving_mean", "moving_variance"), v), epsilon=1.001e-5, momentum=.99)

    def pad(self, x, n, name):
        return self.layer("ZeroPadding2D", name, [x], F.pad(x.value, (n,) * 4), padding=[[n, n], [n, n]])

    def relu(self, x):
        return self.layer("Activation", None, [x], F.relu(x.value))

    def maxpool(self, x, k, stride):
        return self.layer("MaxPooling2D", None, [x], F.max_pool2d(x.value, k, stride))

    def add(self, a, b):
        return self.layer("Add", None, [a, b], a.value + b.value)

    def block1(self, x, n, stride=1, shortcut=True, name=None):
        if shortcut:
            s = self.bn(self.conv(x, 4 * n, 1, stride, name + "_0_conv"), name + "_0_bn")
        else:
            s = x
        x = self.relu(self.bn(self.conv(x, n, 1, stride, name + "_1_conv"), name + "_1_bn"))
        x = self.relu(self.bn(self.conv(x, n, 3, 1, name + "_2_conv", "same"), name + "_2_bn"))
        x = self.bn(self.conv(x, 4 * n, 1, 1, name + "_3_conv"), name + "_3_bn")
        return self.relu(self.add(s, x))

    def block2(self, x, n, stride=1, shortcut=False, name=None):
        p = self.relu(self.bn(x, name + "_preact_bn"))
        if shortcut:
            s = self.conv(p, 4 * n, 1, stride, name + "_0_conv")
        else:
            s = self.maxpool(x, 1, stride) if stride > 1 else x
        x = self.relu(self.bn(self.conv(p, n, 1, 1, name + "_1_conv", use_bias=False), name + "_1_bn"))
        x = self.pad(x, 1, name + "_2_pad")
        x = self.relu(self.bn(self.conv(x, n, 3, stride, name + "_2_conv", use_bias=False), name + "_2_bn"))
        return self.add(s, self.conv(x, 4 * n, 1, 1, name + "_3_conv"))

    def resnet(self, x, v2, head):
        x = self.pad(self.layer("InputLayer", "input", [], x, batch_shape=[None, 224, 224, 3]), 3, "conv1_pad")
        x = self.conv(x, WIDTH, 7, 2, "conv1_conv")
        if not v2:
            x = self.relu(self.bn(x, "conv1_bn"))
        x = self.maxpool(self.pad(x, 1, "pool1_pad"), 3, 2)
        for s, n in enumerate(BLOCKS):
            for b in range(n):
                name, first, last = "conv%d_block%d" % (s + 2, b + 1), b == 0, b == n - 1
                if not v2:
                    x = self.block1(x, WIDTH << s, 2 if s and first else 1, first, name)
                else:
                    x = self.block2(x, WIDTH << s, 2 if last and s < 3 else 1, first, name)
        if v2:
            x = self.relu(self.bn(x, "post_bn"))
        x = self.layer("GlobalAveragePooling2D", "avg_pool", [x], x.value.mean((2, 3)))
        w, b = self.v.kernel(x.value.shape[1], CLASSES), self.v.bias(CLASSES)
        return self.layer("Dense", head, [x], dense(x.value, w, b), [("kernel", w), ("bias", b)], units=CLASSES)


def snake(name):
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def keras_legacy(path, layers, suffix):
    import h5py
    with h5py.File(path, "w") as f:
        f.attrs["layer_names"] = [o.name.encode() for o in layers]
        f.attrs["backend"], f.attrs["keras_version"] = b"tensorflow", b"2.2.4"
        for o in sorted(layers, key=lambda o: o.name):
            g = f.create_group(o.name)
            g.attrs["weight_names"] = [("%s/%s%s" % (o.name, k, suffix)).encode() for k, _ in o.weights]
            for k, v in o.weights:
                g.create_dataset("%s/%s%s" % (o.name, k, suffix), data=v)


def keras_weights(path, layers, root):
    import h5py
    with h5py.File(path, "w") as f:
        f.create_group("vars")
        used = {}
        for o in layers:
            name = snake(o.cls)
            used[name] = used.get(name, -1) + 1
            g = f.create_group("%s/%s%s/vars" % (root, name, "_%d" % used[name] if used[name] else ""))
            for i, (_, v) in enumerate(o.weights):
                g[str(i)] = v


def keras_all():
    x = picture(224)
    for name, v2 in (("keras", False), ("keras-v2", True)):
        y = Keras(1 + v2).resnet(x.double(), v2, "probs" if v2 else "predictions")
        layers = model_layers(y)
        keras_legacy(at(name + ".h5"), layers, ":0")
        keras_legacy(at(name + "-3.h5"), layers, "")
        keras_weights(at(name + ".weights.h5"), layers, "layers")
        keras_weights(at(name + "-213.weights.h5"), layers, "_layer_checkpoint_dependencies")
        config = {"module": "keras", "class_name": "Functional", "config": {"name": name, "layers": [
            {"module": "keras.layers", "class_name": o.cls, "config": {"name": o.name, **o.config}, "name": o.name}
            for o in layers]}, "registered_name": "Functional"}
        with zipfile.ZipFile(at(name + ".keras"), "w") as z:
            z.writestr("metadata.json", json.dumps({"keras_version": "3.4.1"}))
            z.writestr("config.json", json.dumps(config))
            z.write(at(name + ".weights.h5"), "model.weights.h5")
        done(name, x, y.value)


# TF-slim: scopes, and version 1 of TensorFlow's checkpoints

class Slim:
    def __init__(self, seed):
        self.v, self.vars, self.way = Values(seed), {}, []

    def put(self, name, value):
        self.vars["/".join(self.way + [name])] = value

    def batch_norm(self, x, scope):
        v = self.v.norm(x.shape[1])
        for k, a in zip(("gamma", "beta", "moving_mean", "moving_variance"), v):
            self.put(scope + "/" + k, a)
        return norm(x, v, 1e-5)

    def conv2d(self, x, n, k, stride, scope, pads="SAME", normed=True, relu=True):
        w = self.v.kernel(k, k, x.shape[1], n)
        self.put(scope + "/weights", w)
        b = None
        if not normed:
            b = self.v.bias(n)
            self.put(scope + "/biases", b)
        x = conv(x, w, stride, pads, b)
        x = self.batch_norm(x, scope + "/BatchNorm") if normed else x
        return F.relu(x) if relu else x

    def conv2d_same(self, x, n, k, stride, scope, **how):
        if stride == 1:
            return self.conv2d(x, n, k, 1, scope, **how)
        before = (k - 1) // 2
        return self.conv2d(x, n, k, stride, scope, (before, k - 1 - before), **how)

    def bottleneck(self, x, depth, n, stride, v2):
        self.way.append("bottleneck_v2" if v2 else "bottleneck_v1")
        p = F.relu(self.batch_norm(x, "preact")) if v2 else x
        if depth == x.shape[1]:
            s = x if stride == 1 else pool(x, 1, stride)
        else:
            s = self.conv2d(p, depth, 1, stride, "shortcut", normed=not v2, relu=False)
        r = self.conv2d(p, n, 1, 1, "conv1")
        r = self.conv2d_same(r, n, 3, stride, "conv2")
        r = self.conv2d(r, depth, 1, 1, "conv3", normed=not v2, relu=False)
        self.way.pop()
        return s + r if v2 else F.relu(s + r)

    def resnet(self, x, v2, classes):
        self.way = ["resnet_v%d_101" % (2 if v2 else 1)]
        x = self.conv2d_same(x, WIDTH, 7, 2, "conv1", normed=not v2, relu=not v2)
        x = pool(x, 3, 2)
        for s, n in enumerate(BLOCKS):
            for u in range(n):
                self.way += ["block%d" % (s + 1), "unit_%d" % (u + 1)]
                x = self.bottleneck(x, WIDTH * 4 << s, WIDTH << s, 2 if u == n - 1 and s < 3 else 1, v2)
                del self.way[-2:]
        if v2:
            x = F.relu(self.batch_norm(x, "postnorm"))
        x = x.mean((2, 3), keepdim=True)
        return self.conv2d(x, classes, 1, 1, "logits", normed=False, relu=False)[:, :, 0, 0]


def varint(v):
    out = b""
    while v > 127:
        out, v = out + bytes([v & 127 | 128]), v >> 7
    return out + bytes([v])


CRC = []
for i in range(256):
    for _ in range(8):
        i = i >> 1 ^ (0x82F63B78 if i & 1 else 0)
    CRC.append(i)


def trailer(block):
    crc = 0xFFFFFFFF
    for b in block + b"\0":
        crc = CRC[(crc ^ b) & 255] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return b"\0" + struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def table(pairs):
    """LevelDB's table_format.md, a pair a block."""
    out, index = b"", b""

    def block(entries):
        nonlocal out
        body = entries + struct.pack("<II", 0, 1)
        handle = varint(len(out)) + varint(len(body))
        out += body + trailer(body)
        return handle
    entry = lambda k, v: b"\0" + varint(len(k)) + varint(len(v)) + k + v
    for k in sorted(pairs):
        index += entry(k, block(entry(k, pairs[k])))
    footer = block(b"") + block(index)
    return out + footer.ljust(40, b"\0") + struct.pack("<Q", 0xdb4775248b80fb57)


def saver_v1(path, variables):
    number = lambda f, v: varint(f << 3) + varint(v)
    text = lambda f, b: varint(f << 3 | 2) + varint(len(b)) + b
    meta, pairs = b"", {}
    for name, v in variables.items():
        slices, n = text(1, b"") * v.ndim, name.encode()
        shape = b"".join(text(2, number(1, d)) for d in v.shape)
        field, kind = (5, 1) if v.dtype == np.float32 else (10, 9)
        data = v.tobytes() if field == 5 else b"".join(varint(int(a)) for a in v.ravel())
        meta += text(1, text(1, n) + text(2, shape) + number(3, kind) + text(4, slices))
        key = b"\0" + n + b"\0\1" + (bytes([1, v.ndim]) + b"\x80\x7f" * v.ndim if v.ndim else b"\0")
        pairs[key] = text(2, text(1, n) + text(2, slices) + text(3, text(field, data)))
    pairs[b""] = text(1, meta + text(2, number(1, 1)))
    open(path, "wb").write(table(pairs))


def slim_all():
    for name, v2, size in (("slim", False, 224), ("slim-v2", True, 299)):
        x, net = picture(size), Slim(3 + v2)
        y = net.resnet(x.double(), v2, 1001 if v2 else CLASSES)  # a class for the background in version 2's files
        extra = {"resnet_v1_101/mean_rgb": np.array([123.68, 116.78, 103.94], "<f4")} if not v2 else {}
        saver_v1(at(name + ".ckpt"), {**net.vars, **extra, "global_step": np.array(31, "<i8")})
        done(name, x, y)


# Flax: names that a module gives its parts by their classes, counted in each module

class Flax:
    def __init__(self, seed):
        self.v, self.tree, self.way, self.count = Values(seed), {"params": {}, "batch_stats": {}}, [], [{}]

    def name(self, cls, name):
        n = self.count[-1].get(cls, 0)
        if name is None:
            self.count[-1][cls] = n + 1
        return name or "%s_%d" % (cls, n)

    def put(self, kind, module, name, value):
        d = self.tree[kind]
        for w in self.way + [module]:
            d = d.setdefault(w, {})
        d[name] = value

    def conv(self, x, n, k, stride=1, pads="SAME", name=None):
        w, name = self.v.kernel(k, k, x.shape[1], n), self.name("Conv", name)
        self.put("params", name, "kernel", w)
        return conv(x, w, stride, pads)

    def norm(self, x, name=None):
        v, name = self.v.norm(x.shape[1]), self.name("BatchNorm", name)
        for kind, k, a in zip(("params", "params", "batch_stats", "batch_stats"), ("scale", "bias", "mean", "var"), v):
            self.put(kind, name, k, a)
        return norm(x, v, 1e-5)

    def block(self, x, n, stride, bottleneck):
        self.way.append(self.name("BottleneckResNetBlock" if bottleneck else "ResNetBlock", None))
        self.count.append({})
        if bottleneck:
            y = F.relu(self.norm(self.conv(x, n, 1)))
            y = F.relu(self.norm(self.conv(y, n, 3, stride)))
            y = self.norm(self.conv(y, n * 4, 1))
        else:
            y = F.relu(self.norm(self.conv(x, n, 3, stride)))
            y = self.norm(self.conv(y, n, 3))
        if x.shape != y.shape:
            x = self.norm(self.conv(x, y.shape[1], 1, stride, name="conv_proj"), "norm_proj")
        self.way.pop()
        self.count.pop()
        return F.relu(x + y)

    def resnet(self, x, bottleneck):
        x = pool(F.relu(self.norm(self.conv(x, WIDTH, 7, 2, (3, 3), "conv_init"), "bn_init")), 3, 2)
        for s, n in enumerate(BLOCKS):
            for b in range(n):
                x = self.block(x, WIDTH << s, 2 if s and b == 0 else 1, bottleneck)
        x = x.mean((2, 3))
        name, w, b = self.name("Dense", None), self.v.kernel(x.shape[1], CLASSES), self.v.bias(CLASSES)
        self.put("params", name, "kernel", w)
        self.put("params", name, "bias", b)
        return dense(x, w, b)


class HfFlax(Flax):
    """transformers' modeling_flax_resnet.py; a list's parts that nobody named are called after the list."""

    def conv_layer(self, x, n, k, stride, way, relu=True):
        self.way = way
        x = self.norm(self.conv(x, n, k, stride, (k // 2,) * 2, "convolution"), "normalization")
        return F.relu(x) if relu else x

    def resnet(self, x, bottleneck):
        x = pool(self.conv_layer(x, WIDTH, 7, 2, ["resnet", "embedder", "embedder"]), 3, 2, (1, 1))
        for s, blocks in enumerate(BLOCKS):
            for b in range(blocks):
                way = ["resnet", "encoder", "stages", str(s), "layers", str(b)]
                n, to, stride = WIDTH << s, (WIDTH * 4 if bottleneck else WIDTH) << s, 2 if s and b == 0 else 1
                skip = x
                if x.shape[1] != to or stride != 1:
                    skip = self.conv_layer(x, to, 1, stride, way + ["shortcut"], False)
                if bottleneck:
                    x = self.conv_layer(x, n, 1, 1, way + ["layer", "0"])
                    x = self.conv_layer(x, n, 3, stride, way + ["layer", "1"])
                    x = self.conv_layer(x, to, 1, 1, way + ["layer", "2"], False)
                else:
                    x = self.conv_layer(x, n, 3, stride, way + ["layer", "layer_0"])
                    x = self.conv_layer(x, n, 3, 1, way + ["layer", "layer_1"], False)
                x = F.relu(x + skip)
        x, self.way = x.mean((2, 3)), ["classifier"]
        w, b = self.v.kernel(x.shape[1], CLASSES), self.v.bias(CLASSES)
        self.put("params", "1", "kernel", w)
        self.put("params", "1", "bias", b)
        return dense(x, w, b)


def flax_all():
    import msgpack
    pack = lambda d: {k: pack(v) if isinstance(v, dict) else msgpack.ExtType(
        1, msgpack.packb((v.shape, v.dtype.name, v.tobytes()), use_bin_type=True)) for k, v in d.items()}
    for name in ("flax-example", "flax-example-basic", "flax", "flax-basic"):
        x, net = picture(224), (Flax if "example" in name else HfFlax)(len(name))
        y = net.resnet(x.double(), not name.endswith("basic"))
        open(at(name + ".msgpack"), "wb").write(msgpack.packb(pack(net.tree), strict_types=True))
        done(name, x, y)


# PaddleClas: Sequential's numbers, and vd's pools under the same names

class Paddle:
    def __init__(self, seed):
        self.v, self.state = Values(seed), {}

    def conv_bn(self, x, n, k, way, stride=1, vd=False, act=True):
        if vd:  # AvgPool2D(2, stride, padding SAME, ceil_mode), whose borders are not counted
            x = F.avg_pool2d(x, 2, stride, ceil_mode=True, count_include_pad=False)
        w, v = self.v.kernel(k, k, x.shape[1], n), self.v.norm(n)
        self.state[way + ".conv.weight"] = np.ascontiguousarray(w.transpose(3, 2, 0, 1))
        for key, a in zip(("weight", "bias", "_mean", "_variance"), v):
            self.state[way + ".bn." + key] = a
        x = norm(conv(x, w, 1 if vd else stride, ((k - 1) // 2,) * 2), v, 1e-5)
        return F.relu(x) if act else x

    def block(self, x, n, stride, shortcut, if_first, way):
        if self.basic:
            y = self.conv_bn(x, n, 3, way + ".conv0", stride)
            y = self.conv_bn(y, n, 3, way + ".conv1", act=False)
        else:
            y = self.conv_bn(x, n, 1, way + ".conv0")
            y = self.conv_bn(y, n, 3, way + ".conv1", stride)
            y = self.conv_bn(y, n * 4, 1, way + ".conv2", act=False)
        if not shortcut:  # in every stage's first block, of ResNet18 too
            x = self.conv_bn(x, y.shape[1], 1, way + ".short", stride, not if_first, False)
        return F.relu(x + y)

    def resnet(self, x, vd, basic):
        self.basic = basic
        if vd:
            for i, (n, stride) in enumerate(((WIDTH // 2, 2), (WIDTH // 2, 1), (WIDTH, 1))):
                x = self.conv_bn(x, n, 3, "stem.%d" % i, stride)
        else:
            x = self.conv_bn(x, WIDTH, 7, "stem.0", 2)
        x = F.max_pool2d(x, 3, 2, 1)
        i = 0
        for s, n in enumerate(BLOCKS):
            for b in range(n):
                x = self.block(x, WIDTH << s, 2 if b == 0 and s else 1, b > 0, s == b == 0 if vd else True, "blocks.%d" % i)
                i += 1
        x = x.mean((2, 3))
        self.state["fc.weight"], self.state["fc.bias"] = self.v.kernel(x.shape[1], CLASSES), self.v.bias(CLASSES)
        return dense(x, self.state["fc.weight"], self.state["fc.bias"])


def paddle_all():
    for name in ("paddleclas", "paddleclas-vd", "paddleclas-18", "paddleclas-18vd"):
        x, net = picture(224), Paddle(len(name))
        y = net.resnet(x.double(), name.endswith("vd"), "18" in name)
        names = {k: "batch_norm2d_0.w_%d" % i for i, k in enumerate(net.state)}
        with open(at(name + ".pdparams"), "wb") as f:
            pickle.dump({**net.state, "StructuredToParameterName@@": names}, f, protocol=4)
        done(name, x, y)


for part in (keras_all, slim_all, flax_all, paddle_all):
    try:
        part()
    except ImportError as e:
        print("%s: left out: %s" % (part.__name__, e), file=sys.stderr)
