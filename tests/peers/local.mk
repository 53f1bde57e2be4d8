# SPDX-License-Identifier: 0BSD
# Against ONNX Runtime, PyTorch, NumPy and real files. Each test skips, and says so, where its peer is absent.
dist_check_SCRIPTS += \
	tests/peers/outputs.sh \
	tests/peers/real.sh
EXTRA_DIST += \
	tests/peers/close.py \
	tests/peers/export.py \
	tests/peers/ort.js \
	tests/peers/peers.sh
