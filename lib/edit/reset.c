/* SPDX-License-Identifier: 0BSD */
/*
 * reset: parts of a trained network made as they were before training: Conv by He et al. (fan-out),
 * BatchNormalization to the identity (the last one of a block too, as in the paper), affine maps as
 * PyTorch starts them. What a tensor gets depends on what reads it. A tensor that nodes outside the
 * choice read as well is left to them, and the chosen node gets its own.
 */
#include "edit/edit.h"
#include "edit/parts.h"
#include "look/anatomy.h"

#include <math.h>
#include <string.h>

typedef enum law { HE, UNIFORM, ONE, ZERO } law;

/* What a slot of a node starts as; false when it is no parameter of a kind we know. fan_in is of
 * the affine node. */
static bool
law_of(const rs_node *n, size_t slot, law *l)
{
        if (rs_is_op(n, "Conv") || rs_is_op(n, "ConvTranspose")) {
                *l = slot == 1 ? HE : ZERO;
                return slot == 1 || slot == 2;
        }
        if (rs_is_op(n, "BatchNormalization")) {
                *l = slot == 1 || slot == 4 ? ONE : ZERO;
                return slot >= 1 && slot <= 4;
        }
        *l = UNIFORM;
        return (rs_is_op(n, "Gemm") && (slot == 1 || slot == 2)) ||
               (rs_is_op(n, "MatMul") && slot == 1);
}

/* Inputs of an affine map's unit: what its uniform law divides by. */
static double
fan_in(const resect_anatomy *a, const rs_node *n)
{
        const rs_tensor *w = rs_anatomy_initializer(a, n, 1);
        if (w == NULL || w->rank < 2 || w->count == 0)
                return 1;
        if (rs_is_op(n, "Conv"))
                return (double)w->count / (double)w->dims[0];
        return (double)w->dims[rs_is_op(n, "Gemm") && rs_node_int(n, "transB", 0) != 0 ? 1 : 0];
}

typedef struct work {
        rs_surgery *s;
        const resect_anatomy *a;
        uint64_t seed;
        size_t tensors, thawed;
        double numbers;
} work;

/* One input of one node: renews the initializer behind it, or gives the node one of its own. */
static bool
renew(work *w, rs_node *n, size_t slot, law l, double bound, bool own, resect_error *err)
{
        resect_model *m = w->s->m;
        rs_tensor *t = rs_anatomy_initializer(w->a, n, slot);
        int64_t dims[32];
        if (t == NULL || t->rank > 32)
                return true; /* computed, not stored */
        memcpy(dims, t->dims, (size_t)t->rank * sizeof *dims);
        const char *stream = t->name;
        if (own) {
                if (!rs_tensor_renew(m, t, t->rank, dims, err))
                        return false;
        } else {
                const char *name = rs_model_fresh_name(m, t->name, err);
                t = name != NULL ? rs_model_add_tensor(m, name, t->dtype, t->rank, dims, err)
                                 : NULL;
                if (t == NULL)
                        return false;
                n->in[slot] = stream = t->name;
                rs_node_touch(n);
        }
        if (l == HE)
                rs_init_he(w->s, t, w->seed, stream);
        else if (l == UNIFORM)
                rs_init_uniform(w->s, t, w->seed, stream, bound);
        else
                rs_init_constant(w->s, t, l == ONE);
        w->tensors++;
        w->numbers += (double)t->count;
        if (!rs_model_is_frozen(m, t->name))
                return true;
        w->thawed++;
        return rs_model_set_frozen(m, t->name, false, err);
}

/* The names whose tensors are meant, by who reads them. */
typedef struct choice {
        rs_parts parts;
        const char *match;
        rs_part_id from;

} choice;

static bool
tensor_chosen(const choice *c, const char *tensor)
{
        rs_part_id id;
        if (c->match != NULL)
                return rs_parts_match(&c->parts, c->match, tensor);
        return rs_part_of_tensor(&c->parts, tensor, &id) && rs_part_compare(id, c->from) >= 0;
}

/* A tensor that several nodes share stands in the anatomy under its first reader's part. --from
   therefore asks the node: it is meant when a parameter of its own says so, or when what it reads
   has been found behind the cut. */
static bool
node_chosen(const choice *c, const resect_anatomy *a, const rs_node *n)
{
        for (size_t k = 1; k < n->n_in; k++) {
                const rs_tensor *t = rs_anatomy_initializer(a, n, k);
                const rs_atensor *at = t != NULL ? rs_map_get(&a->tensors, t->name) : NULL;
                if (at != NULL && !at->shared)
                        return tensor_chosen(c, t->name);
        }
        return false;
}

static bool
owned(const resect_anatomy *a, const rs_node *n, size_t slot)
{
        const rs_link *l = rs_index_find(&a->index, n->in[slot]);
        return l != NULL && l->tensor != NULL && l->n_uses == 1 && !l->is_output && !l->captured;
}

/* The bias that an Add puts behind a MatMul, with the MatMul's own bound. */
static bool
renew_added_bias(work *w, const rs_node *matmul, double bound, resect_error *err)
{
        const rs_link *l = rs_index_find(&w->a->index, matmul->out[0]);
        if (l == NULL || l->n_uses != 1 || !rs_is_op(l->uses->node, "Add"))
                return true;
        const size_t slot = 1 - l->uses->slot;
        return renew(w, l->uses->node, slot, UNIFORM, bound, owned(w->a, l->uses->node, slot), err);
}

static bool
renew_node(work *w, const choice *c, rs_node *n, resect_error *err)
{
        const bool whole = c->match == NULL;
        if (whole && !node_chosen(c, w->a, n))
                return true;
        /* A 1x1 Conv that is the classifier starts as the affine map it is. */
        bool affine = false;
        for (size_t i = 0; i < w->a->tail.affine.n; i++)
                affine |= w->a->tail.affine.at[i] == n;
        const double bound = 1 / sqrt(fan_in(w->a, n));
        for (size_t k = 1; k < n->n_in; k++) {
                law l;
                const rs_tensor *t = law_of(n, k, &l) ? rs_anatomy_initializer(w->a, n, k) : NULL;
                if (t == NULL || (!whole && !tensor_chosen(c, t->name)))
                        continue;
                if (!renew(w, n, k, affine ? UNIFORM : l, bound, owned(w->a, n, k), err))
                        return false;
        }
        return !whole || !rs_is_op(n, "MatMul") || renew_added_bias(w, n, bound, err);
}

/* What stays: the value that enters the first part that is reset. */
static bool
prove(rs_surgery *s, const choice *c, resect_error *err)
{
        if (c->match != NULL)
                return true;
        for (size_t i = 0; i < c->parts.anatomy->n_blocks; i++) {
                const rs_ablock *b = &c->parts.anatomy->blocks[i];
                if (rs_part_compare((rs_part_id){b->pub.stage, b->pub.index}, c->from) == 0)
                        return rs_prove(s, &b->input, &b->input, 1, err);
        }
        const char *features = c->parts.anatomy->tail.features;
        return c->from.stage < RS_PART_POOL || features == NULL ||
               rs_prove(s, &features, &features, 1, err);
}

static bool
reset(rs_surgery *s, choice *c, uint64_t seed, resect_error *err)
{
        work w = {.s = s, .a = c->parts.anatomy, .seed = seed};
        const rs_graph *g = &s->m->graph;
        if (!prove(s, c, err))
                return false;
        for (size_t i = 0; i < g->n_nodes; i++)
                if (!renew_node(&w, c, g->nodes[i], err))
                        return false;
        if (w.tensors == 0)
                return rs_fail(err, RESECT_ARG,
                        "%s means no weights of a Conv, BatchNormalization, Gemm or MatMul",
                        c->match != NULL ? c->match : rs_setting(s, "from"));
        if (w.thawed != 0 && !rs_model_store_frozen(s->m, err))
                return false;
        rs_note(s, "reset %zu tensor%s (%.0f numbers), seed %llu", w.tensors,
                w.tensors == 1 ? "" : "s", w.numbers, (unsigned long long)seed);
        if (w.thawed != 0)
                rs_note(s, "%zu of them were frozen and are not any more", w.thawed);
        return rs_graph_prune(s->m, err);
}

static bool
run(rs_surgery *s, resect_error *err)
{
        choice c = {.match = rs_setting(s, "match")};
        const char *from = rs_setting(s, "from");
        int64_t seed;
        if ((from == NULL) == (c.match == NULL))
                return rs_fail(err, RESECT_ARG, "reset what? --from PART or --match GLOB");
        if (!rs_setting_int(s, "seed", 0, INT64_MAX, 0, &seed, err))
                return false;
        bool ok = rs_parts_find(s, &c.parts, err) &&
                  (from == NULL || rs_part_parse(&c.parts, "--from", from, &c.from, err)) &&
                  reset(s, &c, (uint64_t)seed, err);
        rs_parts_free(&c.parts);
        return ok;
}

static const resect_option options[] = {
        {"from", "PART",
                "from the beginning of this part to the end, the classifier included: layer4, "
                "layer3.10, head"},
        {"match", "GLOB", "tensors whose name or part matches: 'layer4.*', '*.bn?.weight'"},
        {"seed", "N", "seed of the random weights (0)"},
        {NULL, NULL, NULL},
};

const rs_edit rs_edit_reset = {
        .face = {.name = "reset",
                .brief = "make weights random again",
                .description = "Gives a part of the network the weights that it had before any "
                               "training: Conv a normal distribution of variance "
                               "2 / (output channels x kernel size) and bias 0, BatchNormalization "
                               "scale 1, bias 0, mean 0, variance 1, the "
                               "classifier PyTorch's default. The graph stays as it is.\n\n"
                               "The numbers depend on the seed and each tensor's name alone. "
                               "Tensors that other nodes share are copied "
                               "first; frozen ones are thawed.",
                .example = "resect-reset --from layer4 --seed 1 < resnet101.onnx > half.onnx\n"
                           "resect-reset --match 'head*' model.onnx -o fresh-head.onnx",
                .options = options},
        .run = run,
};
