#!/bin/sh
# SPDX-License-Identifier: 0BSD
# resect-run on real models against what ONNX Runtime computed for them, and the real accuracy of the CIFAR-10 model.
. "$RESECT_SRC/tests/peers/peers.sh"
need numpy real

for name in resnet101v2-layer3 resnet20-cifar10; do
        io=$REAL/models/$name.io.npz
        set -- $("$PYTHON" -c 'import sys, numpy; print(*numpy.load(sys.argv[1]).files)' "$io")
        # a model with a batch of its own is run a row at a time by Python cutting the input
        "$PYTHON" - "$io" "$1" "$tmp" "$name" <<'P'
import sys, numpy
io, key, tmp, name = sys.argv[1:]
x = numpy.load(io)[key]
step = 1 if "cifar10" in name else len(x)
for i in range(0, len(x), step):
    numpy.save(f"{tmp}/{name}.{i:04d}.x.npy", x[i:i + step])
P
        for x in "$tmp/$name".*.x.npy; do
                resect-run "$REAL/models/$name.onnx" "$x" -o "${x%.x.npy}.y.npy" || fail "$name: resect-run"
        done
        "$PYTHON" - "$tmp" "$name" <<'P'
import glob, sys, numpy
tmp, name = sys.argv[1:]
numpy.save(f"{tmp}/{name}.npy", numpy.concatenate([numpy.load(f) for f in sorted(glob.glob(f"{tmp}/{name}.*.y.npy"))]))
P
        printf '%s: ' "$name"
        close "$tmp/$name.npy" "$io:$2" || fail "$name differs from ONNX Runtime"
done
"$PYTHON" - "$tmp/resnet20-cifar10.npy" "$REAL/pictures/cifar10-136.npz" <<'P' || fail "top-1 of resnet20-cifar10"
import sys, numpy
top1 = float((numpy.load(sys.argv[1]).argmax(1) == numpy.load(sys.argv[2])["y"]).mean())
print(f"resnet20-cifar10: top-1 {100 * top1:.1f} % (its page says 92.6 %)")
sys.exit(abs(100 * top1 - 92.6) > 0.06)
P
exit $failed
