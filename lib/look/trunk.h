/* SPDX-License-Identifier: 0BSD */
/* Live values, their dominators, and walks over them; shared by the files of the anatomy. */
#ifndef RS_LOOK_TRUNK_H
#define RS_LOOK_TRUNK_H

#include "look/anatomy.h"

/* A live value. */
typedef struct rs_vertex {
        const char *name;
        rs_node *maker; /* NULL for the picture */
        int node;       /* its number in the graph, -1 for the picture */
        int idom;       /* vertex, -1 for the picture */
        int depth;      /* of the dominator tree */
} rs_vertex;

struct rs_trunk {
        rs_vertex *v;
        int n;
        rs_map numbers;          /* name -> vertex + 1 */
        const char **part;       /* [nodes] what each node belongs to, or NULL */
        const char **canonical;  /* [nodes] prefix of its tensors' canonical names, or NULL */
        int *part_of, *block_of; /* [nodes] which of the anatomy's parts and blocks, + 1; 0 none */
        int *stamp, now;         /* [nodes] for walks: visited when stamp is now */
        int *found, *stack;      /* their working memory: [nodes], [all inputs of nodes + 1] */
        int *chain;              /* [n_chain] vertices from the picture to the output */
        int n_chain;
};

const char *rs_trunk_picture(const resect_model *m); /* the input that is one, or NULL */
bool rs_trunk_make(resect_anatomy *a, resect_error *err) RESECT_MUST;
int rs_trunk_vertex(const resect_anatomy *a, const char *name); /* -1: not live */
/* Vertices from the one after `from` to `to` along the dominators; *n is 0 when `from` does not
 * dominate `to`. */
bool rs_trunk_path(
        resect_anatomy *a, int from, int to, int **path, int *n, resect_error *err) RESECT_MUST;
/* The live nodes on any way from value `from` to value `to`, in graph order; those stamped already
   (in the same go) are left out unless a fresh go begins. */
bool rs_trunk_between(resect_anatomy *a, int from, int to, bool fresh, rs_nodes *out,
        resect_error *err) RESECT_MUST;
/* Live inputs of a node: their number of distinct values; the first two with their slots. */
int rs_trunk_live_inputs(const resect_anatomy *a, const rs_node *n, int v[2], size_t slot[2]);
/* The only live node that reads the value, or NULL when there are more, none, or it is a graph
 * output. */
rs_node *rs_trunk_sole_reader(const resect_anatomy *a, const char *value);

/* The node's number in the graph, -1 when it is not live. */
int rs_trunk_node(const resect_anatomy *a, const rs_node *n);

/* Kinds of nodes, by operator (kinds.c). */
bool rs_is_conv(const rs_node *n);   /* Conv, QLinearConv */
bool rs_is_norm(const rs_node *n);   /* BatchNormalization and its kin */
bool rs_is_active(const rs_node *n); /* Relu and its kin */
bool rs_is_sum(const rs_node *n);    /* Add, Sum, QLinearAdd */
bool rs_passes(const rs_node
                *n); /* changes no value: Identity, Dropout, Cast, Transpose, QuantizeLinear ... */
bool rs_is_shaper(const rs_node *n); /* Flatten, Reshape, Squeeze ... */
bool rs_op_in(const rs_node *n, const char *const *names);
size_t rs_weight_slot(const rs_node *n); /* of a Conv, Gemm or MatMul, quantised or not */
size_t rs_bias_slot(const rs_node *n);
/* Sizes of a value, -1 unknown; false when its rank is unknown. */
bool rs_value_dims(
        const resect_anatomy *a, const char *value, int *rank, int64_t dims[RESECT_RANK_MAX]);

/* The stages of the work, each in its file. */
bool rs_anatomy_blocks(resect_anatomy *a, resect_error *err) RESECT_MUST; /* blocks.c */
bool rs_anatomy_stages(resect_anatomy *a, resect_error *err) RESECT_MUST; /* stages.c */
bool rs_anatomy_tail(resect_anatomy *a, resect_error *err) RESECT_MUST;   /* tail.c */
bool rs_anatomy_names(resect_anatomy *a, resect_error *err) RESECT_MUST;  /* names.c */
void rs_anatomy_count(resect_anatomy *a);                                 /* count.c */
void rs_anatomy_family(resect_anatomy *a);                                /* family.c */

#endif
