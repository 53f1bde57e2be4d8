# SPDX-License-Identifier: 0BSD
check_PROGRAMS += tests/unit/test_cli
tests_unit_test_cli_SOURCES = tests/unit/test_cli.c tests/unit/unit.h
tests_unit_test_cli_LDADD = tools/libcli.a $(UNIT_LIBS)
