/* SPDX-License-Identifier: 0BSD */
/* Models: reading, writing, metadata, checking, and what a residual network is made of. */
#ifndef RESECT_MODEL_H
#define RESECT_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "resect/error.h"
#include "resect/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct resect_model resect_model;

typedef struct resect_read_options {
        const char *base;       /* folder of external data; NULL: the model file's own. stdin has none */
        uint64_t max_size;      /* most bytes a compressed input may become; 0: 8 GiB */
        bool allow_hard_links;  /* open external data that has other names too */
        bool skip_digest;       /* do not verify resect.digest */
} resect_read_options;

/*
 * Reads an ONNX model from a file, or from standard input for "-" (gzip is recognised). The model keeps the bytes it was
 * read from; free it with resect_model_free. options may be NULL. External data is opened when its values are first needed,
 * always below base. Fails with IO, FORMAT (not ONNX, cut short, lying lengths), UNSUPPORTED or NOMEM.
 */
RESECT_API resect_model *resect_model_read(const char *path, const resect_read_options *options, resect_error *err) RESECT_MUST;
RESECT_API resect_model *resect_model_read_memory(
        const void *bytes, size_t size, const resect_read_options *options, resect_error *err) RESECT_MUST; /* bytes are copied */
RESECT_API void resect_model_free(resect_model *m); /* NULL is fine */

/*
 * Writes the model to a file, atomically (a temporary file beside it, fsync, rename), or to standard output for "-"; gzip for
 * a name that ends in .gz. What no edit touched is written as the very bytes that were read; the graph comes last. Fails with
 * IO, NOMEM, or UNSUPPORTED when the message would pass 2^31 - 1 bytes (use external data). On failure the old file stands.
 */
RESECT_API bool resect_model_write(const resect_model *m, const char *path, resect_error *err) RESECT_MUST;
/* The same into memory; free *bytes with resect_free. */
RESECT_API bool resect_model_write_memory(const resect_model *m, void **bytes, size_t *size, resect_error *err) RESECT_MUST;
RESECT_API void resect_free(void *p);

/*
 * Removes the temporary files of writes in progress. Safe in a signal handler, for tools that are about to die of the signal; what
 * is being written is lost, the old files stand.
 */
RESECT_API void resect_abandon_output(void);

/*
 * Seals the values: resect.digest becomes the SHA-256 over all initializers, in byte order of their names, of: the name and a
 * NUL; dtype and rank (4 bytes each) and dims (8 bytes each), little-endian; the SHA-256 of the values as raw little-endian
 * bytes (for strings: of each one's length, 8 bytes, and bytes). Reading verifies it when all values can be had, and writing
 * renews it when a tensor was changed, added or dropped since (or drops it, when the values cannot be had).
 */
RESECT_API bool resect_model_seal(resect_model *m, resect_error *err) RESECT_MUST;

/* The IR version; and the operator sets that the model imports: domain ("" is ONNX's own) and version, false past the end. */
RESECT_API int64_t resect_model_ir_version(const resect_model *m);
RESECT_API bool resect_model_opset(const resect_model *m, size_t i, const char **domain, int64_t *version);

/* Metadata (ModelProto.metadata_props). Getting gives NULL when the key is absent; the text lives until the model changes. */
RESECT_API const char *resect_model_meta(const resect_model *m, const char *key);
RESECT_API bool resect_model_set_meta(resect_model *m, const char *key, const char *value /* NULL removes */, resect_error *err)
        RESECT_MUST;

/* Appends a line to resect.history: "resect-strip --to features". */
RESECT_API bool resect_model_add_history(resect_model *m, const char *line, resect_error *err) RESECT_MUST;

/* Class names (resect.labels), in the order of the outputs; *count is 0 and the result NULL when there are none. The array
   and its strings live until the model changes. */
RESECT_API const char *const *resect_model_labels(const resect_model *m, size_t *count);
RESECT_API bool resect_model_set_labels(resect_model *m, const char *const *labels, size_t count, resect_error *err) RESECT_MUST;

/* The graph's inputs (initializers that are listed as inputs too are left out) and outputs. */
typedef struct resect_value {
        const char *name;
        resect_dtype dtype;             /* RESECT_UNDEFINED when unknown */
        int rank;                       /* -1 when unknown */
        int64_t dims[RESECT_RANK_MAX];  /* -1 for a symbolic or unknown size */
        const char *symbols[RESECT_RANK_MAX]; /* a symbolic size's name ("N"), else NULL */
} resect_value;
RESECT_API size_t resect_model_input_count(const resect_model *m);
RESECT_API size_t resect_model_output_count(const resect_model *m);
RESECT_API bool resect_model_input(const resect_model *m, size_t i, resect_value *out);  /* false past the end */
RESECT_API bool resect_model_output(const resect_model *m, size_t i, resect_value *out);

/* Nodes, in file order. */
typedef struct resect_node {
        const char *name, *op, *domain; /* "" when absent */
        const char *const *inputs;      /* [n_inputs]; "" for an absent optional one */
        size_t n_inputs;
        const char *const *outputs; /* [n_outputs] */
        size_t n_outputs;
} resect_node;
RESECT_API bool resect_model_node(const resect_model *m, size_t i, resect_node *out); /* false past the end */
/* Whether node i of a and node j of b are the same operator with the same attributes, whatever they and their values are called. */
RESECT_API bool resect_model_same_node(const resect_model *a, size_t i, const resect_model *b, size_t j);

/* Initializers, in file order. */
RESECT_API size_t resect_model_tensor_count(const resect_model *m);
typedef struct resect_tensor_info {
        const char *name;
        resect_dtype dtype;
        int rank;
        const int64_t *dims;  /* [rank] */
        uint64_t size;        /* bytes, from dtype and dims */
        const char *location; /* file of external data, or NULL */
        bool frozen;
} resect_tensor_info;
RESECT_API bool resect_model_tensor(const resect_model *m, size_t i, resect_tensor_info *out);
/* The values of one initializer, copied; free with resect_tensor_free. Fails with ARG (no such name), IO, FORMAT. */
RESECT_API bool resect_model_tensor_values(const resect_model *m, const char *name, resect_tensor *out, resect_error *err)
        RESECT_MUST;

#ifdef __cplusplus
}
#endif
#endif
