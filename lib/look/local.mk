# SPDX-License-Identifier: 0BSD
libcore_la_SOURCES += \
	lib/look/anatomy.c lib/look/anatomy.h \
	lib/look/blocks.c \
	lib/look/check.c lib/look/check.h \
	lib/look/check_external.c \
	lib/look/check_names.c \
	lib/look/check_nodes.c \
	lib/look/check_types.c \
	lib/look/count.c \
	lib/look/family.c \
	lib/look/kinds.c \
	lib/look/names.c \
	lib/look/stages.c \
	lib/look/tail.c \
	lib/look/trunk.c lib/look/trunk.h
