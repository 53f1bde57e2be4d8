/* SPDX-License-Identifier: 0BSD */
/* A plot as data: made, filled, written and freed. Drawing is the business of the plot_*.c. */
#include <math.h>
#include <string.h>
#include "io/output.h"
#include "view/view.h"

static const char *
keep(resect_plot *p, const char *s)
{
        if (!s || p->oom)
                return NULL;
        const char *copy = rs_arena_strdup(&p->arena, s, NULL);
        if (!copy)
                p->oom = true;
        return copy;
}

static double *
keep_numbers(resect_plot *p, const double *x, size_t n)
{
        double *copy = p->oom || !x ? NULL : RS_NEW(&p->arena, n ? n : 1, double, NULL);
        if (copy && n)
                memcpy(copy, x, n * sizeof *x);
        if (x && !copy)
                p->oom = true;
        return copy;
}

/* Room for one more element of a list. */
static bool
room(resect_plot *p, void *list, size_t n, size_t *cap, size_t size)
{
        if (p->oom)
                return false;
        if (n < *cap)
                return true;
        void *old, *bigger;
        memcpy(&old, list, sizeof old);
        size_t want = *cap ? 2 * *cap : 8;
        if (!(bigger = rs_grow(old, want, size, NULL))) {
                p->oom = true;
                return false;
        }
        memcpy(list, &bigger, sizeof bigger);
        *cap = want;
        return true;
}

static resect_plot *
make(enum rs_plot_kind kind, const char *title, const char *about, const resect_axis *x,
        const resect_axis *y, resect_error *err)
{
        resect_plot *p = rs_alloc(1, sizeof *p, err);
        if (!p)
                return NULL;
        p->kind = kind;
        p->title = keep(p, title);
        p->about = keep(p, about);
        if (x)
                p->x = *x;
        if (y)
                p->y = *y;
        p->x.label = keep(p, p->x.label);
        p->y.label = keep(p, p->y.label);
        if (p->oom) {
                resect_plot_free(p);
                return RS_NOMEM_NULL(err);
        }
        return p;
}

resect_plot *
resect_plot_lines(const char *title, const char *about, const resect_axis *x, const resect_axis *y,
        resect_error *err)
{
        return make(RS_PLOT_LINES, title, about, x, y, err);
}

resect_plot *
resect_plot_intervals(
        const char *title, const char *about, const resect_axis *axis, resect_error *err)
{
        return make(RS_PLOT_INTERVALS, title, about, axis, NULL, err);
}

resect_plot *
resect_plot_bars(const char *title, const char *about, const resect_axis *axis, resect_error *err)
{
        return make(RS_PLOT_BARS, title, about, axis, NULL, err);
}

void
resect_plot_line(resect_plot *p, const char *name, size_t n, const double *x, const double *y,
        const double *low, const double *high)
{
        if (!room(p, &p->series, p->n_series, &p->series_cap, sizeof *p->series))
                return;
        rs_series *s = &p->series[p->n_series];
        *s = (rs_series){.name = keep(p, name), .n = n};
        s->x = keep_numbers(p, x, n);
        s->y = keep_numbers(p, y, n);
        if (low && high) {
                s->low = keep_numbers(p, low, n);
                s->high = keep_numbers(p, high, n);
        }
        p->n_series += !p->oom;
}

void
resect_plot_row(resect_plot *p, const char *label, double value, double low, double high)
{
        if (!room(p, &p->rows, p->n_rows, &p->rows_cap, sizeof *p->rows))
                return;
        p->rows[p->n_rows] = (rs_row){keep(p, label), value, low, high};
        p->n_rows += !p->oom;
}

void
resect_plot_reference(resect_plot *p, double at, const char *label)
{
        if (!isfinite(at) || !room(p, &p->references, p->n_references, &p->references_cap,
                                     sizeof *p->references))
                return;
        p->references[p->n_references] = (rs_reference){keep(p, label), at};
        p->n_references += !p->oom;
}

resect_plot *
resect_plot_histogram(const char *title, const char *about, const resect_axis *x,
        const double *values, size_t n, size_t bins, resect_error *err)
{
        resect_plot *p = make(RS_PLOT_HISTOGRAM, title, about, x, NULL, err);
        if (!p)
                return NULL;
        double low = INFINITY, high = -INFINITY;
        size_t used = 0;
        for (size_t i = 0; i < n; i++) {
                if (!isfinite(values[i]))
                        continue;
                low = fmin(low, values[i]);
                high = fmax(high, values[i]);
                used++;
        }
        if (!(p->x.min < p->x.max)) {
                p->x.min = used ? low : 0;
                p->x.max = used ? high : 1;
                if (!(p->x.min < p->x.max)) { /* all the same: one bar in the middle */
                        double half = low != 0 ? fabs(low) / 2 : 0.5;
                        p->x.min -= half;
                        p->x.max += half;
                }
        }
        p->x.log = false;
        p->n_bins = bins ? bins : (size_t)ceil(log2((double)used + 1)) + 1;
        if (p->n_bins > 200)
                p->n_bins = 200;
        p->counts = RS_NEW(&p->arena, p->n_bins, double, err);
        if (!p->counts) {
                resect_plot_free(p);
                return NULL;
        }
        for (size_t i = 0; i < n; i++) {
                if (!isfinite(values[i]) || values[i] < p->x.min || values[i] > p->x.max)
                        continue;
                double part = (values[i] / 2 - p->x.min / 2) / (p->x.max / 2 - p->x.min / 2);
                size_t bin = (size_t)(part * (double)p->n_bins);
                p->counts[bin < p->n_bins ? bin : p->n_bins - 1] += 1;
        }
        return p;
}

static const char **
group_labels(resect_plot *p, const char *const *labels, size_t n, size_t group)
{
        if (!labels || p->oom)
                return NULL;
        size_t groups = (n + group - 1) / group;
        const char **out = RS_NEW(&p->arena, groups ? groups : 1, const char *, NULL);
        if (!out) {
                p->oom = true;
                return NULL;
        }
        for (size_t i = 0; i < groups; i++) {
                size_t last = (i + 1) * group < n ? (i + 1) * group - 1 : n - 1;
                if (last == i * group)
                        out[i] = keep(p, labels[last]);
                else if (!(out[i] = rs_arena_printf(&p->arena, NULL, "%s \xe2\x80\xa6 %s",
                                   labels[i * group], labels[last])))
                        p->oom = true;
        }
        return out;
}

static void
fill_matrix(resect_plot *p, const double *values, size_t rows, size_t columns, bool by_row)
{
        size_t h = p->matrix.rows, w = p->matrix.columns;
        for (size_t i = 0; i < rows; i++)
                for (size_t k = 0; k < columns; k++)
                        p->matrix
                                .values[i / p->matrix.row_group * w + k / p->matrix.column_group] +=
                                values[i * columns + k];
        double most = 0;
        for (size_t i = 0; i < h * w; i++)
                if (isfinite(p->matrix.values[i]))
                        most = fmax(most, fabs(p->matrix.values[i]));
        for (size_t i = 0; i < h; i++) {
                double sum = 0;
                for (size_t k = 0; k < w; k++)
                        if (isfinite(p->matrix.values[i * w + k]))
                                sum += fabs(p->matrix.values[i * w + k]);
                double whole = by_row ? sum : most;
                for (size_t k = 0; k < w; k++) {
                        double v = fabs(p->matrix.values[i * w + k]);
                        p->matrix.shades[i * w + k] = isfinite(v) && whole > 0 ? v / whole : 0;
                }
        }
}

resect_plot *
resect_plot_matrix(const char *title, const char *about, const char *row_title,
        const char *column_title, const char *const *row_labels, size_t rows,
        const char *const *column_labels, size_t columns, const double *values, bool by_row,
        bool percent, resect_error *err)
{
        resect_plot *p = make(RS_PLOT_MATRIX, title, about, NULL, NULL, err);
        if (!p)
                return NULL;
        p->matrix.percent = percent;
        p->matrix.row_title = keep(p, row_title);
        p->matrix.column_title = keep(p, column_title);
        size_t row_group = rows > RS_GROUPS ? (rows + RS_GROUPS - 1) / RS_GROUPS : 1;
        size_t column_group = columns > RS_GROUPS ? (columns + RS_GROUPS - 1) / RS_GROUPS : 1;
        p->matrix.row_group = row_group;
        p->matrix.column_group = column_group;
        p->matrix.rows = (rows + row_group - 1) / row_group;
        p->matrix.columns = (columns + column_group - 1) / column_group;
        p->matrix.row_labels = group_labels(p, row_labels, rows, row_group);
        p->matrix.column_labels = group_labels(p, column_labels, columns, column_group);
        size_t cells = p->matrix.rows * p->matrix.columns + 1;
        p->matrix.values = p->oom ? NULL : RS_NEW(&p->arena, cells, double, NULL);
        p->matrix.shades = p->oom ? NULL : RS_NEW(&p->arena, cells, double, NULL);
        if (!p->matrix.values || !p->matrix.shades || p->oom) {
                resect_plot_free(p);
                return RS_NOMEM_NULL(err);
        }
        fill_matrix(p, values, rows, columns, by_row);
        return p;
}

void
rs_plot_draw(const resect_plot *p, rs_buf *b, int width, const char *classes, bool alone)
{
        rs_buf inside = {0};
        double w = width, y = 4;
        if (p->title && *p->title)
                y += 1.35 * 15 *
                     rs_svg_wrapped(&inside, 0, y + 14, "rv-title", p->title, 15, width);
        if (p->kind == RS_PLOT_MATRIX)
                y = rs_draw_matrix(p, &inside, &w, y);
        else if (p->kind == RS_PLOT_LINES || p->kind == RS_PLOT_HISTOGRAM)
                y = rs_draw_lines(p, &inside, w, y);
        else
                y = rs_draw_rows(p, &inside, w, y);
        rs_buf_printf(b, "<svg%s class=\"rv%s%s\" viewBox=\"0 0 %.0f %.0f\"",
                alone ? " xmlns=\"http://www.w3.org/2000/svg\"" : "", *classes ? " " : "", classes,
                ceil(w), ceil(y));
        if (alone)
                rs_buf_printf(b, " width=\"%.0f\" height=\"%.0f\"", ceil(w), ceil(y));
        else
                rs_buf_printf(b,
                        w > width ? " style=\"min-width:%.0fpx;max-width:%.0fpx\""
                                  : " style=\"max-width:%.0fpx\"",
                        ceil(w), ceil(w));
        rs_buf_str(b, " role=\"img\" aria-label=\"");
        rs_xml_text(b, p->title ? p->title : "plot");
        rs_buf_str(b, "\">\n<title>");
        rs_xml_text(b, p->title ? p->title : "plot");
        rs_buf_str(b, "</title>\n");
        if (p->about) {
                rs_buf_str(b, "<desc>");
                rs_xml_text(b, p->about);
                rs_buf_str(b, "</desc>\n");
        }
        if (alone) {
                rs_buf_str(b, "<style>");
                rs_buf_str(b, rs_style_colours);
                rs_buf_str(b, rs_style_plot);
                rs_buf_printf(b,
                        "</style>\n<rect class=\"rv-paper\" width=\"%.0f\" "
                        "height=\"%.0f\"/>\n",
                        ceil(w), ceil(y));
        }
        if (inside.oom || p->oom)
                b->oom = true;
        else if (inside.size)
                rs_buf_add(b, inside.data, inside.size);
        rs_buf_str(b, "</svg>\n");
        rs_buf_free(&inside);
}

bool
resect_plot_write(const resect_plot *p, const char *path, resect_error *err)
{
        rs_buf b = {0};
        rs_plot_draw(p, &b, RS_WIDE, "", true);
        if (b.oom) {
                rs_buf_free(&b);
                return rs_fail_nomem(err);
        }
        rs_output *o = rs_output_open(path, err);
        bool done = o && rs_output_bytes(o, b.data, b.size, err);
        if (done)
                done = rs_output_close(o, err);
        else
                rs_output_abandon(o);
        rs_buf_free(&b);
        return done;
}

void
resect_plot_free(resect_plot *p)
{
        if (!p)
                return;
        rs_free(p->series);
        rs_free(p->rows);
        rs_free(p->references);
        rs_arena_free(&p->arena);
        rs_free(p);
}
