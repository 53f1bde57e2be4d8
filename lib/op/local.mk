# SPDX-License-Identifier: 0BSD
libcore_la_SOURCES += \
	lib/op/binary.c \
	lib/op/constant.c \
	lib/op/list.c lib/op/list.h \
	lib/op/move.h \
	lib/op/op.h \
	lib/op/reshape.c \
	lib/op/unary.c \
	lib/op/util.c lib/op/util.h \
	lib/op/walk.c lib/op/walk.h
