# SPDX-License-Identifier: 0BSD
libcore_la_SOURCES += \
	lib/view/axis.c lib/view/channels.c lib/view/gradient.c lib/view/occlude.c lib/view/overlay.c lib/view/page.c \
	lib/view/picture.c lib/view/plot.c lib/view/plot_lines.c lib/view/plot_matrix.c lib/view/plot_rows.c lib/view/style.c \
	lib/view/text.c lib/view/view.h
