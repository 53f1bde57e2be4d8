# SPDX-License-Identifier: 0BSD
libcore_la_SOURCES += \
	lib/op/list.c lib/op/list.h \
	lib/op/op.h \
	lib/op/util.c lib/op/util.h
