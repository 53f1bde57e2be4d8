/* SPDX-License-Identifier: 0BSD */
/*
 * resect-trial: is what the network knows of any use here, and how is it best used? The library
 * runs the trial; here are the options, the line of progress and the table.
 */
#include "cli.h"

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
        {"classes", "A,B,...", "these classes only, in this order"},
        {"per-class", "N", "at most N pictures a class, those that test apart"},
        {"skip-bad", NULL, "go on when more than 1 % of the pictures cannot be read"},
        {"input", "SPEC",
                "preprocessing, over what the model records: size=HxW resize=N mean=r,g,b "
                "std=r,g,b channels=rgb|bgr; the model is set to another size"},
        {"restarts", "N",
                "then: N more passes with the learning rate raised again, against N at a low one"},
        {"journal", "FILE", "remember every finished run here, and go on from here"},
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
                "1000) with a third of the passes (3 to 10); the least validation loss wins; when "
                "it is "
                "at the end of the list, the list grows there, twice at most.\n\n"
                "With --journal a trial that was stopped or killed goes on where it was, with the "
                "same command; more --seeds, --fractions or --arms may be asked for then.",
        .examples = "resect-trial resnet101.onnx photos/ --journal photos.journal\n"
                    "resect-trial resnet101.onnx photos/ --arms scratch,head,tune --seeds 3 "
                    "--fractions 1 --budget 20m --journal photos.journal\n"
                    "resect-trial net.onnx data.npz --epochs 5 --jobs 2 --json",
        .options = options,
        .common = CLI_READ | CLI_RUN | CLI_SEED | CLI_JSON,
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
        resect_data *d = cli_open_data(path, 0);
        if (!resect_data_count(d, RESECT_TEST) && !resect_data_count(d, RESECT_VAL)) {
                resect_data_free(d);
                d = cli_open_data(path, cli_real("test", 0.2, 0.01, 0.9));
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
        char *text;
        resect_input input;
} lists;

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
        o->journal = cli_value("journal");
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
                snprintf(what, sizeof what, "%s left, %zu/%zu: %s %s", cli_seconds(p->seconds_left),
                        p->done + 1, p->total, p->what, p->arm);
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

/* Mean and standard deviation of the test accuracy over the seeds. */
static size_t
summary(const resect_trial *t, size_t arm, size_t fraction, double *mean, double *sd)
{
        double sum = 0, square = 0;
        size_t n = 0;
        resect_trial_run r;
        for (size_t i = 0; resect_trial_run_at(t, i, &r); i++) {
                if (r.arm != arm || r.fraction != fraction)
                        continue;
                double hits = 0;
                for (size_t k = 0; k < r.n_test; k++)
                        hits += r.test[k].rank == 0;
                double x = hits / (double)r.n_test;
                sum += x;
                square += x * x;
                n++;
        }
        *mean = n ? sum / (double)n : 0;
        *sd = n > 1 ? sqrt(fmax(0, (square - sum * sum / (double)n) / (double)(n - 1))) : 0;
        return n;
}

static void
print_table(const resect_trial *t)
{
        const size_t fractions = resect_trial_fraction_count(t);
        const char *headers[MOST + 4] = {"arm", ">rate", ">passes"};
        char names[MOST][16];
        for (size_t f = 0; f < fractions; f++) {
                snprintf(names[f], sizeof names[f], ">%g %%", 100 * resect_trial_fraction(t, f));
                headers[3 + f] = names[f];
        }
        cli_table *table = cli_table_make(headers);
        resect_trial_arm a;
        for (size_t i = 0; resect_trial_arm_at(t, i, &a); i++) {
                cli_cell(table, "%s", a.name);
                cli_cell(table, "%g%s", a.lr, a.lr_at_edge ? "*" : "");
                cli_cell(table, "%zu", a.epochs);
                for (size_t f = 0; f < fractions; f++) {
                        double mean, sd;
                        summary(t, i, f, &mean, &sd);
                        cli_cell(table, "%.1f ± %.1f", 100 * mean, 100 * sd);
                }
        }
        printf("test accuracy in %%, mean and standard deviation over %zu seeds, by part of the "
               "training pictures\n",
                resect_trial_seed_count(t));
        cli_table_print(table);
}

static json_t *
json_run(const resect_trial_run *r)
{
        double hits = 0, loss = 0;
        for (size_t k = 0; k < r->n_test; k++) {
                hits += r->test[k].rank == 0;
                loss += r->test[k].loss;
        }
        const double n = (double)r->n_test;
        return json_pack("{s:I,s:I,s:I,s:o,s:I,s:I,s:I,s:b,s:o,s:o,s:o,s:o,s:o}", "arm",
                (json_int_t)r->arm, "fraction", (json_int_t)r->fraction, "seed",
                (json_int_t)r->seed, "lr", cli_json_real(r->lr), "n_train", (json_int_t)r->n_train,
                "n_val", (json_int_t)r->n_val, "best_epoch", (json_int_t)r->best_epoch, "diverged",
                (int)r->diverged, "seconds", cli_json_real(r->seconds), "train_top1",
                cli_json_real(r->train.top1), "val_top1", cli_json_real(r->val.top1), "test_top1",
                cli_json_real(hits / n), "test_loss", cli_json_real(loss / n));
}

static void
print_json(const resect_trial *t)
{
        json_t *arms = json_array(), *runs = json_array(), *fractions = json_array(),
               *notes = json_array();
        resect_trial_arm a;
        resect_trial_run r;
        for (size_t i = 0; resect_trial_arm_at(t, i, &a); i++)
                json_array_append_new(arms,
                        json_pack("{s:o,s:o,s:o,s:b,s:o,s:I,s:I,s:I,s:I}", "name",
                                cli_json_text(a.name), "help", cli_json_text(a.help), "lr",
                                cli_json_real(a.lr), "lr_at_edge", (int)a.lr_at_edge,
                                "search_seconds", cli_json_real(a.search_seconds), "epochs",
                                (json_int_t)a.epochs, "macs", (json_int_t)a.macs, "parameters",
                                (json_int_t)a.parameters, "trained", (json_int_t)a.trained));
        for (size_t i = 0; resect_trial_run_at(t, i, &r); i++)
                json_array_append_new(runs, json_run(&r));
        for (size_t i = 0; i < resect_trial_fraction_count(t); i++)
                json_array_append_new(fractions, cli_json_real(resect_trial_fraction(t, i)));
        for (size_t i = 0; resect_trial_note(t, i); i++)
                json_array_append_new(notes, cli_json_text(resect_trial_note(t, i)));
        cli_print_json(
                json_pack("{s:I,s:o,s:o,s:o,s:o}", "seeds", (json_int_t)resect_trial_seed_count(t),
                        "fractions", fractions, "arms", arms, "runs", runs, "notes", notes));
}

int
main(int argc, char **argv)
{
        resect_error err;
        resect_trial_options o;
        lists l = {.text = NULL};
        cli_start(&tool, argc, argv);
        resect_model *m = cli_read_model(cli_arg(0));
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
        else if (cli_json())
                print_json(t);
        else
                print_table(t);
        resect_trial_free(t);
        resect_data_free(d);
        resect_model_free(m);
        free(l.text);
        return cli_finish(ok ? 0 : 130);
}
