# SPDX-License-Identifier: 0BSD
libcore_la_SOURCES += \
	lib/study/metrics.c lib/study/metrics.h \
	lib/study/predict.c lib/study/predict.h \
	lib/study/resample.c
