#!/bin/sh
# SPDX-License-Identifier: 0BSD
# resect-cast on a network that was trained: rounding as NumPy's, ranges as NumPy's, ONNX's checker content, ONNX Runtime's outputs
# those of the executor, and the accuracy that is left.
. "$RESECT_SRC/tests/peers/peers.sh"
need numpy ort real
"$PYTHON" -c 'import onnx' 2>/dev/null || skip "$PYTHON has no onnx (apt-get install python3-onnx)"

data=$REAL/pictures/cifar10-136.npz
cast() { "$PYTHON" "$here/cast.py" "$@" || fail "cast.py $*"; }
"$PYTHON" - "$data" "$tmp" <<'P'
import sys, numpy
d = numpy.load(sys.argv[1])
numpy.save(sys.argv[2] + "/x.npy", d["x"][:32].astype("f4"))
numpy.savez(sys.argv[2] + "/few.npz", x=d["x"][:32], y=d["y"][:32])
P
resect-edit --opset 17 --batch sym --quiet "$REAL/models/resnet20-cifar10.onnx" -o "$tmp/a.onnx"
resect-fold --bn --quiet "$tmp/a.onnx" -o "$tmp/f.onnx"
resect-edit --opset 22 --quiet "$tmp/f.onnx" -o "$tmp/f22.onnx"

# both WHAT RTOL [LEVEL]: ONNX Runtime and the executor agree on the model WHAT.
both() {
        resect-run "$tmp/$1.onnx" "$tmp/x.npy" --quiet -o "$tmp/ours.npy" && ort "$tmp/$1.onnx" "$tmp/x.npy" "$tmp/ort.npy" '' "${3:-all}" ||
                fail "$1 does not run"
        printf '%s %s: ' "$1" "${3:-}"
        close "$tmp/ours.npy" "$tmp/ort.npy" "$2" || fail "$1: ONNX Runtime computes something else"
}
# top1 WHAT LEAST MOST: correct among the 136.
top1() {
        n=$(resect-eval --json --split all --quiet "$tmp/$1.onnx" "$data" | "$PYTHON" -c 'import json, sys; print(round(136 * json.load(sys.stdin)["top1"]["value"]))')
        echo "$1: $n of 136 correct"
        [ "$n" -ge "$2" ] && [ "$n" -le "$3" ] || fail "$1: accuracy"
}

cast schema "$RESECT_SRC/lib/edit/opset_types.c"
top1 a 126 126

resect-cast --to fp16 --quiet --no-report "$tmp/a.onnx" -o "$tmp/half.onnx"
cast half "$tmp/a.onnx" "$tmp/half.onnx"
both half 1e-2 # ONNX Runtime computes in float32 between some of the nodes
top1 half 125 127
resect-cast --to fp32 --quiet --no-report "$tmp/half.onnx" -o "$tmp/back.onnx"
cast back "$tmp/a.onnx" "$tmp/back.onnx"
both back 1e-5
resect-cast --to bf16 --weights-only --quiet --no-report "$tmp/a.onnx" -o "$tmp/stored.onnx"
cast bfloat "$tmp/a.onnx" "$tmp/stored.onnx"
both stored 1e-5
resect-cast --to fp16 --weights-only --quiet --no-report "$tmp/a.onnx" -o "$tmp/stored16.onnx"
cast half "$tmp/a.onnx" "$tmp/stored16.onnx"
both stored16 1e-5
resect-cast --to bf16 --quiet --no-report "$tmp/f22.onnx" -o "$tmp/brain.onnx"
top1 brain 123 128

for p in 100 99; do
        resect-cast --to int8 --calibrate "$tmp/few.npz" --percentile $p --quiet --no-report "$tmp/f.onnx" -o "$tmp/int8.onnx"
        [ $p -lt 100 ] || resect-run "$tmp/f.onnx" "$tmp/x.npy" --quiet --dump "*=$tmp/values" -o "$tmp/y.npy"
        cp "$tmp/x.npy" "$tmp/values/input.1.npy"
        cast int8 "$tmp/f.onnx" "$tmp/int8.onnx" "$tmp/values" $p
        [ $p -eq 100 ] || continue
        # sums of floats differ in their last bit, so that a tie may fall to the other side and a step be carried on
        both int8 2e-2 disabled
        # layer by layer, each from the same bytes, so that none is carried on
        mkdir "$tmp/ours" "$tmp/theirs"
        resect-run "$tmp/int8.onnx" "$tmp/x.npy" --quiet --dump "*_quantized=$tmp/given" -o "$tmp/y.npy"
        cp "$tmp/x.npy" "$tmp/given/input.1.npy"
        cast apart "$tmp/int8.onnx" "$tmp/apart.onnx" "$tmp/given"
        set --
        for f in "$tmp"/given/*.npy; do
                set -- "$@" "$(basename "$f" .npy)=$f"
        done
        resect-run "$tmp/apart.onnx" "$@" --quiet --dump "*_made=$tmp/ours" >"$tmp/out" || fail 'the pieces do not run'
        ort "$tmp/apart.onnx" "$tmp/given" "$tmp/theirs" '*' disabled || fail 'nor in ONNX Runtime'
        cast steps "$tmp/ours" "$tmp/theirs"
        both int8 2e-2
        top1 int8 123 128
done
exit $failed
