#!/bin/sh
# SPDX-License-Identifier: 0BSD
# resect-probe from the command line: what it prints, draws and reads back; the cut that it proposes; data that has nothing to judge.
. "$RESECT_SRC/tests/cli/check.sh"
OMP_WAIT_POLICY=passive
export OMP_WAIT_POLICY

mkdir "$T/data"
"$RESECT_BUILD/tests/unit/test_train" make "$T/data" >"$T/made" 2>&1 || skip "no small job: $(cat "$T/made")"
mv "$T/data/small.onnx" "$T/small model.onnx"
M="$T/small model.onnx"
probe() { resect-probe "$M" "$T/data" --val 0.3 "$@"; }

status 0 probe
says "stem"
says "layer1.0"
says "pool"
check "one row is the cut" test "$(grep -c '[ ,] cut$' "$T/out")" -eq 1
says "resect-head --classes 3"
check "one row a depth" test "$(grep -c '^layer[0-9]*\.[0-9]* ' "$T/out")" -eq "$(resect-info --json "$M" | grep -c '"name": "layer[0-9]*\.')"

status 0 probe --json --svg "$T/depth.svg" --html "$T/depth.html"
cp "$T/out" "$T/a.json"
for figure in ranking depths standard_error parameters_share macs_share command linear knn logme chance; do
        says "\"$figure\""
done
check "the drawing is one" grep -q '</svg>' "$T/depth.svg"
check "the page has the drawing" grep -q '</svg>' "$T/depth.html"
check "the page names every depth" test "$(grep -c '>pool<' "$T/depth.html")" -ge 1
check "the model stays as it is" resect-check --quiet "$M"

# The same figures for any number of threads and any batch; another seed deals other folds.
steady() { grep -v _seconds "$1"; }
probe --json --kernels reference --threads 1 >"$T/one.json"
probe --json --kernels reference --threads 3 >"$T/three.json"
steady "$T/one.json" >"$T/one" && steady "$T/three.json" >"$T/three"
same "$T/one" "$T/three"
probe --json --kernels reference --batch 7 >"$T/seven.json"
steady "$T/seven.json" >"$T/seven"
same "$T/one" "$T/seven"
probe --json --kernels reference --seed 5 --folds 3 >"$T/seed.json"
check "--seed and --folds do something" test "$(steady "$T/seed.json" | cksum)" != "$(steady "$T/one.json" | cksum)"

# The command that it prints makes the cut.
command=$(sed -n 's/^ *"command": "\(.*\)"$/\1/p' "$T/a.json")
check "the command runs: $command" sh -c "cd '$T' && $command"
check "and makes a model" resect-check --quiet "$T/cut.onnx"
resect-info --json "$T/cut.onnx" >"$T/cut.json"
check "of as many classes" grep -q '"n_classes": 3' "$T/cut.json"

# Two classes only; one class only; nothing held out; no network; no place to draw.
status 0 probe --classes 0,2
says "2 classes"
refuses probe --classes 1
says "one class"
refuses resect-probe "$M" "$T/data" --val 0
says "held out"
refuses probe --split test
refuses probe --svg "$T/nowhere/x.svg"
refuses probe --folds 1
refuses resect-probe "$M" "$T/nothing"
finish
