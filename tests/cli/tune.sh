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
status 0 tune --kernels reference -o "$T/b.onnx" --quiet
tune --kernels reference --threads 4 --quiet >"$T/c.onnx"
same "$T/b.onnx" "$T/c.onnx"

refuses tune --json
says "needs a file, -o FILE"
status 0 tune -o "$T/b.onnx" --json --log "$T/b.jsonl"
best=$(sed -n 's/^{"epoch":\([0-9]*\),.*"best":true.*/\1/p' "$T/b.jsonl" | tail -1)
loss=$(sed -n 's/.*"validation":{"n":[0-9]*,"loss":\([0-9.]\{7\}\).*"best":true.*/\1/p' "$T/b.jsonl" | tail -1)
check "--json says which epoch was kept: $best" grep -q "\"best_epoch\": $best,\$" "$T/out"
check "and how good it was: $loss" grep -q "\"loss\": $loss" "$T/out"
same "$T/a.onnx" "$T/b.onnx"

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
# Of unsplit DATA, any classes: one whose only picture is held out is judged, too; what is left out is said.
mkdir "$T/few" # four pictures of the classes 0 1 2 0
images=train-images-idx3-ubyte labels=train-labels-idx1-ubyte
{ printf '\0\0\10\4\0\0\0\4' && tail -c +9 "$T/data/$images" | head -c $((12 + 4 * 8 * 8 * 3)); } >"$T/few/$images"
printf '\0\0\10\1\0\0\0\4\0\1\2\0' >"$T/few/$labels"
refuses resect-tune "$M" "$T/few" --val 0.9 -o "$T/x.onnx"
says "has 1 picture, but none to train on"
status 0 resect-eval "$T/a.onnx" "$T/few" --val 0.9
says "the split 'val' (--split all takes all of them)"
status 0 resect-eval "$T/a.onnx" "$T/few" --val 0.9 --split all
says "4 pictures, 3 classes"
# Options are looked at before DATA is.
for bad in "--bootstrap 0" "--level 1" "--worst x" "--batch 0" "--val 1" "--split none" "--min-top1 2" "--input size=x"; do
        # shellcheck disable=SC2086
        refuses resect-eval "$T/a.onnx" "$T/nothing" $bad
        says "${bad%% *}: "
done

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

# Every option does something: the model that comes out is another one than with the rest of the same line (before the bar) alone.
while IFS='|' read -r with option; do
        without="$T/without$(echo "$with" | tr -c 'a-z0-9\n' _).onnx"
        # shellcheck disable=SC2086
        [ -s "$without" ] || tune --no-history --quiet -o "$without" $with
        # shellcheck disable=SC2086
        status 0 tune --no-history --quiet -o "$T/d.onnx" $with $option
        check "$option changes the result (with '$with')" test "$(cksum <"$T/d.onnx")" != "$(cksum <"$without")"
done <<'PAIRS'
|--epochs 2
|--batch 8
|--lr 0.04
|--momentum 0.5
|--nesterov
|--weight-decay 0.1
--weight-decay 0.1|--no-bias-decay
|--clip 0.1
|--optimizer adamw
--optimizer adamw|--betas 0.8,0.999
--optimizer adamw|--betas 0.9,0.9
--optimizer adamw|--weight-decay 0.5
|--schedule constant
|--schedule onecycle
--schedule step|--step-every 2
--schedule step|--step-factor 0.5
--schedule restarts|--restart-every 0.5
--schedule restarts --restart-every 0.5|--restart-stretch 1
--schedule restarts|--lr-floor 0.5
|--warmup 1
|--lr-floor 0.5
|--lr-stage layer1=0.1
|--lr-stage head=2
|--thaw-every 1
|--bn-unbiased
|--label-smoothing 0.1
|--class-weights balanced
|--class-weights 1,2,3
|--mixup 0.3
|--augment flip
|--augment pad=1
|--augment crop
--augment crop|--augment crop=0.9
|--augment jitter=0.3
|--no-shuffle
|--val 0.1
|--per-class 10
|--seed 7
|--input mean=0,0,0
PAIRS
tune --no-history -o "$T/a0.onnx" --quiet
status 0 tune --no-history -o "$T/d.onnx" --by-index
same "$T/d.onnx" "$T/a0.onnx"
refuses tune --find-lr -o "$T/none.onnx"
says '--find-lr has no use for --output'
status 0 tune --find-lr --points 20
says "suggestion: --lr"
status 0 tune --find-lr --points 20 --json
says '"suggestion"'
check "20 rates were tried at most" test "$(grep -c '"lr"' "$T/out")" -le 20
at20=$(grep -c '"lr"' "$T/out")
status 0 tune --find-lr --points 40 --json
check "more of 40 than of 20" test "$(grep -c '"lr"' "$T/out")" -gt "$at20"

# What would be parsed and forgotten is refused.
while read -r o; do
        # shellcheck disable=SC2086
        refuses tune -o "$T/x.onnx" $o
done <<'IDLE'
--optimizer adamw --momentum 0.9
--optimizer adamw --nesterov
--betas 0.9,0.99
--schedule onecycle --lr-floor 0.1
--step-every 1
--step-factor 0.5
--schedule step --restart-every 1
--restart-stretch 1
--save-every 5
--points 10
--no-cache --cache-size 1G
--no-cache --cache-dir /tmp
--augment flip --no-augment
IDLE

# Classes: those that are named, in the order in which they are named.
resect-head --replace --classes 2 --no-history --quiet "$M" -o "$T/two.onnx"
status 0 resect-tune "$T/two.onnx" "$T/data" --classes 2,0 --epochs 1 --val 0 --no-history --log "$T/two.jsonl" -o "$T/d.onnx"
check "two steps: 60 pictures are of these classes" test "$(grep -c '"step"' "$T/two.jsonl")" -eq 2
status 0 resect-tune "$T/two.onnx" "$T/data" --classes 0,2 --epochs 1 --val 0 --no-history -o "$T/e.onnx"
check "the order of classes is that of outputs" test "$(cksum <"$T/d.onnx")" != "$(cksum <"$T/e.onnx")"

# Picture files: augmented unless told otherwise; one that cannot be read is too much out of nine, unless told otherwise.
mkdir -p "$T/files/across" "$T/files/down"
n=0
while read -r png; do
        n=$((n + 1))
        printf '%s' "$png" | base64 -d >"$T/files/$([ $n -le 4 ] && echo across || echo down)/$n.png"
done <<'PNG'
iVBORw0KGgoAAAANSUhEUgAAAAgAAAAIAQAAAADsdIMmAAAAGElEQVR42mMoZ9jP8J3pPwMDAyMTPwMDACSeA0E3YpBgAAAAAElFTkSuQmCC
iVBORw0KGgoAAAANSUhEUgAAAAgAAAAIAQAAAADsdIMmAAAAGElEQVR42mP4z3SDWYTJgUGAqYBBgIEBACBFAsVuYqj+AAAAAElFTkSuQmCC
iVBORw0KGgoAAAANSUhEUgAAAAgAAAAIAQAAAADsdIMmAAAAGElEQVR42mP4zXSESYGZh4mDgYGBgUEBABs/Ah3zAtvpAAAAAElFTkSuQmCC
iVBORw0KGgoAAAANSUhEUgAAAAgAAAAIAQAAAADsdIMmAAAAGElEQVR42mP4z/SA6S/Df+aDDEwMDAwMADPUBKbwwBcyAAAAAElFTkSuQmCC
iVBORw0KGgoAAAANSUhEUgAAAAgAAAAIAQAAAADsdIMmAAAAGElEQVR42mOYwPCBiYH5A8MPph/MDAw3ACnmBUMX/C0vAAAAAElFTkSuQmCC
iVBORw0KGgoAAAANSUhEUgAAAAgAAAAIAQAAAADsdIMmAAAAGElEQVR42mMoYGJi+MD8g/knwwcmFmYlACXPBHdV4P5SAAAAAElFTkSuQmCC
iVBORw0KGgoAAAANSUhEUgAAAAgAAAAIAQAAAADsdIMmAAAAGElEQVR42mP4wCzB8IXpDxMzgyHDByZGACbdBCdmpT/TAAAAAElFTkSuQmCC
iVBORw0KGgoAAAANSUhEUgAAAAgAAAAIAQAAAADsdIMmAAAAGUlEQVR42mPYxPCY6S/zB4YNDF+ZzRhuAAA0qQY+ow4nsgAAAABJRU5ErkJggg==
PNG
files() { resect-tune "$T/two.onnx" "$T/files" --epochs 1 --batch 4 --val 0 --no-history "$@"; }
status 0 files -o "$T/d.onnx"
status 0 files --augment crop,flip -o "$T/e.onnx"
same "$T/d.onnx" "$T/e.onnx"
status 0 files --no-augment -o "$T/e.onnx"
check "--no-augment changes the result" test "$(cksum <"$T/d.onnx")" != "$(cksum <"$T/e.onnx")"
head -c 40 "$T/files/down/8.png" >"$T/files/down/9.png"
refuses files -o "$T/x.onnx"
says "--skip-bad"
status 0 files --no-augment --skip-bad -o "$T/d.onnx"
says "9.png"
same "$T/d.onnx" "$T/e.onnx"

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
# the metric chooses: the epoch that is kept is the log's best one, of equals that of the least loss
M=$T/small.onnx
best() { # NAME r|'': of the largest, or smallest
        sed -n "s/.*\"epoch\":\([0-9]*\),.*\"validation\":{.*\"loss\":\([0-9.]*\)\(.*\)/\1 \2 \"loss\":\2\3/p" "$T/m.jsonl" |
                sed "s/^\([^ ]* [^ ]*\) .*\"$1\":\([0-9.]*\).*/\2 \1/" | sort -s -k "1,1g${2-}" -k 3,3g | sed -n '1s/^[^ ]* \([^ ]*\).*/\1/p'
}
for run in 3:9 10:10; do # rates and seeds for which the metrics disagree
        for metric in loss: top1:r balanced:r macro-f1:r; do
                status 0 tune --epochs 12 --schedule constant --lr ${run%:*} --seed ${run#*:} --kernels reference --metric ${metric%:*} \
                        --log "$T/m.jsonl" -o "$T/d.onnx"
                kept=$(best "$(echo ${metric%:*} | tr - _)" ${metric#*:})
                says "kept epoch $kept of 12"
                echo "$kept" >>"$T/kept$run"
        done
done
check "each metric chooses by itself" test "$(paste -d , "$T/kept3:9" "$T/kept10:10" | sort -u | wc -l)" -eq 4
# a part frozen that ends in maps: computed once only when asked
resect-freeze "$T/small.onnx" --until layer1 --no-history --quiet -o "$T/part.onnx"
status 0 resect-tune "$T/part.onnx" "$T/data" --epochs 1 --val 0.3 -o "$T/d.onnx"
check "maps are not kept by themselves" sh -c '! grep -q "computed once" "$1"' sh "$T/err"
status 0 resect-tune "$T/part.onnx" "$T/data" --epochs 1 --val 0.3 --cache -o "$T/d.onnx"
says "computed once for 90 pictures"
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
