#!/bin/sh
# SPDX-License-Identifier: 0BSD
# Operators as later opsets define them (to 22), and com.microsoft's additions and pools, on random data, against ONNX Runtime.
. "$RESECT_SRC/tests/peers/peers.sh"
need torch ort

"$PYTHON" "$here/opsets.py" make "$tmp"
"$NODE" "$here/ort_folders.js" "$tmp" 2>/dev/null
"$PYTHON" "$here/opsets.py" finish "$tmp"
resect-run --vectors "$tmp" --rtol 1e-4 --atol 1e-5 >"$tmp.out" || failed=1
cat "$tmp.out"
passed=$(sed -n 's/^\([0-9]*\) passed, .*/\1/p' "$tmp.out")
rm "$tmp.out"
[ "$passed" -ge 180 ] || fail "only $passed cases ran"
exit $failed
