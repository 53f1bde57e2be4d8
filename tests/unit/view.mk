# SPDX-License-Identifier: 0BSD
check_PROGRAMS += tests/unit/test_view
tests_unit_test_view_SOURCES = tests/unit/test_view.c tests/unit/unit.h tests/unit/scratch.h
tests_unit_test_view_LDADD = $(UNIT_LIBS) -lm
check_PROGRAMS += tests/unit/test_see
tests_unit_test_see_SOURCES = tests/unit/test_see.c tests/unit/forms.c tests/unit/forms_int8.c tests/unit/forms.h \
	tests/unit/unit.h tests/unit/scratch.h
tests_unit_test_see_LDADD = $(UNIT_LIBS) -lm
