#!/bin/sh
# SPDX-License-Identifier: 0BSD
# resect-adapt against PyTorch's running statistics on the same batches, and resect-shift's figures against NumPy's over PyTorch's own activations.
. "$RESECT_SRC/tests/peers/peers.sh"
need torch
for net in small resnet18; do
        dir=$tmp/$net
        mkdir "$dir"
        "$PYTHON" "$here/adapt.py" make $net "$dir" 2>/dev/null
        resect-adapt "$dir/model.onnx" "$dir/data.npz" --exact --batch 7 --quiet -o "$dir/exact.onnx" || fail "$net: resect-adapt"
        resect-adapt "$dir/model.onnx" "$dir/data.npz" --exact --momentum 0.1 --no-shuffle --batch 16 --quiet \
                -o "$dir/running.onnx" || fail "$net: resect-adapt --momentum"
        resect-shift "$dir/model.onnx" "$dir/data.npz" --source "$dir/other.npz" --exact --json --quiet >"$dir/shift.json" ||
                fail "$net: resect-shift"
        "$PYTHON" "$here/adapt.py" check $net "$dir" || fail "$net: not as PyTorch and NumPy"
done
exit $failed
