/* SPDX-License-Identifier: 0BSD */
/*
 * Topological order. Of the nodes that are ready the one that stood first goes first (a heap of
 * positions), so that a sorted graph stays as it is and an unsorted one changes as little as it
 * must.
 */
#include "model/model.h"

#include <string.h>

struct edge {
        size_t to;
        struct edge *next;
};

struct sorter {
        rs_arena arena;
        rs_map makers;      /* value -> its maker's position + 1, as a pointer into places */
        size_t *places;     /* [n] places[i] = i */
        struct edge **out;  /* [n] readers of what node i makes */
        size_t *waits;      /* [n] edges into node i not yet served */
        size_t *heap, size; /* positions that are ready, smallest first */
};

static void
heap_push(struct sorter *s, size_t v)
{
        size_t i = s->size++;
        for (; i && s->heap[(i - 1) / 2] > v; i = (i - 1) / 2)
                s->heap[i] = s->heap[(i - 1) / 2];
        s->heap[i] = v;
}

static size_t
heap_pop(struct sorter *s)
{
        size_t top = s->heap[0], v = s->heap[--s->size], i = 0;
        for (;;) {
                size_t k = 2 * i + 1;
                if (k >= s->size)
                        break;
                if (k + 1 < s->size && s->heap[k + 1] < s->heap[k])
                        k++;
                if (s->heap[k] >= v)
                        break;
                s->heap[i] = s->heap[k];
                i = k;
        }
        s->heap[i] = v;
        return top;
}

static bool
add_edge(struct sorter *s, const char *name, size_t to, resect_error *err)
{
        size_t *maker = name[0] ? rs_map_get(&s->makers, name) : NULL;
        if (!maker)
                return true;
        struct edge *e = RS_NEW(&s->arena, 1, struct edge, err);
        if (!e)
                return false;
        *e = (struct edge){to, s->out[*maker]};
        s->out[*maker] = e;
        s->waits[to]++;
        return true;
}

static bool
add_edges(struct sorter *s, const rs_graph *g, resect_error *err)
{
        for (size_t i = 0; i < g->n_nodes; i++) {
                const rs_node *n = g->nodes[i];
                s->places[i] = i;
                for (size_t k = 0; k < n->n_out; k++) {
                        void *old = NULL;
                        if (n->out[k][0] &&
                                !rs_map_put(&s->makers, n->out[k], &s->places[i], &old, err))
                                return false;
                        if (old)
                                return rs_fail(
                                        err, RESECT_GRAPH, "%s is made by two nodes", n->out[k]);
                }
        }
        for (size_t i = 0; i < g->n_nodes; i++) {
                const rs_node *n = g->nodes[i];
                const char **inner;
                size_t n_inner;
                for (size_t k = 0; k < n->n_in; k++)
                        if (!add_edge(s, n->in[k], i, err))
                                return false;
                if (!rs_node_subgraph_names(n, &s->arena, &inner, &n_inner, err))
                        return false;
                for (size_t k = 0; k < n_inner; k++)
                        if (!add_edge(s, inner[k], i, err))
                                return false;
        }
        return true;
}

static bool
run(struct sorter *s, rs_graph *g, resect_error *err)
{
        rs_node **sorted = RS_NEW(&s->arena, g->n_nodes, rs_node *, err);
        if (!sorted)
                return false;
        size_t done = 0;
        for (size_t i = 0; i < g->n_nodes; i++)
                if (!s->waits[i])
                        heap_push(s, i);
        while (s->size) {
                size_t i = heap_pop(s);
                sorted[done++] = g->nodes[i];
                for (struct edge *e = s->out[i]; e; e = e->next)
                        if (!--s->waits[e->to])
                                heap_push(s, e->to);
        }
        if (done < g->n_nodes) {
                size_t i = 0;
                while (!s->waits[i]) /* a node that waits for ever lies on a cycle or behind one */
                        i++;
                const rs_node *n = g->nodes[i];
                return rs_fail(err, RESECT_GRAPH, "the graph has a cycle at or before node %s (%s)",
                        n->name[0] || !n->n_out ? n->name : n->out[0], n->op);
        }
        memcpy(g->nodes, sorted, done * sizeof *sorted);
        return true;
}

bool
rs_graph_sort(resect_model *m, resect_error *err)
{
        rs_graph *g = &m->graph;
        if (!g->n_nodes)
                return true;
        struct sorter s = {0};
        s.places = RS_NEW(&s.arena, g->n_nodes, size_t, err);
        s.out = RS_NEW(&s.arena, g->n_nodes, struct edge *, err);
        s.waits = RS_NEW(&s.arena, g->n_nodes, size_t, err);
        s.heap = RS_NEW(&s.arena, g->n_nodes, size_t, err);
        bool ok =
                s.places && s.out && s.waits && s.heap && add_edges(&s, g, err) && run(&s, g, err);
        rs_map_free(&s.makers);
        rs_arena_free(&s.arena);
        return ok;
}
