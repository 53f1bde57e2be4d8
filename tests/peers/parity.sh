#!/bin/sh
# SPDX-License-Identifier: 0BSD
# resect-tune against PyTorch: from the same ONNX, on the same batches in the same order, the loss of every step within 1e-4, the
# learning rates, and the weights and statistics at the end; by fast kernels, whose sums are float32's, as near as PyTorch's own
# float32, with Winograd's method within 2e-3. ResNet-18 at 64 x 64 once; every option on a small network. The
# "kept" form shares equal tensors between layers through Identity nodes, which must not tie them in training.
. "$RESECT_SRC/tests/peers/peers.sh"
need torch

mkdir "$tmp/small" "$tmp/resnet18" "$tmp/training"
"$PYTHON" "$here/parity.py" make small kept "$tmp/small" 2>/dev/null
"$PYTHON" "$here/parity.py" make small training "$tmp/training" 2>/dev/null
"$PYTHON" "$here/parity.py" make resnet18 kept "$tmp/resnet18" 2>/dev/null

# parity NET FOLDER OPTIONS...: trains, and notes what is to be compared.
n=0
parity() {
        net=$1 dir=$tmp/$2
        shift 2
        n=$((n + 1))
        if resect-tune "$dir/model.onnx" "$dir/data.npz" -o "$dir/tuned$n.onnx" --log "$dir/log$n.jsonl" --quiet --val 0 \
                --no-shuffle --no-augment --warmup 0 "$@"; then
                echo "$net $dir $dir/tuned$n.onnx $dir/log$n.jsonl $*" >>"$tmp/list"
        else
                fail "$net $*: resect-tune"
        fi
}

sgd="--lr 0.05 --momentum 0.9 --weight-decay 0.001"
parity small small --batch 8 --schedule constant $sgd --bn-unbiased --epochs 2
parity small training --batch 8 --schedule constant $sgd --bn-unbiased --epochs 2
parity small small --batch 8 --schedule constant $sgd --nesterov --label-smoothing 0.1 --epochs 1
parity small small --batch 8 --schedule constant $sgd --clip 0.5 --class-weights balanced --epochs 1
parity small small --batch 11 --schedule constant --lr 0.01 --optimizer adamw --weight-decay 0.05 --epochs 2
parity small small --batch 11 --schedule cosine $sgd --lr-floor 0.1 --epochs 3
parity small small --batch 11 --schedule onecycle $sgd --epochs 3
parity small small --batch 11 --schedule step $sgd --step-every 1 --step-factor 0.3 --epochs 3
parity small small --batch 11 --schedule restarts $sgd --restart-every 1 --restart-stretch 2 --epochs 4
for kernels in '--kernels reference' --exact '--kernels auto'; do
        # shellcheck disable=SC2086
        parity resnet18 resnet18 --batch 16 --schedule constant --lr 0.0002 --momentum 0.9 --weight-decay 0.0001 --bn-unbiased --epochs 1 \
                $kernels
done
"$PYTHON" "$here/parity.py" check "$tmp/list" || fail 'not as PyTorch'
exit $failed
