# SPDX-License-Identifier: 0BSD
check_PROGRAMS += tests/unit/test_onnx_roundtrip
tests_unit_test_onnx_roundtrip_SOURCES = tests/unit/test_onnx_roundtrip.c tests/unit/unit.h tests/unit/scratch.h tests/unit/onnx_make.h
tests_unit_test_onnx_roundtrip_LDADD = $(UNIT_LIBS)

check_PROGRAMS += tests/unit/test_onnx_faults
tests_unit_test_onnx_faults_SOURCES = tests/unit/test_onnx_faults.c tests/unit/unit.h tests/unit/scratch.h tests/unit/onnx_make.h
tests_unit_test_onnx_faults_LDADD = $(UNIT_LIBS)

ONNX_HOSTILE = tests/unit/unit.h tests/unit/scratch.h tests/unit/onnx_make.h tests/unit/onnx_refuse.h
check_PROGRAMS += tests/unit/test_onnx_hostile_wire
tests_unit_test_onnx_hostile_wire_SOURCES = tests/unit/test_onnx_hostile_wire.c $(ONNX_HOSTILE)
tests_unit_test_onnx_hostile_wire_LDADD = $(UNIT_LIBS)
check_PROGRAMS += tests/unit/test_onnx_hostile
tests_unit_test_onnx_hostile_SOURCES = tests/unit/test_onnx_hostile.c $(ONNX_HOSTILE)
tests_unit_test_onnx_hostile_LDADD = $(UNIT_LIBS)

check_PROGRAMS += tests/unit/test_onnx_real
tests_unit_test_onnx_real_SOURCES = tests/unit/test_onnx_real.c tests/unit/unit.h
tests_unit_test_onnx_real_LDADD = $(UNIT_LIBS)
EXTRA_DIST += tests/fuzz/fuzz_onnx.c
