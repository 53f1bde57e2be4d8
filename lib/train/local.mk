# SPDX-License-Identifier: 0BSD
libcore_la_SOURCES += \
	lib/train/defaults.c \
	lib/train/loss.c lib/train/loss.h \
	lib/train/optim.c lib/train/optim.h \
	lib/train/schedule.c lib/train/schedule.h
