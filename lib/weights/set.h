/* SPDX-License-Identifier: 0BSD */
/*
 * The canonical set: a network's weights in units, wherever they came from. A unit is a Conv and the BatchNormalization that
 * follows it straight away (v2's bn1 and last norm, and the Convs that nothing follows, are units by themselves): the smallest
 * thing that can be folded, unfolded, or freed of a bias without changing what the network computes.
 */
#ifndef RS_WEIGHTS_SET_H
#define RS_WEIGHTS_SET_H

#include "look/anatomy.h"
#include "weights/weights.h"

enum { RS_GAMMA, RS_BETA, RS_MEAN, RS_VAR };

/* Where one tensor comes from or goes to. */
typedef struct rs_unit {
        bool has_conv, has_bn; /* in this kind of network, whether or not the tensors are there */
        rs_place conv, bn;
        const rs_entry *weight, *bias, *norm[4], *count, *factor; /* NULL: not there */
        const rs_entry *fixed; /* a gamma that is to be taken as 1 */
        double epsilon;
        double momentum; /* as rs_says; 0: unknown */
        /* of a graph alone */
        rs_node *conv_node, *bn_node;
        rs_tensor *weight_to, *bias_to, *norm_to[4];
} rs_unit;

/* What the same tensors can mean two things by. */
typedef struct rs_variant {
        rs_stride stride;
        rs_pool1 pool1;
        bool convs_end;             /* the 3x3 Convs with a stride are padded at their end alone */
        bool pooled;                /* an average pool stands before the shortcuts' Convs */
        bool has_stride, has_pool1, has_pooled; /* whether the network has any of which it could be said */
} rs_variant;

typedef struct rs_set {
        rs_arena arena;
        rs_net net;
        rs_unit *units; /* in the network's order */
        size_t n;
        size_t *starts; /* of each block its first unit */
        rs_unit head; /* weight and bias; conv is its place */
        rs_kernel kernel;
        bool head_in_out, head_conv;
        rs_variant variant;
        /* of a checkpoint alone */
        const rs_scheme *scheme;
        char prefix[RS_NAME_MAX];
        struct rs_taken { /* [n_entries]: what each of them is */
                bool taken;
                rs_place at;
                rs_role role;
        } *taken;
        size_t found; /* how many are */
        size_t missing; /* that the scheme would have, and the file has not */
        /* of a graph alone */
        resect_anatomy *anatomy;
        rs_entry *entries; /* [..] its tensors as entries; names are canonical */
        bool bn_folded;
        bool scales, shifts; /* BatchNormalizations have gammas, betas: some networks are trained without */
} rs_set;

/* set.c. Makes the units of set->net, empty. */
bool rs_set_units(rs_set *set, resect_error *err) RESECT_MUST;
void rs_set_free(rs_set *set);
rs_unit *rs_set_conv(rs_set *set, const rs_place *at); /* the unit with this Conv; NULL: none */
rs_unit *rs_set_bn(rs_set *set, const rs_place *at);
/* Whether the unit has all tensors that its kind has in this set. */
bool rs_unit_whole(const rs_set *set, const rs_unit *u);
void rs_set_look_over(rs_set *set); /* sets bn_folded, scales, shifts from what the units have */
/* The canonical name, as the anatomy spells it; "" when there is none. */
void rs_canonical_name(const rs_net *net, const rs_place *at, rs_role role, char out[RS_NAME_MAX]);
/* Has the scheme a bias for this Conv? */
bool rs_scheme_bias(const rs_scheme *s, const rs_net *net, const rs_place *at);

/* What an entry of a model's set is made from. */
struct rs_own_tensor {
        const resect_model *m;
        const rs_tensor *t;
};

/* set_model.c. The weights of a graph, by anatomy. GRAPH when it is no residual network. */
bool rs_set_of_model(rs_set *set, resect_model *m, resect_error *err) RESECT_MUST;

/* recognise.c. The weights of a checkpoint under a scheme's names; scheme NULL: the one that fits best.
   FORMAT when nothing fits. */
bool rs_set_of_checkpoint(rs_set *set, const rs_checkpoint *c, const rs_scheme *scheme, resect_error *err) RESECT_MUST;

/* variant.c. What a graph is; and the graph made into it. Moving strides changes the graph: its set must then be found anew. */
rs_variant rs_variant_of_model(const rs_set *set);
rs_variant rs_variant_of_scheme(const rs_scheme *s, const rs_net *net);
/* What the checkpoint's file says of its Convs goes before what the scheme knows. */
void rs_variant_hear(const rs_set *set, rs_variant *v);
bool rs_variant_same(const rs_variant *a, const rs_variant *b);
/* "stride on conv1 (v1)", "stride on conv2 (v1.5), pool1 padded at its end" */
void rs_variant_words(const rs_variant *v, const rs_net *net, char out[128]);
bool rs_variant_set(resect_model *m, rs_set *set, const rs_variant *want, resect_error *err) RESECT_MUST;

/* derive.c: one tensor out of others ------------------------------------------------------------------------------------ */

/* How far values moved when they were rounded to another type. */
typedef struct rs_rounding {
        size_t tensors;
        double max_abs, max_rel; /* |a - b|, and that against the tensor's largest |a| */
        size_t overflowed;       /* values that became infinite */
} rs_rounding;

/* What a unit becomes at its destination. */
typedef struct rs_want {
        bool bias, bn;     /* what there is room for */
        double epsilon;    /* of the destination's BatchNormalization */
        int32_t dtype;     /* 0: each tensor keeps its own */
        rs_kernel kernel;  /* layout of the Conv's weight */
        rs_rounding *rounding;
} rs_want;

/* The tensors of a unit as its destination wants them, in arena; names are empty. A tensor that needs no arithmetic is the source's
   own bytes, permuted at most; exact says that all are. GRAPH when the destination has no room (a bias that must go nowhere). */
typedef struct rs_made {
        rs_entry weight, bias, norm[4];
        const char *why_bias, *why_norm[4]; /* made up here, and why; NULL: it came from the source */
        bool exact;
} rs_made;
bool rs_unit_make(
        const rs_set *from, const rs_unit *u, const rs_want *want, rs_arena *arena, rs_made *out, resect_error *err) RESECT_MUST;

/* The head's weight: to [out, in], [in, out] or a 1x1 Conv's. */
bool rs_head_make(const rs_set *from, bool in_out, bool conv, const rs_want *want, rs_arena *arena, rs_entry *weight,
        rs_entry *bias, resect_error *err) RESECT_MUST;

/* An entry of the same values in another type. */
bool rs_cast_entry(const rs_entry *from, int32_t dtype, rs_rounding *r, rs_arena *arena, rs_entry *out, resect_error *err)
        RESECT_MUST;

#endif
