/* SPDX-License-Identifier: 0BSD */
/*
 * What the channels of each layer do over a data set: how selective for a class they are, how many
 * prefer which class, and which pictures fire those that stand for a class.
 */
#include "see.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { THUMB = 72 };

static bool
on_picture(void *ctx, size_t done, size_t total)
{
        (void)ctx;
        cli_progress("running", (double)done, (double)total, "pictures");
        return !cli_stopped();
}

static int
less(const void *a, const void *b)
{
        double x = *(const double *)a, y = *(const double *)b;
        return (x > y) - (x < y);
}

/* Between order statistics, as NumPy's percentile. */
static double
quantile(const double *sorted, size_t n, double q)
{
        double at = q * (double)(n - 1);
        size_t i = (size_t)at;
        return i + 1 < n ? sorted[i] + (at - (double)i) * (sorted[i + 1] - sorted[i])
                         : sorted[n - 1];
}

struct digest {
        size_t n; /* channels that fire */
        double *sorted, mean, q1, median, q3;
};

static struct digest
digest_of(const resect_layer_study *l)
{
        struct digest d = {.sorted = cli_alloc(l->channels + 1, sizeof *d.sorted)};
        double sum = 0;
        for (size_t c = 0; c < l->channels; c++)
                if (isfinite(l->selectivity[c])) {
                        d.sorted[d.n++] = l->selectivity[c];
                        sum += l->selectivity[c];
                }
        qsort(d.sorted, d.n, sizeof *d.sorted, less);
        d.mean = d.n ? sum / (double)d.n : NAN;
        d.q1 = d.n ? quantile(d.sorted, d.n, 0.25) : NAN;
        d.median = d.n ? quantile(d.sorted, d.n, 0.5) : NAN;
        d.q3 = d.n ? quantile(d.sorted, d.n, 0.75) : NAN;
        return d;
}

static const resect_layer_study *sorting;

static int
more_selective(const void *a, const void *b)
{
        size_t i = *(const size_t *)a, k = *(const size_t *)b;
        float x = sorting->selectivity[i], y = sorting->selectivity[k];
        if (x > y || x < y)
                return x > y ? -1 : 1;
        return (i > k) - (i < k);
}

/*
 * Channels worth looking at: the most selective one of each class first, then whoever comes next. A
 * channel that hardly ever fires is as selective as can be and says nothing: a twentieth of the
 * layer's strongest class mean is asked for.
 */
static size_t
choose(const struct see *s, const resect_layer_study *l, size_t *chosen, size_t most)
{
        size_t classes = resect_data_class_count(s->data), n = 0, m = 0;
        size_t *order = cli_alloc(l->channels + 1, sizeof *order);
        bool *seen = cli_alloc(classes + 1, sizeof *seen),
             *taken = cli_alloc(l->channels + 1, sizeof *taken);
        float top = 0;
        for (size_t i = 0; i < classes * l->channels; i++)
                top = fmaxf(top, l->means[i]);
        for (size_t c = 0; c < l->channels; c++)
                if (isfinite(l->selectivity[c]) &&
                        l->means[l->favourite[c] * l->channels + c] >= top / 20)
                        order[m++] = c;
        sorting = l;
        qsort(order, m, sizeof *order, more_selective);
        for (int pass = 0; pass < 2; pass++)
                for (size_t i = 0; i < m && n < most; i++) {
                        size_t c = order[i];
                        if (taken[c] || (pass == 0 && seen[l->favourite[c]]))
                                continue;
                        taken[c] = seen[l->favourite[c]] = true;
                        chosen[n++] = c;
                }
        free(order);
        free(seen);
        free(taken);
        return n;
}

/* The pictures that fire a channel most, side by side in one strip. */
static void
show_channel(struct see *s, const resect_layer_study *l, size_t layer, size_t c)
{
        size_t n = l->n_peaks < s->top ? l->n_peaks : s->top;
        unsigned char *strip = NULL;
        int height = 0, width = 0, stride = 0;
        char caption[300], detail[600] = "", file[200];
        for (size_t k = 0; k < n; k++) {
                const resect_peak *p = &l->peaks[c * l->n_peaks + k];
                resect_error err;
                int h, w;
                float *x = cli_alloc(
                        (size_t)s->in.channels * (size_t)s->in.height * (size_t)s->in.width,
                        sizeof *x);
                if (!resect_data_sample(s->data, s->split, p->sample, &s->in, NULL, 0, 0, x, &err))
                        cli_fail(resect_data_name(s->data, s->split, p->sample), &err);
                unsigned char *rgb = see_visible(s, x, THUMB, &h, &w);
                rgb = see_smaller(rgb, &h, &w, 4 * THUMB / 3);
                see_frame(rgb, h, w, (p->row + 0.5) * h / l->height,
                        (p->column + 0.5) * w / l->width, w * 0.12);
                if (!strip) {
                        height = h;
                        width = w;
                        stride = (int)n * (w + 4) - 4;
                        strip = cli_alloc((size_t)h * (size_t)stride, 3);
                }
                for (int i = 0; i < height; i++)
                        memcpy(strip + 3 * ((size_t)i * (size_t)stride + k * (size_t)(width + 4)),
                                rgb + 3 * (size_t)i * (size_t)width, 3 * (size_t)width);
                if (k < 3) {
                        size_t at = strlen(detail);
                        snprintf(detail + at, sizeof detail - at, "%s%s %.3g", k ? ", " : "",
                                resect_data_name(s->data, s->split, p->sample), (double)p->value);
                }
                free(rgb);
                free(x);
        }
        snprintf(caption, sizeof caption, "channel %zu, most for %s: selectivity %.2f", c,
                resect_data_class(s->data, l->favourite[c]), (double)l->selectivity[c]);
        snprintf(file, sizeof file, "%s-channel-%zu", s->layers[layer].name, c);
        if (strip)
                see_picture_out(s, file, strip, height, stride, caption, detail);
        free(strip);
}

static json_t *
channels_json(const struct see *s, const resect_layer_study *l)
{
        json_t *list = json_array();
        for (size_t c = 0; c < l->channels; c++) {
                json_t *top = json_array();
                for (size_t k = 0; k < l->n_peaks && k < s->top; k++) {
                        const resect_peak *p = &l->peaks[c * l->n_peaks + k];
                        json_array_append_new(top,
                                json_pack("{s:o,s:o,s:o,s:o}", "picture",
                                        cli_json_text(
                                                resect_data_name(s->data, s->split, p->sample)),
                                        "value", cli_json_real(p->value), "x",
                                        cli_json_real((p->column + 0.5) * s->in.width / l->width),
                                        "y",
                                        cli_json_real((p->row + 0.5) * s->in.height / l->height)));
                }
                bool fires = isfinite(l->selectivity[c]);
                json_array_append_new(list,
                        json_pack("{s:I,s:o,s:o,s:o}", "channel", (json_int_t)c, "selectivity",
                                cli_json_real(l->selectivity[c]), "class",
                                fires ? cli_json_text(resect_data_class(s->data, l->favourite[c]))
                                      : json_null(),
                                "top", top));
        }
        return list;
}

/* The table of layers, on the page. */
static void
page_table(struct see *s, const resect_channel_study *study, const struct digest *d)
{
        static const char *const headers[] = {"layer", ">channels", ">silent", ">mean",
                ">25 % below", ">50 % below", ">75 % below"};
        enum { COLUMNS = 7 };
        char(*text)[32] = cli_alloc(s->n_layers * COLUMNS + 1, sizeof *text);
        const char **cells = cli_alloc(s->n_layers * COLUMNS + 1, sizeof *cells);
        for (size_t i = 0; i < s->n_layers; i++) {
                const resect_layer_study *l = resect_channels_of(study, i);
                char(*row)[32] = text + i * COLUMNS;
                snprintf(row[0], sizeof *row, "%s", s->layers[i].name);
                snprintf(row[1], sizeof *row, "%zu", l->channels);
                snprintf(row[2], sizeof *row, "%zu", l->channels - d[i].n);
                const double v[4] = {d[i].mean, d[i].q1, d[i].median, d[i].q3};
                for (int k = 0; k < 4; k++)
                        snprintf(row[3 + k], sizeof *row, "%.3f", v[k]);
                for (int k = 0; k < COLUMNS; k++)
                        cells[i * COLUMNS + (size_t)k] = row[k];
        }
        resect_page_table(
                s->page, "Class selectivity of the channels", headers, COLUMNS, cells, s->n_layers);
        free(text);
        free(cells);
}

/* How many of each layer's channels prefer which class. */
static void
page_classes(struct see *s, const resect_channel_study *study)
{
        size_t classes = resect_data_class_count(s->data);
        double *share = cli_alloc(classes * s->n_layers + 1, sizeof *share);
        const char **rows = cli_alloc(classes + 1, sizeof *rows),
                   **columns = cli_alloc(s->n_layers + 1, sizeof *columns);
        for (size_t i = 0; i < s->n_layers; i++) {
                const resect_layer_study *l = resect_channels_of(study, i);
                double n = 0;
                columns[i] = s->layers[i].name;
                for (size_t c = 0; c < l->channels; c++)
                        n += isfinite(l->selectivity[c]);
                for (size_t c = 0; c < l->channels; c++)
                        if (isfinite(l->selectivity[c]))
                                share[l->favourite[c] * s->n_layers + i] += 1 / n;
        }
        for (size_t k = 0; k < classes; k++)
                rows[k] = resect_data_class(s->data, k);
        resect_error err;
        resect_plot *p = resect_plot_matrix("Channels per class",
                "For each layer, the share of its channels whose mean activation is largest for a "
                "class.",
                "class", "layer", rows, classes, columns, s->n_layers, share, false, true, &err);
        if (!p)
                cli_fail(NULL, &err);
        resect_page_plot(s->page, p,
                "Of each layer's channels, how many fire most for which class. A column adds up to "
                "100 %.");
        resect_plot_free(p);
        free(share);
        free(rows);
        free(columns);
}

static void
page_layers(struct see *s, const resect_channel_study *study, const struct digest *d, size_t count)
{
        resect_error err;
        resect_axis axis = {.label = "class selectivity", .min = 0, .max = 1};
        char text[400];
        snprintf(text, sizeof text,
                "Over %zu pictures: class selectivity is 0 for a channel that fires alike for all "
                "classes, 1 for one that fires for a single class "
                "(Morcos et al., 2018). From %s to %s its mean goes from %.2f to %.2f: %s.",
                count, s->layers[0].name, s->layers[s->n_layers - 1].name, d[0].mean,
                d[s->n_layers - 1].mean,
                !(d[s->n_layers - 1].mean > d[0].mean)
                        ? "deeper layers are not more selective here"
                        : "the deeper, the more a channel stands for a class");
        resect_page_heading(s->page, "Channels and classes");
        resect_page_lead(s->page, text);
        resect_plot *p = resect_plot_intervals("Class selectivity by layer",
                "The median of the channels of each layer, with the quarters of them around it.",
                &axis, &err);
        if (!p)
                cli_fail(NULL, &err);
        for (size_t i = 0; i < s->n_layers; i++)
                resect_plot_row(p, s->layers[i].name, d[i].median, d[i].q1, d[i].q3);
        resect_page_plot(s->page, p,
                "The median over a layer's channels; the line holds the middle half of them.");
        resect_plot_free(p);
        page_table(s, study, d);
        page_classes(s, study);
        for (size_t i = 0; i < s->n_layers; i++) {
                const resect_layer_study *l = resect_channels_of(study, i);
                snprintf(text, sizeof text, "%s: %zu channels", s->layers[i].name, l->channels);
                resect_page_subheading(s->page, text);
                snprintf(text, sizeof text, "Selectivity of the channels of %s", s->layers[i].name);
                p = resect_plot_histogram(text, "How many channels have which class selectivity.",
                        &axis, d[i].sorted, d[i].n, 20, &err);
                if (!p)
                        cli_fail(NULL, &err);
                resect_page_plot(s->page, p, NULL);
                resect_plot_free(p);
                size_t *chosen = cli_alloc(s->show + 1, sizeof *chosen),
                       n = choose(s, l, chosen, s->show);
                for (size_t k = 0; k < n; k++)
                        show_channel(s, l, i, chosen[k]);
                free(chosen);
                see_grid(s, 420,
                        "The pictures that fire a channel most, the strongest first. The frame "
                        "marks the place; what the channel sees there is larger in "
                        "deep layers.");
        }
}

void
see_study(struct see *s)
{
        resect_error err;
        const char *values[SEE_LAYERS];
        for (size_t i = 0; i < s->n_layers; i++)
                values[i] = s->layers[i].value;
        size_t count = resect_data_count(s->data, s->split);
        resect_predict_options o = {.input = resect_data_is_raw(s->data) ? NULL : &s->in,
                .batch = (size_t)cli_integer("batch", 0, 1, 100000),
                .threads = cli_threads(),
                .kernels = cli_kernels(),
                .precision = cli_precision(),
                .exact = cli_given("exact"),
                .progress = on_picture};
        resect_channel_study *study =
                resect_channels(s->m, s->data, s->split, values, s->n_layers, s->top, &o, &err);
        cli_progress_end();
        if (!study && err.code == RESECT_STOPPED)
                exit(130);
        if (!study)
                cli_fail(cli_arg(0), &err);
        struct digest *d = cli_alloc(s->n_layers + 1, sizeof *d);
        json_t *layers = json_array();
        for (size_t i = 0; i < s->n_layers; i++) {
                const resect_layer_study *l = resect_channels_of(study, i);
                d[i] = digest_of(l);
                json_array_append_new(layers,
                        json_pack("{s:s,s:o,s:I,s:i,s:i,s:I,s:{s:o,s:o,s:o,s:o},s:o}", "name",
                                s->layers[i].name, "value", cli_json_text(l->value), "channels",
                                (json_int_t)l->channels, "height", l->height, "width", l->width,
                                "silent", (json_int_t)(l->channels - d[i].n), "selectivity", "mean",
                                cli_json_real(d[i].mean), "quarter", cli_json_real(d[i].q1),
                                "median", cli_json_real(d[i].median), "three_quarters",
                                cli_json_real(d[i].q3), "per_channel", channels_json(s, l)));
        }
        json_object_set_new(s->json, "study",
                json_pack("{s:I,s:I,s:o}", "pictures", (json_int_t)count, "classes",
                        (json_int_t)resect_data_class_count(s->data), "layers", layers));
        if (s->page)
                page_layers(s, study, d, count);
        if (!cli_json()) {
                cli_table *t = cli_table_make((const char *const[]){"layer", ">channels", ">silent",
                        ">selectivity", ">25 % below", ">50 % below", ">75 % below", NULL});
                for (size_t i = 0; i < s->n_layers; i++) {
                        const resect_layer_study *l = resect_channels_of(study, i);
                        cli_cell(t, "%s", s->layers[i].name);
                        cli_cell(t, "%zu", l->channels);
                        cli_cell(t, "%zu", l->channels - d[i].n);
                        cli_cell(t, "%.3f", d[i].mean);
                        cli_cell(t, "%.3f", d[i].q1);
                        cli_cell(t, "%.3f", d[i].median);
                        cli_cell(t, "%.3f", d[i].q3);
                }
                putchar('\n');
                cli_table_print(t);
        }
        for (size_t i = 0; i < s->n_layers; i++)
                free(d[i].sorted);
        free(d);
        resect_channel_study_free(study);
}
