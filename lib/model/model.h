/* SPDX-License-Identifier: 0BSD */
/*
 * The graph in memory. A resect_model owns one arena and the bytes it was read from; nodes, tensors and values keep a span
 * of those bytes (wire) and are written back as that span until something touches them. Strings and arrays live in the
 * arena; edits allocate there and never free.
 *
 * To edit: change the fields and set touched. What the model does not decode (doc strings, node metadata, unknown fields)
 * stays in wire, and the writer carries it over even for touched things.
 */
#ifndef RS_MODEL_MODEL_H
#define RS_MODEL_MODEL_H

#include "base/map.h"
#include "base/mem.h"
#include "resect/model.h"

/* An initializer or an attribute's tensor. */
typedef struct rs_tensor {
        const char *name; /* "" for an attribute's */
        int32_t dtype;
        int rank;
        const int64_t *dims; /* [rank] */
        size_t count, bytes; /* checked when read: elements, and bytes in raw layout; bytes is 0 for strings */
        enum { RS_HERE, RS_TYPED, RS_EXTERNAL } where;
        rs_span data;         /* RS_HERE: little-endian raw layout, at any alignment. RS_TYPED: the packed field (int32_data ...)
                                 is decoded from wire on demand */
        const char *location; /* RS_EXTERNAL: relative file name, and the part of it */
        uint64_t offset, length; /* length is bytes when the file did not say */
        rs_span wire;         /* the TensorProto as read; size 0 for one made here */
        bool touched;
} rs_tensor;

/* Attribute kinds, with ONNX's numbers. */
enum rs_attr_type {
        RS_ATTR_FLOAT = 1, RS_ATTR_INT, RS_ATTR_STRING, RS_ATTR_TENSOR, RS_ATTR_GRAPH,
        RS_ATTR_FLOATS, RS_ATTR_INTS, RS_ATTR_STRINGS
};

typedef struct rs_attr {
        const char *name;
        int32_t type;            /* enum rs_attr_type; other kinds (graphs, sparse tensors, types) live in wire alone */
        int64_t i;
        float f;
        rs_span s;
        rs_tensor *t;
        size_t n;                /* of the arrays */
        const int64_t *ints;
        const float *floats;
        const rs_span *strings;
        rs_span wire;            /* as read; size 0 for one made here */
} rs_attr;

typedef struct rs_node {
        const char *name, *op, *domain; /* "" when absent, never NULL */
        const char **in;                /* "" for an absent optional input */
        size_t n_in;
        const char **out;
        size_t n_out;
        rs_attr *attrs;
        size_t n_attrs;
        rs_span wire;
        bool touched;
} rs_node;

/* A graph input, output or value_info. */
typedef struct rs_value {
        const char *name;
        bool is_tensor;          /* false: a sequence, map, ... carried as it is */
        int32_t dtype;           /* 0 unknown */
        int rank;                /* -1 unknown */
        int64_t *dims;           /* [rank]; -1 when symbolic or unknown */
        const char **symbols;    /* [rank]; name of a symbolic size or NULL */
        rs_span wire;
        bool touched;
} rs_value;

typedef struct rs_graph {
        const char *name;
        rs_node **nodes;
        size_t n_nodes;
        rs_tensor **tensors; /* initializers */
        size_t n_tensors;
        const char **sparse; /* names of sparse initializers, whose bytes are in rest */
        size_t n_sparse;
        rs_value **inputs;
        size_t n_inputs;
        rs_value **outputs;
        size_t n_outputs;
        rs_value **values; /* value_info */
        size_t n_values;
        rs_span *rest; /* fields not decoded, each with its tag: doc_string, quantization_annotation, metadata_props ... */
        size_t n_rest;
} rs_graph;

typedef struct rs_opset {
        const char *domain; /* "" is ONNX's own ("ai.onnx" is read as "") */
        int64_t version;
} rs_opset;

typedef struct rs_prop {
        const char *key, *value;
} rs_prop;

struct resect_model {
        rs_arena arena;
        struct rs_input *input;      /* the bytes read (lib/io), or NULL */
        struct rs_external *external; /* opened external files (lib/onnx), or NULL */
        const char *path;            /* as given, "-" for stdin, for messages */
        const char *base;            /* folder of external data, or NULL when there is none */
        bool allow_hard_links;
        int64_t ir_version;
        const char *producer, *producer_version;
        rs_opset *opsets;
        size_t n_opsets;
        rs_prop *props;
        size_t n_props;
        rs_span *rest; /* ModelProto's other fields, each with its tag (functions, training_info, doc_string, domain ...) */
        size_t n_rest;
        rs_span *known; /* its decoded fields but the graph, each with its tag: written back where they still say the same */
        size_t n_known;
        bool digest_stands; /* see rs_digest_settle in lib/onnx/digest.h */
        size_t n_sealed; /* how many initializers there were when resect.digest was read or made */
        rs_graph graph;
        rs_map frozen;    /* initializer names in resect.frozen; see frozen.c */
        bool frozen_known;
        const char **labels; /* decoded resect.labels, NULL until asked */
        size_t n_labels;
        void (*release)(resect_model *m); /* set by lib/onnx: closes input and external; called once by resect_model_free */
        struct rs_grown { /* the arrays that rs_array_push grew last, and the room they have */
                void **array;
                size_t count, cap;
        } grown[8];
        size_t next_grown;
};

/* model.c: an empty model; and small queries. */
resect_model *rs_model_new(resect_error *err) RESECT_MUST;
int64_t rs_model_opset(const resect_model *m); /* version of ONNX's own domain; 0 when not imported */
rs_value *rs_graph_find_input(const rs_graph *g, const char *name);
bool rs_model_is_initializer(const resect_model *m, const char *name);

/* Attributes. The getters return the default when the attribute is absent or of another kind. */
const rs_attr *rs_node_attr(const rs_node *n, const char *name);
int64_t rs_node_int(const rs_node *n, const char *name, int64_t otherwise);
float rs_node_float(const rs_node *n, const char *name, float otherwise);
/* NUL-terminated? No: a span; compare with rs_span_is. */
rs_span rs_node_string(const rs_node *n, const char *name);
bool rs_span_is(rs_span s, const char *text);
/* The setters replace or add, and touch the node. Arrays are copied. */
bool rs_node_set_int(resect_model *m, rs_node *n, const char *name, int64_t value, resect_error *err) RESECT_MUST;
bool rs_node_set_float(resect_model *m, rs_node *n, const char *name, float value, resect_error *err) RESECT_MUST;
bool rs_node_set_ints(resect_model *m, rs_node *n, const char *name, const int64_t *v, size_t count, resect_error *err) RESECT_MUST;
void rs_node_drop_attr(rs_node *n, const char *name);

/* Building. All strings are copied into the model's arena. n_in and n_out strings follow as arrays. */
rs_node *rs_model_add_node(resect_model *m, const char *op, const char *name, const char *const *in, size_t n_in,
        const char *const *out, size_t n_out, resect_error *err) RESECT_MUST;
/* A new initializer (listed as an input too where the IR version, below 4, demands that) with a zeroed, writable payload of its own; (void *)t->data.data is 64-byte aligned and in the machine's
   order on little-endian machines. */
rs_tensor *rs_model_add_tensor(resect_model *m, const char *name, int32_t dtype, int rank, const int64_t *dims, resect_error *err)
        RESECT_MUST;
/* Gives an existing initializer a new, zeroed, writable payload of the same or another shape (touches it). */
bool rs_tensor_renew(resect_model *m, rs_tensor *t, int rank, const int64_t *dims, resect_error *err) RESECT_MUST;
rs_value *rs_model_make_value(resect_model *m, const char *name, int32_t dtype, int rank, const int64_t *dims,
        const char *const *symbols /* may be NULL */, resect_error *err) RESECT_MUST;
/* Appends to an array of pointers: rs_array_push(m, (void ***)&g->nodes, &g->n_nodes, node, err). Costs a copy the first time. */
bool rs_array_push(resect_model *m, void ***array, size_t *count, void *item, resect_error *err) RESECT_MUST;
/* A name that no value, node or initializer of the graph has: wish, wish_1, wish_2 ... */
const char *rs_model_fresh_name(resect_model *m, const char *wish, resect_error *err) RESECT_MUST;

/* The values of a tensor as little-endian raw bytes, t->bytes of them: borrowed from the model where they stand in one piece,
   else decoded into arena. Reads external data. (lib/onnx/payload.c) */
bool rs_tensor_bytes(const resect_model *m, const rs_tensor *t, rs_arena *arena, rs_span *out, resect_error *err) RESECT_MUST;

/* index.h's view: who makes a value, who reads it. Valid until the graph changes. */
typedef struct rs_use {
        rs_node *node;
        size_t slot;
        struct rs_use *next;
} rs_use;
typedef struct rs_link {
        const char *name;
        rs_node *maker;       /* node that outputs it, or NULL */
        size_t maker_slot;
        rs_tensor *tensor;    /* initializer of that name, or NULL */
        rs_value *input;      /* graph input of that name, or NULL (may stand beside tensor) */
        bool is_output;       /* listed as a graph output */
        rs_use *uses, *last_use; /* in node order */
        size_t n_uses;
        bool captured;        /* read inside a subgraph (of an If, Loop or Scan), by its name: cannot be renamed */
} rs_link;
typedef struct rs_index {
        rs_arena arena;
        rs_map map;
} rs_index;
/* Fails with GRAPH when two nodes make one value, or a node makes an initializer or input. */
bool rs_index_make(rs_index *ix, const rs_graph *g, resect_error *err) RESECT_MUST;
rs_link *rs_index_find(const rs_index *ix, const char *name); /* NULL for "" and for unknown names */
void rs_index_free(rs_index *ix);

/* Sorts the nodes so that each comes after what it reads (stable: a sorted graph stays as it is). Names read by subgraphs of
   If, Loop and Scan count as reads. Fails with GRAPH, naming a node on the cycle. Values that nothing makes are no matter here. */
bool rs_graph_sort(resect_model *m, resect_error *err) RESECT_MUST;
/* Drops nodes that no output needs, then initializers, sparse names and value_info that nothing reads. */
bool rs_graph_prune(resect_model *m, resect_error *err) RESECT_MUST;
/* Renames a value everywhere: makers, readers, inputs, outputs, value_info, initializer, resect.frozen. */
bool rs_graph_rename(resect_model *m, const char *from, const char *to, resect_error *err) RESECT_MUST;
/* Makes every reader of `from` (and the graph output, if it was one: its name is kept by renaming `to`, or by an Identity where
   `to` cannot be renamed) read `to` instead. What made `from` is left without readers, for rs_graph_prune. */
bool rs_graph_redirect(resect_model *m, const char *from, const char *to, resect_error *err) RESECT_MUST;
void rs_node_touch(rs_node *n);

/* subgraph.c: the names that the node's subgraphs (attributes of If, Loop, Scan) mention, their own and captured ones alike, in
   the arena; *count is 0 for most nodes. */
bool rs_node_subgraph_names(const rs_node *n, rs_arena *arena, const char ***names, size_t *count, resect_error *err) RESECT_MUST;

/* frozen.c: resect.frozen holds initializer names, one a line. */
bool rs_model_is_frozen(resect_model *m, const char *tensor);
bool rs_model_set_frozen(resect_model *m, const char *tensor, bool frozen, resect_error *err) RESECT_MUST;
bool rs_model_store_frozen(resect_model *m, resect_error *err) RESECT_MUST; /* map -> metadata; after set_frozen calls */

#endif
