/* SPDX-License-Identifier: 0BSD */
/*
 * Residual blocks along the trunk. Which of the two summed branches is the main one: the one with
 * more convolutions on its own trunk. Whether the network activates before or after the sum is a
 * vote over all sums (what reads a sum: an activation alone, or a normalisation), because the first
 * and last block alone may look like either.
 */
#include "look/trunk.h"

#include <string.h>

struct branch {
        int *path, n; /* vertices after the fork, to the summed value */
        int convs, kernel;
};

static int64_t
weight_dim(const resect_anatomy *a, const rs_node *conv, int i)
{
        int rank;
        int64_t dims[RESECT_RANK_MAX];
        size_t slot = rs_weight_slot(conv);
        rs_tensor *t = rs_anatomy_initializer(a, conv, slot);
        if (t)
                return i < t->rank ? t->dims[i] : -1;
        return slot < conv->n_in && rs_value_dims(a, conv->in[slot], &rank, dims) && i < rank
                       ? dims[i]
                       : -1;
}

/* Kernel area, 1 when it cannot be told. */
static int64_t
kernel_of(const resect_anatomy *a, const rs_node *conv)
{
        int64_t h = weight_dim(a, conv, 2), w = weight_dim(a, conv, 3);
        return h > 0 && w > 0 && h < 1000 && w < 1000 ? h * w : 1;
}

static bool
walk_branch(resect_anatomy *a, int fork, int end, struct branch *b, resect_error *err)
{
        *b = (struct branch){0};
        if (!rs_trunk_path(a, fork, end, &b->path, &b->n, err))
                return false;
        for (int i = 0; i < b->n; i++) {
                const rs_node *n = a->trunk->v[b->path[i]].maker;
                if (rs_is_conv(n)) {
                        b->convs++;
                        b->kernel += (int)kernel_of(a, n);
                }
        }
        return true;
}

static bool
swap_wanted(const struct branch *p, const struct branch *q)
{
        if (p->convs != q->convs)
                return p->convs < q->convs;
        return p->kernel != q->kernel ? p->kernel < q->kernel : p->n < q->n;
}

/* The block that ends at vertex v of the trunk; *is is false when it is none. */
static bool
open_block(resect_anatomy *a, int v, rs_ablock *b, bool *is, resect_error *err)
{
        struct rs_trunk *t = a->trunk;
        int in[2], rank;
        size_t slot[2];
        int64_t dims[RESECT_RANK_MAX];
        rs_node *n = t->v[v].maker;
        *is = false;
        if (!n || !rs_is_sum(n) || rs_trunk_live_inputs(a, n, in, slot) != 2)
                return true;
        if (rs_value_dims(a, t->v[v].name, &rank, dims) && rank != 4)
                return true;
        int fork = t->v[v].idom;
        struct branch p, q;
        if (!walk_branch(a, fork, in[0], &p, err) || !walk_branch(a, fork, in[1], &q, err))
                return false;
        int first = swap_wanted(&p, &q);
        if ((first ? q.convs : p.convs) < 1)
                return true;
        *is = true;
        *b = (rs_ablock){.fork = t->v[fork].name,
                .input = t->v[fork].name,
                .main = t->v[in[first]].name,
                .shortcut = t->v[in[!first]].name,
                .add = n,
                .main_slot = slot[first],
                .shortcut_slot = slot[!first],
                .sum = t->v[v].name,
                .output = t->v[v].name};
        return true;
}

/* The activation that alone reads a sum, past nodes that change nothing. */
static rs_node *
activation_after(const resect_anatomy *a, const char *value)
{
        for (int i = 0; i < 4; i++) {
                rs_node *n = rs_trunk_sole_reader(a, value);
                if (!n || n->n_out < 1)
                        return NULL;
                if (rs_is_active(n))
                        return n;
                if (!rs_passes(n))
                        return NULL;
                value = n->out[0];
        }
        return NULL;
}

/* Whether a sum is cut at zero by being written in 8 bits whose least number is their zero point:
 * what quantisers make of a Relu. */
static bool
cut_at_zero(resect_anatomy *a, rs_ablock *b, resect_error *err)
{
        const bool sums = !strcmp(b->add->op, "QLinearAdd");
        const rs_node *n = sums ? b->add : rs_trunk_sole_reader(a, b->sum);
        const size_t slot = sums ? 7 : 2;
        rs_span raw;
        resect_error e;
        if (!n || (!sums && strcmp(n->op, "QuantizeLinear") != 0))
                return true;
        const rs_tensor *zero = rs_anatomy_initializer(a, n, slot);
        if (!zero) {
                b->cut = slot >= n->n_in || !n->in[slot][0]; /* left out it is uint8's 0 */
                return true;
        }
        if (!rs_tensor_bytes(a->model, zero, &a->arena, &raw, &e))
                return e.code != RESECT_NOMEM || rs_fail_nomem(err);
        b->cut = raw.size > 0 && ((zero->dtype == RESECT_UINT8 && raw.data[0] == 0) ||
                                         (zero->dtype == RESECT_INT8 && raw.data[0] == 0x80));
        return true;
}

static bool
norm_reads(const resect_anatomy *a, const char *value)
{
        const rs_link *l = rs_index_find(&a->index, value);
        for (const rs_use *u = l ? l->uses : NULL; u; u = u->next) {
                const rs_node *n = u->node;
                if (rs_is_norm(n))
                        return true;
                int in[2];
                size_t slot[2]; /* a BatchNormalization written as Mul and Add */
                if (!strcmp(n->op, "Mul") && rs_trunk_live_inputs(a, n, in, slot) == 1)
                        return true;
        }
        return false;
}

/* A value before its normalisation and activation, when exactly that stands before it. */
static const char *
before_norm(const resect_anatomy *a, const char *value)
{
        const struct rs_trunk *t = a->trunk;
        int v = rs_trunk_vertex(a, value), norms = 0;
        const rs_node *n = t->v[v].maker;
        if (!n || !rs_is_active(n))
                return value;
        for (v = t->v[v].idom; v >= 0 && (n = t->v[v].maker); v = t->v[v].idom) {
                int in[2];
                size_t slot[2];
                bool scales = (!strcmp(n->op, "Mul") || !strcmp(n->op, "Add")) &&
                              rs_trunk_live_inputs(a, n, in, slot) == 1;
                if (!rs_is_norm(n) && !scales)
                        break;
                norms++;
        }
        return norms && v >= 0 ? t->v[v].name : value;
}

static bool
collect_convs(resect_anatomy *a, rs_ablock *b, resect_error *err)
{
        const struct rs_trunk *t = a->trunk;
        int *path, n;
        if (!rs_trunk_path(
                    a, rs_trunk_vertex(a, b->input), rs_trunk_vertex(a, b->main), &path, &n, err))
                return false;
        b->convs.at = RS_NEW(&a->arena, (size_t)n, rs_node *, err);
        b->pub.stride = 1;
        for (int i = 0; b->convs.at && i < n; i++) {
                rs_node *node = t->v[path[i]].maker;
                static const char *const strided[] = {
                        "Conv", "QLinearConv", "MaxPool", "AveragePool", "FusedConv", NULL};
                const rs_attr *s = rs_op_in(node, strided) ? rs_node_attr(node, "strides") : NULL;
                if (rs_is_conv(node))
                        b->convs.at[b->convs.n++] = node;
                if (s && s->type == RS_ATTR_INTS && s->n > 0 && s->ints[0] > 0 && s->ints[0] < 64 &&
                        b->pub.stride < 1 << 20)
                        b->pub.stride *= (int)s->ints[0];
        }
        return b->convs.at;
}

static void
describe(resect_anatomy *a, rs_ablock *b)
{
        const rs_node *first = b->convs.at[0], *last = b->convs.at[b->convs.n - 1];
        int64_t in = weight_dim(a, first, 1), group = rs_node_int(first, "group", 1);
        b->pub.kind = b->convs.n >= 3 && kernel_of(a, first) == 1 && kernel_of(a, last) == 1
                              ? RESECT_BOTTLENECK
                              : RESECT_BASIC;
        b->pub.in_channels =
                in > 0 && group > 0 && in < INT32_MAX && group < INT32_MAX ? in * group : -1;
        b->pub.out_channels = weight_dim(a, last, 0);
        b->pub.downsample = b->downsample != NULL;
        b->pub.input = b->input;
        b->pub.output = b->output;
        b->pub.height = b->pub.width = -1;
        int rank;
        int64_t dims[RESECT_RANK_MAX];
        if (rs_value_dims(a, b->output, &rank, dims) && rank == 4) {
                bool last_axis = dims[1] != b->pub.out_channels && dims[3] == b->pub.out_channels;
                b->pub.height = dims[last_axis ? 1 : 2];
                b->pub.width = dims[last_axis ? 2 : 3];
        }
}

static bool
fill_block(resect_anatomy *a, rs_ablock *b, resect_error *err)
{
        const struct rs_trunk *t = a->trunk;
        int input = rs_trunk_vertex(a, b->input), fork = rs_trunk_vertex(a, b->fork);
        int *path, n;
        if (!collect_convs(a, b, err) ||
                !rs_trunk_between(a, input, rs_trunk_vertex(a, b->output), true, &b->nodes, err) ||
                !rs_trunk_between(
                        a, input, rs_trunk_vertex(a, b->main), true, &b->main_nodes, err) ||
                !rs_trunk_between(
                        a, fork, rs_trunk_vertex(a, b->shortcut), false, &b->shortcut_nodes, err) ||
                !rs_trunk_path(a, fork, rs_trunk_vertex(a, b->shortcut), &path, &n, err))
                return false;
        for (int i = n - 1; i >= 0; i--)
                if (rs_is_conv(t->v[path[i]].maker))
                        b->downsample = t->v[path[i]].maker;
        describe(a, b);
        return true;
}

static bool
find_all(resect_anatomy *a, resect_error *err)
{
        const struct rs_trunk *t = a->trunk;
        a->blocks = RS_NEW(&a->arena, (size_t)t->n_chain, rs_ablock, err);
        if (!a->blocks)
                return false;
        for (int i = 0; i < t->n_chain; i++) {
                bool is;
                if (!open_block(a, t->chain[i], &a->blocks[a->n_blocks], &is, err))
                        return false;
                a->n_blocks += is;
        }
        return true;
}

bool
rs_anatomy_blocks(resect_anatomy *a, resect_error *err)
{
        size_t before = 0, after = 0;
        if (!find_all(a, err))
                return false;
        for (size_t i = 0; i < a->n_blocks; i++) {
                rs_ablock *b = &a->blocks[i];
                b->relu = activation_after(a, b->sum);
                if (!b->relu && !cut_at_zero(a, b, err))
                        return false;
                after += b->relu != NULL;
                before += !b->relu && norm_reads(a, b->sum);
        }
        for (size_t i = 0; i < a->n_blocks; i++) {
                rs_ablock *b = &a->blocks[i];
                b->pub.preactivation = before > after;
                if (before > after)
                        b->relu = NULL;
                if (b->relu)
                        b->output = b->relu->out[0];
                if (i)
                        b->input = a->blocks[i - 1].output;
                else if (before > after)
                        b->input = before_norm(a, b->fork);
                if (!fill_block(a, b, err))
                        return false;
        }
        return true;
}
