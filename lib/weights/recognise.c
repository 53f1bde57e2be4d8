/* SPDX-License-Identifier: 0BSD */
/*
 * Which network is it, and in whose words? For each scheme: somewhere there must be a tensor with
 * the stem's name and shape, and what stands before that name stands before all names. Then stages
 * and blocks are walked as long as the names that the scheme would give are there; where names
 * alone do not tell whether a stage goes on (running numbers), widths do: they double at a stage's
 * beginning. The scheme that accounts for most tensors is the one.
 */
#include <stdio.h>
#include <string.h>
#include "weights/set.h"

enum { PREFIXES = 6 };

struct looking {
        const rs_checkpoint *c;
        const rs_scheme *s;
        rs_net net;
        char prefix[RS_NAME_MAX];
};

/* The tensor of a place, by any of the scheme's alternatives. */
static const rs_entry *
look(const struct looking *l, const rs_place *at, rs_role role)
{
        char full[2 * RS_NAME_MAX], name[RS_NAME_MAX];
        for (int k = 0; k < RS_ALTERNATIVES_MAX; k++) {
                const rs_entry *e;
                if (!rs_scheme_name(l->s, &l->net, at, role, k, name)) {
                        if (k == 0 && !l->s->variable)
                                return NULL;
                        continue;
                }
                snprintf(full, sizeof full, "%s%s", l->prefix, name);
                if ((e = rs_checkpoint_find(l->c, full)))
                        return e;
        }
        return NULL;
}

/* Output channels, input channels and side of a kernel in the scheme's layout; false when it is no
 * kernel. */
static bool
kernel_of(const rs_scheme *s, const rs_entry *e, int64_t *out, int64_t *in, int64_t *side)
{
        static const int axes[][3] = {
                [RS_OIHW] = {0, 1, 2}, [RS_HWIO] = {3, 2, 0}, [RS_OHWI] = {0, 3, 1}};
        if (!e || e->rank != 4)
                return false;
        const int *x = axes[s->kernel];
        *out = e->dims[x[0]];
        *in = e->dims[x[1]];
        *side = e->dims[x[2]];
        return e->dims[x[2] + 1] == *side;
}

/* A kernel of that side at a place; its output channels, or 0. */
static int64_t
width_at(const struct looking *l, rs_module module, int stage, int block, int conv, int64_t want)
{
        int64_t out, in, side;
        const rs_place at = {module, stage, block, conv};
        return kernel_of(l->s, look(l, &at, RS_CONV_WEIGHT), &out, &in, &side) && side == want ? out
                                                                                               : 0;
}

/* Where the stem's Conv may be: each prefix before its name, with the shape of one. */
static size_t
find_prefixes(struct looking *l, int stem, char out[PREFIXES][RS_NAME_MAX])
{
        size_t n = 0;
        const rs_place at = {RS_STEM_CONV, 0, 0, 1};
        char name[RS_NAME_MAX];
        l->net.stem = stem;
        for (int k = 0; k < RS_ALTERNATIVES_MAX && n < PREFIXES; k++) {
                if (!rs_scheme_name(l->s, &l->net, &at, RS_CONV_WEIGHT, k, name))
                        continue;
                size_t length = strlen(name);
                for (size_t i = 0; i < l->c->n_entries && n < PREFIXES; i++) {
                        const rs_entry *e = &l->c->entries[i];
                        size_t full = strlen(e->name);
                        int64_t o, in, side;
                        if (full < length || full - length >= RS_NAME_MAX ||
                                strcmp(e->name + full - length, name) != 0 ||
                                !kernel_of(l->s, e, &o, &in, &side) ||
                                (in != 3 && in != 1 && in != 4) || side > 11)
                                continue;
                        memcpy(out[n], e->name, full - length);
                        out[n++][full - length] = '\0';
                }
        }
        return n;
}

/* The first block: a 1x1 or a 3x3 begins it. Where names are running numbers it matters whether a
 * Conv stands in its shortcut. */
static bool
first_block(struct looking *l, int64_t *width)
{
        for (int guess = 0; guess < 4; guess++) {
                rs_net *net = &l->net;
                net->n_stages = 1;
                net->blocks[0] = 1;
                net->bottleneck = guess == 0 || guess == 3;
                net->down[0] = guess == 0 || guess == 2;
                *width = width_at(l, RS_CONV, 1, 0, 1, net->bottleneck ? 1 : 3);
                if (*width && width_at(l, RS_CONV, 1, 0, 2, 3) &&
                        (!net->bottleneck || width_at(l, RS_CONV, 1, 0, 3, 1)) &&
                        (width_at(l, RS_DOWN_CONV, 1, 0, 1, 1) != 0) == net->down[0])
                        return true;
        }
        return false;
}

/* Whether the next stage begins behind the last one; then it is begun. */
static bool
next_stage(struct looking *l, int64_t *width)
{
        rs_net *net = &l->net;
        if (net->n_stages == RS_STAGES_MAX)
                return false;
        int s = ++net->n_stages;
        for (int guess = 0; guess < 2; guess++) {
                net->blocks[s - 1] = 1;
                net->down[s - 1] = guess == 0;
                int64_t w = width_at(l, RS_CONV, s, 0, 1, net->bottleneck ? 1 : 3);
                if (w && (width_at(l, RS_DOWN_CONV, s, 0, 1, 1) != 0) == net->down[s - 1]) {
                        *width = w;
                        return true;
                }
        }
        net->blocks[s - 1] = 0;
        net->down[s - 1] = false;
        net->n_stages--;
        return false;
}

/* Are its names the same whether a stage goes on or a new one begins? */
static bool
counts_on(const rs_scheme *s)
{
        return strstr(s->modules[RS_CONV], "{i") != NULL || s->variable != NULL;
}

static void
walk_blocks(struct looking *l, int64_t width)
{
        rs_net *net = &l->net;
        for (;;) {
                int s = net->n_stages, b = net->blocks[s - 1];
                int64_t w = 0, wider = width;
                if (b < RS_BLOCKS_MAX) {
                        net->blocks[s - 1]++;
                        w = width_at(l, RS_CONV, s, b, 1, net->bottleneck ? 1 : 3);
                        if (w == width || (w && !counts_on(l->s)))
                                continue;
                        net->blocks[s - 1]--;
                }
                if (!next_stage(l, &wider) || (w && wider == width))
                        return;
                width = wider;
        }
}

static void
find_head(struct looking *l)
{
        const rs_place at = {RS_HEAD, 0, 0, 1};
        const rs_entry *e = look(l, &at, RS_HEAD_WEIGHT);
        int64_t in, side;
        l->net.head = e != NULL;
        if (e && e->rank == 2)
                l->net.classes = e->dims[l->s->head_in_out ? 1 : 0];
        else if (e && !kernel_of(l->s, e, &l->net.classes, &in, &side))
                l->net.head = false;
}

static bool
take(rs_set *set, const rs_checkpoint *c, const struct looking *l, const rs_place *at, rs_role role,
        const rs_entry **to)
{
        const rs_entry *e = look(l, at, role);
        struct rs_taken *t = e ? &set->taken[e - c->entries] : NULL;
        if (!e || t->taken)
                return false;
        *t = (struct rs_taken){true, *at, role};
        set->found++;
        *to = e;
        return true;
}

static void
fill_unit(rs_set *set, const rs_checkpoint *c, const struct looking *l, rs_unit *u)
{
        static const rs_role roles[] = {RS_BN_GAMMA, RS_BN_BETA, RS_BN_MEAN, RS_BN_VAR};
        if (u->has_conv) {
                set->missing += !take(set, c, l, &u->conv, RS_CONV_WEIGHT, &u->weight);
                set->missing += !take(set, c, l, &u->conv, RS_CONV_BIAS, &u->bias) &&
                                rs_scheme_bias(l->s, &l->net, &u->conv);
        }
        if (!u->has_bn || l->s->folded)
                return;
        for (int i = 0; i < 4; i++)
                set->missing += !take(set, c, l, &u->bn, roles[i], &u->norm[i]);
        const rs_entry *gamma = u->norm[RS_GAMMA];
        if ((u->bn.module == RS_DATA_BN && l->s->fixed_gamma_data) ||
                (gamma && gamma->says && gamma->says->fixed)) {
                u->fixed = u->norm[RS_GAMMA];
                u->norm[RS_GAMMA] = NULL;
        }
        take(set, c, l, &u->bn, RS_BN_COUNT, &u->count);
        take(set, c, l, &u->bn, RS_BN_FACTOR, &u->factor);
        const rs_says *says = u->norm[RS_VAR] ? u->norm[RS_VAR]->says : NULL;
        u->epsilon = says && says->epsilon >= 0 ? says->epsilon : l->s->epsilon;
        u->momentum = says && says->momentum > 0 ? says->momentum : l->s->momentum;
}

static bool
head_shape_fits(const rs_set *set)
{
        const rs_entry *w = set->head.weight;
        const rs_unit *last = NULL;
        for (size_t i = 0; i < set->n; i++)
                if (set->units[i].has_conv && set->units[i].conv.module == RS_CONV &&
                        set->units[i].weight)
                        last = &set->units[i];
        if (!w || w->rank != 2 || !last)
                return true;
        int64_t out, in, side;
        return !kernel_of(set->scheme, last->weight, &out, &in, &side) ||
               w->dims[set->head_in_out ? 0 : 1] == out;
}

static bool
fill_set(rs_set *set, const rs_checkpoint *c, struct looking *l, resect_error *err)
{
        rs_net *net = &l->net;
        const rs_place data = {RS_DATA_BN, 0, 0, 1};
        net->data_norm = look(l, &data, RS_BN_BETA) || look(l, &data, RS_BN_MEAN);
        find_head(l);
        *set = (rs_set){.net = *net,
                .scheme = l->s,
                .kernel = l->s->kernel,
                .head_in_out = l->s->head_in_out,
                .head_conv = l->s->head_conv};
        snprintf(set->prefix, sizeof set->prefix, "%s", l->prefix);
        set->taken = RS_NEW(&set->arena, c->n_entries + 1, struct rs_taken, err);
        if (!set->taken || !rs_set_units(set, err))
                return false;
        for (size_t i = 0; i < set->n; i++)
                fill_unit(set, c, l, &set->units[i]);
        rs_set_look_over(set);
        if (net->head) {
                take(set, c, l, &set->head.conv, RS_HEAD_WEIGHT, &set->head.weight);
                take(set, c, l, &set->head.conv, RS_HEAD_BIAS, &set->head.bias);
                if (set->head.weight && set->head.weight->rank == 4)
                        set->head_conv = true;
                else
                        set->head_conv = false;
        }
        return true;
}

/* One accounts for more tensors, or for as many and lacks fewer that the scheme would have. */
static bool
better(const rs_set *a, const rs_set *b)
{
        return a->found > b->found || (a->found == b->found && a->found && a->missing < b->missing);
}

/* The best set under one scheme; found 0 when it does not fit at all. */
static bool
try_scheme(const rs_checkpoint *c, const rs_scheme *s, rs_set *best, resect_error *err)
{
        *best = (rs_set){0};
        for (int stem = 1; stem <= 3; stem += 2) {
                char prefixes[PREFIXES][RS_NAME_MAX];
                struct looking l = {.c = c, .s = s};
                if (stem == 3 && !s->deep_conv[0])
                        break;
                size_t n = find_prefixes(&l, stem, prefixes);
                for (size_t i = 0; i < n; i++) {
                        for (int pooled = 0; pooled < 1 + (s->pooled_conv != NULL); pooled++) {
                                int64_t width;
                                rs_set set;
                                l.net = (rs_net){.stem = stem,
                                        .preactivation = s->preactivation,
                                        .down_pool = s->deep_pools ? stem == 3 : pooled};
                                strcpy(l.prefix, prefixes[i]);
                                if (!first_block(&l, &width))
                                        continue;
                                walk_blocks(&l, width);
                                if (!fill_set(&set, c, &l, err)) {
                                        rs_set_free(&set);
                                        return false;
                                }
                                if (better(&set, best) && head_shape_fits(&set)) {
                                        rs_set swap = *best;
                                        *best = set;
                                        set = swap;
                                }
                                rs_set_free(&set);
                        }
                }
        }
        return true;
}

bool
rs_set_of_checkpoint(
        rs_set *set, const rs_checkpoint *c, const rs_scheme *scheme, resect_error *err)
{
        *set = (rs_set){0};
        for (size_t i = 0; scheme ? i < 1 : rs_scheme_list(i) != NULL; i++) {
                rs_set other;
                if (!try_scheme(c, scheme ? scheme : rs_scheme_list(i), &other, err)) {
                        rs_set_free(&other);
                        return false;
                }
                if (better(&other, set)) {
                        rs_set swap = *set;
                        *set = other;
                        other = swap;
                }
                rs_set_free(&other);
        }
        if (set->found)
                return true;
        return scheme ? rs_fail(err, RESECT_FORMAT, "%s: no residual network under the names of %s",
                                c->path, scheme->name)
                      : rs_fail(err, RESECT_FORMAT,
                                "%s: no residual network under any known names (resect-convert "
                                "--names lists them)",
                                c->path);
}
