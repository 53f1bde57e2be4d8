# SPDX-License-Identifier: 0BSD
libcore_la_SOURCES += \
	lib/train/cache.c lib/train/cache.h \
	lib/train/defaults.c \
	lib/train/feed.c lib/train/feed.h \
	lib/train/findlr.c \
	lib/train/identity.c \
	lib/train/loss.c lib/train/loss.h \
	lib/train/net.c lib/train/net.h \
	lib/train/optim.c lib/train/optim.h \
	lib/train/phase.c \
	lib/train/run.c lib/train/run.h \
	lib/train/schedule.c lib/train/schedule.h \
	lib/train/stages.c lib/train/stages.h \
	lib/train/state.c lib/train/state.h \
	lib/train/step.c \
	lib/train/trainer.c \
	lib/train/untie.c \
	lib/train/untrained.c
