#!/bin/sh
# SPDX-License-Identifier: 0BSD
# resect-trial from the command line: its table, its journal, kill -9 and going on, and what it refuses.
. "$RESECT_SRC/tests/cli/check.sh"
OMP_WAIT_POLICY=passive
export OMP_WAIT_POLICY

mkdir "$T/data"
"$RESECT_BUILD/tests/unit/test_train" make "$T/data" >"$T/made" 2>&1 || skip "no small job: $(cat "$T/made")"
mv "$T/data/small.onnx" "$T/small.onnx"
M=$T/small.onnx
args="--seeds 2 --fractions 0.5,1 --epochs 2 --batch 8 --rates 0.01,0.05 --threads 1 --kernels reference"
# shellcheck disable=SC2086
trial() { resect-trial "$M" "$T/data" $args "$@"; }
# The runs, but for their times.
figures() { sed -n '/^  "runs": /,/^  "data": /p' "$1" | grep -v '"seconds"'; }

status 0 trial --arms scratch,head,tune
for word in scratch head tune '50 %' '100 %'; do says "$word"; done
says "its validation split is the test"
check "the table ends in a verdict" sh -c "tr '\n' ' ' <'$T/out' | grep -q -e '^Use ' -e 'annot tell'"
check "lines end at 80 columns, and without spaces" sh -c "! grep -q -e '.\{81\}' -e ' \$' '$T/out'"
trial --arms scratch,head,tune --json --quiet >"$T/whole.json" 2>"$T/err"
check "--quiet is quiet" test ! -s "$T/err"
figures "$T/whole.json" >"$T/whole"
check "twelve runs" test "$(grep -c '"test_loss"' "$T/whole")" -eq 12
trial --arms scratch,head,tune --jobs 2 --threads 2 --json --quiet >"$T/other.json"
figures "$T/whole.json" >"$T/whole"
check "there are figures" test "$(wc -l <"$T/whole")" -gt 100
figures "$T/other.json" | cmp -s - "$T/whole"
check "jobs change nothing" test $? -eq 0

# kill -9, each time when the journal has grown, until it is done.
J=$T/trial.journal
size() { stat -c %s "$J" 2>/dev/null || echo 0; }
kills=0
for round in 1 2 3 4 5 6; do
        before=$(size)
        # shellcheck disable=SC2086
        resect-trial "$M" "$T/data" $args --arms scratch,head,tune --journal "$J" --json --quiet >"$T/rest.json" 2>"$T/err" &
        pid=$!
        while [ "$(size)" = "$before" ] && kill -0 $pid 2>/dev/null; do sleep 0.002; done
        [ $round -lt 6 ] && kill -KILL $pid 2>/dev/null && kills=$((kills + 1))
        wait $pid 2>/dev/null
done
check "some were killed" test $kills -gt 2
trial --arms scratch,head,tune --journal "$J" --json --quiet >"$T/rest.json"
figures "$T/rest.json" | cmp -s - "$T/whole"
check "the figures are those of a trial without kills" test $? -eq 0
cp "$J" "$T/copy"
trial --arms scratch,head,tune --journal "$J" --json --quiet >"$T/rest.json"
same "$J" "$T/copy"
figures "$T/rest.json" | cmp -s - "$T/whole"
check "a whole journal gives the same again" test $? -eq 0

# What a look beforehand says is compared with what was found.
status 0 resect-probe "$M" "$T/data" --json
mv "$T/out" "$T/probe.json"
status 0 trial --arms head,tune,truncate:1 --probe "$T/probe.json"
says "resect-probe"
says "depths that were trained"
status 0 trial --arms head --probe "$T/probe.json"
says "ranking cannot be compared"
refuses trial --arms head --probe "$M"

# The report, its journal beside it.
status 0 trial --arms scratch,head,tune -o "$T/trial.html"
check "a page" grep -q '</html>' "$T/trial.html"
check "the same command is in it" grep -q 'resect-trial .*--arms scratch,head,tune' "$T/trial.html"
status 0 trial --arms scratch,head,tune -o "$T/other.html"
check "a journal of its own" test -s "$T/other.journal"
refuses trial -o "$T/missing/trial.html"

# Another trial's journal, and what is none.
refuses trial --arms scratch,head,tune --journal "$J" --batch 9
says "batch was 8, now 9"
refuses trial --journal "$M"
refuses trial --journal "$T"
refuses trial --journal "$T/missing/journal"
same "$J" "$T/copy"

# How it was computed stands with the settings.
status 0 resect-trial "$M" "$T/data" --arms head --seeds 1 --fractions 1 --epochs 1 --rates 0.05 --batch 8 --threads 1 --kernels fast \
        --exact --json
says '"kernels": "fast, exact"'

# What cannot be.
refuses trial --arms head,tuna
refuses trial --arms freeze:2
says "head"
refuses trial --arms head,head
refuses trial --rates 0.1,0.01
refuses trial --rates 0.1,x
refuses trial --fractions 0.5,2
refuses trial --budget 5
refuses resect-trial "$M" "$T/data" --budget 5q
refuses trial --augment cropp
refuses trial --classes 0
refuses resect-trial "$M" "$T/nothing"

# A model of another size is set to this one; a model that ends in features gets a head; kept models are whole.
resect-strip --quiet "$M" -o "$T/features.onnx"
status 0 resect-trial "$T/features.onnx" "$T/data" --input 'size=12x12 resize=0' --arms head,tune --seeds 1 --fractions 1 \
        --epochs 1 --rates 0.05 --batch 8 --threads 1 --keep "$T/kept" --restarts 2
says "set to 12x12"
for arm in head tune; do
        status 0 resect-eval "$T/kept/$arm.onnx" "$T/data" --split all
        says "90 pictures, 3 classes"
done
check "history is recorded" grep -q 'resect-trial --' "$T/kept/tune.onnx"
status 0 resect-trial "$M" "$T/data" --arms head --seeds 1 --fractions 1 --budget 0.2s --batch 8 --threads 1 --classes 0,2 --per-class 9
finish
