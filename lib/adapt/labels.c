/* SPDX-License-Identifier: 0BSD */
/*
 * Which classes does a model know already, by name? People write "golden_retriever", "Golden
 * Retrievers" and "golden retriever, goldie"; so names are folded before they are compared, and a
 * label is also all the names that it lists. What is equal byte for byte comes first.
 */
#include "adapt/adapt.h"

#include <ctype.h>
#include <string.h>

static bool
ends(const char *s, size_t n, const char *with)
{
        const size_t k = strlen(with);
        return n > k && memcmp(s + n - k, with, k) == 0;
}

/* The last word in the singular, in place: butterflies, boxes, ants; but glass, bus, iris. */
static size_t
singular(char *s, size_t n)
{
        if (ends(s, n, "ies") && n > 4) {
                s[n - 3] = 'y';
                return n - 2;
        }
        if (ends(s, n, "xes") || ends(s, n, "ches") || ends(s, n, "shes") || ends(s, n, "sses") ||
                ends(s, n, "zes"))
                return n - 2;
        if (ends(s, n, "ss") || ends(s, n, "us") || ends(s, n, "is") || !ends(s, n, "s") || n < 4)
                return n;
        return n - 1;
}

/* "n02219486 ant": the WordNet number goes. */
static const char *
after_number(const char *s, size_t *n)
{
        size_t i = 1;
        if (*n < 3 || s[0] != 'n')
                return s;
        while (i < *n && s[i] >= '0' && s[i] <= '9')
                i++;
        if (i < 5 || i >= *n || (s[i] != ' ' && s[i] != '_' && s[i] != '-'))
                return s;
        *n -= i + 1;
        return s + i + 1;
}

static char *
fold(rs_arena *a, const char *s, size_t n, resect_error *err)
{
        s = after_number(s, &n);
        char *out = rs_arena_alloc(a, n + 1, 1, err);
        size_t k = 0;
        for (size_t i = 0; out && i < n; i++) {
                char c = s[i];
                if (c == '_' || c == '-' || isspace((unsigned char)c)) {
                        if (k && out[k - 1] != ' ')
                                out[k++] = ' ';
                } else {
                        out[k++] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
                }
        }
        while (out && k && out[k - 1] == ' ')
                k--;
        if (out)
                out[singular(out, k)] = '\0';
        return out;
}

/* The names of a label to their numbers, the first that has one keeping it. */
static bool
enter(rs_map *map, const char *name, size_t label, resect_error *err)
{
        return !*name || rs_map_get(map, name) != NULL ||
               rs_map_put(map, name, (void *)(uintptr_t)(label + 1), NULL, err);
}

static bool
look_up(const rs_map *map, const char *name, resect_likeness how, resect_label_match *out)
{
        const size_t found = (size_t)(uintptr_t)rs_map_get(map, name);
        if (found)
                *out = (resect_label_match){how, found - 1};
        return found != 0;
}

bool
resect_labels_match(const char *const *labels, size_t n_labels, const char *const *classes,
        size_t n, resect_label_match *out, resect_error *err)
{
        rs_arena a = {0};
        rs_map same = {0}, folded = {0}, listed = {0};
        bool ok = true;
        for (size_t i = 0; ok && i < n_labels; i++) {
                const char *whole = fold(&a, labels[i], strlen(labels[i]), err);
                ok = whole && enter(&same, labels[i], i, err) && enter(&folded, whole, i, err);
                for (const char *p = labels[i]; ok && strchr(labels[i], ',');) {
                        const size_t len = strcspn(p, ",");
                        const char *one = fold(&a, p, len, err);
                        ok = one && enter(&listed, one, i, err);
                        if (!p[len])
                                break;
                        p += len + 1;
                }
        }
        for (size_t i = 0; ok && i < n; i++) {
                const char *name = fold(&a, classes[i], strlen(classes[i]), err);
                ok = name != NULL;
                out[i] = (resect_label_match){RESECT_UNLIKE, 0};
                if (ok && !look_up(&same, classes[i], RESECT_SAME, &out[i]) &&
                        !look_up(&folded, name, RESECT_FOLDED, &out[i]))
                        look_up(&listed, name, RESECT_SYNONYM, &out[i]);
        }
        rs_map_free(&same);
        rs_map_free(&folded);
        rs_map_free(&listed);
        rs_arena_free(&a);
        return ok;
}
