# SPDX-License-Identifier: 0BSD
check_PROGRAMS += tests/unit/test_data_trees
tests_unit_test_data_trees_SOURCES = tests/unit/test_data_trees.c tests/unit/trees.h tests/unit/pictures.h tests/unit/unit.h
tests_unit_test_data_trees_LDADD = $(UNIT_LIBS) $(JPEG_LIBS) $(PNG_LIBS)

check_PROGRAMS += tests/unit/test_data_idx
tests_unit_test_data_idx_SOURCES = tests/unit/test_data_idx.c tests/unit/trees.h tests/unit/pictures.h tests/unit/unit.h
tests_unit_test_data_idx_LDADD = $(UNIT_LIBS) $(JPEG_LIBS) $(PNG_LIBS) $(ZLIB_LIBS)

check_PROGRAMS += tests/unit/test_data_loader
tests_unit_test_data_loader_SOURCES = tests/unit/test_data_loader.c tests/unit/trees.h tests/unit/pictures.h tests/unit/unit.h
tests_unit_test_data_loader_LDADD = $(UNIT_LIBS) $(JPEG_LIBS) $(PNG_LIBS)

check_PROGRAMS += tests/unit/test_data_input
tests_unit_test_data_input_SOURCES = tests/unit/test_data_input.c tests/unit/unit.h
tests_unit_test_data_input_LDADD = $(UNIT_LIBS)

check_PROGRAMS += tests/unit/test_data_npz
tests_unit_test_data_npz_SOURCES = tests/unit/test_data_npz.c tests/unit/trees.h tests/unit/pictures.h tests/unit/unit.h
tests_unit_test_data_npz_LDADD = $(UNIT_LIBS) $(JPEG_LIBS) $(PNG_LIBS) $(ZIP_LIBS)
