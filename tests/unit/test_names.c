/* SPDX-License-Identifier: 0BSD */
/*
 * Every naming scheme on every usual network: all names differ, and a checkpoint that holds nothing
 * but these names and the right shapes is recognised as what it is, blind or behind a prefix.
 */
#include <stdlib.h>
#include <string.h>
#include "unit.h"
#include "weights/set.h"

static const struct {
        bool bottleneck;
        int blocks[4];
} depths[] = {{false, {2, 2, 2, 2}}, {false, {3, 4, 6, 3}}, {true, {3, 4, 6, 3}},
        {true, {3, 4, 23, 3}}, {true, {3, 8, 36, 3}}};

static rs_net
net_of(const rs_scheme *s, size_t depth, int stem)
{
        rs_net net = {.n_stages = 4,
                .bottleneck = depths[depth].bottleneck,
                .preactivation = s->preactivation,
                .stem = stem,
                .down_pool = stem == 3 && (s->pooled_conv || s->deep_pools),
                .data_norm = s->modules[RS_DATA_BN] != NULL,
                .head = s->modules[RS_HEAD] != NULL,
                .classes = 1000};
        for (int i = 0; i < 4; i++) {
                net.blocks[i] = depths[depth].blocks[i];
                net.down[i] = i || net.bottleneck;
        }
        return net;
}

static bool
nothing(const rs_entry *e, rs_arena *a, rs_span *out, resect_error *err)
{
        (void)a, (void)out;
        return rs_fail(err, RESECT_ARG, "%s: nobody should ask", e->name);
}

static void
put(rs_checkpoint *c, const rs_scheme *s, const rs_net *net, const char *prefix, const rs_place *at,
        rs_role role, int rank, const int64_t *dims)
{
        char name[RS_NAME_MAX], full[2 * RS_NAME_MAX];
        resect_error err;
        if (!rs_scheme_name(s, net, at, role, 0, name)) {
                ck_assert_msg(role != RS_CONV_WEIGHT, "%s has no name for module %d", s->name,
                        at->module);
                return;
        }
        snprintf(full, sizeof full, "%s%s", prefix, name);
        ck_assert_msg(
                rs_checkpoint_add_lazy(c, full, RESECT_FLOAT, rank, dims, nothing, NULL, &err),
                "%s: %s", s->name, err.msg);
}

static void
put_kernel(rs_checkpoint *c, const rs_scheme *s, const rs_net *net, const char *prefix,
        const rs_place *at, int64_t out, int64_t in, int64_t side)
{
        const int64_t dims[3][4] = {
                {out, in, side, side}, {side, side, in, out}, {out, side, side, in}};
        put(c, s, net, prefix, at, RS_CONV_WEIGHT, 4, dims[s->kernel]);
        if (s->folded || rs_scheme_bias(s, net, at))
                put(c, s, net, prefix, at, RS_CONV_BIAS, 1, &out);
}

/* Output channels, input channels and side of a Conv in a ResNet. */
static void
shape_of(const rs_net *net, const rs_place *at, int64_t *out, int64_t *in, int64_t *side)
{
        int64_t width = at->stage ? 64 << (at->stage - 1) : 64,
                wide = net->bottleneck ? 4 * width : width, before = at->stage == 1 ? 64 : wide / 2,
                input = at->block ? wide : before;
        *side = 3;
        if (at->module == RS_STEM_CONV) {
                *side = net->stem == 1 ? 7 : 3;
                *in = at->conv == 1 ? 3 : 64;
                *out = 64;
        } else if (at->module == RS_DOWN_CONV) {
                *side = 1;
                *in = before;
                *out = wide;
        } else if (net->bottleneck) {
                *side = at->conv == 2 ? 3 : 1;
                *in = at->conv == 1 ? input : width;
                *out = at->conv == 3 ? wide : width;
        } else {
                *in = at->conv == 1 ? input : width;
                *out = width;
        }
}

static rs_checkpoint *
forge(const rs_scheme *s, const rs_net *net, const char *prefix)
{
        resect_error err;
        rs_checkpoint *c = calloc(1, sizeof *c);
        rs_set set = {.net = *net};
        const int64_t one = 1;
        c->path = "forged";
        CK_OK(rs_set_units(&set, &err), err);
        for (size_t i = 0; i < set.n; i++) {
                const rs_unit *u = &set.units[i];
                int64_t out = 3, in = 0, side = 0;
                if (u->has_conv) {
                        shape_of(net, &u->conv, &out, &in, &side);
                        put_kernel(c, s, net, prefix, &u->conv, out, in, side);
                }
                if (!u->has_bn || s->folded)
                        continue;
                for (rs_role r = RS_BN_GAMMA; r <= RS_BN_VAR; r++)
                        put(c, s, net, prefix, &u->bn, r, 1, &out);
                put(c, s, net, prefix, &u->bn, RS_BN_COUNT, 0, &one);
                put(c, s, net, prefix, &u->bn, RS_BN_FACTOR, 1, &one);
        }
        if (net->head) {
                int64_t features = net->bottleneck ? 2048 : 512, flat[2] = {1000, features},
                        turned[2] = {features, 1000}, n = 1000;
                const int64_t conv[3][4] = {
                        {1000, features, 1, 1}, {1, 1, features, 1000}, {1000, 1, 1, features}};
                if (s->head_conv)
                        put(c, s, net, prefix, &set.head.conv, RS_HEAD_WEIGHT, 4, conv[s->kernel]);
                else
                        put(c, s, net, prefix, &set.head.conv, RS_HEAD_WEIGHT, 2,
                                s->head_in_out ? turned : flat);
                put(c, s, net, prefix, &set.head.conv, RS_HEAD_BIAS, 1, &n);
        }
        rs_set_free(&set);
        return c;
}

static void
recognised(const rs_scheme *s, const rs_net *net, const char *prefix, bool blind)
{
        resect_error err;
        rs_set set;
        rs_checkpoint *c = forge(s, net, prefix);
        ck_assert_msg(
                rs_set_of_checkpoint(&set, c, blind ? NULL : s, &err), "%s: %s", s->name, err.msg);
        ck_assert_msg(set.found == c->n_entries,
                "%s, %d layers, taken for %s: %zu of %zu tensors found", s->name, rs_net_depth(net),
                set.scheme->name, set.found, c->n_entries);
        ck_assert_msg(!strcmp(set.prefix, prefix), "%s: prefix '%s', not '%s'", s->name, set.prefix,
                prefix);
        ck_assert_msg(set.net.n_stages == 4 &&
                              !memcmp(set.net.blocks, net->blocks, sizeof net->blocks) &&
                              set.net.bottleneck == net->bottleneck &&
                              !memcmp(set.net.down, net->down, sizeof net->down) &&
                              set.net.preactivation == net->preactivation &&
                              set.net.stem == net->stem && set.net.down_pool == net->down_pool &&
                              set.net.classes == (net->head ? net->classes : 0) &&
                              set.net.data_norm == net->data_norm,
                "%s: another network than %d layers, by %s", s->name, rs_net_depth(net),
                set.scheme->name);
        /* Of two schemes that share all their names the first is taken. */
        ck_assert_msg(
                set.scheme == s ||
                        !strcmp(set.scheme->modules[RS_STEM_CONV], s->modules[RS_STEM_CONV]) ||
                        strchr(set.scheme->modules[RS_STEM_CONV], '|') ||
                        strchr(s->modules[RS_STEM_CONV], '|'),
                "%s taken for %s", s->name, set.scheme->name);
        ck_assert_int_eq(set.scheme->kernel, s->kernel);
        ck_assert_int_eq(set.head_in_out, s->head_in_out && net->head);
        rs_set_free(&set);
        rs_checkpoint_free(c);
}

START_TEST(every_scheme)
{
        size_t n = 0;
        for (; rs_scheme_list(n); n++) {
                const rs_scheme *s = rs_scheme_list(n);
                for (size_t d = 0; d < sizeof depths / sizeof *depths; d++)
                        for (int stem = 1; stem <= (s->deep_conv[0] ? 3 : 1); stem += 2) {
                                rs_net net = net_of(s, d, stem);
                                char prefix[RS_NAME_MAX];
                                if (!rs_scheme_prefix(s, &net, prefix))
                                        prefix[0] = '\0';
                                recognised(s, &net, prefix, true);
                                recognised(s, &net, prefix, false);
                                recognised(s, &net, "state_dict.module.", true);
                        }
                ck_assert_ptr_eq(rs_scheme_find(s->name), s);
                ck_assert(s->help && s->epsilon > 0);
        }
        ck_assert_uint_ge(n, 4);
}
END_TEST

/* resect-convert --names shows them all; no two are called alike. */
START_TEST(lists)
{
        for (size_t i = 0; rs_scheme_list(i); i++)
                for (size_t k = 0; k < i; k++)
                        ck_assert_str_ne(rs_scheme_list(i)->name, rs_scheme_list(k)->name);
        for (size_t i = 0; rs_format_list(i); i++) {
                for (size_t k = 0; k < i; k++)
                        ck_assert_str_ne(rs_format_list(i)->name, rs_format_list(k)->name);
                ck_assert(rs_format_list(i)->read || rs_format_list(i)->write);
                ck_assert(!rs_format_list(i)->scheme || rs_scheme_find(rs_format_list(i)->scheme));
        }
}
END_TEST

/* A name is at most RS_NAME_MAX; patterns that are broken make none. */
START_TEST(broken_patterns)
{
        const rs_scheme s = {.name = "broken",
                .modules = {[RS_STEM_CONV] = "a{",
                        [RS_STEM_BN] = "a{zz}",
                        [RS_CONV] = "{m}",
                        [RS_BN] = "{s+}",
                        [RS_HEAD] = "a|{b+1}|c"},
                .slots = {"{m}.w", NULL, "{m}", NULL, NULL, NULL, NULL, NULL, "{m}.w|{m}.v", NULL}};
        const rs_net net = {.n_stages = 1, .blocks = {2}, .stem = 1};
        char out[RS_NAME_MAX];
        static const rs_module modules[] = {RS_STEM_CONV, RS_STEM_BN, RS_CONV, RS_BN, RS_NORM};
        for (size_t i = 0; i < sizeof modules / sizeof *modules; i++)
                ck_assert(!rs_scheme_name(&s, &net, &(rs_place){modules[i], 1, 0, 1},
                        i == 1 || i == 3 ? RS_BN_GAMMA : RS_CONV_WEIGHT, 0, out));
        static const char *const want[] = {"a.w", "a.v", "4.w", "4.v", "c.w", "c.v"};
        for (int k = 0; k < 6; k++) {
                ck_assert(rs_scheme_name(
                        &s, &net, &(rs_place){RS_HEAD, 0, 3, 1}, RS_HEAD_WEIGHT, k, out));
                ck_assert_str_eq(out, want[k]);
        }
        ck_assert(!rs_scheme_name(&s, &net, &(rs_place){RS_HEAD, 0, 3, 1}, RS_HEAD_WEIGHT, 6, out));
}
END_TEST

UNIT_MAIN("names", every_scheme, lists, broken_patterns)
