/* SPDX-License-Identifier: 0BSD */
/*
 * Adding to a graph. Arrays of pointers grow inside the arena, which frees nothing, so they double;
 * how much room an array has is remembered for the last few that grew, because the reader's own
 * arrays are exact.
 */
#include "model/model.h"

#include <string.h>
#include "tensor/dtype.h"

enum { N_GROWN = 8, NUMBER_ALIGNMENT = 64 };

bool
rs_array_push(resect_model *m, void ***array, size_t *count, void *item, resect_error *err)
{
        struct rs_grown *g = NULL;
        for (size_t i = 0; i < N_GROWN; i++) /* the count must agree too: a shallow copy of the
                                                array may have gone its own way */
                if (*array && m->grown[i].array == *array && m->grown[i].count == *count)
                        g = &m->grown[i];
        if (!g || g->count == g->cap) {
                size_t cap;
                if (!rs_add(*count, *count < 8 ? 8 : *count, &cap))
                        return rs_fail_nomem(err);
                void **grown = RS_NEW(&m->arena, cap, void *, err);
                if (!grown)
                        return false;
                if (*count)
                        memcpy(grown, *array, *count * sizeof *grown);
                if (!g) {
                        g = &m->grown[m->next_grown];
                        m->next_grown = (m->next_grown + 1) % N_GROWN;
                }
                *g = (struct rs_grown){grown, *count, cap};
                *array = grown;
        }
        (*array)[(*count)++] = item;
        g->count = *count;
        return true;
}

static const char **
copy_names(resect_model *m, const char *const *names, size_t n, resect_error *err)
{
        const char **copy = RS_NEW(&m->arena, n, const char *, err);
        for (size_t i = 0; copy && i < n; i++)
                if (!(copy[i] = rs_arena_strdup(&m->arena, names[i] ? names[i] : "", err)))
                        return NULL;
        return copy;
}

rs_node *
rs_model_add_node(resect_model *m, const char *op, const char *name, const char *const *in,
        size_t n_in, const char *const *out, size_t n_out, resect_error *err)
{
        rs_node *n = RS_NEW(&m->arena, 1, rs_node, err);
        if (!n)
                return NULL;
        n->op = rs_arena_strdup(&m->arena, op, err);
        n->name = rs_arena_strdup(&m->arena, name ? name : "", err);
        n->domain = "";
        n->in = copy_names(m, in, n_in, err);
        n->n_in = n_in;
        n->out = copy_names(m, out, n_out, err);
        n->n_out = n_out;
        n->touched = true;
        bool ok = n->op && n->name && n->in && n->out;
        return ok && rs_array_push(m, (void ***)&m->graph.nodes, &m->graph.n_nodes, n, err) ? n
                                                                                            : NULL;
}

/* A zeroed payload for the tensor's dtype and these dims. */
static bool
give_payload(resect_model *m, rs_tensor *t, int rank, const int64_t *dims, resect_error *err)
{
        size_t count, bytes, room;
        if (!rs_tensor_extent(t->dtype, rank, dims, &count, &bytes, err))
                return false;
        int64_t *copy = RS_NEW(&m->arena, (size_t)rank, int64_t, err);
        unsigned char *p = rs_add(bytes, NUMBER_ALIGNMENT, &room)
                                   ? rs_arena_alloc(&m->arena, room, 1, err)
                                   : RS_NOMEM_NULL(err);
        if (!copy || !p)
                return false;
        if (rank)
                memcpy(copy, dims, (size_t)rank * sizeof *dims);
        p += (NUMBER_ALIGNMENT - (uintptr_t)p % NUMBER_ALIGNMENT) % NUMBER_ALIGNMENT;
        t->rank = rank;
        t->dims = copy;
        t->count = count;
        t->bytes = bytes;
        t->where = RS_HERE;
        t->data = (rs_span){p, bytes};
        t->location = NULL;
        t->offset = t->length = 0;
        t->touched = true;
        return true;
}

bool
rs_tensor_renew(resect_model *m, rs_tensor *t, int rank, const int64_t *dims, resect_error *err)
{
        return give_payload(m, t, rank, dims, err);
}

rs_tensor *
rs_model_add_tensor(resect_model *m, const char *name, int32_t dtype, int rank, const int64_t *dims,
        resect_error *err)
{
        rs_tensor *t = RS_NEW(&m->arena, 1, rs_tensor, err);
        if (!t || !(t->name = rs_arena_strdup(&m->arena, name, err)))
                return NULL;
        t->dtype = dtype;
        if (!give_payload(m, t, rank, dims, err))
                return NULL;
        if (m->ir_version > 0 && m->ir_version < 4) {
                rs_value *v = rs_model_make_value(m, name, dtype, rank, dims, NULL, err);
                if (!v || !rs_array_push(m, (void ***)&m->graph.inputs, &m->graph.n_inputs, v, err))
                        return NULL;
        }
        return rs_array_push(m, (void ***)&m->graph.tensors, &m->graph.n_tensors, t, err) ? t
                                                                                          : NULL;
}

rs_value *
rs_model_make_value(resect_model *m, const char *name, int32_t dtype, int rank, const int64_t *dims,
        const char *const *symbols, resect_error *err)
{
        rs_value *v = RS_NEW(&m->arena, 1, rs_value, err);
        if (!v || !(v->name = rs_arena_strdup(&m->arena, name, err)))
                return NULL;
        v->is_tensor = true;
        v->dtype = dtype;
        v->rank = rank;
        v->touched = true;
        if (rank < 0)
                return v;
        v->dims = RS_NEW(&m->arena, (size_t)rank, int64_t, err);
        v->symbols = RS_NEW(&m->arena, (size_t)rank, const char *, err);
        if (!v->dims || !v->symbols)
                return NULL;
        for (int i = 0; i < rank; i++) {
                v->dims[i] = dims[i] < 0 ? -1 : dims[i];
                if (symbols && symbols[i] &&
                        !(v->symbols[i] = rs_arena_strdup(&m->arena, symbols[i], err)))
                        return NULL;
        }
        return v;
}

/* Every name in use, into a map. */
static bool
collect(const rs_graph *g, rs_map *names, rs_arena *arena, resect_error *err)
{
        static char yes;
        bool ok = true;
#define TAKE(name) (ok = ok && rs_map_put(names, (name), &yes, NULL, err))
        for (size_t i = 0; i < g->n_nodes; i++) {
                const rs_node *n = g->nodes[i];
                const char **inner;
                size_t n_inner;
                TAKE(n->name);
                for (size_t k = 0; k < n->n_in; k++)
                        TAKE(n->in[k]);
                for (size_t k = 0; k < n->n_out; k++)
                        TAKE(n->out[k]);
                ok = ok && rs_node_subgraph_names(n, arena, &inner, &n_inner, err);
                for (size_t k = 0; ok && k < n_inner; k++)
                        TAKE(inner[k]);
        }
        for (size_t i = 0; i < g->n_tensors; i++)
                TAKE(g->tensors[i]->name);
        for (size_t i = 0; i < g->n_sparse; i++)
                TAKE(g->sparse[i]);
        for (size_t i = 0; i < g->n_inputs; i++)
                TAKE(g->inputs[i]->name);
        for (size_t i = 0; i < g->n_outputs; i++)
                TAKE(g->outputs[i]->name);
        for (size_t i = 0; i < g->n_values; i++)
                TAKE(g->values[i]->name);
#undef TAKE
        return ok;
}

const char *
rs_model_fresh_name(resect_model *m, const char *wish, resect_error *err)
{
        rs_map names = {0};
        rs_arena arena = {0};
        char *name = NULL;
        if (collect(&m->graph, &names, &arena, err)) {
                name = rs_arena_strdup(&m->arena, wish, err);
                for (unsigned k = 1; name && (!*name || rs_map_get(&names, name)); k++) {
                        name = rs_arena_printf(&arena, err, "%s_%u", wish, k);
                        if (name && !rs_map_get(&names, name))
                                name = rs_arena_strdup(&m->arena, name, err);
                }
        }
        rs_map_free(&names);
        rs_arena_free(&arena);
        return name;
}
