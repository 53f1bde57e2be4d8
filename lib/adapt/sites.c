/* SPDX-License-Identifier: 0BSD */
/*
 * Where a model keeps statistics, and in which order they depend on each other. The level of a
 * value is the number of BatchNormalization (frozen ones left out: they are constants like any
 * other) on the longest way to it from the picture: those of one level can be measured together,
 * once all below are known.
 */
#include "adapt/adapt.h"
#include "edit/edit.h"
#include "edit/fold.h"
#include "tensor/dtype.h"

#include <string.h>

static size_t
level_of(const rs_map *levels, const char *value)
{
        return (size_t)(uintptr_t)rs_map_get(levels, value); /* level + 1; 0: no picture in it */
}

static rs_norm_site *
site_of(const rs_norm_sites *s, const rs_node *n)
{
        for (size_t i = 0; i < s->n; i++)
                if (s->at[i].node == n)
                        return &s->at[i];
        return NULL;
}

bool
rs_levels(rs_map *levels, rs_norm_sites *s, resect_model *m, resect_error *err)
{
        resect_value v;
        *levels = (rs_map){0};
        for (size_t i = 0; resect_model_input(m, i, &v); i++)
                if (!rs_map_put(levels, v.name, (void *)(uintptr_t)1, NULL, err))
                        return false;
        for (size_t k = 0; k < m->graph.n_nodes; k++) {
                rs_node *n = m->graph.nodes[k];
                size_t level = 0;
                for (size_t i = 0; i < n->n_in; i++) {
                        size_t l = level_of(levels, n->in[i]);
                        level = l > level ? l : level;
                }
                if (level == 0)
                        continue;
                rs_norm_site *site = rs_is_op(n, "BatchNormalization") ? site_of(s, n) : NULL;
                if (site && !site->frozen)
                        site->level = level++; /* its own counts: level + 1 stands there */
                for (size_t j = 0; j < n->n_out; j++)
                        if (*n->out[j] &&
                                !rs_map_put(levels, n->out[j], (void *)(uintptr_t)level, NULL, err))
                                return false;
        }
        return true;
}

static bool
read_site(rs_norm_site *site, resect_model *m, const rs_index *ix, rs_node *n, rs_arena *a,
        resect_error *err)
{
        const rs_tensor *mean = n->n_in == 5 ? rs_constant(ix, n->in[3]) : NULL,
                        *var = n->n_in == 5 ? rs_constant(ix, n->in[4]) : NULL;
        if (rs_bn_trains(m, n))
                return rs_fail(err, RESECT_UNSUPPORTED,
                        "%s is in training mode: it uses each batch's own statistics, not the "
                        "stored ones (resect-fold --eval changes that)",
                        rs_node_title(n));
        if (!mean || !var || mean->count != var->count || mean->rank != 1)
                return rs_fail(err, RESECT_UNSUPPORTED,
                        "%s: its mean and variance are no plain initializers of one number a "
                        "channel (resect-edit --canon may make them so)",
                        rs_node_title(n));
        *site = (rs_norm_site){.node = n,
                .input = n->in[0],
                .channels = mean->count,
                .epsilon = (double)rs_node_float(n, "epsilon", 1e-5F),
                .frozen = rs_model_is_frozen(m, n->in[3]) || rs_model_is_frozen(m, n->in[4]) ||
                          rs_model_is_frozen(m, mean->name)};
        return rs_tensor_doubles(m, a, mean, &site->mean, err) &&
               rs_tensor_doubles(m, a, var, &site->var, err);
}

/* Keeps the sites that the picture reaches. */
static bool
settle(rs_norm_sites *s, resect_model *m, resect_error *err)
{
        rs_map levels;
        bool ok = rs_levels(&levels, s, m, err);
        size_t n = 0;
        for (size_t i = 0; ok && i < s->n; i++)
                if (level_of(&levels, s->at[i].input)) {
                        s->at[n] = s->at[i];
                        s->frozen += s->at[n++].frozen;
                }
        s->n = n;
        rs_map_free(&levels);
        return ok;
}

bool
rs_norm_sites_find(rs_norm_sites *s, resect_model *m, rs_arena *a, resect_error *err)
{
        rs_index ix;
        *s = (rs_norm_sites){0};
        if (!rs_graph_sort(m, err) || !rs_index_make(&ix, &m->graph, err))
                return false;
        s->at = RS_NEW(a, m->graph.n_nodes + 1, rs_norm_site, err);
        bool ok = s->at != NULL;
        for (size_t i = 0; ok && i < m->graph.n_nodes; i++) {
                rs_node *n = m->graph.nodes[i];
                if (rs_is_op(n, "BatchNormalization"))
                        ok = read_site(&s->at[s->n++], m, &ix, n, a, err);
        }
        rs_index_free(&ix);
        return ok && settle(s, m, err);
}

/* The tensor in a slot of the site's node, the site's own: shared ones (exporters store equal
 * tensors once, behind Identity nodes too) are left to the others. */
static rs_tensor *
own(resect_model *m, rs_norm_site *site, size_t slot, resect_error *err)
{
        rs_node *n = site->node;
        rs_tensor *t = rs_find_tensor(&m->graph, n->in[slot]);
        size_t uses = 0;
        for (size_t i = 0; i < m->graph.n_nodes; i++)
                for (size_t k = 0; k < m->graph.nodes[i]->n_in; k++)
                        uses += strcmp(m->graph.nodes[i]->in[k], n->in[slot]) == 0;
        if (t && uses == 1)
                return rs_tensor_renew(m, t, t->rank, t->dims, err) ? t : NULL;
        int32_t dtype = RESECT_FLOAT;
        rs_index ix;
        if (!rs_index_make(&ix, &m->graph, err))
                return NULL;
        const rs_tensor *shared = rs_constant(&ix, n->in[slot]);
        if (shared)
                dtype = shared->dtype;
        rs_index_free(&ix);
        const int64_t dims[1] = {(int64_t)site->channels};
        const char *name = rs_model_fresh_name(m, n->in[slot], err);
        t = name ? rs_model_add_tensor(m, name, dtype, 1, dims, err) : NULL;
        if (t) {
                n->in[slot] = t->name;
                rs_node_touch(n);
        }
        return t;
}

bool
rs_norm_site_store(resect_model *m, rs_norm_site *site, const double *mean, const double *var,
        resect_error *err)
{
        rs_tensor *t = own(m, site, 3, err);
        if (!t)
                return false;
        rs_tensor_put(t, mean, site->channels);
        t = own(m, site, 4, err);
        if (!t)
                return false;
        rs_tensor_put(t, var, site->channels);
        return true;
}
