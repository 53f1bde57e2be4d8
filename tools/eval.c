/* SPDX-License-Identifier: 0BSD */
/* resect-eval: how good a model is on DATA, how far the figures can be trusted, and where it goes
 * wrong. */
#include "cli.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const resect_option options[] = {
        {"split", "NAME", "train, val, test or all (default: val, else test, else all)"},
        {"val", "PART",
                "part of an unsplit DATA that is the validation split, as in resect-tune (default "
                "0.2)"},
        {"by-index", NULL, "class i is output i, whatever the model's labels say"},
        {"batch", "N", "pictures at once, at most (default 32)"},
        {"worst", "N", "mistakes to list, the most wrong first (default 10)"},
        {"bootstrap", "N", "resamples for the intervals (default 1000)"},
        {"level", "P", "confidence level of the intervals (default 0.95)"},
        {"min-top1", "P", "exit with 1 when top-1 is below P, a part of 1"},
        {0},
};

static const cli_tool tool = {
        .name = "eval",
        .brief = "judge a model on labelled pictures",
        .usage = "MODEL DATA",
        .description =
                "Runs MODEL on DATA and prints top-1 and top-5 accuracy, balanced accuracy "
                "(mean recall of the classes), macro-F1, log "
                "loss and expected calibration error (15 bins), each with a bootstrap "
                "interval; precision, recall and F1 of each class; "
                "the confusion matrix (of which --json lists what is not 0); and the mistakes "
                "that the model was surest of.\n\n"
                "Classes are matched by name when the model records labels, in whatever "
                "order, else by index. DATA is what resect-tune "
                "takes; of an unsplit folder the same pictures are held out as there, "
                "chosen by their content.",
        .examples = "resect-eval tuned.onnx photos/\n"
                    "resect-eval tuned.onnx photos/ --split all --json\n"
                    "resect-eval tuned.onnx photos/ --min-top1 0.9 && cp tuned.onnx release/",
        .options = options,
        .common = CLI_READ | CLI_DATA | CLI_JSON | CLI_RUN | CLI_SEED,
        .min_args = 2,
        .max_args = 2,
        .exit_one = "top-1 is below --min-top1",
};

/* What the options say, looked at before anything is read. */
static struct {
        double val, level, least;
        size_t batch, worst, rounds;
} asked;

static void
read_options(void)
{
        asked.val = cli_real("val", 0.2, 0, 0.9);
        asked.level = cli_real("level", 0.95, 0.01, 0.9999);
        asked.least = cli_real("min-top1", 0, 0, 1);
        asked.batch = (size_t)cli_integer("batch", 0, 1, 1000000);
        asked.worst = (size_t)cli_integer("worst", 10, 0, 1000000000);
        asked.rounds = (size_t)cli_integer("bootstrap", 1000, 1, 10000000);
        (void)cli_choice("split", -1, "train|val|test|all"); /* cli_split_of's */
}

/* Everything that is known about the model on the split. */
struct verdict {
        const resect_data *data;
        resect_split split;
        size_t n, classes;   /* pictures, outputs */
        const char **names;  /* [classes] */
        char (*numbers)[24]; /* [classes] names of outputs without a label */
        resect_outcome *o;   /* [n] */
        resect_scores s, low, high;
        resect_class_scores *per_class;
        size_t *confusion;
        size_t *worst; /* [n_worst] samples */
        size_t n_worst;
};

/* What pictures become: the model's word, and --input over it. */
static bool
read_input(const resect_model *m, resect_input *in, const char **what, resect_error *err)
{
        *what = cli_arg(0);
        if (!resect_input_of(m, in, NULL, err))
                return false;
        *what = "--input";
        return !cli_given("input") || resect_input_parse(in, cli_value("input"), err);
}

static resect_data *
open_data(const resect_model *m, const char *path)
{
        resect_error err;
        resect_input in;
        const char *what;
        resect_data_options o = {.val = asked.val, .no_training = true};
        if (read_input(m, &in, &what, &err))
                o.input = &in;
        else if (cli_given("input"))
                cli_fail(what, &err);
        /* else predict says why, where it matters */
        resect_data *d = cli_open_data(path, o);
        cli_say_skipped(d);
        return d;
}

static bool
on_progress(void *ctx, size_t done, size_t total)
{
        (void)ctx;
        cli_progress("predicting", (double)done, (double)total, "pictures");
        return !cli_stopped();
}

static resect_tensor
predict(resect_model *m, const resect_data *d, resect_split split)
{
        resect_error err;
        resect_input in;
        resect_predict_options o = {.batch = asked.batch,
                .threads = cli_threads(),
                .kernels = cli_kernels(),
                .precision = cli_precision(),
                .exact = cli_given("exact"),
                .progress = on_progress};
        if (resect_data_is_raw(d)) {
                if (cli_given("input"))
                        cli_die("--input: an .npz is used as it is");
        } else {
                const char *what;
                if (!read_input(m, &in, &what, &err))
                        cli_fail(what, &err);
                o.input = &in;
        }
        resect_tensor logits;
        bool ok = resect_predict(m, d, split, &o, &logits, &err);
        cli_progress_end();
        if (!ok && err.code == RESECT_STOPPED)
                exit(130);
        if (!ok)
                cli_fail(cli_arg(0), &err);
        return logits;
}

/* Names of the outputs: the model's labels, else the classes of the data that they stand for, else
 * their numbers. */
static void
name_outputs(struct verdict *v, const resect_model *m, const int64_t *map)
{
        size_t labels;
        const char *const *given = resect_model_labels(m, &labels);
        v->names = cli_alloc(v->classes, sizeof *v->names);
        v->numbers = cli_alloc(v->classes, sizeof *v->numbers);
        for (size_t i = 0; i < v->classes; i++) {
                snprintf(v->numbers[i], sizeof v->numbers[i], "%zu", i);
                v->names[i] = labels == v->classes ? given[i] : v->numbers[i];
        }
        for (size_t i = 0; labels != v->classes && i < resect_data_class_count(v->data); i++)
                v->names[map[i]] = resect_data_class(v->data, i);
}

static const struct verdict *sorting;

static int
more_wrong(const void *a, const void *b)
{
        const resect_outcome *x = &sorting->o[*(const size_t *)a],
                             *y = &sorting->o[*(const size_t *)b];
        if (x->loss > y->loss || x->loss < y->loss)
                return x->loss > y->loss ? -1 : 1;
        return (*(const size_t *)a > *(const size_t *)b) -
               (*(const size_t *)a < *(const size_t *)b);
}

static void
find_worst(struct verdict *v)
{
        v->worst = cli_alloc(v->n, sizeof *v->worst);
        for (size_t i = 0; i < v->n; i++)
                if (v->o[i].rank)
                        v->worst[v->n_worst++] = i;
        sorting = v;
        qsort(v->worst, v->n_worst, sizeof *v->worst, more_wrong);
        if (v->n_worst > asked.worst)
                v->n_worst = asked.worst;
}

static struct verdict
judge(resect_model *m, const resect_data *d)
{
        struct verdict v = {.data = d, .split = cli_split_of(d, cli_arg(1), false)};
        resect_error err;
        resect_tensor logits = predict(m, d, v.split);
        v.n = (size_t)logits.dims[0];
        v.classes = (size_t)logits.dims[1];
        int64_t *map = cli_alloc(resect_data_class_count(d), sizeof *map),
                *labels = cli_alloc(v.n, sizeof *labels);
        if (!resect_class_map(m, d, v.classes, cli_given("by-index"), map, &err))
                cli_fail(NULL, &err);
        for (size_t i = 0; i < v.n; i++)
                labels[i] = map[resect_data_label(d, v.split, i)];
        name_outputs(&v, m, map);
        v.o = cli_alloc(v.n, sizeof *v.o);
        v.per_class = cli_alloc(v.classes, sizeof *v.per_class);
        v.confusion = cli_alloc(v.classes, v.classes * sizeof *v.confusion);
        if (!resect_outcomes(logits.data, labels, v.n, v.classes, v.o, &err) ||
                !resect_scores_of(v.o, v.n, v.classes, &v.s, v.per_class, v.confusion, &err) ||
                !resect_scores_bootstrap(v.o, v.n, v.classes, asked.rounds, asked.level, cli_seed(),
                        &v.low, &v.high, &err))
                cli_fail(NULL, &err);
        find_worst(&v);
        resect_tensor_free(&logits);
        free(map);
        free(labels);
        return v;
}

/* One figure of a resect_scores. */
static const struct {
        const char *name, *title;
        size_t offset;
        bool percent;
} figures[] = {
        {"top1", "top-1", offsetof(resect_scores, top1), true},
        {"top5", "top-5", offsetof(resect_scores, top5), true},
        {"balanced", "balanced accuracy", offsetof(resect_scores, balanced), true},
        {"macro_f1", "macro-F1", offsetof(resect_scores, macro_f1), true},
        {"loss", "log loss", offsetof(resect_scores, loss), false},
        {"ece", "calibration error", offsetof(resect_scores, ece), true},
};
enum { FIGURES = sizeof figures / sizeof *figures };

static double
figure(const resect_scores *s, int i)
{
        double x;
        memcpy(&x, (const char *)s + figures[i].offset, sizeof x);
        return x;
}

static void
print_figures(const struct verdict *v)
{
        char header[40];
        snprintf(header, sizeof header, ">%g %% interval", 100 * asked.level);
        cli_table *t = cli_table_make((const char *const[]){"figure", ">value", header, NULL});
        for (int i = 0; i < FIGURES; i++) {
                if (!strcmp(figures[i].name, "top5") && v->classes <= 5)
                        continue;
                double x = figure(&v->s, i), a = figure(&v->low, i), b = figure(&v->high, i);
                cli_cell(t, "%s", figures[i].title);
                if (figures[i].percent) {
                        cli_cell(t, "%.1f %%", 100 * x);
                        cli_cell(t, "%.1f - %.1f", 100 * a, 100 * b);
                } else {
                        cli_cell(t, "%.4f", x);
                        cli_cell(t, "%.4f - %.4f", a, b);
                }
        }
        cli_table_print(t);
}

static void
print_classes(const struct verdict *v)
{
        cli_table *t = cli_table_make((const char *const[]){
                "class", ">pictures", ">predicted", ">precision", ">recall", ">F1", NULL});
        for (size_t i = 0; i < v->classes; i++) {
                const resect_class_scores *k = &v->per_class[i];
                if (!k->support && !k->predicted)
                        continue;
                cli_cell(t, "%s", v->names[i]);
                cli_cell(t, "%zu", k->support);
                cli_cell(t, "%zu", k->predicted);
                cli_cell(t, "%.1f %%", 100 * k->precision);
                cli_cell(t, "%.1f %%", 100 * k->recall);
                cli_cell(t, "%.3f", k->f1);
        }
        putchar('\n');
        cli_table_print(t);
}

struct pair {
        size_t label, predicted, count;
};

static int
more_often(const void *a, const void *b)
{
        const struct pair *x = a, *y = b;
        if (x->count != y->count)
                return x->count > y->count ? -1 : 1;
        size_t i = x->label, j = y->label;
        if (i == j) {
                i = x->predicted;
                j = y->predicted;
        }
        return (i > j) - (i < j);
}

/* With many classes a matrix says nothing: the pairs most often mistaken, then. */
static void
print_pairs(const struct verdict *v)
{
        struct pair *p = cli_alloc(v->n + 1, sizeof *p);
        size_t n = 0;
        for (size_t i = 0; i < v->classes; i++)
                for (size_t k = 0; k < v->classes; k++)
                        if (i != k && v->confusion[i * v->classes + k])
                                p[n++] = (struct pair){i, k, v->confusion[i * v->classes + k]};
        qsort(p, n, sizeof *p, more_often);
        if (n) {
                cli_table *t =
                        cli_table_make((const char *const[]){"class", "taken for", ">times", NULL});
                for (size_t i = 0; i < n && i < 10; i++) {
                        cli_cell(t, "%s", v->names[p[i].label]);
                        cli_cell(t, "%s", v->names[p[i].predicted]);
                        cli_cell(t, "%zu", p[i].count);
                }
                putchar('\n');
                cli_table_print(t);
        }
        free(p);
}

static void
print_confusion(const struct verdict *v)
{
        enum { MOST = 20 };
        if (v->classes > MOST) {
                print_pairs(v);
                return;
        }
        char numbers[MOST][24];
        const char *headers[MOST + 3] = {">", "class \\ predicted"};
        for (size_t i = 0; i < v->classes; i++) {
                snprintf(numbers[i], sizeof numbers[i], ">%zu", i);
                headers[i + 2] = numbers[i];
        }
        cli_table *t = cli_table_make(headers);
        for (size_t i = 0; i < v->classes; i++) {
                cli_cell(t, "%zu", i);
                cli_cell(t, "%s", v->names[i]);
                for (size_t k = 0; k < v->classes; k++)
                        cli_cell(t, "%zu", v->confusion[i * v->classes + k]);
        }
        putchar('\n');
        cli_table_print(t);
}

static void
print_worst(const struct verdict *v)
{
        if (!v->n_worst)
                return;
        cli_table *t = cli_table_make(
                (const char *const[]){"mistake", "is", "taken for", ">sure", ">loss", NULL});
        for (size_t i = 0; i < v->n_worst; i++) {
                const resect_outcome *o = &v->o[v->worst[i]];
                cli_cell(t, "%s", resect_data_name(v->data, v->split, v->worst[i]));
                cli_cell(t, "%s", v->names[o->label]);
                cli_cell(t, "%s", v->names[o->predicted]);
                cli_cell(t, "%.1f %%", 100 * o->confidence);
                cli_cell(t, "%.3f", o->loss);
        }
        putchar('\n');
        cli_table_print(t);
}

static json_t *
worst_json(const struct verdict *v)
{
        json_t *list = json_array();
        for (size_t i = 0; i < v->n_worst; i++) {
                const resect_outcome *o = &v->o[v->worst[i]];
                json_array_append_new(list,
                        json_pack("{s:o,s:o,s:o,s:o,s:o}", "picture",
                                cli_json_text(resect_data_name(v->data, v->split, v->worst[i])),
                                "label", cli_json_text(v->names[o->label]), "predicted",
                                cli_json_text(v->names[o->predicted]), "confidence",
                                cli_json_real(o->confidence), "loss", cli_json_real(o->loss)));
        }
        return list;
}

static void
print_json(const struct verdict *v)
{
        json_t *all = json_pack(
                "{s:I,s:o}", "pictures", (json_int_t)v->n, "level", cli_json_real(asked.level));
        json_t *classes = json_array(), *confusion = json_array();
        for (int i = 0; i < FIGURES; i++)
                json_object_set_new(all, figures[i].name,
                        json_pack("{s:o,s:o,s:o}", "value", cli_json_real(figure(&v->s, i)), "low",
                                cli_json_real(figure(&v->low, i)), "high",
                                cli_json_real(figure(&v->high, i))));
        for (size_t i = 0; i < v->classes; i++) {
                const resect_class_scores *k = &v->per_class[i];
                for (size_t j = 0; j < v->classes; j++) {
                        const size_t n = v->confusion[i * v->classes + j];
                        if (n) /* of a thousand classes nearly all cells are empty */
                                json_array_append_new(
                                        confusion, json_pack("{s:o,s:o,s:I}", "label",
                                                           cli_json_text(v->names[i]), "predicted",
                                                           cli_json_text(v->names[j]), "pictures",
                                                           (json_int_t)n));
                }
                json_array_append_new(classes,
                        json_pack("{s:o,s:I,s:I,s:I,s:o,s:o,s:o}", "class",
                                cli_json_text(v->names[i]), "pictures", (json_int_t)k->support,
                                "predicted", (json_int_t)k->predicted, "hits", (json_int_t)k->hits,
                                "precision", cli_json_real(k->precision), "recall",
                                cli_json_real(k->recall), "f1", cli_json_real(k->f1)));
        }
        json_object_set_new(all, "classes", classes);
        json_object_set_new(all, "confusion", confusion);
        json_object_set_new(all, "worst", worst_json(v));
        cli_print_json(all);
}

static void
verdict_free(struct verdict *v)
{
        free(v->names);
        free(v->numbers);
        free(v->o);
        free(v->per_class);
        free(v->confusion);
        free(v->worst);
}

int
main(int argc, char **argv)
{
        cli_start(&tool, argc, argv);
        read_options();
        cli_catch_stop();
        resect_model *m = cli_read_model(cli_arg(0));
        resect_data *d = open_data(m, cli_arg(1));
        struct verdict v = judge(m, d);
        if (cli_json()) {
                print_json(&v);
        } else {
                printf("%zu pictures, %zu classes\n\n", v.n, v.classes);
                print_figures(&v);
                print_classes(&v);
                print_confusion(&v);
                print_worst(&v);
        }
        if (v.s.top1 < asked.least)
                cli_note("top-1 %.4f is below %.4f", v.s.top1, asked.least);
        int status = v.s.top1 < asked.least ? 1 : 0;
        verdict_free(&v);
        resect_data_free(d);
        resect_model_free(m);
        return cli_finish(status);
}
