#!/bin/sh
# SPDX-License-Identifier: 0BSD
# resect-info, resect-check and resect-diff at the command line.
. "$RESECT_SRC/tests/cli/check.sh"

resect-new resnet18 --classes 3 --size 32 --seed 1 --quiet -o "$T/a.onnx"
resect-new resnet50 --classes 1000 --size 224 --seed 1 --quiet -o "$T/r50.onnx"

# info: the published numbers of torchvision's ResNet-50, and the table adds up
status 0 resect-info "$T/r50.onnx"
says 'resnet50 v1.5'
says '2048 features to 1000 classes, logits'
says '25.6 M'
says '4.1 G'
check 'no line ends in a blank' sh -c "! grep -q ' \$' '$T/out'"
says '6 bottleneck blocks'
check 'no line is longer than 80 columns' sh -c "! grep -q '.\{81\}' '$T/out'"
status 0 resect-info --json "$T/r50.onnx"
check 'ResNet-50 has 25557032 parameters' grep -q '"parameters": 25557032,' "$T/out"
check 'ResNet-50 makes 4089184256 MACs' grep -q '"macs": 4089184256,' "$T/out"
check '16 blocks are listed' test "$(grep -c '"preactivation"' "$T/out")" -eq 16
status 0 resect-info --tensors "$T/a.onnx"
says 'layer4.1.conv2'
status 0 resect-info --plan "$T/a.onnx"
says 'conv1'
says ' steps; activations '
status 0 resect-info --dot "$T/a.onnx"
check 'a box for each of the 8 blocks' test "$(grep -c '^subgraph' "$T/out")" -eq 8
check 'braces are even' test "$(tr -cd '{' <"$T/out" | wc -c)" -eq "$(tr -cd '}' <"$T/out" | wc -c)"
if command -v dot >/dev/null; then
        status 0 dot -Tsvg "$T/out"
fi
resect-freeze --until layer2 "$T/a.onnx" --quiet -o "$T/frozen.onnx"
status 0 resect-info "$T/frozen.onnx"
says 'resect-freeze --until layer2'
check 'layer2 is frozen' grep -q '^layer2 .*frozen$' "$T/out"
check 'layer3 is not' sh -c "! grep -q '^layer3 .*frozen' '$T/out'"
status 0 sh -c 'resect-info <"$0"' "$T/a.onnx"
echo 'no model, but words' >"$T/text"
refuses resect-info "$T/text"
says 'not an ONNX model, but text'
refuses resect-info ''
says 'the name of the model is empty'
mkdir "$T/none"
refuses resect-run --vectors "$T/none"
says 'no test was found'
refuses resect-run --vectors --top 3 "$T/none"
says '--vectors has no use for --top'
refuses resect-run --random 1 --dump "x=$T" "$T/a.onnx"
says '--random has no use for --dump'
refuses resect-run --random 1 "$T/a.onnx" "$T/b.npy"
says 'takes no INPUT'
refuses resect-run --profile "$T/a.onnx" "$T/b.npy"
says '--profile belongs to --random'
refuses resect-run --seed 1 "$T/a.onnx" "$T/b.npy"
says '--seed belongs to --random'
refuses resect-run --top 1 "$T/a.onnx" "$T/b.npy"
says '--top is for pictures'
refuses resect-diff --only graph,weights --batch 2 "$T/a.onnx" "$T/a.onnx"
says '--only graph,weights has no use for --batch'
refuses resect-diff --only graph --rtol 1 "$T/a.onnx" "$T/a.onnx"
says '--only graph has no use for --rtol'
status 0 resect-run --random 5 --batch 2 --repeat 2 --profile --json "$T/a.onnx"
says '"batch": 2,'
says '"pictures": 6,'
status 0 resect-run --random 5 --batch 2 --repeat 2 "$T/a.onnx"
says 'median of 2 runs of 6, 2 at a time'
status 0 resect-run --random 3 --batch 9 --repeat 1 "$T/a.onnx"
says 'median of 1 runs of 3;'
refuses resect-run --rtol 1 "$T/a.onnx" "$T/b.npy"
says '--rtol belongs to --vectors'
refuses resect-info --dot --json "$T/a.onnx"
says '--dot has no use for --json'
refuses resect-info --kernels reference "$T/a.onnx"
says '--kernels belongs to --plan'
status 0 resect-info --plan --json --kernels reference "$T/a.onnx"
check 'the plan is that of the reference kernels' sh -c "grep '\"kernels\"' '$T/out' | grep -qv '\"reference\"\|\"view\"'; test \$? -eq 1"

# check
status 0 resect-check "$T/a.onnx"
check 'nothing to say about a sound model' test ! -s "$T/out"
status 0 resect-check --json "$T/a.onnx"
says '"valid": true'
head -c 3000 "$T/a.onnx" >"$T/cut.onnx"
status 1 resect-check "$T/cut.onnx"
says "$T/cut.onnx: error: "
status 1 resect-check --json "$T/cut.onnx"
says '"level": "error"'
refuses resect-check "$T/missing.onnx"

# diff
status 0 resect-diff "$T/a.onnx" "$T/a.onnx"
says ' differ'
says 'beyond the tolerance'
resect-fold --bn "$T/a.onnx" --quiet -o "$T/folded.onnx"
status 1 resect-diff "$T/a.onnx" "$T/folded.onnx"
status 0 resect-diff --only outputs "$T/a.onnx" "$T/folded.onnx"
resect-new resnet18 --classes 3 --size 32 --seed 2 --quiet -o "$T/b.onnx"
status 1 resect-diff "$T/a.onnx" "$T/b.onnx"
says 'conv1.weight'
status 0 resect-diff --only graph "$T/a.onnx" "$T/b.onnx"
status 1 resect-diff --only weights "$T/a.onnx" "$T/b.onnx"
status 0 resect-diff --only weights --atol 1000 "$T/a.onnx" "$T/b.onnx"
status 1 resect-diff --json "$T/a.onnx" "$T/b.onnx"
says '"same": false'
resect-strip "$T/a.onnx" --quiet -o "$T/features.onnx"
status 1 resect-diff "$T/a.onnx" "$T/features.onnx"
says 'only in A: '
says 'fc.weight'
refuses resect-diff --only colour "$T/a.onnx" "$T/b.onnx"
refuses resect-diff "$T/a.onnx"
finish
