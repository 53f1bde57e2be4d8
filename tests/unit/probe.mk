# SPDX-License-Identifier: 0BSD
check_PROGRAMS += tests/unit/test_features
tests_unit_test_features_SOURCES = tests/unit/test_features.c tests/unit/unit.h
tests_unit_test_features_LDADD = $(UNIT_LIBS) -lm
