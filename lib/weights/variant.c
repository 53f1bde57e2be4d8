/* SPDX-License-Identifier: 0BSD */
/*
 * The same tensors fit networks that compute different things: a bottleneck's stride on its first
 * 1x1 or on its 3x3, or on the last block of the stage before; the first pool padded on all sides
 * or at its end. What a graph has is read off its nodes, and can be changed to what the weights
 * were trained with.
 */
#include <stdio.h>
#include <string.h>
#include "look/trunk.h"
#include "weights/set.h"

static int64_t
first_of(const rs_node *n, const char *attr, int64_t otherwise)
{
        const rs_attr *a = rs_node_attr(n, attr);
        return a && a->type == RS_ATTR_INTS && a->n ? a->ints[0] : otherwise;
}

static const rs_ablock *
block_at(const rs_set *set, int stage, int index)
{
        const resect_anatomy *a = set->anatomy;
        for (size_t i = 0; i < a->n_blocks; i++)
                if (a->blocks[i].pub.stage == stage && a->blocks[i].pub.index == index)
                        return &a->blocks[i];
        return NULL;
}

/* The pool that subsamples an identity, or NULL. */
static rs_node *
subsampler(const rs_ablock *b)
{
        for (size_t i = 0; !b->downsample && i < b->shortcut_nodes.n; i++)
                if (!strcmp(b->shortcut_nodes.at[i]->op, "MaxPool") &&
                        first_of(b->shortcut_nodes.at[i], "kernel_shape", 0) == 1)
                        return b->shortcut_nodes.at[i];
        return NULL;
}

static rs_node *
first_pool(const rs_set *set)
{
        const rs_nodes *stem = &set->anatomy->stem;
        for (size_t i = 0; i < stem->n; i++)
                if (!strcmp(stem->at[i]->op, "MaxPool") &&
                        first_of(stem->at[i], "kernel_shape", 0) == 3)
                        return stem->at[i];
        return NULL;
}

/* The node that makes the pool's input, when it is a Pad with zeros. */
static rs_node *
pad_before(const rs_set *set, const rs_node *pool)
{
        const rs_link *l = rs_index_find(&set->anatomy->index, pool->in[0]);
        return l && l->maker && !strcmp(l->maker->op, "Pad") ? l->maker : NULL;
}

/* The i-th 3x3 Conv of the blocks that has a stride; NULL past the last. */
static rs_node *
strided(const rs_set *set, size_t i)
{
        for (size_t b = 0; b < set->anatomy->n_blocks; b++) {
                const rs_nodes *convs = &set->anatomy->blocks[b].convs;
                for (size_t k = 0; k < convs->n; k++)
                        if (first_of(convs->at[k], "kernel_shape", 0) == 3 &&
                                first_of(convs->at[k], "strides", 1) > 1 && i-- == 0)
                                return convs->at[k];
        }
        return NULL;
}

static bool
pads_at_end(const rs_node *n)
{
        const rs_attr *pads = rs_node_attr(n, "pads");
        return (pads && pads->type == RS_ATTR_INTS && pads->n == 4 && !pads->ints[0] &&
                       pads->ints[2]) ||
               rs_span_is(rs_node_string(n, "auto_pad"), "SAME_UPPER");
}

static bool
pad_convs(resect_model *m, rs_set *set, bool end, resect_error *err)
{
        static const int64_t pads[2][4] = {{1, 1, 1, 1}, {0, 0, 1, 1}};
        rs_node *n;
        for (size_t i = 0; (n = strided(set, i)) != NULL; i++) {
                rs_node_drop_attr(n, "auto_pad");
                if (!rs_node_set_ints(m, n, "pads", pads[end], 4, err))
                        return false;
        }
        return true;
}

/* Is there a shortcut with a Conv and a stride, before which a pool could stand? */
static bool
could_pool(const rs_net *net)
{
        for (int s = 2; s <= net->n_stages; s++)
                if (net->down[s - 1])
                        return true;
        return false;
}

rs_variant
rs_variant_of_model(const rs_set *set)
{
        rs_variant v = {.convs_end = strided(set, 0) && pads_at_end(strided(set, 0)),
                .pooled = set->net.down_pool,
                .has_pooled = could_pool(&set->net)};
        for (int s = 1; s <= set->net.n_stages; s++) {
                const rs_ablock *first = block_at(set, s, 0),
                                *last = block_at(set, s, set->net.blocks[s - 1] - 1);
                if (last && subsampler(last)) {
                        v.has_stride = true;
                        v.stride = RS_STRIDE_LAST;
                } else if (first && first->pub.stride > 1 && set->net.bottleneck &&
                           first->convs.n == 3) {
                        v.has_stride = true;
                        v.stride = first_of(first->convs.at[0], "strides", 1) > 1 ? RS_STRIDE_CONV1
                                                                                  : RS_STRIDE_CONV2;
                }
        }
        const rs_node *pool = first_pool(set);
        if (!pool)
                return v;
        rs_span mode = rs_node_string(pool, "auto_pad");
        const rs_attr *pads = rs_node_attr(pool, "pads");
        bool pads_end = pads && pads->type == RS_ATTR_INTS && pads->n == 4 && !pads->ints[0] &&
                        pads->ints[2];
        bool ceils = rs_node_int(pool, "ceil_mode", 0) &&
                     (!pads || pads->type != RS_ATTR_INTS || !pads->n || !pads->ints[0]);
        v.has_pool1 = true;
        v.pool1 = pads_end || ceils || rs_span_is(mode, "SAME_UPPER") ? RS_POOL1_END
                  : pad_before(set, pool) && set->net.preactivation   ? RS_POOL1_ZERO
                                                                      : RS_POOL1_EVEN;
        return v;
}

rs_variant
rs_variant_of_scheme(const rs_scheme *s, const rs_net *net)
{
        /* Basic blocks have their stride on conv1 whatever the family, but for the one that has it
         * in the last block. */
        return (rs_variant){.stride = s->stride,
                .pool1 = s->pool1,
                .convs_end = s->convs_end,
                .pooled = s->deep_pools ? net->stem > 1 : s->pooled_conv && net->down_pool,
                .has_stride = net->bottleneck || s->stride == RS_STRIDE_LAST,
                .has_pool1 = true,
                .has_pooled = could_pool(net)};
}

/* What the file says of the Conv at a place; a stride of 0 when nothing. */
static rs_says
said(const rs_set *set, int stage, int block, int conv)
{
        const rs_place at = {RS_CONV, stage, block, conv};
        const rs_unit *u = rs_set_conv((rs_set *)(uintptr_t)set, &at);
        return u && u->weight && u->weight->says ? *u->weight->says : (rs_says){0};
}

void
rs_variant_hear(const rs_set *set, rs_variant *v)
{
        const rs_net *net = &set->net;
        bool heard = false, end = false;
        for (int s = 1; s <= net->n_stages; s++)
                for (int b = 0; b < net->blocks[s - 1]; b++)
                        for (int c = 1; c <= (net->bottleneck ? 3 : 2); c++) {
                                rs_says x = said(set, s, b, c);
                                if (x.stride < 2)
                                        continue;
                                if (b == 0 && net->bottleneck) {
                                        v->stride = c > 1 ? RS_STRIDE_CONV2 : RS_STRIDE_CONV1;
                                        v->has_stride = true;
                                } else if (b > 0) {
                                        v->stride = RS_STRIDE_LAST;
                                        v->has_stride = true;
                                }
                                heard |= !net->bottleneck || c == 2;
                                end |= x.end;
                        }
        if (heard)
                v->convs_end = end;
}

bool
rs_variant_same(const rs_variant *a, const rs_variant *b)
{
        bool strides = !a->has_stride || !b->has_stride || a->stride == b->stride;
        return strides && a->convs_end == b->convs_end &&
               (!a->has_pooled || !b->has_pooled || a->pooled == b->pooled) &&
               (!a->has_pool1 || !b->has_pool1 || a->pool1 == b->pool1);
}

void
rs_variant_words(const rs_variant *v, const rs_net *net, char out[128])
{
        static const char *const strides[] = {"stride on conv2", "stride on conv1",
                "stride in the last block of the stage before"};
        static const char *const pools[] = {
                "", ", pool1 padded at its end", ", pool1 padded with zeros"};
        const char *short_name = net->preactivation             ? "v2"
                                 : v->stride == RS_STRIDE_CONV2 ? "v1.5"
                                 : v->stride == RS_STRIDE_CONV1 ? "v1"
                                                                : "slim";
        bool pads = net->n_stages > 1 && !net->down[1];
        snprintf(out, 128, "%s (%s)%s%s%s%s",
                v->has_stride ? strides[v->stride] : "no stride to tell by", short_name,
                v->has_pool1 ? pools[v->pool1] : "",
                !v->convs_end              ? ""
                : v->has_pool1 && v->pool1 ? ", strided 3x3 too"
                                           : ", strided 3x3 padded at its end",
                pads ? ", shortcuts without weights" : "",
                v->has_pooled && v->pooled ? ", shortcuts with a pool" : "");
}

static bool
set_strides(resect_model *m, rs_node *n, int64_t stride, resect_error *err)
{
        const int64_t s[2] = {stride, stride};
        return rs_node_set_ints(m, n, "strides", s, 2, err);
}

/* The block no longer makes the picture smaller; how much it did. */
static bool
take_stride(resect_model *m, rs_set *set, const rs_ablock *b, int64_t *stride, resect_error *err)
{
        *stride = b->pub.stride;
        for (size_t i = 0; i < b->convs.n; i++)
                if (!set_strides(m, b->convs.at[i], 1, err))
                        return false;
        if (b->downsample && !set_strides(m, b->downsample, 1, err))
                return false;
        rs_node *pool = subsampler(b);
        if (pool) { /* it is left without a reader */
                b->add->in[b->shortcut_slot] = pool->in[0];
                rs_node_touch(b->add);
        }
        (void)set;
        return true;
}

static bool
give_stride(
        resect_model *m, rs_set *set, int stage, rs_stride how, int64_t stride, resect_error *err)
{
        const rs_ablock *b = block_at(set, stage, 0);
        if (how != RS_STRIDE_LAST)
                return b &&
                       set_strides(m,
                               b->convs.at[how == RS_STRIDE_CONV2 && set->net.bottleneck ? 1 : 0],
                               stride, err) &&
                       (!b->downsample || set_strides(m, b->downsample, stride, err));
        b = block_at(set, stage - 1, set->net.blocks[stage - 2] - 1);
        if (!b || b->downsample || b->convs.n < 2)
                return rs_fail(err, RESECT_UNSUPPORTED,
                        "layer%d: its last block cannot take the stride of the next stage",
                        stage - 1);
        const char *out = rs_model_fresh_name(
                m, rs_arena_printf(&set->arena, err, "%s.subsample", b->pub.name), err);
        const char *in = b->shortcut;
        const int64_t one[2] = {1, 1};
        rs_node *pool = out ? rs_model_add_node(m, "MaxPool", out, &in, 1, &out, 1, err) : NULL;
        if (!pool || !rs_node_set_ints(m, pool, "kernel_shape", one, 2, err) ||
                !set_strides(m, pool, stride, err))
                return false;
        b->add->in[b->shortcut_slot] = out;
        rs_node_touch(b->add);
        return set_strides(m, b->convs.at[1], stride, err);
}

/* Every stage's stride from where it is to where it should be; one stage after the other, since
 * they are independent. */
static bool
move_strides(resect_model *m, rs_set *set, rs_stride to, resect_error *err)
{
        for (int s = 2; s <= set->net.n_stages; s++) {
                const rs_ablock *first = block_at(set, s, 0),
                                *last = block_at(set, s - 1, set->net.blocks[s - 2] - 1);
                const rs_ablock *from = last && subsampler(last) ? last : first;
                int64_t stride;
                if (set->net.down_pool)
                        return rs_fail(err, RESECT_UNSUPPORTED,
                                "layer%d: its shortcut has its stride in an AveragePool; it is not "
                                "moved",
                                s);
                if (!from || from->pub.stride < 2)
                        continue;
                if (!take_stride(m, set, from, &stride, err) ||
                        !give_stride(m, set, s, to, stride, err))
                        return false;
        }
        return true;
}

static bool
pad_pool(resect_model *m, rs_set *set, rs_pool1 to, resect_error *err)
{
        static const int64_t even[4] = {1, 1, 1, 1}, end[4] = {0, 0, 1, 1}, none[4] = {0};
        rs_node *pool = first_pool(set), *pad = pad_before(set, pool);
        if (pad && to != RS_POOL1_ZERO) {
                pool->in[0] = pad->in[0];
                rs_node_touch(pool);
        }
        if (to == RS_POOL1_ZERO && !pad) {
                const int64_t eight = 8, pads[8] = {0, 0, 1, 1, 0, 0, 1, 1};
                if (rs_model_opset(m) < 11)
                        return rs_fail(err, RESECT_UNSUPPORTED,
                                "a Pad before pool1 wants opset 11 at least (resect-edit --opset)");
                const char *name = rs_model_fresh_name(m, "pool1_pads", err),
                           *out = rs_model_fresh_name(m, "pool1_pad", err);
                rs_tensor *t = name && out
                                       ? rs_model_add_tensor(m, name, RESECT_INT64, 1, &eight, err)
                                       : NULL;
                const char *in[2] = {pool->in[0], name};
                if (!t || !rs_model_add_node(m, "Pad", out, in, 2, &out, 1, err))
                        return false;
                for (int i = 0; i < 64; i++)
                        ((unsigned char *)(uintptr_t)t->data.data)[i] =
                                (unsigned char)((uint64_t)pads[i / 8] >> 8 * (i % 8));
                pool->in[0] = out;
        }
        rs_node_drop_attr(pool, "auto_pad");
        rs_node_drop_attr(pool, "ceil_mode");
        rs_node_touch(pool);
        return rs_node_set_ints(m, pool, "pads",
                to == RS_POOL1_EVEN  ? even
                : to == RS_POOL1_END ? end
                                     : none,
                4, err);
}

bool
rs_variant_set(resect_model *m, rs_set *set, const rs_variant *want, resect_error *err)
{
        rs_variant have = rs_variant_of_model(set);
        if (have.has_pooled && want->has_pooled && have.pooled != want->pooled)
                return rs_fail(err, RESECT_UNSUPPORTED,
                        "the pools before the shortcuts' Convs are not put in or taken out "
                        "(--into new makes the weights' own graph)");
        bool strides = have.has_stride && want->has_stride && have.stride != want->stride;
        bool basic = !have.has_stride && want->has_stride && want->stride == RS_STRIDE_LAST;
        if ((strides || basic) && !move_strides(m, set, want->stride, err))
                return false;
        if (have.has_pool1 && want->has_pool1 && have.pool1 != want->pool1 &&
                !pad_pool(m, set, want->pool1, err))
                return false;
        if (have.convs_end != want->convs_end && !pad_convs(m, set, want->convs_end, err))
                return false;
        m->graph.n_values = 0; /* sizes between the moved strides are others now */
        return rs_graph_sort(m, err) && rs_graph_prune(m, err);
}
