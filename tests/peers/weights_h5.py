# SPDX-License-Identifier: 0BSD
"""HDF5 against h5py: files written by each read by the other, Keras's lists, and files that reach out of themselves."""
import os
import sys
import h5py
import numpy as np

what, folder = sys.argv[1], sys.argv[2]
at = lambda name: os.path.join(folder, name)
rng = np.random.default_rng(5)


def tensors():
    t = {"l/k": rng.standard_normal((3, 3, 4, 5)).astype("<f4"), "l/half": rng.standard_normal(7).astype("<f2"),
         "l/double": rng.standard_normal((2, 3)), "m/i": rng.integers(-9, 9, (4,)).astype("<i8"),
         "m/b": rng.integers(0, 255, (300,)).astype("u1"), "m/none": np.zeros((0, 3), "<f4"),
         "m/scalar": np.array(2.5, "<f4")}
    return t


def make():
    t = tensors()
    np.savez(at("want.npz"), **t)
    with h5py.File(at("plain.h5"), "w") as f:
        for k, v in t.items():
            f[k] = v
    with h5py.File(at("latest.h5"), "w", libver="latest", userblock_size=1024) as f:
        for k, v in t.items():
            f[k] = v
    with h5py.File(at("chunks.h5"), "w") as f:
        for k, v in t.items():
            f.create_dataset(k, data=v, **({} if v.ndim == 0 or v.size == 0 else dict(
                chunks=True, compression="gzip", shuffle=True)))
    with h5py.File(at("big.h5"), "w") as f:
        for k, v in t.items():
            f[k] = v.astype(v.dtype.newbyteorder(">")) if k in ("l/k", "l/double") else v
    # a whole model as Keras 2 saves it: weights in an order of their own, an optimiser, descriptions
    with h5py.File(at("keras.h5"), "w") as f:
        f.attrs["keras_version"], f.attrs["backend"], f.attrs["model_config"] = "2.2.4", b"tensorflow", "{}" * 9000
        g = f.create_group("model_weights")
        g.attrs["layer_names"] = np.array([b"m", b"empty", b"l"])
        g.create_group("empty").attrs["weight_names"] = np.array([], "S1")
        for layer in "ml":
            names = sorted((k for k in t if k[0] == layer), reverse=True)
            for k in names:
                g[k] = t[k]
            g[layer].attrs["weight_names"] = [k[2:].encode() for k in names]
        f["optimizer_weights/l/k"] = t["l/k"]
    # what must be refused
    secret = os.path.join(folder, "secret.bin")
    np.arange(64, dtype="<f4").tofile(secret)

    def bad(name, write, **how):
        with h5py.File(at("bad-%s.h5" % name), "w", **how) as f:
            f["ok"] = t["l/k"]
            write(f)

    bad("soft", lambda f: f.__setitem__("w", h5py.SoftLink("/ok")))
    bad("external-link", lambda f: f.__setitem__("w", h5py.ExternalLink(at("plain.h5"), "/l/k")))
    bad("external-data", lambda f: f.create_dataset("w", (64,), "<f4", external=[(secret, 0, 256)]))
    layout = h5py.VirtualLayout((64,), "<f4")
    layout[:] = h5py.VirtualSource(at("plain.h5"), "m/b", (64,))
    bad("virtual", lambda f: f.create_virtual_dataset("w", layout))
    bad("shape-bomb", lambda f: f.create_dataset("w", (2**40, 2**13), "<f4", chunks=(1024, 1024), compression="gzip"))
    bad("bomb", lambda f: f.create_dataset("w", (2**20,), "<f4"))  # never written
    bad("cycle", lambda f: f.__setitem__("g", f["/"]))
    bad("filter", lambda f: f.create_dataset("w", data=np.zeros(4096, "<f4"), compression="lzf"))
    bad("checksum", lambda f: f.create_dataset("w", data=np.zeros(4096, "<f4"), fletcher32=True))

    def deep(f):
        for _ in range(40):
            f = f.create_group("g")
        f["w"] = 1.0
    bad("deep", deep)

    def listed(f):
        f.attrs["layer_names"] = [b"ok2"]
        f.create_group("ok2").attrs["weight_names"] = [b"absent:0"]
    bad("listed", listed)

    # the size of a chunk, and an address, patched to what they must not be
    with h5py.File(at("patch.h5"), "w") as f:
        f.create_dataset("w", data=np.arange(64, dtype="<f4"), chunks=(16,))
    raw = bytearray(open(at("patch.h5"), "rb").read())
    for name, old, new in (("zero-chunk", b"\x10\0\0\0\x04\0\0\0", b"\0\0\0\0\x04\0\0\0"),
                           ("tree-cycle", b"TREE\x01", b"TREE\x01")):
        p = raw.find(old)
        assert p > 0
        b = bytearray(raw)
        if name == "tree-cycle":  # the node is its own child
            b[p + 5] = 1
            b[p + 24 + 24:p + 24 + 32] = p.to_bytes(8, "little")
        else:
            b[p:p + 8] = new
        open(at("bad-%s.h5" % name), "wb").write(b)


def same(ours):
    want, got = np.load(at("want.npz")), np.load(ours)
    assert sorted(want.files) == sorted(got.files), (want.files, got.files)
    for k in want.files:
        assert want[k].dtype == got[k].dtype and want[k].shape == got[k].shape and want[k].tobytes() == got[k].tobytes(), k


def names(text):
    return [n.decode() for n in text]


def keras_order(depths, v2):
    """keras.applications' model.layers, those with weights, by its code: depth first, the shortcut's Conv beside the last."""
    out = ["conv1_conv"] + ([] if v2 else ["conv1_bn"])
    for s, n in enumerate(depths):
        for b in range(n):
            p = "conv%d_block%d_" % (s + 2, b + 1)
            if v2:
                out += [p + "preact_bn", p + "1_conv", p + "1_bn", p + "2_conv", p + "2_bn"] + [p + "0_conv"] * (b == 0)
                out += [p + "3_conv"]
            else:
                out += [p + "1_conv", p + "1_bn", p + "2_conv", p + "2_bn"] + [p + "0_conv"] * (b == 0)
                out += [p + "3_conv"] + [p + "0_bn"] * (b == 0) + [p + "3_bn"]
    return out + ["post_bn"] * v2 + ["predictions"]


def keras(v2):
    """What resect wrote: layers in Keras's order, each with kernel, bias or gamma, beta, mean, variance, as Keras wants them."""
    v2 = v2 == "v2"
    legacy, third = h5py.File(at("r.h5")), h5py.File(at("r.weights.h5"))
    layers = names(legacy.attrs["layer_names"])
    assert layers == keras_order((3, 4, 6, 3), v2), layers
    assert legacy.attrs["keras_version"] not in ("1", b"1") and legacy.attrs["backend"] in ("tensorflow", b"tensorflow")
    count, values = {}, 0
    for layer in layers:
        weights = names(legacy[layer].attrs["weight_names"])
        kind = "batch_normalization" if layer.endswith("bn") else "dense" if layer == "predictions" else "conv2d"
        if kind == "batch_normalization":
            want = ["gamma:0", "beta:0", "moving_mean:0", "moving_variance:0"]
        elif kind == "conv2d" and v2 and (layer.endswith("1_conv") and "block" in layer or layer.endswith("2_conv")):
            want = ["kernel:0"]
        else:
            want = ["kernel:0", "bias:0"]
        assert weights == [layer + "/" + w for w in want], weights
        # Keras 3 counts the layers of a class in the same order
        auto = kind + ("_%d" % count[kind] if kind in count else "")
        count[kind] = count.get(kind, 0) + 1
        for i, w in enumerate(weights):
            a, b = legacy[layer][w], third["layers/%s/vars/%d" % (auto, i)]
            assert a.dtype == np.dtype("<f4") and a.shape == b.shape and np.array_equal(a, b), (w, auto)
            values += a.size
    assert legacy["conv1_conv/conv1_conv/kernel:0"].shape == (7, 7, 3, 64)
    assert legacy["predictions/predictions/kernel:0"].shape == (2048, 1000)
    # what keras.applications publishes: 25,636,712 parameters of ResNet50, 25,613,800 of ResNet50V2
    assert values == (25613800 if v2 else 25636712), values


{"make": make, "same": lambda: same(sys.argv[3]), "keras": lambda: keras(sys.argv[3])}[what]()
