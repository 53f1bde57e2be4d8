# SPDX-License-Identifier: 0BSD
check_PROGRAMS += tests/unit/test_loss tests/unit/test_metrics
tests_unit_test_loss_SOURCES = tests/unit/test_loss.c tests/unit/unit.h
tests_unit_test_loss_LDADD = $(UNIT_LIBS) -lm
tests_unit_test_metrics_SOURCES = tests/unit/test_metrics.c tests/unit/unit.h
tests_unit_test_metrics_LDADD = $(UNIT_LIBS) -lm
check_PROGRAMS += tests/unit/test_train
tests_unit_test_train_SOURCES = tests/unit/test_train.c tests/unit/small_job.c tests/unit/small_job.h \
	tests/unit/forms.c tests/unit/forms_int8.c tests/unit/forms.h tests/unit/unit.h
tests_unit_test_train_LDADD = $(UNIT_LIBS) -lm
check_PROGRAMS += tests/unit/test_crossed
tests_unit_test_crossed_SOURCES = tests/unit/test_crossed.c tests/unit/unit.h
tests_unit_test_crossed_LDADD = $(UNIT_LIBS) -lm
check_PROGRAMS += tests/unit/test_verdict
tests_unit_test_verdict_SOURCES = tests/unit/test_verdict.c tests/unit/fake_trial.h tests/unit/scratch.h tests/unit/unit.h
tests_unit_test_verdict_LDADD = $(UNIT_LIBS) -lm
