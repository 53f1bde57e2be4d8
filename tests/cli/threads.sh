#!/bin/sh
# SPDX-License-Identifier: 0BSD
# --threads and --kernels do what they say wherever something is computed: OpenMP tells of its teams, oneDNN of what it runs, and the
# reference kernels give the same bytes for any number of threads.
. "$RESECT_SRC/tests/cli/check.sh"

cd "$T" || exit 99
OMP_WAIT_POLICY=passive
export OMP_WAIT_POLICY
make_few
mkdir pth

# teams COMMAND...: the sizes of the teams of several threads that were at work, on one line. (GCC's OpenMP tells of them on standard
# error, LLVM's on standard output.)
teams() {
        OMP_DISPLAY_AFFINITY=true OMP_AFFINITY_FORMAT='a team of %N' "$@" 2>&1 |
                sed -n '/ 1$/d; s/^a team of \([0-9]*\)$/\1/p' | sort -nu | tr '\n' ' '
}

# threads COMMAND...: three when three are asked for, one when one is.
threads() {
        got=$(teams "$@" --threads 3)
        check "three threads, not $got: $*" test "$got" = '3 '
        got=$(teams "$@" --threads 1)
        check "one thread, not $got: $*" test -z "$got"
        refuses "$@" --threads 4097
        says '4097 is not in 0 ... 4096'
        refuses "$@" --threads two
        says "'two' is not a whole number"
}

# Where oneDNN is: it has something to do, or nothing.
fast=$(resect-info --plan --json m.onnx | sed -n 's/^ *"fast_kernels": "\(.*\)".*/\1/p')
kernels() {
        refuses "$@" --kernels fst
        says "'fst' is not one of auto|fast|reference"
        check "the reference kernels alone: $*" test "$(ONEDNN_VERBOSE=1 "$@" --kernels reference 2>&1 | grep -c '^onednn_verbose')" -eq 0
        [ -n "$fast" ] || return
        check "the fast ones: $*" test "$(ONEDNN_VERBOSE=1 "$@" --kernels fast 2>&1 | grep -ac '^onednn_verbose')" -gt 0
}

[ -n "$(teams resect-run m.onnx --random 1 --repeat 1 --threads 3)" ] || skip 'no OpenMP that tells of its teams'

for how in threads kernels; do
        $how resect-strip --verify m.onnx -o out.onnx
        $how resect-head --replace --classes 4 --verify m.onnx -o out.onnx
        $how resect-truncate --after layer1.0 --verify m.onnx -o out.onnx
        $how resect-reset --from layer1.2 --verify m.onnx -o out.onnx
        $how resect-freeze --all-but-head --verify m.onnx -o out.onnx
        $how resect-fold --bn --verify m.onnx -o out.onnx
        $how resect-fold --unfold --data data folded.onnx -o out.onnx
        $how resect-edit --canon --verify m.onnx -o out.onnx
        $how resect-edit --batch 2 m.onnx -o out.onnx
        $how resect-cast --to fp16 m.onnx -o out.onnx
        $how resect-cast --to int8 --no-report --calibrate data folded.onnx -o out.onnx
        $how resect-pack --in --verify m.onnx -o out.onnx
        $how resect-convert --to pth --verify m.onnx -o pth/m.pth
        $how resect-convert --weights m.onnx --into m.onnx --verify -o out.onnx
done
for how in threads kernels; do
        $how resect-run m.onnx --random 1 --repeat 1
        $how resect-diff m.onnx m.onnx
        $how resect-eval m.onnx data --split all
        $how resect-adapt m.onnx data --split all -o out.onnx
        $how resect-shift m.onnx data --split all
        $how resect-probe m.onnx data
        $how resect-see m.onnx data --split all --pictures 1
        $how resect-tune m.onnx data --epochs 1 --no-augment -o out.onnx
        $how resect-tune m.onnx data --find-lr --points 5 --no-augment
        $how resect-trial m.onnx data --arms head,tune --seeds 1 --fractions 1 --epochs 1 --rates 0.05
done
threads resect-new resnet20 -o out.onnx
refuses resect-new resnet20 --kernels fast
threads resect-reset --from stem m.onnx -o out.onnx # where numbers are drawn
check 'the last one counts' test "$(teams resect-strip --verify m.onnx --threads 1 --threads 3)" = '3 '
refuses resect-strip --precision bf16 m.onnx # a proof is one of float32

# Bytes: those of the reference kernels do not depend on the threads, and are not those of the fast ones.
calibrated() {
        resect-fold --unfold --data data folded.onnx --quiet --no-history "$@"
}
calibrated --kernels reference --threads 1 -o r1.onnx
calibrated --kernels reference --threads 3 -o r3.onnx
same r1.onnx r3.onnx
OMP_NUM_THREADS=2 calibrated --kernels reference -o r2.onnx
same r1.onnx r2.onnx
if [ -n "$fast" ]; then
        calibrated --kernels fast -o f.onnx
        check 'other kernels, other bits' sh -c '! cmp -s f.onnx r1.onnx'
fi
finish
