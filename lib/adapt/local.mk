# SPDX-License-Identifier: 0BSD
libcore_la_SOURCES += \
	lib/adapt/adapt.c lib/adapt/adapt.h \
	lib/adapt/domain.c \
	lib/adapt/held.c lib/adapt/held.h \
	lib/adapt/labels.c \
	lib/adapt/moments.c \
	lib/adapt/shift.c \
	lib/adapt/sites.c
