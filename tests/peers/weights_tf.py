# SPDX-License-Identifier: 0BSD
"""
Flax's msgpack with Python's msgpack, and TensorFlow's checkpoints with LevelDB's tables (leveldb_table.cc) and protobuf's
messages, whose descriptors are made here after tensor_bundle.proto. The checksums are a third program's: the loop below.
"""
import os
import subprocess
import sys
import numpy as np

what, folder = sys.argv[1], sys.argv[2]
at = lambda name: os.path.join(folder, name)
rng = np.random.default_rng(6)
TENSORS = {"a/kernel": rng.standard_normal((3, 3, 4, 5)).astype("<f4"), "a/bias": rng.standard_normal(5).astype("<f2"),
           "b/c/step": np.array(7, "<i8"), "b/double": rng.standard_normal((2, 3)), "b/none": np.zeros((0, 3), "<f4"),
           "b/bytes": rng.integers(0, 255, 70000).astype("u1")}
TENSORS.update({"many/%03d/weights" % i: rng.standard_normal((i % 4 + 1,)).astype("<f4") for i in range(700)})


def same(ours):
    with np.load(ours) as got:
        assert sorted(got.files) == sorted(TENSORS), set(got.files) ^ set(TENSORS)
        for k, v in TENSORS.items():
            assert got[k].dtype == v.dtype and got[k].shape == v.shape and got[k].tobytes() == v.tobytes(), k


# Flax (flax/serialization.py): an array is extension 1, a NumPy scalar 3

def pack(a, code=1):
    import msgpack
    return msgpack.ExtType(code, msgpack.packb((a.shape, a.dtype.name, a.tobytes()), use_bin_type=True))


def unpack(code, data):
    import msgpack
    shape, dtype, values = msgpack.unpackb(data, raw=True)
    assert code in (1, 3)
    return np.frombuffer(values, np.dtype(dtype.decode())).reshape(shape)


def tree(pairs):
    top = {}
    for k, v in pairs:
        *way, last = k.split("/")
        d = top
        for w in way:
            d = d.setdefault(w, {})
        d[last] = v
    return top


def flax_make():
    import msgpack
    t = tree((k, pack(v, 3 if v.ndim == 0 else 1)) for k, v in TENSORS.items())
    t["opt_state"] = {"0": {"mu": {"a": pack(np.ones(3, "f4"))}, "count": pack(np.array(3, "i4"), 3)}}
    t["step"], t["name"], t["none"], t["z"] = 17, "resnet", None, msgpack.ExtType(2, msgpack.packb((1.0, 2.0)))
    flat = TENSORS["b/bytes"]
    t["b"]["bytes"] = {"__msgpack_chunked_array__": True, "shape": {"0": flat.size},
                       "chunks": {str(i): pack(flat[i * 9999:(i + 1) * 9999]) for i in range(8)}}
    open(at("f.msgpack"), "wb").write(msgpack.packb(t, strict_types=True))
    np.savez(at("want.npz"), **TENSORS)


def flax_read(path):
    import msgpack
    got = msgpack.unpackb(open(path, "rb").read(), ext_hook=unpack, raw=False, max_ext_len=2**31 - 1)
    flat = {}

    def walk(d, way):
        for k, v in d.items():
            if isinstance(v, dict):
                walk(v, way + k + "/")
            else:
                flat[way + k] = v
    walk(got, "")
    assert sorted(flat) == sorted(TENSORS)
    for k, v in TENSORS.items():
        assert flat[k].dtype == v.dtype and flat[k].shape == v.shape and flat[k].tobytes() == v.tobytes(), k
    # to the byte what msgpack makes of the same tree
    in_order = tree((k, pack(TENSORS[k])) for k in sorted(TENSORS))
    assert msgpack.packb(in_order, strict_types=True) == open(path, "rb").read(), "other bytes than msgpack's"


# TensorFlow

def messages():
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
    f = descriptor_pb2.FileDescriptorProto(name="bundle.proto", package="t", syntax="proto3")

    def message(name, *fields):
        m = f.message_type.add(name=name)
        for number, (fname, kind, repeated) in fields:
            x = m.field.add(name=fname, number=number, label=3 if repeated else 1)
            if isinstance(kind, str):
                x.type, x.type_name = 11, ".t." + kind
            else:
                x.type = kind
    INT32, INT64, FIXED32, BOOL, STRING = 5, 3, 7, 8, 9
    message("VersionDef", (1, ("producer", INT32, 0)), (2, ("min_consumer", INT32, 0)))
    message("Dim", (1, ("size", INT64, 0)), (2, ("name", STRING, 0)))
    message("Shape", (2, ("dim", "Dim", 1)), (3, ("unknown_rank", BOOL, 0)))
    message("Header", (1, ("num_shards", INT32, 0)), (2, ("endianness", INT32, 0)), (3, ("version", "VersionDef", 0)))
    message("Entry", (1, ("dtype", INT32, 0)), (2, ("shape", "Shape", 0)), (3, ("shard_id", INT32, 0)),
            (4, ("offset", INT64, 0)), (5, ("size", INT64, 0)), (6, ("crc32c", FIXED32, 0)))
    # version 1: saved_tensor_slice.proto, tensor_slice.proto, and of tensor.proto what values are in
    FLOAT, DOUBLE, BYTES = 2, 1, 12
    message("Extent", (1, ("start", INT64, 0)), (2, ("length", INT64, 0)))
    message("Slice", (1, ("extent", "Extent", 1)))
    message("Meta", (1, ("name", STRING, 0)), (2, ("shape", "Shape", 0)), (3, ("type", INT32, 0)), (4, ("slice", "Slice", 1)))
    message("Contents", (1, ("tensor", "Meta", 1)), (2, ("versions", "VersionDef", 0)))
    message("Tensor", (5, ("float_val", FLOAT, 1)), (6, ("double_val", DOUBLE, 1)), (7, ("int_val", INT32, 1)),
            (8, ("string_val", BYTES, 1)), (10, ("int64_val", INT64, 1)), (13, ("half_val", INT32, 1)))
    message("Saved", (1, ("name", STRING, 0)), (2, ("slice", "Slice", 0)), (3, ("data", "Tensor", 0)))
    message("Slices", (1, ("meta", "Contents", 0)), (2, ("data", "Saved", 0)))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(f)
    get = lambda n: message_factory.MessageFactory(pool).GetPrototype(pool.FindMessageTypeByName("t." + n))
    return get("Header"), get("Entry"), get("Slices")


TABLE = []
for i in range(256):
    for _ in range(8):
        i = i >> 1 ^ (0x82F63B78 if i & 1 else 0)
    TABLE.append(i)


def masked(data):
    crc = 0xFFFFFFFF
    for b in data:
        crc = TABLE[(crc ^ b) & 255] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


TYPES = {"<f4": 1, "<f8": 2, "|u1": 4, "<i8": 9, "<f2": 19}


def ordered(v):
    """-1 or more as ordered_code.cc has numbers with a sign: as many leading ones as bytes."""
    if v == -1:
        return b"\x7f"
    n = next(n for n in range(1, 9) if v < 1 << (7 * n - 1))
    return (v ^ ((1 << n) - 1) << (8 * n - n)).to_bytes(n, "big")


def record_key(name, cut):
    text = name.encode().replace(b"\xff", b"\xff\0").replace(b"\0", b"\0\xff")
    return (b"\0" + text + b"\0\1" + (bytes([1, len(cut)]) if cut else b"\0") +
            b"".join(ordered(v) for start, length in cut for v in (start, length)))


def old_make(program, Slices, extra):
    """Version 1, as tensor_slice_writer.cc writes it; two variables in parts, one of them in the order of w/part_10, w/part_2."""
    where = {"<f4": "float_val", "<f8": "double_val", "|u1": "int_val", "<i8": "int64_val", "<f2": "half_val"}
    first, pairs = Slices(), {}
    first.meta.versions.producer = 1
    parts = {"a/kernel": (0, [(0, 1), (1, 2)]), "b/bytes": (0, [(0, 300), (40000, 30000), (300, 39700)]),
             "b/double": (1, [(0, 2), (2, 1)])}
    for k, v in {**TENSORS, **extra}.items():
        m = first.meta.tensor.add(name=k, type=TYPES[v.dtype.str])
        m.shape.SetInParent()
        for d in v.shape:
            m.shape.dim.add(size=d)
        axis, cuts = parts.get(k, (0, [(0, -1)]))
        for start, length in cuts:
            cut = [(start, length) if d == axis and length >= 0 else (0, -1) for d in range(v.ndim)]
            one = Slices()
            one.data.name = k
            for s in (m.slice.add(), one.data.slice):
                s.SetInParent()
                for a, n in cut:
                    e = s.extent.add()
                    if n >= 0:
                        e.start, e.length = a, n
            values = v if length < 0 else v.take(range(start, start + length), axis)
            one.data.data.SetInParent()
            field = where[v.dtype.str]
            getattr(one.data.data, field).extend(
                (values.view("<u2") if field == "half_val" else values).ravel().tolist())
            pairs[record_key(k, cut)] = one.SerializeToString()
    words = Slices()
    words.data.name = "words"
    words.data.slice.extent.add()
    words.data.data.string_val.append(b"zero")
    pairs[record_key("words", [(0, -1)])] = words.SerializeToString()
    m = first.meta.tensor.add(name="words", type=7)
    m.shape.dim.add(size=1)
    m.slice.add().extent.add()
    pairs[b""] = first.SerializeToString()
    lines = "".join("%s %s\n" % (k.hex(), pairs[k].hex()) for k in sorted(pairs))
    for name, how in (("old.ckpt", []), ("old-snappy.ckpt", ["snappy"])):
        subprocess.run([program, "make", at(name)] + how, input=lines, text=True, check=True)


def tf_make(program):
    Header, Entry, Slices = messages()
    h = Header(num_shards=2)
    h.version.producer = 1
    pairs, files = {b"": h.SerializeToString()}, [b"", b""]
    extra = {"global_step": np.array(9, "<i8"), "a/kernel/Momentum": np.ones((3, 3, 4, 5), "<f4"), "resnet_v1_101/mean_rgb": np.ones(3, "<f4")}
    for i, (k, v) in enumerate({**TENSORS, **extra}.items()):
        e = Entry(dtype=TYPES[v.dtype.str], shard_id=i % 2, offset=len(files[i % 2]), size=v.nbytes, crc32c=masked(v.tobytes()))
        for d in v.shape:
            e.shape.dim.add(size=d)
        e.shape.SetInParent()
        files[i % 2] += v.tobytes()
        pairs[k.encode()] = e.SerializeToString()
    pairs[b"words"] = Entry(dtype=7, size=2).SerializeToString()
    lines = "".join("%s %s\n" % (k.hex(), pairs[k].hex()) for k in sorted(pairs))
    for name, how in (("m.ckpt-3", []), ("snappy", ["snappy"])):
        subprocess.run([program, "make", at(name + ".index")] + how, input=lines, text=True, check=True)
        for i in range(2):
            open(at("%s.data-%05d-of-00002" % (name, i)), "wb").write(files[i])
    old_make(program, Slices, extra)
    np.savez(at("want.npz"), **TENSORS)


def tf_read(program, prefix):
    Header, Entry, _ = messages()
    out = subprocess.run([program, "dump", prefix + ".index"], check=True, capture_output=True, text=True).stdout
    pairs = [[bytes.fromhex(x) for x in line.split(" ")] for line in out.splitlines()]
    assert pairs[0][0] == b""
    h = Header.FromString(pairs[0][1])
    assert h.num_shards == 1 and h.endianness == 0 and h.version.producer == 1 and h.version.min_consumer == 0
    data = open(prefix + ".data-00000-of-00001", "rb").read()
    assert sorted(k.decode() for k, _ in pairs[1:]) == sorted(TENSORS)
    for k, v in pairs[1:]:
        e, t = Entry.FromString(v), TENSORS[k.decode()]
        mine = data[e.offset:e.offset + e.size]
        assert (e.dtype == TYPES[t.dtype.str] and tuple(d.size for d in e.shape.dim) == t.shape and mine == t.tobytes() and
                e.crc32c == masked(mine) and e.shard_id == 0), k
    assert sum(t.nbytes for t in TENSORS.values()) == len(data)


{"flax-make": flax_make, "flax-read": lambda: flax_read(sys.argv[3]), "same": lambda: same(sys.argv[3]),
 "tf-make": lambda: tf_make(sys.argv[3]), "tf-read": lambda: tf_read(sys.argv[3], sys.argv[4])}[what]()
