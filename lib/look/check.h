/* SPDX-License-Identifier: 0BSD */
/* The checker's parts. Each finds what it knows to look for and goes on; false is for running out
 * of memory and the like. */
#ifndef RS_LOOK_CHECK_H
#define RS_LOOK_CHECK_H

#include "model/model.h"
#include "resect/look.h"

typedef struct rs_check {
        const resect_model *m;
        resect_on_finding *on_finding;
        void *ctx;
        size_t errors;
        resect_error *err;
        rs_map made; /* value -> something, for all that the graph makes or is given */
        rs_arena arena;
} rs_check;

extern const char rs_made_by_node[];

/* Findings; where may be "". */
void rs_found(rs_check *c, const char *where, const char *fmt, ...) RESECT_PRINTF(3, 4);
void rs_warned(rs_check *c, const char *where, const char *fmt, ...) RESECT_PRINTF(3, 4);
/* A node's name for people: its own, else its first output, else its operator. */
const char *rs_node_where(const rs_node *n);

bool rs_check_names(rs_check *c) RESECT_MUST; /* check_names.c: also fills made */
bool rs_check_nodes(
        rs_check *c) RESECT_MUST; /* check_nodes.c: inputs, order, cycles, domains, attributes */
bool rs_check_types(rs_check *c) RESECT_MUST;    /* check_types.c */
bool rs_check_external(rs_check *c) RESECT_MUST; /* check_external.c */

#endif
