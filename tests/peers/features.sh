#!/bin/sh
# SPDX-License-Identifier: 0BSD
# The judges of features (lib/study) against scikit-learn and NumPy, through the shared library.
. "$RESECT_SRC/tests/peers/peers.sh"
"$PYTHON" -c 'import numpy, sklearn' 2>/dev/null || skip "$PYTHON has no scikit-learn (apt-get install python3-sklearn)"
so=$RESECT_BUILD/.libs/libresect.so
[ -e "$so" ] || skip "no shared library at $so"
if nm -D "$so" | grep -q __asan; then
        skip "the library is built with sanitizers, which Python does not load"
fi
"$PYTHON" "$here/features.py" "$so" || fail "judges of features differ"
exit $failed
