# SPDX-License-Identifier: 0BSD
libcore_la_SOURCES += \
	lib/image/decode.c \
	lib/image/exif.c \
	lib/image/image.h \
	lib/image/jpeg.c \
	lib/image/picture.c \
	lib/image/png.c \
	lib/image/prepare.c \
	lib/image/resize.c
