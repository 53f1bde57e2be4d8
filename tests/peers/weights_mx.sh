#!/bin/sh
# SPDX-License-Identifier: 0BSD
# MXNet's, ncnn's and Caffe's files of a small ResNet with random BatchNormalizations, read by others: OpenCV runs the .caffemodel; a reader
# in NumPy knows the .params; PyTorch runs ncnn's words. OpenCV's own halves are read.
. "$(dirname "$0")/peers.sh"
need torch
py() { "$PYTHON" "$here/weights_mx.py" "$@" || fail "$*"; }
py make "$tmp"
m=$tmp/model.onnx
cd "$tmp" || exit 99

resect-convert "$m" --to mxnet --variant-from model -o mx.params || fail "to mxnet"
py mxnet mx.params "$tmp"

resect-convert "$m" --to ncnn -o n.param || fail "to ncnn"
grep -q '^BatchNorm ' n.param || fail "ncnn: BatchNorm is gone"
py ncnn n.param "$tmp" 1e-5
resect-convert "$m" --to ncnn --dtype float16 -o h.param || fail "to ncnn, halves"
py ncnn h.param "$tmp" 1e-2
resect-fold --bn "$m" >folded.onnx || fail "fold"
resect-convert folded.onnx --to ncnn -o f.param || fail "to ncnn, folded"
! grep -q '^BatchNorm ' f.param || fail "ncnn: a BatchNorm is left"
py ncnn f.param "$tmp" 1e-5

# v1 networks are what these names are for: what is v1.5 is refused unless one insists
resect-convert "$m" --to caffe -o no.caffemodel 2>err && fail "v1.5 weights as Caffe's v1"
grep -q 'variant-from' err || fail "the refusal says nothing of --variant-from"
[ ! -e no.caffemodel ] || fail "a refused file is there"
resect-convert "$m" --to caffe --variant-from model -o c.caffemodel || fail "to caffe"
resect-convert "$m" --to caffe --variant-from model --dtype float16 -o ch.caffemodel || fail "to caffe, halves"
if "$PYTHON" -c 'import cv2' 2>/dev/null; then
        py caffe c.caffemodel "$tmp" 1e-5
        py caffe ch.caffemodel "$tmp" 1e-2
        py shrink c.caffemodel s.caffemodel
        resect-convert --weights c.caffemodel --to npz -o c.npz && resect-convert --weights s.caffemodel --to npz -o s.npz || fail "to npz"
        py halves c.npz s.npz
else
        echo "not done: $PYTHON has no cv2 (apt-get install python3-opencv): nobody else read the .caffemodel"
fi

# and back, each into the graph it came from, with other weights in it
resect-reset --match '*' --seed 1 "$m" >other.onnx || fail reset
for f in mx.params n.param c.caffemodel; do
        resect-convert --weights $f --into other.onnx --variant-from model >back.onnx || fail "$f into a model"
        resect-diff --only weights "$m" back.onnx || fail "$f: other weights came back"
done
exit $failed
