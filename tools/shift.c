/* SPDX-License-Identifier: 0BSD */
/*
 * resect-shift: how far DATA is from what a model was trained on: p(x) by the statistics of every
 * layer, p(y|x) as far as names tell. The figures are the library's; here they are shown, and said
 * in plain words what they suggest.
 */
#include "cli.h"

#include <math.h>
#include <stdarg.h>
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
        {"classes", "A,B,...", "these classes of DATA only"},
        {"per-class", "N", "at most N training pictures a class"},
        {"samples", "N", "at most so many pictures of each, from all over it (default 1000)"},
        {"batch", "N", "pictures at once (default 8)"},
        {"worst", "N", "channels to list, the most shifted first (default 5)"},
        {"input", "SPEC",
                "preprocessing, over what the model records: size=HxW resize=N mean=r,g,b "
                "std=r,g,b channels=rgb|bgr"},
        {"keep-map", "FILE", "write the classes in common as a map for resect-head --keep"},
        {"svg", "FILE", "the distance of every layer as a plot"},
        {"html", "FILE", "all of it as a page"},
        {"skip-bad", NULL, "go on when more than 1 % of the pictures cannot be read"},
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
        .common = CLI_READ | CLI_RUN | CLI_SEED | CLI_JSON,
        .min_args = 2,
        .max_args = 2,
};

typedef struct stage {
        const char *name;
        size_t layers;
        double distance, chance,
                source; /* means over its layers: of their medians, chance, source */
} stage;

typedef struct study {
        resect_model *m;
        resect_data *d;
        resect_shift *s;
        resect_shift_facts f;
        stage *stages; /* [n_stages] in the order of the network */
        size_t n_stages;
        size_t n_labels, n_common;
        const char *const *labels;
        resect_label_match *match; /* [classes] */
        char *words[16];           /* what it suggests, a paragraph each */
        size_t n_words;
} study;

static bool
on_progress(void *ctx, size_t done, size_t total)
{
        (void)ctx;
        cli_progress("measuring", (double)done, (double)total, "pictures");
        return !cli_stopped();
}

static void add(study *y, const char *fmt, ...) RESECT_PRINTF(2, 3);
static void
add(study *y, const char *fmt, ...)
{
        va_list ap;
        char *text = cli_alloc(2048, 1);
        va_start(ap, fmt);
        vsnprintf(text, 2048, fmt, ap);
        va_end(ap);
        if (y->n_words == sizeof y->words / sizeof *y->words)
                free(text);
        else
                y->words[y->n_words++] = text;
}

static void
find_stages(study *y)
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

/* A distance beyond what chance, and the source's own pictures, would show. */
static double
beyond(const stage *s)
{
        double normal = isnan(s->source) || s->source < s->chance ? s->chance : s->source;
        return s->distance > normal ? s->distance - normal : 0;
}

/* Stages and their distances, "0.25 in stem, 0.1 in layer3": the first, the most shifted, the last.
 */
static const char *
profile(const study *y, size_t most)
{
        static char text[256];
        int n = 0;
        for (size_t k = 0; k < y->n_stages && n < (int)sizeof text; k++)
                if (k == 0 || k == most || k + 1 == y->n_stages)
                        n += snprintf(text + n, sizeof text - (size_t)n, "%s%.2g in %s",
                                n ? ", " : "", y->stages[k].distance, y->stages[k].name);
        return text;
}

/*
 * p(x): where does the shift begin, and where is it largest? What is small was found on pictures of
 * the very set that a model was trained on: augmentation and running averages alone leave a
 * median channel up to 0.1 away; with a source, its own distance is known and taken off.
 */
static void
judge_pictures(study *y)
{
        const double small = y->f.source_pictures ? 0.05 : 0.1, coarse = 5;
        size_t most = 0;
        if (y->n_stages < 2) {
                add(y, "The structure of this network is unknown, so that where in depth the shift "
                       "lies cannot be said.");
                return;
        }
        for (size_t k = 1; k < y->n_stages; k++)
                if (beyond(&y->stages[k]) > beyond(&y->stages[most]))
                        most = k;
        const stage *first = &y->stages[0], *last = &y->stages[y->n_stages - 1],
                    *worst = &y->stages[most];
        const char *what = y->f.stored ? "those that it was trained on" : "the source's";
        if (beyond(worst) < small) {
                add(y,
                        "p(x): no shift worth naming. The median channel is %s away (1 is a mean "
                        "moved by one standard deviation): to this model these pictures look like "
                        "%s. That is said of means and variances alone, which colours "
                        "swapped with each other, say, may leave as they were.",
                        profile(y, most), what);
                return;
        }
        add(y,
                "p(x) is shifted: the median channel is %s away from %s (1 is a mean moved by one "
                "standard deviation).",
                profile(y, most), what);
        if (first->distance > coarse)
                add(y, "So much in the first layer is no matter of light: the pictures hardly "
                       "enter the "
                       "model as it expects. Check how they are scaled (0..1 or 0..255) and the "
                       "mean and "
                       "std that are taken off: resect-info says what is recorded, --input tries "
                       "another.");
        else if (beyond(first) >= small && beyond(first) * 2 >= beyond(last))
                add(y, "It is there from the first layer on, and that points at the pictures' "
                       "light, contrast, colours or sharpness rather than at what they show. "
                       "First make sure that they enter the model as it expects: mean, std and "
                       "order of channels (resect-info says what is recorded; --input tries "
                       "another, e.g. --input channels=bgr). If they do, resect-adapt re-estimates "
                       "the statistics in one pass, and says whether that helped where labels are "
                       "there.");
        else if (beyond(last) > 2 * beyond(first) && last == worst)
                add(y, "The first layers see what they know, the deep ones do not: edges and "
                       "colours are the same, what they make up is new. The early stages can be "
                       "kept; the last ones are what to train or to reset (resect-trial --arms "
                       "head,tune,reset:1 measures which).");
        else
                add(y,
                        "It is largest in %s, behind a first layer that is near what it knows: "
                        "fine "
                        "texture, noise or sharpness differ, or what the pictures show does. "
                        "resect-adapt may help with the former; resect-trial measures how much of "
                        "the trunk is worth keeping.",
                        worst->name);
}

static void
judge_domain(study *y)
{
        const resect_shift_facts *f = &y->f;
        if (isnan(f->auc))
                return;
        if (f->shared)
                add(y,
                        "%zu pictures are in both DATA and the source; they were left out of the "
                        "comparison.",
                        f->shared);
        const char *reading = f->auc_low <= 0.5 ? "they cannot be told apart"
                              : f->auc < 0.7    ? "they can hardly be told apart"
                              : f->auc < 0.95   ? "they can be told apart"
                                                : "they are told apart almost without fail";
        add(y,
                "A classifier that looks at the model's features and must say whether a picture "
                "is of DATA or of the source reaches an AUC of %.2f (95 %% interval %.2f to %.2f; "
                "0.5 is guessing): %s.",
                f->auc, f->auc_low, f->auc_high, reading);
}

static void
judge_labels(study *y)
{
        const size_t classes = resect_data_class_count(y->d);
        if (!y->n_labels) {
                add(y, "p(y|x): the model names no classes (resect.labels), so that classes in "
                       "common "
                       "cannot be looked for.");
                return;
        }
        if (resect_data_is_raw(y->d)) {
                add(y, "p(y|x): classes of an .npz are numbers of outputs and have no names to "
                       "compare.");
                return;
        }
        if (!y->n_common)
                add(y,
                        "p(y|x): none of the %zu classes is among the model's %zu labels: the "
                        "question is new, and a new head (resect-head --replace) has to learn it.",
                        classes, y->n_labels);
        else
                add(y,
                        "p(y|x): %zu of %zu classes are among the model's %zu labels. Their rows "
                        "of the classifier can be kept: --keep-map map.tsv here, then resect-head "
                        "--replace --labels NEW --keep map.tsv --from MODEL.",
                        y->n_common, classes, y->n_labels);
}

static void
match_labels(study *y)
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

static const char *const likeness[] = {"", "same", "but for spelling", "one of its names"};

/* For resect-head --keep: new label, TAB, number of the old one. */
static void
write_map(const study *y, const char *path)
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

static double
in_deviations(const resect_shift_layer *l, size_t c)
{
        return (l->data_mean[c] - l->reference_mean[c]) / sqrt(l->reference_var[c] + 1e-5);
}

static size_t
worst_channel(const resect_shift_layer *l)
{
        size_t worst = 0;
        for (size_t c = 1; c < l->channels; c++)
                if (l->distance[c] > l->distance[worst])
                        worst = c;
        return worst;
}

typedef struct spot {
        resect_shift_layer l;
        size_t channel;
} spot;

static int
further(const void *a, const void *b)
{
        const spot *x = a, *y = b;
        const double p = x->l.distance[x->channel], q = y->l.distance[y->channel];
        return (p < q) - (p > q);
}

/* The channels that moved furthest, of all layers. */
static spot *
worst_spots(const study *y, size_t *n)
{
        resect_shift_layer l;
        size_t all = 0, k = 0;
        for (size_t i = 0; resect_shift_layer_at(y->s, i, &l); i++)
                all += l.channels;
        spot *s = cli_alloc(all + 1, sizeof *s);
        for (size_t i = 0; resect_shift_layer_at(y->s, i, &l); i++)
                for (size_t c = 0; c < l.channels; c++)
                        s[k++] = (spot){l, c};
        qsort(s, all, sizeof *s, further);
        *n = (size_t)cli_integer("worst", 5, 0, INT32_MAX);
        *n = *n < all ? *n : all;
        return s;
}

static void
print_tables(const study *y)
{
        resect_shift_layer l;
        const bool source = y->f.stored && y->f.source_pictures;
        cli_table *t = cli_table_make(
                source ? (const char *const[]){"layer", ">channels", ">distance", ">median", ">sum",
                                 ">chance", ">source", ">worst channel", ">its distance", NULL}
                       : (const char *const[]){"layer", ">channels", ">distance", ">median", ">sum",
                                 ">chance", ">worst channel", ">its distance", NULL});
        for (size_t i = 0; resect_shift_layer_at(y->s, i, &l); i++) {
                const size_t c = worst_channel(&l);
                cli_cell(t, "%s", l.name);
                cli_cell(t, "%zu", l.channels);
                cli_cell(t, "%.3f", l.mean);
                cli_cell(t, "%.3f", l.median);
                cli_cell(t, "%.2f", l.sum);
                cli_cell(t, "%.3f", l.chance);
                if (source)
                        cli_cell(t, "%.3f", l.source);
                cli_cell(t, "%zu", c);
                cli_cell(t, "%.3f", l.distance[c]);
        }
        cli_table_print(t);
        size_t n;
        spot *s = worst_spots(y, &n);
        if (n) {
                t = cli_table_make((const char *const[]){"worst channels", ">channel", ">distance",
                        ">mean moved (sd)", ">variance times", NULL});
                for (size_t i = 0; i < n; i++) {
                        const size_t c = s[i].channel;
                        cli_cell(t, "%s", s[i].l.name);
                        cli_cell(t, "%zu", c);
                        cli_cell(t, "%.3f", s[i].l.distance[c]);
                        cli_cell(t, "%+.2f", in_deviations(&s[i].l, c));
                        cli_cell(t, "%.3g", s[i].l.data_var[c] / (s[i].l.reference_var[c] + 1e-30));
                }
                putchar('\n');
                cli_table_print(t);
        }
        free(s);
        if (y->n_common) {
                t = cli_table_make((const char *const[]){
                        "class of DATA", "label of MODEL", ">its number", "match", NULL});
                for (size_t i = 0; i < resect_data_class_count(y->d); i++) {
                        const resect_label_match *m = &y->match[i];
                        if (m->how == RESECT_UNLIKE)
                                continue;
                        cli_cell(t, "%s", resect_data_class(y->d, i));
                        cli_cell(t, "%s", y->labels[m->label]);
                        cli_cell(t, "%zu", m->label);
                        cli_cell(t, "%s", likeness[m->how]);
                }
                putchar('\n');
                cli_table_print(t);
        }
}

/* A paragraph for a terminal, broken at spaces. */
static void
print_wrapped(const char *s)
{
        enum { WIDTH = 80 };
        for (int column = 0; *s;) {
                const int n = (int)strcspn(s, " ");
                if (column && column + 1 + n > WIDTH) {
                        putchar('\n');
                        column = 0;
                } else if (column) {
                        putchar(' ');
                        column++;
                }
                printf("%.*s", n, s);
                column += n;
                s += n;
                s += strspn(s, " ");
        }
        putchar('\n');
}

static void
print_text(const study *y)
{
        const resect_shift_facts *f = &y->f;
        printf("%zu pictures against %s, %zu layers\n\n", f->pictures,
                f->stored ? "what the model remembers" : "the source's", f->layers);
        print_tables(y);
        for (size_t i = 0; i < y->n_words; i++) {
                putchar('\n');
                print_wrapped(y->words[i]);
        }
}

static json_t *
reals(const double *v, size_t n)
{
        json_t *a = json_array();
        for (size_t i = 0; i < n; i++)
                json_array_append_new(a, cli_json_real(v[i]));
        return a;
}

static void
print_json(const study *y)
{
        resect_shift_layer l;
        const resect_shift_facts *f = &y->f;
        json_t *layers = json_array(), *classes = json_array(), *words = json_array();
        for (size_t i = 0; resect_shift_layer_at(y->s, i, &l); i++)
                json_array_append_new(layers,
                        json_pack("{s:o,s:o,s:I,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "layer",
                                cli_json_text(l.name), "stage", cli_json_text(l.stage), "channels",
                                (json_int_t)l.channels, "distance", cli_json_real(l.mean), "median",
                                cli_json_real(l.median), "sum", cli_json_real(l.sum), "chance",
                                cli_json_real(l.chance), "source", cli_json_real(l.source), "each",
                                reals(l.distance, l.channels), "reference_mean",
                                reals(l.reference_mean, l.channels), "reference_var",
                                reals(l.reference_var, l.channels), "data_mean",
                                reals(l.data_mean, l.channels), "data_var",
                                reals(l.data_var, l.channels)));
        for (size_t i = 0; i < resect_data_class_count(y->d); i++) {
                const resect_label_match *m = &y->match[i];
                json_t *row =
                        json_pack("{s:o,s:b}", "class", cli_json_text(resect_data_class(y->d, i)),
                                "common", m->how != RESECT_UNLIKE);
                if (m->how != RESECT_UNLIKE) {
                        json_object_set_new(row, "label", cli_json_text(y->labels[m->label]));
                        json_object_set_new(row, "number", json_integer((json_int_t)m->label));
                        json_object_set_new(row, "match", json_string(likeness[m->how]));
                }
                json_array_append_new(classes, row);
        }
        for (size_t i = 0; i < y->n_words; i++)
                json_array_append_new(words, cli_json_text(y->words[i]));
        cli_print_json(json_pack("{s:I,s:I,s:s,s:I,s:I,s:o,s:o,s:o,s:o,s:o,s:o}", "pictures",
                (json_int_t)f->pictures, "source_pictures", (json_int_t)f->source_pictures,
                "reference", f->stored ? "stored" : "source", "features", (json_int_t)f->features,
                "shared", (json_int_t)f->shared, "auc", cli_json_real(f->auc), "auc_low",
                cli_json_real(f->auc_low), "auc_high", cli_json_real(f->auc_high), "layers", layers,
                "classes", classes, "suggests", words));
}

static resect_plot *
plot(const study *y)
{
        resect_error err;
        resect_shift_layer l;
        const size_t n = y->f.layers;
        double *x = cli_alloc(n + 1, sizeof *x), *mean = cli_alloc(n + 1, sizeof *x),
               *median = cli_alloc(n + 1, sizeof *x), *chance = cli_alloc(n + 1, sizeof *x),
               *source = cli_alloc(n + 1, sizeof *x);
        for (size_t i = 0; resect_shift_layer_at(y->s, i, &l); i++) {
                x[i] = (double)(i + 1);
                mean[i] = l.mean;
                median[i] = l.median;
                chance[i] = l.chance;
                source[i] = l.source;
        }
        resect_plot *p = resect_plot_lines("Distance from what the model knows, layer by layer",
                "The symmetric Kullback-Leibler divergence of each layer's statistics, from the "
                "first layer on the left to the last on the right",
                &(resect_axis){.label = "layer, from the picture on"},
                &(resect_axis){.label = "distance (1: a mean moved by one sd)"}, &err);
        if (!p)
                cli_fail(NULL, &err);
        resect_plot_line(p, "mean of the channels", n, x, mean, NULL, NULL);
        resect_plot_line(p, "median of the channels", n, x, median, NULL, NULL);
        if (y->f.stored && y->f.source_pictures)
                resect_plot_line(p, "source's own pictures", n, x, source, NULL, NULL);
        resect_plot_line(p, "chance", n, x, chance, NULL, NULL);
        free(x);
        free(mean);
        free(median);
        free(chance);
        free(source);
        return p;
}

static char *cell(const char *fmt, ...) RESECT_PRINTF(1, 2);
static char *
cell(const char *fmt, ...)
{
        va_list ap;
        char *s = cli_alloc(64, 1);
        va_start(ap, fmt);
        vsnprintf(s, 64, fmt, ap);
        va_end(ap);
        return s;
}

static void
page_tables(const study *y, resect_page *p)
{
        static const char *const headers[] = {
                "layer", ">channels", ">distance", ">median", ">sum", ">chance", ">source"};
        enum { COLUMNS = sizeof headers / sizeof *headers };
        const size_t columns = y->f.stored && y->f.source_pictures ? COLUMNS : COLUMNS - 1;
        resect_shift_layer l;
        const char **cells = cli_alloc(y->f.layers * columns + 1, sizeof *cells);
        size_t k = 0;
        for (size_t i = 0; resect_shift_layer_at(y->s, i, &l); i++) {
                cells[k++] = cell("%s", l.name);
                cells[k++] = cell("%zu", l.channels);
                cells[k++] = cell("%.3f", l.mean);
                cells[k++] = cell("%.3f", l.median);
                cells[k++] = cell("%.2f", l.sum);
                cells[k++] = cell("%.3f", l.chance);
                if (columns == COLUMNS)
                        cells[k++] = cell("%.3f", l.source);
        }
        resect_page_table(p, NULL, headers, columns, cells, y->f.layers);
        for (size_t i = 0; i < k; i++)
                free((void *)(uintptr_t)cells[i]);
        free(cells);
        if (!y->n_common)
                return;
        resect_page_heading(p, "Classes in common");
        const size_t n = resect_data_class_count(y->d);
        cells = cli_alloc(3 * n + 1, sizeof *cells);
        k = 0;
        for (size_t i = 0; i < n; i++)
                if (y->match[i].how != RESECT_UNLIKE) {
                        cells[k++] = resect_data_class(y->d, i);
                        cells[k++] = y->labels[y->match[i].label];
                        cells[k++] = likeness[y->match[i].how];
                }
        resect_page_table(p, NULL,
                (const char *const[]){"class of DATA", "label of MODEL", "match"}, 3, cells, k / 3);
        free(cells);
}

static void
write_views(const study *y)
{
        resect_error err;
        if (!cli_given("svg") && !cli_given("html"))
                return;
        resect_plot *p = plot(y);
        if (cli_given("svg") && !resect_plot_write(p, cli_value("svg"), &err))
                cli_fail(cli_value("svg"), &err);
        if (cli_given("html")) {
                resect_page *page = resect_page_make(
                        "How far are these pictures from what the model knows?", &err);
                if (!page)
                        cli_fail(NULL, &err);
                for (size_t i = 0; i < y->n_words; i++)
                        (i ? resect_page_text : resect_page_lead)(page, y->words[i]);
                resect_page_heading(page, "Layer by layer");
                resect_page_plot(page, p, NULL);
                page_tables(y, page);
                resect_page_heading(page, "Made by");
                resect_page_code(page, cli_history());
                if (!resect_page_write(page, cli_value("html"), &err))
                        cli_fail(cli_value("html"), &err);
                resect_page_free(page);
        }
        resect_plot_free(p);
}

/* The source's pictures: classes do not matter there. */
static resect_data *
open_source(resect_split *split)
{
        static const resect_split splits[] = {RESECT_TRAIN, RESECT_VAL, RESECT_TEST, RESECT_ALL};
        resect_error err;
        if (!cli_given("source")) {
                if (cli_given("source-split"))
                        cli_die("--source-split belongs to --source");
                return NULL;
        }
        const resect_data_options o = {.val = cli_real("val", 0.2, 0, 0.9),
                .skip_bad = cli_given("skip-bad"),
                .threads = cli_threads()};
        resect_data *d = resect_data_open(cli_value("source"), &o, &err);
        if (!d)
                cli_fail(cli_value("source"), &err);
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
        study y = {0};
        cli_catch_stop();
        y.m = cli_read_model(cli_arg(0));
        y.d = cli_open_data(cli_arg(1), cli_real("val", 0.2, 0, 0.9));
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
        judge_pictures(&y);
        judge_domain(&y);
        judge_labels(&y);
        if (cli_given("keep-map"))
                write_map(&y, cli_value("keep-map"));
        write_views(&y);
        if (cli_json())
                print_json(&y);
        else
                print_text(&y);
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
