/* SPDX-License-Identifier: 0BSD */
/*
 * Casting between floats. Each node gets a rule: it computes in the new type, in float32, or in
 * what it has. A value's type is then what makes it, a reader's wish is what its rule says, and a
 * Cast stands where the two differ: one for each value and type, in front of its first reader, so
 * that a sorted graph stays sorted. Casts that were there are looked through: readers go back to
 * what was cast, and a Cast that nobody needs any more is gone. A node that reads already what it
 * wishes is not touched, so that casting twice is casting once.
 */
#include "edit/cast.h"
#include "edit/opset_types.h"
#include "edit/rewrite.h"

#include <math.h>
#include <string.h>

#include "tensor/dtype.h"

typedef enum rule { AS_IT_IS, AS_FLOAT, AS_NEW, A_CAST } rule;

typedef struct worker { /* a node as it was found, and its rule */
        rs_node *node;
        rule rule;
        enum { CONSTANT, SIZED, LIVE } of; /* constants alone, sizes of the picture, the picture */
} worker;

typedef struct value { /* a float that is no Cast's */
        const char *name;
        int32_t was, now;  /* an initializer's now is the first type that was asked for */
        int32_t outward;   /* a graph output's type; 0: it is none */
        const char *inner; /* its name in its new type: another than name for an output that keeps
                              its old one */
        rs_tensor *tensor;
        bool settled; /* of an initializer: now is known */
        struct copy {
                int32_t dtype;
                const char *name;
                struct copy *next;
        } * copies; /* Casts of it, or an initializer's copies in other types */
} value;

typedef struct casting {
        rs_cast *c;
        rs_surgery *s;
        rs_index ix;
        rs_types types;
        rs_map values; /* name -> value */
        rs_map makers; /* name -> worker that makes it */
        worker *workers;
        size_t n_workers;
} casting;

static int32_t
dtype_of(const casting *k, const char *name)
{
        const rs_type *t = rs_types_find(&k->types, name);
        return t != NULL ? t->dtype : 0;
}

static bool
float_cast(const casting *k, const rs_node *n)
{
        return rs_is_op(n, "Cast") && n->n_in == 1 && n->n_out == 1 &&
               rs_is_float(dtype_of(k, n->in[0])) && rs_is_float(dtype_of(k, n->out[0]));
}

/* Through Casts between floats, to what was cast. */
static const char *
origin(const casting *k, const char *name)
{
        for (int hops = 0; hops < 100; hops++) {
                const rs_link *l = rs_index_find(&k->ix, name);
                if (l == NULL || l->maker == NULL || !float_cast(k, l->maker))
                        break;
                name = l->maker->in[0];
        }
        return name;
}

/* A slot whose type is its own affair: what is asked for is the shape, or the operator takes any
 * type there. */
static bool
any_type(const rs_node *n, size_t slot)
{
        return rs_is_op(n, "Shape") || rs_is_op(n, "Size") || rs_is_op(n, "Cast") ||
               (rs_is_op(n, "Dropout") && slot > 0) || (rs_is_op(n, "Pow") && slot > 0) ||
               (rs_is_op(n, "CastLike") && slot > 0);
}

/* BatchNormalization's parameters have a type of their own since opset 15. */
static bool
norm_parameter(const casting *k, const rs_node *n, size_t slot)
{
        return slot > 0 && rs_is_op(n, "BatchNormalization") && rs_model_opset(k->s->m) >= 15;
}

static bool
narrow(int32_t dtype)
{
        return dtype == RESECT_FLOAT16 || dtype == RESECT_BFLOAT16;
}

/* All its floats are of the type already. */
static bool
is_so_already(const casting *k, const rs_node *n)
{
        bool any = false;
        for (size_t i = 0; i < n->n_in + n->n_out; i++) {
                const char *name = i < n->n_in ? n->in[i] : n->out[i - n->n_in];
                const int32_t d = dtype_of(k, name);
                if (!rs_is_float(d))
                        continue;
                if (d != k->c->to)
                        return false;
                any = true;
        }
        return any;
}

/* What a node computes with. Sizes are counted in the type they are counted in: half a type cannot
 * count to 2049. */
static int
depends(const casting *k, const rs_node *n)
{
        int most = rs_is_op(n, "Shape") || rs_is_op(n, "Size") ? SIZED : CONSTANT;
        for (size_t i = 0; most != SIZED && i < n->n_in; i++) {
                const worker *w = rs_map_get(&k->makers, n->in[i]);
                const rs_link *l = w == NULL ? rs_index_find(&k->ix, n->in[i]) : NULL;
                if ((w != NULL && w->of == LIVE) ||
                        (l != NULL && l->input != NULL && l->tensor == NULL))
                        return LIVE;
        }
        for (size_t i = 0; i < n->n_in; i++) {
                const worker *w = rs_map_get(&k->makers, n->in[i]);
                most = w != NULL && w->of == SIZED ? SIZED : most;
        }
        return most;
}

static rule
rule_of(const casting *k, const rs_node *n, int of)
{
        const rs_cast *c = k->c;
        const int since = rs_opset_since(n, c->to);
        const bool half = narrow(c->to);
        if (float_cast(k, n))
                return A_CAST;
        if (c->weights_only || of == SIZED)
                return AS_IT_IS;
        if (rs_cast_kept(c, n))
                return half ? AS_FLOAT : AS_IT_IS;
        if (rs_is_op(n, "Cast")) /* from integers */
                return AS_NEW;
        if (rs_opset_since(n, RESECT_FLOAT) == 0)
                return AS_IT_IS;
        if (half && is_so_already(k, n))
                return AS_NEW;
        if (since == 0 || rs_model_opset(k->s->m) < since)
                return AS_FLOAT;
        /* What sums exponentials stays; so do running variances, which opset 15 lets stay by
         * themselves. */
        if (half && (rs_is_op(n, "Softmax") || rs_is_op(n, "LogSoftmax") ||
                            (rs_is_op(n, "BatchNormalization") && rs_model_opset(k->s->m) < 15)))
                return AS_FLOAT;
        return AS_NEW;
}

/* What a node wants in a slot; 0: what is there. */
static int32_t
wish(const casting *k, const worker *w, size_t slot)
{
        const rs_node *n = w->node;
        const int32_t is = dtype_of(k, n->in[slot]);
        if (w->rule == A_CAST || any_type(n, slot) || !rs_is_float(is))
                return 0;
        if (w->rule == AS_FLOAT)
                return RESECT_FLOAT;
        if (w->rule == AS_IT_IS)
                return is;
        if (norm_parameter(k, n, slot) && narrow(k->c->to))
                return is_so_already(k, n) ? k->c->to : RESECT_FLOAT;
        return k->c->to;
}

/* What a node's float outputs are of afterwards. */
static int32_t
makes(const casting *k, const worker *w, int32_t was)
{
        return w->rule == AS_FLOAT ? RESECT_FLOAT : w->rule == AS_NEW ? k->c->to : was;
}

static const char *
typed_name(casting *k, const char *name, int32_t dtype, resect_error *err)
{
        char *w = rs_arena_printf(&k->s->m->arena, err, "%s_%s", name, rs_cast_name(dtype));
        return w != NULL ? rs_model_fresh_name(k->s->m, w, err) : NULL;
}

/* The record of a float that is no Cast's. */
static value *
find_value(casting *k, const char *name, resect_error *err)
{
        value *v = rs_map_get(&k->values, name);
        if (v != NULL)
                return v;
        const rs_link *l = rs_index_find(&k->ix, name);
        v = RS_NEW(&k->s->arena, 1, value, err);
        if (v == NULL)
                return NULL;
        v->name = v->inner = name;
        v->was = v->now = dtype_of(k, name);
        v->tensor = l != NULL ? l->tensor : NULL;
        if (l != NULL && l->is_output)
                v->outward = k->c->io ? k->c->to : v->was;
        if (v->tensor != NULL) {
                v->settled = v->outward != 0;
                v->outward = 0;
        } else if (l != NULL && l->maker != NULL) {
                v->now = makes(k, rs_map_get(&k->makers, name), v->was);
        } else if (l != NULL && l->input != NULL && k->c->io) {
                v->now = k->c->to;
        }
        if (v->outward != 0 && v->outward != v->now && l->maker != NULL) {
                v->inner = typed_name(k, name, v->now, err);
                if (v->inner == NULL)
                        return NULL;
                rs_cast_renamed(k->c, name, v->inner);
        } else {
                v->outward = 0;
        }
        return rs_map_put(&k->values, name, v, NULL, err) ? v : NULL;
}

/* A tensor's numbers in another type, into t, which has one payload of that type and shape. */
static bool
convert(casting *k, const rs_tensor *from, rs_tensor *to, resect_error *err)
{
        rs_arena bytes = {0};
        rs_span raw;
        if (!rs_tensor_bytes(k->s->m, from, &bytes, &raw, err)) {
                rs_arena_free(&bytes);
                return false;
        }
        const size_t have = from->count != 0 ? from->bytes / from->count : 0;
        const size_t want = to->count != 0 ? to->bytes / to->count : 0;
        unsigned char *out = (unsigned char *)(uintptr_t)to->data.data;
        rs_loss loss = {.numbers = (double)from->count};
        for (size_t i = 0; i < from->count; i++) {
                double in[2], one[2];
                rs_from_little(in, raw.data + i * have, from->dtype, 1);
                const double x = rs_load(in, from->dtype, 0);
                rs_store(one, to->dtype, 0, x);
                const double y = rs_load(one, to->dtype, 0);
                rs_from_little(out + i * want, one, to->dtype, 1);
                loss.infinite += isfinite(x) && !isfinite(y);
                loss.vanished += x != 0 && y == 0;
        }
        rs_arena_free(&bytes);
        rs_cast_lose(k->c, from->name, &loss);
        k->c->changed++;
        return true;
}

/* The tensor itself becomes one of another type. */
static bool
retype(casting *k, rs_tensor *t, int32_t dtype, resect_error *err)
{
        const rs_tensor old = *t;
        t->dtype = dtype;
        if (!rs_tensor_renew(k->s->m, t, old.rank, old.dims, err) || !convert(k, &old, t, err))
                return false;
        rs_value *v = rs_graph_find_input(&k->s->m->graph, t->name);
        if (v != NULL) {
                v->dtype = dtype;
                v->touched = true;
        }
        return true;
}

/* What has been made of v in a type, or NULL. */
static const char *
copy_of(const value *v, int32_t want)
{
        for (const struct copy *p = v->copies; p != NULL; p = p->next)
                if (p->dtype == want)
                        return p->name;
        return NULL;
}

/* The name under which an initializer is to be had in a type. The first one asked for is the
 * tensor's own. */
static const char *
initializer(casting *k, value *v, int32_t want, resect_error *err)
{
        rs_tensor *t = v->tensor;
        if (!v->settled) {
                v->settled = true;
                if (t->dtype != want && !retype(k, t, want, err))
                        return NULL;
                v->now = want;
        }
        if (v->now == want)
                return v->name;
        const char *name = copy_of(v, want);
        if (name != NULL)
                return name;
        struct copy *p = RS_NEW(&k->s->arena, 1, struct copy, err);
        name = p != NULL ? typed_name(k, v->name, want, err) : NULL;
        rs_tensor *made = name != NULL
                                  ? rs_model_add_tensor(k->s->m, name, want, t->rank, t->dims, err)
                                  : NULL;
        if (made == NULL || !convert(k, t, made, err) ||
                (rs_model_is_frozen(k->s->m, t->name) &&
                        !rs_model_set_frozen(k->s->m, name, true, err)))
                return NULL;
        *p = (struct copy){want, name, v->copies};
        v->copies = p;
        return name;
}

static rs_node *
add_cast(casting *k, const char *from, const char *to, int32_t dtype, resect_error *err)
{
        rs_node *n = rs_build(k->s, "Cast", to, to, err, from, NULL);
        k->c->changed++;
        return n != NULL && rs_node_set_int(k->s->m, n, "to", dtype, err) ? n : NULL;
}

/* The name under which a value is to be had in a type; reader is who wants it. */
static const char *
in_type(casting *k, value *v, int32_t want, const rs_node *reader, resect_error *err)
{
        if (v->tensor != NULL && !k->c->weights_only)
                return initializer(k, v, want, err);
        if (v->now == want)
                return v->inner;
        if (v->outward == want)
                return v->name;
        const char *name = copy_of(v, want);
        if (name != NULL)
                return name;
        struct copy *p = RS_NEW(&k->s->arena, 1, struct copy, err);
        name = p != NULL ? typed_name(k, v->name, want, err) : NULL;
        rs_node *n = name != NULL ? add_cast(k, v->inner, name, want, err) : NULL;
        if (n == NULL)
                return NULL;
        rs_graph_place_before(&k->s->m->graph, n, reader);
        *p = (struct copy){want, name, v->copies};
        v->copies = p;
        return name;
}

/* One slot of one node is given what it wishes. */
static bool
serve(casting *k, const worker *w, size_t slot, resect_error *err)
{
        rs_node *n = w->node;
        const char *name = n->in[slot];
        const int32_t want = wish(k, w, slot);
        if (want == 0) {
                if (name[0] != '\0' && w->rule != AS_IT_IS && w->rule != A_CAST &&
                        dtype_of(k, name) == 0)
                        return rs_fail(err, RESECT_UNSUPPORTED,
                                "%s (%s): the type of its input %s is not known", rs_node_title(n),
                                n->op, name);
                return true;
        }
        value *v = find_value(k, origin(k, name), err);
        if (v == NULL)
                return false;
        /* A Cast that makes just this out of something else may stay. */
        if (v->name != name && strcmp(v->name, name) != 0 && dtype_of(k, name) == want &&
                v->now != want && (v->tensor == NULL || k->c->weights_only))
                return true;
        const char *now = in_type(k, v, want, n, err);
        if (now == NULL)
                return false;
        if (strcmp(now, name) != 0) {
                n->in[slot] = now;
                rs_node_touch(n);
        }
        return true;
}

/* --weights-only: what Conv, Gemm and MatMul multiply by is kept in the new type. */
static bool
store_weights(casting *k, resect_error *err)
{
        for (size_t i = 0; i < k->n_workers; i++) {
                const rs_node *n = k->workers[i].node;
                const bool product = rs_is_op(n, "Conv") || rs_is_op(n, "ConvTranspose") ||
                                     rs_is_op(n, "Gemm") || rs_is_op(n, "MatMul");
                for (size_t slot = 0; product && slot < 2 && slot < n->n_in; slot++) {
                        if (!rs_is_float(dtype_of(k, n->in[slot])))
                                continue;
                        value *v = find_value(k, origin(k, n->in[slot]), err);
                        if (v == NULL)
                                return false;
                        if (v->tensor == NULL || v->settled || v->tensor->rank < 2 ||
                                rs_cast_kept(k->c, n))
                                continue;
                        v->settled = true;
                        v->now = k->c->to;
                        if (v->tensor->dtype != k->c->to && !retype(k, v->tensor, k->c->to, err))
                                return false;
                }
        }
        return true;
}

/* Outputs keep their types, or (--io) take the new one. */
static bool
give_outputs(casting *k, resect_error *err)
{
        resect_model *m = k->s->m;
        rs_graph *g = &m->graph;
        for (size_t i = 0; i < g->n_outputs; i++) {
                rs_value *entry = g->outputs[i];
                const char *name = entry->name;
                const int32_t was = dtype_of(k, name), want = k->c->io ? k->c->to : was;
                if (!rs_is_float(was))
                        continue;
                const char *from = origin(k, name);
                value *v = find_value(k, from, err);
                if (v == NULL)
                        return false;
                if (entry->dtype != want) {
                        entry->dtype = want;
                        entry->touched = true;
                        k->c->changed++;
                }
                rs_link *l = rs_index_find(&k->ix, name);
                if (strcmp(from, name) != 0) { /* a Cast makes it */
                        if (v->now == want) {
                                k->c->changed++;
                                if (!rs_graph_redirect(m, name, v->inner, err))
                                        return false;
                                const rs_link *o = rs_index_find(&k->ix, from);
                                if (o->maker != NULL &&
                                        strcmp(o->maker->out[o->maker_slot], name) == 0)
                                        rs_cast_renamed(k->c, from, name);
                        } else if (rs_node_int(l->maker, "to", 0) != want) {
                                k->c->changed++;
                                if (!rs_node_set_int(m, l->maker, "to", want, err))
                                        return false;
                        }
                } else if (v->outward != 0) {
                        rs_node *n = add_cast(k, v->inner, name, want, err);
                        if (n == NULL)
                                return false;
                        l->maker->out[l->maker_slot] = v->inner;
                        rs_node_touch(l->maker);
                        rs_graph_place(g, n, l->maker);
                        for (const rs_use *u = l->uses; u != NULL; u = u->next)
                                if (float_cast(k, u->node) &&
                                        strcmp(u->node->in[u->slot], name) == 0) {
                                        u->node->in[u->slot] = v->inner;
                                        rs_node_touch(u->node);
                                }
                }
        }
        return true;
}

static bool
give_inputs(casting *k, resect_error *err)
{
        rs_graph *g = &k->s->m->graph;
        for (size_t i = 0; k->c->io && i < g->n_inputs; i++) {
                rs_value *in = g->inputs[i];
                if (rs_find_tensor(g, in->name) != NULL || !rs_is_float(in->dtype) ||
                        in->dtype == k->c->to)
                        continue;
                if (find_value(k, in->name, err) == NULL)
                        return false;
                in->dtype = k->c->to;
                in->touched = true;
                k->c->changed++;
        }
        return true;
}

/* Constants of another type become initializers, which can be cast in place. */
static bool
lift_constants(casting *k, resect_error *err)
{
        const rs_graph *g = &k->s->m->graph;
        size_t count;
        rs_types types = {0};
        bool any = false, ok = rs_infer_all(k->s->m, &types, err);
        for (size_t i = 0; ok && i < g->n_nodes; i++) {
                const rs_type *t = rs_is_op(g->nodes[i], "Constant") && g->nodes[i]->n_out == 1
                                           ? rs_types_find(&types, g->nodes[i]->out[0])
                                           : NULL;
                any |= t != NULL && rs_is_float(t->dtype) && t->dtype != k->c->to;
        }
        rs_types_free(&types);
        return ok && (!any || rs_constants_out(k->s, &count, err));
}

static bool
look(casting *k, resect_error *err)
{
        const rs_graph *g = &k->s->m->graph;
        bool floats = false;
        k->n_workers = g->n_nodes;
        k->workers = RS_NEW(&k->s->arena, g->n_nodes + 1, worker, err);
        if (k->workers == NULL)
                return false;
        for (size_t i = 0; i < g->n_nodes; i++) {
                rs_node *n = g->nodes[i];
                const int of = depends(k, n);
                k->workers[i] = (worker){n, rule_of(k, n, of), of};
                for (size_t j = 0; j < n->n_in; j++)
                        floats |= rs_is_float(dtype_of(k, n->in[j]));
                for (size_t j = 0; j < n->n_out; j++)
                        if (n->out[j][0] != '\0' &&
                                !rs_map_put(&k->makers, n->out[j], &k->workers[i], NULL, err))
                                return false;
        }
        return floats || rs_fail(err, RESECT_UNSUPPORTED, "the model has no floats to cast");
}

static bool
work(casting *k, resect_error *err)
{
        if (k->c->weights_only && !store_weights(k, err))
                return false;
        if (!give_inputs(k, err))
                return false;
        for (size_t i = 0; i < k->n_workers; i++) {
                const worker *w = &k->workers[i];
                for (size_t slot = 0; slot < w->node->n_in; slot++)
                        if (!serve(k, w, slot, err))
                                return false;
                if (rs_is_op(w->node, "Cast") && w->rule == AS_NEW &&
                        rs_is_float(dtype_of(k, w->node->out[0])) &&
                        rs_node_int(w->node, "to", 0) != k->c->to &&
                        !rs_node_set_int(k->s->m, w->node, "to", k->c->to, err))
                        return false;
        }
        return give_outputs(k, err);
}

bool
rs_cast_float(rs_cast *c, resect_error *err)
{
        casting k = {.c = c, .s = c->s};
        bool ok = rs_cast_allowed(c, err) && lift_constants(&k, err) &&
                  rs_graph_sort(c->s->m, err) && rs_index_make(&k.ix, &c->s->m->graph, err);
        ok = ok && rs_infer_all(c->s->m, &k.types, err) && look(&k, err) && work(&k, err);
        rs_map_free(&k.values);
        rs_map_free(&k.makers);
        rs_types_free(&k.types);
        rs_index_free(&k.ix);
        if (!ok || c->changed == 0)
                return ok;
        return rs_graph_prune(c->s->m, err) && rs_graph_sort(c->s->m, err) &&
               rs_model_store_frozen(c->s->m, err) && rs_refresh_types(c->s, err);
}
