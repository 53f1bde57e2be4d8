# SPDX-License-Identifier: 0BSD
libcore_la_SOURCES += \
	lib/study/auc.c \
	lib/study/crossed.c lib/study/crossed.h \
	lib/study/features.c lib/study/features.h \
	lib/study/knn.c \
	lib/study/logistic.c \
	lib/study/logme.c \
	lib/study/metrics.c lib/study/metrics.h \
	lib/study/permute.c \
	lib/study/predict.c lib/study/predict.h \
	lib/study/rank.c \
	lib/study/resample.c \
	lib/study/softmax.c lib/study/softmax.h
