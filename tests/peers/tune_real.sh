#!/bin/sh
# SPDX-License-Identifier: 0BSD
# The main job on real data: a pretrained ResNet-101 trunk gets a head for ants and bees, the trunk frozen, and must reach 86 % on
# the validation pictures. Minutes on the reference kernels: RESECT_SLOW=1 asks for it.
. "$RESECT_SRC/tests/peers/peers.sh"
need real
[ "${RESECT_SLOW:-0}" = 1 ] || skip "minutes of work: RESECT_SLOW=1 runs it"
trunk=$REAL/models/resnet101v2-layer3.onnx
data=$REAL/pictures/hymenoptera
input="resize=256 size=224x224 mean=0.5,0.5,0.5 std=0.5,0.5,0.5"

resect-freeze --match '*' "$trunk" | resect-head --classes 2 -o "$tmp/head.onnx"
resect-tune "$tmp/head.onnx" "$data" --input "$input" --epochs 20 --lr 0.01 --metric loss --batch 16 --no-augment -o "$tmp/tuned.onnx" \
        --log "$tmp/log.jsonl"
resect-eval "$tmp/tuned.onnx" "$data" --split val --min-top1 0.86 --batch 16 || fail "below 86 %"
exit $failed
