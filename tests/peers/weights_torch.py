# SPDX-License-Identifier: 0BSD
"""weights_torch.py JOB FOLDER: checkpoints through pickles, both ways. JOB is tests/unit/test_weights_files."""
import argparse
import collections
import hashlib
import os
import pickle
import subprocess
import sys
import warnings
import zipfile
import numpy as np
import torch
import torchvision

warnings.filterwarnings("ignore")
job, folder = sys.argv[1:]
os.chdir(folder)
checks = failed = 0


def check(ok, what):
    global checks, failed
    checks += 1
    if not ok:
        failed += 1
        print("FAILED:", what)


def array(t):
    """A tensor's values as NumPy's; bfloat16 as its bits."""
    t = t.detach().contiguous()
    return (t.view(torch.int16) if t.dtype == torch.bfloat16 else t).numpy()


def line(name, dtype, a):
    digest = hashlib.sha256(np.ascontiguousarray(a).astype(a.dtype.newbyteorder("<")).tobytes()).hexdigest()[:16]
    return "\t".join([name, dtype, "x".join(map(str, a.shape)), digest])


def of_torch(tensors):
    return [line(k, str(t.dtype).split(".")[1], array(t)) for k, t in tensors.items()]


def of_numpy(arrays, dtypes={}):
    return [line(k, dtypes.get(k, a.dtype.name), a) for k, a in arrays.items()]


def run(*words):
    return subprocess.run([job, *words], capture_output=True, text=True)


def reads(file, want, what, order=True):
    r = run("list", file)
    got = r.stdout.splitlines()
    if not order:
        got, want = sorted(got), sorted(want)
    check(r.returncode == 0 and got == want, f"{what}: {r.stderr.strip()[:300]} {sorted(set(got) ^ set(want))[:4]}")
    return r.stderr


def refused(file, words, what):
    r = run("list", file)
    check(r.returncode == 1 and words in r.stderr, f"{what}: {r.returncode} {r.stderr[:300]} {r.stdout[:200]}")


torch.manual_seed(1)
x = torch.randn(6, 5, 4, 3)
big = torch.randn(10, 10)
tensors = collections.OrderedDict(
    f32=torch.randn(3, 4), f64=torch.randn(5, dtype=torch.float64), f16=torch.randn(7).half(), bf16=torch.randn(2, 3).bfloat16(),
    i64=torch.arange(-3, 9), i32=torch.arange(5, dtype=torch.int32), i16=torch.arange(4, dtype=torch.int16),
    i8=torch.tensor([-128, 127], dtype=torch.int8), u8=torch.tensor([0, 255], dtype=torch.uint8), b=torch.tensor([True, False, True]),
    c64=torch.randn(3, dtype=torch.complex64), c128=torch.randn(2, 2, dtype=torch.complex128),
    scalar=torch.tensor(42), empty=torch.zeros(0), empty2=torch.zeros(3, 0, 2), one=torch.ones(1, 1, 1),
    permuted=x.permute(3, 1, 0, 2), channels_last=x.contiguous(memory_format=torch.channels_last), transposed=big.t(),
    slice=big[3:5], column=big[:, 7], step=big[1::3, ::2], offset=big.view(-1)[17:29], shared=big, shared_too=big,
    r8=torch.randn(1, 2, 1, 3, 1, 2, 2, 1).transpose(1, 6), bf16_t=torch.randn(4, 6).bfloat16().t())
tensors["parameter"] = torch.nn.Parameter(torch.randn(2, 2))
tensors["Größe.日本"] = torch.randn(2)

# torch.save, both forms, all pickle protocols.
for form in True, False:
    for protocol in 2, 3, 4, 5:
        if not form and protocol > 2 and protocol != 4:
            continue
        torch.save(tensors, "t.pth", _use_new_zipfile_serialization=form, pickle_protocol=protocol)
        reads("t.pth", of_torch(tensors), f"torch.save, zip {form}, protocol {protocol}")

# What training scripts save.
model = torchvision.models.resnet18(num_classes=3)
sgd = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
model(torch.randn(2, 3, 64, 64)).sum().backward()
sgd.step()
state = model.state_dict()
training = {"epoch": 7, "arch": "resnet18", "state_dict": state, "best_acc1": torch.tensor(0.5).item(), "optimizer": sgd.state_dict(),
            "args": argparse.Namespace(lr=0.1, data="/x"), "history": [1.0, 2.0], "acc": np.float64(91.25)}
for form in True, False:
    torch.save(training, "t.pth.tar", _use_new_zipfile_serialization=form)
    words = reads("t.pth.tar", of_torch(state), f"a training script's checkpoint, zip {form}")
    for w in ("note\tepoch\t7", "note\tarch\tresnet18", "note\tacc\t91.25", "skipped\toptimizer\tan optimiser's state",
              "argparse.Namespace", "skipped\thistory\ta list of 2 values"):
        check(w in words, f"the words have {w!r}: {words}")
    torch.save({"model": state, "ema": dict(state)}, "t.pt", _use_new_zipfile_serialization=form)
    both = {f"{p}.{k}": t for p in ("model", "ema") for k, t in state.items()}
    reads("t.pt", of_torch(both), f"two sets of weights, zip {form}")
    torch.save(model, "t.pth", _use_new_zipfile_serialization=form)
    reads("t.pth", of_torch(state), f"a whole model, zip {form}", order=False)
    torch.save(list(tensors.values())[:3], "t.pth", _use_new_zipfile_serialization=form)
    reads("t.pth", of_torch({str(i): t for i, t in enumerate(list(tensors.values())[:3])}), f"a list, zip {form}")

# A zip that somebody packed again, deflated.
torch.save({"a": torch.zeros(100, 30), "b": x.permute(3, 1, 0, 2)}, "t.pth")
with zipfile.ZipFile("t.pth") as old, zipfile.ZipFile("d.pth", "w", zipfile.ZIP_DEFLATED) as new:
    for i in old.infolist():
        new.writestr(i.filename, old.read(i))
reads("d.pth", of_torch({"a": torch.zeros(100, 30), "b": x.permute(3, 1, 0, 2)}), "a deflated zip")

# What is not to be had, said clearly.
torch.jit.script(torch.nn.Conv2d(1, 1, 1)).save("t.pt")
refused("t.pt", "TorchScript", "TorchScript")
torch.save({"a": torch.zeros(1).expand(1000000)}, "t.pth")
refused("t.pth", "expanded", "an expanded tensor")
torch.save({"w": torch.ones(3), "q": torch.quantize_per_tensor(torch.randn(4), 0.1, 0, torch.qint8)}, "t.pth")
check("_rebuild_qtensor" in reads("t.pth", of_torch({"w": torch.ones(3)}), "beside a quantised tensor"), "the quantised one is named")
torch.save(tensors, "t.pth", _use_new_zipfile_serialization=False)
whole = open("t.pth", "rb").read()
for n in (1, 14, 15, 30, 200, 2000, len(whole) - 1):
    open("cut.pth", "wb").write(whole[:n])
    check(run("list", "cut.pth").returncode == 1, f"a stream cut at {n}")

# Ours, read by PyTorch.
torch.save(tensors, "t.pth")
check(run("pack", "pth", "t.pth", "ours.pth").returncode == 0, "written")
for kw in {}, {"weights_only": True}:
    got = torch.load("ours.pth", **kw)
    check(isinstance(got, collections.OrderedDict) and list(got) == list(tensors), f"the names, {kw}")
    check(all(got[k].dtype == t.dtype and got[k].shape == t.shape and np.array_equal(array(got[k]), array(t)) for k, t in tensors.items()),
          f"the values, {kw}")
with zipfile.ZipFile("ours.pth") as z:
    check(z.testzip() is None, "Python's zipfile finds the sums right")
    raw = open("ours.pth", "rb").read()
    for i in z.infolist():
        at = i.header_offset + 30 + int.from_bytes(raw[i.header_offset + 26:i.header_offset + 28], "little") \
            + int.from_bytes(raw[i.header_offset + 28:i.header_offset + 30], "little")
        check(at % 64 == 0 and i.compress_type == 0, f"{i.filename} stands at {at}")
reads("ours.pth", of_torch(tensors), "our own")
torch.save(state, "t.pth")
check(run("pack", "pth", "t.pth", "ours.pth").returncode == 0, "written")
fresh = torchvision.models.resnet18(num_classes=3)
check(not any(fresh.load_state_dict(torch.load("ours.pth", weights_only=True), strict=True)), "strict")
fresh.eval(), model.eval()
with torch.no_grad():
    check(torch.equal(fresh(x[:, :3].repeat(1, 1, 16, 20)), model(x[:, :3].repeat(1, 1, 16, 20))), "the same outputs")

# NumPy's arrays in pickles: Paddle and Detectron.
arrays = {k: array(t) for k, t in tensors.items() if t.dtype != torch.bfloat16}
arrays["fortran"] = np.asfortranarray(np.arange(24, dtype=np.float32).reshape(2, 3, 4))
arrays["big_endian"] = np.arange(5, dtype=">f4")
arrays["u16"] = np.arange(3, dtype=np.uint16)
arrays["latin"] = np.arange(256, dtype=np.uint8)
for protocol in range(6):
    pickle.dump(arrays, open("n.pkl", "wb"), protocol=protocol)
    reads("n.pkl", of_numpy(arrays), f"NumPy's arrays, protocol {protocol}")
    pickle.dump({"model": arrays, "__author__": "me", "matching_heuristics": True}, open("n.pkl", "wb"), protocol=protocol)
    reads("n.pkl", of_numpy(arrays), f"Detectron2, protocol {protocol}")
    blobs = {"conv1_w": arrays["f32"], "conv1_w_momentum": arrays["f32"], "fc1000_b": arrays["f64"]}
    pickle.dump({"blobs": blobs, "cfg": "A: 1"}, open("n.pkl", "wb"), protocol=protocol)
    words = reads("n.pkl", of_numpy({k: blobs[k] for k in ("conv1_w", "fc1000_b")}), f"Caffe2's blobs, protocol {protocol}")
    check("momentum" in words, "the momentum is named")
    if protocol < 2:
        continue
    paddle = {k: v for k, v in arrays.items() if k != "u16"}
    paddle["half"] = array(tensors["bf16"]).view(np.uint16)
    pairs = {k: ("own." + k, v) if i % 2 else v for i, (k, v) in enumerate(paddle.items())}
    table = {"StructuredToParameterName@@": {k: "own." + k for k in paddle}}
    pickle.dump({**pairs, **table}, open("n.pdparams", "wb"), protocol=protocol)
    reads("n.pdparams", of_numpy(paddle, {"half": "bfloat16"}), f"Paddle, protocol {protocol}")
    with open("n.pdparams", "rb") as f:
        got = subprocess.run([job, "list", "-"], stdin=f, capture_output=True, text=True).stdout.splitlines()
    check(got == of_numpy(paddle, {"half": "bfloat16"}), f"Paddle through a pipe, protocol {protocol}")
    cut = {"a@@.0": arrays["f32"].ravel()[:5], "a@@.1": arrays["f32"].ravel()[5:], "b": arrays["i64"],
           "UnpackBigParamInfor@@": {"a": {"OriginShape": (3, 4), "slices": ["a@@.0", "a@@.1"]}}}
    pickle.dump(cut, open("n.pdparams", "wb"), protocol=protocol)
    reads("n.pdparams", of_numpy({"a": arrays["f32"], "b": arrays["i64"]}), f"Paddle's slices, protocol {protocol}")


class Call:
    """Pickles as a call."""

    def __init__(self, f, *args):
        self.f, self.args = f, args

    def __reduce__(self):
        return self.f, self.args


lod = {"a": Call(eval, "data", {"data": arrays["f32"]}), "b": Call(tuple, ("own.b", arrays["i64"]))}
pickle.dump(lod, open("n.pdparams", "wb"), protocol=4)
reads("n.pdparams", of_numpy({"a": arrays["f32"], "b": arrays["i64"]}), "Paddle's tensors of static graphs")

# The classic: it is named, and nothing happens.
for protocol in range(6):
    evil = {"w": arrays["f32"], "x": Call(os.system, "touch pwned"), "y": Call(eval, "open('pwned', 'w')"),
            "z": Call(exec, "open('pwned', 'w')")}
    pickle.dump(evil, open("n.pkl", "wb"), protocol=protocol)
    words = reads("n.pkl", of_numpy({"w": arrays["f32"]}), f"beside calls, protocol {protocol}")
    check(".system" in words and "eval" in words and "exec" in words, f"they are named: {words}")
    torch.save({"w": tensors["f32"], "x": evil["x"]}, "e.pth", pickle_protocol=max(protocol, 2))
    check(".system" in reads("e.pth", of_torch({"w": tensors["f32"]}), "beside a call"), "it is named")
    pickle.dump(Call(os.system, "touch pwned"), open("n.pkl", "wb"), protocol=protocol)
    run("list", "n.pkl")
check(not os.path.exists("pwned"), "nothing was run")

# Ours, read by pickle and NumPy.
writable = {k: v for k, v in arrays.items() if k not in ("big_endian", "fortran")}
pickle.dump(writable, open("n.pkl", "wb"))
check(run("pack", "detectron", "n.pkl", "ours.pkl").returncode == 0, "written")
got = pickle.load(open("ours.pkl", "rb"), encoding="latin1")
inner = got.get("model", got.get("blobs"))
same = list(inner) == list(writable) and all(inner[k].dtype == a.dtype and np.array_equal(inner[k], a) for k, a in writable.items())
check(same and got["__author__"] and got["matching_heuristics"] is True, f"Detectron2: {list(got)}")
pickle.dump(blobs, open("n.pkl", "wb"))
check(run("pack", "detectron", "n.pkl", "ours.pkl").returncode == 0, "written")
got = pickle.load(open("ours.pkl", "rb"))
check(list(got) == ["blobs"] and np.array_equal(got["blobs"]["conv1_w"], blobs["conv1_w"]), "Caffe2")
torch.save({"half": tensors["bf16"], "a.b": tensors["f32"]}, "t.pth")
check(run("pack", "paddle", "t.pth", "ours.pdparams").returncode == 0, "written")
got = pickle.load(open("ours.pdparams", "rb"), encoding="latin1")
check(got["StructuredToParameterName@@"] == {"half": "half", "a.b": "a.b"} and np.array_equal(got["a.b"], array(tensors["f32"]))
      and got["half"].dtype == np.uint16 and np.array_equal(got["half"].view(np.int16), array(tensors["bf16"])), "Paddle")
reads("ours.pdparams", of_torch({"half": tensors["bf16"], "a.b": tensors["f32"]}), "our own")
check(run("pack", "detectron", "t.pth", "no.pkl").returncode == 1 and not os.path.exists("no.pkl"), "NumPy has no bfloat16")

print(checks, "checks,", failed, "failed")
sys.exit(failed > 0 or checks < 100)
