/* SPDX-License-Identifier: 0BSD */
/* Running a model on many pictures inside an edit: to calibrate, and to see what became of its values. */
#ifndef RS_EDIT_MEASURE_H
#define RS_EDIT_MEASURE_H

#include "edit/run.h"
#include "resect/data.h"

/* A model set up to be run again and again. What it needs of the model it has copied: the model may be edited meanwhile, but not
   freed. */
typedef struct rs_bench {
        resect_plan *plan;
        resect_exec *exec;
        resect_tensor *outputs; /* [n], of the last run */
} rs_bench;
bool rs_bench_make(rs_surgery *s, rs_bench *b, const resect_binding *in, size_t n_in,
        const char *const *names, size_t n, resect_error *err) RESECT_MUST;
void rs_bench_free(rs_bench *b);

/* Opens DATA that an option of an edit named; free with resect_data_free. */
resect_data *rs_surgery_data(const rs_surgery *s, const char *path, resect_error *err) RESECT_MUST;

/* A walk over pictures in batches. */
typedef struct rs_tour {
        const resect_data *data;
        resect_split split;
        const resect_input *input;
        const char *what; /* the option that named the data, for messages */
        size_t samples;   /* at most so many; rs_tour_plan makes it so many as there will be */
        size_t batch;     /* set by rs_tour_plan, as x: the model's input in one batch's shape, without data */
        resect_binding x;
        size_t seen;
        resect_data *own; /* rs_tour_open's */
        resect_input own_input;
} rs_tour;
/* Opens DATA, for what rs_tour_plan then does; what is the option that named it. Free with rs_tour_close, also after failure. */
bool rs_tour_open(rs_surgery *s, rs_tour *t, const char *what, const char *path, int64_t samples, resect_error *err) RESECT_MUST;
void rs_tour_close(rs_tour *t);
/* What the model's only input will be given; fails with ARG when the pictures are too few or of another size. */
bool rs_tour_plan(rs_surgery *s, rs_tour *t, resect_error *err) RESECT_MUST;
/* x is float32; got has the labels. */
typedef bool rs_on_batch(void *ctx, const resect_tensor *x, const resect_batch *got, resect_error *err);
bool rs_tour_go(const rs_surgery *s, rs_tour *t, rs_on_batch *fn, void *ctx, resect_error *err) RESECT_MUST;

#endif
