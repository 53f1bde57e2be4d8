/* SPDX-License-Identifier: 0BSD */
/*
 * Surgery. Every edit has a name, a table of options and one call. The tools are thin shells around these: resect-strip's
 * --help, its man page and its parser all come from the edit's own table.
 */
#ifndef RESECT_EDIT_H
#define RESECT_EDIT_H

#include "resect/model.h"

#ifdef __cplusplus
extern "C" {
#endif

/* An option. arg is NULL for a flag, else what the argument is called in --help ("FILE", "N", "H,W"). */
typedef struct resect_option {
        const char *name; /* without dashes */
        const char *arg;
        const char *help; /* one line; starts in lower case, no final stop */
} resect_option;

/* A given option; value is NULL for a flag. */
typedef struct resect_setting {
        const char *name, *value;
} resect_setting;

typedef struct resect_edit {
        const char *name;           /* "strip" */
        const char *brief;          /* one line: "remove the head" */
        const char *description;    /* paragraphs for the man page, separated by blank lines */
        const char *example;        /* command lines for the man page, one a line */
        const resect_option *options; /* ends with a name of NULL; what every edit takes (verify, threads, kernels) is not in it */
        bool creates;               /* makes a model from nothing: takes no MODEL, see resect_edit_create */
        const char *no;             /* of an edit that can check and change nothing: what GRAPH or FORMAT then says of the model, a
                                       verdict and no failure (pack --check: "found tensors that overlap"); else NULL */
} resect_edit;

/* All edits, in the order of the manual; NULL past the end. */
RESECT_API const resect_edit *resect_edit_list(size_t i);
RESECT_API const resect_edit *resect_edit_find(const char *name); /* NULL when there is none */

/* Notes that an edit makes for the person who runs it ("kept 3 of 10 rows"), one line each. */
typedef void resect_on_note(void *ctx, const char *line);

/* Who hears of an edit while it works; each may be NULL. */
typedef struct resect_listener {
        resect_on_note *note;
        void (*progress)(void *ctx, const char *what, size_t done, size_t total); /* of what takes long: "pictures of --calibrate";
                                                                   "timing kernels" has a total of 0, not known */
        void *ctx;
        void (*verified)(void *ctx, const char *value, const resect_difference *d); /* a value that was compared and is what it was */
        void (*figures)(void *ctx, const char *json); /* what was measured, as one JSON object (cast: what its --report FILE.json is); the
                                                         table of notes that says the same is left out */
} resect_listener;

/*
 * Applies an edit to a model. Fails with ARG for a bad setting, GRAPH or UNSUPPORTED when the model does not allow it; the model
 * must then be freed, not used. Adds no history (the caller knows the command line; see resect_model_add_history).
 *
 * Every edit understands three settings more. "verify" (a flag): the model is run before and after on small random input, and the
 * values that should not change are compared; a difference is GRAPH, and one note says what was compared. "threads" (0 ... 4096, 0
 * being all processors) and "kernels" (auto, fast or reference; as in resect_plan_options) say how whatever the edit has to compute is
 * computed: the runs of "verify", and those on pictures that calibrate, measure or check.
 */
RESECT_API bool resect_edit_run(resect_model *m, const char *name, const resect_setting *settings, size_t n_settings,
        const resect_listener *to /* may be NULL */, resect_error *err) RESECT_MUST;

/* The same for an edit that creates: the new model, to be freed with resect_model_free. */
RESECT_API resect_model *resect_edit_create(const char *name, const resect_setting *settings, size_t n_settings,
        const resect_listener *to, resect_error *err) RESECT_MUST;

/* Whether an edit with these settings only reports (freeze --for ort, pack --check): its notes are then its result, for standard
   output, and the model stays as it is and need not be written. */
RESECT_API bool resect_edit_reports(const char *name, const resect_setting *settings, size_t n_settings);

#ifdef __cplusplus
}
#endif
#endif
