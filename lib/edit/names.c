/* SPDX-License-Identifier: 0BSD */
/*
 * Canonical names: torchvision's for tensors, the part for nodes. Names move in two rounds, out of
 * the way and then to where they belong, because one tensor's new name may be another's old one (a
 * network whose blocks were dropped).
 */
#include "edit/rewrite.h"
#include "look/anatomy.h"

#include <stdio.h>
#include <string.h>

#include "base/map.h"

typedef struct move {
        const char *from, *to, *between;
} move;

static bool
wanted_moves(rs_surgery *s, const resect_anatomy *a, move **moves, size_t *n, resect_error *err)
{
        static char yes;
        const rs_graph *g = &s->m->graph;
        rs_map taken = {0}; /* names that tensors will have, and those of values that stay */
        *n = 0;
        *moves = RS_NEW(&s->arena, g->n_tensors + 1, move, err);
        bool ok = *moves != NULL;
        for (size_t i = 0; ok && i < g->n_tensors; i++)
                if (resect_anatomy_tensor_canonical(a, g->tensors[i]->name) == NULL)
                        ok = rs_map_put(&taken, g->tensors[i]->name, &yes, NULL, err);
        for (size_t i = 0; ok && i < g->n_nodes; i++)
                for (size_t k = 0; ok && k < g->nodes[i]->n_out; k++)
                        ok = rs_map_put(&taken, g->nodes[i]->out[k], &yes, NULL, err);
        for (size_t i = 0; ok && i < g->n_inputs; i++)
                ok = rs_map_put(&taken, g->inputs[i]->name, &yes, NULL, err);
        for (size_t i = 0; ok && i < g->n_tensors; i++) {
                const char *from = g->tensors[i]->name,
                           *to = resect_anatomy_tensor_canonical(a, from);
                if (to == NULL || rs_map_get(&taken, to) != NULL)
                        continue;
                to = rs_arena_strdup(&s->arena, to, err);
                ok = to != NULL && rs_map_put(&taken, to, &yes, NULL, err);
                if (ok && strcmp(from, to) != 0)
                        (*moves)[(*n)++] = (move){.from = from, .to = to};
        }
        rs_map_free(&taken);
        return ok;
}

/* A node's name from the part that its own tensor, or its block, lies in. */
static const char *
block_name(rs_surgery *s, const rs_ablock *b, const rs_node *n, int *relu, resect_error *err)
{
        if (n == b->add)
                return rs_arena_printf(&s->m->arena, err, "%s.add", b->pub.name);
        if (n == b->relu)
                return rs_arena_printf(&s->m->arena, err, "%s.relu", b->pub.name);
        if (rs_is_op(n, "Relu"))
                return rs_arena_printf(&s->m->arena, err, "%s.relu%d", b->pub.name, ++*relu);
        return "";
}

static bool
name_nodes(rs_surgery *s, const resect_anatomy *a, size_t *count, resect_error *err)
{
        static char yes;
        const rs_graph *g = &s->m->graph;
        rs_map names = {0};
        const char **wish = RS_NEW(&s->arena, g->n_nodes + 1, const char *, err);
        bool ok = wish != NULL;
        for (size_t i = 0; ok && i < g->n_nodes; i++) {
                const rs_node *n = g->nodes[i];
                wish[i] = "";
                for (size_t k = 1; k < n->n_in && wish[i][0] == '\0'; k++) {
                        const rs_tensor *t = rs_anatomy_initializer(a, n, k);
                        const rs_atensor *at = t != NULL ? rs_map_get(&a->tensors, t->name) : NULL;
                        if (at != NULL && at->part != NULL && at->node == n && !at->shared)
                                wish[i] = rs_arena_strdup(&s->m->arena, at->part, err);
                        ok = ok && wish[i] != NULL;
                        if (!ok)
                                wish[i] = "";
                }
        }
        for (size_t b = 0; ok && b < a->n_blocks; b++) {
                int relu = 0;
                for (size_t k = 0; ok && k < a->blocks[b].nodes.n; k++) {
                        const char *name =
                                block_name(s, &a->blocks[b], a->blocks[b].nodes.at[k], &relu, err);
                        ok = name != NULL;
                        for (size_t i = 0; ok && name[0] != '\0' && i < g->n_nodes; i++)
                                if (g->nodes[i] == a->blocks[b].nodes.at[k])
                                        wish[i] = name;
                }
        }
        for (size_t i = 0; ok && i < g->n_nodes; i++)
                if (wish[i][0] == '\0')
                        ok = rs_map_put(&names, g->nodes[i]->name, &yes, NULL, err);
        *count = 0;
        for (size_t i = 0; ok && i < g->n_nodes; i++) {
                rs_node *n = g->nodes[i];
                if (wish[i][0] == '\0')
                        continue;
                const bool free = rs_map_get(&names, wish[i]) == NULL;
                if (free && strcmp(n->name, wish[i]) != 0) {
                        n->name = wish[i];
                        rs_node_touch(n);
                        ++*count;
                }
                ok = rs_map_put(&names, n->name, &yes, NULL, err);
        }
        rs_map_free(&names);
        return ok;
}

bool
rs_canon_names(rs_surgery *s, resect_error *err)
{
        resect_anatomy *a = resect_anatomy_find(s->m, err);
        move *moves = NULL;
        size_t n = 0, nodes = 0;
        bool ok = a != NULL && wanted_moves(s, a, &moves, &n, err) && name_nodes(s, a, &nodes, err);
        for (int round = 0; ok && round < 2; round++)
                for (size_t i = 0; ok && i < n; i++) {
                        if (round == 0)
                                moves[i].between =
                                        rs_arena_printf(&s->arena, err, "resect.moving.%zu", i);
                        ok = moves[i].between != NULL &&
                             rs_graph_rename(s->m, round == 0 ? moves[i].from : moves[i].between,
                                     round == 0 ? moves[i].between : moves[i].to, err);
                }
        resect_anatomy_free(a);
        if (ok)
                rs_note(s, "canon: renamed %zu tensor%s and %zu node%s", n, n == 1 ? "" : "s",
                        nodes, nodes == 1 ? "" : "s");
        return ok;
}
