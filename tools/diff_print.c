/* SPDX-License-Identifier: 0BSD */
/* What was found, for people and as JSON. */
#include "diff.h"

#include <string.h>

enum { NAMES_SHOWN = 8, ROWS_SHOWN = 20 };

static bool
graph_same(const diff *d)
{
        return !d->interface.n && !d->nodes_a.n && !d->nodes_b.n && !d->changed.n;
}

static bool
same(const diff *d)
{
        return graph_same(d) && !d->tensors_a.n && !d->tensors_b.n && !d->w.beyond && !d->v.beyond;
}

static void
print_names(const char *what, const names *n)
{
        size_t shown = cli_given("all") ? n->n : NAMES_SHOWN;
        if (!n->n)
                return;
        printf("  %s: ", what);
        for (size_t i = 0; i < n->n && i < shown; i++)
                printf("%s%s", i ? ", " : "", cli_text(n->list[i]));
        if (n->n > shown)
                printf(" and %zu more", n->n - shown);
        putchar('\n');
}

static void
print_graph(const diff *d)
{
        printf("graph: %zu nodes in A, %zu in B, %zu alike\n", d->n_nodes_a, d->n_nodes_b,
                d->n_alike);
        for (size_t i = 0; i < d->interface.n; i++)
                printf("  %s\n", cli_text(d->interface.list[i]));
        print_names("only in A", &d->nodes_a);
        print_names("only in B", &d->nodes_b);
        print_names("changed", &d->changed);
}

static void
add_row(cli_table *t, const match *m)
{
        if (!strcmp(m->a, m->b))
                cli_cell(t, "  %s", m->a);
        else
                cli_cell(t, "  %s = %s", m->a, m->b);
        cli_cell(t, "%s", m->part ? m->part : "-");
        cli_cell(t, "%s", look_shape(m->dtype, m->rank, m->dims, NULL));
        if (m->why) {
                for (int i = 0; i < 4; i++)
                        cli_cell(t, "-");
                cli_cell(t, "%s", m->why);
                return;
        }
        cli_cell(t, "%.3g", m->d.max_abs);
        cli_cell(t, "%.3g", m->d.max_rel);
        cli_cell(t, "%.3g", m->d.mean_abs);
        if (m->dtype == RESECT_FLOAT)
                cli_cell(t, "%llu", (unsigned long long)m->d.max_ulp);
        else
                cli_cell(t, "-");
        if (m->d.unequal)
                cli_cell(t, "%lld of %lld", (long long)m->d.unequal, (long long)m->d.count);
        else
                cli_cell(t, "equal");
}

/* The rows that differ, or all; at most some unless --all. */
static void
print_matches(const matches *all, const char *what, bool outputs, bool activations)
{
        const char *headers[] = {what, "part", "type", ">max", ">relative", ">mean", ">ULP",
                "beyond tolerance", NULL};
        cli_table *t = NULL;
        size_t shown = 0, left = 0;
        for (size_t i = 0; i < all->n; i++) {
                const match *m = &all->list[i];
                bool differs = m->why || m->d.unequal;
                if ((m->output && !outputs) || (!m->output && !activations) ||
                        (!differs && !cli_given("all") && !m->output))
                        continue;
                if (shown >= ROWS_SHOWN && !cli_given("all")) {
                        left++;
                        continue;
                }
                if (!t)
                        t = cli_table_make(headers);
                add_row(t, m);
                shown++;
        }
        if (t)
                cli_table_print(t);
        if (left)
                printf("  and %zu more (--all lists them)\n", left);
}

static void
print_run(const diff *d)
{
        size_t activations = 0, worst = 0, beyond = 0;
        for (size_t i = 0; i < d->v.n; i++) {
                const match *m = &d->v.list[i];
                activations += !m->output;
                beyond += !m->output && (m->why || m->d.unequal);
                if (!m->why && m->d.max_rel > d->v.list[worst].d.max_rel)
                        worst = i;
        }
        printf("run on %s\n", cli_text(d->input));
        if (d->outputs)
                print_matches(&d->v, "  output", true, false);
        if (!d->activations)
                return;
        printf("activations: %zu in common, %zu beyond the tolerance", activations, beyond);
        if (d->v.n && d->v.list[worst].d.max_rel > 0)
                printf("; the largest difference is %.3g relative, in %s",
                        d->v.list[worst].d.max_rel, cli_text(d->v.list[worst].a));
        putchar('\n');
        print_matches(&d->v, "  value", false, true);
}

bool
diff_print(const diff *d)
{
        if (d->graph)
                print_graph(d);
        if (d->weights) {
                printf("weights: %zu compared, %zu differ\n", d->w.n, d->w.beyond);
                print_names("only in A", &d->tensors_a);
                print_names("only in B", &d->tensors_b);
                print_matches(&d->w, "  tensor", false, true);
        }
        if (d->outputs || d->activations)
                print_run(d);
        return same(d);
}

static json_t *
json_names(const names *n)
{
        json_t *a = json_array();
        for (size_t i = 0; i < n->n; i++)
                json_array_append_new(a, cli_json_text(n->list[i]));
        return a;
}

static json_t *
json_matches(const matches *all, bool outputs)
{
        json_t *a = json_array();
        for (size_t i = 0; i < all->n; i++) {
                const match *m = &all->list[i];
                if (m->output != outputs)
                        continue;
                json_t *o = json_object();
                json_object_set_new(o, "name", cli_json_text(m->a));
                json_object_set_new(o, "name_b", cli_json_text(m->b));
                json_object_set_new(o, "part", cli_json_text(m->part));
                json_object_set_new(o, "dtype", json_string(resect_dtype_name(m->dtype)));
                json_object_set_new(o, "dims", look_json_dims(m->rank, m->dims, NULL));
                json_object_set_new(o, "trouble", cli_json_text(m->why));
                json_object_set_new(o, "max", m->why ? json_null() : cli_json_real(m->d.max_abs));
                json_object_set_new(
                        o, "relative", m->why ? json_null() : cli_json_real(m->d.max_rel));
                json_object_set_new(o, "mean", m->why ? json_null() : cli_json_real(m->d.mean_abs));
                json_object_set_new(o, "ulp",
                        m->why || m->dtype != RESECT_FLOAT
                                ? json_null()
                                : json_integer((json_int_t)m->d.max_ulp));
                json_object_set_new(o, "unequal", json_integer(m->d.unequal));
                json_object_set_new(o, "count", json_integer(m->d.count));
                json_array_append_new(a, o);
        }
        return a;
}

bool
diff_json(const diff *d)
{
        json_t *o = json_object();
        json_object_set_new(o, "same", json_boolean(same(d)));
        if (d->graph) {
                json_t *g = json_object();
                json_object_set_new(g, "nodes_a", json_integer((json_int_t)d->n_nodes_a));
                json_object_set_new(g, "nodes_b", json_integer((json_int_t)d->n_nodes_b));
                json_object_set_new(g, "alike", json_integer((json_int_t)d->n_alike));
                json_object_set_new(g, "interface", json_names(&d->interface));
                json_object_set_new(g, "only_a", json_names(&d->nodes_a));
                json_object_set_new(g, "only_b", json_names(&d->nodes_b));
                json_object_set_new(g, "changed", json_names(&d->changed));
                json_object_set_new(o, "graph", g);
        }
        if (d->weights) {
                json_object_set_new(o, "weights", json_matches(&d->w, false));
                json_object_set_new(o, "weights_only_a", json_names(&d->tensors_a));
                json_object_set_new(o, "weights_only_b", json_names(&d->tensors_b));
        }
        if (d->outputs || d->activations)
                json_object_set_new(o, "input", cli_json_text(d->input));
        if (d->outputs)
                json_object_set_new(o, "outputs", json_matches(&d->v, true));
        if (d->activations)
                json_object_set_new(o, "activations", json_matches(&d->v, false));
        bool result = same(d);
        cli_print_json(o);
        return result;
}
