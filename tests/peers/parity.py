# SPDX-License-Identifier: 0BSD
"""Training against PyTorch, batch by batch.

parity.py make NET FORM DIR    a network of random weights as DIR/model.onnx, pictures in order as DIR/data.npz
parity.py check LIST           for each line of LIST, NET DIR TUNED.onnx LOG.jsonl OPTIONS...: trains the same network in PyTorch on
                               the same batches and compares the losses and learning rates in the log, and the weights at the end

OPTIONS are resect-tune's: --batch, --epochs, --lr, --momentum ...; the figures that are compared end up on standard output. PyTorch
computes in double: a ResNet with fresh weights magnifies every rounding at its ReLUs' kinks, so that after some steps PyTorch's
own float32 losses differ from its float64 ones by more than the tolerance here."""
import argparse
import functools
import json
import math
import sys
import numpy as np
import onnx
import onnx.numpy_helper
import torch
import torchvision

CLASSES = 10
OURS = "--kernels", "reference", "auto", "--exact"  # which kernels resect computes with: PyTorch's run is the same one


class Small(torch.nn.Module):
    """Convs with BatchNormalization and with a bias, a shortcut, a head: every kind of weight, in milliseconds."""

    def __init__(self):
        super().__init__()
        self.conv1 = torch.nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.bn1 = torch.nn.BatchNorm2d(8)
        self.conv2 = torch.nn.Conv2d(8, 8, 3, padding=1, bias=False)
        self.bn2 = torch.nn.BatchNorm2d(8)
        self.conv3 = torch.nn.Conv2d(8, 8, 1)
        self.fc = torch.nn.Linear(8, CLASSES)

    def forward(self, x):
        x = torch.relu(self.bn1(self.conv1(x)))
        x = self.conv3(torch.relu(self.bn2(self.conv2(x)) + x))
        return self.fc(torch.flatten(torch.nn.functional.adaptive_avg_pool2d(x, 1), 1))


def network(name):
    torch.manual_seed(3)
    return Small() if name == "small" else getattr(torchvision.models, name)(num_classes=CLASSES)


def shapes(name):
    return (160, 3, 64, 64) if name != "small" else (44, 3, 12, 12)


def make(name, form, folder):
    model = network(name).eval()
    n, *chw = shapes(name)
    rng = np.random.default_rng(5)
    y = rng.integers(0, CLASSES, n)
    x = 0.5 * rng.standard_normal((n, 3, chw[1] // 4, chw[2] // 4)).repeat(4, 2).repeat(4, 3)
    x += 0.5 * rng.standard_normal((n, *chw)) + (y / CLASSES)[:, None, None, None]
    np.savez(f"{folder}/data.npz", x=x.astype(np.float32), y=y)
    mode = {"kept": torch.onnx.TrainingMode.PRESERVE, "training": torch.onnx.TrainingMode.TRAINING}[form]
    torch.onnx.export(model.train(form == "training"), torch.zeros(2, *chw), f"{folder}/model.onnx", opset_version=17, training=mode,
                      do_constant_folding=False, input_names=["x"], output_names=["logits"],
                      dynamic_axes={"x": {0: "N"}, "logits": {0: "N"}})


def options(words):
    p = argparse.ArgumentParser()
    for name, default in (("lr", 0.01), ("momentum", 0.9), ("weight-decay", 0.0), ("clip", 0.0), ("label-smoothing", 0.0), ("warmup", 0.0),
                          ("lr-floor", 0.0), ("step-every", 1.0), ("step-factor", 0.1), ("restart-every", 1.0), ("restart-stretch", 2.0)):
        p.add_argument("--" + name, type=float, default=default)
    p.add_argument("--batch", type=int, default=8)
    p.add_argument("--epochs", type=int, default=1)
    p.add_argument("--optimizer", default="sgd")
    p.add_argument("--schedule", default="constant")
    p.add_argument("--class-weights")
    p.add_argument("--nesterov", action="store_true")
    p.add_argument("--bn-unbiased", action="store_true")
    return p.parse_args(words)


def scheduler(o, optimizer, steps):
    s, total = torch.optim.lr_scheduler, steps * o.epochs
    return {
        "constant": lambda: s.LambdaLR(optimizer, lambda k: 1),
        "cosine": lambda: s.CosineAnnealingLR(optimizer, total, eta_min=o.lr * o.lr_floor),
        "step": lambda: s.StepLR(optimizer, int(o.step_every * steps), o.step_factor),
        "onecycle": lambda: s.OneCycleLR(optimizer, o.lr, total_steps=total, cycle_momentum=False),
        "restarts": lambda: s.CosineAnnealingWarmRestarts(optimizer, int(o.restart_every * steps), int(o.restart_stretch),
                                                          eta_min=o.lr * o.lr_floor),
    }[o.schedule]()


def tensors(path):
    return {t.name: onnx.numpy_helper.to_array(t) for t in onnx.load(path).graph.initializer}


@functools.lru_cache(None)
def train(name, folder, words, kind):
    """Losses and rates of every step, and the model, computed in a floating-point type."""
    o = options(words)
    data = np.load(f"{folder}/data.npz")
    x, y = torch.from_numpy(data["x"]).to(kind), torch.from_numpy(data["y"])
    model = network(name).train()
    given = tensors(f"{folder}/model.onnx")  # an export in training mode has run once, and moved the statistics
    model.load_state_dict({k: torch.from_numpy(given[k].copy()) if k in given else v for k, v in model.state_dict().items()})
    model = model.to(kind)
    decay = {"lr": o.lr, "weight_decay": o.weight_decay}
    optimizer = torch.optim.AdamW(model.parameters(), **decay) if o.optimizer == "adamw" else torch.optim.SGD(
        model.parameters(), momentum=o.momentum, nesterov=o.nesterov, **decay)
    weight = None
    if o.class_weights == "balanced":
        count = np.bincount(data["y"], minlength=CLASSES)
        weight = torch.tensor(len(y) / (CLASSES * count), dtype=kind)
    loss_of = torch.nn.CrossEntropyLoss(weight=weight, label_smoothing=o.label_smoothing)
    steps = math.ceil(len(y) / o.batch)
    rates = scheduler(o, optimizer, steps)
    losses, lrs = [], []
    for _ in range(o.epochs):
        for at in range(0, len(y), o.batch):
            optimizer.zero_grad()
            loss = loss_of(model(x[at:at + o.batch]), y[at:at + o.batch])
            loss.backward()
            if o.clip:
                torch.nn.utils.clip_grad_norm_(model.parameters(), o.clip)
            lrs.append(optimizer.param_groups[0]["lr"])
            losses.append(loss.item())
            optimizer.step()
            rates.step()
    return losses, lrs, model


def check(name, folder, tuned, log, words):
    theirs = tuple(w for w in words if w not in OURS)
    o = options(theirs)
    losses, lrs, model = train(name, folder, theirs, torch.float64)
    single = train(name, folder, theirs, torch.float32)[0]
    lines = [json.loads(line) for line in open(log)]
    steps = [line for line in lines if "loss" in line]
    assert len(steps) == len(losses), f"{len(steps)} steps in the log, {len(losses)} in PyTorch"
    loss_error = max(abs(s["loss"] - want) / abs(want) for s, want in zip(steps, losses))
    single_error = max(abs(loss - want) / abs(want) for loss, want in zip(single, losses))
    rate_error = max(abs(s["lr"] - want) / max(abs(want), 1e-12) for s, want in zip(steps, lrs))
    ours = tensors(tuned)
    weight_error, statistic_error, compared = 0.0, 0.0, 0
    for key, value in model.state_dict().items():
        want = value.numpy()
        if want.ndim == 0 or key not in ours:
            assert want.ndim == 0, f"{key} is not in the tuned model"
            continue
        if not o.bn_unbiased and key.endswith("running_var"):
            continue
        error = float(np.abs(ours[key] - want).max() / np.abs(want).max())
        if "running" in key:
            statistic_error = max(statistic_error, error)
        else:
            weight_error = max(weight_error, error)
        compared += 1
    print(f"{name} {' '.join(words)}: {len(losses)} steps, loss {losses[0]:.4f} to {losses[-1]:.4f}; largest relative difference: loss "
          f"{loss_error:.1e} (PyTorch's own float32: {single_error:.1e}), rate {rate_error:.1e}, weights {weight_error:.1e}, statistics {statistic_error:.1e} ({compared} tensors)")
    if name == "resnet18" and "reference" not in words:
        # Kernels that sum in float32 leave the double run as PyTorch's own float32 does; Winograd's method rounds more. What a weight
        # near 0 becomes after ten such steps is noise.
        return loss_error <= (max(1e-4, 2 * single_error) if "--exact" in words else 2e-3) and rate_error <= 1e-6
    return loss_error <= 1e-4 and rate_error <= 1e-6 and weight_error <= 1e-4 and statistic_error <= 1e-4


if sys.argv[1] == "make":
    make(*sys.argv[2:5])
else:
    torch.set_num_threads(2)
    bad = 0
    for line in open(sys.argv[2]):
        name, folder, tuned, log, *words = line.split()
        if not check(name, folder, tuned, log, words):
            print(f"FAIL: {line.rstrip()}")
            bad += 1
    sys.exit(bad != 0)
