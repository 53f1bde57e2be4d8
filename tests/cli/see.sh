#!/bin/sh
# SPDX-License-Identifier: 0BSD
# resect-see from the command line: what it writes and where, every option does something, and what cannot be looked at is refused in one
# line.
. "$RESECT_SRC/tests/cli/check.sh"
export OMP_WAIT_POLICY=passive
resect-new resnet18 --classes 3 --size 32 --seed 1 --quiet | resect-truncate --after layer2 --quiet -o "$T/m.onnx"
M=$T/m.onnx
resect-strip --quiet "$M" -o "$T/features.onnx"
resect-strip --to maps --quiet "$M" -o "$T/maps.onnx"
mkdir "$T/data"
"$RESECT_BUILD/tests/unit/test_train" make "$T/data" >"$T/made" 2>&1 || skip "no small job: $(cat "$T/made")"
D="$T/data --input size=32x32 --kernels reference --threads 1"

# A folder: a page, a picture of each thing.
# shellcheck disable=SC2086
status 0 resect-see "$M" $D -o "$T/seen" --pictures 2 --occlude 16 --show 2 --top 3
says 'layer2'
check 'a page' test -s "$T/seen/index.html"
for what in layer1 layer2 stem gradcam-0 occlusion; do
        check "pictures of $what" sh -c "ls '$T/seen' | grep -q -e '-$what.*[.]png'"
done
check 'strips of channels' sh -c "ls '$T/seen' | grep -c channel | grep -qx 6"
for f in "$T"/seen/*.png; do
        check "$f is a PNG" sh -c "head -c 8 '$f' | od -An -tx1 | grep -q '89 50 4e 47 0d 0a 1a 0a'"
done
check 'no scripts, nothing from elsewhere' sh -c "! grep -q -e '<script' -e 'src=\"http' -e 'href=' '$T/seen/index.html'"

# A page alone holds the same pictures; the same bytes every time.
# shellcheck disable=SC2086
status 0 resect-see "$M" $D -o "$T/a.html" --pictures 2 --occlude 16 --show 2 --top 3
same "$T/a.html" "$T/seen/index.html"

# numbers OPTION...: the JSON of two pictures.
numbers() {
        # shellcheck disable=SC2086
        status 0 resect-see "$M" $D --pictures 2 --json "$@"
}
numbers
cp "$T/out" "$T/plain"
says '"selectivity"'
check 'two pictures' test "$(grep -c '"gradcam"' "$T/out")" -eq 2
check 'without --occlude nothing is covered' test "$(grep -c '"occlusion"' "$T/out")" -eq 0
differs() {
        numbers "$@"
        check "$* makes a difference" sh -c "! cmp -s '$T/out' '$T/plain'"
}
differs --layer layer1
says '"layer": "layer1"'
differs --layers layer1.0,layer2
differs --classes 1
check 'the class that was asked for' test "$(grep -c '"output": 1' "$T/out")" -ge 2
differs --occlude 16,8
check 'three by three places' test "$(grep -c '"patch": 16' "$T/out")" -eq "$(grep -c '"stride": 8' "$T/out")"
# shellcheck disable=SC2086
refuses resect-see "$M" $D --occlude 32
says 'a patch of 32 pixels covers all of a picture of 32 x 32'
odd=$(printf '%s/caf\351.onnx' "$T") # no UTF-8
cp "$M" "$odd"
# shellcheck disable=SC2086
status 0 resect-see "$odd" $D --pictures 1 --json
says 'caf\\xe9.onnx"'
differs --top 1
differs --split val --val 0.5
differs --input mean=0,0,0
differs --pictures 1
numbers --batch 7
same "$T/out" "$T/plain"
for option in '--channels 5' '--show 1'; do
        # shellcheck disable=SC2086
        status 0 resect-see "$M" $D -o "$T/b.html" --pictures 2 --occlude 16 --show 2 --top 3 $option
        check "$option makes a difference" sh -c "! cmp -s '$T/a.html' '$T/b.html'"
done

# Features and maps.
# shellcheck disable=SC2086
status 0 resect-see "$T/features.onnx" $D --pictures 1 --json
says 'not in classes: Grad-CAM is left out'
# shellcheck disable=SC2086
status 0 resect-see "$T/features.onnx" $D --pictures 1 --json --feature 3,0
check 'two features' test "$(grep -c '"layer": "the last maps"' "$T/out")" -eq 2
# shellcheck disable=SC2086
status 0 resect-see "$T/maps.onnx" $D --pictures 1 --json
says 'ends in maps'

# Features are values, and resect-run takes them for no classes.
picture=$(find "$T/seen" -name "*-gradcam-0.png" | sort | head -n 1)
status 0 resect-run "$T/features.onnx" "$picture"
check 'the highest features' grep -q '^picture  *value  *feature$' "$T/out"
status 0 resect-run "$T/features.onnx" "$picture" --json
check 'five of them' test "$(grep -c '"feature": ' "$T/out")" -eq 5
check 'and no probability' sh -c "! grep -q probability '$T/out'"

# What cannot be.
refuses resect-see "$T/features.onnx" "$T/data" --classes 1
refuses resect-see "$T/features.onnx" "$T/data" --occlude 8
refuses resect-see "$T/features.onnx" "$T/data" --feature 128
refuses resect-see "$T/maps.onnx" "$T/data" --feature 1
refuses resect-see "$M" "$T/data" --feature 1
refuses resect-see "$M" "$T/data" --layer layer3
says 'layer1 to layer2'
refuses resect-see "$M" "$T/data" --layers pool
refuses resect-see "$M" "$T/data" --classes 3
refuses resect-see "$M" "$T/data" --occlude 0
refuses resect-see "$M" "$T/data" --occlude 8,
refuses resect-see "$M" "$T/data" --occlude 40 --input size=32x32
refuses resect-see "$M" "$T/data" "$T/data"
refuses resect-see "$M" a.jpg --top 3
refuses resect-see "$M" "$T/none.jpg"
refuses resect-see "$M" "$T/data" -o "$T/nowhere/page.html"
finish
