/* SPDX-License-Identifier: 0BSD */
/*
 * The parts of a report. report.c is its order from top to bottom; report_plots.c draws,
 * report_tables.c tables; every figure of the verdict stands in one of the tables.
 */
#ifndef RS_TRIAL_REPORT_H
#define RS_TRIAL_REPORT_H

#include "resect/view.h"
#include "trial/verdict.h"

typedef struct rs_report {
        const resect_trial *t;
        const rs_verdict *v;
        resect_page *page;
        rs_arena arena; /* of cells */
} rs_report;

/* A table that is being filled, cell after cell. */
typedef struct rs_table {
        rs_report *r;
        const char *caption;
        const char *const *headers;
        size_t columns;
        const char **cells;
        size_t n, cap;
        bool failed;
} rs_table;

rs_table rs_table_begin(
        rs_report *r, const char *caption, const char *const *headers, size_t columns);
void rs_table_cell(rs_table *t, const char *fmt, ...) RESECT_PRINTF(2, 3);
bool rs_table_end(rs_table *t, resect_error *err) RESECT_MUST; /* onto the page */

/* report_plots.c. Each puts its plot onto the page. */
bool rs_plot_fractions(rs_report *r, resect_error *err) RESECT_MUST;
bool rs_plot_arms(rs_report *r, resect_error *err) RESECT_MUST;
bool rs_plot_differences(rs_report *r, resect_error *err) RESECT_MUST;
bool rs_plot_curves(rs_report *r, bool by_seconds, resect_error *err) RESECT_MUST;
bool rs_plot_confusion(rs_report *r, resect_error *err) RESECT_MUST;
bool rs_show_mistakes(rs_report *r, resect_error *err) RESECT_MUST;

/* report_tables.c */
bool rs_table_arms(rs_report *r, resect_error *err) RESECT_MUST;
bool rs_table_costs(rs_report *r, resect_error *err) RESECT_MUST;
bool rs_table_pairs(rs_report *r, resect_error *err) RESECT_MUST;
bool rs_table_overfitting(rs_report *r, resect_error *err) RESECT_MUST;
bool rs_table_fractions(rs_report *r, resect_error *err) RESECT_MUST;
bool rs_table_lead(rs_report *r, resect_error *err) RESECT_MUST;
bool rs_table_restarts(rs_report *r, resect_error *err) RESECT_MUST;
bool rs_table_data(rs_report *r, resect_error *err) RESECT_MUST;
bool rs_table_search(rs_report *r, resect_error *err) RESECT_MUST;
bool rs_table_settings(rs_report *r, resect_error *err) RESECT_MUST;
bool rs_table_runs(rs_report *r, resect_error *err) RESECT_MUST;

#endif
