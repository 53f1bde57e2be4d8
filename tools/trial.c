/* SPDX-License-Identifier: 0BSD */
/*
 * resect-trial: is what the network knows of any use here, and how is it best used? The library
 * runs the trial; here are the options, the line of progress and the table.
 */
#include "cli.h"

#include "trial_json.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const resect_option options[] = {
        {"arms", "A,B,...",
                "scratch, head, tune, reset:K, freeze:K, truncate:K, adabn (default "
                "scratch,head,tune,"
                "reset:1 and, of S stages, freeze:S-1,truncate:S-1)"},
        {"seeds", "N", "repeats: initialisation, order, division of the pictures (default 5)"},
        {"fractions", "X,...", "parts of the training pictures, ascending (default 0.25,0.5,1)"},
        {"epochs", "N", "passes over the data in every run (default 10)"},
        {"budget", "TIME",
                "instead: compute for an arm, its search and all its runs together: 90s, 20m, "
                "1.5h"},
        {"rates", "X,...",
                "learning rates to search for each arm, ascending; one is taken without a search "
                "(default 0.001,0.003,0.01,0.03,0.1)"},
        {"test", "PART", "part of an unsplit DATA that tests (default 0.2)"},
        {"val", "PART", "part of the other pictures that each seed validates with (default 0.2)"},
        {"batch", "N", "pictures a step (default 32)"},
        {"weight-decay", "X", "of SGD, as PyTorch's (default 0.0001)"},
        {"augment", "LIST",
                "flip, crop[=LEAST AREA], jitter=X, pad=N, none (default flip for pictures, none "
                "for arrays); all but flip make every pass of a frozen trunk as dear as the first"},
        {"per-class", "N", "at most N pictures a class, those that test apart"},
        {"input", "SPEC",
                "preprocessing, over what the model records: size=HxW resize=N mean=r,g,b "
                "std=r,g,b channels=rgb|bgr; the model is set to another size"},
        {"restarts", "N",
                "then: N more passes with the learning rate raised again, against N at a low one"},
        {"probe", "FILE",
                "what resect-probe --json said of MODEL and DATA: compare its ranking of depths "
                "with "
                "that of the arms truncate:K and tune"},
        {"journal", "FILE",
                "remember every finished run here, and go on from here (default: with -o, the "
                "report's "
                "name ending in .journal)"},
        {"jobs", "N", "runs at once, which share the threads (default 1)"},
        {"keep", "DIR", "write each arm's best model there: DIR/tune.onnx, DIR/reset-1.onnx"},
        {0},
};

static const cli_tool tool = {
        .name = "trial",
        .brief = "the controlled experiment: pretrained, or from scratch?",
        .usage = "MODEL DATA",
        .description =
                "Trains MODEL on DATA in several ways (arms) and compares them: with fresh weights "
                "(scratch), with a new classifier on the frozen trunk (head), altogether (tune), "
                "with "
                "the last K stages re-initialised (reset:K), with the first K frozen (freeze:K), "
                "cut "
                "after stage K (truncate:K), with BatchNormalization's statistics re-estimated on "
                "the training "
                "pictures and the rest as head (adabn). Its classifier is replaced, or one is "
                "grown.\n\n"
                "All arms see the same pictures in the same order with the same augmentation, have "
                "the "
                "same number of passes (or the same compute, with --budget), and each has its "
                "learning rate from the same small search, whose cost counts. Everything is "
                "repeated "
                "over seeds and over parts of the training pictures. The test pictures (the test "
                "split, else the validation split, else a part chosen by content) are looked at "
                "when "
                "a run is over, and decide nothing.\n\n"
                "A search tries every rate on half of the first seed's training pictures (at most "
                "1000) with a third of the passes (3 to 10); the least loss on the other half and "
                "the validation pictures wins; when it is "
                "at the end of the list, the list grows there, twice at most.\n\n"
                "The verdict says which arm to use, by how much it is better, how sure that is and "
                "when it would change; arms are chosen by "
                "validation pictures, and intervals and tests take seeds and test pictures for "
                "samples. -o writes it all as one HTML "
                "page: curves, tables, mistakes, settings.\n\n"
                "The journal beside the report (or --journal) remembers every finished run: a "
                "trial that was stopped or killed goes on where it was, with the "
                "same command; more --seeds, --fractions or --arms may be asked for then.",
        .examples = "resect-trial resnet101.onnx photos/ -o report.html\n"
                    "resect-trial resnet101.onnx photos/ --arms scratch,head,tune --seeds 3 "
                    "--fractions 1 --budget 20m --journal photos.journal\n"
                    "resect-trial net.onnx data.npz --epochs 5 --jobs 2 --json",
        .options = options,
        .common = CLI_READ | CLI_DATA | CLI_RUN | CLI_SEED | CLI_JSON | CLI_OUTPUT,
        .min_args = 2,
        .max_args = 2,
};

enum { MOST = 64 };

/* "20m" in seconds; a plain number is seconds. */
static double
time_option(const char *text)
{
        char *end;
        double x = strtod(text, &end), unit = 1;
        switch (tolower((unsigned char)*end)) {
        case 'h':
                unit = 3600;
                break;
        case 'm':
                unit = 60;
                break;
        case 's':
        case '\0':
                break;
        default:
                unit = -1;
        }
        if (end == text || (*end && end[1]) || !(x * unit > 0) || !isfinite(x))
                cli_die("--budget: '%s' is no time: want seconds, or a number with s, m or h",
                        text);
        return x * unit;
}

/* A data set without test and validation pictures is opened again, with a part of it held out by
   content, as resect-tune holds out its validation. */
static resect_data *
open_data(const char *path)
{
        resect_data_options o = {.per_class = cli_per_class()};
        resect_data *d = cli_open_data(path, o);
        if (!resect_data_count(d, RESECT_TEST) && !resect_data_count(d, RESECT_VAL)) {
                resect_data_free(d);
                o.val = cli_real("test", 0.2, 0.01, 0.9);
                d = cli_open_data(path, o);
        } else if (cli_given("test")) {
                cli_die("--test: %s has a %s split", path,
                        resect_data_count(d, RESECT_TEST) ? "test" : "validation");
        }
        cli_say_skipped(d);
        return d;
}

typedef struct lists {
        double fractions[MOST], rates[MOST];
        const char *arms[MOST];
        char *text, *journal;
        resect_input input;
} lists;

/* "photos.html" -> "photos.journal". */
static char *
journal_beside(const char *report)
{
        const char *dot = strrchr(report, '.'), *slash = strrchr(report, '/');
        bool ending = dot && dot > report && (!slash || dot > slash + 1);
        size_t n = ending ? (size_t)(dot - report) : strlen(report);
        char *name = cli_alloc(n + sizeof ".journal", 1);
        memcpy(name, report, n);
        strcpy(name + n, ".journal");
        return name;
}

static void
read_options(resect_trial_options *o, lists *l, const resect_model *m, const resect_data *d)
{
        resect_trial_defaults(o);
        if (cli_given("arms")) {
                l->text = cli_copy(cli_value("arms"));
                o->arms = l->arms;
                o->n_arms = cli_split(l->text, l->arms, MOST, "arms");
        }
        if ((o->n_fractions = cli_numbers("fractions", l->fractions, MOST)))
                o->fractions = l->fractions;
        else
                o->fractions = NULL;
        if ((o->n_rates = cli_numbers("rates", l->rates, MOST)))
                o->rates = l->rates;
        else
                o->rates = NULL;
        if (cli_given("budget") && cli_given("epochs"))
                cli_die("--budget and --epochs: give one");
        o->epochs = (size_t)cli_integer("epochs", 10, 1, 1000000);
        if (cli_given("budget")) {
                o->epochs = 0;
                o->budget = time_option(cli_value("budget"));
        }
        o->seeds = (size_t)cli_integer("seeds", 5, 1, 1000);
        o->val = cli_real("val", 0.2, 0.01, 0.9);
        o->batch = (size_t)cli_integer("batch", 32, 1, 1000000);
        o->weight_decay = cli_real("weight-decay", 1e-4, 0, 1e6);
        if (!cli_augment(&o->augment))
                o->augment.flip = !resect_data_raw_shape(d, (int64_t[3]){0});
        o->restarts = (size_t)cli_integer("restarts", 0, 1, 1000000);
        o->jobs = (int)cli_integer("jobs", 1, 1, 64);
        o->seed = cli_seed();
        o->threads = cli_threads();
        o->kernels = cli_kernels();
        o->precision = cli_precision();
        o->exact = cli_given("exact");
        o->journal = cli_value("journal");
        if (!o->journal && cli_output())
                o->journal = l->journal = journal_beside(cli_output());
        if (o->journal)
                cli_check_output(o->journal);
        o->keep = cli_value("keep");
        o->history = cli_history();
        if (cli_input(m, d, &l->input))
                o->input = &l->input;
}

static bool
on_progress(void *ctx, const resect_trial_progress *p)
{
        char what[160];
        (void)ctx;
        if (p->seconds_left >= 0)
                snprintf(what, sizeof what, "%s left in all, %zu/%zu: %s %s",
                        cli_seconds(p->seconds_left), p->done + 1, p->total, p->what, p->arm);
        else
                snprintf(what, sizeof what, "%zu/%zu: %s %s", p->done + 1, p->total, p->what,
                        p->arm);
        cli_progress(what, (double)p->epoch, (double)p->epochs, "passes");
        return !cli_stopped();
}

/* A line for what took long. */
static void
on_finished(void *ctx, const resect_trial_progress *p)
{
        (void)ctx;
        if (!strcmp(p->what, "search"))
                cli_note("%zu/%zu %s: learning rate %g", p->done, p->total, p->arm, p->lr);
}

/* What to do, how sure that is, and when it would change. */
static void
print_words(const resect_verdict *v)
{
        cli_paragraph("", v->headline);
        putchar('\n');
        for (size_t i = 0; i < v->n_warnings; i++)
                cli_paragraph("! ", v->warnings[i]);
        for (size_t i = 0; i < v->n_lines; i++)
                cli_paragraph("- ", v->lines[i]);
        putchar('\n');
}

/* A share in percent, as short as a table of three fractions on 80 columns wants it. */
static const char *
percent(char out[16], double x)
{
        snprintf(out, 16, isfinite(x) ? "%.1f" : "?", 100 * x);
        return out;
}

/* Accuracy with its interval, a column a fraction. */
static void
print_table(const resect_trial *t, const resect_verdict *v)
{
        const char *headers[MOST + 4] = {"arm", ">rate", ">passes"};
        char names[MOST][24], a[16], b[16], c[16];
        for (size_t f = 0; f < v->fractions; f++) {
                snprintf(names[f], sizeof names[f], ">%g %%", 100 * resect_trial_fraction(t, f));
                headers[3 + f] = names[f];
        }
        cli_table *table = cli_table_make(headers);
        bool edge = false;
        resect_trial_arm arm;
        for (size_t i = 0; resect_trial_arm_at(t, i, &arm); i++) {
                cli_cell(table, "%s", arm.name);
                edge = edge || arm.lr_at_edge;
                cli_cell(table, "%g%s", arm.lr, arm.lr_at_edge ? "*" : "");
                cli_cell(table, "%zu", arm.epochs);
                for (size_t f = 0; f < v->fractions; f++) {
                        const resect_crossed *x = &v->cells[i * v->fractions + f].test;
                        cli_cell(table, "%s (%s-%s)", percent(a, x->value), percent(b, x->low),
                                percent(c, x->high));
                }
        }
        printf("test pictures right in %%: mean over %zu seed%s (and %g %% interval), by part of\n"
               "the training pictures%s\n",
                v->seeds, v->seeds == 1 ? "" : "s", 100 * v->level,
                edge ? " (* the rate is at the edge of those tried)" : "");
        cli_table_print(table);
}

static void
write_report(const resect_trial *t, const resect_verdict *v)
{
        resect_error err;
        char *model = cli_quoted(cli_arg(0)), *data = cli_quoted(cli_arg(1)),
             *output = cli_quoted(cli_output());
        const char *settings = cli_history();
        size_t size = strlen(settings) + strlen(model) + strlen(data) + strlen(output) + 16;
        char *command = cli_alloc(size, 1);
        snprintf(command, size, "%s %s %s -o %s", settings, model, data, output);
        const resect_report_options o = {
                .model = cli_arg(0), .data = cli_arg(1), .commands = command};
        if (!resect_trial_report(t, v, &o, cli_output(), &err))
                cli_fail(cli_output(), &err);
        free(command);
        free(model);
        free(data);
        free(output);
}

static void
conclude(const resect_trial *t, const resect_probe *probe)
{
        resect_error err;
        resect_verdict *v = resect_trial_judge(t, &(resect_judge_options){.probe = probe}, &err);
        if (!v)
                cli_fail(NULL, &err);
        if (cli_output())
                write_report(t, v);
        if (cli_json()) {
                cli_print_json(trial_json(t, v));
        } else {
                print_words(v);
                print_table(t, v);
        }
        resect_verdict_free(v);
}

int
main(int argc, char **argv)
{
        resect_error err;
        resect_trial_options o;
        lists l = {.text = NULL};
        cli_start(&tool, argc, argv);
        resect_model *m = cli_read_model(cli_arg(0));
        resect_probe *probe = NULL;
        if (cli_given("probe") && !(probe = resect_probe_read(cli_value("probe"), &err)))
                cli_fail(cli_value("probe"), &err);
        resect_data *d = open_data(cli_arg(1));
        read_options(&o, &l, m, d);
        resect_trial *t = resect_trial_make(m, d, &o, &err);
        if (!t)
                cli_fail(NULL, &err);
        for (size_t i = 0; resect_trial_note(t, i); i++)
                cli_note("%s", resect_trial_note(t, i));
        cli_catch_stop();
        const resect_trial_events events = {.progress = on_progress, .finished = on_finished};
        bool ok = resect_trial_go(t, &events, &err);
        cli_progress_end();
        if (!ok && err.code != RESECT_STOPPED)
                cli_fail(NULL, &err);
        if (!ok)
                cli_note("%s%s", err.msg, o.journal ? "; the same command goes on" : "");
        else
                conclude(t, probe);
        resect_trial_free(t);
        resect_probe_free(probe);
        resect_data_free(d);
        resect_model_free(m);
        free(l.text);
        free(l.journal);
        return cli_finish(ok ? 0 : 130);
}
