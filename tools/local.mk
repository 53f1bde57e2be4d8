# SPDX-License-Identifier: 0BSD
# The tools, in the order in which `resect` lists them. A tool is a row here and a row for its sources below; its man page is
# what it says itself (resect-NAME --man), and `resect` lists it by the NAME section of that.
LOOK =
CUT =
RUN =
MOVE =
KNOW =
LOOK += tools/resect-info
LOOK += tools/resect-check
LOOK += tools/resect-diff
CUT += tools/resect-new
CUT += tools/resect-strip
CUT += tools/resect-head
CUT += tools/resect-truncate
CUT += tools/resect-reset
CUT += tools/resect-freeze
CUT += tools/resect-fold
CUT += tools/resect-edit
CUT += tools/resect-cast
CUT += tools/resect-pack
MOVE += tools/resect-convert
RUN += tools/resect-run
RUN += tools/resect-tune
RUN += tools/resect-eval
KNOW += tools/resect-probe
KNOW += tools/resect-trial
KNOW += tools/resect-see
KNOW += tools/resect-shift
KNOW += tools/resect-adapt

bin_PROGRAMS += tools/resect $(LOOK) $(CUT) $(MOVE) $(RUN) $(KNOW)

tools_resect_adapt_SOURCES = tools/adapt.c
tools_resect_cast_SOURCES = tools/cast.c
tools_resect_check_SOURCES = tools/check.c
tools_resect_convert_SOURCES = tools/convert.c
tools_resect_diff_SOURCES = tools/diff.c tools/diff.h tools/diff_graph.c tools/diff_print.c tools/diff_run.c \
	tools/diff_weights.c tools/look.c tools/look.h
tools_resect_edit_SOURCES = tools/edit.c
tools_resect_eval_SOURCES = tools/eval.c
tools_resect_fold_SOURCES = tools/fold.c
tools_resect_freeze_SOURCES = tools/freeze.c
tools_resect_head_SOURCES = tools/head.c
tools_resect_info_SOURCES = tools/info.c tools/info.h tools/info_dot.c tools/info_json.c tools/info_plan.c \
	tools/info_tensors.c tools/look.c tools/look.h
tools_resect_new_SOURCES = tools/new.c
tools_resect_pack_SOURCES = tools/pack.c
tools_resect_probe_SOURCES = tools/probe.c
tools_resect_reset_SOURCES = tools/reset.c
tools_resect_run_SOURCES = tools/run.c tools/run.h tools/run_time.c tools/run_vectors.c
tools_resect_see_SOURCES = tools/see.c tools/see.h tools/see_out.c tools/see_picture.c tools/see_study.c
tools_resect_shift_SOURCES = tools/shift.c tools/shift.h tools/shift_page.c tools/shift_show.c tools/shift_words.c
tools_resect_strip_SOURCES = tools/strip.c
tools_resect_trial_SOURCES = tools/trial.c tools/trial_json.c tools/trial_json.h
tools_resect_truncate_SOURCES = tools/truncate.c
tools_resect_tune_SOURCES = tools/tune.c tools/tune.h tools/tune_log.c

# What the tools share. An archive, so that a tool takes only what it uses; of the library they see what is exported.
noinst_LIBRARIES += tools/libcli.a
tools_libcli_a_SOURCES = tools/cli.h tools/cli_table.h \
	tools/cli.c tools/cli_data.c tools/cli_edit.c tools/cli_help.c tools/cli_io.c tools/cli_print.c
LDADD = tools/libcli.a libresect.la $(JANSSON_LIBS)

PAGES = $(LOOK:=.1) $(CUT:=.1) $(MOVE:=.1) $(RUN:=.1) $(KNOW:=.1)
man1_MANS += tools/resect.1 $(PAGES)
CLEANFILES += tools/resect.1 $(PAGES) tools/list.h
tools/%.1: tools/%$(EXEEXT)
	$(AM_V_GEN)tools/$* --man > $@.new && mv $@.new $@

tools_resect_SOURCES = tools/resect.c
nodist_tools_resect_SOURCES = tools/list.h
tools/resect.$(OBJEXT): tools/list.h
LIST_ROW = sed -n 's/\\(aq/'"'"'/g; s/^resect\\-\([a-z]*\) \\- \(.*\)/TOOL("\1", "\2")/; s/\\-/-/g; /^TOOL/p'
tools/list.h: $(PAGES)
	$(AM_V_GEN){ echo 'GROUP("Look")'; $(LIST_ROW) $(LOOK:=.1) /dev/null; \
		echo 'GROUP("Cut and graft")'; $(LIST_ROW) $(CUT:=.1) /dev/null; \
		echo 'GROUP("Weights to and from other frameworks")'; $(LIST_ROW) $(MOVE:=.1) /dev/null; \
		echo 'GROUP("Run and train")'; $(LIST_ROW) $(RUN:=.1) /dev/null; \
		echo 'GROUP("Know")'; $(LIST_ROW) $(KNOW:=.1) /dev/null; } > $@.new && mv $@.new $@
