/* SPDX-License-Identifier: 0BSD */
/* resect-info --dot: the graph for Graphviz, a box around each block. Initializers are left out. */
#include "info.h"

#include <stdlib.h>
#include <string.h>

/* Text within double quotes. */
static void
quote(const char *s)
{
        putchar('"');
        for (s = cli_text(s); *s; s++) {
                if (*s == '"' || *s == '\\')
                        putchar('\\');
                putchar(*s);
        }
        putchar('"');
}

/* "layer3.5.conv2" -> the length of "layer3.5"; 0 when not in a block. */
static size_t
block_length(const char *part)
{
        if (!part || strncmp(part, "layer", 5) != 0)
                return 0;
        const char *dot = strchr(part, '.'), *end = dot ? strchr(dot + 1, '.') : NULL;
        return !dot ? 0 : end ? (size_t)(end - part) : strlen(part);
}

static const char *
color(const char *op)
{
        static const char *const table[][2] = {{"Conv", "#cfe2f3"},
                {"BatchNormalization", "#d9ead3"}, {"Add", "#f4cccc"}, {"Sum", "#f4cccc"},
                {"Gemm", "#fff2cc"}, {"MatMul", "#fff2cc"}};
        for (size_t i = 0; i < sizeof table / sizeof *table; i++)
                if (!strcmp(table[i][0], op))
                        return table[i][1];
        return "#eeeeee";
}

static void
print_node(size_t i, const resect_node *n, const char *part)
{
        const char *last = part ? strrchr(part, '.') : NULL;
        char label[300];
        printf("n%zu [label=", i);
        if (last && last[1] > '9') /* conv2, bn2, downsample: not the number of a block */
                snprintf(label, sizeof label, "%s %s", last + 1, n->op);
        else
                snprintf(label, sizeof label, "%s", n->op);
        quote(label);
        printf(", fillcolor=\"%s\"];\n", color(n->op));
}

struct place {
        const char *value; /* borrowed */
        size_t node;
};

static int
by_name(const void *p, const void *q)
{
        return strcmp(((const struct place *)p)->value, ((const struct place *)q)->value);
}

static size_t
places(const info *x, struct place **out)
{
        size_t count = 0, k = 0;
        resect_node n;
        for (size_t i = 0; resect_model_node(x->m, i, &n); i++)
                count += n.n_outputs;
        *out = cli_alloc(count + 1, sizeof **out);
        for (size_t i = 0; resect_model_node(x->m, i, &n); i++)
                for (size_t o = 0; o < n.n_outputs; o++)
                        (*out)[k++] = (struct place){n.outputs[o], i};
        qsort(*out, k, sizeof **out, by_name);
        return k;
}

static void
print_edges(const info *x)
{
        struct place *makers;
        size_t n_makers = places(x, &makers);
        resect_node n;
        resect_value v;
        for (size_t i = 0; resect_model_node(x->m, i, &n); i++)
                for (size_t k = 0; k < n.n_inputs; k++) {
                        struct place key = {n.inputs[k], 0},
                                     *found = bsearch(&key, makers, n_makers, sizeof key, by_name);
                        if (*n.inputs[k] && found)
                                printf("n%zu -> n%zu;\n", found->node, i);
                        for (size_t j = 0;
                                *n.inputs[k] && j < 64 && resect_model_input(x->m, j, &v); j++)
                                if (!strcmp(v.name, n.inputs[k]))
                                        printf("in%zu -> n%zu;\n", j, i);
                }
        for (size_t j = 0; resect_model_output(x->m, j, &v); j++) {
                struct place key = {v.name, 0},
                             *found = bsearch(&key, makers, n_makers, sizeof key, by_name);
                if (found)
                        printf("n%zu -> out%zu;\n", found->node, j);
        }
        free(makers);
}

void
info_dot(const info *x)
{
        resect_node n;
        resect_value v;
        const char *open = NULL;
        size_t length = 0;
        printf("digraph ");
        quote(x->s->family);
        printf(" {\nnode [shape=box, style=filled, fontname=\"sans-serif\", fontsize=10];\n");
        for (size_t j = 0; resect_model_input(x->m, j, &v); j++) {
                printf("in%zu [shape=ellipse, fillcolor=white, label=", j);
                quote(v.name);
                printf("];\n");
        }
        for (size_t j = 0; resect_model_output(x->m, j, &v); j++) {
                printf("out%zu [shape=ellipse, fillcolor=white, label=", j);
                quote(v.name);
                printf("];\n");
        }
        for (size_t i = 0; resect_model_node(x->m, i, &n); i++) {
                const char *part =
                        n.n_outputs ? resect_anatomy_value_part(x->a, n.outputs[0]) : NULL;
                size_t block = block_length(part);
                if (open && (block != length || strncmp(open, part, length) != 0)) {
                        printf("}\n");
                        open = NULL;
                }
                if (block && !open) {
                        open = part;
                        length = block;
                        printf("subgraph \"cluster_%.*s\" {\nlabel=\"%.*s\"; color=\"#999999\"; "
                               "fontname=\"sans-serif\";\n",
                                (int)block, part, (int)block, part);
                }
                print_node(i, &n, part);
        }
        if (open)
                printf("}\n");
        print_edges(x);
        printf("}\n");
}
