/* SPDX-License-Identifier: 0BSD */
/* Nodes: what they read is there, they are in order and on no cycle, their domain is imported,
 * their attributes are named once. */
#include "look/check.h"

#include <string.h>

static bool
imported(const resect_model *m, const char *domain)
{
        for (size_t i = 0; i < m->n_opsets; i++)
                if (!strcmp(m->opsets[i].domain, domain))
                        return true;
        return m->ir_version < 3 && !domain[0];
}

static bool
check_domains(rs_check *c)
{
        const rs_graph *g = &c->m->graph;
        rs_map told = {0};
        bool ok = true;
        for (size_t i = 0; ok && i < g->n_nodes; i++) {
                const rs_node *n = g->nodes[i];
                const char *domain = strcmp(n->domain, "ai.onnx") ? n->domain : "";
                void *old = NULL;
                if (imported(c->m, domain))
                        continue;
                ok = rs_map_put(&told, domain, g->nodes[i], &old, c->err);
                if (ok && !old && c->m->n_opsets) /* once a domain */
                        rs_found(c, rs_node_where(n),
                                "%s is of the domain \"%s\", which is not imported", n->op, domain);
        }
        rs_map_free(&told);
        return ok;
}

static void
check_attributes(rs_check *c, const rs_node *n)
{
        for (size_t i = 0; i < n->n_attrs; i++) {
                if (!n->attrs[i].name[0])
                        rs_found(c, rs_node_where(n), "an attribute has an empty name");
                for (size_t k = 0; k < i && i < 1000; k++)
                        if (!strcmp(n->attrs[i].name, n->attrs[k].name))
                                rs_found(c, rs_node_where(n), "attribute %s is given twice",
                                        n->attrs[i].name);
        }
}

/* What each node reads: made at all, and before it? */
static bool
check_reads(rs_check *c, size_t *late)
{
        const rs_graph *g = &c->m->graph;
        rs_map done = {0};
        bool ok = true;
        *late = 0;
        const rs_node *first = NULL;
        const char *what = NULL;
        for (size_t i = 0; ok && i < g->n_nodes; i++) {
                const rs_node *n = g->nodes[i];
                if (!n->op[0])
                        rs_found(c, rs_node_where(n), "a node without an operator");
                check_attributes(c, n);
                for (size_t k = 0; k < n->n_in; k++) {
                        const char *made = n->in[k][0] ? rs_map_get(&c->made, n->in[k]) : "";
                        if (!made) {
                                rs_found(c, rs_node_where(n), "reads %s, which nothing makes",
                                        n->in[k]);
                        } else if (made == rs_made_by_node && !rs_map_get(&done, n->in[k])) {
                                ++*late;
                                what = first ? what : n->in[k];
                                first = first ? first : n;
                        }
                }
                for (size_t k = 0; ok && k < n->n_out; k++)
                        ok = !n->out[k][0] ||
                             rs_map_put(&done, n->out[k], g->nodes[i], NULL, c->err);
        }
        rs_map_free(&done);
        if (first)
                rs_warned(c, rs_node_where(first),
                        "nodes are not sorted: reads %s, which is made later (and %zu more)", what,
                        *late - 1);
        return ok;
}

/* Sorting finds a cycle; the order that was there is put back. */
static bool
check_cycles(rs_check *c)
{
        resect_model *m = (resect_model *)c->m;
        rs_graph *g = &m->graph;
        rs_node **order = rs_alloc(g->n_nodes, sizeof *order, c->err);
        resect_error e = {0};
        if (!order)
                return false;
        if (g->n_nodes)
                memcpy(order, g->nodes, g->n_nodes * sizeof *order);
        bool ok = rs_graph_sort(m, &e);
        if (g->n_nodes)
                memcpy(g->nodes, order, g->n_nodes * sizeof *order);
        rs_free(order);
        if (!ok && e.code == RESECT_GRAPH &&
                strstr(e.msg, "cycle")) /* a value made twice was found before */
                rs_found(c, "", "%s", e.msg);
        if (!ok && e.code == RESECT_NOMEM) {
                if (c->err)
                        *c->err = e;
                return false;
        }
        return true;
}

static bool
check_unread(rs_check *c)
{
        const rs_graph *g = &c->m->graph;
        rs_map read = {0};
        bool ok = true;
        size_t unread = 0;
        const char *first = NULL;
        for (size_t i = 0; ok && i < g->n_nodes; i++) {
                const char **inner;
                size_t n_inner;
                ok = rs_node_subgraph_names(g->nodes[i], &c->arena, &inner, &n_inner, c->err);
                for (size_t k = 0; ok && k < n_inner; k++)
                        ok = rs_map_put(&read, inner[k], (void *)g, NULL, c->err);
                for (size_t k = 0; ok && k < g->nodes[i]->n_in; k++)
                        ok = rs_map_put(&read, g->nodes[i]->in[k], (void *)g, NULL, c->err);
        }
        for (size_t i = 0; ok && i < g->n_outputs; i++)
                ok = rs_map_put(&read, g->outputs[i]->name, (void *)g, NULL, c->err);
        for (size_t i = 0; ok && i < g->n_tensors; i++)
                if (!rs_map_get(&read, g->tensors[i]->name)) {
                        unread++;
                        first = first ? first : g->tensors[i]->name;
                }
        rs_map_free(&read);
        if (ok && unread)
                rs_warned(c, first, "%zu initializer%s read by no node", unread,
                        unread == 1 ? " is" : "s are");
        return ok;
}

bool
rs_check_nodes(rs_check *c)
{
        size_t late;
        return check_domains(c) && check_reads(c, &late) && (!late || check_cycles(c)) &&
               check_unread(c);
}
