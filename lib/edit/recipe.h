/* SPDX-License-Identifier: 0BSD */
/* What network resect-new is to make: its name, and every option that departs from it. */
#ifndef RS_EDIT_RECIPE_H
#define RS_EDIT_RECIPE_H

#include "edit/edit.h"

typedef enum rs_recipe_kind { RS_V1, RS_V15, RS_V2 } rs_recipe_kind;

/* How a block's input comes to the sum where the block changes its size or its channels. */
typedef enum rs_skip {
        RS_SKIP_CONV, /* a 1x1 Conv and its norm (He et al.'s B) */
        RS_SKIP_POOL, /* an average pool of 2x2 before them (ResNet-D) */
        RS_SKIP_BARE, /* the Conv alone (Keras's CIFAR example) */
        RS_SKIP_PAD   /* every other pixel, and channels of zeros on both sides (A) */
} rs_skip;

/* large: 7x7, stride 2, then a pool; small: 3x3 as CIFAR's, neither stride nor pool; deep: three 3x3, the first of stride 2, then a
   pool */
typedef enum rs_stem_kind { RS_STEM_LARGE, RS_STEM_SMALL, RS_STEM_DEEP } rs_stem_kind;

enum { RS_RECIPE_STAGES = 8 };

typedef struct rs_recipe {
        char name[64];
        int n_stages, blocks[RS_RECIPE_STAGES];
        bool bottleneck;
        int64_t width;               /* of the first stage's blocks; doubled from stage to stage. A bottleneck gives 4 times as many */
        int64_t groups, group_width; /* a bottleneck's 3x3 has groups of group_width channels at a width of 64 (torchvision's words) */
        rs_stem_kind stem;
        int64_t stem_width[3];
        rs_skip skip;
        bool skip_first; /* a stage's first block has that even where nothing changes */
        rs_recipe_kind kind;
        int64_t size[2]; /* height and width of the pictures */
} rs_recipe;

/* Channels of a bottleneck's 3x3 in a stage of that width. */
int64_t rs_recipe_inner(const rs_recipe *r, int64_t width);

/* From the settings of resect-new. */
bool rs_recipe_read(rs_surgery *s, rs_recipe *r, resect_error *err) RESECT_MUST;

#endif
