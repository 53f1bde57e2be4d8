# SPDX-License-Identifier: 0BSD
# The tools, in the order in which `resect` lists them. A tool is one row here and its sources below; its man page is what
# it says itself (resect-NAME --man).
LOOK =
CUT =
RUN =

# What the tools share. An archive, so that a tool takes only what it uses; from the library they take what is exported.
noinst_LIBRARIES += tools/libcli.a
tools_libcli_a_SOURCES = tools/cli.h tools/cli_table.h \
	tools/cli.c tools/cli_edit.c tools/cli_help.c tools/cli_io.c tools/cli_print.c
LDADD = tools/libcli.a libresect.la $(JANSSON_LIBS)

bin_PROGRAMS += $(LOOK) $(CUT) $(RUN)
man1_MANS += $(bin_PROGRAMS:=.1)
CLEANFILES += $(man1_MANS)
