# SPDX-License-Identifier: 0BSD
# Speed, side by side with what it is measured against; never part of check. `make bench BENCH="forward train"` runs those sections
# alone, `make bench BENCH_WITH="chrt -r 1"` keeps a shared machine to itself.
EXTRA_PROGRAMS = tests/bench/resect_peer tests/bench/fma_peak
tests_bench_resect_peer_SOURCES = tests/bench/resect_peer.c
tests_bench_resect_peer_LDADD = libresect.la
tests_bench_fma_peak_SOURCES = tests/bench/fma_peak.c
tests_bench_fma_peak_LDADD = -lpthread
EXTRA_DIST += tests/bench/run.sh tests/bench/pipe.sh tests/bench/bench.py tests/bench/pictures.py tests/bench/torch_peer.py \
	tests/bench/ort_peer.js tests/bench/ort_peer.py tests/bench/peer.py
CLEANFILES += $(EXTRA_PROGRAMS) tests/bench/results.tsv tests/bench/results.json tests/bench/results.md

# That it measures at all is part of check.
dist_check_SCRIPTS += tests/cli/bench.sh
tests/cli/bench.log: tests/bench/resect_peer$(EXEEXT) tests/bench/fma_peak$(EXEEXT)

.PHONY: bench
bench: all $(EXTRA_PROGRAMS)
	RESECT_BIN='$(abs_top_builddir)/tools' RESECT_BUILD='$(abs_top_builddir)' BENCH_WITH='$(BENCH_WITH)' \
	RESECT_REAL="$${RESECT_REAL-$$(echo '$(abs_top_srcdir)'/../*/real)}" $(SHELL) $(srcdir)/tests/bench/run.sh $(BENCH)
