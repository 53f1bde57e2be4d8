# SPDX-License-Identifier: 0BSD
libcore_la_SOURCES += \
	lib/trial/agree.c \
	lib/trial/arms.c \
	lib/trial/draw.c \
	lib/trial/journal.c \
	lib/trial/keep.c \
	lib/trial/lesson.c \
	lib/trial/restart.c \
	lib/trial/run.c \
	lib/trial/report.c lib/trial/report.h \
	lib/trial/report_plots.c \
	lib/trial/report_tables.c \
	lib/trial/say.c \
	lib/trial/search.c \
	lib/trial/trial.c lib/trial/trial.h \
	lib/trial/verdict.c lib/trial/verdict.h \
	lib/trial/words.c \
	lib/trial/work.c
