/* SPDX-License-Identifier: 0BSD */
/* What resect-tune says while it works: the log, a line an epoch, progress, the table of --find-lr.
 */
#ifndef TUNE_H
#define TUNE_H

#include "cli.h"

struct tune_log {
        const char *path; /* of --log, or NULL */
        FILE *file;       /* opened when there is something to write */
        size_t epochs;
        size_t pictures; /* steps of the epoch so far, for the progress line */
};

resect_train_events tune_events(struct tune_log *log);
bool tune_on_point(void *ctx, const resect_train_step *s); /* with --find-lr */
void tune_log_close(struct tune_log *log);
void tune_print_result(const resect_train_result *r, bool whole); /* as JSON; whole: no run that was cut short */
void tune_print_rates(const resect_lr_point *p, size_t n, double suggestion);

#endif
