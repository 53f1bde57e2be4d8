#!/bin/sh
# SPDX-License-Identifier: 0BSD
# Malicious checkpoints of every format, as files and through pipes: refused in one line, quickly, in little memory; nothing is run.
. "$RESECT_SRC/tests/peers/peers.sh"
need numpy
mkdir "$tmp/s"
"$PYTHON" "$here/hostile.py" "$tmp/s" >"$tmp/list" || fail "the files could not be made"
"$PYTHON" "$here/hostile_run.py" "$tmp/s" "$tmp/list" "$tmp" || fail "malicious checkpoints"
exit $failed
