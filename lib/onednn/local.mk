# SPDX-License-Identifier: 0BSD
libcore_la_SOURCES += \
	lib/onednn/norm_kernels.c lib/onednn/norm_kernels.h \
	lib/onednn/rows.c lib/onednn/rows.h lib/onednn/rows.inc.h
