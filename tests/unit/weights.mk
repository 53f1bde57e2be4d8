# SPDX-License-Identifier: 0BSD
check_PROGRAMS += tests/unit/test_zip
tests_unit_test_zip_SOURCES = tests/unit/test_zip.c tests/unit/unit.h tests/unit/scratch.h
tests_unit_test_zip_LDADD = $(UNIT_LIBS) $(ZIP_LIBS)

check_PROGRAMS += tests/unit/test_names
tests_unit_test_names_SOURCES = tests/unit/test_names.c tests/unit/unit.h
tests_unit_test_names_LDADD = $(UNIT_LIBS)

check_PROGRAMS += tests/unit/test_convert
tests_unit_test_convert_SOURCES = tests/unit/test_convert.c tests/unit/unit.h tests/unit/scratch.h
tests_unit_test_convert_LDADD = $(UNIT_LIBS)

check_PROGRAMS += tests/unit/test_safetensors
tests_unit_test_safetensors_SOURCES = tests/unit/test_safetensors.c tests/unit/unit.h tests/unit/scratch.h tests/unit/ckpt.h
tests_unit_test_safetensors_LDADD = $(UNIT_LIBS) $(ZIP_LIBS)

check_PROGRAMS += tests/unit/test_weights_files
tests_unit_test_weights_files_SOURCES = tests/unit/test_weights_files.c tests/unit/unit.h
tests_unit_test_weights_files_LDADD = $(UNIT_LIBS)

check_PROGRAMS += tests/unit/test_weights_pickle
tests_unit_test_weights_pickle_SOURCES = tests/unit/test_weights_pickle.c tests/unit/pickles.h tests/unit/unit.h
tests_unit_test_weights_pickle_LDADD = $(UNIT_LIBS) $(ZLIB_LIBS)
