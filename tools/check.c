/* SPDX-License-Identifier: 0BSD */
/* resect-check: is the model valid? Every finding on a line of its own; exit 1 when one is an
 * error. */
#include "cli.h"

#include <string.h>

static const resect_option options[] = {
        {"strict", NULL, "count warnings as errors"},
        {0},
};

static const cli_tool tool = {
        .name = "check",
        .brief = "say whether a model is valid",
        .usage = "[MODEL]",
        .description = "Checks MODEL and prints every finding on one line: error or warning, where "
                       "(a node, value, tensor or file), and "
                       "what. Checked are names, the graph's order and completeness, operator "
                       "sets, types and shapes, what the "
                       "model declares against what its nodes make, the sizes of all values, "
                       "external data (there, long enough, without "
                       "overlaps or orphans), and resect's own metadata and digest.\n\n"
                       "Nothing is printed for a model without findings.",
        .examples = "resect-check model.onnx && echo sound\n"
                    "resect-check --base weights/ < model.onnx",
        .options = options,
        .common = CLI_READ | CLI_JSON,
        .max_args = 1,
        .exit_one = "the model is not valid",
};

struct list {
        const char *file;
        json_t *json;
        size_t errors, warnings;
};

static void
on_finding(void *ctx, const resect_finding *f)
{
        struct list *l = ctx;
        ++*(f->fatal ? &l->errors : &l->warnings);
        if (l->json) {
                json_t *o = json_object();
                json_object_set_new(o, "level", json_string(f->fatal ? "error" : "warning"));
                json_object_set_new(o, "where", cli_json_text(f->where));
                json_object_set_new(o, "what", cli_json_text(f->what));
                json_array_append_new(l->json, o);
                return;
        }
        printf("%s: %s: %s%s%s\n", cli_text(l->file), f->fatal ? "error" : "warning",
                cli_text(f->where), *f->where ? ": " : "", cli_text(f->what));
}

/* What the reader already refuses is a finding too, the only one there can be; a file that cannot
 * be had is trouble. */
static void
unreadable(struct list *l, const resect_error *err)
{
        size_t n = strlen(l->file);
        const char *what = err->msg;
        if (err->code != RESECT_FORMAT && err->code != RESECT_GRAPH)
                cli_fail(l->file, err);
        if (!strncmp(what, l->file, n) && !strncmp(what + n, ": ", 2))
                what += n + 2;
        on_finding(l, &(resect_finding){true, "", what});
}

int
main(int argc, char **argv)
{
        resect_error err;
        cli_start(&tool, argc, argv);
        const char *path = cli_arg(0);
        struct list l = {.file = !path || !strcmp(path, "-") ? "standard input" : path,
                .json = cli_json() ? json_array() : NULL};
        resect_model *m = cli_try_model(path, true, &err);
        size_t errors;
        if (!m)
                unreadable(&l, &err);
        else if (!resect_model_check(m, on_finding, &l, &errors, &err))
                cli_fail(l.file, &err);
        bool valid = !l.errors && !(cli_given("strict") && l.warnings);
        if (l.json) {
                json_t *o = json_object();
                json_object_set_new(o, "valid", json_boolean(valid));
                json_object_set_new(o, "findings", l.json);
                cli_print_json(o);
        }
        resect_model_free(m);
        return cli_finish(valid ? 0 : 1);
}
