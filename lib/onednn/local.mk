# SPDX-License-Identifier: 0BSD
# Our own kernels are there in every build, so that their tests run; without oneDNN nothing calls them.
libcore_la_SOURCES += \
	lib/onednn/blocks.c lib/onednn/blocks.h \
	lib/onednn/norm_kernels.c lib/onednn/norm_kernels.h \
	lib/onednn/onednn.h \
	lib/onednn/own.c lib/onednn/own.h \
	lib/onednn/pointconv.c lib/onednn/pointconv.h \
	lib/onednn/pointgrad.c \
	lib/onednn/pointconv_kernels.c lib/onednn/pointconv_kernels.h \
	lib/onednn/rows.c lib/onednn/rows.h lib/onednn/rows.inc.h \
	lib/onednn/share.h \
	lib/onednn/strided.c lib/onednn/strided.h \
	lib/onednn/winograd.c lib/onednn/winograd_grad.c lib/onednn/winograd_tiles.h lib/onednn/winograd.h \
	lib/onednn/winograd_kernels.c lib/onednn/winograd_kernels.h lib/onednn/winograd_tile.inc.h
if HAVE_ONEDNN
libcore_la_SOURCES += \
	lib/onednn/choose.c lib/onednn/choose.h \
	lib/onednn/conv.c \
	lib/onednn/conv_matrix.c lib/onednn/conv_matrix.h \
	lib/onednn/conv_shape.c lib/onednn/conv_shape.h \
	lib/onednn/dnn.c lib/onednn/dnn.h \
	lib/onednn/gemm.c \
	lib/onednn/lower.c lib/onednn/lower.h \
	lib/onednn/norm.c \
	lib/onednn/pointwise.c \
	lib/onednn/pool.c
else
libcore_la_SOURCES += lib/onednn/absent.c
endif
EXTRA_DIST += lib/onednn/absent.c
