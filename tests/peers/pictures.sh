#!/bin/sh
# SPDX-License-Identifier: 0BSD
# Decoding, resizing and cropping against PIL and torchvision: made pictures, and real JPEGs where they are.
. "$RESECT_SRC/tests/peers/peers.sh"
need torch
"$PYTHON" -c 'import PIL, torchvision' 2>/dev/null || skip "no PIL or torchvision for $PYTHON"
[ -d "$REAL/pictures" ] || { echo "no real pictures at $REAL: made ones only"; REAL=; }
"$PYTHON" "$here/pictures.py" "$RESECT_BUILD/.libs/libresect.so" $REAL
