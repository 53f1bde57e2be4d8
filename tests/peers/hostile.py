# SPDX-License-Identifier: 0BSD
"""Malicious checkpoints (M27 to M40): hostile.py FOLDER makes them there, for hostile_run.py to try. A list of them goes to stdout:
name, and what must become of it: bad (refused), fine, left (fine, but what is malicious is named as left out), any (either; nothing
else may happen). h5py is used where it is there; torch is never loaded."""
import collections, gzip, io, json, os, pickle, struct, sys, types, zipfile
import numpy as np

scratch = sys.argv[1]
victim = os.path.join(scratch, "victim")


def case(name, data, what="bad"):
    with open(os.path.join(scratch, name), "wb") as f:
        f.write(data)
    print(name, what)


# safetensors -----------------------------------------------------------------------------------------------------------------------
def st(header, data=b""):
    h = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(h)) + h + data


def t(shape, a, b, dtype="F32"):
    return {"dtype": dtype, "shape": shape, "data_offsets": [a, b]}


good = st({"a": t([2], 0, 8)}, b"\0" * 8)
case("fine.safetensors", good, "fine")
case("m27-2e63.safetensors", struct.pack("<Q", 1 << 63) + good[8:])
case("m27-over.safetensors", struct.pack("<Q", len(good)) + good[8:])
case("m27-100mb.safetensors", struct.pack("<Q", 100_000_001) + good[8:])
case("m28-wraps.safetensors", st({"a": t([4194305, 4194305, 211106198978564], 0, 16)}, b"\0" * 16))
case("m29-overlap.safetensors", st({"a": t([2], 0, 8), "b": t([2], 4, 12)}, b"\0" * 12))
case("m29-hole.safetensors", st({"a": t([1], 0, 4), "b": t([1], 8, 12)}, b"\0" * 12))
case("m29-trailing.safetensors", good + b"\0")
case("m29-inside.safetensors", st({"a": t([2], 0, 8), "b": t([0], 4, 4)}, b"\0" * 8))
case("m30-twice.safetensors", st(b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}', b"\0" * 4))
case("m30-escaped.safetensors", st(b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"\\u0061":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}', b"\0" * 8))
case("m30-metadata.safetensors", st(b'{"__metadata__":{"a":1}}'))
case("m30-1e400.safetensors", st(b'{"a":{"dtype":"F32","shape":[1e400],"data_offsets":[0,4]}}', b"\0" * 4))
case("m30-minus0.safetensors", st(b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[-0,4]}}', b"\0" * 4))
case("m30-deep.safetensors", st(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"))
case("m31-many.safetensors", st(b"{" + b",".join(b'"%x":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}' % i for i in range(100_000)) + b"}"), "fine")

# pickles ---------------------------------------------------------------------------------------------------------------------------
touch = b"touch " + victim.encode()


def s(text):
    return b"X" + struct.pack("<I", len(text)) + text


pickles = {
    "m32-reduce": b"\x80\x02cos\nsystem\n" + s(touch) + b"\x85R.",
    "m32-stack-global": b"\x80\x04" + s(b"os") + s(b"system") + b"\x93" + s(touch) + b"\x85R.",
    "m32-inst": b"(" + s(touch) + b"ios\nsystem\n.",
    "m32-obj": b"(cos\nsystem\n" + s(touch) + b"o.",
    "m32-ext1": b"\x80\x02\x82\x01.",
    "m32-newobj": b"\x80\x02cos\nsystem\n" + s(touch) + b"\x85\x81.",
    "m33-underflow": b"\x80\x02R.",
    "m33-no-mark": b"\x80\x02t.",
    "m33-memo": b"\x80\x02j\xff\xff\xff\x7f.",
    "m33-put": b"\x80\x02}r\xff\xff\xff\x7f.",
    "m33-long4": b"\x80\x02\x8b\xff\xff\xff\xff.",
    "m33-string": b"\x80\x02B\xff\xff\xff\x7f.",
    "m34-dup": b"\x80\x02" + s(b"x" * 100) + (b"2\x86" * 60_000) + b".",
    "m34-memo": b"\x80\x02]q\0" + b"".join(b"(h%ch%ce]q%c" % (i, i, i + 1) for i in range(60)) + b".",
    "m34-tuples": b"\x80\x02)" + b"\x85" * 100_000 + b".",
    "m34-lists": b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b".",
}


def torch_zip(pickled, members=(), version=b"3\n", **how):
    b = io.BytesIO()
    with zipfile.ZipFile(b, "w", zipfile.ZIP_STORED) as z:
        z.writestr("archive/data.pkl", pickled)
        for name, data in members:
            z.writestr("archive/" + name, data)
        z.writestr("archive/version", version)
    return b.getvalue()


def what_of(name):
    """What calls something is not refused where it can be left out, as parts of real checkpoints are; it is never called."""
    return "any" if name.startswith("m32") or name.startswith("m34") else "bad"


for name, p in pickles.items():
    case(name + ".pkl", p, what_of(name))
    case(name + ".pth", torch_zip(p), what_of(name))

# Tensors as torch writes them, without torch: its names in modules of our own.
torch = types.ModuleType("torch")
utils = types.ModuleType("torch._utils")


def _rebuild_tensor_v2(*a):
    pass


class FloatStorage:
    pass


_rebuild_tensor_v2.__module__, utils._rebuild_tensor_v2 = "torch._utils", _rebuild_tensor_v2
FloatStorage.__module__, torch.FloatStorage, torch._utils = "torch", FloatStorage, utils
sys.modules["torch"], sys.modules["torch._utils"] = torch, utils


class Tensor:
    def __init__(self, numel, offset, shape, stride):
        self.args = (Storage(numel), offset, shape, stride, False, collections.OrderedDict())

    def __reduce__(self):
        return _rebuild_tensor_v2, self.args


class Storage:
    def __init__(self, numel):
        self.numel = numel


class Pickler(pickle.Pickler):
    def persistent_id(self, o):
        return ("storage", FloatStorage, "0", "cpu", o.numel) if isinstance(o, Storage) else None


def pth(numel, offset, shape, stride, record=4):
    b = io.BytesIO()
    Pickler(b, 2).dump(collections.OrderedDict(a=Tensor(numel, offset, shape, stride)))
    return torch_zip(b.getvalue(), [("data/0", b"\0" * 4 * record)])


case("fine.pth", pth(4, 0, (2, 2), (2, 1)), "fine")
case("m35-offset.pth", pth(4, 3, (2,), (1,)))
case("m35-stride.pth", pth(4, 0, (2, 2), (1 << 40, 1)))
case("m35-wraps.pth", pth(4, 0, (3,), (1 << 63 - 1,)))
case("m35-negative.pth", pth(4, 0, (2,), (-1,)))
case("m35-negative-offset.pth", pth(4, -1, (2,), (1,)))
case("m35-numel.pth", pth(1 << 40, 0, (4,), (1,)))
case("m35-shape.pth", pth(4, 0, (1 << 40,), (0,)))

# zips ------------------------------------------------------------------------------------------------------------------------------
npy = io.BytesIO()
np.save(npy, np.arange(64, dtype="<f4"))
npy = npy.getvalue()


def npz(members, method=zipfile.ZIP_STORED):
    b = io.BytesIO()
    with zipfile.ZipFile(b, "w", method) as z:
        for name, data in members:
            z.writestr(name, data)
    return b.getvalue()


def at(data, where, new):
    return data[:where] + new + data[where + len(new):]


one, two = npz([("a.npy", npy)]), npz([("a.npy", npy), ("b.npy", npy)])
central, end = one.rindex(b"PK\1\2"), one.rindex(b"PK\5\6")
case("fine.npz", one, "fine")
case("m36-name.npz", at(one, 30, b"b.npy"))
case("m36-method.npz", at(one, 8, b"\x08\0"))
case("m36-size.npz", at(one, 18, struct.pack("<I", len(npy) - 1)))
case("m36-encrypted.npz", at(at(one, 6, b"\1\0"), central + 8, b"\1\0"))
case("m36-flags.npz", at(at(one, 6, b"\0\x20"), central + 8, b"\0\x20"))
case("m36-crc.npz", at(one, 200, b"\xff"))
case("m36-count.npz", at(one, end + 8, b"\xff\xff\xff\xff"))
case("m36-zip64.npz", at(one, central + 20, b"\xff" * 8))
case("m36-prepended.npz", b"#!/bin/sh\n" + one)
inner = npz([("evil.npy", npy)])
case("m36-two-ends.npz", at(one, end + 20, struct.pack("<H", 22)) + inner[inner.rindex(b"PK\5\6"):])
case("m36-7z.npz", b"7z\xbc\xaf\x27\x1c" + one)
c2 = two.rindex(b"PK\1\2")
case("m37-overlap.npz", at(two, c2 + 42, struct.pack("<I", 0)))
case("m37-same.npz", at(at(two, c2 + 42, struct.pack("<I", 0)), c2 + 46, b"a.npy"))
case("m37-huge.npz", at(at(one, central + 20, struct.pack("<II", 0x7fffffff, 0x7fffffff)), 18, struct.pack("<II", 0x7fffffff, 0x7fffffff)))


def npy_head(text, length=None):
    h = text.encode()
    return b"\x93NUMPY\2\0" + struct.pack("<I", len(h) if length is None else length) + h


zeros = b"\0" * (64 << 20)
case("m38-bomb.npz", npz([("a.npy", npy + zeros)], zipfile.ZIP_DEFLATED))
case("m38-shape.npz", npz([("a.npy", npy_head("{'descr': '<f4', 'fortran_order': False, 'shape': (1099511627776,), }\n"))], zipfile.ZIP_DEFLATED))
case("m38-wraps.npz", npz([("a.npy", npy_head("{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296), }\n"))]))
case("m38-header.npz", npz([("a.npy", npy_head("{", 0xffffffff))]))
case("m38-object.npz", npz([("a.npy", npy_head("{'descr': '|O', 'fortran_order': True, 'shape': (1,), }\n") + pickles["m32-reduce"])]), "left")
case("m38-code.npz", npz([("a.npy", npy_head("{'descr': __import__('os').system('%s'), 'fortran_order': False, 'shape': (1,), }\n" % touch.decode()))]))
case("m38-gzip.safetensors", gzip.compress(struct.pack("<Q", 1000) + zeros, 9))
case("m38-gzip-twice.npz", gzip.compress(gzip.compress(zeros, 9), 9))

# what the other readers have of the kind ---------------------------------------------------------------------------------------------
case("flax-deep.msgpack", b"\x81\xa1a" * 100_000 + b"\xc0")
case("flax-arrays.msgpack", b"\x81\xa1a" + b"\x91" * 100_000)
case("flax-map.msgpack", b"\xdf\xff\xff\xff\xff")
case("flax-ext.msgpack", b"\x81\xa1a\xc9\xff\xff\xff\xff\x01")
case("flax-shape.msgpack", b"\x81\xa1a\xc7\x12\x01\x93\x92\xce\xff\xff\xff\xff\xce\xff\xff\xff\xff\xa7float32\xc4\0")
case("mxnet-count.params", struct.pack("<QQQ", 0x112, 0, 1 << 60))
case("mxnet-rank.params", struct.pack("<QQQIiI", 0x112, 0, 1, 0xf993fac9, 0, 0x7fffffff))
case("mxnet-shape.params", struct.pack("<QQQIiIqqiiI", 0x112, 0, 1, 0xf993fac9, 0, 2, 1 << 32, 1 << 32, 1, 0, 0))


def field(n, data):
    out, v = b"", n << 3 | 2
    for v in (n << 3 | 2, len(data)):
        while v > 127:
            out, v = out + bytes([v & 127 | 128]), v >> 7
        out += bytes([v])
    return out + data


layer = field(1, b"conv") + field(2, b"Convolution")
case("caffe-length.caffemodel", field(1, b"n") + b"\xa2\x06\xff\xff\xff\xff\x0f")
case("caffe-shape.caffemodel", field(100, layer + field(7, field(7, field(1, b"\x80\x80\x80\x80\x80\x80\x80\x40" * 2)) + field(5, b"\0" * 4))))
case("caffe-nested.caffemodel", field(100, layer + b"\x0b" * 100_000))
case("paddle-code.pdparams", pickles["m32-reduce"], "any")
case("tf.index", b"\0\0\6\x08\1\x1a\2\x08\1" + b"\xff" * 100)
case("tf-v1.ckpt", b"\0\0\x0a\x0a\x08\x0a\6\x0a\4conv" + b"\xff" * 100)
case("ncnn.param", b"7767517\n99999999999 1\n")
case("ncnn-count.param", b"7767517\n1000000 1\nInput a 0 1 a\n")


# HDF5 ------------------------------------------------------------------------------------------------------------------------------
def h5(make):
    b = io.BytesIO()
    with h5py.File(b, "w") as f:
        make(f)
    return b.getvalue()


try:
    import h5py
except ImportError:
    h5py = None
    print("no h5py: M39 and M40 are left out (apt-get install python3-h5py)", file=sys.stderr)
if h5py:
    secret = os.path.join(scratch, "secret")  # what a file must not make us read
    open(secret, "wb").write(b"\1" * 64)
    ones = np.ones(16, "f4")
    case("fine.h5", h5(lambda f: f.create_dataset("a", data=ones)), "fine")
    case("m39-external.h5", h5(lambda f: f.create_dataset("a", (16,), "f4", external=[(secret, 0, 64)])))
    case("m39-external-link.h5", h5(lambda f: f.__setitem__("a", h5py.ExternalLink(secret, "/"))))
    case("m39-soft-link.h5", h5(lambda f: f.__setitem__("a", h5py.SoftLink("/b"))))

    def virtual(f):
        v = h5py.VirtualLayout((16,), "f4")
        v[:] = h5py.VirtualSource(secret, "x", (16,))
        f.create_virtual_dataset("a", v)

    case("m39-virtual.h5", h5(virtual))
    case("m40-shape.h5", h5(lambda f: f.create_dataset("a", (1 << 50,), "f4", chunks=(1 << 20,))))
    case("m40-fill.h5", h5(lambda f: f.create_dataset("a", (1 << 40,), "f4", chunks=(1 << 20,), fillvalue=1, compression="gzip")))
    chunked = h5(lambda f: f.create_dataset("a", data=np.arange(5000, dtype="f4"), chunks=(1237,), compression="gzip"))
    chunk = chunked.index(struct.pack("<II", 1237, 4))
    case("m40-chunk0.h5", at(chunked, chunk, struct.pack("<I", 0)))
    case("m40-chunk-huge.h5", at(chunked, chunk, struct.pack("<I", 0xffffffff)))
    name = chunked.index(b"deflate\0")
    case("m40-filters.h5", at(chunked, name - 15, b"\xff"))
    tree = chunked.index(b"TREE")  # the root group's
    case("m40-cycle.h5", at(at(chunked, tree + 5, b"\1"), tree + 32, struct.pack("<Q", tree)))
    case("m40-sibling.h5", at(chunked, tree + 16, struct.pack("<Q", tree)), "any")
    case("config-bomb.h5", h5(lambda f: (f.create_dataset("a", data=ones), f.attrs.__setitem__("model_config", '{"config":' + "[" * 60_000))), "fine")
