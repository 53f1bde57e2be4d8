#!/bin/sh
# SPDX-License-Identifier: 0BSD
# Every edit on PyTorch's exports of a ResNet-18: the result passes onnx.checker, and ONNX Runtime computes with it what PyTorch says it
# should.
. "$RESECT_SRC/tests/peers/peers.sh"
need torch ort

# edit WHAT IN EXPECTED WORDS...: runs resect-WORDS on IN, runs the result, and notes what it must be.
edit() {
        what=$1 in=$2 want=$3 tool=$4
        shift 4
        if ! "resect-$tool" "$@" --verify --quiet "$dir/$in.onnx" -o "$dir/$what.onnx"; then
                fail "$form: resect-$tool $*"
                return
        fi
        run "$what" "${input:-x}" "$want"
}
run() {
        if ort "$dir/$1.onnx" "$dir/$2.npy" "$dir/out-$1.npy"; then
                echo "$dir/$1.onnx $dir/out-$1.npy $3" >>"$dir/list"
        else
                fail "$form: ONNX Runtime does not run $1"
        fi
}

for form in eval kept; do
        dir=$tmp/$form
        mkdir "$dir"
        "$PYTHON" "$here/edits.py" make $form "$dir" 2>/dev/null
        edit strip model features strip
        edit maps model maps strip --to maps
        edit head strip head:features head --classes 5
        edit pooled maps head:features head --classes 4 --seed 3
        edit replace model head:features head --classes 6 --replace
        edit after model head:pooled2 truncate --after layer2
        edit dropped model dropped truncate --drop layer4.1,layer1.1
        edit frozen model logits freeze --until layer3
        edit canon model logits edit --canon
        edit canon-dropped dropped dropped edit --canon
        edit layer1 model layer1 edit --extract :layer1
        edit softmax model softmax edit --softmax
        input=bgr edit bgr model logits edit --bgr
        input=pixels edit baked model baked edit --preprocess bake --input 'mean=0.5,0.5,0.5 std=0.25,0.25,0.25'
        edit opset13 model logits edit --opset 13
        edit opset9 model logits edit --opset 9
        edit opset21 fixed logits edit --opset 21 --batch sym
        edit batch2 fixed logits edit --batch 2
        edit packed model logits pack --out "$dir/packed.data" --threshold 100
        edit whole packed logits pack --in
        resect-fold --bn --quiet "$dir/training.onnx" >/dev/null 2>&1 && fail "$form: folded a norm in training mode"
        if resect-fold --eval --bn --verify --quiet "$dir/training.onnx" -o "$dir/evaluated.onnx"; then
                run evaluated x evaluated
        else
                fail "$form: resect-fold --eval --bn"
        fi
        if [ $form = kept ]; then
                edit folded model logits fold --bn
                edit folded-unfolded folded logits fold --unfold
        else
                edit unfolded model logits fold --unfold
                edit unfolded-folded unfolded logits fold --bn
        fi
        "$PYTHON" "$here/edits.py" check "$dir" "$dir/list" || fail "$form: see above"
        for kept in frozen strip dropped softmax; do
                printf '%s: untouched payloads of %s: ' $form $kept
                "$PYTHON" "$here/edits.py" same "$dir/model.onnx" "$dir/$kept.onnx" || fail "$form: $kept changed tensors"
        done
        if [ $form = kept ]; then
                printf 'canonical names: '
                "$PYTHON" "$here/edits.py" names "$dir/canon.onnx" "$dir" || fail 'canonical names'
        fi
        rm -r "$dir"
done

for case in resnet18:v1.5 resnet50:v1.5 resnet50:v1; do
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
