/* SPDX-License-Identifier: 0BSD */
/*
 * Rows with a label, a value and perhaps an interval: forest plots and bars. Where it is wide a row
 * is one line, label at the left and number at the right of the drawing; on a phone label and
 * number stand above it.
 */
#include <math.h>
#include <stdio.h>
#include "view/view.h"

enum { SIZE = 13 };

static void
value_text(const resect_plot *p, const rs_row *r, bool with_interval, char *out, size_t size)
{
        char v[24], a[24], b[24];
        int decimals = p->x.percent ? 1 : -2;
        rs_number_text(v, r->value, p->x.percent, decimals);
        if (!isfinite(r->value)) {
                snprintf(out, size, "\xe2\x80\x93");
        } else if (with_interval && isfinite(r->low) && isfinite(r->high)) {
                /* The unit is said once. */
                double unit = p->x.percent ? 100 : 1;
                rs_number_text(a, unit * r->low, false, decimals);
                rs_number_text(b, unit * r->high, false, decimals);
                snprintf(out, size, "%s (%s to %s)", v, a, b);
        } else {
                snprintf(out, size, "%s", v);
        }
}

static void
draw_row(const resect_plot *p, const rs_scale *x, rs_buf *b, const rs_row *r, double y)
{
        if (!rs_axis_takes(&p->x, r->value))
                return;
        double at = rs_scale_at(x, r->value);
        bool range = rs_axis_takes(&p->x, r->low) && rs_axis_takes(&p->x, r->high);
        double low = range ? rs_scale_at(x, r->low) : at,
               high = range ? rs_scale_at(x, r->high) : at;
        if (p->kind == RS_PLOT_BARS) {
                double zero = p->x.log ? x->from : rs_scale_at(x, 0);
                zero = fmin(fmax(zero, x->from), x->to);
                double end = fmin(fmax(at, x->from), x->to);
                rs_buf_str(b, "<rect class=\"rv-fill rv-s1\"");
                rs_svg_at(b, "x", fmin(zero, end));
                rs_svg_at(b, "y", y - 7);
                rs_svg_at(b, "width", fabs(end - zero));
                rs_buf_str(b, " height=\"14\"/>\n");
        }
        if (range) {
                bool cut_low = low<x->from, cut_high = high> x->to;
                low = fmin(fmax(low, x->from), x->to);
                high = fmin(fmax(high, x->from), x->to);
                rs_buf_printf(b, "<path class=\"rv-whisker\" d=\"M%.1f %.1fH%.1f", low, y, high);
                if (!cut_low)
                        rs_buf_printf(b, "M%.1f %.1fv8", low, y - 4);
                if (!cut_high)
                        rs_buf_printf(b, "M%.1f %.1fv8", high, y - 4);
                rs_buf_str(b, "\"/>\n");
        }
        if (p->kind == RS_PLOT_INTERVALS && at >= x->from - 0.5 && at <= x->to + 0.5)
                rs_buf_printf(b,
                        "<circle class=\"rv-mark rv-s1\" cx=\"%.1f\" cy=\"%.1f\" "
                        "r=\"5\"/>\n",
                        at, y);
}

double
rs_draw_rows(const resect_plot *p, rs_buf *b, double width, double y)
{
        bool narrow = width < 600;
        double low = INFINITY, high = -INFINITY, label_width = 0, value_width = 0;
        char text[96];
        for (size_t i = 0; i < p->n_rows; i++) {
                const rs_row *r = &p->rows[i];
                const double v[3] = {r->value, r->low, r->high};
                for (int k = 0; k < 3; k++)
                        if (rs_axis_takes(&p->x, v[k]) && rs_axis_takes(&p->x, r->value)) {
                                low = fmin(low, v[k]);
                                high = fmax(high, v[k]);
                        }
                value_text(p, r, !narrow, text, sizeof text);
                label_width = fmax(label_width, rs_text_width(r->label, SIZE));
                value_width = fmax(value_width, rs_text_width(text, SIZE));
        }
        if (p->kind == RS_PLOT_BARS && !p->x.log && low <= high) {
                low = fmin(low, 0);
                high = fmax(high, 0);
        }
        for (size_t i = 0; i < p->n_references; i++)
                if (rs_axis_takes(&p->x, p->references[i].at)) {
                        low = fmin(low, p->references[i].at);
                        high = fmax(high, p->references[i].at);
                }
        label_width = fmin(label_width, 230);
        double left = narrow ? 12 : label_width + 16,
               right = narrow ? width - 12 : width - value_width - 18;
        rs_scale x = rs_scale_make(&p->x, low, high, (int)((right - left) / 64));
        x.from = left;
        x.to = right;
        bool labelled = false;
        for (size_t i = 0; i < p->n_references; i++)
                labelled |= p->references[i].label != NULL;
        double step = narrow ? 45 : 26, top = y + (labelled ? 24 : 8);
        double bottom = top + step * (double)p->n_rows + 4;

        rs_buf_str(b, "<path class=\"rv-grid\" d=\"M0 0");
        for (int i = 0; i < x.n_ticks; i++) {
                rs_buf_str(b, "M");
                rs_svg_number(b, rs_scale_at(&x, x.tick[i]));
                rs_buf_printf(b, " %.1fV%.1f", top, bottom);
        }
        rs_buf_printf(
                b, "\"/>\n<path class=\"rv-axis\" d=\"M%.1f %.1fH%.1f\"/>\n", left, bottom, right);
        double taken = -INFINITY;
        for (int i = 0; i < x.n_ticks; i++) {
                char tick[24];
                rs_tick_text(&x, i, tick);
                double at = rs_scale_at(&x, x.tick[i]), half = rs_text_width(tick, SIZE) / 2;
                if (x.minor[i] || at - half < taken + 6)
                        continue;
                taken = at + half;
                rs_svg_text(b, fmin(fmax(at, half), width - half), bottom + 17, RS_MIDDLE,
                        "rv-soft", tick, SIZE, INFINITY);
        }
        for (size_t i = 0; i < p->n_references; i++) {
                if (!rs_axis_takes(&p->x, p->references[i].at))
                        continue;
                double at = rs_scale_at(&x, p->references[i].at);
                if (at < left - 0.5 || at > right + 0.5)
                        continue;
                rs_buf_printf(
                        b, "<path class=\"rv-ref\" d=\"M%.1f %.1fV%.1f\"/>\n", at, top - 2, bottom);
                bool start = at < width / 2;
                rs_svg_text(b, start ? at - 4 : at + 4, y + 14, start ? RS_START : RS_END,
                        "rv-soft rv-small", p->references[i].label, 11, start ? width - at : at);
        }
        for (size_t i = 0; i < p->n_rows; i++) {
                const rs_row *r = &p->rows[i];
                double at = top + step * (double)i, middle = narrow ? at + 28 : at + step / 2;
                value_text(p, r, true, text, sizeof text);
                double value = rs_text_width(text, SIZE);
                if (narrow) {
                        /* What lies over grid lines is set off from them. */
                        rs_svg_text(b, 0, at + 16, RS_START, "rv-halo", r->label, SIZE,
                                width - value - 12);
                        rs_svg_text(
                                b, width, at + 16, RS_END, "rv-soft rv-halo", text, SIZE, INFINITY);
                } else {
                        rs_svg_text(b, label_width, middle + 4.5, RS_END, "", r->label, SIZE,
                                label_width + 1);
                        rs_svg_text(b, right + 14, middle + 4.5, RS_START, "rv-soft", text, SIZE,
                                INFINITY);
                }
                draw_row(p, &x, b, r, middle);
        }
        if (!p->n_rows)
                rs_svg_text(b, width / 2, bottom - 4, RS_MIDDLE, "rv-soft", "no data", SIZE, width);
        rs_svg_text(
                b, (left + right) / 2, bottom + 35, RS_MIDDLE, "rv-soft", p->x.label, SIZE, width);
        return bottom + (p->x.label ? 43 : 25);
}
