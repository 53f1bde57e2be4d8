# SPDX-License-Identifier: 0BSD
libcore_la_SOURCES += \
	lib/exec/backward.c lib/exec/exec.c lib/exec/exec.h lib/exec/frontier.c lib/exec/inside.h \
	lib/exec/make.c lib/exec/weights.c
