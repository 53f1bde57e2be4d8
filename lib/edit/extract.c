/* SPDX-License-Identifier: 0BSD */
/*
 * extract and rename. A cut names values, or parts (layer3 is what the stage reads as an input, and
 * what it makes as an output). Value names of TensorFlow have colons themselves; the colon that
 * parts inputs from outputs is the first one for which every name on both sides is known.
 */
#include "edit/parts.h"
#include "edit/rewrite.h"
#include "look/anatomy.h"

#include <string.h>

/* A value or a part as a value's name; NULL when there is none. */
static const char *
value_of(const resect_anatomy *a, const char *name, bool as_input)
{
        if (rs_index_find(&a->index, name) != NULL)
                return name;
        const rs_ablock *b = rs_anatomy_block(a, name);
        if (b != NULL)
                return as_input ? b->input : b->output;
        for (size_t i = 0; i < a->n_parts; i++)
                if (strcmp(a->parts[i].name, name) == 0)
                        return as_input ? a->parts[i].input : a->parts[i].output;
        return NULL;
}

/* Levenshtein's distance of short names, at most limit. */
static size_t
distance(const char *a, const char *b, size_t limit)
{
        enum { LONGEST = 128 };
        size_t n = strlen(a), m = strlen(b), row[LONGEST + 1];
        if (n > LONGEST || m > LONGEST || (n > m ? n - m : m - n) >= limit)
                return limit;
        for (size_t j = 0; j <= m; j++)
                row[j] = j;
        for (size_t i = 1; i <= n; i++) {
                size_t corner = row[0];
                row[0] = i;
                for (size_t j = 1; j <= m; j++) {
                        size_t best = corner + (a[i - 1] != b[j - 1]);
                        corner = row[j];
                        best = best < row[j] + 1 ? best : row[j] + 1;
                        row[j] = best < row[j - 1] + 1 ? best : row[j - 1] + 1;
                }
        }
        return row[m] < limit ? row[m] : limit;
}

static bool
unknown(const rs_graph *g, const char *what, const char *name, resect_error *err)
{
        const char *near = NULL;
        size_t best = strlen(name) / 2 + 1;
        for (size_t i = 0; i < g->n_nodes; i++)
                for (size_t k = 0; k < g->nodes[i]->n_out; k++) {
                        const size_t d = distance(name, g->nodes[i]->out[k], best);
                        if (d < best && g->nodes[i]->out[k][0] != '\0')
                                best = d, near = g->nodes[i]->out[k];
                }
        for (size_t i = 0; i < g->n_inputs; i++) {
                const size_t d = distance(name, g->inputs[i]->name, best);
                if (d < best)
                        best = d, near = g->inputs[i]->name;
        }
        return rs_fail(err, RESECT_ARG, "%s: no value or part is called %s%s%s", what, name,
                near != NULL ? "; the nearest is " : "", near != NULL ? near : "");
}

typedef struct cut {
        const char **names[2]; /* inputs, outputs */
        size_t n[2];
} cut;

/* The list on one side of the colon; *missing is the first name that is not known, or NULL. */
static bool
side(rs_surgery *s, const resect_anatomy *a, const char *text, size_t length, int which, cut *c,
        const char **missing, resect_error *err)
{
        *missing = NULL;
        c->n[which] = 0;
        if (length == 0)
                return true;
        const char *copy = rs_arena_strndup(&s->arena, text, length, err);
        if (copy == NULL ||
                !rs_split(&s->arena, "--extract", copy, ',', &c->names[which], &c->n[which], err))
                return false;
        for (size_t i = 0; i < c->n[which]; i++) {
                const char *value = value_of(a, c->names[which][i], which == 0);
                if (value == NULL && *missing == NULL)
                        *missing = c->names[which][i];
                c->names[which][i] = value;
        }
        return true;
}

static bool
parse(rs_surgery *s, const resect_anatomy *a, const char *spec, cut *c, resect_error *err)
{
        const char *missing = NULL, *first = NULL;
        bool any = false;
        for (const char *p = strchr(spec, ':'); p != NULL; p = strchr(p + 1, ':')) {
                const char *other;
                resect_error quiet;
                if (!side(s, a, spec, (size_t)(p - spec), 0, c, &missing, &quiet) ||
                        !side(s, a, p + 1, strlen(p + 1), 1, c, &other, &quiet)) {
                        if (quiet.code == RESECT_NOMEM)
                                return rs_fail_nomem(err);
                        continue;
                }
                if (missing == NULL && other == NULL)
                        return true;
                if (!any)
                        first = missing != NULL ? missing : other;
                any = true;
        }
        if (!any)
                return rs_fail(err, RESECT_ARG,
                        "--extract: \"%s\" is not IN,...:OUT,... (either side may be empty)", spec);
        return unknown(&s->m->graph, "--extract", first, err);
}

/* Makes value an input: whoever made it gives the name up. */
static bool
open_input(
        rs_surgery *s, const rs_types *types, const char *value, rs_value **out, resect_error *err)
{
        rs_graph *g = &s->m->graph;
        *out = rs_graph_find_input(g, value);
        if (*out != NULL)
                return true;
        if (rs_find_tensor(g, value) != NULL)
                return rs_fail(err, RESECT_ARG,
                        "--extract: %s is an initializer, not a value that is computed", value);
        *out = rs_value_of_type(s, value, rs_types_find(types, value), &types->symbols, err);
        if (*out == NULL)
                return false;
        if ((*out)->dtype == 0)
                (*out)->dtype = RESECT_FLOAT;
        const char *spare = rs_model_fresh_name(s->m, value, err);
        if (spare == NULL)
                return false;
        for (size_t i = 0; i < g->n_nodes; i++)
                for (size_t k = 0; k < g->nodes[i]->n_out; k++)
                        if (strcmp(g->nodes[i]->out[k], value) == 0) {
                                g->nodes[i]->out[k] = spare;
                                rs_node_touch(g->nodes[i]);
                        }
        return true;
}

/* Inputs that were not chosen must not be needed any more. */
static bool
close_inputs(rs_surgery *s, rs_value **chosen, size_t n, resect_error *err)
{
        rs_graph *g = &s->m->graph;
        for (size_t i = 0; i < g->n_inputs; i++) {
                rs_value *v = g->inputs[i];
                bool keep = rs_find_tensor(g, v->name) != NULL;
                for (size_t k = 0; k < n; k++)
                        keep = keep && chosen[k] != v;
                if (keep) {
                        chosen[n++] = v;
                        continue;
                }
                bool is_chosen = false;
                for (size_t k = 0; k < n; k++)
                        is_chosen |= chosen[k] == v;
                for (size_t j = 0; !is_chosen && j < g->n_nodes; j++)
                        for (size_t k = 0; k < g->nodes[j]->n_in; k++)
                                if (strcmp(g->nodes[j]->in[k], v->name) == 0)
                                        return rs_fail(err, RESECT_GRAPH,
                                                "--extract: %s (%s) still reads the input %s: the "
                                                "outputs depend on it past the cut",
                                                rs_node_title(g->nodes[j]), g->nodes[j]->op,
                                                v->name);
        }
        g->inputs = chosen;
        g->n_inputs = n;
        return true;
}

static bool
prove(rs_surgery *s, const cut *c, resect_error *err)
{
        const char **names = RS_NEW(&s->arena, c->n[0] + c->n[1] + 1, const char *, err);
        size_t n = 0;
        if (names == NULL)
                return false;
        for (int w = 0; w < 2; w++)
                for (size_t i = 0; i < c->n[w]; i++)
                        names[n++] = c->names[w][i];
        return rs_prove(s, names, names, n, err);
}

bool
rs_extract(rs_surgery *s, const char *spec, resect_error *err)
{
        rs_graph *g = &s->m->graph;
        resect_anatomy *a = resect_anatomy_find(s->m, err);
        cut c = {0};
        bool ok = a != NULL && parse(s, a, spec, &c, err);
        if (ok && c.n[1] == 0) { /* no outputs named: those that there are */
                c.names[1] = RS_NEW(&s->arena, g->n_outputs + 1, const char *, err);
                ok = c.names[1] != NULL;
                for (; ok && c.n[1] < g->n_outputs; c.n[1]++)
                        c.names[1][c.n[1]] = g->outputs[c.n[1]]->name;
        }
        ok = ok && prove(s, &c, err);
        const size_t before = g->n_nodes;
        if (ok && c.n[0] != 0) {
                rs_value **chosen = RS_NEW(&s->m->arena, c.n[0] + g->n_inputs + 1, rs_value *, err);
                ok = chosen != NULL;
                for (size_t i = 0; ok && i < c.n[0]; i++)
                        ok = open_input(s, &a->types, c.names[0][i], &chosen[i], err);
                /* The outputs' types are still those before the cut; then what they do not need
                   goes, and only then is it clear which inputs are left over. */
                ok = ok && rs_set_outputs_typed(s, c.names[1], c.n[1], &a->types, err) &&
                     close_inputs(s, chosen, c.n[0], err);
        } else if (ok) {
                ok = rs_set_outputs_typed(s, c.names[1], c.n[1], &a->types, err);
        }
        resect_anatomy_free(a);
        if (ok)
                rs_note(s, "extracted %zu of %zu nodes", g->n_nodes, before);
        return ok;
}

static bool
known(const rs_surgery *s, const char *name)
{
        const rs_graph *g = &s->m->graph;
        for (size_t i = 0; i < g->n_nodes; i++)
                for (size_t k = 0; k < g->nodes[i]->n_out; k++)
                        if (strcmp(g->nodes[i]->out[k], name) == 0)
                                return true;
        return rs_find_tensor(g, name) != NULL || rs_graph_find_input(g, name) != NULL;
}

bool
rs_rename(rs_surgery *s, const char *spec, resect_error *err)
{
        const char **items;
        size_t n;
        if (!rs_split(&s->arena, "--rename", spec, ',', &items, &n, err))
                return false;
        for (size_t i = 0; i < n; i++) {
                const char *eq = strchr(items[i], '=');
                if (eq == NULL || eq == items[i] || eq[1] == '\0')
                        return rs_fail(
                                err, RESECT_ARG, "--rename: \"%s\" is not OLD=NEW", items[i]);
                const char *old =
                        rs_arena_strndup(&s->arena, items[i], (size_t)(eq - items[i]), err);
                if (old == NULL)
                        return false;
                if (!known(s, old))
                        return unknown(&s->m->graph, "--rename", old, err);
                if (!rs_graph_rename(s->m, old, eq + 1, err) ||
                        !rs_proof_rename(s, old, eq + 1, err))
                        return false;
        }
        rs_note(s, "renamed %zu value%s", n, n == 1 ? "" : "s");
        return true;
}
