/* SPDX-License-Identifier: 0BSD */
/* A tool that is one edit: its table, its words and its work all come from lib/edit. */
#include "cli.h"
#include "cli_table.h"
#include <stdlib.h>
#include <string.h>

static bool
is_edit_option(const resect_edit *edit, const char *name)
{
        for (const resect_option *o = edit->options; o && o->name; o++)
                if (!strcmp(o->name, name))
                        return true;
        return false;
}

/* The settings for the library: the edit's own as they were given, and of those that every edit
 * knows the last one, as everywhere. */
static size_t
take_settings(const resect_edit *edit, resect_setting *to)
{
        const char *threads = cli_value("threads");
        const char *kernels = edit->creates ? NULL : cli_value("kernels");
        size_t n = 0;

        for (size_t i = 0; i < cli_state()->n_settings; i++)
                if (is_edit_option(edit, cli_state()->settings[i].name))
                        to[n++] = cli_state()->settings[i];
        if (threads)
                to[n++] = (resect_setting){"threads", threads};
        if (kernels)
                to[n++] = (resect_setting){"kernels", kernels};
        if (!edit->creates && cli_given("verify"))
                to[n++] = (resect_setting){"verify", NULL};
        return n;
}

/* The lines of an edit that only reports are its result. */
static void
print_line(void *ctx, const char *line)
{
        (void)ctx;
        puts(cli_text(line));
}

/* With --json: what was said, and what was compared. */
static struct {
        json_t *notes, *verified, *figures;
} told;

static void
keep_line(void *ctx, const char *line)
{
        (void)ctx;
        json_array_append_new(told.notes, cli_json_text(line));
}

static void
keep_verified(void *ctx, const char *value, const resect_difference *d)
{
        (void)ctx;
        json_array_append_new(told.verified,
                json_pack("{s:o, s:I, s:o, s:o}", "value", cli_json_text(value), "numbers",
                        (json_int_t)d->count, "max_abs", cli_json_real(d->max_abs), "max_rel",
                        cli_json_real(d->max_rel)));
}

static void
keep_figures(void *ctx, const char *json)
{
        (void)ctx;
        json_decref(told.figures);
        told.figures = json_loads(json, 0, NULL);
}

/* Lines that are JSON together, as those of freeze --for ort; else NULL. */
static json_t *
lines_as_json(void)
{
        size_t size;
        char *text;
        FILE *f = open_memstream(&text, &size);
        json_t *j;

        if (!f)
                cli_die("out of memory");
        for (size_t i = 0; i < json_array_size(told.notes); i++)
                fprintf(f, "%s\n", json_string_value(json_array_get(told.notes, i)));
        if (fclose(f))
                cli_die("out of memory");
        j = json_loads(text, 0, NULL);
        free(text);
        return j;
}

static void
print_json(const char *verdict)
{
        json_t *whole = lines_as_json();

        if (whole) {
                json_decref(told.notes);
                json_decref(told.verified);
        } else
                whole = json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "command",
                        cli_json_text(cli_history()), "notes", told.notes, "figures",
                        told.figures ? told.figures : json_null(), "verified", told.verified,
                        "verdict", cli_json_text(verdict), "output", cli_json_text(cli_output()));
        cli_print_json(whole);
}

static void
show_progress(void *ctx, const char *what, size_t done, size_t total)
{
        (void)ctx;
        cli_progress(what, (double)done, (double)total, "pictures");
}

/* Does the message begin with a file that an option names? It is then about that one, not about the
 * model. */
static bool
is_of_option(const char *msg)
{
        for (size_t i = 0; i < cli_state()->n_settings; i++) {
                const char *value = cli_state()->settings[i].value;
                const size_t n = value ? strlen(value) : 0;

                if (n && !strncmp(msg, value, n) && (msg[n] == ':' || msg[n] == '/'))
                        return true;
        }
        return false;
}

/* A check that says no has done its work. */
static bool
is_verdict(const resect_edit *edit, const resect_error *err)
{
        return edit->no && (err->code == RESECT_GRAPH || err->code == RESECT_FORMAT);
}

/* What only reports runs and writes nothing. */
static void
refuse_for_report(void)
{
        static const char *const names[] = {
                "verify", "threads", "kernels", "output", "no-history", "force", NULL};

        for (const char *const *name = names; *name; name++)
                if (cli_given(*name))
                        cli_die("--%s has no place here: the model is looked at and stays as it is",
                                *name);
}

int
cli_edit_main(int argc, char **argv, const char *name)
{
        static cli_tool tool;
        const resect_edit *edit = resect_edit_find(name);
        resect_setting *settings;
        size_t n;
        resect_model *m;
        resect_error err;
        const char *path;
        bool reports;
        int status = 0;

        if (!edit)
                cli_die("internal error: the library has no edit '%s'", name);
        tool = (cli_tool){.name = edit->name,
                .brief = edit->brief,
                .usage = edit->creates ? "[NAME]" : "[MODEL]",
                .description = edit->description,
                .examples = edit->example,
                .options = edit->options,
                .exit_one = edit->no,
                .common = CLI_WRITE | CLI_JSON |
                          (edit->creates ? CLI_THREADS : CLI_READ | CLI_VERIFY | CLI_COMPUTE),
                .max_args = 1};
        cli_start(&tool, argc, argv);
        told.notes = json_array();
        told.verified = json_array();
        path = cli_arg(0);
        /* what is made may be named without --name */
        if (edit->creates && path)
                cli_set("name", path);

        settings = cli_alloc(cli_state()->n_settings + 1, sizeof *settings);
        n = take_settings(edit, settings);
        reports = resect_edit_reports(name, settings, n);
        if (reports)
                refuse_for_report();
        if (!reports && cli_json() && !cli_output())
                cli_die("--json: the model needs a file, -o FILE");
        if (!reports)
                cli_check_output(cli_output());

        const resect_listener to = {.note = cli_json() ? keep_line
                                            : reports  ? print_line
                                                       : cli_on_note,
                .progress = show_progress,
                .verified = keep_verified,
                .figures = cli_json() ? keep_figures : NULL};
        if (edit->creates) {
                m = resect_edit_create(name, settings, n, &to, &err);
                if (!m)
                        cli_fail(NULL, &err);
        } else {
                m = cli_read_model(path);
                if (!resect_edit_run(m, name, settings, n, &to, &err)) {
                        status = reports && is_verdict(edit, &err) ? 1 : 2;
                        if (status == 1 && !cli_json())
                                print_line(NULL, err.msg);
                }
        }
        cli_progress_end();
        if (!reports && !status)
                cli_write_model(m);
        if (cli_json() && status != 2)
                print_json(status ? err.msg : NULL);
        resect_model_free(m);
        free(settings);
        if (status == 2)
                cli_fail(path && strcmp(path, "-") && !is_of_option(err.msg) ? path : NULL, &err);
        return cli_finish(status);
}
