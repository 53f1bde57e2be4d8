/* SPDX-License-Identifier: 0BSD */
/* resect-cast: lib/edit/cast.c at the command line. */
#include "cli.h"

int
main(int argc, char **argv)
{
        return cli_edit_main(argc, argv, "cast");
}
