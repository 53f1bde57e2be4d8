#!/usr/bin/env python3
# SPDX-License-Identifier: 0BSD
"""PyTorch as it is timed: torch_peer.py JOB PRECISION BATCH SIZE THREADS [WAY [FOLDER]]

It builds torchvision's ResNet-101, warms up, and answers as peer.py says.

JOB forward: eval, no gradients. JOB train: forward, cross-entropy, backward, a step of SGD with momentum and weight decay.
JOB head: a run is an epoch over the pictures FOLDER/CLASS/*.jpg, the trunk frozen (eval, no gradients) and a new head trained;
the pictures are decoded, resized and normalised in memory beforehand, which is not counted. PRECISION is f32, or bf16. WAY is one of
those PyTorch has of doing it; without one, the fastest measured is taken (FASTEST).
"""
import glob
import sys
import warnings

warnings.filterwarnings('ignore')
import torch
import torchvision
from PIL import Image

import peer

# Forward: eager, frozen (TorchScript, BN folded, optimize_for_inference), and for bf16 autocast; "eager" there is a model cast to
# bfloat16. Training in bf16: cast (weights and all, no float copy of them kept) or autocast. What was fastest (two cores of a Zen 5):
FASTEST = {('forward', 'f32'): 'frozen', ('forward', 'bf16'): 'eager', ('train', 'f32'): 'eager', ('train', 'bf16'): 'cast',
           ('head', 'f32'): 'frozen'}


def forward(way, precision, batch, size):
    """A function that runs the network once."""
    net = torchvision.models.resnet101().eval().to(memory_format=torch.channels_last)
    x = torch.randn(batch, 3, size, size).to(memory_format=torch.channels_last)
    if precision == 'bf16' and way != 'autocast':
        net, x = net.bfloat16(), x.bfloat16()
    if way == 'frozen':  # BN folded into the convolutions, the graph fused for the processor
        with torch.no_grad():
            net = torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.trace(net, x)))
    amp = way == 'autocast'

    def run():
        with torch.no_grad(), torch.autocast('cpu', torch.bfloat16, enabled=amp):
            net(x)
    return run


def train(way, precision, batch, size):
    """A function that takes one training step, on the same random pictures each time."""
    net = torchvision.models.resnet101().train().to(memory_format=torch.channels_last)
    x = torch.randn(batch, 3, size, size).to(memory_format=torch.channels_last)
    y = torch.randint(0, 1000, (batch,))
    if way == 'cast':
        net, x = net.bfloat16(), x.bfloat16()
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-3, momentum=0.9, weight_decay=1e-4)
    amp = way == 'autocast'

    def run():
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast('cpu', torch.bfloat16, enabled=amp):
            logits = net(x)
        torch.nn.functional.cross_entropy(logits.float(), y).backward()
        optimizer.step()
    return run


def head(folder, way, batch, size):
    """A function that trains a new head for one epoch, and the number of pictures."""
    paths = sorted(glob.glob(folder + '/*/*.jpg'))
    classes = sorted({p.split('/')[-2] for p in paths})
    prepare = torchvision.models.ResNet101_Weights.IMAGENET1K_V1.transforms(crop_size=size)
    x = torch.stack([prepare(Image.open(p).convert('RGB')) for p in paths]).to(memory_format=torch.channels_last)
    y = torch.tensor([classes.index(p.split('/')[-2]) for p in paths])
    trunk = torchvision.models.resnet101().eval().to(memory_format=torch.channels_last)
    trunk.fc = torch.nn.Identity()
    if way == 'frozen':
        with torch.no_grad():
            trunk = torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.trace(trunk, x[:batch])))
    fc = torch.nn.Linear(2048, len(classes))
    optimizer = torch.optim.SGD(fc.parameters(), lr=1e-2, momentum=0.9)

    def run():
        for i in range(0, len(y), batch):
            with torch.no_grad():
                features = trunk(x[i:i + batch])
            optimizer.zero_grad(set_to_none=True)
            torch.nn.functional.cross_entropy(fc(features), y[i:i + batch]).backward()
            optimizer.step()
    return run, len(y)


def main():
    job, precision, batch, size, threads = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:6])
    way = sys.argv[6] if len(sys.argv) > 6 else FASTEST[job, precision]
    torch.manual_seed(0)
    torch.set_num_threads(threads)
    n = batch
    if job == 'head':
        run, n = head(sys.argv[7], way, batch, size)
    else:
        run = {'forward': forward, 'train': train}[job](way, precision, batch, size)
    peer.answer(('PyTorch', torch.__version__, job, precision, way, 'channels-last'), run, n, 1 if job == 'head' else 3)


main()
