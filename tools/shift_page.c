/* SPDX-License-Identifier: 0BSD */
/* A shift as a plot of its layers, and as a page. */
#include "shift.h"

#include <stdarg.h>
#include <stdlib.h>

static resect_plot *
plot(const shift_study *y)
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

static void
page_tables(const shift_study *y, resect_page *p)
{
        static const char *const headers[] = {
                "layer", ">channels", ">distance", ">median", ">sum", ">chance", ">source"};
        enum { COLUMNS = sizeof headers / sizeof *headers };
        const size_t columns = y->f.stored && y->f.source_pictures ? COLUMNS : COLUMNS - 1;
        resect_shift_layer l;
        const char **cells = cli_alloc(y->f.layers * columns + 1, sizeof *cells);
        size_t k = 0;
        for (size_t i = 0; resect_shift_layer_at(y->s, i, &l); i++) {
                cells[k++] = cli_format("%s", l.name);
                cells[k++] = cli_format("%zu", l.channels);
                cells[k++] = cli_format("%.3f", l.mean);
                cells[k++] = cli_format("%.3f", l.median);
                cells[k++] = cli_format("%.2f", l.sum);
                cells[k++] = cli_format("%.3f", l.chance);
                if (columns == COLUMNS)
                        cells[k++] = cli_format("%.3f", l.source);
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
                        cells[k++] = shift_likeness(&y->match[i]);
                }
        resect_page_table(p, NULL,
                (const char *const[]){"class of DATA", "label of MODEL", "match"}, 3, cells, k / 3);
        free(cells);
}

void
shift_write_views(const shift_study *y)
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
                char *model = cli_quoted(cli_arg(0)), *data = cli_quoted(cli_arg(1));
                char *command = cli_format("%s %s %s", cli_history(), model, data);
                resect_page_code(page, command);
                free(command);
                free(model);
                free(data);
                if (!resect_page_write(page, cli_value("html"), &err))
                        cli_fail(cli_value("html"), &err);
                resect_page_free(page);
        }
        resect_plot_free(p);
}
