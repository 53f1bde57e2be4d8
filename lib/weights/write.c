/* SPDX-License-Identifier: 0BSD */
/* Weights as a file: every unit made as the scheme wants it, under the scheme's names, and handed
 * to the format. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "weights/convert.h"

struct writing {
        const resect_weights *w;
        const rs_scheme *s, *read_as; /* the names that are written; those that were asked for */
        const resect_convert_options *o;
        rs_arena arena;
        rs_entry *entries;
        size_t n, cap;
        rs_ledger ledger;
        rs_rounding rounding;
        resect_conversion *sum;
        resect_error *err;
};

/* The place's name, prefix and all; NULL with a reason when the scheme has none. */
static const char *
name_of(struct writing *k, const rs_place *at, rs_role role)
{
        char name[RS_NAME_MAX], prefix[RS_NAME_MAX] = "", canonical[RS_NAME_MAX];
        const rs_net *net = &k->w->set.net;
        if (!rs_scheme_name(k->s, net, at, role, 0, name)) {
                rs_canonical_name(net, at, role, canonical);
                return RS_FAIL_NULL(
                        k->err, RESECT_UNSUPPORTED, "%s has no name for %s", k->s->name, canonical);
        }
        if (k->s->prefix && !rs_scheme_prefix(k->s, net, prefix))
                return RS_FAIL_NULL(
                        k->err, RESECT_UNSUPPORTED, "%s: its prefix does not fit", k->s->name);
        return rs_arena_printf(&k->arena, k->err, "%s%s", prefix, name);
}

static bool
add(struct writing *k, const char *name, const rs_entry *e, const char *why, const char *from)
{
        if (!name)
                return false;
        if (k->n == k->cap) {
                size_t cap = k->cap * 2 + 512;
                rs_entry *more = rs_grow(k->entries, cap, sizeof *more, k->err);
                if (!more)
                        return false;
                k->entries = more;
                k->cap = cap;
        }
        k->entries[k->n] = *e;
        k->entries[k->n++].name = name;
        return rs_filled(&k->ledger, name, why ? "defaulted" : "filled", why ? why : from);
}

static bool
add_number(
        struct writing *k, const rs_place *at, rs_role role, const rs_entry *own, const char *why)
{
        const char *name = name_of(k, at, role);
        static const int64_t one_dim = 1;
        static const unsigned char zero[8], one[4] = {0, 0, 0x80, 0x3f};
        const rs_entry count = {
                .dtype = RESECT_INT64, .count = 1, .bytes = 8, .data = {zero, 8}, .dims = &one_dim};
        const rs_entry factor = {.dtype = RESECT_FLOAT,
                .rank = 1,
                .dims = &one_dim,
                .count = 1,
                .bytes = 4,
                .data = {one, 4}};
        if (own && role == RS_BN_COUNT) {
                rs_used(&k->ledger, own, name);
                return add(k, name, own, NULL, own->name);
        }
        return add(k, name, role == RS_BN_COUNT ? &count : &factor, why, NULL);
}

/* For formats that have a place for it. */
static const rs_says *
says_of(struct writing *k, const rs_unit *u)
{
        rs_says *says = RS_NEW(&k->arena, 1, rs_says, k->err);
        if (says)
                *says = (rs_says){.epsilon = k->s->epsilon, .momentum = u->momentum};
        return says;
}

static bool
add_norm(struct writing *k, const rs_unit *u, const rs_made *made, const char *names[6])
{
        static const rs_role roles[] = {RS_BN_GAMMA, RS_BN_BETA, RS_BN_MEAN, RS_BN_VAR};
        for (int i = 0; i < 4; i++) {
                if (!k->s->slots[roles[i]])
                        return rs_fail(k->err, RESECT_UNSUPPORTED,
                                "%s stores no BatchNormalization", k->s->name);
                names[2 + i] = name_of(k, &u->bn, roles[i]);
                const rs_entry *from = u->norm[i] ? u->norm[i] : u->bias;
                rs_entry e = made->norm[i];
                if (roles[i] == RS_BN_VAR && !(e.says = says_of(k, u)))
                        return false;
                if (!add(k, names[2 + i], &e, made->why_norm[i], from ? from->name : NULL))
                        return false;
        }
        if (k->s->slots[RS_BN_COUNT] &&
                !add_number(k, &u->bn, RS_BN_COUNT, u->count,
                        "a counter that PyTorch wants; training starts it anew"))
                return false;
        return !k->s->slots[RS_BN_FACTOR] ||
               add_number(k, &u->bn, RS_BN_FACTOR, NULL, "what mean and variance are divided by");
}

/* A unit that the source has not got all of is left out, and told. */
static bool
miss_unit(struct writing *k, const rs_unit *u)
{
        static const rs_role roles[] = {RS_BN_GAMMA, RS_BN_BETA, RS_BN_MEAN, RS_BN_VAR};
        const char *name;
        if (u->has_conv && (!(name = name_of(k, &u->conv, RS_CONV_WEIGHT)) ||
                                   !rs_filled(&k->ledger, name, "missing", "")))
                return false;
        for (int i = 0; u->has_bn && !k->s->folded && k->s->modules[u->bn.module] && i < 4; i++)
                if (!(name = name_of(k, &u->bn, roles[i])) ||
                        !rs_filled(&k->ledger, name, "missing", ""))
                        return false;
        return true;
}

static bool
add_unit(struct writing *k, const rs_unit *u)
{
        rs_want want = {.bias = u->has_conv &&
                                (k->s->folded || rs_scheme_bias(k->s, &k->w->set.net, &u->conv)),
                .bn = u->has_bn && !k->s->folded && k->s->modules[u->bn.module],
                .epsilon = k->s->epsilon,
                .dtype = (int32_t)(k->o ? k->o->dtype : 0),
                .kernel = k->s->kernel,
                .rounding = &k->rounding};
        const char *names[6] = {NULL};
        rs_made made;
        if (!rs_unit_whole(&k->w->set, u))
                return miss_unit(k, u);
        if (!rs_unit_make(&k->w->set, u, &want, &k->arena, &made, k->err))
                return false;
        k->ledger.sum->exact &= made.exact;
        if (u->has_conv) {
                names[0] = name_of(k, &u->conv, RS_CONV_WEIGHT);
                if (!add(k, names[0], &made.weight, NULL, u->weight->name))
                        return false;
        }
        if (want.bias) {
                names[1] = name_of(k, &u->conv, RS_CONV_BIAS);
                const rs_entry *from = u->bias ? u->bias : u->norm[RS_BETA];
                if (!add(k, names[1], &made.bias, made.why_bias, from ? from->name : NULL))
                        return false;
        }
        if (want.bn && !add_norm(k, u, &made, names))
                return false;
        rs_unit_used(&k->ledger, u, names);
        return true;
}

static bool
add_head(struct writing *k)
{
        const rs_set *set = &k->w->set;
        const rs_want want = {.dtype = (int32_t)(k->o ? k->o->dtype : 0),
                .kernel = k->s->kernel,
                .rounding = &k->rounding};
        rs_entry weight, bias;
        if (!set->net.head)
                return true;
        if (!rs_head_make(set, k->s->head_in_out, k->s->head_conv, &want, &k->arena, &weight, &bias,
                    k->err))
                return false;
        const char *name = name_of(k, &set->head.conv, RS_HEAD_WEIGHT);
        rs_used(&k->ledger, set->head.weight, name);
        if (!add(k, name, &weight, NULL, set->head.weight->name))
                return false;
        if (!bias.count)
                return true;
        name = name_of(k, &set->head.conv, RS_HEAD_BIAS);
        rs_used(&k->ledger, set->head.bias, name);
        return add(k, name, &bias, NULL, set->head.bias->name);
}

/* What is no residual network, or is to keep its names: entry by entry. */
static bool
add_as_it_is(struct writing *k)
{
        const rs_checkpoint *c = k->w->checkpoint;
        int32_t dtype = (int32_t)(k->o ? k->o->dtype : 0);
        for (size_t i = 0; i < c->n_entries; i++) {
                rs_entry e = c->entries[i];
                bool real = e.dtype == RESECT_FLOAT || e.dtype == RESECT_DOUBLE ||
                            e.dtype == RESECT_FLOAT16 || e.dtype == RESECT_BFLOAT16;
                if (dtype && real && dtype != e.dtype &&
                        !rs_cast_entry(&c->entries[i], dtype, &k->rounding, &k->arena, &e, k->err))
                        return false;
                e.says = c->entries[i].says;
                rs_used(&k->ledger, &c->entries[i], c->entries[i].name);
                if (!add(k, c->entries[i].name, &e, NULL, c->entries[i].name))
                        return false;
        }
        return true;
}

static bool
version_fits(const struct writing *k)
{
        const rs_net *net = &k->w->set.net;
        return k->s->preactivation == net->preactivation ||
               rs_fail(k->err, RESECT_GRAPH, "%s names the tensors of %s networks; this one is %s",
                       k->s->name, k->s->preactivation ? "pre-activation (v2)" : "v1",
                       net->preactivation ? "v2" : "v1");
}

/* Who reads the file under these names will build this network. */
static bool
variant_fits(const struct writing *k)
{
        const rs_net *net = &k->w->set.net;
        rs_variant meant = rs_variant_of_scheme(k->s, net);
        char a[128], b[128];
        if (!version_fits(k))
                return false;
        if (rs_variant_same(&k->w->set.variant, &meant) ||
                (k->o && k->o->variant != RESECT_VARIANT_REFUSE))
                return true;
        rs_variant_words(&k->w->set.variant, net, a);
        rs_variant_words(&meant, net, b);
        return rs_fail(k->err, RESECT_GRAPH,
                "the weights are of a network with %s; under the names of %s it would have %s: "
                "they fit, but it would compute something else "
                "(--variant-from model writes them all the same)",
                a, k->s->name, b);
}

static bool
collect(struct writing *k)
{
        const rs_set *set = &k->w->set;
        if (!k->s)
                return add_as_it_is(k);
        if (!variant_fits(k))
                return false;
        for (size_t i = 0; i < set->n; i++)
                if (!add_unit(k, &set->units[i]))
                        return false;
        return add_head(k);
}

/* Whether the file gave an epsilon that nobody who only knows the names would think of. */
static bool
odd_epsilon(const rs_set *set)
{
        for (size_t i = 0; i < set->n; i++)
                if (set->units[i].norm[RS_VAR] &&
                        fabs(set->units[i].epsilon - set->scheme->epsilon) >= 1e-12)
                        return true;
        return false;
}

static bool
choose(struct writing *k, const rs_format *f, const char *names)
{
        const resect_weights *w = k->w;
        if (names && f->graph && f->scheme && strncmp(names, f->scheme, strlen(f->scheme)) != 0)
                return rs_fail(k->err, RESECT_UNSUPPORTED, "%s has names of its own: leave :%s out",
                        f->name, names);
        if (names && !(k->s = rs_scheme_find(names)))
                return rs_fail(k->err, RESECT_ARG, "there are no names called '%s'", names);
        /* from one file to another the names stay, also when nobody knows what they mean */
        if (!names && w->checkpoint && (!f->scheme || !w->info.recognised)) {
                if (w->info.recognised && odd_epsilon(&w->set)) /* then the variances are not */
                        k->s = w->set.scheme;
                return true;
        }
        if (!names)
                k->s = rs_scheme_find(f->scheme ? f->scheme : "torchvision");
        /* A v2 network under the v2 names of who has them: keras-v2 for keras; PyTorch's are
         * timm's. */
        if (!names && k->s && w->info.recognised && w->set.net.preactivation &&
                !k->s->preactivation) {
                char v2[64];
                snprintf(v2, sizeof v2, "%s-v2", k->s->name);
                k->s = rs_scheme_find(v2) ? rs_scheme_find(v2) : rs_scheme_find("timm-v2");
        }
        if (w->info.recognised)
                return !names || !f->graph || version_fits(k);
        if (k->err)
                *k->err = w->why;
        return false;
}

/* A tensor of a format that writes the network itself: under its canonical name, as it is or in
 * fewer bits. */
static bool
carry(struct writing *k, const rs_place *at, rs_role role, const rs_entry *e)
{
        char name[RS_NAME_MAX];
        rs_arena scratch = {0};
        rs_entry cast;
        rs_span s;
        int32_t dtype = (int32_t)(k->o ? k->o->dtype : 0);
        if (!e)
                return true;
        rs_canonical_name(&k->w->set.net, at, role, name);
        rs_used(&k->ledger, e, name);
        bool weight = role == RS_CONV_WEIGHT || role == RS_HEAD_WEIGHT,
             ok = rs_filled(&k->ledger, name, "filled", e->name);
        if (ok && weight && dtype && dtype != e->dtype) /* to know how far it is rounded */
                ok = rs_cast_entry(e, dtype, &k->rounding, &scratch, &cast, k->err) &&
                     rs_entry_bytes(&cast, &scratch, &s, k->err);
        rs_arena_free(&scratch);
        return ok;
}

/* Nodes and initializers go as they are: nothing is renamed, folded or laid out anew. */
static bool
collect_graph(struct writing *k, const rs_format *f)
{
        const rs_set *set = &k->w->set;
        if (!k->w->model)
                return rs_fail(k->err, RESECT_UNSUPPORTED,
                        "%s holds the network too: put the weights into a model (--into), and "
                        "convert that",
                        f->name);
        for (size_t i = 0; i < set->n; i++) {
                const rs_unit *u = &set->units[i];
                if (!carry(k, &u->conv, RS_CONV_WEIGHT, u->weight) ||
                        !carry(k, &u->conv, RS_CONV_BIAS, u->bias))
                        return false;
                for (int j = 0; j < 4; j++)
                        if (!carry(k, &u->bn, (rs_role)(RS_BN_GAMMA + j), u->norm[j]))
                                return false;
        }
        return carry(k, &set->head.conv, RS_HEAD_WEIGHT, set->head.weight) &&
               carry(k, &set->head.conv, RS_HEAD_BIAS, set->head.bias);
}

/* What is known when the last value has been made. */
static void
sum_up(const struct writing *k)
{
        k->sum->rounded = k->rounding.tensors;
        k->sum->max_abs = k->rounding.max_abs;
        k->sum->max_rel = k->rounding.max_rel;
        k->sum->overflowed = k->rounding.overflowed;
        k->sum->exact &= !k->sum->rounded;
}

/* What was written is shown to the caller, as the weights that its reader makes of it. */
static bool
prove(void *ctx, rs_checkpoint *c, resect_error *err)
{
        struct writing *k = ctx;
        /* a format of graphs has names of its own; else they are known, where there is a table */
        resect_weights *copy =
                rs_weights_of_checkpoint(c, c->format->graph ? NULL : k->read_as, err);
        sum_up(k);
        bool ok = copy && k->o->prove(k->o->ctx, copy, k->sum, err);
        resect_weights_free(copy);
        return ok || rs_fail_at(err, "what was made is not what it was made from, and nothing is "
                                     "left of it");
}

bool
resect_weights_write(const resect_weights *w, const char *path, const char *format,
        const char *names, const resect_convert_options *o, resect_conversion *out,
        resect_error *err)
{
        struct writing k = {.w = w, .o = o, .sum = out, .err = err};
        const rs_format *f = rs_format_find(format);
        if (!f)
                return rs_fail(err, RESECT_ARG,
                        "there is no format called '%s' (resect-convert --names lists them)",
                        format);
        if (!rs_format_writes(f, err))
                return false;
        if (f->many && !strcmp(path, "-"))
                return rs_fail(
                        err, RESECT_ARG, "%s is more than one file: say where (-o)", f->name);
        bool ok = rs_ledger_start(&k.ledger, w, out, err) && choose(&k, f, names) &&
                  (f->graph ? collect_graph(&k, f) : collect(&k));
        rs_ledger_end(&k.ledger, ok ? o : NULL);
        if (ok && (out->complete || (o && o->partial))) {
                rs_writing writing = {.path = path,
                        .entries = k.entries,
                        .n_entries = k.n,
                        .net = k.s ? &w->set.net : NULL,
                        .scheme = k.s,
                        .model = w->model,
                        .dtype = (int32_t)(o ? o->dtype : 0)};
                if (o && o->prove && w->info.recognised) {
                        k.read_as = names ? k.s : NULL;
                        writing.prove = prove;
                        writing.ctx = &k;
                        writing.max_size = o->max_size;
                }
                if (w->checkpoint) {
                        writing.meta = w->checkpoint->meta;
                        writing.n_meta = w->checkpoint->n_meta;
                }
                ok = rs_format_write(f, &writing, err);
                if (ok && k.s && k.s->first_down && !w->set.net.bottleneck && !w->set.net.down[0])
                        rs_convert_note(o,
                                "%s's own network has a Conv in the first block's shortcut, this "
                                "one has none: it will not find all that it looks for",
                                k.s->name);
                rs_weights_rest(w);
        }
        sum_up(&k);
        rs_free(k.entries);
        rs_arena_free(&k.arena);
        return ok;
}

void
resect_weights_remove(const char *path, const char *format)
{
        const rs_format *f = rs_format_find(format);
        if (f && f->remove)
                f->remove(path);
        else if (f)
                unlink(path);
}
