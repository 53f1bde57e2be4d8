/* SPDX-License-Identifier: 0BSD */
/* What the files of cli share among themselves: the process's one command line. */
#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include "cli.h"

struct cli_state {
        const cli_tool *tool;
        resect_option *options; /* [n_options] the tool's own, then the common ones */
        size_t n_options, n_own;
        resect_setting *settings; /* [n_settings] in the order given */
        size_t n_settings;
        const char **args;
        int n_args;
        bool quiet;
        char *history;
};

const struct cli_state *cli_state(void); /* tool is NULL before cli_start */

/* As if the option, which the table must have, were given once more; one call a process. */
void cli_set(const char *option, const char *value);

const char *cli_program(void); /* "resect-strip" */
void cli_print_help(void);
void cli_print_man(void);

#endif
