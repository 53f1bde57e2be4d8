/* SPDX-License-Identifier: 0BSD */
/*
 * From the graph to typed steps. Only nodes that the wanted outputs need are taken, from the bound
 * inputs on. Every node's operator checks itself against the actual shapes here; a node whose
 * outputs are all known integers (the Shape, Gather, Concat of an exporter's tail) becomes
 * constants and no step.
 */
#include "plan/plan.h"

#include <string.h>
#include "tensor/dtype.h"

int
rs_plan_add_value(resect_plan *p, const char *name, resect_error *err)
{
        if (p->n_values == p->values_cap) {
                size_t cap = p->values_cap ? p->values_cap * 2 : 256;
                rs_pvalue *v = rs_grow(p->values, cap, sizeof *v, err);
                if (!v)
                        return -1;
                p->values = v;
                p->values_cap = cap;
        }
        int id = (int)p->n_values++;
        p->values[id] = (rs_pvalue){.name = name,
                .root = id,
                .home = id,
                .fold = -1,
                .input = -1,
                .step = -1,
                .packed_from = -1,
                .twin = -1,
                .again = -1,
                .block = -1,
                .grad = -1,
                .grad2 = -1};
        return id;
}

/* What graph.c needs to remember while it walks. */
struct walk {
        resect_plan *p;
        const resect_plan_options *o;
        rs_index index;
        rs_map numbers; /* value name -> its number + 1 */
        rs_map needed;  /* value name -> anything: some needed node reads it */
};

static int
number_of(const struct walk *w, const char *name)
{
        return (int)(intptr_t)rs_map_get(&w->numbers, name) - 1;
}

static bool
set_number(struct walk *w, const char *name, int id, resect_error *err)
{
        return rs_map_put(&w->numbers, name, (void *)(intptr_t)(id + 1), NULL, err);
}

/* A value for an initializer or a Constant's tensor. */
static int
add_weight(struct walk *w, const char *name, const rs_tensor *t, resect_error *err)
{
        resect_plan *p = w->p;
        if (t->rank > RESECT_RANK_MAX) {
                rs_fail(err, RESECT_UNSUPPORTED,
                        "%s: rank %d is beyond the %d that can be computed with", name, t->rank,
                        RESECT_RANK_MAX);
                return -1;
        }
        int id = rs_plan_add_value(p, name, err);
        if (id < 0)
                return -1;
        rs_pvalue *v = &p->values[id];
        v->place = RS_PLACE_WEIGHT;
        v->tensor = t;
        v->bytes = t->bytes;
        v->type.dtype = t->dtype;
        v->type.rank = t->rank;
        for (int i = 0; i < t->rank; i++)
                v->type.dims[i] = t->dims[i];
        bool integer = t->dtype == RESECT_INT64 || t->dtype == RESECT_INT32;
        if (integer && t->rank <= 1 && t->count <= RS_INTS_MAX) {
                rs_span raw;
                int64_t aligned[RS_INTS_MAX];
                if (!rs_tensor_bytes(p->model, t, &p->arena, &raw, err))
                        return -1;
                rs_from_little(aligned, raw.data, t->dtype, t->count);
                if (!rs_type_set_ints(&v->type, &p->arena, aligned, err))
                        return -1;
        }
        return set_number(w, name, id, err) ? id : -1;
}

static bool
bind_inputs(struct walk *w, resect_error *err)
{
        resect_plan *p = w->p;
        const resect_plan_options *o = w->o;
        p->inputs = RS_NEW(&p->arena, o->n_inputs + 1, int, err);
        p->input_shapes = RS_NEW(&p->arena, o->n_inputs + 1, resect_tensor, err);
        if (!p->inputs || !p->input_shapes)
                return false;
        p->n_inputs = o->n_inputs;
        for (size_t i = 0; i < o->n_inputs; i++) {
                const resect_binding *b = &o->inputs[i];
                if (!b->name || !rs_index_find(&w->index, b->name))
                        return rs_fail(err, RESECT_ARG, "the model has no value named '%s'",
                                b->name ? b->name : "");
                if (number_of(w, b->name) >= 0)
                        return rs_fail(err, RESECT_ARG, "'%s' is given twice", b->name);
                int id = rs_plan_add_value(p, rs_index_find(&w->index, b->name)->name, err);
                if (id < 0)
                        return false;
                rs_pvalue *v = &p->values[id];
                size_t count;
                v->place = RS_PLACE_INPUT;
                v->input = (int)i;
                v->type.dtype = (int32_t)b->tensor.dtype;
                v->type.rank = b->tensor.rank;
                if (b->tensor.rank < 0 || b->tensor.rank > RESECT_RANK_MAX)
                        return rs_fail(err, RESECT_ARG, "'%s': rank %d", b->name, b->tensor.rank);
                memcpy(v->type.dims, b->tensor.dims, sizeof v->type.dims);
                if (!rs_tensor_extent(
                            v->type.dtype, v->type.rank, v->type.dims, &count, &v->bytes, err))
                        return rs_fail_at(err, "'%s'", b->name);
                if (b->tensor.data && !rs_type_set_ints(&v->type, &p->arena, b->tensor.data, err))
                        return false;
                p->inputs[i] = id;
                p->input_shapes[i] = b->tensor;
                p->input_shapes[i].data = NULL;
                if (!set_number(w, b->name, id, err))
                        return false;
        }
        return true;
}

/* Marks what the outputs need: a node is needed when a needed name is one of its outputs and is not
   bound. Nodes are sorted, so one pass from the back is enough. */
static bool
mark_needed(struct walk *w, const char *const *outputs, size_t n, resect_error *err)
{
        const rs_graph *g = &w->p->model->graph;
        for (size_t i = 0; i < n; i++)
                if (!rs_map_put(&w->needed, outputs[i], w, NULL, err))
                        return false;
        for (size_t k = g->n_nodes; k-- > 0;) {
                const rs_node *node = g->nodes[k];
                bool wanted = false;
                for (size_t j = 0; j < node->n_out && !wanted; j++)
                        wanted = *node->out[j] && rs_map_get(&w->needed, node->out[j]) &&
                                 number_of(w, node->out[j]) < 0;
                for (size_t i = 0; wanted && i < node->n_in; i++)
                        if (*node->in[i] && !rs_map_put(&w->needed, node->in[i], w, NULL, err))
                                return false;
        }
        return true;
}

const char *
rs_plan_node_name(const rs_node *n)
{
        return *n->name ? n->name : n->n_out ? n->out[0] : n->op;
}

/* The value a node reads: bound, made before, or an initializer met for the first time. */
static int
value_read(struct walk *w, const rs_node *node, const char *name, resect_error *err)
{
        int id = number_of(w, name);
        if (id >= 0)
                return id;
        const rs_link *link = rs_index_find(&w->index, name);
        if (link && link->tensor)
                return add_weight(w, name, link->tensor, err);
        if (link && link->input)
                rs_fail(err, RESECT_ARG, "input '%s' is not given", name);
        else
                rs_fail(err, RESECT_GRAPH, "%s: nothing makes its input '%s'",
                        rs_plan_node_name(node), name);
        return -1;
}

/* Turns integers that inference knows into bytes, so that kernels and callers can read them. */
static bool
make_known(resect_plan *p, rs_pvalue *v, resect_error *err)
{
        char *bytes = rs_arena_alloc(&p->arena, v->bytes + 8, 1, err);
        if (!bytes)
                return false;
        for (size_t i = 0; i < v->type.n_ints; i++) {
                if (v->type.dtype == RESECT_INT64)
                        ((int64_t *)(void *)bytes)[i] = v->type.ints[i];
                else
                        ((int32_t *)(void *)bytes)[i] = (int32_t)v->type.ints[i];
        }
        v->place = RS_PLACE_KNOWN;
        v->known = bytes;
        return true;
}

static bool
is_frozen_statistics(resect_plan *p, const rs_op *op, const rs_node *node)
{
        for (size_t i = 0; i < node->n_in && i < 32; i++)
                if (op->statistics >> i & 1 && rs_model_is_frozen(p->model, node->in[i]))
                        return true;
        return false;
}

rs_infer *
rs_plan_infer(resect_plan *p, rs_pstep *s, resect_error *err)
{
        const rs_node *node = s->node;
        rs_infer *x = RS_NEW(&p->arena, 1, rs_infer, err);
        rs_type *types = RS_NEW(&p->arena, s->n_in + 1, rs_type, err);
        if (!x || !types)
                return NULL;
        *x = (rs_infer){.arena = &p->arena,
                .model = p->model,
                .symbols = &p->symbols,
                .node = node,

                .training = p->training,
                .frozen = p->by_input || is_frozen_statistics(p, s->op, node),
                .unbiased = p->bn_unbiased,
                .n_in = s->n_in,
                .n_out = s->n_out,
                .concrete = true,
                .threads = p->threads};
        for (size_t i = 0; i < s->n_in; i++) {
                if (s->in[i] < 0)
                        continue;
                types[i] = p->values[s->in[i]].type;
                x->in[i] = &types[i];
        }
        for (size_t j = 0; j < s->n_out; j++)
                x->wanted[j] = *node->out[j];
        rs_op_of(p->model, node, &x->opset);
        if (!s->op->infer(x, err))
                return NULL;
        s->state = x->state;
        s->scratch = x->scratch;
        s->saved = x->saved;
        s->macs = x->macs;
        s->view = s->op->view && s->n_in > 0 && s->in[0] >= 0;
        return x;
}

/* Gives the node's outputs their values. */
static bool
add_outputs(struct walk *w, rs_pstep *s, const rs_infer *x, resect_error *err)
{
        resect_plan *p = w->p;
        bool all_known = true;
        for (size_t j = 0; j < s->n_out; j++) {
                s->out[j] = -1;
                if (!*s->node->out[j] ||
                        number_of(w, s->node->out[j]) >= 0) /* absent, or the caller gives it */
                        continue;
                const rs_type *t = &x->out[j];
                size_t count;
                int id = rs_plan_add_value(p, s->node->out[j], err);
                if (id < 0 || !set_number(w, s->node->out[j], id, err))
                        return false;
                rs_pvalue *v = &p->values[id];
                v->type = *t;
                v->step = (int)p->n_steps;
                if (!rs_tensor_extent(t->dtype, t->rank, t->dims, &count, &v->bytes, err))
                        return rs_fail_at(err, "%s", rs_plan_node_name(s->node));
                s->out[j] = id;
                if (j == 0 && s->view && p->values[s->in[0]].bytes == v->bytes) {
                        v->root = p->values[s->in[0]].root;
                        v->place = p->values[v->root].place;
                }
                all_known &= t->ints && t->n_ints == count &&
                             (t->dtype == RESECT_INT64 || t->dtype == RESECT_INT32);
        }
        if (!all_known)
                p->n_steps++; /* keeps the step */
        for (size_t j = 0; all_known && j < s->n_out; j++) {
                if (s->out[j] < 0)
                        continue;
                p->values[s->out[j]].step = -1;
                p->values[s->out[j]].root = s->out[j];
                if (!make_known(p, &p->values[s->out[j]], err))
                        return false;
        }
        return true;
}

/* A Constant that holds a tensor is a weight like any other. */
static bool
constant_tensor(struct walk *w, const rs_node *node, bool *done, resect_error *err)
{
        const rs_attr *a = rs_node_attr(node, "value");
        *done = !strcmp(node->op, "Constant") && !*node->domain && a && a->t &&
                a->t->dtype != RESECT_STRING && node->n_out == 1 && node->n_in == 0;
        return !*done || add_weight(w, node->out[0], a->t, err) >= 0;
}

static bool
add_step(struct walk *w, const rs_node *node, resect_error *err)
{
        resect_plan *p = w->p;
        bool done;
        if (!constant_tensor(w, node, &done, err))
                return false;
        if (done)
                return true;
        int64_t opset;
        const rs_op *op = rs_op_of(p->model, node, &opset);
        if (!op)
                return rs_fail(err, RESECT_UNSUPPORTED,
                        "%s: operator %s%s%s of opset %lld cannot be executed",
                        rs_plan_node_name(node), node->domain, *node->domain ? "." : "", node->op,
                        (long long)opset);
        if (node->n_in > RS_IN_MAX || node->n_out > RS_OUT_MAX)
                return rs_fail(err, RESECT_UNSUPPORTED,
                        "%s: %zu inputs and %zu outputs; %d and %d can be executed",
                        rs_plan_node_name(node), node->n_in, node->n_out, RS_IN_MAX, RS_OUT_MAX);
        rs_pstep *s = &p->steps[p->n_steps];
        *s = (rs_pstep){.op = op,
                .node = node,
                .reads = op->reads,
                .n_in = node->n_in,
                .n_out = node->n_out,
                .residual = -1,
                .fold = -1,
                .saved_block = -1};
        for (size_t i = 0; i < node->n_in; i++) {
                s->in[i] = *node->in[i] ? value_read(w, node, node->in[i], err) : -1;
                if (s->in[i] < 0 && *node->in[i])
                        return false;
        }
        rs_infer *x = rs_plan_infer(p, s, err);
        return x && add_outputs(w, s, x, err);
}

static bool
collect_outputs(struct walk *w, const char *const *names, size_t n, resect_error *err)
{
        resect_plan *p = w->p;
        p->outputs = RS_NEW(&p->arena, n + 1, int, err);
        if (!p->outputs)
                return false;
        p->n_outputs = n;
        for (size_t i = 0; i < n; i++) {
                int id = number_of(w, names[i]);
                const rs_link *link = rs_index_find(&w->index, names[i]);
                if (id < 0 && link && link->tensor)
                        id = add_weight(w, link->name, link->tensor, err);
                else if (id < 0 && link && link->input)
                        return rs_fail(err, RESECT_ARG, "input '%s' is not given", names[i]);
                else if (id < 0)
                        return rs_fail(
                                err, RESECT_ARG, "the model has no value named '%s'", names[i]);
                if (id < 0)
                        return false;
                p->values[id].output = true;
                p->outputs[i] = id;
        }
        return true;
}

static bool
walk_graph(struct walk *w, resect_error *err)
{
        resect_plan *p = w->p;
        const rs_graph *g = &p->model->graph;
        size_t n = w->o->outputs ? w->o->n_outputs : g->n_outputs;
        const char **names = RS_NEW(&p->arena, n + 1, const char *, err);
        if (!names)
                return false;
        for (size_t i = 0; i < n; i++)
                names[i] = w->o->outputs ? w->o->outputs[i] : g->outputs[i]->name;
        p->steps = RS_NEW(&p->arena, g->n_nodes + 1, rs_pstep, err);
        if (!p->steps || !bind_inputs(w, err) || !mark_needed(w, names, n, err))
                return false;
        for (size_t k = 0; k < g->n_nodes; k++) {
                const rs_node *node = g->nodes[k];
                bool wanted = false;
                for (size_t j = 0; j < node->n_out && !wanted; j++)
                        wanted = *node->out[j] && rs_map_get(&w->needed, node->out[j]) &&
                                 number_of(w, node->out[j]) < 0;
                if (wanted && !add_step(w, node, err))
                        return false;
        }
        return collect_outputs(w, names, n, err);
}

bool
rs_plan_graph(resect_plan *p, const resect_plan_options *o, resect_error *err)
{
        struct walk w = {.p = p, .o = o};
        bool ok = rs_graph_sort(p->model, err) && rs_index_make(&w.index, &p->model->graph, err) &&
                  walk_graph(&w, err);
        rs_index_free(&w.index);
        rs_map_free(&w.numbers);
        rs_map_free(&w.needed);
        return ok;
}
