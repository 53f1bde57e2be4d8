#!/bin/sh
# SPDX-License-Identifier: 0BSD
# resect-adapt and resect-shift at the command line. Planted: pictures of another light cost accuracy and show in every table; adapting wins it
# back. What only PyTorch and NumPy can tell is in tests/peers/adapt.sh.
. "$RESECT_SRC/tests/cli/check.sh"

# A small network that has learnt three colours, and the same pictures under another light (darker, by a quarter), and under two others.
"$RESECT_BUILD/tests/unit/test_adapt" make "$T" >"$T/made" 2>&1 || skip "no small job: $(cat "$T/made")"
OMP_WAIT_POLICY=passive
export OMP_WAIT_POLICY
status 0 resect-tune "$T/model.onnx" "$T/day" -o "$T/trained.onnx" --epochs 8 --batch 16 --lr 0.05 --val 0 --no-augment --quiet
top1() { resect-eval --json --quiet "$1" "$2" --split all --by-index | tr -d ' \n' | sed 's/.*"top1":{"value":\([^,]*\).*/\1/'; }
less() { awk -v a="$1" -v b="$2" 'BEGIN { exit !(a < b) }'; }
day=$(top1 "$T/trained.onnx" "$T/day")
night=$(top1 "$T/trained.onnx" "$T/night")
check "it has learnt ($day)" less 0.9 "$day"
check "another light costs accuracy ($night)" less "$night" "$(awk "BEGIN { print $day - 0.2 }")"

# Adapting: the gain is told, and true.
status 0 resect-adapt "$T/trained.onnx" "$T/night" -o "$T/adapted.onnx" --by-index
says 'adapting helped'
again=$(top1 "$T/adapted.onnx" "$T/night")
check "adapting wins it back ($night to $again)" less "$(awk "BEGIN { print $night + 0.2 }")" "$again"
status 0 resect-adapt "$T/trained.onnx" "$T/night" --by-index --json -o "$T/adapted2.onnx"
check 'JSON has the gain' grep -q '"gain"' "$T/out"
same "$T/adapted.onnx" "$T/adapted2.onnx"
resect-adapt "$T/trained.onnx" "$T/night" --by-index --quiet >"$T/piped.onnx"
same "$T/adapted.onnx" "$T/piped.onnx"
status 0 resect-info "$T/adapted.onnx"
says 'resect-adapt'
refuses resect-adapt "$T/trained.onnx" "$T/night" --json
refuses resect-adapt "$T/trained.onnx" "$T/night" -o "$T/x.onnx" --momentum 2
refuses resect-adapt "$T/trained.onnx" "$T/night" -o "$T/x.onnx" --momentum 0
refuses resect-adapt "$T/trained.onnx" "$T/night" -o "$T/missing/x.onnx"
refuses resect-adapt "$T/trained.onnx" "$T/night" --quiet -o /dev/full
check 'nothing is written by what fails' test ! -e "$T/x.onnx"
status 0 resect-adapt "$T/trained.onnx" "$T/night" --momentum 1 --batch 64 -o "$T/running.onnx" --by-index
says 'running, momentum 1'
status 0 resect-adapt "$T/trained.onnx" "$T/night" --samples 20 -o "$T/few.onnx"
says 'on 20 pictures'

# Nothing but statistics changes: what resect-diff finds in the weights is running means and variances, and all of them.
resect-diff "$T/trained.onnx" "$T/adapted.onnx" --json >"$T/diff.json"
check 'only statistics differ' sh -c "! grep -o '\"name\": \"[^\"]*\\(weight\\|bias\\|kernel\\)[^\"]*\", *\"equal\": false' '$T/diff.json'"

# Folded, there is nothing to adapt, and the way out is named.
resect-fold --bn --quiet "$T/trained.onnx" -o "$T/folded.onnx"
refuses resect-adapt "$T/folded.onnx" "$T/night" -o "$T/x.onnx"
says 'resect-fold --unfold --data SOURCE'
resect-fold --unfold --data "$T/day" --quiet "$T/folded.onnx" -o "$T/unfolded.onnx"
status 0 resect-adapt "$T/unfolded.onnx" "$T/night" -o "$T/adapted3.onnx" --by-index
says 'adapting helped'
resect-freeze --all-but-head --quiet "$T/trained.onnx" -o "$T/frozen.onnx"
refuses resect-adapt "$T/frozen.onnx" "$T/night" -o "$T/x.onnx"
says 'resect-freeze --thaw'

# Shift: nothing after adapting, more with less light.
distance() { resect-shift --json --quiet "$@" | tr -d ' \n' | sed 's/.*"layers":\[{"layer":"stem[^}]*"distance":\([^,]*\),.*/\1/'; }
none=$(distance "$T/adapted.onnx" "$T/night")
check "statistics of these very pictures are at no distance ($none)" less "$none" 1e-8
a=$(distance "$T/trained.onnx" "$T/day") b=$(distance "$T/trained.onnx" "$T/dusk") c=$(distance "$T/trained.onnx" "$T/night")
check "less light is further ($a, $b, $c)" less "$a" "$b"
check "least light is furthest ($a, $b, $c)" less "$b" "$c"
status 0 resect-shift "$T/trained.onnx" "$T/night" --svg "$T/shift.svg" --html "$T/shift.html"
says 'p(x) is shifted'
says 'first layer'
check 'a plot' grep -q '<svg' "$T/shift.svg"
check 'a page with the plot' grep -q '<svg' "$T/shift.html"
check 'and the same words' grep -q 'is shifted' "$T/shift.html"
status 0 resect-shift "$T/adapted.onnx" "$T/night"
says 'no shift worth naming'

# A classifier tells other light, and not the same light.
auc() { resect-shift --json --quiet "$@" | tr -d ' \n' | sed "s/.*\"auc\":\([^,]*\),\"auc_low\":\([^,]*\),\"auc_high\":\([^,]*\),.*/\1 \2 \3/"; }
set -- $(auc "$T/trained.onnx" "$T/night" --source "$T/day")
check "night is told from day ($1)" less 0.9 "$1"
set -- $(auc "$T/trained.onnx" "$T/day" --source "$T/otherday")
check "a day is not told from a day ($1, $2 to $3)" less "$2" 0.5
check "a day is not told from a day ($1, $2 to $3)" less 0.5 "$3"
status 0 resect-shift "$T/trained.onnx" "$T/day" --source "$T/day"
says 'are in both'

# A folded model remembers nothing: it takes a source.
refuses resect-shift "$T/folded.onnx" "$T/night"
says '--source'
status 0 resect-shift "$T/folded.onnx" "$T/night" --source "$T/day"
says "against the source's"
refuses resect-shift "$T/trained.onnx" "$T/night" --source-split val
refuses resect-shift "$T/trained.onnx" "$T/night" --html "$T/missing/x.html"

# Classes by name.
printf '%s\n' 'Robin' 'n02219486 ant, emmet, pismire' 'golden_retriever' >"$T/labels.txt"
resect-head --quiet --replace --labels "$T/labels.txt" "$T/trained.onnx" -o "$T/named.onnx"
mkdir "$T/zoo"
for class in Ants 'Golden Retrievers' 'steam engine' Robin; do
        mkdir "$T/zoo/$class"
        cp "$T/picture.png" "$T/zoo/$class/1.png"
done
status 0 resect-shift "$T/named.onnx" "$T/zoo" --keep-map "$T/map.tsv"
says '3 of 4 classes'
says 'but for spelling'
says 'one of its names'
printf 'Ants\t1\nGolden Retrievers\t2\nRobin\t0\n' >"$T/want.tsv"
same "$T/want.tsv" "$T/map.tsv"
ls "$T/zoo" >"$T/new.txt"
status 0 resect-head --replace --labels "$T/new.txt" --keep "$T/map.tsv" --from "$T/named.onnx" "$T/named.onnx" -o "$T/kept.onnx"
finish
