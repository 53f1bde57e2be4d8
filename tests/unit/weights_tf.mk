# SPDX-License-Identifier: 0BSD
check_PROGRAMS += tests/unit/test_weights_flax
tests_unit_test_weights_flax_SOURCES = tests/unit/test_weights_flax.c tests/unit/ckpt.h tests/unit/scratch.h tests/unit/unit.h
tests_unit_test_weights_flax_LDADD = $(UNIT_LIBS)
check_PROGRAMS += tests/unit/test_weights_tf
tests_unit_test_weights_tf_SOURCES = tests/unit/test_weights_tf.c tests/unit/ckpt.h tests/unit/scratch.h tests/unit/unit.h
tests_unit_test_weights_tf_LDADD = $(UNIT_LIBS)
check_PROGRAMS += tests/unit/test_weights_tf_v1
tests_unit_test_weights_tf_v1_SOURCES = tests/unit/test_weights_tf_v1.c tests/unit/ckpt.h tests/unit/scratch.h tests/unit/unit.h
tests_unit_test_weights_tf_v1_LDADD = $(UNIT_LIBS)
check_PROGRAMS += tests/unit/test_weights_h5
tests_unit_test_weights_h5_SOURCES = tests/unit/test_weights_h5.c tests/unit/ckpt.h tests/unit/scratch.h tests/unit/unit.h
tests_unit_test_weights_h5_LDADD = $(UNIT_LIBS)
