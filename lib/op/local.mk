# SPDX-License-Identifier: 0BSD
libcore_la_SOURCES += \
	lib/op/arg.c \
	lib/op/binary.c \
	lib/op/cast.c \
	lib/op/clip.c \
	lib/op/concat.c \
	lib/op/constant.c \
	lib/op/dropout.c \
	lib/op/gather.c \
	lib/op/list.c lib/op/list.h \
	lib/op/move.h \
	lib/op/op.h \
	lib/op/pad.c \
	lib/op/qlinear.c \
	lib/op/quantize.c \
	lib/op/reduce.c \
	lib/op/reshape.c \
	lib/op/shape.c \
	lib/op/strided.c \
	lib/op/unary.c \
	lib/op/util.c lib/op/util.h \
	lib/op/variadic.c \
	lib/op/walk.c lib/op/walk.h \
	lib/op/where.c
# products, convolutions, normalisation, pools, softmax
libcore_la_SOURCES += \
	lib/op/conv.c \
	lib/op/convolve.c lib/op/convolve.h lib/op/convolve.inc.h \
	lib/op/gemm.c lib/op/gemm.h lib/op/gemm_kernel.inc.h \
	lib/op/gemm_pack.c lib/op/gemm_pack.h lib/op/gemm_pack.inc.h \
	lib/op/matmul.c lib/op/matmul.h lib/op/matmul.inc.h \
	lib/op/norm.c lib/op/norm.h lib/op/norm.inc.h \
	lib/op/pool.c lib/op/pool.inc.h \
	lib/op/quant_product.c \
	lib/op/softmax.c lib/op/softmax.inc.h \
	lib/op/window.c lib/op/window.h
