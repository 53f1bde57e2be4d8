# SPDX-License-Identifier: 0BSD
# Unit tests link libcore, so that they reach the parts; an area lists its programs in unit/AREA.mk:
#   check_PROGRAMS += tests/unit/test_map
#   tests_unit_test_map_SOURCES = tests/unit/test_map.c tests/unit/unit.h
#   tests_unit_test_map_LDADD = $(UNIT_LIBS)
# Shell tests are listed in cli/local.mk and peers/local.mk; they find the tools through $RESECT_BIN.
UNIT_LIBS = libcore.la $(CHECK_LIBS)
AM_CFLAGS += $(CHECK_CFLAGS)
TEST_EXTENSIONS = .sh
# Real models and pictures are in $RESECT_REAL, or in a folder real/ of a neighbour of the source's; tests that want them skip without.
# It is found here and exported, so that distcheck's copy of the source, which has other neighbours, looks in the same place.
RESECT_REAL ?= $(firstword $(wildcard $(abs_top_srcdir)/../*/real))
export RESECT_REAL
# A test runs on one thread unless it says otherwise: make -j runs several tests at once, and threads that wait for each other on
# a busy machine take many times as long. Kernels chosen by timing are remembered in a folder of the build.
AM_TESTS_ENVIRONMENT = \
	OMP_NUM_THREADS=$${OMP_NUM_THREADS-1}; export OMP_NUM_THREADS; \
	OMP_WAIT_POLICY=$${OMP_WAIT_POLICY-passive}; export OMP_WAIT_POLICY; \
	XDG_CACHE_HOME='$(abs_top_builddir)/tests/cache'; export XDG_CACHE_HOME; \
	RESECT_BIN='$(abs_top_builddir)/tools'; export RESECT_BIN; \
	RESECT_SRC='$(abs_top_srcdir)'; export RESECT_SRC; \
	RESECT_BUILD='$(abs_top_builddir)'; export RESECT_BUILD;
if HAVE_CHECK
include tests/unit/base.mk
include tests/unit/io.mk
include tests/unit/tensor.mk
include tests/unit/model.mk
include tests/unit/onnx.mk
include tests/unit/op_heavy.mk
include tests/unit/op_light.mk
include tests/unit/plan.mk
include tests/unit/onednn.mk
include tests/unit/image.mk
include tests/unit/data.mk
include tests/unit/edit.mk
include tests/unit/look.mk
include tests/unit/train.mk
include tests/unit/trial.mk
include tests/unit/view.mk
include tests/unit/adapt.mk
include tests/unit/weights.mk
include tests/unit/weights_tf.mk
include tests/unit/weights_mx.mk
include tests/unit/probe.mk
include tests/unit/tools.mk
TESTS += $(check_PROGRAMS)
endif
# The longest come first: they start in this order, several at once, and one that began last would be waited for on one core.
dist_check_SCRIPTS += tests/peers/edits.sh tests/peers/parity.sh tests/peers/outputs.sh tests/cli/tune.sh tests/cli/convert.sh
include tests/cli/local.mk
include tests/peers/local.mk
include tests/fuzz/local.mk
include tests/bench/local.mk
TESTS += $(dist_check_SCRIPTS)

CLEANFILES += tests/cache/resect/kernels

# Everything but the comparisons with other people's programs: what the sanitizers are run on.
.PHONY: check-alone
check-alone:
	$(MAKE) check TESTS='$(filter-out tests/peers/%,$(TESTS))'
