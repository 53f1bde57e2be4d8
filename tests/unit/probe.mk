# SPDX-License-Identifier: 0BSD
check_PROGRAMS += tests/unit/test_features
tests_unit_test_features_SOURCES = tests/unit/test_features.c tests/unit/unit.h
tests_unit_test_features_LDADD = $(UNIT_LIBS) -lm
check_PROGRAMS += tests/unit/test_probe
tests_unit_test_probe_SOURCES = tests/unit/test_probe.c tests/unit/small_job.c tests/unit/small_job.h \
	tests/unit/forms.c tests/unit/forms_int8.c tests/unit/forms.h tests/unit/scratch.h tests/unit/unit.h
tests_unit_test_probe_LDADD = $(UNIT_LIBS) -lm
