#!/bin/sh
# SPDX-License-Identifier: 0BSD
# --json of every tool: one value on standard output and nothing else there, with what the tool would have said.
. "$RESECT_SRC/tests/cli/check.sh"

cd "$T" || exit 99
OMP_WAIT_POLICY=passive
export OMP_WAIT_POLICY
make_few

# json N COMMAND...: status N, and the output is JSON, as Python reads it or as far as it begins and ends so.
json() {
        want=$1
        shift
        status "$want" "$@" --json
        if command -v python3 >/dev/null; then
                check "JSON: $*" python3 -c 'import json, sys; json.load(open(sys.argv[1]))' "$T/out"
        else
                check "JSON: $*" sh -c "head -c 1 '$T/out' | grep -q '[[{]' && tail -n 1 '$T/out' | grep -q '^[]}]\$'"
        fi
}
has() {
        check "JSON has '$1'" grep -qF -e "$1" "$T/out"
}
no_words() {
        check "no words beside the JSON, but: $(cat "$T/err")" test ! -s "$T/err"
}

# Edits: the model needs a file; what was said and compared is in the object.
edit() {
        name=$1
        refuses "$@" --json
        says 'the model needs a file'
        rm -f out.onnx
        json 0 "$@" -o out.onnx
        no_words
        for key in notes figures verified verdict; do has "\"$key\": "; done
        has "\"command\": \"$name"
        has '"output": "out.onnx"'
        check "$name wrote the model" test -s out.onnx
}
edit resect-new resnet20
edit resect-strip --verify m.onnx
has '"value": "'
has '"max_rel": 0.0'
edit resect-head --replace --classes 4 m.onnx
has '"verified": []'
edit resect-truncate --after layer1.0 m.onnx
edit resect-reset --from head m.onnx
edit resect-freeze --all-but-head m.onnx
edit resect-fold --bn --verify m.onnx
has '"folded 7 BatchNormalization into the layer before"'
has '"value": "logits"'
edit resect-edit --batch 2 m.onnx
has '"numbers": 6'
edit resect-pack --in m.onnx
edit resect-cast --to fp16 m.onnx
has '"top1_agreement": '
has '"name": "layer1.0.conv1"'
check 'the table is figures, not words' sh -c "! grep -q 'layer1.0.conv1  *float16' '$T/out'"
edit resect-cast --to fp16 --no-report m.onnx
has '"figures": null'

# What only reports writes no model, and its verdict is the status.
json 0 resect-freeze --for ort m.onnx
has '"requires_grad": ['
json 0 resect-pack --check m.onnx
has '"no external data"'
resect-pack --out big.bin --threshold 0 --quiet m.onnx -o packed.onnx
head -c 100 big.bin >short.bin
mv short.bin big.bin
json 1 resect-pack --check packed.onnx
has '"verdict": "'

# Weights.
refuses resect-convert --to npz m.onnx --json
says '-o FILE'
json 0 resect-convert --to npz m.onnx -o w.npz
has '"outputs_differ": null'
has '"compared": '
has '"output": "w.npz"'
json 0 resect-convert --to npz --verify m.onnx -o w.npz
has '"outputs_differ": 0.0'
json 0 resect-convert --weights w.npz --into m.onnx -o out.onnx
has '"exact": true'
json 0 resect-convert --list w.npz

# Looking and running.
json 0 resect-info m.onnx
json 0 resect-info --tensors --plan m.onnx
json 0 resect-check m.onnx
json 0 resect-diff m.onnx m.onnx
json 1 resect-diff m.onnx folded.onnx
json 0 resect-run m.onnx --random 1 --repeat 1 --profile
for key in ms_per_image_median gflops steps; do has "\"$key\": "; done
json 0 resect-eval m.onnx data --split all
for key in top1 top5 balanced macro_f1 ece confusion; do has "\"$key\": "; done
json 0 resect-adapt m.onnx data --split all -o out.onnx
json 0 resect-shift m.onnx data --split all
json 0 resect-probe m.onnx data
json 0 resect-see m.onnx data --split all --pictures 1
json 0 resect-tune m.onnx data --epochs 1 --no-augment -o out.onnx
finish
