/* SPDX-License-Identifier: 0BSD */
/*
 * Pictures of numbers: plots as SVG text and pages as HTML text. Both are complete in themselves (no script, no other file), serve a
 * light and a dark screen (prefers-color-scheme), are told apart without colours, and are readable from a phone's width (390 pixels) up.
 * All text given is UTF-8 and is escaped; what is no valid text becomes U+FFFD. A number that is not finite is left out of a plot.
 *
 * Building never fails in the middle: calls that add something return nothing, memory that runs out is remembered, and the call
 * that writes the file says so.
 */
#ifndef RESECT_VIEW_H
#define RESECT_VIEW_H

#include "resect/data.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct resect_plot resect_plot;

/* {0} is a linear axis that fits the data. */
typedef struct resect_axis {
        const char *label; /* NULL: none */
        bool log;          /* values that are not positive are left out */
        bool percent;      /* 0.5 is written as 50 % */
        double min, max;   /* its ends; both 0: chosen from the data */
} resect_axis;

/* Each makes a plot, to be filled by the calls named below it; strings are copied, NULL is none. NULL when memory runs out. title
   is drawn above the plot; about says in a sentence what is to be seen, for those who cannot see it. Free with resect_plot_free. */

/* Lines over two numeric axes. */
RESECT_API resect_plot *resect_plot_lines(const char *title, const char *about, const resect_axis *x, const resect_axis *y,
        resect_error *err) RESECT_MUST;
/* A line through the points in the order given; a point that is not finite interrupts it. low and high (both or neither NULL) are
   drawn as a band. Lines of up to 20 points show their points. */
RESECT_API void resect_plot_line(resect_plot *p, const char *name, size_t n, const double *x /* [n] */, const double *y /* [n] */,
        const double *low /* [n] */, const double *high /* [n] */);

/* A forest plot: a row each with a label, a value and the interval around it; or a bar each, from 0. */
RESECT_API resect_plot *resect_plot_intervals(const char *title, const char *about, const resect_axis *axis, resect_error *err)
        RESECT_MUST;
RESECT_API resect_plot *resect_plot_bars(const char *title, const char *about, const resect_axis *axis, resect_error *err) RESECT_MUST;
/* A row of either; low and high may be NAN: no interval. A value that is NAN leaves a row with its label alone. */
RESECT_API void resect_plot_row(resect_plot *p, const char *label, double value, double low, double high);

/* How many of the values (those that are finite and on the axis) lie in each of bins intervals of equal width; bins 0: chosen by
   Sturges' rule (JASA 21, 1926). */
RESECT_API resect_plot *resect_plot_histogram(const char *title, const char *about, const resect_axis *x, const double *values /* [n] */,
        size_t n, size_t bins, resect_error *err) RESECT_MUST;

/* A table of counts or shares as a heat map: a confusion matrix has a row a label and a column a prediction. The darkness of a cell is its value over the
   largest; by_row: over the sum of its row. Cells show their values while they are large enough, and more than 128 rows or columns
   are added up in groups. percent writes 0.5 as 50 %. The label lists may be NULL. */
RESECT_API resect_plot *resect_plot_matrix(const char *title, const char *about, const char *row_title, const char *column_title,
        const char *const *row_labels /* [rows] */, size_t rows, const char *const *column_labels /* [columns] */, size_t columns,
        const double *values /* [rows, columns] */, bool by_row, bool percent, resect_error *err) RESECT_MUST;

/* A line across the plot at a value of the axis of values (upright in intervals and bars), with its meaning: "chance". */
RESECT_API void resect_plot_reference(resect_plot *p, double at, const char *label);

/* Writes the plot as an SVG file, atomically; "-" is standard output. Fails with NOMEM or IO. */
RESECT_API bool resect_plot_write(const resect_plot *p, const char *path, resect_error *err) RESECT_MUST;
RESECT_API void resect_plot_free(resect_plot *p);

/* An HTML page, filled from top to bottom. Free with resect_page_free. */
typedef struct resect_page resect_page;
RESECT_API resect_page *resect_page_make(const char *title, resect_error *err) RESECT_MUST;
RESECT_API void resect_page_heading(resect_page *p, const char *text);    /* of a section */
RESECT_API void resect_page_subheading(resect_page *p, const char *text); /* within one */
RESECT_API void resect_page_text(resect_page *p, const char *text);       /* a paragraph; an empty line begins another */
RESECT_API void resect_page_lead(resect_page *p, const char *text);       /* the answer, set off from the rest */
RESECT_API void resect_page_warning(resect_page *p, const char *text);
RESECT_API void resect_page_code(resect_page *p, const char *text);       /* as it stands: commands, settings */
/* A table; a header that starts with '>' sets its column to the right, as numbers want. caption may be NULL. */
RESECT_API void resect_page_table(resect_page *p, const char *caption, const char *const *headers /* [columns] */, size_t columns,
        const char *const *cells /* [rows, columns] */, size_t rows);
/* caption may be NULL. The plot is copied into the page. */
RESECT_API void resect_page_plot(resect_page *p, const resect_plot *plot, const char *caption);
/* What stands between the two is folded away under a line that opens it. */
RESECT_API void resect_page_fold(resect_page *p, const char *title);
RESECT_API void resect_page_unfold(resect_page *p);

/* A picture in a grid of them. */
typedef struct resect_thumb {
        const unsigned char *pixels; /* [height, width, channels], 1 channel (grey) or 3 (RGB) */
        int width, height, channels;
        const char *caption; /* may be NULL */
        const char *detail;  /* a second, smaller line; may be NULL */
} resect_thumb;
/* Pictures side by side, about side CSS pixels wide (0: 160); small ones are enlarged without blurring. */
RESECT_API void resect_page_pictures(resect_page *p, const resect_thumb *t /* [n] */, size_t n, int side, const char *caption);

/* Writes the page, atomically; "-" is standard output. Fails with NOMEM, IO, or ARG for a picture that is none. */
RESECT_API bool resect_page_write(const resect_page *p, const char *path, resect_error *err) RESECT_MUST;
RESECT_API void resect_page_free(resect_page *p);

/* Writes a picture as a PNG file, atomically. Fails with ARG (sizes), NOMEM, IO. */
RESECT_API bool resect_picture_write(const char *path, const unsigned char *pixels /* [height, width, channels] */, int width,
        int height, int channels, resect_error *err) RESECT_MUST;
/* A model's input made visible again: the inverse of the preprocessing, clamped; in NULL (raw tensors): from the smallest value, black, to the largest,
   white. One channel comes out grey, three as RGB, others as their mean. */
RESECT_API void resect_picture_of(const float *x /* [channels, height, width] */, int channels, int height, int width,
        const resect_input *in, unsigned char *pixels /* [height, width, 3] */);

#ifdef __cplusplus
}
#endif
#endif
