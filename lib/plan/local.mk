# SPDX-License-Identifier: 0BSD
libcore_la_SOURCES += \
	lib/plan/fuse.c lib/plan/grad.c lib/plan/graph.c lib/plan/memory.c lib/plan/pictures.c lib/plan/plan.c lib/plan/plan.h \
	lib/plan/recompute.c
