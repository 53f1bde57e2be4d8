# SPDX-License-Identifier: 0BSD
EXTRA_DIST += schemas/onnx.proto
BUILT_SOURCES += schemas/onnx.pb-c.c schemas/onnx.pb-c.h
CLEANFILES += schemas/onnx.pb-c.c schemas/onnx.pb-c.h

# The generated code is not ours to keep free of warnings: it is a library of its own.
noinst_LTLIBRARIES += libschema.la
nodist_libschema_la_SOURCES = schemas/onnx.pb-c.c schemas/onnx.pb-c.h
libschema_la_CFLAGS = $(HARD_CFLAGS) $(PROTOBUF_C_CFLAGS)
libcore_la_LIBADD += libschema.la

schemas/onnx.pb-c.c: schemas/onnx.proto
	$(AM_V_GEN)$(MKDIR_P) schemas && $(PROTOC_C) --c_out=schemas --proto_path=$(top_srcdir)/schemas $(top_srcdir)/schemas/onnx.proto
schemas/onnx.pb-c.h: schemas/onnx.pb-c.c
