/* SPDX-License-Identifier: 0BSD */
/*
 * The inside of a plot, and what its drawers share. A plot is data until it is drawn; a drawer writes SVG elements for a given width
 * in CSS pixels, so that a page can hold a wide and a narrow drawing of one plot in which text has the same size, and a style sheet
 * chooses between them. Colours are the style sheet's alone (style.c): elements name classes.
 */
#ifndef RS_VIEW_VIEW_H
#define RS_VIEW_VIEW_H

#include "base/mem.h"
#include "resect/view.h"

enum rs_plot_kind { RS_PLOT_LINES, RS_PLOT_INTERVALS, RS_PLOT_BARS, RS_PLOT_HISTOGRAM, RS_PLOT_MATRIX };

enum { RS_WIDE = 720, RS_NARROW = 358, RS_SERIES = 8, RS_GROUPS = 128 };

typedef struct rs_series {
        const char *name;
        size_t n;
        double *x, *y;
        double *low, *high; /* NULL: no band */
} rs_series;

typedef struct rs_row {
        const char *label;
        double value, low, high;
} rs_row;

typedef struct rs_reference {
        const char *label;
        double at;
} rs_reference;

struct resect_plot {
        rs_arena arena;
        enum rs_plot_kind kind;
        const char *title, *about;
        resect_axis x, y; /* rows have x alone */
        rs_series *series;
        size_t n_series, series_cap;
        rs_row *rows;
        size_t n_rows, rows_cap;
        rs_reference *references;
        size_t n_references, references_cap;
        double *counts; /* of the histogram's n_bins */
        size_t n_bins;
        struct {
                const char *row_title, *column_title;
                const char **row_labels, **column_labels; /* NULL: none */
                size_t rows, columns, row_group, column_group; /* of groups, and how many make one */
                double *values, *shades;                       /* [rows, columns] */
                bool percent;
        } matrix;
        bool oom;
};

/* text.c: escaped text, and how wide it will be. */
void rs_xml_text(rs_buf *b, const char *s);
/* The same for at most n bytes of s. */
void rs_xml_textn(rs_buf *b, const char *s, size_t n);
double rs_text_width(const char *s, double size); /* in pixels, of a sans-serif, rather too much */
/* A coordinate: one decimal at most. */
void rs_svg_number(rs_buf *b, double x);
/* attribute="number" */
void rs_svg_at(rs_buf *b, const char *attribute, double x);
enum rs_anchor { RS_START, RS_MIDDLE, RS_END };
/* A line of text, cut with an ellipsis where it is wider than room (then the whole is a tooltip). */
void rs_svg_text(rs_buf *b, double x, double y, enum rs_anchor anchor, const char *classes, const char *s, double size, double room);
/* Text in lines of at most room pixels; returns how many there were. b NULL: only counts. */
int rs_svg_wrapped(rs_buf *b, double x, double y, const char *classes, const char *s, double size, double room);
/* A number for people in at most 24 bytes: "0.25", "1.5 k", "12 %". decimals -1: four significant digits; -2: three. */
void rs_number_text(char out[24], double x, bool percent, int decimals);

/* axis.c: a scale from values to pixels, and its ticks. */
enum { RS_TICKS = 24 };
typedef struct rs_scale {
        bool log, percent;
        double min, max;   /* of the values */
        double from, to;   /* pixels */
        double tick[RS_TICKS];
        bool minor[RS_TICKS]; /* a grid line without a label */
        int n_ticks, decimals; /* decimals < 0: as many as each tick needs */
} rs_scale;
/* Whether a value can stand on the axis. */
bool rs_axis_takes(const resect_axis *a, double v);
/* A scale for values in low..high (low > high: there are none), with about `wanted` ticks. */
rs_scale rs_scale_make(const resect_axis *a, double low, double high, int wanted);
double rs_scale_at(const rs_scale *s, double v); /* the pixel */
void rs_tick_text(const rs_scale *s, int i, char out[24]);

/* Each draws into b what stands between <svg> and </svg>, from y on, and returns where it ended. */
double rs_draw_lines(const resect_plot *p, rs_buf *b, double width, double y);
double rs_draw_rows(const resect_plot *p, rs_buf *b, double width, double y);
double rs_draw_matrix(const resect_plot *p, rs_buf *b, double *width /* may grow */, double y);
/* The whole <svg>. alone: with a style sheet and a name space, for a file of its own. */
void rs_plot_draw(const resect_plot *p, rs_buf *b, int width, const char *classes, bool alone);

/* style.c */
extern const char rs_style_colours[], rs_style_plot[], rs_style_page[];

#endif
