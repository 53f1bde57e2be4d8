/* SPDX-License-Identifier: 0BSD */
/*
 * What each node and each initializer is. Nodes on a chain are numbered as they come (conv1, bn1,
 * conv2 ...); what hangs beside it is known only as part of its block. An initializer is what its
 * reader is, straight or through Identity and the like. The canonical names are torchvision's;
 * where it has none (deep stems, the average pool in a shortcut, the last normalisation of v2) they
 * are timm's.
 */
#include "look/trunk.h"

#include <string.h>

static void
name_node(resect_anatomy *a, const rs_node *n, const char *part, const char *canonical)
{
        int i = rs_trunk_node(a, n);
        if (i < 0 || a->trunk->part[i])
                return;
        a->trunk->part[i] = part;
        a->trunk->canonical[i] = canonical;
}

/* All nodes of a region get what name they have not got yet, and the region's numbers. */
static void
name_rest(resect_anatomy *a, const rs_nodes *nodes, const char *part, int part_of, int block_of)
{
        for (size_t i = 0; i < nodes->n; i++) {
                int k = rs_trunk_node(a, nodes->at[i]);
                if (k < 0)
                        continue;
                if (!a->trunk->part[k])
                        a->trunk->part[k] = part;
                if (!a->trunk->part_of[k]) {
                        a->trunk->part_of[k] = part_of;
                        a->trunk->block_of[k] = block_of;
                }
        }
}

/* A sum or product with a constant. */
static bool
with_constant(const resect_anatomy *a, const rs_node *n, const char *op)
{
        int in[2];
        size_t slot[2];
        return !strcmp(n->op, op) && rs_trunk_live_inputs(a, n, in, slot) == 1;
}

/* The nodes between two values of the trunk. */
static bool
chain_of(resect_anatomy *a, const char *from, const char *to, rs_nodes *out, resect_error *err)
{
        int *path, n;
        if (!rs_trunk_path(a, rs_trunk_vertex(a, from), rs_trunk_vertex(a, to), &path, &n, err))
                return false;
        out->at = RS_NEW(&a->arena, (size_t)n, rs_node *, err);
        out->n = out->at ? (size_t)n : 0;
        for (int i = 0; out->at && i < n; i++)
                out->at[i] = a->trunk->v[path[i]].maker;
        return out->at;
}

static bool
name_main(resect_anatomy *a, const rs_ablock *b, resect_error *err)
{
        rs_nodes chain;
        size_t convs = 0;
        const char *part = NULL, *bn = NULL;
        if (!chain_of(a, b->input, b->main, &chain, err))
                return false;
        for (size_t i = 0; i < chain.n; i++) {
                const rs_node *n = chain.at[i];
                if (rs_is_conv(n)) {
                        if (!(part = rs_arena_printf(
                                      &a->arena, err, "%s.conv%zu", b->pub.name, ++convs)))
                                return false;
                        name_node(a, n, part, part);
                        bn = NULL;
                } else if (rs_is_norm(n)) {
                        size_t number = b->pub.preactivation ? convs + 1 : convs;
                        if (number && !(bn = rs_arena_printf(
                                                &a->arena, err, "%s.bn%zu", b->pub.name, number)))
                                return false;
                        if (number)
                                name_node(a, n, bn, bn);
                } else if (with_constant(a, n, "Add") && part && !bn &&
                           rs_is_conv(chain.at[i - 1])) {
                        name_node(a, n, part, part); /* a bias that stands by itself */
                }
        }
        return true;
}

static bool
name_shortcut(resect_anatomy *a, const rs_ablock *b, resect_error *err)
{
        rs_nodes chain;
        const char *part = rs_arena_printf(&a->arena, err, "%s.downsample", b->pub.name),
                   *canonical = NULL;
        if (!part || !b->downsample)
                return part;
        if (!chain_of(a, b->fork, b->shortcut, &chain, err))
                return false;
        int number = 0;
        for (size_t i = 0; i < chain.n; i++) {
                const rs_node *n = chain.at[i];
                static const char *const pools[] = {"AveragePool", "MaxPool", NULL};
                bool conv = rs_is_conv(n), counts = conv || rs_is_norm(n) || rs_op_in(n, pools);
                if (counts &&
                        !(canonical = rs_arena_printf(&a->arena, err, "%s.%d", part, number++)))
                        return false;
                name_node(a, n, part,
                        counts || (with_constant(a, n, "Add") && i && rs_is_conv(chain.at[i - 1]))
                                ? canonical
                                : NULL);
        }
        return true;
}

static bool
name_stem(resect_anatomy *a, resect_error *err)
{
        rs_nodes chain;
        static const char *const deep[] = {"conv1.0", "conv1.3", "conv1.6"}, *const deep_bn[] = {
                                                                                     "conv1.1",
                                                                                     "conv1.4",
                                                                                     "bn1"};
        size_t convs = 0, all = a->stem_convs.n;
        if (!a->stem_output || !chain_of(a, a->summary.input, a->stem_output, &chain, err))
                return !a->stem_output;
        for (size_t i = 0; i < chain.n; i++) {
                const rs_node *n = chain.at[i];
                bool conv = rs_is_conv(n);
                convs += conv;
                if (!convs && rs_is_norm(n)) /* on the picture itself: MXNet's v2 */
                        name_node(a, n, "stem.bn0", "bn0");
                if (!convs || (!conv && !rs_is_norm(n) &&
                                      !(with_constant(a, n, "Add") && rs_is_conv(chain.at[i - 1]))))
                        continue;
                const char *part = rs_arena_printf(
                        &a->arena, err, "stem.%s%zu", rs_is_norm(n) ? "bn" : "conv", convs);
                const char *canonical = NULL;
                if (all == 3 && convs <= 3)
                        canonical = rs_is_norm(n) ? deep_bn[convs - 1] : deep[convs - 1];
                else if (all == 1)
                        canonical = rs_is_norm(n) ? "bn1" : "conv1";
                if (!part)
                        return false;
                name_node(a, n, part, canonical);
        }
        return true;
}

/* One affine map is fc; of several each has its number among the layers, as in a PyTorch
 * Sequential. */
static bool
name_head(resect_anatomy *a, resect_error *err)
{
        const rs_atail *t = &a->tail;
        const char *current = NULL;
        int number = 0;
        for (size_t i = 0; i < t->head.n; i++) {
                const rs_node *n = t->head.at[i];
                bool affine = false;
                for (size_t k = 0; k < t->affine.n; k++)
                        affine |= t->affine.at[k] == n;
                if (affine || rs_is_norm(n) || rs_is_active(n) || !strcmp(n->op, "Dropout")) {
                        current = NULL;
                        if (affine || rs_is_norm(n))
                                current =
                                        t->affine.n == 1 && affine
                                                ? "fc"
                                                : rs_arena_printf(&a->arena, err, "fc.%d", number);
                        if ((affine || rs_is_norm(n)) && !current)
                                return false;
                        number++;
                }
                bool bias = with_constant(a, n, "Add") || !strcmp(n->op, "QLinearAdd");
                name_node(a, n, "head", affine || rs_is_norm(n) || bias ? current : NULL);
        }
        return true;
}

static bool
name_nodes(resect_anatomy *a, resect_error *err)
{
        size_t part = 0;
        if (!name_stem(a, err))
                return false;
        if (a->stem_output)
                name_rest(a, &a->stem, "stem", (int)++part, 0);
        for (size_t i = 0; i < a->n_blocks; i++) {
                const rs_ablock *b = &a->blocks[i];
                if (!name_main(a, b, err) || !name_shortcut(a, b, err))
                        return false;
                part += b->pub.index == 0;
                name_rest(a, &b->nodes, b->pub.name, (int)part, (int)i + 1);
        }
        bool pool = a->n_parts > part && !strcmp(a->parts[part].name, "pool");
        part += pool;
        for (size_t i = 0; i < a->tail.norm.n; i++)
                name_node(a, a->tail.norm.at[i], "pool.norm",
                        rs_is_norm(a->tail.norm.at[i]) ? "norm" : NULL);
        name_rest(a, &a->tail.norm, "pool.norm", pool ? (int)part : 0, 0);
        name_rest(a, &a->tail.squeeze, "pool", pool ? (int)part : 0, 0);
        if (a->tail.pool)
                name_rest(a, &(rs_nodes){&a->tail.pool, 1}, "pool", (int)part, 0);
        if (!name_head(a, err))
                return false;
        name_rest(a, &a->tail.head, "head", (int)part + 1, 0);
        return true;
}

/* What of a reader's canonical name an input slot is, or NULL. */
static const char *
role(const rs_node *n, size_t slot)
{
        static const char *const bn[] = {NULL, "weight", "bias", "running_mean", "running_var"};
        if (rs_is_norm(n))
                return slot < 5 ? bn[slot] : NULL;
        if (!strcmp(n->op, "Add"))
                return "bias";
        if (!strcmp(n->op, "QLinearAdd"))
                return slot == 3 ? "bias" : NULL;
        if (slot == rs_bias_slot(n))
                return "bias";
        return slot == rs_weight_slot(n) || (!strcmp(n->op, "MatMul") && slot == 0) ? "weight"
                                                                                    : NULL;
}

static size_t
common_part(const char *p, const char *q)
{
        size_t border = 0;
        for (size_t i = 0;; i++) {
                bool pe = !p[i] || p[i] == '.', qe = !q[i] || q[i] == '.';
                if (pe && qe)
                        border = i;
                if (p[i] != q[i] || !p[i])
                        return border;
        }
}

/* How an initializer comes to its reader. */
struct course {
        const char *value;
        bool exact; /* as it is, but for its dress */
        bool scale; /* as the scale or zero point of what is read */
};

static bool
give_tensor(resect_anatomy *a, const char *name, int node, size_t slot, struct course c,
        resect_error *err)
{
        const rs_node *reader = a->model->graph.nodes[node];
        const char *part = a->trunk->part[node], *prefix = a->trunk->canonical[node],
                   *what = c.exact ? role(reader, slot) : NULL;
        rs_atensor *t = rs_map_get(&a->tensors, name);
        if (t) {
                if (t->node == reader && t->slot == slot)
                        return true;
                t->canonical = NULL;
                if (t->part && part && !strcmp(t->part, part))
                        return true;
                size_t same = t->part && part ? common_part(t->part, part) : 0;
                t->shared = true;
                t->part = NULL;
                return !same || (t->part = rs_arena_strndup(&a->arena, part, same, err));
        }
        if (!(t = RS_NEW(&a->arena, 1, rs_atensor, err)))
                return false;
        *t = (rs_atensor){.part = part, .node = reader, .slot = slot, .scale = c.scale};
        if (prefix && what &&
                !(t->canonical = rs_arena_printf(&a->arena, err, "%s.%s", prefix, what)))
                return false;
        return rs_map_put(&a->tensors, name, t, NULL, err);
}

/* Every initializer that a constant input comes from; exact along the first inputs of nodes that
 * only dress it. */
static bool
give_upstream(resect_anatomy *a, const char *value, int node, size_t slot, resect_error *err)
{
        enum { MOST = 32 };
        struct course stack[MOST] = {{value, true, false}};
        static const char *const dress[] = {"Identity", "Cast", "Transpose", "DequantizeLinear",
                "Reshape", "Unsqueeze", "Squeeze", NULL};
        int size = 1;
        for (int steps = 0; size && steps < 4 * MOST; steps++) {
                const struct course c = stack[--size];
                const rs_link *l = rs_index_find(&a->index, c.value);
                if (!l)
                        continue;
                if (l->tensor && !give_tensor(a, l->tensor->name, node, slot, c, err))
                        return false;
                const rs_node *n = l->maker;
                const bool dequantised = n && !strcmp(n->op, "DequantizeLinear");
                for (size_t i = n ? n->n_in : 0; i-- > 0 && size < MOST;)
                        if (rs_trunk_vertex(a, n->in[i]) < 0) {
                                stack[size++] = (struct course){n->in[i],
                                        c.exact && i == 0 && rs_op_in(n, dress),
                                        c.scale || (dequantised && i > 0)};
                        }
        }
        return true;
}

bool
rs_anatomy_names(resect_anatomy *a, resect_error *err)
{
        const rs_graph *g = &a->model->graph;
        if (!name_nodes(a, err))
                return false;
        for (size_t i = 0; i < g->n_nodes; i++) {
                const rs_node *n = g->nodes[i];
                if (rs_trunk_node(a, n) < 0)
                        continue;
                for (size_t k = 0; k < n->n_in; k++)
                        if (n->in[k][0] && rs_trunk_vertex(a, n->in[k]) < 0 &&
                                !give_upstream(a, n->in[k], (int)i, k, err))
                                return false;
        }
        return true;
}

rs_tensor *
rs_anatomy_initializer(const resect_anatomy *a, const rs_node *n, size_t slot)
{
        const rs_link *l = slot < n->n_in ? rs_index_find(&a->index, n->in[slot]) : NULL;
        for (int i = 0; i < 16 && l && !l->tensor; i++)
                l = l->maker && !strcmp(l->maker->op, "Identity") && l->maker->n_in == 1
                            ? rs_index_find(&a->index, l->maker->in[0])
                            : NULL;
        return l ? l->tensor : NULL;
}
