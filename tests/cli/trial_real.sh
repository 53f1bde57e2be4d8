#!/bin/sh
# SPDX-License-Identifier: 0BSD
# The question that the trial is there for, on real weights and photographs: is the trunk of a ResNet-101 of use for telling ants
# from bees? Scratch must come out worse than a new classifier on the frozen trunk, for certain. Half an hour: RESECT_SLOW=1.
. "$RESECT_SRC/tests/cli/check.sh"
[ -n "${RESECT_SLOW:-}" ] || skip "half an hour: RESECT_SLOW=1 runs it"
M=${RESECT_REAL:-}/models/resnet101v2-layer3.onnx
D=${RESECT_REAL:-}/pictures/hymenoptera
test -s "$M" -a -d "$D/train" || skip "no $M and $D"

status 0 resect-trial "$M" "$D" --input "${RESECT_TRIAL_INPUT:-size=96x96 resize=110}" --seeds 3 --fractions 1 -o "$T/trial.html"
cat "$T/out"
# "head  0.01  10  94.1 % (92.0 % to 95.8 %)": the ends of an arm's interval
end() { sed -n "s/^$1 .*(\([0-9.]*\) % to \([0-9.]*\) %).*/\\$2/p" "$T/out"; }
check "there are intervals" test -n "$(end head 1)" -a -n "$(end scratch 2)"
check "scratch's interval, up to $(end scratch 2), lies below head's, from $(end head 1)" \
        awk "BEGIN { exit !($(end scratch 2) < $(end head 1)) }"
check "a page" grep -q '</html>' "$T/trial.html"
finish
