# SPDX-License-Identifier: 0BSD
resectincludedir = $(includedir)/resect
resectinclude_HEADERS = \
	include/resect/adapt.h include/resect/data.h include/resect/edit.h include/resect/error.h include/resect/features.h include/resect/look.h \
	include/resect/model.h include/resect/plan.h include/resect/probe.h include/resect/resect.h include/resect/see.h include/resect/study.h \
	include/resect/tensor.h include/resect/train.h include/resect/trial.h include/resect/verdict.h include/resect/view.h include/resect/weights.h
