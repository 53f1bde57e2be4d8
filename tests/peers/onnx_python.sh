#!/bin/sh
# SPDX-License-Identifier: 0BSD
# Reading and writing against Python's onnx, through libresect.so itself: see onnx_python.py.
. "$RESECT_SRC/tests/peers/peers.sh"
"$PYTHON" -c 'import onnx, numpy' 2>/dev/null || skip "$PYTHON has no onnx and numpy (apt-get install python3-onnx)"
library=${RESECT_BUILD:?}/.libs/libresect.so
if nm -D "$library" | grep -q __asan; then
        skip "a library with AddressSanitizer cannot be loaded into Python"
fi
"$PYTHON" "$here/onnx_python.py" "$library" "$tmp"
