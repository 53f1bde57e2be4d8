#!/bin/sh
# SPDX-License-Identifier: 0BSD
# The edits as a person runs them: pipes, labels, rows that are kept, frozen parts, external data, history. Each with --verify where the
# function must stay.
. "$RESECT_SRC/tests/cli/check.sh"

cd "$T" || exit 99
resect-new resnet18 --classes 6 --size 32 --seed 4 --quiet -o new.onnx
resect-truncate --after layer2 --quiet new.onnx -o small.onnx
check 'a model to work on' test -s small.onnx

# The same command gives the same bytes; another seed other ones.
resect-new resnet18 --classes 6 --size 32 --seed 4 --quiet -o again.onnx
same new.onnx again.onnx
resect-new resnet18 --classes 6 --size 32 --seed 5 --quiet -o other.onnx
status 1 cmp -s new.onnx other.onnx
for variant in v1 v1.5 v2; do
        resect-new resnet50 --variant $variant --size 32 --classes 2 --quiet -o v.onnx
        status 0 resect-edit --canon --verify v.onnx -o canon.onnx
        says 'renamed 0 tensors'
        status 0 resect-truncate --after layer1 --verify v.onnx -o cut.onnx
done
refuses resect-new resnet19
says 'resnet18, 34, 50, 101 or 152'
refuses resect-new
refuses resect-new resnet18 --variant v3

# The pipe of the README.
printf 'rose\ntulip\ndaisy\n' >flowers.txt
resect-strip --verify --quiet <small.onnx | resect-head --labels flowers.txt --verify --quiet | resect-freeze --all-but-head --verify --quiet >flowers.onnx
check 'the pipe made a model' test -s flowers.onnx
status 0 resect-info flowers.onnx
says 'float32 [N, 3]' # the batch keeps its name
check 'its labels are in it' grep -qa tulip flowers.onnx
check 'its history has three lines' test "$(grep -ac '^resect-\(strip\|head\|freeze\)\|resect-new' flowers.onnx)" -ge 3

# Rows of classes in common (what they are, tests/unit/test_edit.c looks at).
resect-head --replace --labels flowers.txt --quiet small.onnx -o old.onnx
printf 'lily\nbunch\nthistle\n' >new.txt
printf 'lily\tdaisy\nbunch\trose,1\n' >map.tsv
status 0 resect-head --replace --labels new.txt --keep map.tsv --from old.onnx --verify old.onnx -o kept.onnx
says 'kept rows for 2 of 3 classes'
resect-head --replace --labels new.txt --keep map.tsv --quiet --no-history old.onnx -o own.onnx
resect-head --replace --labels new.txt --keep map.tsv --from old.onnx --quiet --no-history old.onnx -o same.onnx
same own.onnx same.onnx
resect-strip --to features --quiet old.onnx -o trunk.onnx
printf 'lily\tviolet\n' >bad.tsv
refuses resect-head --replace --labels new.txt --keep bad.tsv old.onnx
says 'bad.tsv:1: the old classifier has no class violet'
printf 'lily daisy\n' >bad.tsv
refuses resect-head --replace --labels new.txt --keep bad.tsv old.onnx
says 'bad.tsv:1'
refuses resect-head --labels new.txt trunk.onnx --keep map.tsv
says '--from'
refuses resect-head --classes 3 old.onnx
says '--replace'
printf 'a\nb\na\n' >twice.txt
refuses resect-head --labels twice.txt trunk.onnx
says 'twice.txt:3: a stands there twice'
refuses resect-head --classes 4 --labels flowers.txt trunk.onnx
says '3 labels'
refuses resect-head --labels missing trunk.onnx
says 'resect-head: missing: No such file' # that file, not the model

# Frozen: for ONNX Runtime, one JSON object; running statistics are never to be trained.
status 0 resect-freeze --for ort flowers.onnx
says '  "fc.bias"'
check 'requires_grad is the classifier alone' test "$(sed -n '/requires_grad/,/]/p' out | grep -c fc)" -eq 2
check 'and nothing else' test "$(sed -n '/requires_grad/,/]/p' out | wc -l)" -eq 4
status 0 resect-freeze --for ort --thaw flowers.onnx
for word in --verify --no-history '--threads 1' '-o none.onnx'; do
        # shellcheck disable=SC2086
        refuses resect-freeze --for ort flowers.onnx $word
        says 'the model is looked at and stays as it is'
done
status 1 sh -c "sed -n '/requires_grad/,/]/p' '$T/out' | grep -q running"
status 0 resect-freeze --thaw flowers.onnx -o thawed.onnx
says 'frozen are now 0'
refuses resect-freeze flowers.onnx
refuses resect-freeze --until layer9 flowers.onnx
says 'layer9'

# Folding and putting back; truncating and dropping.
status 0 resect-fold --bn --verify small.onnx -o folded.onnx
says 'folded 10'
status 0 resect-fold --unfold --verify folded.onnx -o unfolded.onnx
says 'put 10'
refuses resect-fold small.onnx
refuses resect-fold --bn --unfold small.onnx
refuses resect-fold --unfold --samples 5 folded.onnx
says '--samples belongs to --data'
refuses resect-fold --unfold --data missing small.onnx -o x.onnx # though there is nothing to measure
says 'resect-fold: missing: No such file'
refuses resect-truncate --drop layer2.0 small.onnx
says 'these can go: layer1.0, layer1.1, layer2.1'
status 0 resect-truncate --drop layer1.1 --verify small.onnx -o dropped.onnx
status 0 resect-edit --canon --verify dropped.onnx -o canon.onnx
status 0 resect-reset --from layer2 --verify small.onnx -o reset.onnx
resect-reset --from layer2 --quiet --no-history small.onnx -o reset1.onnx
resect-reset --from layer2 --quiet --no-history small.onnx -o reset2.onnx
same reset1.onnx reset2.onnx

# External data: out, checked, moved with its model, and in again: the very bytes.
status 0 resect-pack --out small.data --verify small.onnx --no-history -o packed.onnx
check 'the data begin on a page' test "$(($(stat -c %s small.data) > 4096))" -eq 1
status 0 resect-pack --check packed.onnx
says '0 that belong to no tensor'
LC_ALL=C sed 's/40960/36864/' packed.onnx >overlap.onnx # the second tensor, into the first one's 37632 bytes
status 1 resect-pack --check overlap.onnx
says 'overlap (from byte 36864, 768 of them)'
refuses resect-pack --in overlap.onnx
refuses resect-pack --out small.data small.onnx -o x.onnx
says '--replace'
check 'nothing was written' test ! -e x.onnx
status 0 resect-pack --in --no-history packed.onnx -o whole.onnx
status 0 resect-pack --out again.data --no-history whole.onnx -o repacked.onnx
same small.data again.data
cp packed.onnx late.onnx
printf 'rubbish' >>small.data
status 0 resect-pack --check late.onnx
says '7 that belong to no tensor'
mkdir elsewhere
status 0 resect-freeze --all-but-head packed.onnx -o elsewhere/frozen.onnx
says 'tensors are not beside it: move small.data there'
cp small.data elsewhere
status 0 resect-freeze --all-but-head packed.onnx -o elsewhere/frozen.onnx
check 'now they are' sh -c '! grep -q beside "$1"' sh "$T/err"
head -c 5000 small.data >cut && mv cut small.data
refuses resect-pack --in packed.onnx
status 1 resect-pack --check packed.onnx # a check that says no
says 'wants'
check 'its verdict is its output' grep -q '^small.data: tensor .* wants' "$T/out"
check 'and no trouble' test ! -s "$T/err"
mv small.data gone.data
refuses resect-pack --check packed.onnx # a check that cannot look
says 'small.data: No such file'
refuses resect-pack --check - <packed.onnx
says '--base'
refuses resect-pack small.onnx

# The steps of resect-edit.
status 0 resect-edit --batch 4 --verify small.onnx -o b4.onnx
says 'verified: with 4 pictures'
status 0 resect-edit --batch sym b4.onnx -o sym.onnx
says 'verified: with 1 and 3 pictures'
status 0 resect-edit --extract layer1:layer2 --rename 'maxpool=in' --verify small.onnx -o part.onnx
refuses resect-edit --extract :layre2 small.onnx
refuses resect-edit --size 5,x small.onnx
status 0 resect-edit --size 64 small.onnx -o big.onnx
status 0 resect-edit --softmax --verify small.onnx -o soft.onnx
refuses resect-edit --softmax soft.onnx
status 0 resect-edit --opset 13 --verify small.onnx -o o13.onnx
status 0 resect-edit --channels 1 --preprocess bake --verify small.onnx -o grey.onnx
finish
