/* SPDX-License-Identifier: 0BSD */
/*
 * Parameters, multiply-accumulates and activation bytes, for one picture (the first axis is the
 * batch). Parameters are what PyTorch calls so: weights and biases, not running statistics, not the
 * scales of quantisation. A shared tensor counts once, where it is read first. A part whose sizes
 * are not all known has no macs and no bytes.
 */
#include "look/trunk.h"

#include <string.h>
#include "tensor/dtype.h"

enum { UNKNOWN = -1 };

/* Elements for one picture, or UNKNOWN. */
static int64_t
elements(const resect_anatomy *a, const char *value)
{
        int rank;
        int64_t dims[RESECT_RANK_MAX], n = 1;
        if (!rs_value_dims(a, value, &rank, dims))
                return UNKNOWN;
        for (int i = 1; i < rank; i++)
                if (dims[i] < 0 || __builtin_mul_overflow(n, dims[i], &n))
                        return UNKNOWN;
        return n;
}

/* Products that one element of the output sums up; 0 for nodes that do not multiply. */
static int64_t
depth_of(const resect_anatomy *a, const rs_node *n)
{
        int rank;
        int64_t dims[RESECT_RANK_MAX], depth = 1;
        size_t slot = rs_weight_slot(n);
        static const char *const product[] = {
                "MatMul", "QLinearMatMul", "MatMulInteger", "Gemm", "QGemm", NULL};
        if (rs_is_conv(n)) {
                if (slot >= n->n_in || !rs_value_dims(a, n->in[slot], &rank, dims))
                        return UNKNOWN;
                for (int i = 1; i < rank; i++)
                        if (dims[i] < 0 || __builtin_mul_overflow(depth, dims[i], &depth))
                                return UNKNOWN;
                return depth;
        }
        if (!rs_op_in(n, product))
                return 0;
        if (!n->n_in || !rs_value_dims(a, n->in[0], &rank, dims) || rank < 1)
                return UNKNOWN;
        return dims[!strcmp(n->op, "Gemm") && rs_node_int(n, "transA", 0) ? 0 : rank - 1];
}

static int64_t
bytes_of(const resect_anatomy *a, const rs_node *n, int64_t count)
{
        static const char *const views[] = {
                "Identity", "Dropout", "Flatten", "Reshape", "Squeeze", "Unsqueeze", NULL};
        const rs_type *t = rs_types_find(&a->types, n->out[0]);
        int64_t bits = t ? (int64_t)rs_dtype_bits(t->dtype) : 0, bytes;
        if (rs_op_in(n, views))
                return 0;
        return count < 0 || !bits || __builtin_mul_overflow(count, bits, &bytes) ? UNKNOWN
                                                                                 : bytes / 8;
}

struct sums {
        bool unknown;
        uint64_t macs, bytes;
};

static void
add(struct sums *s, int64_t macs, int64_t bytes)
{
        s->unknown |= macs < 0 || bytes < 0;
        s->unknown |= !s->unknown &&
                      (__builtin_add_overflow(s->macs, (uint64_t)macs, &s->macs) ||
                              __builtin_add_overflow(s->bytes, (uint64_t)bytes, &s->bytes));
}

static bool
is_parameter(const rs_node *n, size_t slot, const rs_tensor *t)
{
        static const char *const weighted[] = {"Gemm", "MatMul", "ConvTranspose", "PRelu", NULL};
        static const char *const linear[] = {"Add", "Mul", "Sub", "Div", "Sum", NULL};
        static const char *const threes[] = {
                "QLinearConv", "QLinearMatMul", "QGemm", "QLinearAdd", "QLinearMul", NULL};
        if (t->dtype == RESECT_INT64 || t->dtype == RESECT_BOOL)
                return false;
        if (rs_op_in(n, threes))
                return slot == rs_weight_slot(n) || slot == rs_bias_slot(n);
        if (rs_is_norm(n))
                return slot == 1 || slot == 2;
        return rs_is_conv(n) || rs_op_in(n, weighted) || (rs_op_in(n, linear) && t->count > 1);
}

static void
count_parameters(resect_anatomy *a)
{
        const rs_graph *g = &a->model->graph;
        for (size_t i = 0; i < g->n_tensors; i++) {
                const rs_tensor *t = g->tensors[i];
                const rs_atensor *at = rs_map_get(&a->tensors, t->name);
                if (!at || at->scale || !is_parameter(at->node, at->slot, t))
                        continue;
                int node = rs_trunk_node(a, at->node), part = a->trunk->part_of[node],
                    block = a->trunk->block_of[node];
                a->summary.parameters += t->count;
                if (part)
                        a->parts[part - 1].parameters += t->count;
                if (block)
                        a->blocks[block - 1].pub.parameters += t->count;
        }
}

/* One pass over the nodes; parts and blocks are met in order, so that their sums are added up where
   they stand: a part with an unknown size is marked by UINT64_MAX until the end. */
static void
count_region(uint64_t *macs, uint64_t *bytes, int64_t m, int64_t b)
{
        struct sums s = {*macs == UINT64_MAX, *macs, *bytes};
        add(&s, m, b);
        *macs = s.unknown ? UINT64_MAX : s.macs;
        *bytes = s.unknown ? UINT64_MAX : s.bytes;
}

static void
settle(uint64_t *macs, uint64_t *bytes)
{
        if (*macs == UINT64_MAX)
                *macs = *bytes = 0;
}

void
rs_anatomy_count(resect_anatomy *a)
{
        const rs_graph *g = &a->model->graph;
        resect_summary *s = &a->summary;
        count_parameters(a);
        for (size_t i = 0; i < g->n_nodes; i++) {
                const rs_node *n = g->nodes[i];
                if (rs_trunk_node(a, n) < 0 || !n->out[0][0])
                        continue;
                int64_t count = elements(a, n->out[0]), depth = depth_of(a, n), macs = 0;
                if (depth &&
                        (count < 0 || depth < 0 || __builtin_mul_overflow(count, depth, &macs)))
                        macs = UNKNOWN;
                int64_t bytes = bytes_of(a, n, count);
                int part = a->trunk->part_of[i], block = a->trunk->block_of[i];
                count_region(&s->macs, &s->activation_bytes, macs, bytes);
                if (part)
                        count_region(&a->parts[part - 1].macs, &a->parts[part - 1].activation_bytes,
                                macs, bytes);
                if (block)
                        count_region(&a->blocks[block - 1].pub.macs,
                                &a->blocks[block - 1].pub.activation_bytes, macs, bytes);
        }
        settle(&s->macs, &s->activation_bytes);
        for (size_t i = 0; i < a->n_parts; i++)
                settle(&a->parts[i].macs, &a->parts[i].activation_bytes);
        for (size_t i = 0; i < a->n_blocks; i++)
                settle(&a->blocks[i].pub.macs, &a->blocks[i].pub.activation_bytes);
}
