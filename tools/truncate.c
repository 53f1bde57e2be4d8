/* SPDX-License-Identifier: 0BSD */
/* resect-truncate: lib/edit/truncate.c at the command line. */
#include "cli.h"

int
main(int argc, char **argv)
{
        return cli_edit_main(argc, argv, "truncate");
}
