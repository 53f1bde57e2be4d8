/* SPDX-License-Identifier: 0BSD */
/*
 * Stages: a new one begins where the channels change or the picture is made smaller. But in the
 * style of TF-slim the last block of a stage makes it smaller, with a subsampled identity beside
 * it; there the border comes after. The stem is what lies before the first block.
 */
#include "look/trunk.h"

#include <string.h>

/* Subsamples without changing the channels, the shortcut being nothing but a pool of one pixel or a
 * slice. */
static bool
closes_stage(const resect_anatomy *a, size_t i)
{
        const rs_ablock *b = &a->blocks[i];
        if (b->pub.stride < 2 || b->downsample || b->pub.in_channels != b->pub.out_channels ||
                i == 0)
                return false;
        for (size_t k = 0; k < b->shortcut_nodes.n; k++) {
                const rs_node *n = b->shortcut_nodes.at[k];
                static const char *const takes[] = {"MaxPool", "AveragePool", "Slice", NULL};
                if (rs_op_in(n, takes))
                        return i + 1 == a->n_blocks || a->blocks[i + 1].pub.in_channels !=
                                                               a->blocks[i + 1].pub.out_channels;
        }
        return false;
}

static bool
opens_stage(const resect_anatomy *a, size_t i)
{
        const rs_ablock *b = &a->blocks[i];
        if (i == 0 || closes_stage(a, i - 1))
                return true;
        if (b->pub.out_channels != a->blocks[i - 1].pub.out_channels)
                return true;
        return b->pub.stride > 1 && !closes_stage(a, i);
}

static resect_part *
add_part(resect_anatomy *a, const char *name)
{
        resect_part *p = &a->parts[a->n_parts++];
        *p = (resect_part){.name = name, .channels = -1, .height = -1, .width = -1};
        return p;
}

/* Sizes of a value that is [N, C, H, W] or, with its channels known to be c, [N, H, W, C]. */
static void
size_part(const resect_anatomy *a, resect_part *p, const char *value, int64_t c)
{
        int rank;
        int64_t dims[RESECT_RANK_MAX];
        p->output = value;
        p->channels = c;
        if (!value || !rs_value_dims(a, value, &rank, dims))
                return;
        if (rank == 2)
                p->channels = dims[1];
        if (rank != 4)
                return;
        bool last = c > 0 && dims[1] != c && dims[3] == c;
        p->channels = dims[last ? 3 : 1];
        p->height = dims[last ? 1 : 2];
        p->width = dims[last ? 2 : 3];
}

static bool
make_stem(resect_anatomy *a, resect_error *err)
{
        struct rs_trunk *t = a->trunk;
        int *path, n, end = rs_trunk_vertex(a, a->stem_output);
        if (!rs_trunk_between(a, 0, end, true, &a->stem, err) ||
                !rs_trunk_path(a, 0, end, &path, &n, err))
                return false;
        a->stem_convs.at = RS_NEW(&a->arena, (size_t)n, rs_node *, err);
        for (int i = 0; a->stem_convs.at && i < n; i++)
                if (rs_is_conv(t->v[path[i]].maker))
                        a->stem_convs.at[a->stem_convs.n++] = t->v[path[i]].maker;
        resect_part *p = add_part(a, "stem");
        p->input = a->summary.input;
        size_part(a, p, a->stem_output, a->n_blocks ? a->blocks[0].pub.in_channels : -1);
        return a->stem_convs.at;
}

static bool
make_stages(resect_anatomy *a, resect_error *err)
{
        resect_part *p = NULL;
        int stage = 0, index = 0;
        for (size_t i = 0; i < a->n_blocks; i++) {
                rs_ablock *b = &a->blocks[i];
                if (opens_stage(a, i)) {
                        stage++;
                        index = 0;
                        const char *name = rs_arena_printf(&a->arena, err, "layer%d", stage);
                        if (!name)
                                return false;
                        p = add_part(a, name);
                        p->input = b->input;
                }
                b->pub.stage = stage;
                b->pub.index = index++;
                if (!(b->pub.name = rs_arena_printf(
                              &a->arena, err, "layer%d.%d", stage, b->pub.index)))
                        return false;
                p->blocks = index;
                p->output = b->output;
                p->channels = b->pub.out_channels;
                p->height = b->pub.height;
                p->width = b->pub.width;
        }
        a->summary.n_stages = (size_t)stage;
        a->summary.n_blocks = a->n_blocks;
        return true;
}

bool
rs_anatomy_stages(resect_anatomy *a, resect_error *err)
{
        a->parts = RS_NEW(&a->arena, a->n_blocks + 3, resect_part, err);
        if (!a->parts)
                return false;
        a->stem_output = a->n_blocks ? a->blocks[0].input : a->tail.maps;
        if (a->stem_output && (!make_stem(a, err) || !make_stages(a, err)))
                return false;
        if (a->tail.pool || (a->tail.features && a->tail.norm.n)) {
                resect_part *p = add_part(a, "pool");
                p->input = a->n_blocks ? a->blocks[a->n_blocks - 1].output : a->tail.maps;
                size_part(a, p, a->tail.features, -1);
        }
        if (a->tail.head.n) {
                resect_part *p = add_part(a, "head");
                p->input = a->tail.features;
                size_part(a, p, a->tail.logits, -1);
        }
        return true;
}
