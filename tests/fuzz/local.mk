# SPDX-License-Identifier: 0BSD
EXTRA_DIST += tests/fuzz/run.sh tests/fuzz/fuzz_image.c tests/fuzz/seeds_image.c
