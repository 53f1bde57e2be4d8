#!/bin/sh
# SPDX-License-Identifier: 0BSD
# resect-see against PyTorch: Grad-CAM at the last maps and deeper, with BatchNormalization kept and folded.
. "$RESECT_SRC/tests/peers/peers.sh"
need torch
"$PYTHON" "$here/see.py" "$tmp" make
resect-new resnet18 --classes 5 --size 96 --quiet -o "$tmp/new.onnx"
resect-convert --weights "$tmp/net.pth" --into "$tmp/new.onnx" --quiet -o "$tmp/net.onnx"
resect-fold --bn --quiet "$tmp/net.onnx" -o "$tmp/folded.onnx"
see() {
        resect-see "$@" --json --quiet
}
exact="--kernels reference"
# shellcheck disable=SC2086
{
        see "$tmp/net.onnx" "$tmp/data.npz" $exact --pictures 3 --top 2 >"$tmp/last.json"
        see "$tmp/net.onnx" "$tmp/data.npz" $exact --pictures 2 --layer layer2 --classes 0,3 >"$tmp/deep.json"
        see "$tmp/folded.onnx" "$tmp/data.npz" $exact --pictures 2 --classes 1,4 >"$tmp/folded.json"
        see "$tmp/net.onnx" "$tmp/data.npz" --exact --pictures 2 --classes 1,4 >"$tmp/fast.json"
}
"$PYTHON" "$here/see.py" "$tmp" check || fail 'resect-see and PyTorch differ'
exit $failed
