/* SPDX-License-Identifier: 0BSD */
/*
 * resect-diff: what is different between two models? Three looks: the graph, the weights, and what
 * comes out (and all on the way that both have) on the same input. Tensors and values are matched
 * by name, and what is left by the part of the network that they are.
 */
#include "diff.h"

#include <search.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static const resect_option options[] = {
        {"only", "LIST", "compare only these: graph, weights, outputs, activations"},
        {"rtol", "X",
                "relative tolerance (default 0 for weights, 1e-3 for outputs and activations)"},
        {"atol", "X",
                "absolute tolerance (default 0 for weights, 1e-4 for outputs and activations)"},
        {"input", "FILE",
                "run on this .npy, .npz or ONNX .pb instead of random numbers; once for each "
                "input, in their order"},
        {"batch", "N", "pictures in the random input (default 1)"},
        {"all", NULL, "list also what is equal"},
        {0},
};

static const cli_tool tool = {
        .name = "diff",
        .brief = "say how two models differ",
        .usage = "A B",
        .description =
                "Compares the graphs (inputs, outputs, nodes), the weights, and, on the same "
                "input, the outputs and every value that "
                "both models compute. Tensors and values are matched by their names, and what is "
                "left by the part of the network "
                "that they belong to, so that two exports of one network can be compared.\n\n"
                "For every tensor that differs it gives the largest difference (max), that against "
                "the tensor's largest element "
                "(relative), the mean, and for float32 the largest distance in units in the last "
                "place (ULP).\n\n"
                "Two numbers are equal when |a - b| <= atol + rtol * |b|. With --only outputs it "
                "is equivalence that is asked "
                "for: a folded model then equals the one that it was folded from.",
        .examples = "resect-diff before.onnx after.onnx\n"
                    "resect-diff --only outputs resnet101.onnx folded.onnx && echo equivalent\n"
                    "resect-diff --json a.onnx b.onnx | jq '.weights[].max'",
        .options = options,
        .common = CLI_READ | CLI_JSON | CLI_RUN | CLI_SEED,
        .min_args = 2,
        .max_args = 2,
        .exit_one = "the models differ, beyond the tolerance",
};

void
names_add(names *n, const char *fmt, ...)
{
        char text[512];
        va_list args;
        va_start(args, fmt);
        vsnprintf(text, sizeof text, fmt, args);
        va_end(args);
        if (n->n == n->cap) {
                n->cap = n->cap ? 2 * n->cap : 16;
                n->list = realloc(n->list, n->cap * sizeof *n->list);
        }
        if (!n->list || !(n->list[n->n++] = strdup(text)))
                cli_die("out of memory");
}

match *
matches_add(matches *m, const char *a, const char *b, const char *part)
{
        if (m->n == m->cap) {
                m->cap = m->cap ? 2 * m->cap : 64;
                m->list = realloc(m->list, m->cap * sizeof *m->list);
                if (!m->list)
                        cli_die("out of memory");
        }
        m->list[m->n] = (match){.a = a, .b = b, .part = part};
        return &m->list[m->n++];
}

void
match_compare(matches *all, match *m, const resect_tensor *a, const resect_tensor *b, double rtol,
        double atol)
{
        resect_error err;
        m->dtype = a->dtype;
        m->rank = a->rank;
        memcpy(m->dims, a->dims, sizeof m->dims);
        if (!resect_tensor_compare(a, b, rtol, atol, &m->d, &err)) {
                char *why = cli_alloc(strlen(err.msg) + 1, 1);
                m->why = strcpy(why, err.msg);
        }
        all->beyond += m->why || m->d.unequal;
}

/* A tree of entries (tsearch), so that thousands of names take no time. */
struct item {
        const char *key;
        size_t value;
};
struct dictionary {
        void *root;
};

static int
by_key(const void *p, const void *q)
{
        return strcmp(((const struct item *)p)->key, ((const struct item *)q)->key);
}

dictionary *
dictionary_make(void)
{
        return cli_alloc(1, sizeof(dictionary));
}

void
dictionary_put(dictionary *d, const char *key, size_t value)
{
        struct item *e = cli_alloc(1, sizeof *e), **found;
        *e = (struct item){key, value};
        found = tsearch(e, &d->root, by_key);
        if (!found)
                cli_die("out of memory");
        if (*found != e)
                free(e);
}

bool
dictionary_get(dictionary *d, const char *key, size_t *value)
{
        struct item e = {key, 0}, **found = tfind(&e, &d->root, by_key);
        if (found && value)
                *value = (*found)->value;
        return found;
}

void
dictionary_free(dictionary *d)
{
        while (d->root) {
                struct item *e = *(struct item **)d->root;
                tdelete(e, &d->root, by_key);
                free(e);
        }
        free(d);
}

static void
choose(diff *d)
{
        const char *list = cli_value("only");
        static const char *const words[] = {"graph", "weights", "outputs", "activations"};
        bool *const wanted[] = {&d->graph, &d->weights, &d->outputs, &d->activations};
        for (size_t i = 0; i < 4; i++)
                *wanted[i] = !list;
        while (list && *list) {
                size_t n = strcspn(list, ","), i = 0;
                while (i < 4 && (strlen(words[i]) != n || strncmp(words[i], list, n) != 0))
                        i++;
                if (i == 4)
                        cli_die("--only: '%.*s' is none of graph, weights, outputs, activations",
                                (int)n, list);
                *wanted[i] = true;
                list += n + (list[n] == ',');
        }
}

/* An option that nothing would come of is a mistake. */
static void
check_options(const diff *d)
{
        static const char *const of_runs[] = {
                "input", "batch", "threads", "kernels", "precision", "exact", "seed", NULL};
        static const char *const of_numbers[] = {"rtol", "atol", NULL};
        const bool runs = d->outputs || d->activations;
        for (const char *const *name = of_runs; !runs && *name; name++)
                if (cli_given(*name))
                        cli_die("--only %s has no use for --%s", cli_value("only"), *name);
        for (const char *const *name = of_numbers; !runs && !d->weights && *name; name++)
                if (cli_given(*name))
                        cli_die("--only %s has no use for --%s", cli_value("only"), *name);
}

static void
open_side(side *s, int i)
{
        resect_error err;
        s->path = cli_arg(i);
        s->m = cli_read_model(s->path);
        if (!(s->a = resect_anatomy_find(s->m, &err)))
                cli_fail(s->path, &err);
}

static void
free_names(names *n)
{
        while (n->n)
                free((char *)n->list[--n->n]);
        free(n->list);
}

static void
free_matches(matches *m)
{
        while (m->n)
                free((char *)m->list[--m->n].why);
        free(m->list);
}

static void
close_all(diff *d)
{
        names *const all[] = {
                &d->nodes_a, &d->nodes_b, &d->changed, &d->interface, &d->tensors_a, &d->tensors_b};
        for (size_t i = 0; i < sizeof all / sizeof *all; i++)
                free_names(all[i]);
        free_matches(&d->w);
        free_matches(&d->v);
        resect_anatomy_free(d->a.a);
        resect_anatomy_free(d->b.a);
        resect_model_free(d->a.m);
        resect_model_free(d->b.m);
}

int
main(int argc, char **argv)
{
        diff d = {0};
        cli_start(&tool, argc, argv);
        choose(&d);
        check_options(&d);
        open_side(&d.a, 0);
        open_side(&d.b, 1);
        if (d.graph)
                diff_graph(&d);
        if (d.weights)
                diff_weights(&d);
        if (d.outputs || d.activations)
                diff_run(&d);
        bool same = cli_json() ? diff_json(&d) : diff_print(&d);
        close_all(&d);
        return cli_finish(same ? 0 : 1);
}
