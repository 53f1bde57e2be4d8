/* SPDX-License-Identifier: 0BSD */
/*
 * Exporters store equal tensors once: PyTorch gives every fresh BatchNormalization of a width the
 * same scale, bias and statistics, through Identity nodes, and others share one zero bias. That
 * saves bytes in a model that only runs, but trained as it stands it would tie layers together that
 * have nothing to do with one another. So before training each reader gets a copy of its own, under
 * the name that the Identity gave it.
 */
#include <string.h>
#include "op/op.h"
#include "train/run.h"

static rs_tensor *
copy_tensor(resect_model *m, const rs_tensor *t, const char *name, resect_error *err)
{
        rs_arena scratch = {0};
        rs_span bytes;
        rs_tensor *made = NULL;
        if (rs_tensor_bytes(m, t, &scratch, &bytes, err))
                made = rs_model_add_tensor(m, name, t->dtype, t->rank, t->dims, err);
        if (made) /* a payload of our own, in the file's byte order like the one it comes from */
                memcpy((void *)(uintptr_t)made->data.data, bytes.data, bytes.size);
        rs_arena_free(&scratch);
        return made;
}

static void
remove_node(rs_graph *g, size_t at)
{
        memmove(&g->nodes[at], &g->nodes[at + 1], (g->n_nodes - at - 1) * sizeof *g->nodes);
        g->n_nodes--;
}

static rs_tensor *
initializer(const rs_graph *g, const char *name)
{
        for (size_t i = 0; i < g->n_tensors; i++)
                if (!strcmp(g->tensors[i]->name, name))
                        return g->tensors[i];
        return NULL;
}

/* An Identity of a float initializer becomes an initializer. A chain of them goes away link by
 * link. */
static bool
drop_identities(resect_model *m, size_t *copies, resect_error *err)
{
        rs_graph *g = &m->graph;
        for (bool again = true; again;) {
                again = false;
                for (size_t i = 0; i < g->n_nodes; i++) {
                        const rs_node *node = g->nodes[i];
                        const rs_tensor *t = NULL;
                        if (!strcmp(node->op, "Identity") && !*node->domain && node->n_in == 1 &&
                                node->n_out == 1)
                                t = initializer(g, node->in[0]);
                        if (!t || t->dtype != RESECT_FLOAT)
                                continue;
                        const char *name = node->out[0];
                        bool frozen = rs_model_is_frozen(m, t->name);
                        if (!copy_tensor(m, t, name, err) ||
                                (frozen && !rs_model_set_frozen(m, name, true, err)))
                                return false;
                        remove_node(g, i--);
                        ++*copies;
                        again = true;
                }
        }
        return true;
}

/* Whether a reader would train what it reads, or keep statistics there. */
static bool
trains(const resect_model *m, const rs_use *use)
{
        const rs_op *op = rs_op_find(use->node->domain, use->node->op, rs_model_opset(m));
        return op && use->slot < 32 &&
               ((op->trains | op->adjusts | op->statistics) >> use->slot & 1);
}

/* An initializer that several layers read: the first keeps it, the others get copies. */
static bool
split_shared(resect_model *m, size_t *copies, resect_error *err)
{
        rs_index ix;
        bool ok = rs_index_make(&ix, &m->graph, err);
        size_t n = m->graph.n_tensors;
        for (size_t i = 0; ok && i < n; i++) {
                const rs_tensor *t = m->graph.tensors[i];
                const rs_link *l = rs_index_find(&ix, t->name);
                bool kept = false;
                if (!l || t->dtype != RESECT_FLOAT || t->count < 2 ||
                        rs_model_is_frozen(m, t->name))
                        continue;
                for (const rs_use *u = l->uses; ok && u; u = u->next) {
                        if (!trains(m, u))
                                continue;
                        const char *name = kept ? rs_model_fresh_name(m, t->name, err) : NULL;
                        ok = !kept || (name && copy_tensor(m, t, name, err));
                        if (ok && kept) {
                                u->node->in[u->slot] = name;
                                rs_node_touch(u->node);
                                ++*copies;
                        }
                        kept = true;
                }
        }
        rs_index_free(&ix);
        return ok;
}

bool
rs_untie(resect_model *m, size_t *copies, resect_error *err)
{
        *copies = 0;
        return drop_identities(m, copies, err) && split_shared(m, copies, err);
}
