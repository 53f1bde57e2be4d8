/* SPDX-License-Identifier: 0BSD */
/*
 * resect-shift: how far DATA is from what a model was trained on: p(x) by the statistics of every
 * layer, p(y|x) as far as names tell. The figures are the library's; shift_words.c says what they
 * suggest, shift_show.c and shift_page.c show them.
 */
#include "shift.h"

#include <stdlib.h>
#include <string.h>

static const resect_option options[] = {
        {"source", "DATA2",
                "pictures like those that the model was trained on: what is normal, and whether a "
                "classifier tells the two apart"},
        {"split", "NAME", "of DATA: train, val, test or all (default: all)"},
        {"source-split", "NAME", "of DATA2: train, val, test or all (default: all)"},
        {"val", "PART",
                "part of an unsplit DATA that is the validation split, as in resect-tune (default "
                "0.2)"},
        {"per-class", "N", "at most N training pictures a class"},
        {"samples", "N", "at most so many pictures of each, from all over it (default 1000)"},
        {"batch", "N", "pictures at once (default 8)"},
        {"worst", "N", "channels to list, the most shifted first (default 5)"},
        {"keep-map", "FILE", "write the classes in common as a map for resect-head --keep"},
        {"svg", "FILE", "the distance of every layer as a plot"},
        {"html", "FILE", "all of it as a page"},
        {0},
};

static const cli_tool tool = {
        .name = "shift",
        .brief = "measure how far pictures are from what a model was trained on",
        .usage = "MODEL DATA",
        .description =
                "A model remembers, in its BatchNormalization, mean and variance of what each "
                "layer saw in training. resect-shift runs DATA through the model as it is and "
                "measures how far its own means and variances are from those: the symmetric "
                "Kullback-Leibler divergence of two Gaussians, a channel at a time. A mean that "
                "moved by one standard deviation is 1, a variance that doubled 0.25. 'chance' is "
                "what so few pictures would show without any shift.\n\n"
                "With --source, pictures like those the model was trained on, the table says "
                "what is normal for them, and a classifier (logistic regression on the pooled "
                "features, each picture scored by a fit that did not see it) tries to tell the "
                "two apart: its AUC is 0.5 when it cannot. A model whose BatchNormalization was "
                "folded away remembers nothing: DATA is then compared with --source.\n\n"
                "The classes of DATA are looked for among the model's labels, whatever their "
                "case, underscores and plurals; those in common can keep their rows "
                "(resect-head --keep). What all that suggests is said in words; resect-trial "
                "measures it.",
        .examples = "resect-shift resnet101.onnx photos/\n"
                    "resect-shift flowers.onnx night-photos/ --source photos/ --html shift.html\n"
                    "resect-shift imagenet.onnx pets/ --keep-map map.tsv",
        .options = options,
        .common = CLI_READ | CLI_DATA | CLI_RUN | CLI_SEED | CLI_JSON,
        .min_args = 2,
        .max_args = 2,
};

static bool
on_progress(void *ctx, size_t done, size_t total)
{
        (void)ctx;
        cli_progress("measuring", (double)done, (double)total, "pictures");
        return !cli_stopped();
}

static void
find_stages(shift_study *y)
{
        resect_shift_layer l;
        y->stages = cli_alloc(y->f.layers + 1, sizeof *y->stages);
        for (size_t i = 0; resect_shift_layer_at(y->s, i, &l); i++) {
                size_t k = 0;
                if (!*l.stage)
                        continue;
                while (k < y->n_stages && strcmp(y->stages[k].name, l.stage))
                        k++;
                if (k == y->n_stages)
                        y->stages[y->n_stages++].name = l.stage;
                y->stages[k].layers++;
                y->stages[k].distance += l.median;
                y->stages[k].chance += l.chance;
                y->stages[k].source += l.source;
        }
        for (size_t k = 0; k < y->n_stages; k++) {
                y->stages[k].distance /= (double)y->stages[k].layers;
                y->stages[k].chance /= (double)y->stages[k].layers;
                y->stages[k].source /= (double)y->stages[k].layers;
        }
}

static void
match_labels(shift_study *y)
{
        resect_error err;
        const size_t n = resect_data_class_count(y->d);
        const char **classes = cli_alloc(n + 1, sizeof *classes);
        y->match = cli_alloc(n + 1, sizeof *y->match);
        y->labels = resect_model_labels(y->m, &y->n_labels);
        for (size_t i = 0; i < n; i++)
                classes[i] = resect_data_class(y->d, i);
        if (y->n_labels && !resect_data_is_raw(y->d) &&
                !resect_labels_match(y->labels, y->n_labels, classes, n, y->match, &err))
                cli_fail(NULL, &err);
        for (size_t i = 0; i < n; i++)
                y->n_common += y->match[i].how != RESECT_UNLIKE;
        free(classes);
}

const char *
shift_likeness(const resect_label_match *m)
{
        static const char *const words[] = {"", "same", "but for spelling", "one of its names"};
        return words[m->how];
}

/* For resect-head --keep: new label, TAB, number of the old one. */
static void
write_map(const shift_study *y, const char *path)
{
        FILE *f = fopen(path, "w");
        if (!f)
                cli_die("%s: cannot be made", path);
        for (size_t i = 0; i < resect_data_class_count(y->d); i++)
                if (y->match[i].how != RESECT_UNLIKE)
                        fprintf(f, "%s\t%zu\n", resect_data_class(y->d, i), y->match[i].label);
        if (fclose(f))
                cli_die("%s: cannot be written", path);
}

/* The source's pictures: classes do not matter there. */
static resect_data *
open_source(resect_split *split)
{
        static const resect_split splits[] = {RESECT_TRAIN, RESECT_VAL, RESECT_TEST, RESECT_ALL};
        if (!cli_given("source")) {
                if (cli_given("source-split"))
                        cli_die("--source-split belongs to --source");
                return NULL;
        }
        resect_data *d = cli_open_pictures(cli_value("source"),
                (resect_data_options){.val = cli_real("val", 0.2, 0, 0.9), .no_training = true});
        *split = splits[cli_choice("source-split", 3, "train|val|test|all")];
        if (!resect_data_count(d, *split))
                cli_die("%s: no picture is in that split", cli_value("source"));
        return d;
}

int
main(int argc, char **argv)
{
        cli_start(&tool, argc, argv);
        resect_error err;
        resect_input in;
        resect_split source_split = RESECT_ALL;
        for (size_t i = 0; i < 3; i++) {
                static const char *const files[] = {"keep-map", "svg", "html"};
                if (cli_given(files[i]))
                        cli_check_output(cli_value(files[i]));
        }
        (void)cli_integer("worst", 5, 0, INT32_MAX);
        resect_shift_options o = {.samples = (size_t)cli_integer("samples", 1000, 2, INT32_MAX),
                .batch = (size_t)cli_integer("batch", 0, 1, 1000000),
                .seed = cli_seed(),
                .threads = cli_threads(),
                .kernels = cli_kernels(),
                .precision = cli_precision(),
                .exact = cli_given("exact"),
                .progress = on_progress};
        shift_study y = {0};
        cli_catch_stop();
        y.m = cli_read_model(cli_arg(0));
        y.d = cli_open_data(cli_arg(1), (resect_data_options){.val = cli_real("val", 0.2, 0, 0.9),
                                                .per_class = cli_per_class(),
                                                .no_training = true});
        cli_say_skipped(y.d);
        const resect_split split = cli_split_of(y.d, cli_arg(1), true);
        resect_data *source = open_source(&source_split);
        if (source && resect_data_is_raw(source) != resect_data_is_raw(y.d))
                cli_die("DATA and --source: one is an .npz, used as it is, the other is prepared "
                        "as the "
                        "model says; give both alike");
        o.input = cli_input(y.m, y.d, &in) ? &in : NULL;
        y.s = resect_shift_measure(y.m, y.d, split, source, source_split, &o, &err);
        cli_progress_end();
        if (!y.s && err.code == RESECT_STOPPED)
                exit(130);
        if (!y.s)
                cli_fail(cli_arg(0), &err);
        y.f = resect_shift_about(y.s);
        match_labels(&y);
        find_stages(&y);
        shift_judge(&y);
        if (cli_given("keep-map"))
                write_map(&y, cli_value("keep-map"));
        shift_write_views(&y);
        if (cli_json())
                shift_print_json(&y);
        else
                shift_print(&y);
        for (size_t i = 0; i < y.n_words; i++)
                free(y.words[i]);
        free(y.stages);
        free(y.match);
        resect_shift_free(y.s);
        resect_data_free(source);
        resect_data_free(y.d);
        resect_model_free(y.m);
        return cli_finish(0);
}
