/* SPDX-License-Identifier: 0BSD */
/*
 * The layers that a report of resect-cast has a line for. A layer is what multiplies, or where two
 * branches meet, and ends behind the normalisation and activation that nobody else reads: there a
 * quantised network is quantised, too.
 */
#include "edit/cast.h"

#include <string.h>

static bool
goes_along(const rs_index *ix, const rs_node *n)
{
        static const char *const ops[] = {
                "BatchNormalization", "Relu", "Clip", "LeakyRelu", "PRelu", "Sigmoid"};
        for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
                if (rs_is_op(n, ops[i]))
                        return true;
        return rs_is_op(n, "Add") && n->n_in == 2 &&
               (rs_constant(ix, n->in[0]) != NULL || rs_constant(ix, n->in[1]) != NULL);
}

static bool
is_layer(const rs_index *ix, const rs_node *n)
{
        if (n->n_out == 0)
                return false;
        if (rs_is_op(n, "Conv") || rs_is_op(n, "ConvTranspose") || rs_is_op(n, "Gemm") ||
                rs_is_op(n, "MatMul"))
                return true;
        if (!rs_is_op(n, "Add") && !rs_is_op(n, "Sum"))
                return false;
        for (size_t k = 0; k < n->n_in; k++)
                if (rs_constant(ix, n->in[k]) != NULL)
                        return false;
        return true;
}

/* Where the layer that begins with a node ends. */
static const char *
end_of(const rs_index *ix, const rs_node *n)
{
        for (int hops = 0; hops < 8; hops++) {
                const rs_link *l = rs_index_find(ix, n->out[0]);
                if (l == NULL || l->n_uses != 1 || l->is_output || l->uses->slot > 1 ||
                        !goes_along(ix, l->uses->node) ||
                        (l->uses->slot == 1 && !rs_is_op(l->uses->node, "Add")) ||
                        l->uses->node->n_out == 0)
                        break;
                n = l->uses->node;
        }
        return n->out[0];
}

bool
rs_cast_layers(rs_cast *c, resect_error *err)
{
        const resect_anatomy *a = c->anatomy;
        const rs_graph *g = &c->s->m->graph;
        c->layers = RS_NEW(&c->s->arena, g->n_nodes + g->n_outputs + 1, rs_layer, err);
        if (c->layers == NULL)
                return false;
        for (size_t i = 0; i < g->n_nodes; i++) {
                const rs_node *n = g->nodes[i];
                const rs_type *t = n->n_out != 0 ? rs_types_find(&a->types, n->out[0]) : NULL;
                if (!is_layer(&a->index, n) || t == NULL || !rs_is_float(t->dtype))
                        continue;
                const char *part = resect_anatomy_value_part(a, n->out[0]),
                           *end = end_of(&a->index, n);
                const char *name =
                        rs_arena_strdup(&c->s->arena, part != NULL ? part : rs_node_title(n), err);
                if (name == NULL)
                        return false;
                c->layers[c->n_layers++] = (rs_layer){
                        .name = name, .op = n->op, .node = n, .before = end, .after = end};
        }
        for (size_t i = 0; i < g->n_outputs; i++) {
                const char *y = g->outputs[i]->name;
                const rs_type *t = rs_types_find(&a->types, y);
                if (t != NULL && rs_is_float(t->dtype))
                        c->layers[c->n_layers++] =
                                (rs_layer){.name = y, .op = "output", .before = y, .after = y};
        }
        return true;
}

void
rs_cast_renamed(rs_cast *c, const char *from, const char *to)
{
        for (size_t i = 0; i < c->n_layers; i++)
                if (c->layers[i].node != NULL && strcmp(c->layers[i].after, from) == 0)
                        c->layers[i].after = to;
}
