# SPDX-License-Identifier: 0BSD
check_PROGRAMS += tests/unit/test_cli
tests_unit_test_cli_SOURCES = tests/unit/test_cli.c tests/unit/unit.h
tests_unit_test_cli_LDADD = tools/libcli.a $(UNIT_LIBS)
check_PROGRAMS += tests/unit/test_report
tests_unit_test_report_SOURCES = tests/unit/test_report.c tests/unit/fake_trial.h tests/unit/scratch.h tests/unit/unit.h \
	tools/trial_json.c tools/trial_json.h
tests_unit_test_report_LDADD = tools/libcli.a $(UNIT_LIBS) $(JANSSON_LIBS) -lm
