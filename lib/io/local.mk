# SPDX-License-Identifier: 0BSD
libcore_la_SOURCES += \
	lib/io/beneath.c lib/io/beneath.h \
	lib/io/bulk.c lib/io/bulk.h \
	lib/io/confined.c lib/io/confined.h \
	lib/io/fd.c lib/io/fd.h \
	lib/io/flush.c lib/io/flush.h \
	lib/io/gunzip.c lib/io/gunzip.h \
	lib/io/input.c lib/io/input.h \
	lib/io/output.c lib/io/output.h \
	lib/io/zip.c lib/io/zip.h
