/* SPDX-License-Identifier: 0BSD */
/* resect-new: lib/edit/new.c at the command line. */
#include "cli.h"

int
main(int argc, char **argv)
{
        return cli_edit_main(argc, argv, "new");
}
