/* SPDX-License-Identifier: 0BSD */
/*
 * Behind the last block: normalisation (v2), the last reduction over space, what makes [N, C] of
 * it, the affine maps, Softmax. All of it is read off the trunk, so that an exporter's
 * Shape-Gather-Concat beside it does not matter.
 */
#include "look/trunk.h"

#include <string.h>

/* The trunk behind the last block, one value at a time. */
struct way {
        const int *at; /* vertices */
        int n;
};

static rs_node *
maker(const resect_anatomy *a, const struct way *w, int i)
{
        return i >= 0 && i < w->n ? a->trunk->v[w->at[i]].maker : NULL;
}

static const char *
name(const resect_anatomy *a, const struct way *w, int i)
{
        return a->trunk->v[w->at[i]].name;
}

/* The axes that a Reduce node goes over, as bits, in a tensor of rank 4 (or as the type says). 0
 * unknown. */
static unsigned
axes_of(const resect_anatomy *a, const rs_node *n, int *rank)
{
        int64_t dims[RESECT_RANK_MAX];
        const rs_attr *attr = rs_node_attr(n, "axes");
        const int64_t *axes = NULL;
        size_t count = 0;
        if (!n->n_in || !rs_value_dims(a, n->in[0], rank, dims))
                *rank = 4;
        if (attr && attr->type == RS_ATTR_INTS) {
                axes = attr->ints;
                count = attr->n;
        } else if (n->n_in > 1) {
                const rs_type *t = rs_types_find(&a->types, n->in[1]);
                if (t && t->ints) {
                        axes = t->ints;
                        count = t->n_ints;
                }
        }
        unsigned bits = 0;
        for (size_t i = 0; i < count; i++) {
                int64_t axis = axes[i] < 0 ? axes[i] + *rank : axes[i];
                if (axis < 0 || axis >= *rank)
                        return 0;
                bits |= 1u << axis;
        }
        return bits;
}

static bool
reduces_space(const resect_anatomy *a, const rs_node *n, const rs_node *next)
{
        static const char *const global[] = {"GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool",
                "QLinearGlobalAveragePool", NULL};
        static const char *const local[] = {"AveragePool", "QLinearAveragePool", NULL};
        int rank;
        int64_t dims[RESECT_RANK_MAX];
        if (rs_op_in(n, global))
                return true;
        if (rs_op_in(n, local)) {
                if (rs_value_dims(a, n->out[0], &rank, dims) && rank == 4 && dims[2] == 1 &&
                        dims[3] == 1)
                        return true;
                return next && (rs_is_shaper(next) || rs_op_in(next, (const char *const[]){"Gemm",
                                                                             "MatMul", NULL}));
        }
        if (rs_op_in(n, (const char *const[]){"ReduceMean", "ReduceMax", "ReduceSum", NULL})) {
                unsigned bits = axes_of(a, n, &rank);
                return rank == 4 ? bits == 0xc || bits == 0x6
                                 : rank == 3 && (bits == 4 || bits == 2);
        }
        return false;
}

/* Gemm, MatMul or 1x1 Conv with one live input: the picture's; the other side is a constant. */
static bool
is_affine(const resect_anatomy *a, const rs_node *n)
{
        int in[2];
        size_t slot[2];
        static const char *const product[] = {
                "Gemm", "MatMul", "QLinearMatMul", "QGemm", "MatMulInteger", NULL};
        return (rs_op_in(n, product) || rs_is_conv(n)) && rs_trunk_live_inputs(a, n, in, slot) == 1;
}

static bool
in_head(const resect_anatomy *a, const rs_node *n)
{
        int in[2];
        size_t slot[2];
        static const char *const scale[] = {"Add", "Sum", "Sub", "Mul", "Div", "QLinearAdd", NULL};
        return rs_passes(n) || rs_is_shaper(n) || rs_is_active(n) || rs_is_norm(n) ||
               (rs_op_in(n, scale) && rs_trunk_live_inputs(a, n, in, slot) == 1);
}

/* Convolutions in the head work on one pixel: after a pool, or none at all. */
static int
walk_head(resect_anatomy *a, const struct way *w, int start, bool pooled, int *n_affine)
{
        int last = -1;
        *n_affine = 0;
        for (int i = start; i < w->n; i++) {
                const rs_node *n = maker(a, w, i);
                if (is_affine(a, n) && (pooled || !rs_is_conv(n))) {
                        ++*n_affine;
                        last = i;
                } else if (!in_head(a, n)) {
                        break;
                }
        }
        return last;
}

static bool
collect_affine(resect_anatomy *a, resect_error *err)
{
        rs_atail *t = &a->tail;
        t->affine.at = RS_NEW(&a->arena, t->head.n, rs_node *, err);
        for (size_t i = 0; t->affine.at && i < t->head.n; i++)
                if (is_affine(a, t->head.at[i]))
                        t->affine.at[t->affine.n++] = t->head.at[i];
        return t->affine.at;
}

/* What belongs to the last affine map: its bias, its shape, nothing that bends. */
static int
end_of_logits(const resect_anatomy *a, const struct way *w, int last)
{
        while (last + 1 < w->n) {
                const rs_node *n = maker(a, w, last + 1);
                if (!in_head(a, n) || rs_is_active(n))
                        break;
                last++;
        }
        return last;
}

static rs_node *
softmax_after(const resect_anatomy *a, const struct way *w, int i)
{
        for (; i < w->n; i++) {
                rs_node *n = maker(a, w, i);
                if (rs_op_in(n, (const char *const[]){"Softmax", "LogSoftmax", NULL}))
                        return n;
                if (!rs_passes(n) && !rs_is_shaper(n))
                        return NULL;
        }
        return NULL;
}

static bool
make_head(resect_anatomy *a, const struct way *w, int start, bool pooled, resect_error *err)
{
        rs_atail *t = &a->tail;
        int n_affine, last = walk_head(a, w, start, pooled, &n_affine);
        if (last < 0) { /* features or maps: whatever is left is the output's own business */
                bool idle = true;
                for (int i = start; i < w->n; i++)
                        idle &= rs_passes(maker(a, w, i));
                if (idle && w->n)
                        t->features = t->output;
                t->softmax = softmax_after(a, w, start);
                return true;
        }
        last = end_of_logits(a, w, last);
        t->logits = name(a, w, last);
        t->softmax = softmax_after(a, w, last + 1);
        return rs_trunk_between(
                       a, rs_trunk_vertex(a, t->features), w->at[last], true, &t->head, err) &&
               collect_affine(a, err);
}

static bool
is_squeeze(const rs_node *n)
{
        return n && (rs_is_shaper(n) || (rs_passes(n) && strcmp(n->op, "Dropout") != 0));
}

bool
rs_anatomy_tail(resect_anatomy *a, resect_error *err)
{
        struct rs_trunk *t = a->trunk;
        rs_atail *tail = &a->tail;
        if (!t->n_chain)
                return true;
        const char *from = a->n_blocks ? a->blocks[a->n_blocks - 1].output : a->summary.input;
        int start = 0;
        while (start < t->n_chain && strcmp(t->v[t->chain[start]].name, from) != 0)
                start++;
        if (start == t->n_chain) /* the last activation lies beside the trunk to this output */
                return true;
        struct way w = {t->chain + start + 1, t->n_chain - start - 1};
        int pool = -1, first_shaper = -1;
        for (int i = 0; i < w.n; i++) {
                if (reduces_space(a, maker(a, &w, i), maker(a, &w, i + 1)))
                        pool = i;
                if (first_shaper < 0 && rs_is_shaper(maker(a, &w, i)))
                        first_shaper = i;
        }
        int n_affine, i;
        if (pool >= 0) {
                tail->pool = maker(a, &w, pool);
                tail->maps = pool ? name(a, &w, pool - 1) : from;
                for (i = pool + 1; is_squeeze(maker(a, &w, i)); i++)
                        ;
        } else { /* no reduction: norm, then a Flatten that feeds a head, or maps all the way */
                for (i = 0;
                        i < w.n && (rs_is_norm(maker(a, &w, i)) || rs_is_active(maker(a, &w, i)) ||
                                           rs_passes(maker(a, &w, i)));
                        i++)
                        ;
                if (!a->n_blocks && first_shaper >= 0)
                        i = first_shaper;
                tail->maps = i ? name(a, &w, i - 1) : from;
                if (walk_head(a, &w, i, false, &n_affine) >= 0)
                        for (; is_squeeze(maker(a, &w, i)); i++)
                                ;
        }
        int maps = rs_trunk_vertex(a, tail->maps), squeezed = pool >= 0 ? w.at[pool] : maps;
        tail->features = i ? name(a, &w, i - 1) : from;
        return (!a->n_blocks || rs_trunk_between(a, rs_trunk_vertex(a, from), maps, true,
                                        &tail->norm, err)) &&
               rs_trunk_between(a, squeezed, rs_trunk_vertex(a, tail->features), true,
                       &tail->squeeze, err) &&
               make_head(a, &w, i, pool >= 0, err);
}
