/* SPDX-License-Identifier: 0BSD */
/* A network's units, in order; and the canonical names, which are a scheme like any other. */
#include "weights/set.h"

#include <string.h>
#include "weights/names.h"

/* torchvision's names; where it has none timm's. A shortcut behind a pool counts it, where there is
   one (timm's d has none in its first stage). The BatchNormalization on the picture has no name in
   PyTorch. */
static const rs_scheme canonical = {
        .name = "canonical",
        .modules = {[RS_STEM_CONV] = "conv1",
                [RS_STEM_BN] = "bn1",
                [RS_CONV] = "layer{s}.{b}.conv{c}",
                [RS_BN] = "layer{s}.{b}.bn{c}",
                [RS_DOWN_CONV] = "layer{s}.{b}.downsample.0",
                [RS_DOWN_BN] = "layer{s}.{b}.downsample.1",
                [RS_NORM] = "norm",
                [RS_DATA_BN] = "bn0",
                [RS_HEAD] = "fc"},
        .deep_conv = {"conv1.0", "conv1.3", "conv1.6"},
        .deep_bn = {"conv1.1", "conv1.4", "bn1"},
        .slots = {RS_SLOTS_PYTORCH, RS_SLOT_COUNTER},
};

void
rs_canonical_name(const rs_net *net, const rs_place *at, rs_role role, char out[RS_NAME_MAX])
{
        if (!rs_scheme_name(&canonical, net, at, role, 0, out))
                out[0] = '\0';
}

bool
rs_scheme_bias(const rs_scheme *s, const rs_net *net, const rs_place *at)
{
        unsigned biases = net->bottleneck ? s->biases : s->biases_basic;
        switch (at->module) {
        case RS_STEM_CONV:
                return biases & RS_BIAS_STEM;
        case RS_DOWN_CONV:
                return biases & RS_BIAS_DOWN;
        default:
                return biases & (unsigned)RS_BIAS_CONV1 << (at->conv - 1);
        }
}

static rs_unit *
add(rs_set *set, rs_module conv, rs_module bn, int stage, int block, int conv_number, int bn_number)
{
        rs_unit *u = &set->units[set->n++];
        u->has_conv = conv != RS_MODULES;
        u->has_bn = bn != RS_MODULES;
        u->conv = (rs_place){conv, stage, block, conv_number};
        u->bn = (rs_place){bn, stage, block, bn_number};
        return u;
}

static void
add_block(rs_set *set, int stage, int block)
{
        const rs_net *net = &set->net;
        int convs = net->bottleneck ? 3 : 2;
        bool v2 = net->preactivation;
        if (v2)
                add(set, RS_MODULES, RS_BN, stage, block, 0, 1);
        for (int c = 1; c <= convs; c++)
                add(set, RS_CONV, v2 && c == convs ? RS_MODULES : RS_BN, stage, block, c,
                        v2 ? c + 1 : c);
        if (block == 0 && net->down[stage - 1])
                add(set, RS_DOWN_CONV, v2 ? RS_MODULES : RS_DOWN_BN, stage, block, 1, 1);
}

bool
rs_set_units(rs_set *set, resect_error *err)
{
        const rs_net *net = &set->net;
        size_t blocks = 0, at = 0;
        for (int s = 0; s < net->n_stages; s++)
                blocks += (size_t)net->blocks[s];
        set->n = 0;
        set->units = RS_NEW(&set->arena, 8 + 5 * blocks, rs_unit, err);
        set->starts = RS_NEW(&set->arena, blocks + 1, size_t, err);
        if (!set->units || !set->starts)
                return false;
        if (net->data_norm)
                add(set, RS_MODULES, RS_DATA_BN, 0, 0, 0, 1);
        for (int c = 1; c <= net->stem; c++)
                add(set, RS_STEM_CONV,
                        net->preactivation && c == net->stem ? RS_MODULES : RS_STEM_BN, 0, 0, c, c);
        for (int s = 1; s <= net->n_stages; s++)
                for (int b = 0; b < net->blocks[s - 1]; b++) {
                        set->starts[at++] = set->n;
                        add_block(set, s, b);
                }
        if (net->preactivation)
                add(set, RS_MODULES, RS_NORM, 0, 0, 0, 1);
        set->head = (rs_unit){.has_conv = net->head, .conv = {RS_HEAD, 0, 0, 1}};
        return true;
}

static bool
same_place(const rs_place *a, const rs_place *b)
{
        return a->module == b->module && a->stage == b->stage && a->block == b->block &&
               a->conv == b->conv;
}

/* Units of a block stand together; those of the stem stand first, the last norm last. */
static size_t
search_from(const rs_set *set, const rs_place *at)
{
        const rs_net *net = &set->net;
        size_t block = 0;
        if (at->module == RS_NORM && set->n)
                return set->n - 1;
        if (at->stage < 1)
                return 0;
        if (at->stage > net->n_stages || at->block < 0 || at->block >= net->blocks[at->stage - 1])
                return set->n;
        for (int s = 1; s < at->stage; s++)
                block += (size_t)net->blocks[s - 1];
        return set->starts[block + (size_t)at->block];
}

enum { LONGEST = 6 }; /* units of a block, or of a stem */

static rs_unit *
find(rs_set *set, const rs_place *at, bool bn)
{
        size_t from = search_from(set, at);
        for (size_t i = from; i < set->n && i < from + LONGEST; i++) {
                rs_unit *u = &set->units[i];
                if (bn ? u->has_bn && same_place(&u->bn, at)
                       : u->has_conv && same_place(&u->conv, at))
                        return u;
        }
        return NULL;
}

rs_unit *
rs_set_conv(rs_set *set, const rs_place *at)
{
        if (at->module == RS_HEAD)
                return set->head.has_conv ? &set->head : NULL;
        return find(set, at, false);
}

rs_unit *
rs_set_bn(rs_set *set, const rs_place *at)
{
        return find(set, at, true);
}

bool
rs_unit_whole(const rs_set *set, const rs_unit *u)
{
        bool norm = u->norm[RS_MEAN] || u->norm[RS_VAR] || u->norm[RS_GAMMA] || u->norm[RS_BETA];
        if (u->has_conv && !u->weight)
                return false;
        if (!norm) /* folded: then all of them are */
                return u->has_conv && (!u->has_bn || set->bn_folded || u->bias);
        return u->norm[RS_MEAN] && u->norm[RS_VAR] &&
               (!set->scales || u->norm[RS_GAMMA] || u->fixed) &&
               (!set->shifts || u->norm[RS_BETA]);
}

void
rs_set_look_over(rs_set *set)
{
        bool any = false;
        set->scales = set->shifts = false;
        for (size_t i = 0; i < set->n; i++) {
                any |= set->units[i].norm[RS_VAR] || set->units[i].norm[RS_MEAN];
                set->scales |= set->units[i].norm[RS_GAMMA] != NULL;
                set->shifts |= set->units[i].norm[RS_BETA] != NULL;
        }
        set->bn_folded = !any;
}

void
rs_set_free(rs_set *set)
{
        resect_anatomy_free(set->anatomy);
        rs_arena_free(&set->arena);
        *set = (rs_set){0};
}
