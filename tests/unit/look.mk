# SPDX-License-Identifier: 0BSD
check_PROGRAMS += tests/unit/test_anatomy
tests_unit_test_anatomy_SOURCES = tests/unit/test_anatomy.c tests/unit/forms.c tests/unit/forms_int8.c tests/unit/forms.h tests/unit/unit.h
tests_unit_test_anatomy_LDADD = $(UNIT_LIBS) -lm
check_PROGRAMS += tests/unit/test_check
tests_unit_test_check_SOURCES = tests/unit/test_check.c tests/unit/forms.c tests/unit/forms_int8.c tests/unit/forms.h tests/unit/unit.h
tests_unit_test_check_LDADD = $(UNIT_LIBS) -lm
