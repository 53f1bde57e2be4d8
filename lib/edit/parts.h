/* SPDX-License-Identifier: 0BSD */
/* Parts by name: what "--until layer3.5" and "--from layer4" mean, and which tensor lies where. */
#ifndef RS_EDIT_PARTS_H
#define RS_EDIT_PARTS_H

#include "edit/edit.h"
#include "resect/look.h"

enum { RS_PART_STEM = 0, RS_PART_POOL = 10000, RS_PART_HEAD = 10001 };

/* Where in the network, from the input on: stem, stages 1 ..., pool, head; block -1 is the whole
 * stage. */
typedef struct rs_part_id {
        int stage, block;
} rs_part_id;

typedef struct rs_parts {
        resect_anatomy *anatomy;
        const resect_summary *sum;
} rs_parts;

/* Finds the anatomy. Free with rs_parts_free, also after failure. */
bool rs_parts_find(rs_surgery *s, rs_parts *p, resect_error *err) RESECT_MUST;
void rs_parts_free(rs_parts *p);
/* "layer3.5" of the model at hand; fails with ARG, saying what there is. */
bool rs_part_parse(const rs_parts *p, const char *what, const char *text, rs_part_id *id,
        resect_error *err) RESECT_MUST;
/* "layer3.5.conv2" -> {3, 5}; false for names that are none. */
bool rs_part_read(const char *name, rs_part_id *id);
bool rs_part_of_tensor(const rs_parts *p, const char *tensor, rs_part_id *id);
/* Is a before b (< 0), after (> 0), or one of them within the other (0)? */
int rs_part_compare(rs_part_id a, rs_part_id b);
/* Does the pattern match the tensor's name, its canonical name or its part? */
bool rs_parts_match(const rs_parts *p, const char *pattern, const char *tensor);
const resect_part *rs_part_named(const rs_parts *p, const char *name); /* NULL when there is none */

#endif
