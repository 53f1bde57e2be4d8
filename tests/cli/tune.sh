#!/bin/sh
# SPDX-License-Identifier: 0BSD
# resect-tune and resect-eval from the command line: what they print, log and write; Ctrl-C, kill -9 and going on.
. "$RESECT_SRC/tests/cli/check.sh"
OMP_WAIT_POLICY=passive
export OMP_WAIT_POLICY

mkdir "$T/data"
"$RESECT_BUILD/tests/unit/test_train" make "$T/data" >"$T/made" 2>&1 || skip "no small job: $(cat "$T/made")"
M=$T/data/small.onnx
mv "$M" "$T/small.onnx"
M=$T/small.onnx
tune() { resect-tune "$M" "$T/data" --epochs 3 --batch 16 --lr 0.05 --val 0.3 --threads 1 "$@"; }

# The main job: model, log, words.
status 0 tune -o "$T/a.onnx" --log "$T/a.jsonl"
says "epoch 3/3"
says "kept epoch"
check "12 steps and 3 epochs in the log" test "$(grep -c '"step"' "$T/a.jsonl") $(grep -c '"train"' "$T/a.jsonl")" = "12 3"
check "a step has its figures" grep -q '^{"epoch":1,"step":1,"total":1,"loss":[0-9.]*,"lr":0.05,"gradient":[0-9.]*,"images_per_second":' "$T/a.jsonl"
check "an epoch has its figures" grep -q '"validation":{"n":[0-9]*,"loss":.*"macro_f1":.*"best":' "$T/a.jsonl"
check "labels are recorded" grep -q resect.labels "$T/a.onnx"
check "preprocessing is recorded" grep -q resect.input "$T/a.onnx"
check "history is recorded" grep -q 'resect-tune --epochs 3 --batch 16' "$T/a.onnx"
check "a digest is recorded" grep -q resect.digest "$T/a.onnx"
status 0 tune -o "$T/b.onnx" --quiet
same "$T/a.onnx" "$T/b.onnx"
check "--quiet is quiet" test ! -s "$T/err"
tune --threads 4 --quiet >"$T/c.onnx"
same "$T/a.onnx" "$T/c.onnx"

# Judging: text, JSON, thresholds.
status 0 resect-eval "$T/a.onnx" "$T/data" --val 0.3
says "balanced accuracy"
says "class \\ predicted"
says "taken for"
status 0 resect-eval "$T/a.onnx" "$T/data" --val 0.3 --json
kept=$(sed -n 's/.*"validation":{"n":[0-9]*,"loss":\([0-9.]\{7\}\).*"best":true.*/\1/p' "$T/a.jsonl" | tail -1)
check "the loss is that of the best epoch, $kept" grep -q "\"value\": $kept" "$T/out"
status 1 resect-eval "$T/a.onnx" "$T/data" --split all --min-top1 1
status 0 resect-eval "$T/a.onnx" "$T/data" --split all --min-top1 0.2 --worst 0 --bootstrap 10
says "90 pictures, 3 classes"

# What cannot be.
refuses resect-tune "$M" "$T/nothing" -o "$T/x.onnx"
refuses tune --optimizer adam -o "$T/x.onnx"
refuses tune --schedule steep -o "$T/x.onnx"
refuses tune --metric f1 -o "$T/x.onnx"
refuses tune --lr-stage layer9=0.1 -o "$T/x.onnx"
refuses tune --class-weights 1,2 -o "$T/x.onnx"
refuses tune --augment cropp -o "$T/x.onnx"
refuses tune --cache --no-cache -o "$T/x.onnx"
refuses tune --classes 0,1 -o "$T/x.onnx"
says "resect-head --classes 2"
refuses resect-eval "$T/a.onnx" "$T/data" --split test
check "nothing was written" test ! -e "$T/x.onnx"

# Every option does something: the model that comes out is another one, or the words say it.
differs() {
        status 0 tune -o "$T/d.onnx" "$@"
        check "$* changes the result" test "$(cksum <"$T/d.onnx")" != "$(cksum <"$T/a0.onnx")"
}
tune --no-history -o "$T/a0.onnx" --quiet
for o in "--momentum 0.5" "--nesterov" "--weight-decay 0.1" "--weight-decay 0.1 --no-bias-decay" "--clip 0.1" "--optimizer adamw" \
        "--optimizer adamw --betas 0.8,0.9" "--schedule constant" "--schedule step --step-every 1 --step-factor 0.5" "--schedule onecycle" \
        "--schedule restarts --restart-every 1 --restart-stretch 1" "--warmup 1" "--lr-floor 0.5" "--lr-stage layer1=0.1,head=2" \
        "--thaw-every 1" "--bn-unbiased" "--label-smoothing 0.1" "--class-weights balanced" "--class-weights 1,2,3" "--mixup 0.3" \
        "--augment flip" "--augment pad=1" "--no-shuffle" "--per-class 10" "--seed 7" "--input mean=0,0,0"; do
        # shellcheck disable=SC2086
        differs --no-history $o
done
status 0 tune --no-history -o "$T/d.onnx" --by-index
same "$T/d.onnx" "$T/a0.onnx"
status 0 tune --find-lr --points 20
says "suggestion: --lr"
status 0 tune --find-lr --points 20 --json
says '"suggestion"'

# A frozen trunk: features once, in memory or in a file, or afresh; the same bits.
resect-freeze "$M" --all-but-head -o "$T/frozen.onnx" --no-history
M=$T/frozen.onnx
status 0 tune --no-history -o "$T/f1.onnx"
says "computed once for 90 pictures"
status 0 tune --no-history -o "$T/f2.onnx" --cache-size 1K --cache-dir "$T"
says "a temporary file"
status 0 tune --no-history -o "$T/f3.onnx" --no-cache
says "afresh"
same "$T/f1.onnx" "$T/f2.onnx"
same "$T/f1.onnx" "$T/f3.onnx"
status 0 tune --epochs 20 --lr 0 --patience 2 -o "$T/d.onnx"
says "epoch 3/20"
says "kept epoch 1 of 3"
# the metric chooses: the epoch that is kept is the log's best one
best() { sed -n "s/.*\"epoch\":\([0-9]*\),.*\"validation\":{.*\"$1\":\([0-9.]*\).*/\2 \1/p" "$T/m.jsonl" | sort -g | head -1 | cut -d' ' -f2; }
status 0 tune --epochs 12 --schedule constant --metric loss --log "$T/m.jsonl" -o "$T/d.onnx"
says "kept epoch $(best loss) of 12"
status 0 tune --epochs 12 --schedule constant --metric balanced --patience 5 --log "$T/m.jsonl" -o "$T/d.onnx"
says "kept epoch"
resect-freeze "$T/frozen.onnx" --match '*' -o "$T/solid.onnx" --no-history
refuses resect-tune "$T/solid.onnx" "$T/data" -o "$T/x.onnx"
says "nothing to train"
M=$T/small.onnx

# A loss that is not finite: status 2, step and layer, nothing written.
status 2 tune --lr 1e30 --warmup 0 -o "$T/x.onnx"
says "step "
check "nothing was written" test ! -e "$T/x.onnx"

# Ctrl-C: the step is finished, state and weights are saved, status 130; the same command goes on to the same bytes and log.
figures() { sed 's/,"images_per_second":.*/}/; s/,"seconds":.*/}/' "$1"; }
long="$M $T/data --epochs 40 --batch 16 --lr 0.05 --val 0.3 --threads 1 --augment flip --mixup 0.2 --save-every 0 --no-history
        --state $T/state --log $T/long.jsonl"
# shellcheck disable=SC2086
resect-tune $long -o "$T/whole.onnx" --quiet
figures "$T/long.jsonl" >"$T/whole.log"
rm -f "$T"/state* "$T/long.jsonl"
# shellcheck disable=SC2086
resect-tune $long -o "$T/part.onnx" >"$T/int.out" 2>"$T/int.err" &
pid=$!
while [ ! -s "$T/state" ] && kill -0 $pid 2>/dev/null; do sleep 0.02; done
kill -TERM $pid
wait $pid
check "a stop ends with 130" test $? -eq 130
check "weights were written" test -s "$T/part.onnx"
check "it says how to go on" grep -q "same command goes on" "$T/int.err"
# shellcheck disable=SC2086
resect-tune $long -o "$T/rest.onnx" >"$T/int.out" 2>"$T/int.err"
check "it goes on" grep -q "going on in epoch" "$T/int.err"
same "$T/whole.onnx" "$T/rest.onnx"
figures "$T/long.jsonl" | cmp -s - "$T/whole.log"
check "the log is that of a run without a stop" test $? -eq 0

# kill -9, anywhere, more than once: each time when the log has moved, and a little later.
rm -f "$T"/state* "$T/long.jsonl" "$T/rest.onnx"
kills=0
moved() { stat -c %s.%y "$T/long.jsonl" 2>/dev/null; }
for pause in 0 0.01 0.003 0.02 0.006; do
        before=$(moved)
        # shellcheck disable=SC2086
        resect-tune $long -o "$T/rest.onnx" >"$T/int.out" 2>&1 &
        pid=$!
        while [ "$(moved)" = "$before" ] && kill -0 $pid 2>/dev/null; do sleep 0.002; done
        sleep $pause
        kill -KILL $pid 2>/dev/null && kills=$((kills + 1))
        wait $pid 2>/dev/null
done
check "some were killed" test $kills -gt 2
# shellcheck disable=SC2086
resect-tune $long -o "$T/rest.onnx" --quiet
same "$T/whole.onnx" "$T/rest.onnx"
figures "$T/long.jsonl" | cmp -s - "$T/whole.log"
check "the log is that of a run without kills" test $? -eq 0
status 2 tune --state "$T/state" -o "$T/x.onnx"
says "belongs to another run"
finish
