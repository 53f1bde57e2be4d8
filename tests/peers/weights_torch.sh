#!/bin/sh
# SPDX-License-Identifier: 0BSD
# PyTorch's, Paddle's and Detectron's pickles: files that torch.save, pickle and NumPy write are read by us, and files of ours by them.
. "$RESECT_SRC/tests/peers/peers.sh"
need torch
job=$RESECT_BUILD/tests/unit/test_weights_files
[ -x "$job" ] || skip "no $job (make check builds it)"
"$PYTHON" "$here/weights_torch.py" "$job" "$tmp" || fail "pickles differ"
exit $failed
