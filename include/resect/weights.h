/* SPDX-License-Identifier: 0BSD */
/*
 * Weights to and from other frameworks: files of many formats, under the names that each framework gives, into ONNX models and
 * out of them, with every tensor accounted for.
 */
#ifndef RESECT_WEIGHTS_H
#define RESECT_WEIGHTS_H

#include "resect/edit.h"
#include "resect/model.h"
#include "resect/plan.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The formats of files, and the naming schemes; false past the end. Texts are the library's own. */
typedef struct resect_weights_format {
        const char *name, *help;
        const char *suffix; /* ".safetensors"; "" when it has none */
        bool reads, writes, many; /* many: several files, or a folder, so that standard output will not do */
        bool graph; /* it holds the network too, and calls its tensors by names of its own, whatever names are asked for */
} resect_weights_format;
RESECT_API bool resect_weights_format_at(size_t i, resect_weights_format *out);
/* The format that a file's name stands for, or NULL. */
RESECT_API const char *resect_weights_format_of(const char *path);
typedef struct resect_weights_names {
        const char *name, *help;
} resect_weights_names;
RESECT_API bool resect_weights_names_at(size_t i, resect_weights_names *out);

/* Weights: of a file, or of a model. */
typedef struct resect_weights resect_weights;

typedef struct resect_weights_options {
        const char *format; /* NULL: found from the first bytes */
        const char *names;  /* the naming scheme; NULL: recognised */
        resect_read_options read;
} resect_weights_options;

/*
 * Reads a checkpoint, a folder of .npy files, or an ONNX model (whose tensors are known by its structure); "-" is standard input.
 * Fails with IO, FORMAT, UNSUPPORTED, NOMEM, and ARG for a format or names that do not exist. Names that nothing recognises are no failure here: see recognised. Free with
 * resect_weights_free, after all models that they were put into.
 */
RESECT_API resect_weights *resect_weights_read(const char *path, const resect_weights_options *options, resect_error *err)
        RESECT_MUST;
/* The weights of a model that stays the caller's and must outlive them. */
RESECT_API resect_weights *resect_weights_of_model(resect_model *m, resect_error *err) RESECT_MUST;
RESECT_API void resect_weights_free(resect_weights *w); /* NULL is fine */

typedef struct resect_weights_info {
        const char *path, *format; /* "onnx" for a model */
        bool recognised;
        const char *why_not;       /* when they are not: one line */
        const char *names;         /* the scheme, "onnx" for a model; NULL when not recognised */
        const char *prefix;        /* what stands before all names */
        char family[64];           /* "resnet101", "residual network 3-3-3" */
        char variant[128];         /* "stride on conv1 (v1)" */
        int64_t classes;           /* 0: no classifier */
        bool bn_folded;
        const char *input;         /* preprocessing, as in resect.input; NULL unknown */
        size_t n_tensors, n_skipped;
} resect_weights_info;
RESECT_API const resect_weights_info *resect_weights_info_of(const resect_weights *w);
/* Tensor i as the file has it, borrowed from w, and what it is ("layer1.0.conv1.weight"; NULL: nothing that is known), which is good until
   the next call in this thread; meaning may be NULL. False past the end. */
RESECT_API bool resect_weights_tensor(const resect_weights *w, size_t i, resect_tensor_info *out, const char **meaning);
/* Its values, copied; free with resect_tensor_free. Fails with ARG past the end, NOMEM, and as reading does: values are taken, and their
   checksums verified, when they are asked for. */
RESECT_API bool resect_weights_values(const resect_weights *w, size_t i, resect_tensor *out, resect_error *err) RESECT_MUST;
/* What in the file is no tensor that could be taken, and text that it carries; false past the end. */
RESECT_API bool resect_weights_skipped(const resect_weights *w, size_t i, const char **name, const char **why);
RESECT_API bool resect_weights_meta(const resect_weights *w, size_t i, const char **key, const char **value);

/*
 * The account of a conversion: each tensor of the source was "used" (detail: where it went), "dropped" (detail: why) or
 * "unmatched"; each tensor of the result was "filled" (detail: from where), "defaulted" (detail: why) or is "missing".
 * Texts last as long as the call.
 */
typedef struct resect_account {
        bool result; /* a tensor of the result; else one of the source */
        const char *tensor, *state, *detail;
} resect_account;
typedef void resect_on_account(void *ctx, const resect_account *a);

typedef enum resect_variant_from {
        RESECT_VARIANT_REFUSE,  /* weights that were trained with other strides or another first pool: GRAPH */
        RESECT_VARIANT_WEIGHTS, /* the graph is changed to what the weights were trained with */
        RESECT_VARIANT_MODEL    /* the graph is right */
} resect_variant_from;

typedef struct resect_conversion {
        size_t used, dropped, unmatched;   /* of the source */
        size_t filled, defaulted, missing; /* of the result */
        bool complete; /* nothing unmatched, nothing missing */
        bool exact;    /* every value is the source's own, to the bit */
        size_t rounded;            /* tensors that changed their type */
        double max_abs, max_rel;   /* how far: |a - b|, and that against the tensor's largest |a| */
        size_t overflowed;         /* values that became infinite */
} resect_conversion;

/* Asked by resect_weights_write when everything is written and nothing is in its place yet: copy is what the format's own reader makes
   of the file, c what is known of the conversion so far. False, with err: nothing is left of it, and what was there stands. */
typedef bool resect_on_written(void *ctx, const resect_weights *copy, const resect_conversion *c, resect_error *err);

typedef struct resect_convert_options {
        bool partial; /* go on with tensors that are unmatched or missing */
        resect_variant_from variant;
        resect_dtype dtype; /* of what is written; RESECT_UNDEFINED: each tensor keeps its own */
        resect_on_account *account; /* may be NULL */
        resect_on_note *note;       /* may be NULL */
        resect_on_written *prove;   /* may be NULL */
        uint64_t max_size;          /* of what is read for it, as in resect_read_options; 0: the usual limit */
        void *ctx;
} resect_convert_options;

/*
 * Puts weights into a model of the same structure. Not complete and not partial: the model is unusable and nothing should be done with
 * it. A classifier of another number of classes is left as it is. Records resect.input where the naming scheme implies one. The
 * model borrows values from w. Fails with GRAPH (another network, another variant), NOMEM, as resect_weights_read where values are damaged, and
 * with the reason why w was not recognised.
 */
RESECT_API bool resect_weights_into(const resect_weights *w, resect_model *m, const resect_convert_options *options,
        resect_conversion *out, resect_error *err) RESECT_MUST;

/* A fresh model of the network that the weights are of, for resect_weights_into with RESECT_VARIANT_WEIGHTS, which moves strides and sets
   epsilon. Fails with UNSUPPORTED when resect-new has no such network. */
RESECT_API resect_model *resect_weights_graph(const resect_weights *w, resect_error *err) RESECT_MUST;

/*
 * Writes weights as a file of some format under some names; names NULL: what the format usually has. "-" is standard output. Not
 * complete and not partial: nothing is written. The file takes its place only when it is whole, has been proved (options->prove) and is on
 * the disk; the files of a format that has several are in place when they are proved, and are removed when that fails. What goes into a
 * pipe or a device is not proved, nor is what was not recognised, nor a format that cannot be read. Fails
 * with ARG (no such format or names), UNSUPPORTED (what the format or the names cannot hold), GRAPH (another network or variant than the
 * names stand for; the proof failed), IO, NOMEM; true with out->complete false, and not partial: nothing is written.
 */
RESECT_API bool resect_weights_write(const resect_weights *w, const char *path, const char *format, const char *names,
        const resect_convert_options *options, resect_conversion *out, resect_error *err) RESECT_MUST;
/* Takes away again what resect_weights_write made there: the file, all files of a format that has several, or the folder. */
RESECT_API void resect_weights_remove(const char *path, const char *format);

/*
 * Proof. prove: what both have is the same, to the bit (tolerance 0), or, everything folded into the Convs, within tolerance of
 * each tensor's largest value; *compared counts tensors. run_both: two models give the same outputs on small random input, within
 * tolerance of their scale; how says with which threads, kernels, precision and exact, and who is told of timings (NULL: all zero), and
 * nothing else. GRAPH, with the place, when not.
 */
RESECT_API bool resect_weights_prove(
        const resect_weights *a, const resect_weights *b, double tolerance, size_t *compared, resect_error *err) RESECT_MUST;
RESECT_API bool resect_weights_run_both(const resect_weights *a, const resect_weights *b, double tolerance,
        const resect_plan_options *how /* may be NULL */, resect_difference *out, resect_error *err) RESECT_MUST;

#ifdef __cplusplus
}
#endif
#endif
