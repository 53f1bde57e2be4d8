/* SPDX-License-Identifier: 0BSD */
/* Liveness, dominators and the trunk. The dominator of a node's output is the nearest common one of
   the node's live inputs; in topological order each is known when it is needed. */
#include "look/trunk.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

int
rs_trunk_vertex(const resect_anatomy *a, const char *name)
{
        return (int)(intptr_t)rs_map_get(&a->trunk->numbers, name) - 1;
}

static bool
add_vertex(struct rs_trunk *t, rs_vertex v, resect_error *err)
{
        t->v[t->n] = v;
        return rs_map_put(&t->numbers, v.name, (void *)(intptr_t)(++t->n), NULL, err);
}

static int
common(const struct rs_trunk *t, int p, int q)
{
        while (p != q) {
                if (t->v[p].depth < t->v[q].depth)
                        q = t->v[q].idom;
                else if (t->v[p].depth > t->v[q].depth)
                        p = t->v[p].idom;
                else {
                        p = t->v[p].idom;
                        q = t->v[q].idom;
                }
        }
        return p;
}

/* The picture: the first input of rank 4, else of unknown rank, else the first. */
const char *
rs_trunk_picture(const resect_model *m)
{
        const char *best = NULL;
        int rank_of_best = 0;
        resect_value v;
        for (size_t i = 0; i < 64 && resect_model_input(m, i, &v); i++) {
                int rank = v.rank == 4 ? 3 : v.rank < 0 ? 2 : 1;
                if (rank > rank_of_best) {
                        best = v.name;
                        rank_of_best = rank;
                }
        }
        return best ? rs_graph_find_input(&m->graph, best)->name : NULL;
}

static bool
add_outputs(resect_anatomy *a, int number, resect_error *err)
{
        struct rs_trunk *t = a->trunk;
        rs_node *n = a->model->graph.nodes[number];
        static const char *const measure[] = {"Shape", "Size", NULL};
        int idom = -1;
        if (rs_op_in(n, measure))
                return true;
        for (size_t i = 0; i < n->n_in; i++) {
                int p = rs_trunk_vertex(a, n->in[i]);
                if (p >= 0)
                        idom = idom < 0 ? p : common(t, idom, p);
        }
        for (size_t i = 0; idom >= 0 && i < n->n_out; i++)
                if (n->out[i][0] &&
                        !add_vertex(t,
                                (rs_vertex){n->out[i], n, number, idom, t->v[idom].depth + 1}, err))
                        return false;
        return true;
}

static bool
is_residual(const resect_anatomy *a, int v)
{
        int in[2];
        size_t slot[2];
        const rs_node *n = a->trunk->v[v].maker;
        return n && rs_is_sum(n) && rs_trunk_live_inputs(a, n, in, slot) == 2;
}

/* The trunk leads to the output with the most residual sums on its way. */
static bool
choose_chain(resect_anatomy *a, resect_error *err)
{
        struct rs_trunk *t = a->trunk;
        const rs_graph *g = &a->model->graph;
        int best = -1, most = -1;
        for (size_t i = 0; i < g->n_outputs && i < 64; i++) {
                int sums = 0, end = rs_trunk_vertex(a, g->outputs[i]->name);
                for (int v = end; v >= 0; v = t->v[v].idom)
                        sums += is_residual(a, v);
                if (end >= 0 && sums > most) {
                        most = sums;
                        best = end;
                }
        }
        if (best < 0)
                return true;
        a->tail.output = t->v[best].name;
        t->n_chain = t->v[best].depth + 1;
        t->chain = RS_NEW(&a->arena, (size_t)t->n_chain, int, err);
        for (int v = best, i = t->n_chain; t->chain && v >= 0; v = t->v[v].idom)
                t->chain[--i] = v;
        return t->chain;
}

bool
rs_trunk_make(resect_anatomy *a, resect_error *err)
{
        const rs_graph *g = &a->model->graph;
        struct rs_trunk *t = a->trunk;
        size_t values = 1, reads = 1;
        for (size_t i = 0; i < g->n_nodes; i++) {
                values += g->nodes[i]->n_out;
                reads += g->nodes[i]->n_in;
        }
        if (values > INT_MAX / 2 || reads > INT_MAX / 2)
                return rs_fail(err, RESECT_UNSUPPORTED, "the graph has too many values");
        t->v = RS_NEW(&a->arena, values, rs_vertex, err);
        t->part = RS_NEW(&a->arena, g->n_nodes, const char *, err);
        t->canonical = RS_NEW(&a->arena, g->n_nodes, const char *, err);
        t->part_of = RS_NEW(&a->arena, g->n_nodes, int, err);
        t->block_of = RS_NEW(&a->arena, g->n_nodes, int, err);
        t->stamp = RS_NEW(&a->arena, g->n_nodes, int, err);
        t->found = RS_NEW(&a->arena, g->n_nodes, int, err);
        t->stack = RS_NEW(&a->arena, reads, int, err);
        t->now = 1;
        if (!t->found || !t->stack || !t->v || !t->part || !t->canonical || !t->part_of ||
                !t->block_of || !t->stamp)
                return false;
        const char *picture = rs_trunk_picture(a->model);
        if (!picture)
                return true;
        a->summary.input = picture;
        if (!add_vertex(t, (rs_vertex){picture, NULL, -1, -1, 0}, err))
                return false;
        for (size_t i = 0; i < g->n_nodes; i++)
                if (!add_outputs(a, (int)i, err))
                        return false;
        return choose_chain(a, err);
}

bool
rs_trunk_path(resect_anatomy *a, int from, int to, int **path, int *n, resect_error *err)
{
        const struct rs_trunk *t = a->trunk;
        int length = 0, v = to;
        *n = 0;
        *path = NULL;
        for (; v >= 0 && v != from; v = t->v[v].idom)
                length++;
        if (v < 0 || !length)
                return true;
        int *p = RS_NEW(&a->arena, (size_t)length, int, err);
        if (!p)
                return false;
        *path = p;
        *n = length;
        for (v = to; v != from; v = t->v[v].idom)
                p[--length] = v;
        return true;
}

static int
ascending(const void *p, const void *q)
{
        return *(const int *)p - *(const int *)q;
}

bool
rs_trunk_between(resect_anatomy *a, int from, int to, bool fresh, rs_nodes *out, resect_error *err)
{
        struct rs_trunk *t = a->trunk;
        int size = 0, count = 0;
        *out = (rs_nodes){0};
        t->now += fresh;
        if (from == to || from < 0 || to < 0)
                return true;
        t->stack[size++] = to;
        while (size) {
                const rs_vertex *v = &t->v[t->stack[--size]];
                if (v->node < 0 || t->stamp[v->node] == t->now)
                        continue;
                t->stamp[v->node] = t->now;
                t->found[count++] = v->node;
                for (size_t i = 0; i < v->maker->n_in; i++) {
                        int p = rs_trunk_vertex(a, v->maker->in[i]);
                        if (p >= 0 && p != from)
                                t->stack[size++] = p;
                }
        }
        qsort(t->found, (size_t)count, sizeof *t->found, ascending);
        out->at = RS_NEW(&a->arena, (size_t)count, rs_node *, err);
        for (int i = 0; out->at && i < count; i++)
                out->at[out->n++] = a->model->graph.nodes[t->found[i]];
        return out->at;
}

int
rs_trunk_live_inputs(const resect_anatomy *a, const rs_node *n, int v[2], size_t slot[2])
{
        int count = 0;
        for (size_t i = 0; i < n->n_in; i++) {
                int p = rs_trunk_vertex(a, n->in[i]);
                if (p < 0 || (count > 0 && v[0] == p) || (count > 1 && v[1] == p))
                        continue;
                if (count < 2) {
                        v[count] = p;
                        slot[count] = i;
                }
                count++;
        }
        return count;
}

rs_node *
rs_trunk_sole_reader(const resect_anatomy *a, const char *value)
{
        const rs_link *l = rs_index_find(&a->index, value);
        rs_node *sole = NULL;
        static const char *const measure[] = {"Shape", "Size", NULL};
        if (!l || l->is_output || l->captured)
                return NULL;
        for (const rs_use *u = l->uses; u; u = u->next) {
                if (rs_op_in(u->node, measure))
                        continue;
                if (sole && sole != u->node)
                        return NULL;
                sole = u->node;
        }
        return sole;
}

int
rs_trunk_node(const resect_anatomy *a, const rs_node *n)
{
        for (size_t i = 0; i < n->n_out; i++) {
                int v = n->out[i][0] ? rs_trunk_vertex(a, n->out[i]) : -1;
                if (v >= 0)
                        return a->trunk->v[v].node;
        }
        return -1;
}
