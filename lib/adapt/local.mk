# SPDX-License-Identifier: 0BSD
libcore_la_SOURCES += \
	lib/adapt/adapt.c lib/adapt/adapt.h \
	lib/adapt/held.c lib/adapt/held.h \
	lib/adapt/moments.c \
	lib/adapt/sites.c
