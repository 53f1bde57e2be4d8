/* SPDX-License-Identifier: 0BSD */
/*
 * What all tools share. A tool is one cli_tool, whose table of options stands behind --help, the
 * man page, the parser and the look-ups alike; a main() that calls cli_start first and returns
 * cli_finish(status); and between them calls of libresect. A process is one run of one tool, so the
 * state is the process's own and trouble ends it: what can go wrong here says one line on standard
 * error and exits with 2.
 *
 *     static const resect_option options[] = { { "dot", NULL, "print the graph for Graphviz" }, { 0
 * } }; static const cli_tool tool = { .name = "info", .brief = "...", .usage = "[MODEL]", .options
 * = options, .max_args = 1, .common = CLI_READ | CLI_JSON }; int main(int argc, char **argv)
 *     {
 *             cli_start(&tool, argc, argv);
 *             resect_model *m = cli_read_model(cli_arg(0));
 *             ...
 *             return cli_finish(0);
 *     }
 */
#ifndef CLI_H
#define CLI_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include "resect/resect.h"

/* Options that many tools have. --quiet, --help, --version and --man are everybody's. */
enum {
        CLI_READ = 1,   /* reads models: --base, --max-size, --allow-hard-links */
        CLI_WRITE = 2,  /* writes a model: -o, --force, --no-history */
        CLI_OUTPUT = 4, /* writes another file: -o */
        CLI_JSON = 8,   /* --json */
        CLI_RUN = 16,   /* computes: --threads, --kernels, --precision, --exact */
        CLI_SEED = 32,  /* --seed */
        CLI_VERIFY = 64, /* --verify */
        CLI_DATA = 128, /* reads DATA: --classes, --input, --skip-bad */
        CLI_COMPUTE = 256, /* computes to prove or to measure, in float32 alone: --threads, --kernels */
        CLI_THREADS = 512  /* runs no model, but has work for several threads: --threads */
};

typedef struct cli_tool {
        const char *name;             /* "info", for resect-info */
        const char *brief;            /* one line, lower case, no stop: "say what a model is" */
        const char *usage;            /* the operands: "[MODEL]" */
        const char *description;      /* paragraphs separated by blank lines; one that starts with a
                                         space is shown as it stands */
        const char *examples;         /* command lines, one a line; NULL: none */
        const resect_option *options; /* its own; ends with a name of NULL; may be NULL */
        unsigned common;              /* CLI_... */
        int min_args, max_args;       /* operands; max_args -1: any number */
        const char
                *exit_one; /* what status 1 says ("the models differ"); NULL: it is never given */
} cli_tool;

/* cli.c: the command line
 * ------------------------------------------------------------------------------------------- */

/* Parses the command line, answers --help, --version and --man, and makes signals and standard
   files safe. A tool's own option hides the common one of the same name. */
void cli_start(const cli_tool *tool, int argc, char **argv);

int cli_arg_count(void);
const char *cli_arg(int i); /* operand i, NULL past the end */

bool cli_given(
        const char *option); /* asked for an option that the table does not have, these are fatal */
const char *cli_value(const char *option);           /* the last one given, or NULL */
const char *cli_value_at(const char *option, int i); /* the i-th one given, or NULL past the end */

/* Numbers are whole words in the C locale's form; anything else, and what lies outside min ... max,
 * is fatal. */
int64_t cli_integer(const char *option, int64_t fallback, int64_t min, int64_t max);
double cli_real(const char *option, double fallback, double min, double max);
/* The place of the option's value in "auto|fast|reference", or fallback. */
int cli_choice(const char *option, int fallback, const char *choices);

/* Options (a list that ends with NULL) that go with another one alone, and those that cannot go with it: what would be ignored is
   fatal. */
void cli_belong(const char *option, const char *const *others);
void cli_exclude(const char *option, const char *const *others);

int cli_threads(void);            /* --threads; 0: all processors */
resect_kernels cli_kernels(void); /* --kernels */
resect_precision cli_precision(void); /* --precision */
/* A plan of what o asks for, computed as --threads, --kernels, --precision and --exact say; kernels that are timed meanwhile are told
   of. NULL on failure. */
resect_plan *cli_plan(resect_model *m, const resect_plan_options *o, resect_error *err);
uint64_t cli_seed(void);          /* --seed; 0 when left out */
bool cli_json(void);              /* --json */
const char *cli_output(void);     /* -o; NULL when left out or - */

/* The settings that decide what the tool does, as one line for a shell: "resect-head --classes 5
   --labels 'my file.txt'". Where things are read and written, and how loudly, is left out. */
const char *cli_history(void);

/* A word as a shell needs it to see the same; free with free. */
char *cli_quoted(const char *s);

/* main of a tool that is one edit: resect-strip is cli_edit_main(argc, argv, "strip"). */
int cli_edit_main(int argc, char **argv, const char *edit);

/* The man page of a tool whose cli_start has run, and the nearest name in a list ending with NULL
 * (NULL: none is near). */
const char *cli_nearest(const char *word, const char *const *names);

/* cli_print.c: words, tables, progress
 * ------------------------------------------------------------------------------- */

/* One line on standard error, "resect-strip: ...", and exit 2. */
_Noreturn void cli_die(const char *fmt, ...) RESECT_PRINTF(1, 2);
/* The same for a failed call; about (a file, may be NULL) is put first when the message does not
 * begin with it. */
_Noreturn void cli_fail(const char *about, const resect_error *err);
/* One line on standard error unless --quiet. */
void cli_note(const char *fmt, ...) RESECT_PRINTF(1, 2);
void cli_on_note(void *ctx, const char *line); /* a resect_on_note */

void *cli_alloc(size_t count, size_t size); /* zeroed; never NULL */
char *cli_format(const char *fmt, ...) RESECT_PRINTF(1, 2); /* the caller's to free; never NULL */

/* Text from a file made safe for a terminal: control bytes and what is not UTF-8 come out as \xNN.
   Good until the 16th next call. */
const char *cli_text(const char *s);
int cli_width(const char *s); /* columns on a terminal */

/* Numbers for people: "25.6 M", "97.8 MiB", "2 min 05 s". Good until the 16th next call. */
const char *cli_count(double n);
const char *cli_bytes(double n);
const char *cli_seconds(double s);

/* A table: columns fit their cells; a header that starts with '>' sets its column to the right. */
typedef struct cli_table cli_table;
cli_table *cli_table_make(const char *const *headers); /* ends with NULL */
void cli_cell(cli_table *t, const char *fmt, ...)
        RESECT_PRINTF(2, 3);        /* left to right, row after row; text is made safe */
void cli_table_print(cli_table *t); /* to standard output; frees it */

/* A paragraph on standard output, broken at spaces for 80 columns; its first line begins with mark ("- "), the others as far in. Made
   safe as cells are. */
void cli_paragraph(const char *mark, const char *s);

/* Prints a JSON value to standard output, indented, in the order in which it was built, and
 * releases it. */
void cli_print_json(json_t *value);
json_t *cli_json_text(
        const char *s);          /* null for NULL; what is not UTF-8 is escaped as cli_text does */
json_t *cli_json_real(double x); /* null for what is not finite */

/* Progress, on a terminal alone, from the third second on: "what  120/500 pictures  31/s  0:12
   left". Cheap to call often; less done than before, or another total, starts anew. With a total of 0 it is kernels that are timed,
   whatever is to be done with them; cli_on_timing says so for a plan of the tool's own. */
void cli_progress(const char *what, double done, double total, const char *unit);
bool cli_on_timing(void *ctx, size_t done, size_t total); /* resect_plan_options.progress */
void cli_progress_end(void);
void cli_progress_wipe(void); /* the same in a signal's handler, for a process that ends there */

/* cli_data.c: DATA, and lists
 * -------------------------------------------------------------------------------------- */

char *cli_copy(const char *text); /* from malloc */
/* "A,B,C" cut in place; more than max entries are fatal. */
size_t cli_split(char *text, const char **out /* [max] */, size_t max, const char *option);
double cli_number(const char *text, const char *option); /* anything but a number is fatal */
/* A list of numbers; 0 when the option was not given. */
size_t cli_numbers(const char *option, double *out /* [max] */, size_t max);
/* --augment into *a; false (and *a untouched) when it was not given. */
bool cli_augment(resect_augment *a);
/* --split: train, val, test or all; left out all, or val, else test, else all. An empty one is fatal. */
resect_split cli_split_of(const resect_data *d, const char *path, bool all);
/* DATA under --classes and --skip-bad, and what the tool says beside; the second: all its classes. */
resect_data *cli_open_data(const char *path, resect_data_options o);
resect_data *cli_open_pictures(const char *path, resect_data_options o);
size_t cli_per_class(void); /* --per-class; 0 when left out */
void cli_say_skipped(const resect_data *d);
/* What the model records as its input, with --input over it; false for an .npz, which takes none. */
bool cli_input(const resect_model *m, const resect_data *d, resect_input *in);

/* cli_io.c: models in and out, signals
 * ---------------------------------------------------------------------------------- */

/* --base, --max-size and --allow-hard-links. */
resect_read_options cli_read_options(void);
/* The model in a file; NULL and "-" are standard input, which must not be a terminal. */
resect_model *cli_read_model(const char *path);
/* The same for who wants to know why not: NULL with err. */
resect_model *cli_try_model(const char *path, bool skip_digest, resect_error *err);
/* Adds the history line unless --no-history, and writes to -o or standard output. */
void cli_write_model(resect_model *m);
/* Fails now rather than after the work when a file cannot be made there. cli_start has asked for -o
 * already. */
void cli_check_output(const char *path);

/* Ends the output: exit status 2 when standard output could not be written, else status. */
int cli_finish(int status);

/* From now on the first SIGINT or SIGTERM only sets cli_stopped, and work in progress can be saved;
   a second one ends the process. */
void cli_catch_stop(void);
bool cli_stopped(void);

void cli_standard_files(void); /* for cli_start */

#endif
