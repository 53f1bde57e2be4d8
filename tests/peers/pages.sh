#!/bin/sh
# SPDX-License-Identifier: 0BSD
# The pages of resect-see, resect-shift and resect-probe say what their --json says: tables row for row, every sentence, every probability.
. "$RESECT_SRC/tests/peers/peers.sh"
need numpy
"$RESECT_BUILD/tests/unit/test_adapt" make "$tmp" >"$tmp/made" 2>&1 || skip "no small job: $(cat "$tmp/made")"
cd "$tmp"
resect-tune model.onnx day -o trained.onnx --epochs 3 --batch 16 --lr 0.05 --val 0 --no-augment --kernels reference --quiet
resect-see trained.onnx day --json --quiet -o see.html >see.json || fail 'resect-see'
resect-shift trained.onnx night --source day --json --quiet --html shift.html >shift.json || fail 'resect-shift'
resect-probe trained.onnx day --json --quiet --html probe.html >probe.json || fail 'resect-probe'
"$PYTHON" "$here/pages.py" see shift probe || fail 'a page and its JSON differ'
# That it can fail: a page with one digit changed.
for page in see shift probe; do
        sed -i '/<tbody>/,$ s/\(<td class="num">[-0-9.]*\)[0-4]\([^0-9].*\)/\19\2/' $page.html
        ! "$PYTHON" "$here/pages.py" $page >"$tmp/log" || fail "$page.html with another digit passes"
done
exit $failed
