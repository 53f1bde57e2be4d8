#!/bin/sh
# SPDX-License-Identifier: 0BSD
# make bench: run.sh [SECTION]... prints one table of ratios, each against the peer in the same run; bench.py says how. Sections: pipe convert
# forward train head peak files scale; without one, all. Peers: ONNX Runtime (npm's onnxruntime-node, in NODE_PATH, or Python's onnxruntime),
# PyTorch and torchvision ($PYTHON, or python3).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
RESECT_BUILD=${RESECT_BUILD:-$PWD}
RESECT_BIN=${RESECT_BIN:-$RESECT_BUILD/tools}
export RESECT_BUILD RESECT_BIN
for python in "${PYTHON:-python3}" /usr/bin/python3 python3; do # the one that has PyTorch, if any
        "$python" -c 'import torch, torchvision' 2>/dev/null && break
done
BENCH_PYTHON=$python
export BENCH_PYTHON
[ $# -gt 0 ] || set -- pipe convert forward train head peak files scale
if [ "$1" = pipe ]; then
        shift
        sh "$here/pipe.sh"
        [ $# -gt 0 ] || exit 0
fi
if ! command -v "$python" >/dev/null; then
        echo 'bench: everything but the pipe SKIPPED: no python3, which runs it'
        exit 0
fi
exec "$python" "$here/bench.py" "$@"
