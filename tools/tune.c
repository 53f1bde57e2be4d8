/* SPDX-License-Identifier: 0BSD */
/*
 * resect-tune: fine-tunes a model on DATA. The library does the work; here are the defaults for a
 * person with few pictures, the log, the line an epoch, and what happens on Ctrl-C.
 */
#include "cli.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "tune.h"

static const resect_option options[] = {
        {"epochs", "N", "passes over the training split (default 10)"},
        {"batch", "N", "pictures a step (default 32)"},
        {"lr", "RATE", "learning rate (default 0.01, for adamw 0.001)"},
        {"optimizer", "NAME", "sgd or adamw (default sgd)"},
        {"momentum", "X", "of sgd (default 0.9)"},
        {"nesterov", NULL, "sgd with Nesterov's momentum"},
        {"betas", "A,B", "of adamw (default 0.9,0.999)"},
        {"weight-decay", "X", "as PyTorch's (default 0.0001, for adamw 0.01)"},
        {"no-bias-decay", NULL, "no weight decay on biases and BatchNormalization"},
        {"clip", "NORM", "scale gradients down to this norm"},
        {"schedule", "NAME", "constant, cosine, step, onecycle or restarts (default cosine)"},
        {"warmup", "EPOCHS",
                "rise to the learning rate over so many epochs (default: 5 % of the run for "
                "cosine, else 0)"},
        {"lr-floor", "PART", "where cosine and restarts end, as a part of --lr (default 0)"},
        {"step-every", "EPOCHS", "step: epochs between drops (default a third of the run)"},
        {"step-factor", "X", "step: factor of a drop (default 0.1)"},
        {"restart-every", "EPOCHS",
                "restarts: length of the first period (default a third of the run)"},
        {"restart-stretch", "X", "restarts: factor from one period to the next (default 2)"},
        {"lr-stage", "PART=X,...", "learning-rate factors by part: layer4=0.1,head=1"},
        {"thaw-every", "N", "gradual thaw: the head alone first, one stage more every N epochs"},
        {"bn-unbiased", NULL,
                "BatchNormalization's running variance by N - 1 as in PyTorch, not N as in ONNX"},
        {"label-smoothing", "X", "part of a target that is spread over all classes"},
        {"class-weights", "W", "'balanced', or one weight a class, W,W,..., in the data's order"},
        {"mixup", "ALPHA",
                "mix pairs of pictures (cached features, when there are) by Beta(ALPHA, ALPHA)"},
        {"augment", "LIST",
                "crop[=LEAST AREA], flip, jitter=X, pad=N (default crop,flip for pictures, none "
                "for arrays)"},
        {"no-augment", NULL, "pictures as they are"},
        {"no-shuffle", NULL, "the order of the data in every epoch"},
        {"val", "PART", "part of an unsplit DATA that validates (default 0.2)"},
        {"per-class", "N", "at most N training pictures a class"},
        {"by-index", NULL, "class i is output i, whatever the model's labels say"},
        {"metric", "NAME",
                "what chooses the best epoch: top1, loss, balanced or macro-f1 (default top1)"},
        {"patience", "N", "stop after N epochs without a better one"},
        {"log", "FILE", "a line of JSON for every step and every epoch"},
        {"state", "FILE", "save the run here, and go on from here when it was interrupted"},
        {"save-every", "SECONDS", "how often within an epoch (default 60)"},
        {"recompute", "N",
                "make values again in backward instead of keeping them: 1 normalisations, "
                "2 also 1x1 Convs (half the memory, a tenth more time), 3 whole blocks (0)"},
        {"cache", NULL, "compute the frozen part once for each picture, even when it ends in maps"},
        {"no-cache", NULL, "compute the frozen part afresh every time, on augmented pictures"},
        {"cache-size", "SIZE",
                "most memory for it, as 500M or 2G (default 1G); beyond that a temporary file"},
        {"cache-dir", "DIR", "where that file is (default $TMPDIR or /tmp)"},
        {"find-lr", NULL,
                "do not train: try learning rates from 1e-6 to 10, print the losses and a "
                "suggestion"},
        {"points", "N", "with --find-lr: rates to try (default 100)"},
        {0},
};

static const cli_tool tool = {
        .name = "tune",
        .brief = "fine-tune a model on pictures",
        .usage = "MODEL DATA",
        .description =
                "Trains what is not frozen in MODEL on DATA and writes the model with the weights "
                "of the best epoch. DATA is a "
                "folder DATA/CLASS/*.jpg|png (a part of it validates, chosen by content), a folder "
                "DATA/{train,val}/CLASS/*, a pair of "
                "IDX files, a manifest (TSV: path, label[, split]) or an .npz with x and y.\n\n"
                "The model must have one output a class; resect-head gives it a new head. Frozen "
                "weights and their "
                "BatchNormalization statistics come out as they went in, to the last byte. Where "
                "all that is left to train reads "
                "features, these are computed once.\n\n"
                "Ctrl-C finishes the step, saves the state and the best weights so far, and exits "
                "with 130. With --state the same "
                "command goes on where it was, to the same bits as a run that was never "
                "interrupted. A loss or gradient that is not "
                "finite ends the run with status 2; the best weights before it are still "
                "written.\n\n"
                "With --json what came out goes to standard output, and the model to -o; --log has "
                "every step and epoch.",
        .examples = "resect-tune flowers.onnx photos/ -o tuned.onnx\n"
                    "resect-tune flowers.onnx photos/ --epochs 30 --patience 5 --metric balanced "
                    "--state run.state -o tuned.onnx\n"
                    "resect-tune flowers.onnx photos/ --find-lr",
        .options = options,
        .common = CLI_READ | CLI_DATA | CLI_WRITE | CLI_RUN | CLI_SEED | CLI_JSON,
        .min_args = 2,
        .max_args = 2,
};

static uint64_t
size_option(const char *option, uint64_t fallback)
{
        const char *text = cli_value(option);
        if (!text)
                return fallback;
        char *end;
        double x = strtod(text, &end);
        const char *units = "KMGT", *unit = *end ? strchr(units, *end & ~0x20) : NULL;
        if (unit && end[1] == '\0')
                x *= pow(1024, (double)(unit - units + 1));
        else if (*end || end == text)
                x = -1;
        if (!(x >= 0 && x < 9e18))
                cli_die("--%s: '%s' is no size: want bytes, or a number with K, M, G or T", option,
                        text);
        return (uint64_t)x;
}

static void
read_augment(resect_augment *a, bool pictures)
{
        if (cli_given("no-augment")) {
                if (cli_given("augment"))
                        cli_die("--augment and --no-augment contradict each other");
        } else if (!cli_augment(a)) {
                a->crop = a->flip = pictures;
        }
}

/* An option of another optimiser or schedule than the one in use would be parsed and then
 * forgotten: that is refused. */
static void
refuse_idle(const char *optimizer, const char *schedule)
{
        static const struct {
                const char *option, *of, *names[3];
        } needs[] = {{"momentum", "optimizer", {"sgd"}}, {"nesterov", "optimizer", {"sgd"}},
                {"betas", "optimizer", {"adamw"}}, {"lr-floor", "schedule", {"cosine", "restarts"}},
                {"step-every", "schedule", {"step"}}, {"step-factor", "schedule", {"step"}},
                {"restart-every", "schedule", {"restarts"}},
                {"restart-stretch", "schedule", {"restarts"}}};
        for (size_t i = 0; i < sizeof needs / sizeof *needs; i++) {
                const char *in_use = !strcmp(needs[i].of, "schedule") ? schedule : optimizer;
                bool used = false;
                for (const char *const *name = needs[i].names; *name; name++)
                        used |= !strcmp(in_use, *name);
                if (cli_given(needs[i].option) && !used)
                        cli_die("--%s does nothing with --%s %s", needs[i].option, needs[i].of,
                                in_use);
        }
        cli_belong("state", (const char *const[]){"save-every", NULL});
        cli_belong("find-lr", (const char *const[]){"points", NULL});
        cli_exclude("find-lr",
                (const char *const[]){"output", "log", "state", "no-history", "force", NULL});
        if (cli_given("no-cache") && (cli_given("cache-size") || cli_given("cache-dir")))
                cli_die("--cache-size and --cache-dir do nothing with --no-cache");
}

static void
read_optimiser(resect_train_options *o)
{
        o->optimizer = cli_value("optimizer") ? cli_value("optimizer") : "sgd";
        bool adamw = !strcmp(o->optimizer, "adamw");
        o->lr = cli_real("lr", adamw ? 0.001 : 0.01, 0, 1e38);
        o->momentum = cli_real("momentum", 0.9, 0, 1);
        o->nesterov = cli_given("nesterov");
        o->weight_decay = cli_real("weight-decay", adamw ? 0.01 : 0.0001, 0, 1e6);
        o->no_bias_decay = cli_given("no-bias-decay");
        o->clip = cli_real("clip", 0, 0, 1e30);
        if (cli_given("betas")) {
                const char *b[2];
                char *text = cli_copy(cli_value("betas"));
                if (cli_split(text, b, 2, "betas") != 2)
                        cli_die("--betas: two numbers, as 0.9,0.999");
                o->beta1 = cli_number(b[0], "betas");
                o->beta2 = cli_number(b[1], "betas");
                free(text);
        }
        o->schedule = cli_value("schedule");
        o->warmup = cli_real("warmup", -1, 0, 1e6);
        o->lr_floor = cli_real("lr-floor", 0, 0, 1);
        o->step_every = cli_real("step-every", 0, 1, 1e6);
        o->step_gamma = cli_real("step-factor", 0.1, 0, 1);
        o->restart_every = cli_real("restart-every", 0, 0.01, 1e6);
        o->restart_stretch = cli_real("restart-stretch", 2, 1, 1e6);
}

static void
read_rates(resect_train_options *o)
{
        const char *given = cli_value("lr-stage"), *parts[64];
        if (!given)
                return;
        char *text = cli_copy(given);
        size_t n = cli_split(text, parts, 64, "lr-stage");
        resect_part_rate *rates = cli_alloc(n, sizeof *rates);
        for (size_t i = 0; i < n; i++) {
                char *part = cli_copy(parts[i]), *equals = strchr(part, '=');
                if (!equals)
                        cli_die("--lr-stage: '%s' is not PART=FACTOR", part);
                *equals = '\0';
                rates[i] = (resect_part_rate){part, cli_number(equals + 1, "lr-stage")};
        }
        free(text);
        o->part_rates = rates;
        o->n_part_rates = n;
}

static void
read_weights(resect_train_options *o, const resect_data *d)
{
        const char *given = cli_value("class-weights");
        if (!given)
                return;
        if (!strcmp(given, "balanced")) {
                o->balanced = true;
                return;
        }
        size_t classes = resect_data_class_count(d);
        const char **parts = cli_alloc(classes, sizeof *parts);
        double *weights = cli_alloc(classes, sizeof *weights);
        char *text = cli_copy(given);
        if (cli_split(text, parts, classes, "class-weights") != classes)
                cli_die("--class-weights: the data has %zu classes", classes);
        for (size_t i = 0; i < classes; i++)
                weights[i] = cli_number(parts[i], "class-weights");
        o->class_weights = weights;
        free(parts);
        free(text);
}

static void
read_options(resect_train_options *o, const resect_data *d)
{
        resect_train_defaults(o);
        o->epochs = (size_t)cli_integer("epochs", 10, 1, 1000000);
        o->batch = (size_t)cli_integer("batch", 32, 1, 1000000);
        read_optimiser(o);
        refuse_idle(o->optimizer, o->schedule ? o->schedule : "cosine");
        read_rates(o);
        read_weights(o, d);
        read_augment(&o->augment, !resect_data_raw_shape(d, (int64_t[3]){0}));
        o->thaw_every = (size_t)cli_integer("thaw-every", 0, 1, 1000000);
        o->unbiased = cli_given("bn-unbiased");
        o->label_smoothing = cli_real("label-smoothing", 0, 0, 1);
        o->mixup = cli_real("mixup", 0, 0, 100);
        o->no_shuffle = cli_given("no-shuffle");
        o->by_index = cli_given("by-index");
        o->metric = cli_value("metric");
        o->patience = (size_t)cli_integer("patience", 0, 1, 1000000);
        o->state = cli_value("state");
        o->save_every = cli_real("save-every", 60, 0, 1e9);
        if (cli_given("cache") && cli_given("no-cache"))
                cli_die("--cache and --no-cache contradict each other");
        o->cache = cli_given("cache")      ? RESECT_CACHE_ON
                   : cli_given("no-cache") ? RESECT_CACHE_OFF
                                           : RESECT_CACHE_AUTO;
        o->cache_size = size_option("cache-size", UINT64_C(1) << 30);
        o->cache_dir = cli_value("cache-dir") ? cli_value("cache-dir") : getenv("TMPDIR");
        o->seed = cli_seed();
        o->threads = cli_threads();
        o->kernels = cli_kernels();
        o->precision = cli_precision();
        o->exact = cli_given("exact");
        o->recompute = (int)cli_integer("recompute", 0, 0, 3);
}

/* What read_options allocated. */
static void
free_options(resect_train_options *o)
{
        for (size_t i = 0; i < o->n_part_rates; i++)
                free((char *)(uintptr_t)o->part_rates[i].part);
        free((void *)(uintptr_t)o->part_rates);
        free((void *)(uintptr_t)o->class_weights);
}

static int
find_rate(resect_model *m, const resect_data *d, const resect_train_options *o)
{
        resect_error err;
        size_t points = (size_t)cli_integer("points", 100, 3, 100000);
        double suggestion;
        resect_lr_point *p = cli_alloc(points, sizeof *p);
        struct tune_log unused = {.epochs = 0};
        resect_train_events events = tune_events(&unused);
        events.step = tune_on_point;
        if (!resect_train_find_lr(m, d, o, &events, 1e-6, 10, p, &points, &suggestion, &err)) {
                cli_progress_end();
                if (err.code == RESECT_STOPPED)
                        return 130;
                cli_fail(NULL, &err);
        }
        cli_progress_end();
        tune_print_rates(p, points, suggestion);
        free(p);
        return 0;
}

/* Labels and preprocessing go with the weights. */
static void
record(resect_model *m, const resect_data *d, const resect_input *in)
{
        resect_error err;
        size_t labels, classes = resect_data_class_count(d);
        if (in && !resect_input_record(m, in, &err))
                cli_fail(NULL, &err);
        if (resect_model_labels(m, &labels) && labels)
                return;
        if (resect_data_is_raw(d)) /* its classes are numbers */
                return;
        const char **names = cli_alloc(classes, sizeof *names);
        for (size_t i = 0; i < classes; i++)
                names[i] = resect_data_class(d, i);
        if (!resect_model_set_labels(m, names, classes, &err))
                cli_fail(NULL, &err);
        free(names);
}

static int
train(resect_model *m, const resect_data *d, const resect_train_options *o, const resect_input *in)
{
        resect_error err = {0}, sealed;
        resect_train_result result = {0};
        struct tune_log log = {.path = cli_value("log"), .epochs = o->epochs};
        if (log.path)
                cli_check_output(log.path);
        resect_train_events events = tune_events(&log);
        bool ok = resect_train(m, d, o, &events, &result, &err);
        cli_progress_end();
        tune_log_close(&log);
        bool stopped = !ok && err.code == RESECT_STOPPED;
        if (!ok && !stopped && !result.kept)
                cli_fail(NULL, &err);
        if (stopped && !result.steps)
                return 130;
        record(m, d, in);
        if (!resect_model_seal(m, &sealed))
                cli_fail(NULL, &sealed);
        cli_write_model(m);
        if (cli_json())
                tune_print_result(&result, ok);
        if (result.kept && result.validated)
                cli_note("kept epoch %zu of %zu: validation top-1 %.1f %%, loss %.4f",
                        result.best_epoch, result.epochs, 100 * result.best.top1, result.best.loss);
        else
                cli_note("kept the weights after step %zu", result.steps);
        if (!ok && !stopped)
                cli_fail(NULL, &err);
        if (stopped)
                cli_note("%s%s", err.msg, o->state ? "; the same command goes on" : "");
        return stopped ? 130 : 0;
}

int
main(int argc, char **argv)
{
        cli_start(&tool, argc, argv);
        bool find_lr = cli_given("find-lr");
        if (cli_json() && !find_lr && !cli_output())
                cli_die("--json: the model needs a file, -o FILE");
        resect_model *m = cli_read_model(cli_arg(0));
        resect_data *d = cli_open_data(
                cli_arg(1), (resect_data_options){.val = cli_real("val", find_lr ? 0 : 0.2, 0, 0.9),
                                    .per_class = cli_per_class()});
        cli_say_skipped(d);
        resect_train_options o;
        resect_input in;
        read_options(&o, d);
        if (cli_input(m, d, &in))
                o.input = &in;
        cli_catch_stop();
        int status = find_lr ? find_rate(m, d, &o) : train(m, d, &o, o.input);
        free_options(&o);
        resect_data_free(d);
        resect_model_free(m);
        return cli_finish(status);
}
