# SPDX-License-Identifier: 0BSD
check_PROGRAMS += tests/unit/test_edit
tests_unit_test_edit_SOURCES = tests/unit/test_edit.c tests/unit/forms.c tests/unit/forms_int8.c tests/unit/forms.h tests/unit/unit.h
tests_unit_test_edit_LDADD = $(UNIT_LIBS) -lm
check_PROGRAMS += tests/unit/test_edit_oom
tests_unit_test_edit_oom_SOURCES = tests/unit/test_edit_oom.c tests/unit/forms.c tests/unit/forms_int8.c tests/unit/forms.h tests/unit/unit.h
tests_unit_test_edit_oom_LDADD = $(UNIT_LIBS) -lm
check_PROGRAMS += tests/unit/test_cast
tests_unit_test_cast_SOURCES = tests/unit/test_cast.c tests/unit/forms.c tests/unit/forms_int8.c tests/unit/forms.h tests/unit/unit.h
tests_unit_test_cast_LDADD = $(UNIT_LIBS) -lm
