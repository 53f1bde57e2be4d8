# SPDX-License-Identifier: 0BSD
libcore_la_SOURCES += \
	lib/trial/arms.c \
	lib/trial/draw.c \
	lib/trial/journal.c \
	lib/trial/keep.c \
	lib/trial/lesson.c \
	lib/trial/restart.c \
	lib/trial/run.c \
	lib/trial/search.c \
	lib/trial/trial.c lib/trial/trial.h \
	lib/trial/work.c
