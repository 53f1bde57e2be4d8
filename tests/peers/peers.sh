# SPDX-License-Identifier: 0BSD
# What the peers tests share: where the peers are, and skipping when they are not. Sourced, not run.
#   $PYTHON      a Python with torch, torchvision and onnx      need torch
#   $NODE ort.js ONNX Runtime through npm's onnxruntime-node    need ort
#   $REAL        real models and pictures                       need real
set -eu
: "${RESECT_BIN:?run by make check}" "${RESECT_SRC:?}"
PATH=$RESECT_BIN:$PATH
here=$RESECT_SRC/tests/peers
PYTHON=${PYTHON:-/usr/bin/python3}
NODE=${NODE:-node}
REAL=${RESECT_REAL:-}
for d in "${NODE_PATH:-}" "${RESECT_BUILD:-.}/peers/node_modules" "$RESECT_SRC/build/peers/node_modules"; do
        if [ -n "$d" ] && [ -d "$d/onnxruntime-node" ]; then
                NODE_PATH=$d
                export NODE_PATH
                break
        fi
done
tmp=$(mktemp -d "${TMPDIR:-/tmp}/resect-peers.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' INT TERM HUP

skip() {
        echo "SKIP: $*"
        exit 77
}
fail() {
        echo "FAIL: $*"
        failed=1
}
failed=0

need() {
        for what in "$@"; do
                case $what in
                torch) "$PYTHON" -c 'import torch, torchvision, onnx' 2>/dev/null || skip "$PYTHON has no torch, torchvision and onnx (apt-get install python3-torch python3-torchvision python3-onnx)" ;;
                numpy) "$PYTHON" -c 'import numpy' 2>/dev/null || skip "$PYTHON has no numpy (apt-get install python3-numpy)" ;;
                ort) "$NODE" -e 'require("onnxruntime-node")' 2>/dev/null || skip "node has no onnxruntime-node (npm install --ignore-scripts onnxruntime-node)" ;;
                real) [ -d "$REAL/models" ] || skip "no real models and pictures: RESECT_REAL is '$REAL'" ;;
                esac
        done
}
ort() { "$NODE" "$here/ort.js" "$@"; }
# close A.npy B.npy [RTOL [TRUTH.npy]]: the largest difference against the largest magnitude of B; see close.py
close() { "$PYTHON" "$here/close.py" "$@"; }
