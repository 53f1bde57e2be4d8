/* SPDX-License-Identifier: 0BSD */
/* What tools that read DATA share: lists on the command line, --classes and its like, and
 * --augment. */
#include "cli.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

char *
cli_copy(const char *text)
{
        char *s = cli_alloc(strlen(text) + 1, 1);
        return strcpy(s, text);
}

size_t
cli_split(char *text, const char **out, size_t max, const char *option)
{
        size_t n = 0;
        for (char *save = NULL, *p = strtok_r(text, ",", &save); p;
                p = strtok_r(NULL, ",", &save)) {
                if (n == max)
                        cli_die("--%s: more than %zu entries", option, max);
                out[n++] = p;
        }
        return n;
}

double
cli_number(const char *text, const char *option)
{
        char *end;
        double x = strtod(text, &end);
        if (end == text || *end || !isfinite(x))
                cli_die("--%s: '%s' is no number", option, text);
        return x;
}

size_t
cli_numbers(const char *option, double *out, size_t max)
{
        const char *parts[1024];
        if (!cli_given(option))
                return 0;
        char *text = cli_copy(cli_value(option));
        size_t n = cli_split(text, parts, max < 1024 ? max : 1024, option);
        for (size_t i = 0; i < n; i++)
                out[i] = cli_number(parts[i], option);
        free(text);
        if (!n)
                cli_die("--%s: an empty list", option);
        return n;
}

static void
read_part(resect_augment *a, const char *p)
{
        if (!strcmp(p, "crop")) {
                a->crop = true;
        } else if (!strncmp(p, "crop=", 5)) {
                a->crop = true;
                a->crop_min = cli_number(p + 5, "augment");
        } else if (!strcmp(p, "flip")) {
                a->flip = true;
        } else if (!strncmp(p, "jitter=", 7)) {
                a->jitter = cli_number(p + 7, "augment");
        } else if (!strncmp(p, "pad=", 4)) {
                a->pad = (int)cli_number(p + 4, "augment");
        } else if (strcmp(p, "none") != 0) {
                cli_die("--augment: '%s' is none of crop, flip, jitter=X, pad=N, none", p);
        }
}

bool
cli_augment(resect_augment *a)
{
        const char *given = cli_value("augment"), *parts[16];
        if (!given)
                return false;
        *a = (resect_augment){0};
        char *text = cli_copy(given);
        size_t n = cli_split(text, parts, 16, "augment");
        for (size_t i = 0; i < n; i++)
                read_part(a, parts[i]);
        if (a->crop_min < 0 || a->crop_min > 1 || a->jitter < 0 || a->jitter >= 1 || a->pad < 0 ||
                a->pad > 1000)
                cli_die("--augment: crop's least area must be in 0..1, jitter in [0, 1), pad in "
                        "0..1000");
        free(text);
        return true;
}

static bool
on_picture(void *ctx, size_t done, size_t total)
{
        (void)ctx;
        cli_progress("looking at the pictures", (double)done, (double)total, "pictures");
        return true;
}

resect_data *
cli_open_pictures(const char *path, resect_data_options o)
{
        resect_error err;
        o.progress = on_picture;
        o.skip_bad = cli_given("skip-bad");
        o.threads = cli_threads();
        resect_data *d = resect_data_open(path, &o, &err);
        cli_progress_end();
        if (!d)
                cli_fail(path, &err);
        return d;
}

resect_data *
cli_open_data(const char *path, resect_data_options o)
{
        const char *classes[1024];
        char *text = cli_given("classes") ? cli_copy(cli_value("classes")) : NULL;
        if (text) {
                o.classes = classes;
                o.n_classes = cli_split(text, classes, 1024, "classes");
        }
        resect_data *d = cli_open_pictures(path, o);
        free(text);
        return d;
}

size_t
cli_per_class(void)
{
        return (size_t)cli_integer("per-class", 0, 1, INT64_C(1) << 40);
}

void
cli_say_skipped(const resect_data *d)
{
        const char *name, *why;
        size_t n = resect_data_skipped_count(d);
        for (size_t i = 0; i < n && i < 10 && resect_data_skipped(d, i, &name, &why); i++)
                cli_note("skipped %s: %s", cli_text(name), cli_text(why));
        if (n > 10)
                cli_note("and %zu more files were skipped", n - 10);
}

bool
cli_input(const resect_model *m, const resect_data *d, resect_input *in)
{
        resect_error err;
        if (resect_data_is_raw(d)) {
                if (cli_given("input"))
                        cli_die("--input: an .npz is used as it is");
                return false;
        }
        if (!resect_input_of(m, in, NULL, &err))
                cli_fail(cli_arg(0), &err);
        if (cli_given("input") && !resect_input_parse(in, cli_value("input"), &err))
                cli_fail("--input", &err);
        return true;
}

resect_split
cli_split_of(const resect_data *d, const char *path, bool all)
{
        static const resect_split splits[] = {RESECT_TRAIN, RESECT_VAL, RESECT_TEST, RESECT_ALL};
        static const char *const names[] = {"train", "val", "test", "all"};
        int choice = cli_choice("split", -1, "train|val|test|all");
        if (choice < 0)
                choice = all                                 ? 3
                         : resect_data_count(d, RESECT_VAL)  ? 1
                         : resect_data_count(d, RESECT_TEST) ? 2
                                                             : 3;
        if (!resect_data_count(d, splits[choice]))
                cli_die("%s: no picture is in the split '%s'", path, names[choice]);
        size_t count = resect_data_count(d, RESECT_ALL);
        if (resect_data_count(d, splits[choice]) < count)
                cli_note("%zu of %zu pictures: the split '%s'%s",
                        resect_data_count(d, splits[choice]), count, names[choice],
                        cli_given("split") ? "" : " (--split all takes all of them)");
        return splits[choice];
}
