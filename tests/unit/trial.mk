# SPDX-License-Identifier: 0BSD
check_PROGRAMS += tests/unit/test_trial
tests_unit_test_trial_SOURCES = tests/unit/test_trial.c tests/unit/small_job.c tests/unit/small_job.h \
	tests/unit/forms.c tests/unit/forms_int8.c tests/unit/forms.h tests/unit/unit.h
tests_unit_test_trial_LDADD = $(UNIT_LIBS) -lm
check_PROGRAMS += tests/unit/test_planted
tests_unit_test_planted_SOURCES = tests/unit/test_planted.c tests/unit/small_job.c tests/unit/small_job.h \
	tests/unit/forms.c tests/unit/forms_int8.c tests/unit/forms.h tests/unit/unit.h
tests_unit_test_planted_LDADD = $(UNIT_LIBS) -lm
