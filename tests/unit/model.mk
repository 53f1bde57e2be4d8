# SPDX-License-Identifier: 0BSD
check_PROGRAMS += tests/unit/test_model
tests_unit_test_model_SOURCES = tests/unit/test_model.c tests/unit/unit.h
tests_unit_test_model_LDADD = $(UNIT_LIBS)
