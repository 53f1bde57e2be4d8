# SPDX-License-Identifier: 0BSD
check_PROGRAMS += tests/unit/test_adapt
tests_unit_test_adapt_SOURCES = tests/unit/test_adapt.c tests/unit/small_job.c tests/unit/small_job.h \
	tests/unit/forms.c tests/unit/forms_int8.c tests/unit/forms.h tests/unit/unit.h
tests_unit_test_adapt_LDADD = $(UNIT_LIBS) -lm
