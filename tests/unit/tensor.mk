# SPDX-License-Identifier: 0BSD
check_PROGRAMS += tests/unit/test_dtype
tests_unit_test_dtype_SOURCES = tests/unit/test_dtype.c tests/unit/unit.h
tests_unit_test_dtype_LDADD = $(UNIT_LIBS) -lm
check_PROGRAMS += tests/unit/test_npy
tests_unit_test_npy_SOURCES = tests/unit/test_npy.c tests/unit/unit.h
tests_unit_test_npy_LDADD = $(UNIT_LIBS) $(ZIP_LIBS)
