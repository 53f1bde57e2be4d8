# SPDX-License-Identifier: 0BSD
check_PROGRAMS += tests/unit/test_op_conv
tests_unit_test_op_conv_SOURCES = tests/unit/test_op_conv.c tests/unit/op_run.h tests/unit/unit.h
tests_unit_test_op_conv_LDADD = $(UNIT_LIBS)
