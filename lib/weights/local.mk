# SPDX-License-Identifier: 0BSD
libcore_la_SOURCES += \
	lib/weights/checkpoint.c lib/weights/weights.h \
	lib/weights/format.c lib/weights/formats.h \
	lib/weights/json.c lib/weights/json.h \
	lib/weights/names_torchvision.c \
	lib/weights/npz.c \
	lib/weights/permute.c \
	lib/weights/safetensors.c \
	lib/weights/scheme.c lib/weights/schemes.h
