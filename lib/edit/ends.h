/* SPDX-License-Identifier: 0BSD */
/* The end of a network: where it is cut, and the classifier that is put there. */
#ifndef RS_EDIT_ENDS_H
#define RS_EDIT_ENDS_H

#include "edit/edit.h"
#include "look/anatomy.h"

/* The name that a value should have as an output: its own when a person could type it, else a fresh
 * one like wish. */
const char *rs_output_name(
        rs_surgery *s, const char *value, const char *wish, resect_error *err) RESECT_MUST;
/* Puts value in the place of the graph output old (or of nothing, when old is NULL), and drops what
 * nobody needs. */
bool rs_end_at(rs_surgery *s, const char *old, const char *value, resect_error *err) RESECT_MUST;
/* A value of 8 bits as floats: a DequantizeLinear behind it, called like wish, with the scale of the node that made it. Any other
 * value stays as it is. Returns the value. */
const char *rs_dequantised(
        rs_surgery *s, const char *value, const char *wish, resect_error *err) RESECT_MUST;
/* maps [N, C, H, W] -> GlobalAveragePool -> Flatten -> [N, C]; a value that has rank 2 already
 * stays. Returns the value. */
const char *rs_pool_and_squeeze(
        rs_surgery *s, const char *value, int64_t *channels, resect_error *err) RESECT_MUST;

typedef struct rs_head_spec {
        int64_t classes;
        const int64_t *hidden; /* [n_hidden] */
        size_t n_hidden;
        double dropout; /* 0: none */
        bool zero;      /* the last layer starts at 0 */
        uint64_t seed;
        const char *output;       /* what to call the logits */
        rs_tensor *weight, *bias; /* made: [classes, C], [classes] */
} rs_head_spec;
/* Puts a classifier behind features [N, C]; the caller then ends the graph at spec->output. */
bool rs_head_attach(rs_surgery *s, const char *features, int64_t channels, rs_head_spec *spec,
        resect_error *err) RESECT_MUST;

/* keep.c: rows of an old classifier for classes that the new one has too. */
typedef struct rs_rows {
        double *weight; /* [classes, features] */
        double *bias;   /* [classes] */
        int64_t classes, features;
        const char *const *labels; /* [classes] or NULL */
} rs_rows;
bool rs_rows_read(rs_surgery *s, resect_model *old, rs_rows *out, resect_error *err) RESECT_MUST;
bool rs_rows_keep(rs_surgery *s, const char *map, const rs_rows *rows, const char *const *labels,
        rs_head_spec *spec, int64_t features, resect_error *err) RESECT_MUST;

#endif
