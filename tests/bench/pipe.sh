#!/bin/sh
# SPDX-License-Identifier: 0BSD
# What surgery through a pipe costs, against cat: pipe.sh [MODEL.onnx [RUNS]]; the model is a fresh ResNet-101 when none is given. Prints
# the medians of the ratios, run by run, and the peak memory.
#   resect-freeze --all-but-head < MODEL > out           against     cat MODEL | cat > out
#   cat MODEL | resect-freeze --all-but-head > out       against     the same
set -eu
runs=${2:-9}
PATH=${RESECT_BIN:-build/tools}:$PATH
tmp=$(mktemp -d "${TMPDIR:-/tmp}/resect-bench.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
model=${1:-$tmp/resnet101.onnx}
[ $# -gt 0 ] || resect-new resnet101 --quiet -o "$model"

now() { date +%s%N; }
i=0
while [ $i -le "$runs" ]; do # the first round warms the page cache and is not counted
        a=$(now)
        cat "$model" | cat >"$tmp/cat.onnx"
        b=$(now)
        rm "$tmp/cat.onnx"
        c=$(now)
        resect-freeze --all-but-head --quiet <"$model" >"$tmp/out.onnx"
        d=$(now)
        rm "$tmp/out.onnx"
        e=$(now)
        cat "$model" | resect-freeze --all-but-head --quiet >"$tmp/out.onnx"
        f=$(now)
        rm "$tmp/out.onnx"
        if [ $i -gt 0 ]; then
                echo $(((b - a) / 1000)) >>"$tmp/cat"
                echo $(((d - c) / 1000)) >>"$tmp/file"
                echo $(((d - c) * 1000 / (b - a))) >>"$tmp/file.ratio"
                echo $(((f - e) / 1000)) >>"$tmp/pipe"
                echo $(((f - e) * 1000 / (b - a))) >>"$tmp/pipe.ratio"
        fi
        i=$((i + 1))
done
median() { sort -n "$1" | sed -n "$(((runs + 1) / 2))p"; }
size=$(stat -c %s "$model")
peak=$(cat "$model" | /usr/bin/time -f %M resect-freeze --all-but-head --quiet 2>&1 >/dev/null | tail -n 1)
awk -v c="$(median "$tmp/cat")" -v f="$(median "$tmp/file")" -v r="$(median "$tmp/file.ratio")" -v g="$(median "$tmp/pipe")" \
        -v q="$(median "$tmp/pipe.ratio")" -v s="$size" -v p="$peak" 'BEGIN {
        printf "cat | cat                    %7.1f ms\n", c / 1000
        printf "resect-freeze < file         %7.1f ms  ratio %.2f (bar 1.50)\n", f / 1000, r / 1000
        printf "cat | resect-freeze          %7.1f ms  ratio %.2f (bar 1.50)\n", g / 1000, q / 1000
        printf "model %.1f MiB, peak memory through the pipe %.1f MiB: model + %.1f MiB (bar 16)\n", s / 1048576, p / 1024, p / 1024 - s / 1048576
}'
