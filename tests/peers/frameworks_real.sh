#!/bin/sh
# SPDX-License-Identifier: 0BSD
# Files of real frameworks, torchvision, timm, transformers, Flax, and of the libraries safetensors, msgpack and h5py, both ways; each that is
# absent is named (frameworks_real.py).
. "$RESECT_SRC/tests/peers/peers.sh"
need numpy
OMP_WAIT_POLICY=passive
export OMP_WAIT_POLICY
"$PYTHON" "$here/frameworks_real.py" "$tmp" || fail "a framework and we do not agree"
exit $failed
