# SPDX-License-Identifier: 0BSD
check_PROGRAMS += tests/unit/test_op_vectors
tests_unit_test_op_vectors_SOURCES = tests/unit/test_op_vectors.c tests/unit/op_graph.h tests/unit/unit.h
tests_unit_test_op_vectors_LDADD = $(UNIT_LIBS)
