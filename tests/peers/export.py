# SPDX-License-Identifier: 0BSD
"""export.py NAME FORM SIZE DIR: a torchvision ResNet with random weights and busy BatchNormalization statistics, exported by PyTorch.

FORM is eval (BN folded), kept (BN kept, in inference form) or training (BN in training mode, no constant folding). Writes
DIR/model.onnx, DIR/x.npy, DIR/y.npy, PyTorch's own output in the same mode, and DIR/y64.npy, the same computed in double."""
import sys
import numpy as np
import torch
import torchvision

name, form, size, folder = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
torch.manual_seed(7)
torch.set_num_threads(2)
model = getattr(torchvision.models, name)(num_classes=10)
with torch.no_grad():
    for m in model.modules():
        if isinstance(m, torch.nn.BatchNorm2d):
            m.weight.uniform_(0.5, 1.0)
            m.bias.normal_(0, 0.1)
            m.running_mean.normal_(0, 0.1)
            m.running_var.uniform_(0.5, 1.5)
# in training form the statistics are the batch's: enough pictures that they are well conditioned, or float32 itself cannot agree
x = torch.randn(8 if form == "training" else 2, 3, size, size)
mode = torch.onnx.TrainingMode
kinds = {"eval": (mode.EVAL, True), "kept": (mode.PRESERVE, False), "training": (mode.TRAINING, False)}
model.train(form == "training")
torch.onnx.export(model, x, f"{folder}/model.onnx", opset_version=17, training=kinds[form][0], do_constant_folding=kinds[form][1],
                  input_names=["x"], output_names=["logits"], dynamic_axes={"x": {0: "N"}, "logits": {0: "N"}})
np.save(f"{folder}/x.npy", x.numpy())
with torch.no_grad():
    state = {k: v.clone() for k, v in model.state_dict().items()}  # training moves the running statistics
    np.save(f"{folder}/y.npy", model(x).numpy())
    model.load_state_dict(state)
    np.save(f"{folder}/y64.npy", model.double()(x.double()).numpy())
