/* SPDX-License-Identifier: 0BSD */
/*
 * What the surgeries share. An edit is one const struct in one file of this folder and one row in
 * list.h: its table of options (from which --help, the man page and the parser are made) and its
 * run. While it runs, a rs_surgery carries the model, the settings, a scratch arena and the proof
 * that --verify asks for.
 */
#ifndef RS_EDIT_EDIT_H
#define RS_EDIT_EDIT_H

#include "model/model.h"
#include "op/op.h"
#include "resect/edit.h"
#include "resect/plan.h"

typedef struct rs_surgery rs_surgery;
typedef struct rs_proof rs_proof;

typedef struct rs_edit {
        resect_edit face;
        bool (*run)(rs_surgery *s, resect_error *err);
        bool (*reports)(const resect_setting *settings, size_t n); /* NULL: never */
} rs_edit;

/* A graph input's stand-in for a proof: x is what the model got before the edit, y (same name,
   another shape perhaps) is made by the edit's own rule so that the outputs must be the same. */
typedef bool rs_reinput(
        void *ctx, const char *name, const resect_tensor *x, resect_tensor *y, resect_error *err);

struct rs_surgery {
        resect_model *m;
        const rs_edit *edit;
        const resect_setting *settings;
        size_t n_settings;
        resect_listener to;
        resect_plan_options how; /* threads and kernels of all that is computed; nothing else */
        rs_arena arena;      /* scratch: gone when the edit is done */
        rs_proof *proof;     /* NULL unless --verify */
        rs_reinput *reinput; /* what the edited model is given for a proof; NULL: the same input */
        void *reinput_ctx;
        void (*prepare)(resect_tensor
                        *x); /* makes random input fit for a proof (a grey picture); may be NULL */
        bool proved;         /* something was compared */
        double tolerance;    /* of the proof, against the value's own scale */
};

/* settings.c. The value of a setting, NULL when absent (or a flag); and whether it was given at
 * all. */
const char *rs_setting(const rs_surgery *s, const char *name);
bool rs_given(const rs_surgery *s, const char *name);
/* A whole number in [least, most]; otherwise when it was not given. */
bool rs_setting_int(const rs_surgery *s, const char *name, int64_t least, int64_t most,
        int64_t otherwise, int64_t *out, resect_error *err) RESECT_MUST;
bool rs_setting_double(const rs_surgery *s, const char *name, double least, double most,
        double otherwise, double *out, resect_error *err) RESECT_MUST;
bool rs_parse_int(const char *what, const char *text, int64_t least, int64_t most, int64_t *out,
        resect_error *err) RESECT_MUST;
/* Splits text at a byte; empty items are an error that names what. */
bool rs_split(rs_arena *a, const char *what, const char *text, char at, const char ***items,
        size_t *n, resect_error *err) RESECT_MUST;
/* Reads a text file (16 MiB at most) into the lines it has; a final newline is none, "\r\n" ends a
 * line too. */
bool rs_read_lines(rs_arena *a, const char *path, const char ***lines, size_t *n,
        resect_error *err) RESECT_MUST;
void rs_note(const rs_surgery *s, const char *fmt, ...) RESECT_PRINTF(2, 3);
/* The listener's progress, when there is one. */
void rs_tell(const rs_surgery *s, const char *what, size_t done, size_t total);
/* Does name match a shell pattern (* ? [...]; no byte is special to *, dots neither)? */
bool rs_glob(const char *pattern, const char *name);

/* build.c: making and changing parts of a graph. */
rs_node *rs_build(rs_surgery *s, const char *op, const char *name, const char *out,
        resect_error *err, const char *in0, ...) RESECT_MUST
        __attribute__((sentinel)); /* inputs, then NULL; "" for an absent one */
rs_tensor *rs_build_ints(
        rs_surgery *s, const char *name, const int64_t *v, size_t n, resect_error *err) RESECT_MUST;
rs_tensor *rs_find_tensor(const rs_graph *g, const char *name);
/* The initializer that a value is, through Identity nodes; NULL when it is none. */
rs_tensor *rs_constant(const rs_index *ix, const char *value);
/* A tensor's elements as doubles. */
bool rs_tensor_doubles(const resect_model *m, rs_arena *a, const rs_tensor *t, double **out,
        resect_error *err) RESECT_MUST;
/* Writes doubles into a tensor that rs_model_add_tensor or rs_tensor_renew made. */
void rs_tensor_put(rs_tensor *t, const double *v, size_t n);
void rs_tensor_put_at(rs_tensor *t, size_t i, double v);
/* Removes a node from the graph's list (its values stay as they are named elsewhere). */
void rs_graph_remove(rs_graph *g, const rs_node *n);
/* Moves a node to stand right behind (rs_graph_place) or before another one. */
void rs_graph_place(rs_graph *g, rs_node *n, const rs_node *behind);
void rs_graph_place_before(rs_graph *g, rs_node *n, const rs_node *before);
/* Is this ONNX's own operator of that name? n may be NULL. */
bool rs_is_op(const rs_node *n, const char *op);
/* What to call a node in a message: its name, else its first output's. */
const char *rs_node_title(const rs_node *n);
/* Makes the graph's outputs these values, with the types that inference finds; then drops what
   nobody needs any more. A value that was an output before keeps its entry. */
bool rs_set_outputs(
        rs_surgery *s, const char *const *names, size_t n, resect_error *err) RESECT_MUST;
bool rs_set_outputs_typed(rs_surgery *s, const char *const *names, size_t n, const rs_types *types,
        resect_error *err) RESECT_MUST;
/* Types of all values, as far as they can be told: nodes that contradict themselves are for
 * resect-check to report. */
bool rs_infer_all(const resect_model *m, rs_types *types, resect_error *err) RESECT_MUST;
/* A rs_type as a graph value of the model. */
rs_value *rs_value_of_type(rs_surgery *s, const char *name, const rs_type *t,
        const rs_symbols *symbols, resect_error *err) RESECT_MUST;
bool rs_set_symbol(
        resect_model *m, rs_value *v, int axis, const char *symbol, resect_error *err) RESECT_MUST;
/* "a.weight" -> "a.bias", else "w" -> "w_bias": a fresh name. */
const char *rs_sibling_name(
        resect_model *m, const char *name, const char *suffix, resect_error *err) RESECT_MUST;

/* init.c: fresh weights. Each tensor draws from a stream of its own name, so that what one tensor
   gets does not depend on which others are initialised, or on the number of threads. */
void rs_init_he(const rs_surgery *s, rs_tensor *t, uint64_t seed,
        const char *name); /* N(0, 2 / (dims[0] * kernel)) */
void rs_init_uniform(const rs_surgery *s, rs_tensor *t, uint64_t seed, const char *name,
        double bound); /* U(-bound, bound) */
void rs_init_constant(const rs_surgery *s, rs_tensor *t, double value);

/* verify.c: the proof. before[i] must be the same value as after[i] once the edit is done. Call
   before the first change; costs nothing unless --verify was given. */
bool rs_prove(rs_surgery *s, const char *const *before, const char *const *after, size_t n,
        resect_error *err) RESECT_MUST;
bool rs_prove_outputs(
        rs_surgery *s, resect_error *err) RESECT_MUST; /* all outputs, under the same names */
/* A value that is to be found again has another name from now on. */
bool rs_proof_rename(
        rs_surgery *s, const char *from, const char *to, resect_error *err) RESECT_MUST;
bool rs_proof_check(rs_surgery *s, resect_error *err) RESECT_MUST; /* by the driver, at the end */
void rs_proof_free(rs_proof *p);

#endif
