#!/bin/sh
# SPDX-License-Identifier: 0BSD
# The fast kernels from the command line: every option does something and nothing else, choices by timing survive a stop, and the
# file that remembers them may be anything.
. "$RESECT_SRC/tests/cli/check.sh"
resect-new resnet18 --classes 3 --size 32 --seed 1 --quiet | resect-truncate --after layer2 --quiet -o "$T/m.onnx"
M=$T/m.onnx
resect-run "$M" --random 1 --repeat 1 --kernels fast >"$T/out" 2>"$T/err" || skip "a build without fast kernels: $(cat "$T/err")"

# flip FILE: every choice the other way round.
flip() {
        sed -i 's/ 0$/ x/; s/ 1$/ 0/; s/ x$/ 1/' "$1"
}
cache() {
        XDG_CACHE_HOME=$1
        export XDG_CACHE_HOME
}
cache "$T/cache"
F=$T/cache/resect/kernels

# A training's choices go with its state. What computes otherwise gives other bits, or this would show nothing.
mkdir "$T/data"
"$RESECT_BUILD/tests/unit/test_train" make "$T/data" >"$T/made" 2>&1 || skip "no small job: $(cat "$T/made")"
job="$M $T/data --epochs 3 --batch 28 --lr 0.01 --val 0.3 --threads 1 --no-history --quiet"
# shellcheck disable=SC2086
tune() { resect-tune $job "$@"; }
# half OPTION...: a training that is stopped once its state is there.
half() {
        rm -f "$T"/state*
        # shellcheck disable=SC2086
        resect-tune $job --state "$T/state" --save-every 0 -o "$T/half.onnx" "$@" 2>"$T/err" &
        pid=$!
        while [ ! -s "$T/state" ] && kill -0 $pid 2>/dev/null; do sleep 0.02; done
        kill -TERM $pid
        wait $pid
        check "it was stopped, not at its end" test $? -eq 130
}
for how in "" "--thaw-every 1"; do
        rm -rf "$T/cache"
        # shellcheck disable=SC2086
        status 0 tune $how -o "$T/whole.onnx"
        check "choices are remembered" grep -q ' winograd,.* [01]$' "$F"
        # shellcheck disable=SC2086
        half $how
        mkdir "$T/before"
        cp "$T"/state* "$T/before"
        cp "$F" "$T/kernels"
        rm "$F"
        # shellcheck disable=SC2086
        status 0 tune $how --state "$T/state" --save-every 0 -o "$T/forgot.onnx"
        same "$T/whole.onnx" "$T/forgot.onnx"
        cp "$T/kernels" "$F"
        flip "$F"
        cp "$T"/before/* "$T"
        # shellcheck disable=SC2086
        status 0 tune $how --state "$T/state" --save-every 0 -o "$T/flipped.onnx"
        same "$T/whole.onnx" "$T/flipped.onnx"
        # shellcheck disable=SC2086
        status 0 tune $how -o "$T/other.onnx"
        check "other choices give other bits" test "$(cksum <"$T/other.onnx")" != "$(cksum <"$T/whole.onnx")"
        rm -r "$T/before"
done
status 2 tune --state "$T/state" --thaw-every 1 --threads 2 -o "$T/x.onnx"
says "belongs to another run: it has 'threads 1', this run 'threads 2'"
status 0 tune --kernels reference --epochs 1 --state "$T/reference" -o "$T/r.onnx"
status 0 tune --kernels reference --epochs 1 --state "$T/reference" --threads 2 -o "$T/r2.onnx"
same "$T/r.onnx" "$T/r2.onnx"

# Options. figures OPTION...: what the model says of the pictures, to the last bit; fast kernels unless told otherwise.
M=$T/m.onnx
figures() {
        resect-eval "$M" "$T/data" --by-index --split all --json --bootstrap 1 --worst 90 --threads 1 "$@" 2>"$T/err" |
                grep -v '"\(low\|high\)"'
}
loss() { sed -n '/"loss"/,/}/s/.*"value": \([-0-9.e]*\).*/\1/p' "$1" | head -1; }
near() { awk -v a="$(loss "$1")" -v b="$(loss "$2")" -v t="$3" 'BEGIN { d = a - b; exit !(a > 0 && (d < 0 ? -d : d) <= t * b) }'; }
unlike() { check "$1 and $2 differ" sh -c '! cmp -s "$0" "$1"' "$1" "$2"; }
taken() { grep -o '"predicted": "[^"]*"' "$1"; }
cp "$T/kernels" "$F"
figures --batch 28 --kernels fast >"$T/fast"
sed -i 's/ [01]$/ 1/' "$F"
figures --batch 28 --kernels fast >"$T/fast"
figures --batch 28 >"$T/auto"
figures --batch 28 --kernels reference >"$T/slow"
figures --batch 28 --exact >"$T/exact"
check "there are figures" test -n "$(loss "$T/fast")"
same "$T/fast" "$T/auto"
unlike "$T/fast" "$T/slow"
unlike "$T/fast" "$T/exact"
check "fast is near reference" near "$T/fast" "$T/slow" 1e-3
check "exact is nearer" near "$T/exact" "$T/slow" 1e-4
profile() { resect-run "$M" --random 8 --repeat 1 --threads 1 --profile "$@" >"$T/out" 2>"$T/err"; }
profile --json
sed -i 's/ [01]$/ 1/' "$F"
profile --json
says '"kernels": "resect winograd"'
says '"fast_kernels": "oneDNN '
profile --json --exact
check "--exact: no Winograd" sh -c '! grep -q winograd "$0"' "$T/out"
profile --json --kernels reference
check "--kernels reference: nothing else" test -z "$(grep '"kernels":' "$T/out" | grep -v '"reference"')"
profile
says 'reference kernels: '
says '% of the time (fast ones: oneDNN '
status 0 resect-info --plan "$M"
says ' steps by fast kernels (oneDNN '
refuses resect-run "$M" --random 1 --kernels quick
refuses resect-run "$M" --random 1 --precision f16
refuses resect-run "$M" --random 1 --precision bf16 --kernels reference
refuses tune --recompute 4 -o "$T/x.onnx"

# bfloat16, where the machine has it and where it has not.
figures --batch 28 --precision bf16 >"$T/bf16"
if [ -s "$T/err" ]; then
        says 'bfloat16'
else
        unlike "$T/bf16" "$T/fast"
        check "bf16 is near" near "$T/bf16" "$T/slow" 0.05
        status 0 tune --epochs 1 -o "$T/f32.onnx"
        status 0 tune --epochs 1 --precision bf16 -o "$T/bf16.onnx"
        unlike "$T/f32.onnx" "$T/bf16.onnx"
fi
DNNL_MAX_CPU_ISA=AVX2 figures --batch 28 >"$T/avx2"
DNNL_MAX_CPU_ISA=AVX2 figures --batch 28 --precision bf16 >"$T/avx2.bf16"
if grep -q 'no bfloat16 instructions (oneDNN [0-9.]*, AVX2); it computes in float32$' "$T/err"; then
        check "it says so once" test "$(wc -l <"$T/err")" -eq 1
        same "$T/avx2" "$T/avx2.bf16"
else
        check "DNNL_MAX_CPU_ISA is heard (it says: $(cat "$T/err"))" false
fi

# Recomputing: less memory, the same bits.
memory() { sed -n 's/.*activations of a batch of 28 take \([0-9.]*\) MiB.*/\1/p' "$T/err"; }
keep=
for level in 0 1 2 3; do
        status 0 resect-tune "$M" "$T/data" --epochs 1 --batch 28 --val 0 --threads 1 --no-history --recompute $level -o "$T/again.$level.onnx"
        now=$(memory)
        same "$T/again.0.onnx" "$T/again.$level.onnx"
        [ $level -gt 0 ] || keep=$now
        [ $level -eq 0 ] || check "--recompute $level takes less memory: ${keep:-?} MiB to $now" \
                awk -v a="$keep" -v b="$now" 'BEGIN { exit !(b > 0 && b + 0 < a + 0) }'
done

# The cache file, and what may stand in its place: never a word, and the figures of one of the choices. With the choices of the
# file before, where it can be read.
expect() { # WHAT
        figures --batch 28 --kernels fast >"$T/now"
        check "$1: no words ($(head -c 200 "$T/err"))" test ! -s "$T/err"
        check "$1: right figures" near "$T/now" "$T/slow" 1e-3
}
expect "as it was"
same "$T/now" "$T/fast"
{ head -c 5000 /dev/urandom; echo; cat "$F"; printf 'no line break 1'; } >"$T/garbage"
cp "$T/garbage" "$F"
expect "lines that mean nothing"
same "$T/now" "$T/fast"
cp "$F" "$T/elsewhere"
ln -sf "$T/elsewhere" "$F"
expect "a link"
same "$T/now" "$T/fast"
check "a link is not written through" cmp -s "$T/elsewhere" "$F"
rm "$F"
ln -s "$T/not-there" "$F"
expect "a link to nothing"
check "nothing was made there" test ! -e "$T/not-there"
rm "$F"
head -c 3000000 /dev/zero >"$F"
expect "3 MB of zeros"
check "it was begun anew" test "$(wc -c <"$F")" -lt 100000
expect "after that"
rm "$F"
mkdir "$F"
expect "a folder"
rmdir "$F"
mkfifo "$F"
expect "a FIFO"
rm "$F"
: >"$F"
chmod 000 "$F"
expect "unreadable"
rm -f "$F"
cache "$T/m.onnx/below/a/file"
expect "a file where the folder should be"
cache /proc/nothing
expect "a folder that cannot be made"
cache "relative/path"
HOME=$T/home
export HOME
expect "a relative folder is none: the home"
check "the home that is not there is not made" test ! -e "$T/home"
mkdir "$T/home"
unset XDG_CACHE_HOME
expect "the home"
check "remembered in the home" test -s "$T/home/.cache/resect/kernels"
unset HOME
expect "no home"
finish
