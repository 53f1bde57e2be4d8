#!/bin/sh
# SPDX-License-Identifier: 0BSD
# Real CIFAR-10 checkpoints become models by --into new, which compute what PyTorch computes with them and know their pictures: shortcuts
# without weights (PyTorch), and Keras's own padding, epsilon and momentum. And resect-convert sees every tensor that is to be there.
. "$RESECT_SRC/tests/peers/peers.sh"
need torch real
"$PYTHON" -c 'import h5py' 2>/dev/null || skip "$PYTHON has no h5py (apt-get install python3-h5py)"
"$PYTHON" "$here/convert_real.py" truth "$REAL" "$tmp" || fail "PyTorch"
for row in resnet20-12fca82f.th:91 resnet56-4bfd9763.th:93 cifar10_ResNet20v1_model.h5:78; do
        name=${row%:*}
        resect-convert --quiet --weights "$REAL/checkpoints/$name" --into new -o "$tmp/$name.onnx" || fail "$name: --into new"
        resect-run --quiet "$tmp/$name.onnx" "$tmp/$name.x.npy" -o "$tmp/$name.got.npy" || fail "$name: resect-run"
        printf '%s: ' "$name"
        close "$tmp/$name.got.npy" "$tmp/$name.y.npy" 1e-4 || fail "$name differs from PyTorch"
        "$PYTHON" "$here/convert_real.py" top1 "$tmp/$name.got.npy" "$tmp/labels.npy" "${row#*:}" || fail "$name: top-1"
done
"$PYTHON" "$here/convert_real.py" config "$REAL" "$tmp/$name.onnx" || fail "epsilon or momentum is not model_config's"
resect-convert --list "$REAL/checkpoints/$name" >"$tmp/list" && grep -q "optimizer_weights/.*: the optimiser's state" "$tmp/list" || fail "what the optimiser keeps is not named"
resect-convert --quiet --weights "$REAL/checkpoints/resnet20.pdparams" --into new -o "$tmp/p.onnx" && resect-check --quiet "$tmp/p.onnx" || fail "resnet20.pdparams"
# two dense layers behind the network: no scheme knows them, and nothing is written
resect-convert --weights "$REAL/checkpoints/resnet2b-model_best.pth" --into new -o "$tmp/b.onnx" 2>"$tmp/err" && fail "resnet2b was taken"
grep -q 'linear1.weight unmatched' "$tmp/err" || fail "resnet2b: $(cat "$tmp/err")"
[ ! -e "$tmp/b.onnx" ] || fail "resnet2b was written"
exit $failed
