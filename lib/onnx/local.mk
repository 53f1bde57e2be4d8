# SPDX-License-Identifier: 0BSD
libcore_la_SOURCES += \
	lib/onnx/digest.c lib/onnx/digest.h \
	lib/onnx/encode.c lib/onnx/encode.h lib/onnx/encode_graph.c \
	lib/onnx/external.c lib/onnx/external.h \
	lib/onnx/guard.c lib/onnx/guard.h \
	lib/onnx/payload.c lib/onnx/payload.h \
	lib/onnx/read.c lib/onnx/read.h lib/onnx/read_graph.c \
	lib/onnx/scan.c lib/onnx/scan.h \
	lib/onnx/wire.c lib/onnx/wire.h \
	lib/onnx/write.c
