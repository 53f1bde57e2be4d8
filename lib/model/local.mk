# SPDX-License-Identifier: 0BSD
libcore_la_SOURCES += \
	lib/model/attr.c \
	lib/model/build.c \
	lib/model/frozen.c \
	lib/model/index.c \
	lib/model/meta.c \
	lib/model/model.c lib/model/model.h \
	lib/model/prune.c \
	lib/model/query.c \
	lib/model/rename.c \
	lib/model/same.c \
	lib/model/sort.c \
	lib/model/subgraph.c \
	lib/model/values.c
