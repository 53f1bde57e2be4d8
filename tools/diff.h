/* SPDX-License-Identifier: 0BSD */
/* resect-diff's parts: two models, seen side by side. */
#ifndef DIFF_H
#define DIFF_H

#include "look.h"

typedef struct side {
        const char *path;
        resect_model *m;
        resect_anatomy *a;
} side;

/* One comparison of two tensors. */
typedef struct match {
        const char *a, *b; /* names */
        const char *part;  /* or NULL */
        const char *why;   /* why they cannot be compared, or NULL */
        resect_dtype dtype;
        int rank;
        int64_t dims[RESECT_RANK_MAX];
        resect_difference d;
        bool output;
} match;

typedef struct matches {
        match *list;
        size_t n, cap;
        size_t beyond; /* those that differ beyond the tolerance, or cannot be compared */
} matches;

typedef struct names {
        const char **list;
        size_t n, cap;
} names;

typedef struct diff {
        side a, b;
        bool graph, weights, outputs, activations; /* what is compared */
        /* findings */
        size_t n_nodes_a, n_nodes_b, n_alike;
        names nodes_a, nodes_b, changed; /* words */
        names interface;                 /* words */
        names tensors_a, tensors_b;      /* on one side only */
        matches w, v;                    /* weights; values */
        char input[256];                 /* what the models were run on */
} diff;

void diff_graph(diff *d);       /* diff_graph.c */
void diff_weights(diff *d);     /* diff_weights.c */
void diff_run(diff *d);         /* diff_run.c */
bool diff_print(const diff *d); /* diff_print.c: true when nothing differs */
bool diff_json(const diff *d);

void names_add(names *n, const char *fmt, ...) RESECT_PRINTF(2, 3);
match *matches_add(matches *m, const char *a, const char *b, const char *part);
/* Fills a match from two tensors; counts it. */
void match_compare(matches *all, match *m, const resect_tensor *a, const resect_tensor *b,
        double rtol, double atol);

/* A set of strings with a number each. */
typedef struct dictionary dictionary;
dictionary *dictionary_make(void);
void dictionary_put(dictionary *d, const char *key, size_t value); /* the first one stays */
bool dictionary_get(dictionary *d, const char *key, size_t *value);
void dictionary_free(dictionary *d);

#endif
