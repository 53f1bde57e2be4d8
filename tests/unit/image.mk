# SPDX-License-Identifier: 0BSD
check_PROGRAMS += tests/unit/test_image_zoo
tests_unit_test_image_zoo_SOURCES = tests/unit/test_image_zoo.c tests/unit/pictures.h tests/unit/unit.h
tests_unit_test_image_zoo_LDADD = $(UNIT_LIBS) $(JPEG_LIBS) $(PNG_LIBS) $(ZLIB_LIBS)

check_PROGRAMS += tests/unit/test_image_prepare
tests_unit_test_image_prepare_SOURCES = tests/unit/test_image_prepare.c tests/unit/unit.h
tests_unit_test_image_prepare_LDADD = $(UNIT_LIBS)

check_PROGRAMS += tests/unit/test_image_damage
tests_unit_test_image_damage_SOURCES = tests/unit/test_image_damage.c tests/unit/pictures.h tests/unit/unit.h
tests_unit_test_image_damage_LDADD = $(UNIT_LIBS) $(JPEG_LIBS) $(PNG_LIBS)
