/* SPDX-License-Identifier: 0BSD */
/*
 * A heat map. Up to some thirty rows a cell is large enough for its number, even on a phone, where
 * such a drawing keeps its size and scrolls in its own box; beyond that cells shrink, numbers give
 * way to tooltips and labels are thinned out.
 */
#include <math.h>
#include <stdio.h>
#include "view/view.h"

enum { SIZE = 12 };

struct grid {
        const resect_plot *p;
        rs_buf *b;
        double left, top, cell_w, cell_h;
        bool numbers, tooltips;
};

static void
cell_label(rs_buf *b, const char **labels, size_t i)
{
        if (labels)
                rs_xml_text(b, labels[i]);
        else
                rs_buf_printf(b, "%zu", i);
}

static void
draw_cell(const struct grid *g, size_t i, size_t k)
{
        const resect_plot *p = g->p;
        double v = p->matrix.values[i * p->matrix.columns + k],
               shade = p->matrix.shades[i * p->matrix.columns + k];
        if (!isfinite(v) || v == 0)
                return;
        char number[24];
        rs_number_text(number, v, p->matrix.percent, p->matrix.percent ? 0 : -1);
        double x = g->left + (double)k * g->cell_w, y = g->top + (double)i * g->cell_h;
        rs_buf_str(g->b, "<rect class=\"rv-cell\"");
        rs_svg_at(g->b, "x", x);
        rs_svg_at(g->b, "y", y);
        rs_svg_at(g->b, "width", g->cell_w);
        rs_svg_at(g->b, "height", g->cell_h);
        /* What is there at all is seen, be it ever so rare. */
        rs_buf_printf(g->b, " fill-opacity=\"%.2f\"", 0.06 + 0.94 * fmin(shade, 1));
        if (g->tooltips) {
                rs_buf_str(g->b, "><title>");
                cell_label(g->b, p->matrix.row_labels, i);
                rs_buf_str(g->b, " \xe2\x86\x92 ");
                cell_label(g->b, p->matrix.column_labels, k);
                rs_buf_printf(g->b, ": %s</title></rect>\n", number);
        } else {
                rs_buf_str(g->b, "/>\n");
        }
        if (g->numbers)
                rs_svg_text(g->b, x + g->cell_w / 2, y + g->cell_h / 2 + 4, RS_MIDDLE,
                        shade > 0.5 ? "rv-small rv-on" : "rv-small", number, 11, INFINITY);
}

static double
widest(const char **labels, size_t n)
{
        double w = 0;
        char text[24];
        for (size_t i = 0; i < n; i++) {
                snprintf(text, sizeof text, "%zu", i);
                w = fmax(w, rs_text_width(labels ? labels[i] : text, SIZE));
        }
        return w;
}

static void
draw_labels(const struct grid *g, double row_room, double column_room, bool slanted)
{
        const resect_plot *p = g->p;
        char text[24];
        size_t rows_each = (size_t)ceil(14 / g->cell_h),
               columns_each = (size_t)ceil(14 / g->cell_w);
        for (size_t i = 0; i < p->matrix.rows; i += rows_each) {
                snprintf(text, sizeof text, "%zu", i);
                rs_svg_text(g->b, g->left - 6, g->top + ((double)i + 0.5) * g->cell_h + 4, RS_END,
                        "rv-lab", p->matrix.row_labels ? p->matrix.row_labels[i] : text, SIZE,
                        row_room);
        }
        for (size_t k = 0; k < p->matrix.columns; k += columns_each) {
                snprintf(text, sizeof text, "%zu", k);
                const char *label = p->matrix.column_labels ? p->matrix.column_labels[k] : text;
                double x = g->left + ((double)k + 0.5) * g->cell_w;
                if (!slanted) {
                        rs_svg_text(
                                g->b, x, g->top - 7, RS_MIDDLE, "rv-lab", label, SIZE, g->cell_w);
                        continue;
                }
                rs_buf_printf(g->b, "<g transform=\"translate(%.1f %.1f)rotate(-55)\">", x + 3,
                        g->top - 6);
                rs_svg_text(g->b, 0, 0, RS_START, "rv-lab", label, SIZE, column_room);
                rs_buf_str(g->b, "</g>\n");
        }
}

double
rs_draw_matrix(const resect_plot *p, rs_buf *b, double *width, double y)
{
        size_t rows = p->matrix.rows, columns = p->matrix.columns;
        if (!rows || !columns) {
                rs_svg_text(b, *width / 2, y + 24, RS_MIDDLE, "rv-soft", "no data", SIZE, *width);
                return y + 40;
        }
        bool narrow = *width < 600;
        double number_width = 0;
        for (size_t i = 0; i < rows * columns; i++) {
                char text[24];
                if (isfinite(p->matrix.values[i])) {
                        rs_number_text(text, p->matrix.values[i], p->matrix.percent,
                                p->matrix.percent ? 0 : -1);
                        number_width = fmax(number_width, rs_text_width(text, 11));
                }
        }
        struct grid g = {.p = p, .b = b, .tooltips = rows * columns <= 2500};
        double row_room = fmin(widest(p->matrix.row_labels, rows), narrow ? 96 : 170) + 1;
        if (p->matrix.row_title)
                row_room = fmax(row_room, fmin(rs_text_width(p->matrix.row_title, SIZE), 96));
        double column_room = fmin(widest(p->matrix.column_labels, columns), narrow ? 96 : 150) + 1;
        g.left = row_room + 8;
        double slant_over =
                0.58 * column_room; /* how far the last slanted label reaches beyond its cell */
        double fit = (*width - g.left - 2) / (double)columns;
        bool slanted = fit < column_room || 56 < column_room;
        if (slanted)
                fit = (*width - g.left - fmax(slant_over - fit / 2, 2)) / (double)columns;
        double least = columns <= 32 ? fmax(number_width + 4, 20) : 4;
        g.cell_w = fmin(fmax(fit, least), 56);
        g.cell_h = columns <= 32 && rows <= 32 ? fmin(fmax(g.cell_w, 20), 30)
                                               : fmin(fmax(g.cell_w, 4), 20);
        g.numbers = g.cell_w >= number_width + 3 && g.cell_h >= 14;
        double end = g.left + g.cell_w * (double)columns +
                     (slanted ? fmax(slant_over - g.cell_w / 2, 2) : 2);
        *width = fmax(*width, end);
        /* The column title, the column labels, then the grid; the row title stands over the row
         * labels. */
        double line = y + 16;
        if (p->matrix.column_title)
                rs_svg_text(b, g.left, line, RS_START, "rv-soft", p->matrix.column_title, SIZE,
                        *width - g.left);
        g.top = y + (p->matrix.column_title ? 24 : 6) + (slanted ? 0.82 * column_room + 14 : 18);
        if (p->matrix.row_title)
                rs_svg_text(b, g.left - 6, g.top - 7, RS_END, "rv-soft", p->matrix.row_title, SIZE,
                        g.left - 6);
        for (size_t i = 0; i < rows; i++)
                for (size_t k = 0; k < columns; k++)
                        draw_cell(&g, i, k);
        double bottom = g.top + g.cell_h * (double)rows;
        rs_buf_str(b, "<rect class=\"rv-frame\"");
        rs_svg_at(b, "x", g.left);
        rs_svg_at(b, "y", g.top);
        rs_svg_at(b, "width", g.cell_w * (double)columns);
        rs_svg_at(b, "height", bottom - g.top);
        rs_buf_str(b, "/>\n");
        draw_labels(&g, row_room, column_room, slanted);
        if (p->matrix.row_group > 1 || p->matrix.column_group > 1) {
                char note[96];
                snprintf(note, sizeof note, "each cell adds up %zu \xc3\x97 %zu classes",
                        p->matrix.row_group, p->matrix.column_group);
                rs_svg_text(
                        b, g.left, bottom + 18, RS_START, "rv-soft", note, SIZE, *width - g.left);
                bottom += 20;
        }
        return bottom + 8;
}
