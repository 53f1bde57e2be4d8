/* SPDX-License-Identifier: 0BSD */
/* Weights as the public calls see them, and the account that every conversion keeps. */
#ifndef RS_WEIGHTS_CONVERT_H
#define RS_WEIGHTS_CONVERT_H

#include "resect/weights.h"
#include "weights/set.h"

struct resect_weights {
        rs_checkpoint *checkpoint; /* or */
        resect_model *model;
        bool own_model;
        rs_set set; /* empty when not recognised */
        resect_error why;
        resect_weights_info info;
};

/* What a checkpoint says, under the names of scheme (NULL: recognised). Owns c, and frees it when it fails. */
resect_weights *rs_weights_of_checkpoint(rs_checkpoint *c, const rs_scheme *scheme, resect_error *err) RESECT_MUST;

/* Gives the memory of its mapped files back until it is looked at again. */
void rs_weights_rest(const resect_weights *w);

/* One side's tensors: what has become of each. */
typedef struct rs_fate {
        const char *tensor, *state, *detail;
} rs_fate;

typedef struct rs_ledger {
        const resect_weights *w;
        rs_arena arena;
        rs_fate *source; /* [n_source]: of a checkpoint its entries, of a model its initializers */
        size_t n_source;
        rs_map names; /* of a model: initializer -> fate */
        rs_fate *result;
        size_t n_result, cap_result;
        resect_conversion *sum;
        resect_error *err;
} rs_ledger;

bool rs_ledger_start(rs_ledger *l, const resect_weights *w, resect_conversion *sum, resect_error *err) RESECT_MUST;
/* The source's tensor went there ("used"), or nowhere, and why ("dropped"). NULL entries are fine. */
void rs_used(rs_ledger *l, const rs_entry *e, const char *where);
void rs_dropped(rs_ledger *l, const rs_entry *e, const char *why);
/* A tensor of the result. Texts are copied. */
bool rs_filled(rs_ledger *l, const char *tensor, const char *state, const char *detail) RESECT_MUST;
/* Adds up, tells the caller, frees. */
void rs_ledger_end(rs_ledger *l, const resect_convert_options *o);

/* Whether the stem is one for pictures of ImageNet's size: what schemes say of their pictures holds for these alone. */
bool rs_large_stem(const rs_set *set);

/* One line to the caller. */
void rs_convert_note(const resect_convert_options *o, const char *fmt, ...) RESECT_PRINTF(2, 3);

/* The unit's tensors in the source are accounted for as used by the result's names. */
void rs_unit_used(rs_ledger *l, const rs_unit *from, const char *const names[6]);

#endif
