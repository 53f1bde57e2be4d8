# SPDX-License-Identifier: 0BSD
libcore_la_SOURCES += \
	lib/data/build.c \
	lib/data/collect.c \
	lib/data/data.h \
	lib/data/folder.c \
	lib/data/idx.c \
	lib/data/input.c \
	lib/data/loader.c \
	lib/data/manifest.c \
	lib/data/notes.c \
	lib/data/npz.c \
	lib/data/open.c \
	lib/data/sample.c \
	lib/data/scan.c \
	lib/data/view.c
