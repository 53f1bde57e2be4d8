/* SPDX-License-Identifier: 0BSD */
/*
 * Shape inference over a graph: every node's infer, called in an order in which what it reads comes
 * first, on types whose sizes may be symbols. What cannot be known (an operator that is not ours, a
 * value that data decides) stays unknown, unless the model's own value_info tells. A cycle is
 * somebody else's finding; here its values are just unknown.
 */
#include "op/util.h"

#include <string.h>

struct shaper {
        rs_types *types;
        const resect_model *model;
        rs_map makers;  /* value -> slot of its node in graph.nodes */
        rs_map told;    /* value -> rs_value of value_info and outputs */
        rs_map symbols; /* name of a symbolic size -> int64_t * */
        rs_finding *finding;
        void *ctx;
};

static bool
put(struct shaper *s, const char *name, const rs_type *type, resect_error *err)
{
        rs_type *t = RS_NEW(&s->types->arena, 1, rs_type, err);
        if (!t)
                return false;
        *t = *type;
        return rs_map_put(&s->types->map, name, t, NULL, err);
}

/* The symbol of that name; one of its own for none. */
static bool
symbol(struct shaper *s, const char *name, int64_t *out, resect_error *err)
{
        bool named = name && *name;
        const int64_t *known = named ? rs_map_get(&s->symbols, name) : NULL;
        if (known) {
                *out = *known;
                return true;
        }
        int64_t *keep = RS_NEW(&s->types->arena, 1, int64_t, err);
        if (!keep || !rs_symbol_add(
                             &s->types->symbols, &s->types->arena, named ? name : NULL, keep, err))
                return false;
        *out = *keep;
        return !named || rs_map_put(&s->symbols, name, keep, NULL, err);
}

/* What a graph input or value_info says. */
static bool
type_of_value(struct shaper *s, const rs_value *v, rs_type *t, resect_error *err)
{
        *t = (rs_type){.dtype = v->is_tensor ? v->dtype : 0, .rank = -1};
        if (!v->is_tensor || v->rank < 0 || v->rank > RESECT_RANK_MAX)
                return true;
        for (int d = 0; d < v->rank; d++) {
                t->dims[d] = v->dims[d];
                if (v->dims[d] < 0 &&
                        !symbol(s, v->symbols ? v->symbols[d] : NULL, &t->dims[d], err))
                        return false;
        }
        t->rank = v->rank;
        return true;
}

/* An initializer: its shape and, if it is a few integers, those. Values that cannot be read are
 * merely unknown here. */
static bool
type_of_tensor(struct shaper *s, const rs_tensor *t, rs_type *out, resect_error *err)
{
        *out = (rs_type){.dtype = t->dtype, .rank = t->rank > RESECT_RANK_MAX ? -1 : t->rank};
        for (int d = 0; d < out->rank; d++)
                out->dims[d] = t->dims[d];
        if (out->rank < 0 || out->rank > 1 || t->count > RS_INTS_MAX ||
                !rs_dtype_in(t->dtype, RS_INTEGERS))
                return true;
        resect_error inner = {0};
        rs_span raw;
        int64_t values[RS_INTS_MAX]; /* the widest dtype */
        if (!rs_tensor_bytes(s->model, t, &s->types->arena, &raw, &inner) || raw.size < t->bytes) {
                if (err && inner.code == RESECT_NOMEM)
                        *err = inner;
                return inner.code != RESECT_NOMEM;
        }
        rs_from_little(values, raw.data, t->dtype, t->count);
        return rs_type_set_ints(out, &s->types->arena, values, err);
}

static bool
start(struct shaper *s, resect_error *err)
{
        const rs_graph *g = &s->model->graph;
        rs_type t;
        for (size_t i = 0; i < g->n_inputs; i++)
                if (!type_of_value(s, g->inputs[i], &t, err) ||
                        !put(s, g->inputs[i]->name, &t, err))
                        return false;
        for (size_t i = 0; i < g->n_tensors; i++)
                if (!type_of_tensor(s, g->tensors[i], &t, err) ||
                        !put(s, g->tensors[i]->name, &t, err))
                        return false;
        for (size_t i = 0; i < g->n_outputs; i++)
                if (!rs_map_put(&s->told, g->outputs[i]->name, g->outputs[i], NULL, err))
                        return false;
        for (size_t i = 0; i < g->n_values; i++)
                if (!rs_map_put(&s->told, g->values[i]->name, g->values[i], NULL, err))
                        return false;
        for (size_t i = 0; i < g->n_nodes; i++)
                for (size_t k = 0; k < g->nodes[i]->n_out; k++)
                        if (*g->nodes[i]->out[k] && !rs_map_put(&s->makers, g->nodes[i]->out[k],
                                                            &g->nodes[i], NULL, err))
                                return false;
        return true;
}

/* Fills x for a node; false when its outputs cannot be inferred. */
static bool
prepare(struct shaper *s, const rs_node *n, rs_infer *x, const rs_op **op)
{
        *x = (rs_infer){.arena = &s->types->arena,
                .model = s->model,
                .symbols = &s->types->symbols,
                .node = n,
                .n_in = n->n_in,
                .n_out = n->n_out,
                .threads = 1};
        *op = rs_op_of(s->model, n, &x->opset);
        if (!*op || n->n_in > RS_IN_MAX || n->n_out > RS_OUT_MAX)
                return false;
        for (size_t i = 0; i < n->n_in; i++) {
                if (!*n->in[i])
                        continue;
                x->in[i] = rs_map_get(&s->types->map, n->in[i]);
                if (!x->in[i] || !x->in[i]->dtype || x->in[i]->rank < 0)
                        return false;
        }
        for (size_t i = 0; i < n->n_out; i++)
                x->wanted[i] = *n->out[i] != '\0';
        return true;
}

static bool
infer_node(struct shaper *s, const rs_node *n, resect_error *err)
{
        rs_infer x;
        const rs_op *op;
        resect_error inner = {0};
        bool known = prepare(s, n, &x, &op);
        if (known && !op->infer(&x, &inner)) {
                known = false;
                if (inner.code != RESECT_UNSUPPORTED &&
                        (inner.code == RESECT_NOMEM || !s->finding)) {
                        if (err)
                                *err = inner;
                        return false;
                }
                if (inner.code != RESECT_UNSUPPORTED) /* valid, and not ours, until it has to run */
                        s->finding(s->ctx, n, inner.msg);
        }
        for (size_t i = 0; i < n->n_out; i++) {
                rs_type t = known ? x.out[i] : (rs_type){.rank = -1};
                rs_value *told = rs_map_get(&s->told, n->out[i]);
                if (!*n->out[i] || (known && !t.dtype && !t.rank))
                        continue;
                if (t.rank < 0 && told && !type_of_value(s, told, &t, err))
                        return false;
                if (!put(s, n->out[i], &t, err))
                        return false;
        }
        return true;
}

/* A node on the way down: which of its inputs is looked at next. */
struct step {
        size_t node, next;
};

/* Every node after the makers of what it reads, without recursion: graphs are deep and hostile. */
static bool
walk(struct shaper *s, struct step *stack, unsigned char *seen, resect_error *err)
{
        const rs_graph *g = &s->model->graph;
        for (size_t root = 0; root < g->n_nodes; root++) {
                size_t depth = 0;
                if (!seen[root]) {
                        seen[root] = 1;
                        stack[depth++] = (struct step){root, 0};
                }
                while (depth) {
                        struct step *at = &stack[depth - 1];
                        const rs_node *n = g->nodes[at->node];
                        if (at->next < n->n_in) {
                                rs_node **maker = rs_map_get(&s->makers, n->in[at->next++]);
                                size_t k = maker ? (size_t)(maker - g->nodes) : 0;
                                if (maker && !seen[k]) {
                                        seen[k] = 1;
                                        stack[depth++] = (struct step){k, 0};
                                }
                                continue;
                        }
                        if (!infer_node(s, n, err))
                                return false;
                        depth--;
                }
        }
        return true;
}

bool
rs_types_make(rs_types *t, const resect_model *m, rs_finding *finding, void *ctx, resect_error *err)
{
        *t = (rs_types){0};
        struct shaper s = {.types = t, .model = m, .finding = finding, .ctx = ctx};
        size_t n = m->graph.n_nodes;
        struct step *stack = rs_alloc(n + 1, sizeof *stack, err);
        unsigned char *seen = stack ? rs_alloc(n + 1, 1, err) : NULL;
        bool ok = seen && start(&s, err) && walk(&s, stack, seen, err);
        rs_free(stack);
        rs_free(seen);
        rs_map_free(&s.makers);
        rs_map_free(&s.told);
        rs_map_free(&s.symbols);
        if (!ok)
                rs_types_free(t);
        return ok;
}

const rs_type *
rs_types_find(const rs_types *t, const char *name)
{
        return rs_map_get(&t->map, name);
}

void
rs_types_free(rs_types *t)
{
        rs_map_free(&t->map);
        rs_arena_free(&t->arena);
        *t = (rs_types){0};
}
