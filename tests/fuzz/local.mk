# SPDX-License-Identifier: 0BSD
EXTRA_DIST += tests/fuzz/run.sh tests/fuzz/fuzz_image.c tests/fuzz/seeds_image.c \
	tests/fuzz/fuzz_weights_pickle.c tests/fuzz/seeds_weights_pickle.c
