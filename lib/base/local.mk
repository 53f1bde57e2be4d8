# SPDX-License-Identifier: 0BSD
libcore_la_SOURCES += \
	lib/base/clock.c lib/base/clock.h \
	lib/base/crc32c.c lib/base/crc32c.h \
	lib/base/error.c lib/base/error.h \
	lib/base/map.c lib/base/map.h \
	lib/base/mem.c lib/base/mem.h \
	lib/base/random.c lib/base/random.h \
	lib/base/sha256.c lib/base/sha256.h \
	lib/base/threads.c lib/base/threads.h
