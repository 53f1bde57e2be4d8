# SPDX-License-Identifier: 0BSD
libcore_la_SOURCES += \
	lib/edit/batch.c \
	lib/edit/build.c \
	lib/edit/canon.c \
	lib/edit/cast.c lib/edit/cast.h lib/edit/cast_float.c lib/edit/cast_int8.c lib/edit/cast_layers.c lib/edit/cast_report.c lib/edit/cast_types.c \
	lib/edit/docs.c \
	lib/edit/edit.c \
	lib/edit/edit.h lib/edit/list.h \
	lib/edit/ends.c lib/edit/ends.h \
	lib/edit/extract.c \
	lib/edit/fold.c lib/edit/fold.h \
	lib/edit/freeze.c \
	lib/edit/head.c \
	lib/edit/init.c \
	lib/edit/input.c \
	lib/edit/keep.c \
	lib/edit/measure.c lib/edit/measure.h \
	lib/edit/names.c \
	lib/edit/new.c \
	lib/edit/opset.c lib/edit/opset.h lib/edit/opset_math.c lib/edit/opset_move.c lib/edit/opset_types.c lib/edit/opset_types.h \
	lib/edit/pack.c \
	lib/edit/parts.c lib/edit/parts.h \
	lib/edit/recipe.c lib/edit/recipe.h \
	lib/edit/reset.c \
	lib/edit/rewrite.h \
	lib/edit/run.h \
	lib/edit/settings.c \
	lib/edit/strip.c \
	lib/edit/surgery.c \
	lib/edit/truncate.c \
	lib/edit/unfold.c \
	lib/edit/verify.c
