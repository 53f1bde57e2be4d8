/* SPDX-License-Identifier: 0BSD */
/* What the files of resect-shift share: a data set, measured against what a model knows. */
#ifndef SHIFT_H
#define SHIFT_H

#include "cli.h"

typedef struct shift_stage {
        const char *name;
        size_t layers;
        double distance, chance,
                source; /* means over its layers: of their medians, chance, source */
} shift_stage;

typedef struct shift_study {
        resect_model *m;
        resect_data *d;
        resect_shift *s;
        resect_shift_facts f;
        shift_stage *stages; /* [n_stages] in the order of the network */
        size_t n_stages;
        size_t n_labels, n_common;
        const char *const *labels;
        resect_label_match *match; /* [classes] */
        char *words[16];           /* what it suggests, a paragraph each */
        size_t n_words;
} shift_study;

/* shift_words.c: what the figures suggest, in sentences; into words. */
void shift_judge(shift_study *y);
/* shift_show.c: all of it for a terminal, and as JSON. */
void shift_print(const shift_study *y);
void shift_print_json(const shift_study *y);
/* shift_page.c: the plot and the page, where --svg and --html ask for them. */
void shift_write_views(const shift_study *y);

/* How a class and a label are alike. */
const char *shift_likeness(const resect_label_match *m);

#endif
