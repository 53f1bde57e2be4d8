/* SPDX-License-Identifier: 0BSD */
/*
 * Lines over two axes, and histograms, which have the same frame. The names of the lines stand at
 * their right ends where there is room for them, moved apart so that none covers another; else in
 * rows above the plot. Either way no name lies on the data.
 */
#include <math.h>
#include <string.h>
#include "view/view.h"

enum { SIZE = 13 };

struct frame {
        const resect_plot *p;
        rs_buf *b;
        double left, right, top, bottom; /* of the plot's area */
        rs_scale x, y;
        bool direct; /* names at the ends of the lines */
};

static bool
takes(const resect_plot *p, const rs_series *s, size_t i)
{
        return rs_axis_takes(&p->x, s->x[i]) && rs_axis_takes(&p->y, s->y[i]);
}

static bool
has_band(const resect_plot *p, const rs_series *s, size_t i)
{
        return s->low && takes(p, s, i) && rs_axis_takes(&p->y, s->low[i]) &&
               rs_axis_takes(&p->y, s->high[i]);
}

struct range {
        double x0, x1, y0, y1;
};

static struct range
range_of(const resect_plot *p)
{
        struct range r = {INFINITY, -INFINITY, INFINITY, -INFINITY};
        for (size_t k = 0; k < p->n_series; k++)
                for (size_t i = 0; i < p->series[k].n; i++) {
                        const rs_series *s = &p->series[k];
                        if (!takes(p, s, i))
                                continue;
                        r.x0 = fmin(r.x0, s->x[i]);
                        r.x1 = fmax(r.x1, s->x[i]);
                        r.y0 = fmin(r.y0, s->y[i]);
                        r.y1 = fmax(r.y1, s->y[i]);
                        if (has_band(p, s, i)) {
                                r.y0 = fmin(r.y0, s->low[i]);
                                r.y1 = fmax(r.y1, s->high[i]);
                        }
                }
        for (size_t i = 0; i < p->n_references; i++)
                if (rs_axis_takes(&p->y, p->references[i].at)) {
                        r.y0 = fmin(r.y0, p->references[i].at);
                        r.y1 = fmax(r.y1, p->references[i].at);
                }
        return r;
}

static void
style_of(rs_buf *b, const char *kind, size_t i)
{
        static const char *const dashes[] = {"", " rv-d2", " rv-d3", " rv-d4"};
        rs_buf_printf(b, " class=\"%s rv-s%zu%s\"", kind, i % RS_SERIES + 1,
                strcmp(kind, "rv-line") ? "" : dashes[i % 4]);
}

static void
mark(rs_buf *b, size_t series, double x, double y)
{
        switch (series % 4) {
        case 0:
                rs_buf_str(b, "<circle");
                rs_svg_at(b, "cx", x);
                rs_svg_at(b, "cy", y);
                rs_buf_str(b, " r=\"4\"");
                break;
        case 1:
                rs_buf_str(b, "<rect");
                rs_svg_at(b, "x", x - 3.5);
                rs_svg_at(b, "y", y - 3.5);
                rs_buf_str(b, " width=\"7\" height=\"7\"");
                break;
        default:
                rs_buf_printf(b, "<path d=\"M%.1f %.1f%s\"", x, y,
                        series % 4 == 2 ? "m0-5l4.8 8.4h-9.6z" : "m0-5l5 5l-5 5l-5-5z");
        }
        style_of(b, "rv-mark", series);
        rs_buf_str(b, "/>\n");
}

static void
point(const struct frame *f, char command, double x, double y)
{
        rs_buf_add(f->b, &command, 1);
        rs_svg_number(f->b, rs_scale_at(&f->x, x));
        rs_buf_str(f->b, " ");
        rs_svg_number(f->b, rs_scale_at(&f->y, y));
}

static void
draw_band(const struct frame *f, size_t k)
{
        const rs_series *s = &f->p->series[k];
        for (size_t i = 0; i < s->n; i++) {
                size_t end = i;
                while (end < s->n && has_band(f->p, s, end))
                        end++;
                if (end - i >= 2) {
                        rs_buf_str(f->b, "<path d=\"");
                        for (size_t j = i; j < end; j++)
                                point(f, j == i ? 'M' : 'L', s->x[j], s->high[j]);
                        for (size_t j = end; j-- > i;)
                                point(f, 'L', s->x[j], s->low[j]);
                        rs_buf_str(f->b, "z\"");
                        style_of(f->b, "rv-band", k);
                        rs_buf_str(f->b, "/>\n");
                } else if (end > i) { /* a band of one point is a whisker */
                        rs_buf_str(f->b, "<path d=\"");
                        point(f, 'M', s->x[i], s->low[i]);
                        point(f, 'L', s->x[i], s->high[i]);
                        rs_buf_str(f->b, "\"");
                        style_of(f->b, "rv-line", k);
                        rs_buf_str(f->b, "/>\n");
                }
                i = end;
        }
}

/* A run of points as a polyline. With more points than pixels each pixel's column keeps its first,
 * least, greatest and last, which look the same. */
static void
draw_run(const struct frame *f, const rs_series *s, size_t from, size_t to)
{
        bool thin = (double)(to - from) > 4 * (f->right - f->left);
        point(f, 'M', s->x[from], s->y[from]);
        for (size_t i = from + 1; i < to;) {
                if (!thin) {
                        point(f, 'L', s->x[i], s->y[i]);
                        i++;
                        continue;
                }
                double column = floor(rs_scale_at(&f->x, s->x[i]));
                size_t end = i, least = i, most = i;
                while (end < to && floor(rs_scale_at(&f->x, s->x[end])) == column) {
                        if (s->y[end] < s->y[least])
                                least = end;
                        if (s->y[end] > s->y[most])
                                most = end;
                        end++;
                }
                size_t at[4] = {
                        i, least < most ? least : most, least < most ? most : least, end - 1};
                for (int k = 0; k < 4; k++)
                        if (k == 0 || at[k] != at[k - 1])
                                point(f, 'L', s->x[at[k]], s->y[at[k]]);
                i = end;
        }
}

static void
draw_line(const struct frame *f, size_t k)
{
        const rs_series *s = &f->p->series[k];
        rs_buf_str(f->b, "<path d=\"");
        size_t before = f->b->size;
        for (size_t i = 0; i < s->n;) {
                size_t end = i;
                while (end < s->n && takes(f->p, s, end))
                        end++;
                if (end > i)
                        draw_run(f, s, i, end);
                i = end + 1;
        }
        if (f->b->size == before)
                rs_buf_str(f->b, "M0 0");
        rs_buf_str(f->b, "\"");
        style_of(f->b, "rv-line", k);
        rs_buf_str(f->b, "/>\n");
        for (size_t i = 0; i < s->n; i++) {
                bool lone = (i == 0 || !takes(f->p, s, i - 1)) &&
                            (i + 1 >= s->n || !takes(f->p, s, i + 1));
                if (takes(f->p, s, i) && (s->n <= 20 || lone))
                        mark(f->b, k, rs_scale_at(&f->x, s->x[i]), rs_scale_at(&f->y, s->y[i]));
        }
}

/* Grid, numbers and the axes' names. */
static void
draw_axes(const struct frame *f)
{
        rs_buf *b = f->b;
        char text[24];
        rs_buf_str(b, "<path class=\"rv-grid\" d=\"");
        for (int i = 0; i < f->y.n_ticks; i++) {
                rs_buf_printf(b, "M%.1f ", f->left);
                rs_svg_number(b, rs_scale_at(&f->y, f->y.tick[i]));
                rs_buf_printf(b, "H%.1f", f->right);
        }
        rs_buf_str(b, "\"/>\n<path class=\"rv-axis\" d=\"");
        rs_buf_printf(b, "M%.1f %.1fH%.1f", f->left, f->bottom, f->right);
        for (int i = 0; i < f->x.n_ticks; i++) {
                rs_buf_str(b, "M");
                rs_svg_number(b, rs_scale_at(&f->x, f->x.tick[i]));
                rs_buf_printf(b, " %.1fv4", f->bottom);
        }
        rs_buf_str(b, "\"/>\n");
        for (int i = 0; i < f->y.n_ticks; i++) {
                if (f->y.minor[i])
                        continue;
                rs_tick_text(&f->y, i, text);
                rs_svg_text(b, f->left - 6, rs_scale_at(&f->y, f->y.tick[i]) + 4.5, RS_END,
                        "rv-soft", text, SIZE, INFINITY);
        }
        double taken = -INFINITY;
        for (int i = 0; i < f->x.n_ticks; i++) {
                if (f->x.minor[i])
                        continue;
                rs_tick_text(&f->x, i, text);
                double at = rs_scale_at(&f->x, f->x.tick[i]), half = rs_text_width(text, SIZE) / 2;
                if (at - half < taken + 6) /* on a log axis ticks crowd together */
                        continue;
                taken = at + half;
                rs_svg_text(b, at, f->bottom + 18, RS_MIDDLE, "rv-soft", text, SIZE, INFINITY);
        }
        rs_svg_text(b, (f->left + f->right) / 2, f->bottom + 36, RS_MIDDLE, "rv-soft",
                f->p->x.label, SIZE, f->right - f->left + f->left);
}

/* How many points there are within a line of text's height of (from .. to, y). */
static size_t
points_near(const struct frame *f, double from, double to, double y)
{
        const resect_plot *p = f->p;
        size_t n = 0;
        for (size_t k = 0; k < p->n_series; k++)
                for (size_t i = 0; i < p->series[k].n; i++) {
                        const rs_series *s = &p->series[k];
                        if (!takes(p, s, i))
                                continue;
                        const double x = rs_scale_at(&f->x, s->x[i]);
                        n += x > from && x < to && fabs(rs_scale_at(&f->y, s->y[i]) - y) < 14;
                }
        return n;
}

/* Its words are at the right end of a line, or at the left where they hide less. */
static void
draw_references(const struct frame *f)
{
        for (size_t i = 0; i < f->p->n_references; i++) {
                const rs_reference *r = &f->p->references[i];
                if (!rs_axis_takes(&f->p->y, r->at))
                        continue;
                double y = rs_scale_at(&f->y, r->at);
                if (y < f->top - 0.5 || y > f->bottom + 0.5)
                        continue;
                rs_buf_printf(f->b, "<path class=\"rv-ref\" d=\"M%.1f %.1fH%.1f\"/>\n", f->left, y,
                        f->right);
                const double at = y < f->top + 20 ? y + 14 : y - 4,
                             width = rs_text_width(r->label, 11) + 8;
                const bool left = points_near(f, f->left, f->left + width, at - 4) <
                                  points_near(f, f->right - width, f->right, at - 4);
                rs_svg_text(f->b, left ? f->left + 4 : f->right - 2, at, left ? RS_START : RS_END,
                        "rv-soft rv-small rv-halo", r->label, 11, f->right - f->left - 8);
        }
}

static size_t
last_point(const resect_plot *p, const rs_series *s)
{
        for (size_t i = s->n; i-- > 0;)
                if (takes(p, s, i))
                        return i;
        return s->n;
}

/* Names at the ends of the lines: in the order of the ends, each at least a line below the one
 * before. */
static void
draw_ends(const struct frame *f, double room)
{
        size_t order[RS_SERIES], n = 0;
        double at[RS_SERIES];
        for (size_t k = 0; k < f->p->n_series; k++) {
                const rs_series *s = &f->p->series[k];
                size_t last = last_point(f->p, s);
                if (last == s->n)
                        continue;
                double y = fmin(fmax(rs_scale_at(&f->y, s->y[last]), f->top), f->bottom);
                size_t i = n++;
                while (i > 0 && at[i - 1] > y) {
                        at[i] = at[i - 1];
                        order[i] = order[i - 1];
                        i--;
                }
                at[i] = y;
                order[i] = k;
        }
        enum { APART = 16 };
        for (size_t i = 1; i < n; i++)
                at[i] = fmax(at[i], at[i - 1] + APART);
        double lowest = f->bottom;
        for (size_t i = n; i-- > 0;) {
                at[i] = fmin(at[i], lowest);
                lowest = at[i] - APART;
        }
        for (size_t i = 0; i < n; i++) {
                mark(f->b, order[i], f->right + 14, at[i]);
                rs_svg_text(f->b, f->right + 24, at[i] + 4.5, RS_START, "",
                        f->p->series[order[i]].name, SIZE, room - 26);
        }
}

/* Rows of names above the plot; returns their height. b NULL: only measures. */
static double
legend(const resect_plot *p, rs_buf *b, double width, double y)
{
        double x = 0, at = y;
        for (size_t k = 0; k < p->n_series; k++) {
                double w = fmin(34 + rs_text_width(p->series[k].name, SIZE), width);
                if (x > 0 && x + w > width) {
                        x = 0;
                        at += 20;
                }
                if (b) {
                        rs_buf_printf(b, "<path d=\"M%.1f %.1fh24\"", x, at + 9);
                        style_of(b, "rv-line", k);
                        rs_buf_str(b, "/>\n");
                        mark(b, k, x + 12, at + 9);
                        rs_svg_text(b, x + 30, at + 13.5, RS_START, "", p->series[k].name, SIZE,
                                width - 30);
                }
                x += w + 16;
        }
        return at + 24 - y;
}

static bool
names_fit_ends(const resect_plot *p, double width, const struct range *r, double *room)
{
        *room = 0;
        if (width < 600 || p->n_series < 2 || p->n_series > RS_SERIES)
                return false;
        for (size_t k = 0; k < p->n_series; k++) {
                const rs_series *s = &p->series[k];
                size_t last = last_point(p, s);
                *room = fmax(*room, 30 + rs_text_width(s->name, SIZE));
                if (last == s->n)
                        continue;
                double ends = p->x.log ? log(s->x[last] / r->x0) / log(r->x1 / r->x0)
                                       : (s->x[last] - r->x0) / (r->x1 - r->x0);
                if (ends < 0.9)
                        return false;
        }
        return *room <= 190;
}

static double
widest_tick(const rs_scale *s)
{
        double w = 0;
        char text[24];
        for (int i = 0; i < s->n_ticks; i++) {
                rs_tick_text(s, i, text);
                w = fmax(w, rs_text_width(text, SIZE));
        }
        return w;
}

static void
draw_counts(const struct frame *f)
{
        const resect_plot *p = f->p;
        for (size_t i = 0; i < p->n_bins; i++) {
                double w = (f->right - f->left) / (double)p->n_bins;
                double y = rs_scale_at(&f->y, p->counts[i]);
                if (p->counts[i] <= 0)
                        continue;
                double step = (p->x.max - p->x.min) / (double)p->n_bins;
                char from[24], to[24];
                rs_number_text(from, p->x.min + step * (double)i, p->x.percent, -1);
                rs_number_text(to, p->x.min + step * (double)(i + 1), p->x.percent, -1);
                rs_buf_str(f->b, "<rect class=\"rv-fill rv-s1\"");
                rs_svg_at(f->b, "x", f->left + (double)i * w + (w > 4 ? 0.5 : 0));
                rs_svg_at(f->b, "y", y);
                rs_svg_at(f->b, "width", w > 4 ? w - 1 : w);
                rs_svg_at(f->b, "height", f->bottom - y);
                rs_buf_printf(f->b, "><title>%s \xe2\x80\x93 %s: %.0f</title></rect>\n", from, to,
                        p->counts[i]);
        }
}

double
rs_draw_lines(const resect_plot *p, rs_buf *b, double width, double y)
{
        bool counts = p->kind == RS_PLOT_HISTOGRAM;
        struct range r = counts ? (struct range){p->x.min, p->x.max, 0, 1} : range_of(p);
        for (size_t i = 0; i < p->n_bins; i++)
                r.y1 = fmax(r.y1, p->counts[i]);
        struct frame f = {.p = p, .b = b};
        double room = 12;
        f.direct = !counts && names_fit_ends(p, width, &r, &room);
        if (!f.direct) {
                room = 12;
                if (p->n_series > 1 || (p->n_series == 1 && p->series[0].name && !counts))
                        y += 4 + legend(p, b, width, y + 4);
        }
        const char *y_label = counts && !p->y.label ? "count" : p->y.label;
        if (y_label) {
                rs_svg_text(b, 0, y + 16, RS_START, "rv-soft", y_label, SIZE, width);
                y += 20;
        }
        double height = counts ? (width < 600 ? 170 : 200) : (width < 600 ? 230 : 300);
        f.top = y + 10;
        f.bottom = f.top + height;
        f.y = rs_scale_make(&p->y, r.y0, r.y1, (int)(height / 48));
        f.y.from = f.bottom;
        f.y.to = f.top;
        f.left = widest_tick(&f.y) + 8;
        f.right = width - fmax(room, 16);
        f.x = rs_scale_make(&p->x, r.x0, r.x1, (int)((f.right - f.left) / 64));
        f.x.from = f.left;
        f.x.to = f.right;
        draw_axes(&f);
        /* A nested svg clips what an axis with given ends leaves out. */
        rs_buf_printf(b,
                "<svg x=\"0\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" viewBox=\"0 %.1f "
                "%.1f %.1f\">\n",
                f.top - 6, f.right + 6, height + 12, f.top - 6, f.right + 6, height + 12);
        if (counts)
                draw_counts(&f);
        for (size_t k = 0; k < p->n_series; k++)
                draw_band(&f, k);
        for (size_t k = 0; k < p->n_series; k++)
                draw_line(&f, k);
        rs_buf_str(b, "</svg>\n");
        draw_references(&f);
        if (f.direct)
                draw_ends(&f, room);
        bool empty = true;
        for (size_t k = 0; k < p->n_series && empty; k++)
                empty = last_point(p, &p->series[k]) == p->series[k].n;
        if (empty && !counts)
                rs_svg_text(b, (f.left + f.right) / 2, (f.top + f.bottom) / 2, RS_MIDDLE, "rv-soft",
                        "no data", SIZE, width);
        return f.bottom + (p->x.label ? 44 : 26);
}
