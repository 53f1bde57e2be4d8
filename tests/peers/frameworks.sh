#!/bin/sh
# SPDX-License-Identifier: 0BSD
# Files of Keras (legacy, 2.13 and 3), TF-slim (version 1 of TensorFlow's checkpoints), Flax (transformers' and its own example) and
# PaddleClas, made after those frameworks' own code (frameworks.py: Debian has none of them): each is recognised, --into new makes a
# network of it, and that computes what the framework would.
. "$RESECT_SRC/tests/peers/peers.sh"
need torch
OMP_WAIT_POLICY=passive
export OMP_WAIT_POLICY
"$PYTHON" "$here/frameworks.py" "$tmp" 2>"$tmp/left" || {
        cat "$tmp/left"
        fail 'the files are not made'
        exit 1
}
cat "$tmp/left"

# FILE NETWORK NAMES: what is in it, by its x-NETWORK.npy and y-NETWORK.npy
reads() {
        [ -e "$tmp/$1" ] || return 0
        case $1 in
        *.h5 | *.keras) grep -q '^#define HAVE_HDF5 1' "$RESECT_BUILD/config.h" || return 0 ;;
        esac
        checked=$((checked + 1))
        rm -f "$tmp/n.onnx" "$tmp/got.npy"
        resect-convert --quiet --weights "$tmp/$1" --into new -o "$tmp/n.onnx" || {
                fail "$1: no network"
                return 0
        }
        resect-convert --list "$tmp/$1" >"$tmp/list" || fail "$1: --list"
        grep -q "^names *$3\(,.*\)*\$" "$tmp/list" || fail "$1: $(grep ^names "$tmp/list"), not $3"
        resect-run "$tmp/n.onnx" "$tmp/x-$2.npy" -o "$tmp/got.npy" >"$tmp/out" && close "$tmp/got.npy" "$tmp/y-$2.npy" 1e-5 ||
                fail "$1: other outputs than the framework's"
}
checked=0
for f in keras keras-v2; do
        reads $f.h5 $f $f
        reads $f-3.h5 $f $f
        reads $f.weights.h5 $f keras3${f#keras}
        reads $f-213.weights.h5 $f keras3${f#keras}
        reads $f.keras $f keras3${f#keras}
done
for f in slim slim-v2; do
        reads $f.ckpt $f $f
done
resect-convert --weights "$tmp/slim-v2.ckpt" --into new -o "$tmp/n.onnx" 2>"$tmp/out" && grep -q 'class 0 is the background' "$tmp/out" ||
        fail 'slim-v2: nothing is said of the class for the background'
reads flax.msgpack flax flax
reads flax-basic.msgpack flax-basic flax
reads flax-example.msgpack flax-example flax-example
reads flax-example-basic.msgpack flax-example-basic flax-example
for f in paddleclas paddleclas-vd paddleclas-18 paddleclas-18vd; do
        reads $f.pdparams $f paddleclas
done
echo "$checked files"
[ $checked -ge 4 ] || fail 'next to nothing was checked'
exit $failed
