/* SPDX-License-Identifier: 0BSD */
/* resect-info's parts: one model, seen in several ways. */
#ifndef INFO_H
#define INFO_H

#include "look.h"

typedef struct info {
        resect_model *m;
        resect_anatomy *a;
        const resect_summary *s;
        resect_input input;
        bool recorded; /* preprocessing is the model's own word */
        bool assumed;  /* sizes are counted for a picture size that the model leaves open */
        const char *const *labels;
        size_t n_labels;
        size_t n_tensors, n_frozen;
        uint64_t bytes; /* of all initializers */
} info;

void info_print(const info *x);   /* info.c */
void info_tensors(const info *x); /* info_tensors.c */
json_t *info_json_tensors(const info *x);
void info_dot(const info *x);  /* info_dot.c */
void info_plan(const info *x); /* info_plan.c */
json_t *info_json_plan(const info *x);
json_t *info_json(const info *x); /* info_json.c */

#endif
