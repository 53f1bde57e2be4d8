# SPDX-License-Identifier: 0BSD
check_PROGRAMS += tests/unit/test_norm_kernels
tests_unit_test_norm_kernels_SOURCES = tests/unit/test_norm_kernels.c tests/unit/op_run.h tests/unit/unit.h
tests_unit_test_norm_kernels_LDADD = $(UNIT_LIBS)
check_PROGRAMS += tests/unit/test_winograd
tests_unit_test_winograd_SOURCES = tests/unit/test_winograd.c tests/unit/op_run.h tests/unit/unit.h
tests_unit_test_winograd_LDADD = $(UNIT_LIBS)
check_PROGRAMS += tests/unit/test_pointconv
tests_unit_test_pointconv_SOURCES = tests/unit/test_pointconv.c tests/unit/op_run.h tests/unit/unit.h
tests_unit_test_pointconv_LDADD = $(UNIT_LIBS)
check_PROGRAMS += tests/unit/test_fast
tests_unit_test_fast_SOURCES = tests/unit/test_fast.c tests/unit/unit.h
tests_unit_test_fast_LDADD = $(UNIT_LIBS)
