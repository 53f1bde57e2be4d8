# SPDX-License-Identifier: 0BSD
libcore_la_SOURCES += \
	lib/tensor/compare.c \
	lib/tensor/dtype.c lib/tensor/dtype.h \
	lib/tensor/npy.c lib/tensor/npy.h \
	lib/tensor/npz.c \
	lib/tensor/tensor.c
