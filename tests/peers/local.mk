# SPDX-License-Identifier: 0BSD
# Against ONNX Runtime, PyTorch, NumPy and real files. Each test skips, and says so, where its peer is absent.
dist_check_SCRIPTS += \
	tests/peers/adapt.sh \
	tests/peers/cast.sh \
	tests/peers/convert.sh \
	tests/peers/look.sh \
	tests/peers/metrics.sh \
	tests/peers/onnx_python.sh \
	tests/peers/crossed.sh \
	tests/peers/features.sh \
	tests/peers/frameworks.sh \
	tests/peers/frameworks_real.sh \
	tests/peers/convert_real.sh \
	tests/peers/hostile.sh \
	tests/peers/opsets.sh \
	tests/peers/pages.sh \
	tests/peers/pictures.sh \
	tests/peers/real.sh \
	tests/peers/see.sh \
	tests/peers/tune_real.sh \
	tests/peers/vectors.sh \
	tests/peers/versions.sh \
	tests/peers/view.sh \
	tests/peers/weights_h5.sh \
	tests/peers/weights_tf.sh \
	tests/peers/weights_mx.sh \
	tests/peers/weights_torch.sh
EXTRA_DIST += \
	tests/peers/close.py \
	tests/peers/adapt.py \
	tests/peers/cast.py \
	tests/peers/convert.py \
	tests/peers/crossed.py \
	tests/peers/edits.py \
	tests/peers/export.py \
	tests/peers/features.py \
	tests/peers/convert_real.py \
	tests/peers/hostile.py \
	tests/peers/hostile_run.py \
	tests/peers/metrics.py \
	tests/peers/npy.js \
	tests/peers/onnx_python.py \
	tests/peers/opsets.py \
	tests/peers/ort.js \
	tests/peers/ort_folders.js \
	tests/peers/pages.py \
	tests/peers/parity.py \
	tests/peers/peers.sh \
	tests/peers/pictures.py \
	tests/peers/leveldb_table.cc \
	tests/peers/see.py \
	tests/peers/tensors.py \
	tests/peers/versions.py \
	tests/peers/frameworks.py \
	tests/peers/frameworks_real.py \
	tests/peers/weights_h5.py \
	tests/peers/weights_tf.py \
	tests/peers/weights_mx.py \
	tests/peers/weights_torch.py
