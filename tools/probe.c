/* SPDX-License-Identifier: 0BSD */
/* resect-probe: what each depth of a network knows of the classes of DATA, before any training, and
 * where it could be cut. */
#include "cli.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static const resect_option options[] = {
        {"split", "NAME",
                "the pictures held out to judge by: val or test (default: val, else test)"},
        {"val", "PART",
                "part of an unsplit DATA that is held out, as in resect-tune and resect-eval "
                "(default 0.2)"},
        {"batch", "N", "pictures at once (default 32)"},
        {"folds", "N", "of the cross-validation that chooses C (default 5)"},
        {"svg", "FILE", "draw accuracy against depth into this file"},
        {"html", "FILE", "the same with the table and the answer, as a page"},
        {0},
};

static const cli_tool tool = {
        .name = "probe",
        .brief = "say how much each depth knows, before any training",
        .usage = "MODEL DATA",
        .description =
                "Runs every picture of DATA through MODEL once and looks at what stands behind the "
                "stem, every block and the pool: the maps' averages over space. For each depth it "
                "prints, of the pictures held out, the accuracy of a linear probe (logistic "
                "regression on standardised features; C, the inverse of the L2 penalty, by "
                "cross-validation in the training pictures) and of a vote of the nearest "
                "neighbours (Euclidean distance of standardised features; their number by leaving "
                "one out), and LogME of the training pictures (You et al., 2021; higher is "
                "better), with parameters and multiplications up to there.\n\n"
                "The cut it proposes is the shallowest depth whose linear probe is within one "
                "standard error of the best, with the command line that makes it. The pictures "
                "held out choose the cut, so that its accuracy here is a little too good; "
                "resect-eval after training, on other pictures, tells.\n\n"
                "The report of --json has the ranking of the depths; resect-trial compares it "
                "with what training finds.",
        .examples = "resect-probe resnet101.onnx photos/\n"
                    "resect-probe resnet101.onnx photos/ --json --svg depth.svg > probe.json",
        .options = options,
        .common = CLI_READ | CLI_DATA | CLI_JSON | CLI_RUN | CLI_SEED,
        .min_args = 2,
        .max_args = 2,
};

static bool
on_progress(void *ctx, const char *what, size_t done, size_t total)
{
        (void)ctx;
        cli_progress(*what == 'p' ? "predicting" : "judging", (double)done, (double)total, what);
        return !cli_stopped();
}

/* What is told, whatever the form. */
struct report {
        const resect_probe *probe;
        resect_probe_facts f;
        const resect_probe_row *best, *cut, *last;
        const char *split;
        char *command; /* makes the cut */
};

static resect_probe *
run(resect_model *m, const resect_data *d, resect_split split)
{
        resect_error err;
        resect_input in;
        resect_probe_options o = {.held_out = split,
                .batch = (size_t)cli_integer("batch", 0, 1, 1000000),
                .threads = cli_threads(),
                .kernels = cli_kernels(),
                .precision = cli_precision(),
                .exact = cli_given("exact"),
                .linear = {.folds = (size_t)cli_integer("folds", 5, 2, 64), .seed = cli_seed()},
                .progress = on_progress};
        if (resect_data_is_raw(d)) {
                if (cli_given("input"))
                        cli_die("--input: an .npz is used as it is");
        } else {
                if (!resect_input_of(m, &in, NULL, &err))
                        cli_fail(cli_arg(0), &err);
                if (cli_given("input") && !resect_input_parse(&in, cli_value("input"), &err))
                        cli_fail("--input", &err);
                o.input = &in;
        }
        resect_probe *p = resect_probe_run(m, d, &o, &err);
        cli_progress_end();
        if (!p && err.code == RESECT_STOPPED)
                exit(130);
        if (!p)
                cli_fail(cli_arg(0), &err);
        return p;
}

/* A classifier that stands there already is replaced: truncate grows one of as many classes as
 * before. */
static char *
make_command(resect_model *m, const struct report *r)
{
        resect_error err;
        resect_anatomy *a = resect_anatomy_find(m, &err);
        if (!a)
                cli_fail(cli_arg(0), &err);
        const char *replace = resect_anatomy_summary(a)->has_head ? " --replace" : "";
        char *model = cli_quoted(cli_arg(0)), *text = cli_alloc(strlen(model) + 200, 1);
        if (r->cut == r->last || (!strcmp(r->last->part, "pool") && r->cut + 1 == r->last))
                sprintf(text, "resect-head --classes %zu%s %s -o cut.onnx", r->f.classes, replace,
                        model);
        else
                sprintf(text,
                        "resect-truncate --after %s %s | resect-head --classes %zu%s -o cut.onnx",
                        r->cut->part, model, r->f.classes, replace);
        free(model);
        resect_anatomy_free(a);
        return text;
}

static double
part_of(uint64_t a, uint64_t b)
{
        return b ? (double)a / (double)b : NAN;
}

static void
print_table(const struct report *r)
{
        cli_table *t = cli_table_make((const char *const[]){"behind", ">features", ">parameters",
                ">MACs", ">linear", ">C", ">neighbours", ">k", ">LogME", "", NULL});
        const resect_probe_row *row;
        for (size_t i = 0; (row = resect_probe_at(r->probe, i)); i++) {
                cli_cell(t, "%s", row->part);
                cli_cell(t, "%zu", row->features);
                cli_cell(t, "%s", cli_count((double)row->parameters));
                cli_cell(t, "%s", row->macs ? cli_count((double)row->macs) : "?");
                cli_cell(t, "%.1f %%", 100 * row->linear);
                cli_cell(t, "%g", row->penalty);
                cli_cell(t, "%.1f %%", 100 * row->knn);
                cli_cell(t, "%zu", row->k);
                cli_cell(t, "%.3f", row->logme);
                cli_cell(t, "%s",
                        row == r->cut && row == r->best ? "best, cut"
                        : row == r->cut                 ? "cut"
                        : row == r->best                ? "best"
                                                        : "");
        }
        cli_table_print(t);
}

/* The answer as sentences; free with free. */
static char *
answer(const struct report *r)
{
        size_t size;
        char *text;
        FILE *f = open_memstream(&text, &size);
        if (!f)
                cli_die("out of memory");
        fprintf(f,
                "Best behind %s: %.1f %% of the %zu pictures held out; the standard error of that "
                "is %.1f points. ",
                r->best->part, 100 * r->best->linear, r->f.n_held_out, 100 * r->f.standard_error);
        if (r->cut == r->best)
                fprintf(f, "No shallower depth comes within it");
        else
                fprintf(f, "The shallowest depth within it is %s with %.1f %%", r->cut->part,
                        100 * r->cut->linear);
        fprintf(f, ": %s parameters, %.0f %% of the trunk's, and %s MACs, %.0f %%.",
                cli_count((double)r->cut->parameters),
                100 * part_of(r->cut->parameters, r->f.parameters),
                r->cut->macs ? cli_count((double)r->cut->macs) : "?",
                100 * part_of(r->cut->macs, r->f.macs));
        if (r->best->linear <= r->f.chance)
                fprintf(f,
                        " That is no better than always saying the most frequent class "
                        "(%.1f %%): nothing here is known of these classes.",
                        100 * r->f.chance);
        if (fclose(f))
                cli_die("out of memory");
        return text;
}

static void
print_text(const struct report *r)
{
        char *text = answer(r);
        char *data =
                cli_format("%zu pictures to learn from, %zu held out (%s), %zu classes; always "
                           "saying the most frequent one: %.1f %%",
                        r->f.n_train, r->f.n_held_out, r->split, r->f.classes, 100 * r->f.chance);
        cli_paragraph("", data);
        free(data);
        putchar('\n');
        print_table(r);
        putchar('\n');
        cli_paragraph("", text);
        printf("\n  %s\n", r->command);
        free(text);
}

static const struct report *sorting;

static int
more_accurate(const void *a, const void *b)
{
        size_t i = *(const size_t *)a, j = *(const size_t *)b;
        double x = resect_probe_at(sorting->probe, i)->linear,
               y = resect_probe_at(sorting->probe, j)->linear;
        return x > y ? -1 : x < y ? 1 : (i > j) - (i < j);
}

/* Names, the best linear probe first; of equals the shallower. */
static json_t *
ranking(const struct report *r)
{
        size_t n = resect_probe_count(r->probe), *order = cli_alloc(n, sizeof *order);
        json_t *list = json_array();
        for (size_t i = 0; i < n; i++)
                order[i] = i;
        sorting = r;
        qsort(order, n, sizeof *order, more_accurate);
        for (size_t i = 0; i < n; i++)
                json_array_append_new(
                        list, cli_json_text(resect_probe_at(r->probe, order[i])->part));
        free(order);
        return list;
}

static json_t *
row_json(const resect_probe_row *r)
{
        return json_pack("{s:o,s:I,s:I,s:I,s:o,s:o,s:o,s:o,s:o,s:b,s:o,s:I,s:o}", "part",
                cli_json_text(r->part), "features", (json_int_t)r->features, "parameters",
                (json_int_t)r->parameters, "macs", (json_int_t)r->macs, "linear",
                cli_json_real(r->linear), "linear_balanced", cli_json_real(r->linear_balanced),
                "linear_loss", cli_json_real(r->linear_loss), "linear_cv",
                cli_json_real(r->linear_cv), "penalty", cli_json_real(r->penalty), "converged",
                r->converged, "knn", cli_json_real(r->knn), "k", (json_int_t)r->k, "logme",
                cli_json_real(r->logme));
}

static void
print_json(const struct report *r)
{
        json_t *depths = json_array();
        const resect_probe_row *row;
        for (size_t i = 0; (row = resect_probe_at(r->probe, i)); i++)
                json_array_append_new(depths, row_json(row));
        cli_print_json(json_pack(
                "{s:I,s:I,s:o,s:I,s:o,s:I,s:I,s:o,s:o,s:o,s:o,s:o,s:{s:o,s:o,s:o,s:o,s:o}}",
                "training_pictures", (json_int_t)r->f.n_train, "held_out_pictures",
                (json_int_t)r->f.n_held_out, "split", cli_json_text(r->split), "classes",
                (json_int_t)r->f.classes, "chance", cli_json_real(r->f.chance), "parameters",
                (json_int_t)r->f.parameters, "macs", (json_int_t)r->f.macs, "forward_seconds",
                cli_json_real(r->f.forward_seconds), "judge_seconds",
                cli_json_real(r->f.judge_seconds), "depths", depths, "ranking", ranking(r), "best",
                cli_json_text(r->best->part), "cut", "part", cli_json_text(r->cut->part),
                "standard_error", cli_json_real(r->f.standard_error), "parameters_share",
                cli_json_real(part_of(r->cut->parameters, r->f.parameters)), "macs_share",
                cli_json_real(part_of(r->cut->macs, r->f.macs)), "command",
                cli_json_text(r->command)));
}

/* Accuracy against the place in the network. */
static resect_plot *
draw(const struct report *r)
{
        resect_error err;
        size_t n = resect_probe_count(r->probe);
        double *x = cli_alloc(n, sizeof *x), *linear = cli_alloc(n, sizeof *x),
               *low = cli_alloc(n, sizeof *x), *high = cli_alloc(n, sizeof *x),
               *knn = cli_alloc(n, sizeof *x);
        for (size_t i = 0; i < n; i++) {
                const resect_probe_row *row = resect_probe_at(r->probe, i);
                double e = sqrt(row->linear * (1 - row->linear) / (double)r->f.n_held_out);
                x[i] = (double)i;
                linear[i] = row->linear;
                low[i] = fmax(row->linear - e, 0);
                high[i] = fmin(row->linear + e, 1);
                knn[i] = row->knn;
        }
        char *about = answer(r), cut[80];
        resect_axis across = {.label = "blocks from the stem on"},
                    up = {.label = "accuracy on the pictures held out", .percent = true};
        resect_plot *p = resect_plot_lines("What each depth knows", about, &across, &up, &err);
        if (!p)
                cli_fail(NULL, &err);
        resect_plot_line(p, "linear probe, with its standard error", n, x, linear, low, high);
        resect_plot_line(p, "nearest neighbours", n, x, knn, NULL, NULL);
        snprintf(cut, sizeof cut, "cut here: %s", r->cut->part);
        resect_plot_line(p, cut, 1, x + r->f.cut, linear + r->f.cut, NULL, NULL);
        resect_plot_reference(p, r->f.chance, "most frequent class");
        snprintf(cut, sizeof cut, "best (%s) less a standard error", r->best->part);
        resect_plot_reference(p, r->best->linear - r->f.standard_error, cut);
        free(x);
        free(linear);
        free(low);
        free(high);
        free(knn);
        free(about);
        return p;
}

static void
write_page(const struct report *r, const resect_plot *plot)
{
        enum { COLUMNS = 7 };
        static const char *const headers[COLUMNS] = {
                "behind", ">features", ">parameters", ">MACs", ">linear", ">neighbours", ">LogME"};
        resect_error err;
        resect_page *p = resect_page_make("What each depth knows", &err);
        if (!p)
                cli_fail(NULL, &err);
        size_t n = resect_probe_count(r->probe);
        char **cells = cli_alloc(n * COLUMNS, sizeof *cells), *text = answer(r);
        for (size_t i = 0; i < n; i++) {
                const resect_probe_row *row = resect_probe_at(r->probe, i);
                char **c = cells + i * COLUMNS;
                c[0] = cli_format("%s", row->part);
                c[1] = cli_format("%zu", row->features);
                c[2] = cli_format("%s", cli_count((double)row->parameters));
                c[3] = cli_format("%s", row->macs ? cli_count((double)row->macs) : "?");
                c[4] = cli_format("%.1f %%", 100 * row->linear);
                c[5] = cli_format("%.1f %%", 100 * row->knn);
                c[6] = cli_format("%.3f", row->logme);
        }
        resect_page_lead(p, text);
        resect_page_code(p, r->command);
        resect_page_plot(p, plot, NULL);
        resect_page_table(p, "Judged without training the network", headers, COLUMNS,
                (const char *const *)cells, n);
        if (!resect_page_write(p, cli_value("html"), &err))
                cli_fail(cli_value("html"), &err);
        for (size_t i = 0; i < n * COLUMNS; i++)
                free(cells[i]);
        free(cells);
        free(text);
        resect_page_free(p);
}

static void
write_pictures(const struct report *r)
{
        resect_error err;
        if (!cli_given("svg") && !cli_given("html"))
                return;
        resect_plot *plot = draw(r);
        if (cli_given("svg") && !resect_plot_write(plot, cli_value("svg"), &err))
                cli_fail(cli_value("svg"), &err);
        if (cli_given("html"))
                write_page(r, plot);
        resect_plot_free(plot);
}

int
main(int argc, char **argv)
{
        cli_start(&tool, argc, argv);
        if (cli_given("svg"))
                cli_check_output(cli_value("svg"));
        if (cli_given("html"))
                cli_check_output(cli_value("html"));
        cli_catch_stop();
        resect_model *m = cli_read_model(cli_arg(0));
        resect_data *d = cli_open_data(
                cli_arg(1), (resect_data_options){.val = cli_real("val", 0.2, 0, 0.9)});
        cli_say_skipped(d);
        int test = cli_choice("split", -1, "val|test");
        if (test < 0)
                test = !resect_data_count(d, RESECT_VAL) && resect_data_count(d, RESECT_TEST);
        resect_probe *p = run(m, d, test ? RESECT_TEST : RESECT_VAL);
        struct report r = {.probe = p, .f = resect_probe_about(p), .split = test ? "test" : "val"};
        r.best = resect_probe_at(p, r.f.best);
        r.cut = resect_probe_at(p, r.f.cut);
        r.last = resect_probe_at(p, resect_probe_count(p) - 1);
        r.command = make_command(m, &r);
        for (size_t i = 0; i < resect_probe_count(p); i++)
                if (!resect_probe_at(p, i)->converged)
                        cli_note("%s: the linear probe was still moving after 2000 steps",
                                resect_probe_at(p, i)->part);
        if (cli_json())
                print_json(&r);
        else
                print_text(&r);
        write_pictures(&r);
        free(r.command);
        resect_probe_free(p);
        resect_data_free(d);
        resect_model_free(m);
        return cli_finish(0);
}
