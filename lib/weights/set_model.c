/* SPDX-License-Identifier: 0BSD */
/*
 * The weights of a graph. Its nodes are known by anatomy (trunk->canonical), so that exporters'
 * names do not matter; each node's inputs say what it has: a bias, four vectors of a
 * BatchNormalization.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "look/trunk.h"
#include "weights/set.h"

/* A canonical prefix ("layer3.5.bn2", "layer2.0.downsample.1", "conv1.4") as a place. norm: the
 * node is a BatchNormalization. */
static bool
parse_place(const rs_net *net, const char *s, bool norm, rs_place *at)
{
        static const char *const deep[] = {
                "conv1.0", "conv1.3", "conv1.6", "conv1.1", "conv1.4", "bn1"};
        int stage, block, n, end = 0;
        *at = (rs_place){.conv = 1};
        if (!strcmp(s, "fc"))
                at->module = RS_HEAD;
        else if (!strcmp(s, "norm"))
                at->module = RS_NORM;
        else if (!strcmp(s, "bn0"))
                at->module = RS_DATA_BN;
        else if (!strncmp(s, "layer", 5)) {
                if (sscanf(s, "layer%d.%d.%n", &stage, &block, &end) < 2 || !end)
                        return false;
                at->stage = stage;
                at->block = block;
                at->module = norm ? RS_BN : RS_CONV;
                if (!strncmp(s + end, "downsample.", 11)) {
                        at->module = norm ? RS_DOWN_BN : RS_DOWN_CONV;
                        return true;
                }
                if (sscanf(s + end, norm ? "bn%d" : "conv%d", &n) != 1)
                        return false;
                at->conv = n;
        } else {
                at->module = norm ? RS_STEM_BN : RS_STEM_CONV;
                for (int i = 0; net->stem == 3 && i < 6; i++)
                        if (!strcmp(s, deep[i]))
                                at->conv = i % 3 + 1;
                return net->stem == 3 || !strcmp(s, norm ? "bn1" : "conv1");
        }
        return true;
}

static bool
find_net(rs_set *set, resect_error *err)
{
        const resect_anatomy *a = set->anatomy;
        rs_net *net = &set->net;
        if (!a->n_blocks)
                return rs_fail(err, RESECT_GRAPH, "the model is no residual network");
        net->bottleneck = a->blocks[0].pub.kind == RESECT_BOTTLENECK;
        net->preactivation = a->blocks[0].pub.preactivation;
        for (size_t i = 0; i < a->n_blocks; i++) {
                const resect_block *b = &a->blocks[i].pub;
                if (b->stage > RS_STAGES_MAX || b->index >= RS_BLOCKS_MAX)
                        return rs_fail(err, RESECT_UNSUPPORTED,
                                "%s: more than %d stages, or %d blocks in one", b->name,
                                RS_STAGES_MAX, RS_BLOCKS_MAX);
                if ((b->kind == RESECT_BOTTLENECK) != net->bottleneck ||
                        b->preactivation != net->preactivation)
                        return rs_fail(err, RESECT_UNSUPPORTED,
                                "%s is of another kind than the first block", b->name);
                if (b->downsample && b->index)
                        return rs_fail(err, RESECT_UNSUPPORTED,
                                "%s: a shortcut with a Conv that does not begin a stage", b->name);
                net->n_stages = b->stage > net->n_stages ? b->stage : net->n_stages;
                net->blocks[b->stage - 1]++;
                net->down[b->stage - 1] |= b->downsample;
        }
        for (size_t i = 0; i < a->n_blocks; i++)
                for (size_t k = 0; a->blocks[i].downsample && k < a->blocks[i].shortcut_nodes.n;
                        k++)
                        net->down_pool |=
                                !strcmp(a->blocks[i].shortcut_nodes.at[k]->op, "AveragePool");
        if (a->stem_convs.n != 1 && a->stem_convs.n != 3)
                return rs_fail(err, RESECT_UNSUPPORTED,
                        "a stem of %zu Convs: no naming has names for it", a->stem_convs.n);
        net->stem = (int)a->stem_convs.n;
        for (size_t i = 0; i < a->stem.n; i++) {
                int k = rs_trunk_node(a, a->stem.at[i]);
                net->data_norm |=
                        k >= 0 && a->trunk->canonical[k] && !strcmp(a->trunk->canonical[k], "bn0");
        }
        net->head = a->tail.affine.n == 1;
        net->classes = net->head && a->summary.n_classes > 0 ? a->summary.n_classes : 0;
        if (a->tail.affine.n > 1)
                return rs_fail(err, RESECT_UNSUPPORTED,
                        "a head of %zu layers: no naming has names for it (resect-strip --to "
                        "features takes it off)",
                        a->tail.affine.n);
        return true;
}

struct finding {
        rs_set *set;
        resect_model *m;
        size_t used, cap;
        resect_error *err;
};

static bool
fetch_tensor(const rs_entry *e, rs_arena *scratch, rs_span *out, resect_error *err)
{
        const struct rs_own_tensor *own = e->ctx;
        return rs_tensor_bytes(own->m, own->t, scratch, out, err);
}

/* A tensor of the graph as an entry, under its canonical name. */
static const rs_entry *
entry_of(struct finding *f, const rs_tensor *t, const char *prefix, const char *what)
{
        rs_set *set = f->set;
        struct rs_own_tensor *own = RS_NEW(&set->arena, 1, struct rs_own_tensor, f->err);
        char *name = rs_arena_printf(&set->arena, f->err, "%s.%s", prefix, what);
        if (!own || !name || f->used == f->cap)
                return NULL;
        own->m = f->m;
        own->t = t;
        rs_entry *e = &set->entries[f->used++];
        *e = (rs_entry){.name = name,
                .dtype = t->dtype,
                .rank = t->rank,
                .dims = t->dims,
                .count = t->count,
                .bytes = t->bytes,
                .fetch = fetch_tensor,
                .ctx = own};
        if (t->where == RS_HERE)
                e->data = t->data;
        return e;
}

static bool
take_conv(struct finding *f, const rs_node *n, const char *prefix, rs_unit *u)
{
        const resect_anatomy *a = f->set->anatomy;
        rs_tensor *w = rs_anatomy_initializer(a, n, rs_weight_slot(n));
        if (!w) {
                const rs_link *l = rs_index_find(&a->index, n->in[rs_weight_slot(n)]);
                if (l && l->maker && strcmp(l->maker->op, "DequantizeLinear") == 0)
                        return rs_fail(f->err, RESECT_UNSUPPORTED,
                                "%s: its weights are of 8 bits, and files of weights hold float "
                                "ones: take the model from before it was quantised",
                                prefix);
                return true; /* it is computed; what needs it will miss it */
        }
        u->conv_node = (rs_node *)(uintptr_t)n;
        u->weight_to = w;
        if (!(u->weight = entry_of(f, w, prefix, "weight")))
                return false;
        rs_tensor *b = rs_anatomy_initializer(a, n, rs_bias_slot(n));
        u->bias_to = b;
        return !b || (u->bias = entry_of(f, b, prefix, "bias"));
}

static bool
take_norm(struct finding *f, const rs_node *n, const char *prefix, rs_unit *u)
{
        static const char *const names[] = {"weight", "bias", "running_mean", "running_var"};
        u->bn_node = (rs_node *)(uintptr_t)n;
        u->epsilon = (double)rs_node_float(n, "epsilon", 1e-5f);
        u->momentum = (double)rs_node_float(n, "momentum", 0.9f);
        for (int i = 0; i < 4; i++) {
                rs_tensor *t = rs_anatomy_initializer(f->set->anatomy, n, (size_t)i + 1);
                u->norm_to[i] = t;
                if (t && !(u->norm[i] = entry_of(f, t, prefix, names[i])))
                        return false;
        }
        return true;
}

/* A bias that stands in a node of its own behind a Conv or MatMul. */
static bool
take_added(struct finding *f, const rs_node *n, const char *prefix, rs_unit *u)
{
        rs_tensor *t = rs_anatomy_initializer(f->set->anatomy, n, 1);
        if (!t)
                t = rs_anatomy_initializer(f->set->anatomy, n, 0);
        if (!t || u->bias)
                return true;
        u->bias_to = t;
        return (u->bias = entry_of(f, t, prefix, "bias"));
}

static bool
take_head(struct finding *f, const rs_node *n, rs_unit *u)
{
        rs_set *set = f->set;
        if (rs_is_conv(n)) {
                set->head_conv = true;
                return take_conv(f, n, "fc", u);
        }
        bool gemm = !strcmp(n->op, "Gemm");
        if (!take_conv(f, n, "fc", u))
                return false;
        set->head_in_out = !gemm || !rs_node_int(n, "transB", 0);
        if (u->weight || gemm)
                return true;
        /* A MatMul whose weight goes through a Transpose. */
        const resect_model *m = f->m;
        for (size_t i = 0; i < m->graph.n_tensors && !u->weight; i++) {
                const rs_atensor *t = rs_map_get(&set->anatomy->tensors, m->graph.tensors[i]->name);
                if (!t || !t->canonical || strcmp(t->canonical, "fc.weight") != 0 ||
                        m->graph.tensors[i]->rank != 2)
                        continue;
                u->weight_to = m->graph.tensors[i];
                u->conv_node = (rs_node *)(uintptr_t)n;
                set->head_in_out = u->weight_to->dims[1] == set->net.classes &&
                                   u->weight_to->dims[0] != set->net.classes;
                if (!(u->weight = entry_of(f, u->weight_to, "fc", "weight")))
                        return false;
        }
        return true;
}

static bool
take_node(struct finding *f, const rs_node *n, const char *prefix)
{
        rs_place at;
        bool norm = rs_is_norm(n), added = !strcmp(n->op, "Add");
        if (!parse_place(&f->set->net, prefix, norm, &at))
                return true;
        rs_unit *u = norm ? rs_set_bn(f->set, &at) : rs_set_conv(f->set, &at);
        if (!u || !strncmp(n->op, "QLinear", 7))
                return true;
        if (norm)
                return take_norm(f, n, prefix, u);
        if (added)
                return take_added(f, n, prefix, u);
        return at.module == RS_HEAD ? take_head(f, n, u) : take_conv(f, n, prefix, u);
}

bool
rs_set_of_model(rs_set *set, resect_model *m, resect_error *err)
{
        *set = (rs_set){.kernel = RS_OIHW};
        set->anatomy = resect_anatomy_find(m, err);
        if (!set->anatomy || !find_net(set, err) || !rs_set_units(set, err))
                return false;
        size_t nodes = m->graph.n_nodes;
        struct finding f = {.set = set, .m = m, .cap = 4 * nodes, .err = err};
        if (!(set->entries = RS_NEW(&set->arena, 4 * nodes + 1, rs_entry, err)))
                return false;
        for (size_t i = 0; i < nodes; i++) {
                const rs_node *n = m->graph.nodes[i];
                int k = rs_trunk_node(set->anatomy, n);
                if (k >= 0 && set->anatomy->trunk->canonical[k] &&
                        !take_node(&f, n, set->anatomy->trunk->canonical[k]))
                        return false;
        }
        rs_set_look_over(set);
        return true;
}
