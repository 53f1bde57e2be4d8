# SPDX-License-Identifier: 0BSD
EXTRA_DIST += tests/fuzz/run.sh tests/fuzz/fuzz_image.c tests/fuzz/seeds_image.c \
	tests/fuzz/fuzz_weights_pickle.c tests/fuzz/seeds_weights_pickle.c
EXTRA_DIST += tests/fuzz/fuzz_weights.h tests/fuzz/fuzz_weights_flax.c tests/fuzz/fuzz_weights_h5.c tests/fuzz/fuzz_weights_tf.c \
	tests/fuzz/corpus
EXTRA_DIST += tests/fuzz/fuzz_weights_caffe.c tests/fuzz/fuzz_weights_mxnet.c tests/fuzz/fuzz_weights_ncnn.c
EXTRA_DIST += tests/fuzz/fuzz_weights_safetensors.c tests/fuzz/fuzz_weights_npz.c tests/fuzz/fuzz_weights_said.c
