# SPDX-License-Identifier: 0BSD
check_PROGRAMS += tests/unit/test_io
tests_unit_test_io_SOURCES = tests/unit/test_io.c tests/unit/unit.h tests/unit/scratch.h
tests_unit_test_io_LDADD = $(UNIT_LIBS)

check_PROGRAMS += tests/unit/test_beneath
tests_unit_test_beneath_SOURCES = tests/unit/test_beneath.c tests/unit/unit.h tests/unit/scratch.h
tests_unit_test_beneath_LDADD = $(UNIT_LIBS)
