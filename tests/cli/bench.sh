#!/bin/sh
# SPDX-License-Identifier: 0BSD
# What make bench times with: resect_peer answers what it is asked, and its figures are plausible; fma_peak measures something.
. "$RESECT_SRC/tests/cli/check.sh"
peer=$RESECT_BUILD/tests/bench/resect_peer
resect-new resnet18 --classes 2 --size 32 --quiet -o "$T/m.onnx"

# answers N FIELDS: line N of the output is so many positive numbers.
answers() {
        sed -n "$1p" "$T/out" | awk -v n="$2" '{ for (i = 1; i <= NF; i++) if (!($i > 0)) exit 1; ok = NF == n } END { exit !ok }'
}

# ask JOB...: warmed up, two runs, three runs, the multiply-adds, the memory.
ask() {
        printf 'go 2\ngo 3\nmacs\npeak\n' >"$T/orders"
        status 0 "$peer" "$@" <"$T/orders"
        check "$1: ready" grep -q '^ready resect .* '"$1" "$T/out"
        check "$1: two runs" answers 2 2
        check "$1: three runs" answers 3 3
        check "$1: multiply-adds" answers 4 2
        check "$1: memory" answers 5 1
        check "$1: nothing else" test "$(wc -l <"$T/out")" -eq 5
}
ask forward "$T/m.onnx" auto f32 2 32 1
macs=$(resect-info --json "$T/m.onnx" | sed -n 's/^ *"macs": \([0-9]*\),*$/\1/p' | head -n 1)
check "the multiply-adds are resect-info's, $macs" grep -q "^$macs " "$T/out"

# Four pictures of 32 x 32 in two classes, as IDX.
mkdir "$T/data"
{
        printf '\000\000\010\003\000\000\000\004\000\000\000\040\000\000\000\040'
        seq 1 1200 | tr -d '\n' | head -c 4096 | cat - "$T/m.onnx" | head -c 4096
} >"$T/data/train-images-idx3-ubyte"
printf '\000\000\010\001\000\000\000\004\000\001\000\001' >"$T/data/train-labels-idx1-ubyte"
ask train "$T/m.onnx" auto f32 2 32 1 "$T/data/train-images-idx3-ubyte"

status 2 "$peer" forward "$T/m.onnx" auto f31 2 32 1
says 'f31 is not to be had'

# The peers in Python answer with one loop.
if command -v python3 >/dev/null; then
        for one in ort torch; do
                check "$one has no loop of its own" grep -q '^ *peer.answer(' "$RESECT_SRC/tests/bench/${one}_peer.py"
        done
        printf 'go 2\ngo 3\npeak\n' |
                PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$RESECT_SRC/tests/bench python3 -c 'import peer, sys
def run(): print("run", file=sys.stderr)
peer.answer(("a", "b"), run, 2, 4)' >"$T/out" 2>"$T/err"
        check "Python: ready" grep -q '^ready a b$' "$T/out"
        check "Python: two runs" answers 2 2
        check "Python: three runs" answers 3 3
        check "Python: memory" answers 4 1
        check "Python: four runs that are not timed, and five" test "$(grep -c run "$T/err")" -eq 9
fi

status 0 "$RESECT_BUILD/tests/bench/fma_peak" 1 0.01
check 'a peak in float' grep -q '"gflops_f32": \(0\.0*\)\{0,1\}[1-9]' "$T/out"
check 'a bandwidth' grep -q '"triad_gb_per_second": \(0\.0*\)\{0,1\}[1-9]' "$T/out"
finish
