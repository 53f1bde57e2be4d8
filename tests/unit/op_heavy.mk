# SPDX-License-Identifier: 0BSD
check_PROGRAMS += tests/unit/test_op_conv tests/unit/test_op_hostile tests/unit/test_op_norm tests/unit/test_op_pool \
	tests/unit/test_op_product
tests_unit_test_op_conv_SOURCES = tests/unit/test_op_conv.c tests/unit/op_run.h tests/unit/unit.h
tests_unit_test_op_conv_LDADD = $(UNIT_LIBS)
tests_unit_test_op_hostile_SOURCES = tests/unit/test_op_hostile.c tests/unit/op_run.h tests/unit/unit.h
tests_unit_test_op_hostile_LDADD = $(UNIT_LIBS)
tests_unit_test_op_norm_SOURCES = tests/unit/test_op_norm.c tests/unit/op_run.h tests/unit/unit.h
tests_unit_test_op_norm_LDADD = $(UNIT_LIBS)
tests_unit_test_op_pool_SOURCES = tests/unit/test_op_pool.c tests/unit/op_run.h tests/unit/unit.h
tests_unit_test_op_pool_LDADD = $(UNIT_LIBS)
tests_unit_test_op_product_SOURCES = tests/unit/test_op_product.c tests/unit/op_run.h tests/unit/unit.h
tests_unit_test_op_product_LDADD = $(UNIT_LIBS)
