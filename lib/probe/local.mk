# SPDX-License-Identifier: 0BSD
libcore_la_SOURCES += \
	lib/probe/features.c lib/probe/judge.c lib/probe/probe.c lib/probe/probe.h lib/probe/read.c
