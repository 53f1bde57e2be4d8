#!/bin/sh
# SPDX-License-Identifier: 0BSD
# Every edit on PyTorch's exports of a ResNet-18, and the surgeries on those of a ResNet-101: the result passes onnx.checker, and ONNX
# Runtime computes with it what PyTorch says it should.
. "$RESECT_SRC/tests/peers/peers.sh"
need torch ort

# edit WHAT IN EXPECTED WORDS...: runs resect-WORDS on IN, runs the result, and notes what it must be; $version, when set, is the
# opset that it must be of. (Standard output is not synced to the disk as a file is: with so many models that is minutes.)
edit() {
        what=$1 in=$2 want=$3 tool=$4
        shift 4
        if ! "resect-$tool" "$@" --verify --quiet "$dir/$in.onnx" >"$dir/$what.onnx"; then
                fail "$name $form: resect-$tool $*"
                return
        fi
        run "$what" "${input:-x}" "$want"
}
run() {
        if ort "$dir/$1.onnx" "$dir/$2.npy" "$dir/out-$1.npy"; then
                echo "$dir/$1.onnx $dir/out-$1.npy $3 $version" >>"$dir/list"
        else
                fail "$name $form: ONNX Runtime does not run $1"
        fi
}

# judge: what was run so far is looked at, and what nothing more is made of goes away: a ResNet-101 is large.
judge() {
        "$PYTHON" "$here/edits.py" check "$dir" "$dir/list" || fail "$name $form: see above"
        for gone in $(sed 's/.*out-\([^ ]*\)\.npy .*/\1/' "$dir/list"); do
                case $gone in strip | maps | dropped | folded | unfolded | opset7 | opset21) ;; *) rm "$dir/$gone.onnx" ;; esac
        done
        : >"$dir/list"
}

# What every network goes through. $after and $drop are parts that it has.
surgery() {
        edit strip model features strip
        edit head strip head:features head --classes 5
        edit after model head:after truncate --after $after
        edit dropped model dropped truncate --drop $drop
        judge
        edit frozen model logits freeze --until layer3
        edit canon model logits edit --canon
        if [ $form = kept ]; then
                printf 'canonical names: '
                "$PYTHON" "$here/edits.py" names "$dir/canon.onnx" "$dir" || fail 'canonical names'
        fi
        edit packed model logits pack --out "$dir/packed.data" --threshold 100
        edit whole packed logits pack --in
        judge
        if [ $form = kept ]; then
                edit folded model logits fold --bn
                edit folded-unfolded folded logits fold --unfold
        else
                edit unfolded model logits fold --unfold
                edit unfolded-folded unfolded logits fold --bn
        fi
        judge
}

# What does not depend on the network's depth.
rewrites() {
        edit maps model maps strip --to maps
        edit pooled maps head:features head --classes 4 --seed 3
        edit replace model head:features head --classes 6 --replace
        edit canon-dropped dropped dropped edit --canon
        edit layer1 model layer1 edit --extract :layer1
        edit softmax model softmax edit --softmax
        input=bgr edit bgr model logits edit --bgr
        input=pixels edit baked model baked edit --preprocess bake --input 'mean=0.5,0.5,0.5 std=0.25,0.25,0.25'
        edit batch2 fixed logits edit --batch 2
        resect-fold --bn --quiet "$dir/training.onnx" >/dev/null 2>&1 && fail "$form: folded a norm in training mode"
        if resect-fold --eval --bn --verify --quiet "$dir/training.onnx" -o "$dir/evaluated.onnx"; then
                run evaluated x evaluated
        else
                fail "$form: resect-fold --eval --bn"
        fi
        judge
}

# Every version of the operators, down and up, and all the way back.
versions() {
        for version in 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21; do
                edit opset$version model logits edit --opset $version
                edit from11-$version fixed logits edit --batch sym --opset $version
                [ $((version % 5)) -ne 1 ] || judge
        done
        version=17
        edit back7 opset7 logits edit --opset $version
        edit back21 opset21 logits edit --opset $version
        judge
        version=
}

version=
for case in resnet18:eval resnet18:kept resnet101:eval resnet101:kept; do
        name=${case%:*} form=${case#*:} dir=$tmp/$case
        case $name in
        resnet18) after=layer2 drop=layer4.1,layer1.1 ;;
        resnet101) after=layer3.10 drop=layer3.7,layer3.12 ;;
        esac
        start=$(date +%s)
        mkdir "$dir"
        "$PYTHON" "$here/edits.py" make $name $form $after $drop "$dir" 2>/dev/null
        surgery
        [ $name != resnet18 ] || rewrites
        [ $case != resnet18:kept ] || versions
        echo "$case: $(($(date +%s) - start)) s"
        rm -r "$dir"
done

for case in resnet18:v1.5 resnet50:v1.5 resnet50:v1 resnext50_32x4d:v1.5 wide_resnet50_2:v1.5; do
        name=${case%:*} variant=${case#*:}
        dir=$tmp/new
        mkdir "$dir"
        resect-new "$name" --classes 7 --size 64 --variant "$variant" --quiet -o "$dir/new.onnx"
        "$PYTHON" "$here/edits.py" fresh "$name" "$variant" "$dir" || fail "resect-new $name is not torchvision's"
        ort "$dir/filled.onnx" "$dir/x.npy" "$dir/out.npy" || fail "ONNX Runtime does not run resect-new $name"
        printf '%s %s with torchvision weights: ' "$name" "$variant"
        close "$dir/out.npy" "$dir/y.npy" || fail "resect-new $name $variant differs from torchvision"
        rm -r "$dir"
done

# A real network: its BatchNormalization folded away, put back, and measured on real pictures.
if [ -d "$REAL/models" ]; then
        cp "$REAL/models/resnet20-cifar10.onnx" "$tmp/real.onnx"
        resect-edit --batch sym --quiet "$tmp/real.onnx" -o "$tmp/open.onnx" || fail 'real: --batch sym'
        resect-fold --bn --verify --quiet "$tmp/open.onnx" -o "$tmp/folded.onnx" || fail 'real: --bn'
        resect-fold --unfold --data "$REAL/pictures/cifar10-136.npz" --samples 136 --verify "$tmp/folded.onnx" -o "$tmp/unfolded.onnx" ||
                fail 'real: --unfold --data'
        "$PYTHON" -c 'import sys, numpy as np; np.save(sys.argv[2], np.load(sys.argv[1])["input"])' \
                "$REAL/models/resnet20-cifar10.io.npz" "$tmp/in.npy"
        for what in open folded unfolded; do
                ort "$tmp/$what.onnx" "$tmp/in.npy" "$tmp/out.npy" || fail "ONNX Runtime does not run the real $what"
                printf 'real resnet20 %s: ' $what
                close "$tmp/out.npy" "$REAL/models/resnet20-cifar10.io.npz:logits" || fail "real $what differs"
        done
        "$PYTHON" "$here/edits.py" statistics "$tmp/real.onnx" "$tmp/unfolded.onnx" || fail 'real: the measured statistics'
else
        echo "no real models at $REAL: that part is left out"
fi
exit $failed
