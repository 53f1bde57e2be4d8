/* SPDX-License-Identifier: 0BSD */
/*
 * Weights into a model. The model's nodes say what there is room for, unit by unit: a bias, a
 * BatchNormalization. Its epsilon becomes the weights' own, so that no variance need be rounded; a
 * Conv whose bias nothing can absorb gets one.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "data/data.h"
#include "look/trunk.h"
#include "weights/convert.h"

struct putting {
        const resect_weights *w;
        resect_model *m;
        rs_set to;
        const resect_convert_options *o;
        rs_ledger ledger;
        rs_rounding rounding;
        rs_map given; /* initializers that have their values already: the next node that reads one
                         gets its own */
        size_t epsilons, momenta, biases;
        resect_error *err;
};

/* The slot's initializer, one of its own if another node's values are in it already. */
static rs_tensor *
own_tensor(struct putting *p, rs_node *n, size_t slot, rs_tensor *t)
{
        if (rs_map_get(&p->given, t->name)) {
                const char *name = rs_model_fresh_name(p->m, t->name, p->err);
                rs_tensor *fresh =
                        name ? rs_model_add_tensor(p->m, name, t->dtype, t->rank, t->dims, p->err)
                             : NULL;
                if (!fresh)
                        return NULL;
                n->in[slot] = fresh->name;
                rs_node_touch(n);
                t = fresh;
        }
        return rs_map_put(&p->given, t->name, t, NULL, p->err) ? t : NULL;
}

static bool
same_dims(const rs_tensor *t, const rs_entry *e)
{
        if (e->rank == 1) /* a bias may stand as [1, C, 1, 1] */
                return t->count == e->count;
        if (t->rank != e->rank)
                return false;
        for (int i = 0; i < t->rank; i++)
                if (t->dims[i] != e->dims[i])
                        return false;
        return true;
}

/* The tensor's values are the entry's from now on. */
static bool
give(struct putting *p, rs_node *n, size_t slot, rs_tensor *t, const rs_entry *e, const char *why,
        const char *from)
{
        char detail[256];
        if (!same_dims(t, e)) {
                snprintf(detail, sizeof detail, "%s has another shape",
                        from ? from : "the source's tensor");
                return rs_filled(&p->ledger, t->name, "missing", detail);
        }
        rs_span bytes;
        if (!(t = own_tensor(p, n, slot, t)) || !rs_entry_bytes(e, &p->m->arena, &bytes, p->err))
                return false;
        t->where = RS_HERE;
        t->location = NULL;
        t->data = bytes;
        t->touched = true;
        return rs_filled(&p->ledger, t->name, why ? "defaulted" : "filled", why ? why : from);
}

static size_t
slot_of(const rs_node *n, const rs_tensor *t, size_t usual)
{
        for (size_t i = 0; i < n->n_in; i++)
                if (!strcmp(n->in[i], t->name))
                        return i;
        return usual;
}

/* A Conv gets a bias of its own. */
static rs_tensor *
add_bias(struct putting *p, rs_node *n, const char *canonical, const rs_entry *like)
{
        const char *name = rs_model_fresh_name(p->m, canonical, p->err);
        rs_tensor *t =
                name ? rs_model_add_tensor(p->m, name, like->dtype, 1, like->dims, p->err) : NULL;
        const char **in = RS_NEW(&p->m->arena, 3, const char *, p->err);
        if (!t || !in)
                return NULL;
        in[0] = n->in[0];
        in[1] = n->in[1];
        in[2] = t->name;
        n->in = in;
        n->n_in = 3;
        rs_node_touch(n);
        p->biases++;
        return t;
}

static bool
missing_unit(struct putting *p, const rs_unit *to)
{
        const rs_tensor *all[6] = {to->weight_to, to->bias_to, to->norm_to[0], to->norm_to[1],
                to->norm_to[2], to->norm_to[3]};
        for (int i = 0; i < 6; i++)
                if (all[i] && !rs_filled(&p->ledger, all[i]->name, "missing", ""))
                        return false;
        return true;
}

/* The BatchNormalization takes over the weights' epsilon. */
static bool
take_epsilon(struct putting *p, const rs_unit *from, const rs_unit *to, rs_want *want)
{
        want->epsilon = to->epsilon;
        if (!to->bn_node || !from->norm[RS_VAR] || fabs(from->epsilon - to->epsilon) < 1e-12)
                return true;
        want->epsilon = from->epsilon;
        p->epsilons++;
        return rs_node_set_float(p->m, to->bn_node, "epsilon", (float)from->epsilon, p->err);
}

/* And, so that it is trained on as it was trained, their momentum. */
static bool
take_momentum(struct putting *p, const rs_unit *from, const rs_unit *to)
{
        if (!to->bn_node || !from->norm[RS_VAR] || from->momentum <= 0 ||
                fabs(from->momentum - to->momentum) < 1e-6)
                return true;
        p->momenta++;
        return rs_node_set_float(p->m, to->bn_node, "momentum", (float)from->momentum, p->err);
}

/* Does the source's bias need room of its own: nothing here or there would absorb it? */
static bool
needs_bias(const rs_unit *from, const rs_unit *to)
{
        bool norm = from->norm[RS_MEAN] && from->norm[RS_VAR];
        return to->conv_node && !to->bias_to && rs_is_conv(to->conv_node) &&
               to->conv_node->n_in == 2 && !to->bn_node && (from->bias || norm);
}

static bool
put_unit(struct putting *p, const rs_unit *from, rs_unit *to)
{
        rs_want want = {.bias = to->bias_to || needs_bias(from, to),
                .bn = to->bn_node != NULL,
                .kernel = RS_OIHW,
                .rounding = &p->rounding};
        const rs_tensor *first = to->weight_to ? to->weight_to : to->norm_to[RS_VAR];
        rs_made made;
        if (!first)
                return true; /* nothing that could be filled: the graph computes it */
        want.dtype = first->dtype;
        if (!rs_unit_whole(&p->w->set, from))
                return missing_unit(p, to);
        if (!take_epsilon(p, from, to, &want) || !take_momentum(p, from, to) ||
                !rs_unit_make(&p->w->set, from, &want, &p->m->arena, &made, p->err))
                return false;
        p->ledger.sum->exact &= made.exact;
        if (want.bias && !to->bias_to) {
                char canonical[RS_NAME_MAX];
                rs_canonical_name(&p->to.net, &to->conv, RS_CONV_BIAS, canonical);
                if (!(to->bias_to = add_bias(p, to->conv_node, canonical, &made.bias)))
                        return false;
        }
        const char *names[6] = {
                to->weight_to ? to->weight_to->name : NULL, to->bias_to ? to->bias_to->name : NULL};
        const rs_entry *sources[4] = {from->norm[0], from->norm[1], from->norm[2], from->norm[3]};
        for (int i = 0; i < 4; i++)
                names[2 + i] = to->norm_to[i] ? to->norm_to[i]->name : NULL;
        if (to->weight_to && !give(p, to->conv_node, slot_of(to->conv_node, to->weight_to, 1),
                                     to->weight_to, &made.weight, NULL, from->weight->name))
                return false;
        if (to->bias_to && !give(p, to->conv_node, slot_of(to->conv_node, to->bias_to, 2),
                                   to->bias_to, &made.bias, made.why_bias,
                                   from->bias            ? from->bias->name
                                   : from->norm[RS_BETA] ? from->norm[RS_BETA]->name
                                                         : NULL))
                return false;
        for (int i = 0; i < 4; i++)
                if (to->bn_node && to->norm_to[i] &&
                        !give(p, to->bn_node, (size_t)i + 1, to->norm_to[i], &made.norm[i],
                                made.why_norm[i],
                                sources[i]   ? sources[i]->name
                                : from->bias ? from->bias->name
                                             : NULL))
                        return false;
        rs_unit_used(&p->ledger, from, names);
        return true;
}

static bool
put_head(struct putting *p)
{
        const rs_set *from = &p->w->set;
        rs_set *to = &p->to;
        rs_entry weight, bias;
        char why[128];
        const rs_tensor *have[2] = {to->head.weight_to, to->head.bias_to};
        if (!from->head.weight || !to->head.weight_to || from->net.classes != to->net.classes) {
                snprintf(why, sizeof why,
                        !to->head.weight_to ? "the model has no classifier"
                                            : "a classifier of %lld classes; the model's has %lld",
                        (long long)from->net.classes, (long long)to->net.classes);
                rs_dropped(&p->ledger, from->head.weight, why);
                rs_dropped(&p->ledger, from->head.bias, why);
                if (from->head.weight)
                        snprintf(why, sizeof why,
                                "the source's classifier has %lld classes; the model's own is kept",
                                (long long)from->net.classes);
                else
                        snprintf(why, sizeof why,
                                "the source has no classifier; the model's own is kept");
                for (int i = 0; i < 2; i++)
                        if (have[i] && !rs_filled(&p->ledger, have[i]->name, "defaulted", why))
                                return false;
                if (to->head.weight_to)
                        rs_convert_note(p->o, "%s", why);
                return true;
        }
        const rs_want want = {
                .dtype = to->head.weight_to->dtype, .kernel = RS_OIHW, .rounding = &p->rounding};
        if (!rs_head_make(from, to->head_in_out, to->head_conv, &want, &p->m->arena, &weight, &bias,
                    p->err))
                return false;
        int background = p->w->checkpoint ? from->scheme->label_offset : 0;
        if (background && from->net.classes == 1000 + background)
                rs_convert_note(p->o, "class 0 is the background: ImageNet's classes begin with %d",
                        background);
        rs_node *n = to->head.conv_node;
        rs_used(&p->ledger, from->head.weight, have[0]->name);
        if (!give(p, n, slot_of(n, have[0], 1), to->head.weight_to, &weight, NULL,
                    from->head.weight->name))
                return false;
        if (have[1] && from->head.bias) {
                rs_used(&p->ledger, from->head.bias, have[1]->name);
                return give(p, n, slot_of(n, have[1], 2), to->head.bias_to, &bias, NULL,
                        from->head.bias->name);
        }
        return !have[1] || rs_filled(&p->ledger, have[1]->name, "missing", "");
}

static bool
check_kind(const struct putting *p)
{
        const rs_net *a = &p->w->set.net, *b = &p->to.net;
        char words[2][64];
        const rs_net *nets[2] = {a, b};
        for (int k = 0; k < 2; k++) {
                int n = snprintf(words[k], sizeof words[k], "%s%s",
                        nets[k]->preactivation ? "v2, " : "",
                        nets[k]->bottleneck ? "bottleneck" : "basic");
                for (int s = 0; s < nets[k]->n_stages && n < 50; s++)
                        n += snprintf(words[k] + n, sizeof words[k] - (size_t)n, "%c%d",
                                s ? '-' : ' ', nets[k]->blocks[s]);
        }
        bool blocks = a->n_stages == b->n_stages && !memcmp(a->blocks, b->blocks, sizeof a->blocks);
        if (a->bottleneck == b->bottleneck && a->preactivation == b->preactivation &&
                a->stem == b->stem && (blocks || (p->o && p->o->partial)))
                return true;
        return rs_fail(p->err, RESECT_GRAPH,
                "the weights are of another network (%s, stem of %d) than the model (%s, stem of "
                "%d)",
                words[0], a->stem, words[1], b->stem);
}

/* The strides and the first pool: as the weights want them, or not at all. */
static bool
settle_variant(struct putting *p)
{
        const rs_variant *want = &p->w->set.variant;
        rs_variant have = rs_variant_of_model(&p->to);
        char a[128], b[128];
        resect_variant_from from = p->o ? p->o->variant : RESECT_VARIANT_REFUSE;
        bool last = want->has_stride && want->stride == RS_STRIDE_LAST && !have.has_stride;
        if (rs_variant_same(want, &have) && !last)
                return true;
        rs_variant_words(want, &p->w->set.net, a);
        rs_variant_words(&have, &p->to.net, b);
        if (from == RESECT_VARIANT_REFUSE)
                return rs_fail(p->err, RESECT_GRAPH,
                        "the weights were trained with %s, the model has %s: they fit, but it "
                        "would compute something else "
                        "(--variant-from weights changes the model, --variant-from model leaves "
                        "it)",
                        a, b);
        if (from == RESECT_VARIANT_MODEL)
                return true;
        if (!rs_variant_set(p->m, &p->to, want, p->err))
                return false;
        rs_convert_note(p->o, "the model has %s now", a);
        rs_set_free(&p->to);
        return rs_set_of_model(&p->to, p->m, p->err);
}

/* What the file says of its pictures; what the scheme says holds for networks of ImageNet's kind.
 */
static bool
record_input(struct putting *p)
{
        const char *spec = p->w->info.input;
        resect_input in;
        bool own = p->w->checkpoint && p->w->checkpoint->input;
        if (!spec || (!own && !rs_large_stem(&p->to)))
                return true;
        if (!resect_input_of(p->m, &in, NULL, p->err))
                return false;
        int height = in.height, width = in.width;
        if (!resect_input_parse(&in, spec, p->err))
                return false;
        if (in.height != height ||
                in.width != width) { /* the model's own size, resized in proportion */
                in.resize = in.resize && in.height
                                    ? (int)((int64_t)in.resize * (height < width ? height : width) /
                                              in.height)
                                    : 0;
                in.height = height;
                in.width = width;
        }
        return resect_input_record(p->m, &in, p->err);
}

static bool
put_all(struct putting *p)
{
        rs_set *to = &p->to;
        rs_set *from = (rs_set *)(uintptr_t)&p->w->set;
        for (size_t i = 0; i < to->n; i++) {
                rs_unit *u = &to->units[i];
                const rs_unit *f =
                        u->has_conv ? rs_set_conv(from, &u->conv) : rs_set_bn(from, &u->bn);
                if (!(f ? put_unit(p, f, u) : missing_unit(p, u)))
                        return false;
        }
        if (!put_head(p) || !record_input(p))
                return false;
        if (p->epsilons)
                rs_convert_note(p->o, "epsilon of %zu BatchNormalizations is the weights' now",
                        p->epsilons);
        if (p->momenta)
                rs_convert_note(p->o, "momentum of %zu BatchNormalizations is the weights' now",
                        p->momenta);
        if (p->biases)
                rs_convert_note(p->o, "%zu Convs got a bias", p->biases);
        return true;
}

bool
resect_weights_into(const resect_weights *w, resect_model *m, const resect_convert_options *o,
        resect_conversion *out, resect_error *err)
{
        struct putting p = {.w = w, .m = m, .o = o, .err = err};
        if (!w->info.recognised) {
                if (err)
                        *err = w->why;
                return false;
        }
        bool ok = rs_ledger_start(&p.ledger, w, out, err) && rs_set_of_model(&p.to, m, err) &&
                  check_kind(&p) && settle_variant(&p) && put_all(&p);
        if (p.rounding.tensors) {
                out->rounded = p.rounding.tensors;
                out->max_abs = p.rounding.max_abs;
                out->max_rel = p.rounding.max_rel;
                out->overflowed = p.rounding.overflowed;
                out->exact = false;
        }
        rs_ledger_end(&p.ledger, ok ? o : NULL);
        rs_map_free(&p.given);
        rs_set_free(&p.to);
        return ok;
}
