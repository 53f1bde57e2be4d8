#!/bin/sh
# SPDX-License-Identifier: 0BSD
# resect-convert against torchvision: a safetensors file written in Python becomes a graph that computes what PyTorch does; what is written
# back loads with strict=True, bit for bit: safetensors through a reader of twenty lines, npz through NumPy, pth through torch.load.
. "$RESECT_SRC/tests/peers/peers.sh"
need torch

"$PYTHON" "$here/convert.py" make "$tmp" || fail "make"
resect-convert --weights "$tmp/w.safetensors" --into new -o "$tmp/m.onnx" || fail "into new"
resect-run --quiet "$tmp/m.onnx" "$tmp/x.npy" -o "$tmp/got.npy" || fail "resect-run"
"$PYTHON" "$here/convert.py" outputs "$tmp/got.npy" "$tmp" || fail "outputs are not PyTorch's"
for row in safetensors:safetensors npz:npz pth:pth; do
        format=${row%:*} file=$tmp/out.${row#*:}
        resect-convert --quiet --to "$format" "$tmp/m.onnx" -o "$file" || fail "to $format"
        "$PYTHON" "$here/convert.py" "$format" "$file" || fail "$format: not PyTorch's tensors"
done
exit $failed
