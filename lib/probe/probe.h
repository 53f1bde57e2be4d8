/* SPDX-License-Identifier: 0BSD */
/* A probe's inside: what the pass over the pictures, the judges and the reader of a report fill. */
#ifndef RS_PROBE_PROBE_H
#define RS_PROBE_PROBE_H

#include "base/mem.h"
#include "resect/probe.h"

struct resect_probe {
        rs_arena arena;
        resect_probe_facts facts;
        resect_probe_row *rows; /* [n_rows] */
        size_t n_rows;
};

/* The features of all depths: x[i] is [n, rows[i].features]. */
typedef struct rs_depths {
        size_t n;
        size_t n_depths;
        float **x; /* [n_depths] */
} rs_depths;
void rs_depths_free(rs_depths *d);

/* Lists the depths in p->rows and fills the features of both splits in one pass over each. */
bool rs_probe_features(resect_probe *p, resect_model *m, const resect_data *d,
        const resect_probe_options *o, rs_depths *train, rs_depths *held, resect_error *err)
        RESECT_MUST;
bool rs_probe_judge(resect_probe *p, const resect_data *d, const resect_probe_options *o,
        const rs_depths *train, const rs_depths *held, resect_error *err) RESECT_MUST;
/* Chooses best and cut from the rows. */
void rs_probe_choose(resect_probe *p);
resect_split rs_probe_held_out(const resect_probe_options *o);

#endif
