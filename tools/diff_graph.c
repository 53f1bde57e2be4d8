/* SPDX-License-Identifier: 0BSD */
/* The graphs: what goes in and out, and the nodes, matched by what they make. Two exports of one
   network share no names; then the nodes are matched in their order, as far as they are alike. */
#include "diff.h"

#include <stdlib.h>
#include <string.h>

static void
compare_values(diff *d, bool outputs)
{
        bool (*get)(const resect_model *, size_t, resect_value *) =
                outputs ? resect_model_output : resect_model_input;
        const char *what = outputs ? "output" : "input";
        resect_value a, b;
        for (size_t i = 0;; i++) {
                bool in_a = get(d->a.m, i, &a), in_b = get(d->b.m, i, &b);
                if (!in_a && !in_b)
                        return;
                if (!in_a || !in_b) {
                        names_add(&d->interface, "%s %s is in %s alone", what,
                                in_a ? a.name : b.name, in_a ? "A" : "B");
                        continue;
                }
                bool same = a.dtype == b.dtype && a.rank == b.rank;
                for (int k = 0; same && k < a.rank; k++)
                        same = a.dims[k] == b.dims[k];
                if (!same || strcmp(a.name, b.name) != 0)
                        names_add(&d->interface, "%s %s %s in A, %s %s in B", what, a.name,
                                look_shape(a.dtype, a.rank, a.dims, a.symbols), b.name,
                                look_shape(b.dtype, b.rank, b.dims, b.symbols));
        }
}

static const char *
label(const resect_node *n)
{
        return *n->name ? n->name : n->n_outputs && *n->outputs[0] ? n->outputs[0] : "";
}

/* Whether a node reads the same values, where both sides know them by name. */
static bool
same_inputs(const resect_node *a, const resect_node *b)
{
        if (a->n_inputs != b->n_inputs)
                return false;
        for (size_t i = 0; i < a->n_inputs; i++)
                if (strcmp(a->inputs[i], b->inputs[i]) != 0)
                        return false;
        return true;
}

static size_t
count_nodes(const resect_model *m)
{
        resect_node n;
        size_t count = 0;
        while (resect_model_node(m, count, &n))
                count++;
        return count;
}

/* Without names: the longest run of alike nodes from the front and from the back; what lies between
 * them differs. */
static void
match_in_order(diff *d)
{
        size_t front = 0, back = 0, na = d->n_nodes_a, nb = d->n_nodes_b;
        resect_node n;
        while (front < na && front < nb && resect_model_same_node(d->a.m, front, d->b.m, front))
                front++;
        while (front + back < na && front + back < nb &&
                resect_model_same_node(d->a.m, na - 1 - back, d->b.m, nb - 1 - back))
                back++;
        d->n_alike = front + back;
        for (size_t i = front; i + back < na && resect_model_node(d->a.m, i, &n); i++)
                names_add(&d->nodes_a, "%s %s", n.op, label(&n));
        for (size_t i = front; i + back < nb && resect_model_node(d->b.m, i, &n); i++)
                names_add(&d->nodes_b, "%s %s", n.op, label(&n));
}

static void
match_by_name(diff *d, dictionary *in_b)
{
        resect_node a, b;
        bool *used = cli_alloc(d->n_nodes_b, sizeof *used);
        for (size_t i = 0; resect_model_node(d->a.m, i, &a); i++) {
                size_t j;
                if (!a.n_outputs || !dictionary_get(in_b, a.outputs[0], &j) || used[j]) {
                        names_add(&d->nodes_a, "%s %s", a.op, label(&a));
                        continue;
                }
                used[j] = true;
                resect_model_node(d->b.m, j, &b);
                if (!strcmp(a.op, b.op) && !resect_model_same_node(d->a.m, i, d->b.m, j))
                        names_add(&d->changed, "%s %s: other attributes", a.op, label(&a));
                else if (strcmp(a.op, b.op) != 0)
                        names_add(&d->changed, "%s %s: %s in B", a.op, label(&a), b.op);
                else if (!same_inputs(&a, &b))
                        names_add(&d->changed, "%s %s: reads other values", a.op, label(&a));
                else
                        d->n_alike++;
        }
        for (size_t j = 0; resect_model_node(d->b.m, j, &b); j++)
                if (!used[j])
                        names_add(&d->nodes_b, "%s %s", b.op, label(&b));
        free(used);
}

void
diff_graph(diff *d)
{
        resect_node n;
        size_t shared = 0;
        dictionary *in_b = dictionary_make();
        compare_values(d, false);
        compare_values(d, true);
        d->n_nodes_a = count_nodes(d->a.m);
        d->n_nodes_b = count_nodes(d->b.m);
        for (size_t j = 0; resect_model_node(d->b.m, j, &n); j++)
                if (n.n_outputs && *n.outputs[0])
                        dictionary_put(in_b, n.outputs[0], j);
        for (size_t i = 0; resect_model_node(d->a.m, i, &n); i++)
                shared += n.n_outputs && dictionary_get(in_b, n.outputs[0], NULL);
        if (shared * 4 >= d->n_nodes_a)
                match_by_name(d, in_b);
        else
                match_in_order(d);
        dictionary_free(in_b);
}
