# SPDX-License-Identifier: 0BSD
check_PROGRAMS += tests/unit/test_op_vectors tests/unit/test_gradients
tests_unit_test_op_vectors_SOURCES = tests/unit/test_op_vectors.c tests/unit/op_graph.h tests/unit/unit.h
tests_unit_test_op_vectors_LDADD = $(UNIT_LIBS)
tests_unit_test_gradients_SOURCES = tests/unit/test_gradients.c tests/unit/op_case.h tests/unit/op_cases.h tests/unit/op_run.h tests/unit/unit.h
tests_unit_test_gradients_LDADD = $(UNIT_LIBS)
check_PROGRAMS += tests/unit/test_op_spoilt
tests_unit_test_op_spoilt_SOURCES = tests/unit/test_op_spoilt.c tests/unit/op_case.h tests/unit/op_cases.h tests/unit/op_run.h tests/unit/unit.h
tests_unit_test_op_spoilt_LDADD = $(UNIT_LIBS)
check_PROGRAMS += tests/unit/test_op_threads tests/unit/test_shape
tests_unit_test_op_threads_SOURCES = tests/unit/test_op_threads.c tests/unit/op_case.h tests/unit/op_run.h tests/unit/unit.h
tests_unit_test_op_threads_LDADD = $(UNIT_LIBS)
tests_unit_test_shape_SOURCES = tests/unit/test_shape.c tests/unit/unit.h
tests_unit_test_shape_LDADD = $(UNIT_LIBS)
