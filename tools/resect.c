/* SPDX-License-Identifier: 0BSD */
/*
 * resect: the door to the tools. Alone it lists them; with a verb it becomes resect-VERB, which is
 * looked for beside this program first, so that two versions do not mix, and then on PATH, so that
 * anyone can add a tool.
 */
#include "cli.h"
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct {
        const char *name, *brief; /* a brief of NULL is a heading */
} tools[] = {
#define GROUP(title) {title, NULL},
#define TOOL(name, brief) {name, brief},
#include "tools/list.h"
};
enum { N_TOOLS = sizeof tools / sizeof *tools };

static const cli_tool tool = {
        .name = "",
        .brief = "cut, graft, run, fine-tune and judge ONNX residual networks",
        .usage = "[VERB [ARGUMENT]...]",
        .description = "Without a verb, lists the tools. With one, runs resect-VERB with the "
                       "arguments that follow; it is "
                       "looked for beside this program and then on PATH.\n\n"
                       "resect help VERB prints what resect-VERB --help does.",
        .examples = "resect\n"
                    "resect info model.onnx\n"
                    "resect help strip\n"
                    "resect strip < resnet101.onnx | resect head --classes 5 > new.onnx",
        .max_args = -1,
};

static void
list(void)
{
        for (int i = 0; i < N_TOOLS; i++)
                if (tools[i].brief)
                        printf("  %-10s %s\n", tools[i].name, tools[i].brief);
                else
                        printf("%s%s\n", i ? "\n" : "", tools[i].name);
        puts("\n'resect VERB ...' runs resect-VERB; 'resect help VERB' says what it takes.");
}

static _Noreturn void
die_unknown(const char *verb)
{
        const char *names[N_TOOLS + 1];
        const char *near;
        int n = 0;

        for (int i = 0; i < N_TOOLS; i++)
                if (tools[i].brief)
                        names[n++] = tools[i].name;
        names[n] = NULL;
        near = cli_nearest(verb, names);
        if (near)
                cli_die("no tool resect-%s; did you mean %s?", verb, near);
        cli_die("no tool resect-%s; 'resect' lists them", verb);
}

/* Becomes resect-VERB with the arguments of argv after argv[0]. */
static _Noreturn void
become(const char *verb, char **argv)
{
        char path[PATH_MAX + 64], name[64];
        ssize_t n = readlink("/proc/self/exe", path, PATH_MAX);
        char *slash;

        if (!*verb || strspn(verb, "abcdefghijklmnopqrstuvwxyz0123456789-") != strlen(verb) ||
                strlen(verb) > 40)
                die_unknown(verb);
        snprintf(name, sizeof name, "resect-%s", verb);
        argv[0] = name;
        path[n > 0 ? n : 0] = 0;
        slash = strrchr(path, '/');
        if (slash) {
                strcpy(slash + 1, name);
                execv(path, argv);
        }
        execvp(name, argv);
        if (errno == ENOENT)
                die_unknown(verb);
        cli_die("%s: %s", name, strerror(errno));
}

int
main(int argc, char **argv)
{
        bool help = argc > 1 && !strcmp(argv[1], "help");

        /* Options before the verb are ours, those after it are the tool's. */
        cli_start(&tool, argc > 1 && argv[1][0] == '-' ? argc : 1, argv);
        if (cli_arg_count())
                cli_die("options come after the verb: resect VERB [OPTION]...");
        if (help && argc > 2)
                become(argv[2], (char *[]){NULL, (char[]){"--help"}, NULL});
        if (argc > 1 && argv[1][0] != '-' && !help)
                become(argv[1], argv + 1);
        list();
        return cli_finish(0);
}
