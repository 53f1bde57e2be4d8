# SPDX-License-Identifier: 0BSD
"""
Files that real frameworks write are read by us, and files of ours by them: frameworks_real.py TMP, the tools being in PATH. A framework's own
random network, its norms' statistics set to something, is saved by it, becomes an ONNX model (--into new), is run, and is written
back under the framework's names; that file must load strictly into a fresh network and give the first one's outputs. One line a
check with the difference, relative to the largest output; a framework that is not here is skipped by name.
"""
import importlib
import os
import subprocess
import sys

import numpy as np

tmp = sys.argv[1]
at = lambda name: os.path.join(tmp, name)
counts = {"ok": 0, "FAIL": 0, "SKIP": 0}
CLASSES, SIZE, TOLERANCE = 10, 64, 1e-4


def say(word, text):
    counts[word] += 1
    print("%-4s %s" % (word, text), flush=True)


def tool(*words):
    done = subprocess.run(["resect-" + words[0], "--quiet", *words[1:]], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError("resect-%s: %s" % (" ".join(words), (done.stderr.strip() or "status %d" % done.returncode).splitlines()[-1]))
    return done.stdout


def distance(a, b):
    if a.shape != b.shape or not np.isfinite(b).all():
        raise RuntimeError("shapes %s and %s" % (a.shape, b.shape))
    return float(np.abs(a.astype(float) - b.astype(float)).max() / np.abs(b).max())


def judge(name, d, limit=TOLERANCE):
    say("ok" if d <= limit else "FAIL", "%s: %.1e" % (name, d))


def version(module):
    """The module and its version; raises ImportError."""
    m = importlib.import_module(module)
    return m, "%s %s" % (module, getattr(m, "__version__", "?"))


def attempt(name, function, *needs):
    try:
        words = [version(m)[1] for m in needs]
    except ImportError as e:
        say("SKIP", "%s: no %s" % (name, e.name))
        return
    print("# %s (%s)" % (name, ", ".join(words)), flush=True)
    try:
        function()
    except Exception as e:  # a framework's refusal is the finding
        absent = "is not installed" in str(e)  # a library that we load by name
        say("SKIP" if absent else "FAIL", "%s: %s: %s" % (name, type(e).__name__, str(e).strip().replace("\n", " ")[:600]))


def unsettle(net):
    """Statistics and scales that tell norms apart, and keep numbers in bounds."""
    import torch
    torch.manual_seed(3)
    with torch.no_grad():
        for m in net.modules():
            if getattr(m, "running_var", None) is not None:
                m.weight.uniform_(.5, 1)
                m.bias.normal_(0, .1)
                m.running_mean.normal_(0, .1)
                m.running_var.uniform_(.5, 2)
    return net.eval()


def outputs(net, x):
    import torch
    with torch.no_grad():
        y = net(torch.from_numpy(x))
    return (y.logits if hasattr(y, "logits") else y).numpy()


def picture():
    x = np.random.default_rng(1).standard_normal((2, 3, SIZE, SIZE)).astype("f4")
    np.save(at("x.npy"), x)
    return x


def run(model):
    tool("run", at(model), at("x.npy"), "-o", at("got.npy"))
    return np.load(at("got.npy"))


def there_and_back(name, make, names, formats, save, load):
    """make() -> a network; save(net, format, path), load(format, path) -> a fresh network filled strictly."""
    x, net = picture(), unsettle(make())
    want = outputs(net, x)
    for format_ in formats:
        path = save(net, format_, at("theirs." + format_))
        tool("convert", "--weights", path, "--into", "new", "-o", at("m.onnx"))
        judge("%s: its %s, run by us" % (name, format_), distance(run("m.onnx"), want))
        tool("convert", "--to", "%s:%s" % (format_, names), at("m.onnx"), "-o", at("ours." + format_))
        judge("%s: our %s:%s, loaded strictly and run by it" % (name, format_, names),
              distance(outputs(load(format_, at("ours." + format_)).eval(), x), want))


def save_state(net, format_, path):
    import torch
    if format_ == "pth":
        torch.save(net.state_dict(), path)
    else:
        from safetensors.torch import save_file
        save_file(net.state_dict(), path)
    return path


def load_state(make):
    def load(format_, path):
        import torch
        if format_ == "pth":
            state = torch.load(path, map_location="cpu", weights_only=True)
        else:
            from safetensors.torch import load_file
            state = load_file(path)
        net = make()
        net.load_state_dict(state, strict=True)
        return net
    return load


def module_formats():
    try:
        import safetensors.torch
        return ["pth", "safetensors"]
    except ImportError:
        return ["pth"]


def torchvision_():
    import torchvision
    for name in ("resnet18", "resnext50_32x4d"):
        make = lambda: getattr(torchvision.models, name)(num_classes=CLASSES)
        there_and_back("torchvision " + name, make, "torchvision", module_formats(), save_state, load_state(make))


def timm_(name, names="timm"):
    import timm
    make = lambda: timm.create_model(name, pretrained=False, num_classes=CLASSES)
    there_and_back("timm " + name, make, names, module_formats(), save_state, load_state(make))


def transformers_(kind, depths, sizes):
    import transformers
    transformers.logging.set_verbosity_error()
    config = transformers.ResNetConfig(layer_type=kind, depths=depths, hidden_sizes=sizes, num_labels=CLASSES)
    make = lambda: transformers.ResNetForImageClassification(config)

    def save(net, format_, path):
        if format_ == "pth":
            return save_state(net, format_, path)
        net.save_pretrained(path + ".d")
        return path + ".d/model.safetensors"

    def load(format_, path):
        if format_ == "pth":
            return load_state(make)(format_, path)
        folder = path + ".d"
        os.makedirs(folder, exist_ok=True)
        config.save_pretrained(folder)
        os.replace(path, folder + "/model.safetensors")
        net, info = transformers.ResNetForImageClassification.from_pretrained(folder, output_loading_info=True)
        wrong = {k: v for k, v in info.items() if v}
        if wrong:
            raise RuntimeError("from_pretrained: %s" % wrong)
        return net
    there_and_back("transformers ResNet, %s" % kind, make, "hf", module_formats(), save, load)


def fresh(*options):
    """A network of ours; a dictionary of its tensors under the given names comes of listed()."""
    tool("new", *options, "--classes", str(CLASSES), "--size", str(SIZE), "--width", "8", "-o", at("own.onnx"))


def listed(names, *how):
    tool("convert", "--to", "npz:" + names, *how, at("own.onnx"), "-o", at("own.npz"))
    return dict(np.load(at("own.npz")))


def same(name, got, want):
    """Dictionaries of arrays, bit for bit."""
    odd = sorted(set(got) ^ set(want))
    if odd:
        raise RuntimeError("%s: other names: %s" % (name, odd[:4]))
    different = [k for k in want if got[k].shape != want[k].shape or got[k].tobytes() != want[k].tobytes()]
    say("FAIL" if different else "ok", "%s: %d tensors, %s" % (name, len(want), "other: %s" % different[:4] if different else "bit for bit"))


def flat(tree, way=""):
    for k, v in tree.items():
        yield from flat(v, way + k + "/") if isinstance(v, dict) else [(way + k, np.asarray(v))]


def flax_():
    from flax import serialization
    picture()
    for names in ("flax", "flax-example"):  # the example's own strides and pool have nothing to do with its file
        fresh("resnet50")
        how = ["--variant-from", "model"] if names == "flax-example" else []
        want = listed(names, *how)
        tool("convert", "--to", "flax:" + names, *how, at("own.onnx"), "-o", at("own.msgpack"))
        tree = serialization.msgpack_restore(open(at("own.msgpack"), "rb").read())
        got = dict(flat(tree))
        same("flax.serialization reads our flax:" + names, got, {k.replace(".", "/") if k not in got else k: v for k, v in want.items()})
        open(at("theirs.msgpack"), "wb").write(serialization.msgpack_serialize(tree))
        tool("convert", "--weights", at("theirs.msgpack"), *how, "--into", at("own.onnx"), "-o", at("back.onnx"))
        judge("what flax.serialization writes of it, run by us (%s)" % names, distance(run("back.onnx"), run("own.onnx")), 0)


def msgpack_():
    import msgpack
    fresh("resnet18")
    tool("convert", "--to", "flax:flax", at("own.onnx"), "-o", at("own.msgpack"))
    leaf = lambda code, data: (lambda v: np.frombuffer(v[2], v[1]).reshape(v[0]))(msgpack.unpackb(data, raw=False))
    tree = msgpack.unpackb(open(at("own.msgpack"), "rb").read(), ext_hook=leaf, raw=False)
    got, want = dict(flat(tree)), listed("flax")
    same("msgpack reads our flax", got, {k.replace(".", "/") if k not in got else k: v for k, v in want.items()})


def safetensors_():
    from safetensors import numpy as st
    fresh("resnet50")
    tool("convert", "--to", "safetensors:torchvision", at("own.onnx"), "-o", at("own.safetensors"))
    same("safetensors reads ours", st.load_file(at("own.safetensors")), listed("torchvision"))


def h5py_():
    import h5py
    for names in ("keras", "keras3"):
        fresh("resnet50", "--variant", "v1")
        tool("convert", "--to", "h5:" + names, at("own.onnx"), "-o", at("own.h5"))
        got = {}
        with h5py.File(at("own.h5"), "r") as f:
            f.visititems(lambda k, v: got.__setitem__(k, v[()]) if isinstance(v, h5py.Dataset) else None)
            if names == "keras":
                layers = [n.decode() if isinstance(n, bytes) else n for n in f.attrs["layer_names"]]
                listed_weights = {"%s/%s" % (n, w.decode() if isinstance(w, bytes) else w) for n in layers for w in f[n].attrs["weight_names"]}
                missing = listed_weights ^ set(got)
                say("FAIL" if missing else "ok", "h5py: layer_names and weight_names name all of %d tensors%s" % (len(got), " but %s" % sorted(missing)[:3] if missing else ""))
        want = sorted(v.tobytes() for v in listed(names).values())
        have = sorted(v.tobytes() for v in got.values())
        say("ok" if have == want else "FAIL", "h5py reads our h5:%s: %d tensors, %s" % (names, len(got), "bit for bit" if have == want else "not ours"))


attempt("torchvision", torchvision_, "torch", "torchvision")
for variant in ("resnet101", "resnet101c", "resnet101d", "resnet101s", "resnet26d"):
    attempt("timm " + variant, lambda: timm_(variant), "timm")
attempt("timm resnetv2_101", lambda: timm_("resnetv2_101", "timm-v2"), "timm")
attempt("transformers", lambda: transformers_("bottleneck", [3, 4, 23, 3], [256, 512, 1024, 2048]), "transformers")
attempt("transformers, basic", lambda: transformers_("basic", [2, 2, 2, 2], [64, 128, 256, 512]), "transformers")
attempt("flax", flax_, "flax")
attempt("msgpack", msgpack_, "msgpack")
attempt("safetensors", safetensors_, "safetensors")
attempt("h5py", h5py_, "h5py")
print("%d ok, %d FAIL, %d SKIP" % tuple(counts[k] for k in ("ok", "FAIL", "SKIP")))
sys.exit(counts["FAIL"] > 0)
