#!/bin/sh
# SPDX-License-Identifier: 0BSD
# resect-convert at the command line: what it says of weights, what it refuses, what it leaves when it refuses; files and pipes.
. "$RESECT_SRC/tests/cli/check.sh"

# net NAME OPTIONS...: a model whose stages after the second are cut off.
net() {
        name=$1
        shift
        resect-new --quiet --size 64 --classes 5 "$@" | resect-truncate --quiet --after layer2 -o "$T/$name.onnx"
}
net small resnet18
net other resnet18 --seed 9
net v1 resnet50 --variant v1
net v15 resnet50
net v2 resnet50 --variant v2
net narrow resnet18 --seed 3
resect-head --quiet --classes 3 --replace "$T/narrow.onnx" -o "$T/three.onnx"
check 'models to work on' test -s "$T/v2.onnx" -a -s "$T/three.onnx"

# equal A B: the same weights.
equal() {
        status 0 resect-diff --rtol 0 --atol 0 "$1" "$2"
}

# The lists.
status 0 resect-convert --names
for word in safetensors npz npy onnx torchvision timm hf; do
        says "$word"
done
status 2 resect-convert
says 'say --to FORMAT or --into MODEL'
refuses resect-convert --into "$T/small.onnx"
refuses resect-convert --to nothing "$T/small.onnx" -o "$T/x"
says "no format called 'nothing'"
for format in keras tf-v1; do
        refuses resect-convert --to $format "$T/small.onnx" -o "$T/x"
        says "$format can be read, but not written"
done
refuses resect-convert --to npz:nobody "$T/small.onnx" -o "$T/x"
says "no names called 'nobody'"
refuses resect-convert --weights "$T/small.onnx" --to npz "$T/small.onnx" -o "$T/x"
refuses resect-convert --to npy "$T/small.onnx"
says 'more than one file'

# Out and back, every format that both writes and reads.
resect-convert --names | sed '/^$/q' | awk '$2 == "yes" && $3 == "yes" && $1 != "onnx" { print $1, $4 ~ /^\./ ? $4 : "" }' >"$T/formats"
check 'formats were found' test "$(wc -l <"$T/formats")" -ge 3
while read -r format suffix; do
        case $format in # these hold their own framework's tensors alone: tests/unit/test_convert has them
        caffe | mxnet | ncnn) continue ;;
        esac
        status 0 resect-convert --to "$format:torchvision" "$T/small.onnx" -o "$T/$format$suffix"
        says '0 unmatched'
        says 'compared'
        status 0 resect-convert --list "$T/$format$suffix"
        says "format   $format"
        says 'layer2.1.conv2.weight'
        status 0 resect-convert --json --list "$T/$format$suffix"
        status 0 resect-convert --weights "$T/$format$suffix" --into "$T/other.onnx" --variant-from model -o "$T/back.onnx"
        says '0 missing'
        equal "$T/back.onnx" "$T/small.onnx"
        rm -rf "${T:?}/$format$suffix"
done <"$T/formats"

# Through pipes, and from an ONNX model, whatever its tensors are called.
resect-convert --quiet --to safetensors <"$T/small.onnx" | resect-convert --quiet --weights - --into "$T/other.onnx" >"$T/back.onnx"
equal "$T/back.onnx" "$T/small.onnx"
status 0 resect-convert --weights "$T/small.onnx" --into "$T/other.onnx" --verify -o "$T/back.onnx"
says 'outputs differ by 0'
equal "$T/back.onnx" "$T/small.onnx"
check 'history tells' sh -c "resect-info '$T/back.onnx' | grep -q 'resect-convert'"

# Whole networks get a graph made for them; a folded one, too.
resect-new --quiet resnet18 --classes 4 -o "$T/full.onnx"
status 0 resect-convert --to npz -o "$T/full.npz" "$T/full.onnx"
status 0 resect-convert --weights "$T/full.npz" --into new -o "$T/made.onnx"
equal "$T/made.onnx" "$T/full.onnx"
check 'preprocessing is recorded' sh -c "resect-info --json '$T/made.onnx' | grep -q '0.485'"
resect-fold --quiet --bn "$T/full.onnx" -o "$T/folded.onnx"
status 0 resect-convert --to npz -o "$T/unfolded.npz" "$T/folded.onnx"
says 'is folded into'
says 'outputs differ'
status 0 resect-convert --weights "$T/full.npz" --into "$T/folded.onnx" -o "$T/made.onnx"
says 'everything folded in'
status 0 resect-diff --rtol 1e-4 --atol 1e-4 "$T/made.onnx" "$T/folded.onnx"

# Networks of other kinds: what resect-new makes is known again by its weights alone, and made again.
same_again() {
        format=$1 names=$2
        shift 2
        resect-new --quiet "$@" -o "$T/kind.onnx" --force
        status 0 resect-convert --to "$format:$names" --force -o "$T/kind.$format" "$T/kind.onnx"
        status 0 resect-convert --weights "$T/kind.$format" --into new --force -o "$T/made.onnx"
        equal "$T/made.onnx" "$T/kind.onnx"
        status 0 resect-convert --weights "$T/kind.onnx" --into "$T/made.onnx" --force --verify -o "$T/again.onnx"
        says 'outputs differ by 0'
}
same_again npz torchvision resnet20
same_again safetensors hf resnet32 --shortcut pad --classes 7
same_again npz torchvision resnet18 --stem small --size 32 --blocks 1,1,2 --width 24 --classes 3
same_again npz timm resnet18d --classes 3 --blocks 1,1,1,1
same_again npz timm resnet50s --classes 3 --blocks 1,1 --variant v1.5
same_again npz timm-v2 resnet50 --classes 3 --blocks 1,2 --variant v2
same_again npz torchvision resnext50_32x4d --classes 3 --blocks 1,1
same_again npz torchvision wide_resnet50_2 --classes 3 --blocks 1,1
status 0 resect-convert --weights "$T/three.onnx" --into new -o "$T/made.onnx" --force --verify
says 'outputs differ by 0'
status 0 resect-convert --to npy -o "$T/odd" "$T/full.onnx"
rm "$T"/odd/layer2.0.downsample.*
refuses resect-convert --weights "$T/odd" --into new -o "$T/no.onnx"
says 'no graph is made for a resnet18 with Convs in some of its shortcuts alone'
rm -r "$T/odd"

# ncnn calls its tensors by its own names, whether or not it is asked to.
status 0 resect-convert --to ncnn:ncnn "$T/small.onnx" -o "$T/own.param"
says 'compared, bit for bit'
refuses resect-convert --to ncnn:ncnn-v2 "$T/small.onnx" -o "$T/x.param"
says 'ncnn-v2 names the tensors of pre-activation (v2) networks; this one is v1'

# Something missing, something too many: status 1 and no output, unless --partial.
status 0 resect-convert --to npy -o "$T/w" "$T/small.onnx"
status 2 resect-convert --to npy -o "$T/w" "$T/small.onnx"
mv "$T/w/layer1.0.bn1.bias.npy" "$T/gone.npy"
cp "$T/gone.npy" "$T/w/stranger.npy"
rm "$T/w/layer2.0.conv2.weight.npy"
rm -f "$T/back.onnx"
status 1 resect-convert --weights "$T/w" --into "$T/other.onnx" -o "$T/back.onnx"
says 'stranger unmatched'
says 'result: layer2.0.conv2.weight missing'
says 'result: layer1.0.bn1.bias missing'
says 'nothing was written'
check 'no output when something is missing' test ! -e "$T/back.onnx"
status 0 resect-convert --weights "$T/w" --into "$T/other.onnx" -o "$T/back.onnx" --partial
check 'output with --partial' test -s "$T/back.onnx"
status 1 resect-convert --weights "$T/w" --into "$T/other.onnx" --json -o "$T/none.onnx"
says '"unmatched": '
rm -r "$T/w"

# Another number of classes: the model keeps its own classifier.
status 0 resect-convert --weights "$T/small.onnx" --into "$T/three.onnx" -o "$T/back.onnx"
says "the model's own is kept"
says 'classifier of 5 classes'
resect-strip --quiet "$T/back.onnx" -o "$T/a.onnx"
resect-strip --quiet "$T/small.onnx" -o "$T/b.onnx"
equal "$T/a.onnx" "$T/b.onnx"
status 0 resect-convert --weights "$T/a.onnx" --into "$T/three.onnx" -o "$T/back.onnx"
says 'has no classifier'

# Weights that fit a network which computes something else.
refuses resect-convert --weights "$T/v1.onnx" --into "$T/v15.onnx" -o "$T/no.onnx"
says 'stride on conv1 (v1)'
says '--variant-from'
check 'nothing was written' test ! -e "$T/no.onnx"
status 0 resect-convert --weights "$T/v1.onnx" --into "$T/v15.onnx" --variant-from weights --verify -o "$T/moved.onnx"
says 'outputs differ by 0'
status 0 resect-check "$T/moved.onnx"
check 'the strides moved' sh -c "resect-info '$T/moved.onnx' | grep -q ' v1$'"
refuses resect-convert --to npz:torchvision "$T/v1.onnx" -o "$T/no.npz"
status 0 resect-convert --to npz:torchvision "$T/v1.onnx" -o "$T/yes.npz" --variant-from model

# PaddleClas's ResNet18 has a Conv in the shortcut of every stage's first block, also where nothing changes
resect-new resnet18 --shortcut-first --blocks 1,2 --classes 3 --size 32 --seed 2 --quiet -o "$T/first.onnx"
status 0 resect-check "$T/first.onnx"
status 0 resect-convert --to paddle:paddleclas "$T/first.onnx" -o "$T/first.pdparams"
status 0 resect-convert --weights "$T/first.pdparams" --into new -o "$T/again.onnx"
check 'the Conv is there' sh -c "resect-convert --list '$T/again.onnx' | grep -q '^layer1.0.downsample.0.weight .* 64x64x1x1'"
check 'it computes the same' sh -c "resect-diff '$T/first.onnx' '$T/again.onnx' | grep -q ' 0 beyond the tolerance'"
status 2 resect-new resnet20 --shortcut pad --shortcut-first -o "$T/no.onnx"
says 'shortcut-first'
resect-new resnet18 --blocks 1,2 --classes 3 --size 32 --seed 2 --quiet -o "$T/identity.onnx"
status 0 resect-convert --to paddle:paddleclas "$T/identity.onnx" -o "$T/identity.pdparams"
says "a Conv in the first block's shortcut, this one has none"

# PaddleClas's vd has its pools in the shortcuts under the names of networks without: they are made, and never forgotten
for kind in c d; do
        resect-new resnet18$kind --blocks 1,1 --classes 3 --size 32 --seed 2 --quiet -o "$T/deep$kind.onnx"
done
status 0 resect-convert --to paddle:paddleclas "$T/deepd.onnx" -o "$T/vd.pdparams"
status 0 resect-convert --weights "$T/vd.pdparams" --into new -o "$T/vd.onnx"
check 'the pools are there' sh -c "resect-diff '$T/deepd.onnx' '$T/vd.onnx' | grep -q ' 0 beyond the tolerance'"
status 2 resect-convert --weights "$T/vd.pdparams" --into "$T/deepc.onnx" -o "$T/no.onnx"
says 'shortcuts with a pool'
status 2 resect-convert --weights "$T/vd.pdparams" --into "$T/deepc.onnx" --variant-from weights -o "$T/no.onnx"
says 'pools'
status 2 resect-convert --to paddle:paddleclas "$T/deepc.onnx" -o "$T/no.pdparams"
says 'shortcuts with a pool'
check 'nothing is written' test ! -e "$T/no.pdparams"
refuses resect-convert --weights "$T/v2.onnx" --into "$T/v15.onnx" -o "$T/no.onnx"
says 'another network'
refuses resect-convert --weights "$T/small.onnx" --into "$T/v15.onnx" -o "$T/no.onnx"
refuses resect-convert --to npz:torchvision "$T/v2.onnx" -o "$T/no.npz"
status 0 resect-convert --to npz "$T/v2.onnx" -o "$T/v2.npz"
status 0 resect-convert --list "$T/v2.npz"
says 'stages.0.blocks.0.norm1.weight'

# Other types, with what it costs.
status 0 resect-convert --to safetensors --dtype bfloat16 "$T/small.onnx" -o "$T/half.safetensors"
says 'rounded: by'
status 0 resect-convert --list "$T/half.safetensors"
says bfloat16
status 0 resect-convert --weights "$T/half.safetensors" --into "$T/small.onnx" -o "$T/back.onnx"
status 0 resect-convert --to npz --dtype float16 "$T/small.onnx" -o "$T/half.npz"
rounded() { resect-convert --to "$@" --dtype float16 "$T/small.onnx" -o "$T/rounded" 2>&1 | sed -n 's/.* \([0-9]*\) tensors rounded.*/\1/p'; }
n=$(rounded npz)
check 'variances that another epsilon changes are rounded, too' test "$n" -gt 9 -a "$n" = "$(rounded h5 --variant-from model)"
refuses resect-convert --to npz --dtype bfloat16 "$T/small.onnx" -o "$T/no.npz"
says 'NumPy has no type for bfloat16'
check 'nothing is left of it' test ! -e "$T/no.npz"

# One file as another: names stay, unless asked for others.
status 0 resect-convert --weights "$T/full.npz" --to safetensors -o "$T/full.safetensors"
status 0 resect-convert --weights "$T/full.npz" --to safetensors:hf -o "$T/hf.safetensors"
status 0 resect-convert --list "$T/hf.safetensors"
says 'resnet.encoder.stages.1.layers.0.layer.0.convolution.weight'
says 'names    hf'
status 0 resect-convert --weights "$T/hf.safetensors" --into "$T/folded.onnx" -o "$T/back.onnx"
status 0 resect-diff --rtol 1e-4 --atol 1e-4 "$T/back.onnx" "$T/folded.onnx"

# Names that nobody knows: they can be listed and re-packed, not put anywhere.
mkdir "$T/unknown"
cp "$T/gone.npy" "$T/unknown/something.npy"
status 0 resect-convert --list "$T/unknown"
says 'not recognised'
status 0 resect-convert --weights "$T/unknown" --to safetensors -o "$T/unknown.safetensors"
refuses resect-convert --weights "$T/unknown" --into "$T/small.onnx" -o "$T/no.onnx"
refuses resect-convert --weights "$T/unknown" --to npz:torchvision -o "$T/no.npz"

# What cannot be read back does not stay, not one file of it.
status 0 resect-convert --to safetensors --dtype float16 "$T/full.onnx" -o "$T/half.safetensors"
size=$(($(wc -c <"$T/half.safetensors") * 3 / 2))
mkdir "$T/gone"
for format in safetensors npz tf; do
        status 2 resect-convert --weights "$T/half.safetensors" --to "$format:torchvision" --dtype float32 --max-size "$size" -o "$T/gone/x"
        says 'nothing is left'
        check "$format leaves nothing" test -z "$(ls "$T/gone")"
done

# Where the output cannot go, and input that is none.
status 2 resect-convert --quiet --to safetensors "$T/small.onnx" -o /dev/full
status 2 resect-convert --quiet --to safetensors "$T/small.onnx" -o "$T/missing/x.safetensors"
for bad in /dev/null "$T/missing" "$T/formats"; do
        refuses resect-convert --list "$bad"
        refuses resect-convert --weights "$bad" --into "$T/small.onnx" -o "$T/no.onnx"
done
head -c 5000 "$T/full.safetensors" >"$T/cut.safetensors"
refuses resect-convert --list "$T/cut.safetensors"
says 'inside its header'
head -c 5000000 "$T/full.safetensors" >"$T/cut.safetensors"
refuses resect-convert --list - <"$T/cut.safetensors"
refuses resect-convert --list - --max-size 3M <"$T/full.safetensors"
status 0 resect-convert --list - --max-size 1G <"$T/full.safetensors"

# An option that nothing would come of.
refuses resect-convert --list "$T/full.safetensors" --dtype float16
says '--list has no use for --dtype'
refuses resect-convert --list "$T/full.safetensors" "$T/small.onnx"
refuses resect-convert --names --json
says '--names has no use for --json'
refuses resect-convert --to npz --from-names hf "$T/small.onnx" -o "$T/no.npz"
says '--from-names belongs to --weights'
refuses resect-convert --into "$T/small.onnx"
says '--into belongs to --weights'
check 'nothing is left of what was refused' test -z "$(find "$T" -name 'no.*')"
finish
