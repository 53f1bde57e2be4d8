/* SPDX-License-Identifier: 0BSD */
/* The parts of resect-cast: what may be cast, casting between floats, and the report of what that cost. */
#ifndef RS_EDIT_CAST_H
#define RS_EDIT_CAST_H

#include "edit/edit.h"
#include "edit/measure.h"
#include "look/anatomy.h"

/* What casting did to a tensor's values. */
typedef struct rs_loss {
        double numbers, infinite, vanished; /* cast; finite ones that became infinite; others than 0 that became 0 */
} rs_loss;

/* A layer whose activation is compared: where a Conv, Gemm, MatMul or a sum of two branches ends, the
   normalisation and activation behind it included; or an output of the graph. */
typedef struct rs_layer {
        const char *name, *op;
        const rs_node *node;        /* NULL for an output */
        const char *before, *after; /* the value in the old model, and in the new one */
        rs_loss loss;               /* of the layer's weights */
} rs_layer;

typedef struct rs_cast {
        rs_surgery *s;
        int32_t to; /* RESECT_FLOAT16, RESECT_BFLOAT16, RESECT_FLOAT or RESECT_DOUBLE; RESECT_INT8 */
        bool io, weights_only;
        const char *keep; /* a glob of layers that stay as they are, or NULL */
        resect_anatomy *anatomy;
        rs_layer *layers;
        size_t n_layers;
        rs_loss loss;    /* of all weights */
        size_t changed;  /* nodes, tensors, inputs and outputs that are of another type now */
} rs_cast;

/* cast_types.c. Refuses models that cannot be cast to c->to: of 8 bits, with graphs within, in training, of too early an opset. */
bool rs_cast_allowed(const rs_cast *c, resect_error *err) RESECT_MUST;
/* "fp16" for RESECT_FLOAT16. */
const char *rs_cast_name(int32_t dtype);
/* Does --keep mean this node? By its part, its name, or its output's. */
bool rs_cast_kept(const rs_cast *c, const rs_node *n);
/* --keep must mean something. */
bool rs_cast_check_keep(const rs_cast *c, resect_error *err) RESECT_MUST;
/* cast_layers.c: layers and n_layers, in the order of the graph, the outputs last. */
bool rs_cast_layers(rs_cast *c, resect_error *err) RESECT_MUST;
/* A value inside is called otherwise from now on; outputs never are. */
void rs_cast_renamed(rs_cast *c, const char *from, const char *to);
/* The layer that a tensor's loss belongs to is the one whose part it is. */
void rs_cast_lose(rs_cast *c, const char *tensor, const rs_loss *loss);
bool rs_is_float(int32_t dtype);
/* Refuses an operator of 8 bits. */
bool rs_cast_unquantised(const rs_node *n, resect_error *err) RESECT_MUST;

/* cast_float.c */
bool rs_cast_float(rs_cast *c, resect_error *err) RESECT_MUST;

/* cast_int8.c: ranges from the pictures of the tour; percentile 100 takes all of them. */
bool rs_cast_int8(rs_cast *c, rs_tour *tour, double percentile, resect_error *err) RESECT_MUST;

/* cast_report.c: begun before the first change and finished after the last. The tour may be NULL: random input. */
typedef struct rs_cast_report rs_cast_report;
rs_cast_report *rs_cast_report_begin(
        rs_cast *c, rs_tour *tour, const char *file, resect_error *err) RESECT_MUST;
/* Measures, and says it: the table as notes, or into the file (.json: JSON; else TSV). */
bool rs_cast_report_end(rs_cast_report *r, resect_error *err) RESECT_MUST;
void rs_cast_report_free(rs_cast_report *r); /* NULL is fine */

#endif
