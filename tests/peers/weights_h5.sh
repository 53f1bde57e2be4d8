#!/bin/sh
# SPDX-License-Identifier: 0BSD
# Keras's HDF5 against h5py (Debian has no Keras): what h5py writes is read, what is written is what Keras's loader would look for,
# in its order; a file that reaches out of itself is refused; a real file gives the tensors that it is known to hold.
. "$RESECT_SRC/tests/peers/peers.sh"
"$PYTHON" -c 'import h5py, numpy' 2>/dev/null || skip "$PYTHON has no h5py (apt-get install python3-h5py)"
grep -q '^#define HAVE_HDF5 1' "$RESECT_BUILD/config.h" || skip 'built without libhdf5 (apt-get install libhdf5-dev)'
h5() { "$PYTHON" "$here/weights_h5.py" "$@"; }

h5 make "$tmp" || fail 'h5py cannot make the files'
for f in plain latest chunks big keras; do
        rm -f "$tmp/o.npz"
        resect-convert --quiet --weights "$tmp/$f.h5" --to npz -o "$tmp/o.npz" || fail "$f.h5 is not read"
        h5 same "$tmp" "$tmp/o.npz" || fail "$f.h5: other tensors than h5py wrote"
done
resect-convert --quiet --weights - --to npz -o "$tmp/o.npz" <"$tmp/keras.h5" && h5 same "$tmp" "$tmp/o.npz" || fail 'standard input'
resect-convert --list "$tmp/keras.h5" >"$tmp/list" 2>&1 || [ $? -eq 1 ] || fail 'keras.h5: --list'
grep -q 'keras_version: 2.2.4' "$tmp/list" || fail 'keras_version is not told'
tried=0
for f in "$tmp"/bad-*.h5; do
        tried=$((tried + 1))
        status=0
        timeout 120 resect-convert --quiet --weights "$f" --to npz -o "$tmp/bad.npz" 2>"$tmp/err" || status=$?
        [ $status -eq 2 ] || fail "${f##*/}: status $status: $(cat "$tmp/err")"
        [ "$(wc -l <"$tmp/err")" -eq 1 ] || fail "${f##*/}: $(cat "$tmp/err")"
        [ ! -e "$tmp/bad.npz" ] || fail "${f##*/}: something was written"
        grep -q 'crashed' "$tmp/err" && echo "note: $(cat "$tmp/err")"
done
[ $tried -eq 13 ] || fail "$tried hostile files, not 13"

for v in v1 v2; do
        suffix=
        [ $v = v1 ] || suffix=-v2
        resect-new resnet50 --variant $v --quiet -o "$tmp/r.onnx" &&
                resect-convert --quiet --variant-from model "$tmp/r.onnx" --to "h5:keras$suffix" -o "$tmp/r.h5" &&
                resect-convert --quiet --variant-from model "$tmp/r.onnx" --to "h5:keras3$suffix" -o "$tmp/r.weights.h5" ||
                fail "$v is not written"
        h5 keras "$tmp" $v || fail "$v: not what Keras reads"
        for f in r.h5 r.weights.h5; do
                resect-convert --list "$tmp/$f" >"$tmp/list" || fail "$v: $f is not recognised"
                grep -q "^names *keras3*$suffix\$" "$tmp/list" || fail "$v: $f: $(grep ^names "$tmp/list")"
                grep -q "resnet50" "$tmp/list" || fail "$v: $f: $(grep ^network "$tmp/list")"
        done
done

if [ -f "$REAL/checkpoints/cifar10_ResNet20v1_model.h5" ]; then
        resect-convert --quiet --weights "$REAL/checkpoints/cifar10_ResNet20v1_model.h5" --to npz -o "$tmp/real.npz" &&
                "$PYTHON" "$here/tensors.py" "$REAL/checkpoints/tensors.tsv" cifar10_ResNet20v1_model.h5 "$tmp/real.npz" ||
                fail 'cifar10_ResNet20v1_model.h5: other tensors than it holds'
        resect-convert --list "$REAL/checkpoints/cifar10_ResNet20v1_model.h5" | grep -q 'resnet20' ||
                fail 'cifar10_ResNet20v1_model.h5 is not known as a ResNet-20'
else
        echo "not checked, for it is not there: $REAL/checkpoints/cifar10_ResNet20v1_model.h5"
fi
exit $failed
