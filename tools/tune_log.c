/* SPDX-License-Identifier: 0BSD */
#include "tune.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A run that goes on has logged steps that its state does not know: lines after step `total`, and a
   last line that was cut short, are taken away, so that the log in the end is that of a run without
   interruption. */
static void
trim(FILE *f, const char *path, size_t total)
{
        char *line = NULL;
        size_t cap = 0;
        long keep = 0;
        ssize_t n;
        while ((n = getline(&line, &cap, f)) > 0) {
                json_t *v = line[n - 1] == '\n' ? json_loads(line, 0, NULL) : NULL;
                json_int_t at = json_integer_value(json_object_get(v, "total"));
                bool old = v && at > 0 && (size_t)at <= total;
                json_decref(v);
                if (!old)
                        break;
                keep += n;
        }
        free(line);
        if (ftruncate(fileno(f), keep) != 0 || fseek(f, keep, SEEK_SET) != 0)
                cli_die("%s: cannot be shortened to step %zu: %s", path, total, strerror(errno));
}

static FILE *
opened(struct tune_log *log, bool resumed, size_t total)
{
        if (!log->path || log->file)
                return log->file;
        log->file = resumed ? fopen(log->path, "r+e") : NULL;
        if (log->file)
                trim(log->file, log->path, total);
        else
                log->file = fopen(log->path, "we");
        if (!log->file)
                cli_die("%s: %s", log->path, strerror(errno));
        return log->file;
}

/* A line reaches the file before the state that counts it. */
static void
put(struct tune_log *log, json_t *line)
{
        FILE *f = opened(log, false, 0);
        if (f && (json_dumpf(line, f,
                          JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(12)) != 0 ||
                         putc('\n', f) == EOF || fflush(f) != 0))
                cli_die("%s: %s", log->path, strerror(errno));
        json_decref(line);
}

void
tune_log_close(struct tune_log *log)
{
        if (log->file && fclose(log->file) != 0)
                cli_die("%s: %s", log->path, strerror(errno));
        log->file = NULL;
}

static void
on_note(void *ctx, const char *line)
{
        (void)ctx;
        cli_progress_end();
        cli_note("%s", line);
}

static void
on_resumed(void *ctx, size_t epoch, size_t total)
{
        struct tune_log *log = ctx;
        cli_note("going on in epoch %zu, after step %zu", epoch, total);
        opened(log, true, total);
}

static bool
on_progress(void *ctx, const char *what, size_t done, size_t total)
{
        (void)ctx;
        cli_progress(what, (double)done, (double)total, "pictures");
        return !cli_stopped();
}

static bool
on_step(void *ctx, const resect_train_step *s)
{
        struct tune_log *log = ctx;
        char what[80];
        snprintf(what, sizeof what, "epoch %zu/%zu  loss %.4f", s->epoch, log->epochs, s->loss);
        cli_progress(what, (double)s->step, (double)s->steps, "steps");
        if (log->path)
                put(log, json_pack("{s:I,s:I,s:I,s:o,s:o,s:o,s:o}", "epoch", (json_int_t)s->epoch,
                                 "step", (json_int_t)s->step, "total", (json_int_t)s->total, "loss",
                                 cli_json_real(s->loss), "lr", cli_json_real(s->lr), "gradient",
                                 cli_json_real(s->gradient), "images_per_second",
                                 cli_json_real(s->images_per_second)));
        return !cli_stopped();
}

bool
tune_on_point(void *ctx, const resect_train_step *s)
{
        (void)ctx;
        char what[80];
        snprintf(what, sizeof what, "lr %.2e  loss %.4f", s->lr, s->loss);
        cli_progress(
                what, (double)s->total, (double)cli_integer("points", 100, 3, 100000), "steps");
        return !cli_stopped();
}

static json_t *
scores_json(const resect_scores *s)
{
        return json_pack("{s:I,s:o,s:o,s:o,s:o,s:o,s:o}", "n", (json_int_t)s->n, "loss",
                cli_json_real(s->loss), "top1", cli_json_real(s->top1), "top5",
                cli_json_real(s->top5), "balanced", cli_json_real(s->balanced), "macro_f1",
                cli_json_real(s->macro_f1), "ece", cli_json_real(s->ece));
}

static bool
on_epoch(void *ctx, const resect_train_epoch *e)
{
        struct tune_log *log = ctx;
        cli_progress_end();
        char judged[120] = "";
        if (e->validated)
                snprintf(judged, sizeof judged,
                        " | validation loss %.4f  top-1 %.1f %%  balanced %.1f %%%s",
                        e->validation.loss, 100 * e->validation.top1, 100 * e->validation.balanced,
                        e->best ? "  best" : "");
        cli_note("epoch %zu/%zu  loss %.4f  top-1 %.1f %%%s  (%s)", e->epoch, e->epochs, e->loss,
                100 * e->top1, judged, cli_seconds(e->seconds));
        if (log->path)
                put(log, json_pack("{s:I,s:I,s:{s:o,s:o},s:o,s:b,s:o}", "epoch",
                                 (json_int_t)e->epoch, "total", (json_int_t)e->total, "train",
                                 "loss", cli_json_real(e->loss), "top1", cli_json_real(e->top1),
                                 "validation",
                                 e->validated ? scores_json(&e->validation) : json_null(), "best",
                                 (int)e->best, "seconds", cli_json_real(e->seconds)));
        return !cli_stopped();
}

resect_train_events
tune_events(struct tune_log *log)
{
        return (resect_train_events){.ctx = log,
                .note = on_note,
                .resumed = on_resumed,
                .progress = on_progress,
                .step = on_step,
                .epoch = on_epoch};
}

void
tune_print_result(const resect_train_result *r, bool whole)
{
        cli_print_json(json_pack("{s:b,s:b,s:I,s:I,s:o,s:o}", "whole", (int)whole, "stopped_early",
                (int)r->stopped_early, "steps", (json_int_t)r->steps, "epochs",
                (json_int_t)r->epochs, "best_epoch",
                r->kept ? json_integer((json_int_t)r->best_epoch) : json_null(), "validation",
                r->kept && r->validated ? scores_json(&r->best) : json_null()));
}

void
tune_print_rates(const resect_lr_point *p, size_t n, double suggestion)
{
        if (cli_json()) {
                json_t *list = json_array();
                for (size_t i = 0; i < n; i++)
                        json_array_append_new(
                                list, json_pack("{s:o,s:o,s:o}", "lr", cli_json_real(p[i].lr),
                                              "loss", cli_json_real(p[i].loss), "smoothed",
                                              cli_json_real(p[i].smoothed)));
                cli_print_json(json_pack("{s:o,s:o}", "suggestion",
                        suggestion > 0 ? cli_json_real(suggestion) : json_null(), "points", list));
                return;
        }
        cli_table *t = cli_table_make((const char *const[]){">lr", ">loss", ">smoothed", NULL});
        for (size_t i = 0; i < n; i++) {
                cli_cell(t, "%.3e", p[i].lr);
                cli_cell(t, "%.4f", p[i].loss);
                cli_cell(t, "%.4f", p[i].smoothed);
        }
        cli_table_print(t);
        if (suggestion > 0)
                printf("\nsuggestion: --lr %.2g (where the smoothed loss falls fastest)\n",
                        suggestion);
        else
                printf("\nno suggestion: the loss never falls\n");
}
