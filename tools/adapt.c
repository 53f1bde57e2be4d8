/* SPDX-License-Identifier: 0BSD */
/* resect-adapt: BatchNormalization's statistics re-estimated on DATA, and what that is worth where
 * labels are there to tell. */
#include "cli.h"

#include <stdlib.h>
#include <string.h>

static const resect_option options[] = {
        {"momentum", "M",
                "running statistics, batch by batch in training mode: new = (1 - M) old + M batch, "
                "as PyTorch's; left out: exact ones"},
        {"split", "NAME", "train, val, test or all (default: all)"},
        {"val", "PART",
                "part of an unsplit DATA that is the validation split, as in resect-tune (default "
                "0.2)"},
        {"per-class", "N", "at most N training pictures a class"},
        {"samples", "N", "at most so many pictures, from all over the split (default: all)"},
        {"batch", "N", "pictures at once (default 32)"},
        {"no-shuffle", NULL, "with --momentum: batches in the order of the data"},
        {"by-index", NULL, "class i is output i, whatever the model's labels say"},
        {0},
};

static const cli_tool tool = {
        .name = "adapt",
        .brief = "re-estimate BatchNormalization's statistics on other pictures",
        .usage = "MODEL DATA",
        .description =
                "AdaBN (Li et al. 2016): the means and variances that BatchNormalization "
                "remembers are those of the pictures a model was trained on. Where new pictures "
                "differ in light, camera or printing, replacing them by those of the new "
                "pictures may win back what was lost, without labels and without training. "
                "All else in the model stays as it is, to the last byte.\n\n"
                "Exact statistics, the default, are those of one batch of all pictures in "
                "training mode: each layer's mean and variance over every picture and position, "
                "behind layers that are re-estimated already, in double precision. That is one "
                "pass over the network; activations between layers are held in memory, beyond "
                "1 GiB in a nameless file in $TMPDIR. --momentum M needs no room: it is what "
                "PyTorch's running statistics become in one pass in training mode, and keeps a "
                "part of the old ones.\n\n"
                "Where the classes of DATA are the model's, top-1 before and after is reported on "
                "the same pictures, with the paired difference. Labels are used for nothing "
                "else. Frozen statistics stay: resect-freeze --thaw first.\n\n"
                "A model whose BatchNormalization was folded into Conv has none to re-estimate. "
                "resect-fold --unfold --data SOURCE brings them back, measured on SOURCE, which "
                "must be pictures like those it was trained on: measured on DATA they would be "
                "adapted to nothing. With --json the report goes to standard output and the model "
                "to -o.",
        .examples = "resect-adapt flowers.onnx night-photos/ -o flowers-at-night.onnx\n"
                    "resect-adapt model.onnx photos/ --momentum 0.1 > adapted.onnx\n"
                    "resect-shift flowers.onnx night-photos/",
        .options = options,
        .common = CLI_READ | CLI_DATA | CLI_WRITE | CLI_RUN | CLI_SEED | CLI_JSON,
        .min_args = 2,
        .max_args = 2,
};

struct judge {
        resect_model *m;
        const resect_data *d;
        resect_split split;
        const resect_input *in;
        const size_t *samples; /* [n] */
        size_t n;
        int64_t *map; /* [data's classes] NULL: nothing can be told of accuracy */
        const char *doing;
};

static bool
on_progress(void *ctx, size_t done, size_t total)
{
        const struct judge *j = ctx;
        cli_progress(j->doing, (double)done, (double)total, "pictures");
        return !cli_stopped();
}

/* Which output each class is, when that is beyond doubt; else why not. */
static void
match_classes(struct judge *j)
{
        resect_error err;
        resect_anatomy *a = resect_anatomy_find(j->m, &err);
        if (!a)
                cli_fail(cli_arg(0), &err);
        const int64_t outputs = resect_anatomy_summary(a)->n_classes;
        resect_anatomy_free(a);
        const size_t classes = resect_data_class_count(j->d);
        size_t labels;
        (void)resect_model_labels(j->m, &labels);
        j->map = cli_alloc(classes + 1, sizeof *j->map);
        const char *why = NULL;
        if (outputs < 1)
                why = "the model has no classifier";
        else if (!resect_class_map(
                         j->m, j->d, (size_t)outputs, cli_given("by-index"), j->map, &err))
                why = err.msg;
        else if (!labels && !resect_data_is_raw(j->d) && !cli_given("by-index") &&
                 classes != (size_t)outputs)
                why = "the model names no classes, and DATA has another number of them (--by-index "
                      "takes class i for output i)";
        if (!why)
                return;
        cli_note("accuracy is not reported: %s", why);
        free(j->map);
        j->map = NULL;
}

/* 1 for a hit, 0 for a miss, for each picture. */
static double *
hits(struct judge *j, const char *doing)
{
        resect_error err;
        resect_tensor logits;
        j->doing = doing;
        resect_predict_options o = {.input = j->in,
                .batch = (size_t)cli_integer("batch", 0, 1, 1000000),
                .threads = cli_threads(),
                .kernels = cli_kernels(),
                .precision = cli_precision(),
                .exact = cli_given("exact"),
                .progress = on_progress,
                .ctx = j};
        bool ok = resect_predict(j->m, j->d, j->split, &o, &logits, &err);
        cli_progress_end();
        if (!ok && err.code == RESECT_STOPPED)
                exit(130);
        if (!ok)
                cli_fail(cli_arg(0), &err);
        const size_t classes = (size_t)logits.dims[1];
        double *hit = cli_alloc(j->n, sizeof *hit);
        for (size_t i = 0; i < j->n; i++) {
                const size_t at = j->samples ? j->samples[i] : i;
                const int64_t label = j->map[resect_data_label(j->d, j->split, at)];
                resect_outcome out;
                if (!resect_outcomes((const float *)logits.data + at * classes, &label, 1, classes,
                            &out, &err))
                        cli_fail(cli_arg(0), &err);
                hit[i] = out.rank == 0;
        }
        resect_tensor_free(&logits);
        return hit;
}

struct gain {
        resect_crossed before, after, gain;
};

static struct gain
compare(const struct judge *j, const double *before, const double *after)
{
        resect_error err;
        struct gain g;
        const resect_crossed_options o = {.seed = cli_seed()};
        if (!resect_crossed_mean(before, 1, j->n, &o, &g.before, &err) ||
                !resect_crossed_mean(after, 1, j->n, &o, &g.after, &err) ||
                !resect_crossed_difference(after, before, 1, j->n, &o, &g.gain, &err))
                cli_fail(NULL, &err);
        return g;
}

static void
say(const resect_adapt_result *r, const struct gain *g)
{
        const double m = cli_real("momentum", 0, 0, 1);
        char how[64] = "exactly";
        if (m > 0)
                snprintf(how, sizeof how, "running, momentum %g", m);
        cli_note("%zu BatchNormalization layer%s re-estimated on %zu pictures (%s)", r->norms,
                r->norms == 1 ? "" : "s", r->pictures, how);
        if (r->frozen)
                cli_note("%zu that are frozen were left as they are", r->frozen);
        cli_note("the statistics moved by %.3g on average (symmetric KL: 1 is a mean that moved by "
                 "one standard deviation)",
                r->moved);
        if (!g)
                return;
        cli_note("top-1 on these pictures: %.1f %% (%.1f to %.1f) before, %.1f %% (%.1f to %.1f) "
                 "after",
                100 * g->before.value, 100 * g->before.low, 100 * g->before.high,
                100 * g->after.value, 100 * g->after.low, 100 * g->after.high);
        const char *verdict = g->gain.low > 0    ? "adapting helped"
                              : g->gain.high < 0 ? "adapting hurt: keep the model as it was"
                                                 : "no difference that can be told from chance";
        cli_note("difference %+.1f points (95 %% interval %+.1f to %+.1f): %s", 100 * g->gain.value,
                100 * g->gain.low, 100 * g->gain.high, verdict);
}

static json_t *
figure(const resect_crossed *c)
{
        return json_pack("{s:o,s:o,s:o}", "value", cli_json_real(c->value), "low",
                cli_json_real(c->low), "high", cli_json_real(c->high));
}

static void
print_json(const resect_adapt_result *r, const struct gain *g)
{
        json_t *all = json_pack("{s:I,s:I,s:I,s:o,s:o}", "pictures", (json_int_t)r->pictures,
                "norms", (json_int_t)r->norms, "frozen", (json_int_t)r->frozen, "momentum",
                cli_json_real(cli_real("momentum", 0, 0, 1)), "moved", cli_json_real(r->moved));
        if (g) {
                json_object_set_new(all, "before", figure(&g->before));
                json_object_set_new(all, "after", figure(&g->after));
                json_object_set_new(all, "gain", figure(&g->gain));
                json_object_set_new(all, "p", cli_json_real(g->gain.p));
        }
        cli_print_json(all);
}

/* At most so many pictures, spread evenly: the samples of a class lie together. */
static void
choose_samples(struct judge *j)
{
        const size_t have = resect_data_count(j->d, j->split);
        j->n = (size_t)cli_integer("samples", (int64_t)have, 1, INT32_MAX);
        if (j->n >= have) {
                j->n = have;
                return;
        }
        size_t *at = cli_alloc(j->n, sizeof *at);
        for (size_t i = 0; i < j->n; i++)
                at[i] = (size_t)((double)i * (double)have / (double)j->n);
        j->samples = at;
}

int
main(int argc, char **argv)
{
        cli_start(&tool, argc, argv);
        resect_error err;
        resect_input in;
        resect_adapt_result r;
        struct gain gain;
        double *before = NULL, *after = NULL;
        if (cli_json() && !cli_output())
                cli_die("--json: the model needs a file, -o FILE");
        cli_check_output(cli_output());
        struct judge j = {0};
        resect_adapt_options o = {.momentum = cli_real("momentum", 0, 1e-9, 1),
                .batch = (size_t)cli_integer("batch", 0, 1, 1000000),
                .no_shuffle = cli_given("no-shuffle"),
                .seed = cli_seed(),
                .threads = cli_threads(),
                .kernels = cli_kernels(),
                .precision = cli_precision(),
                .exact = cli_given("exact"),
                .progress = on_progress,
                .ctx = &j};
        cli_catch_stop();
        j.m = cli_read_model(cli_arg(0));
        resect_data *d =
                cli_open_data(cli_arg(1), (resect_data_options){.val = cli_real("val", 0.2, 0, 0.9),
                                                  .per_class = cli_per_class(),
                                                  .no_training = true});
        cli_say_skipped(d);
        j.d = d;
        j.split = cli_split_of(d, cli_arg(1), true);
        j.in = o.input = cli_input(j.m, d, &in) ? &in : NULL;
        choose_samples(&j);
        o.samples = j.samples;
        o.n_samples = j.n;
        match_classes(&j);
        if (j.map)
                before = hits(&j, "predicting before");
        j.doing = o.momentum > 0 ? "running" : "re-estimating";
        bool ok = resect_adapt(j.m, d, j.split, &o, &r, &err);
        cli_progress_end();
        if (!ok && err.code == RESECT_STOPPED)
                exit(130);
        if (!ok)
                cli_fail(cli_arg(0), &err);
        if (j.map) {
                after = hits(&j, "predicting after");
                gain = compare(&j, before, after);
        }
        cli_write_model(j.m);
        if (cli_json())
                print_json(&r, j.map ? &gain : NULL);
        else
                say(&r, j.map ? &gain : NULL);
        free(before);
        free(after);
        free(j.map);
        free((void *)(uintptr_t)j.samples);
        resect_data_free(d);
        resect_model_free(j.m);
        return cli_finish(0);
}
