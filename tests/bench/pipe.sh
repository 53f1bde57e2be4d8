#!/bin/sh
# SPDX-License-Identifier: 0BSD
# What surgery through a pipe costs, against cat: pipe.sh MODEL.onnx [RUNS]. Prints the ratio of medians and the peak memory.
#   cat MODEL | resect-freeze --all-but-head > out     against     cat MODEL | cat > out
set -eu
model=${1:?usage: pipe.sh MODEL.onnx [RUNS]}
runs=${2:-9}
PATH=${RESECT_BIN:-build/tools}:$PATH
tmp=$(mktemp -d "${TMPDIR:-/tmp}/resect-bench.XXXXXX")
trap 'rm -rf "$tmp"' EXIT

now() { date +%s%N; }
i=0
while [ $i -le "$runs" ]; do # the first round warms the page cache and is not counted
        a=$(now)
        cat "$model" | cat >"$tmp/cat.onnx"
        b=$(now)
        rm "$tmp/cat.onnx"
        c=$(now)
        cat "$model" | resect-freeze --all-but-head >"$tmp/out.onnx"
        d=$(now)
        rm "$tmp/out.onnx"
        if [ $i -gt 0 ]; then
                echo $(((b - a) / 1000)) >>"$tmp/cat"
                echo $(((d - c) / 1000)) >>"$tmp/freeze"
                echo $(((d - c) * 1000 / (b - a))) >>"$tmp/ratio"
        fi
        i=$((i + 1))
done
median() { sort -n "$1" | sed -n "$(((runs + 1) / 2))p"; }
size=$(stat -c %s "$model")
peak=$(cat "$model" | /usr/bin/time -f %M resect-freeze --all-but-head 2>&1 >/dev/null | tail -n 1)
awk -v c="$(median "$tmp/cat")" -v f="$(median "$tmp/freeze")" -v r="$(median "$tmp/ratio")" -v s="$size" -v p="$peak" 'BEGIN {
        printf "cat %.1f ms, resect-freeze %.1f ms, ratio %.2f (bar 1.50)\n", c / 1000, f / 1000, r / 1000
        printf "model %.1f MiB, peak memory %.1f MiB, model + %.1f MiB (bar 16)\n", s / 1048576, p / 1024, p / 1024 - s / 1048576
}'
