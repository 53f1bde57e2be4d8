#!/bin/sh
# SPDX-License-Identifier: 0BSD
# Means over seeds and pictures, tests and ranks of lib/study against SciPy and NumPy, through the shared library.
. "$RESECT_SRC/tests/peers/peers.sh"
"$PYTHON" -c 'import numpy, scipy' 2>/dev/null || skip "$PYTHON has no SciPy (apt-get install python3-scipy)"
so=$RESECT_BUILD/.libs/libresect.so
[ -e "$so" ] || skip "no shared library at $so"
if nm -D "$so" | grep -q __asan; then
        skip "the library is built with sanitizers, which Python does not load"
fi
"$PYTHON" "$here/crossed.py" "$so" || fail "statistics differ"
exit $failed
