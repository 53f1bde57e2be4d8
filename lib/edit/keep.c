/* SPDX-License-Identifier: 0BSD */
/*
 * Rows of an old classifier for classes that the new one knows too. The map is a text file, one new
 * class a line: its label (or number), a TAB, and the old label or number; several old ones,
 * separated by commas, are averaged ("tabby,tiger cat" for "cat"). An old label that has a comma
 * itself is tried whole first.
 */
#include "edit/ends.h"

#include <stdlib.h>
#include <string.h>

#include "base/map.h"

/* Weights of the last affine map as rows, whichever way the node stores them. */
static bool
read_rows(rs_surgery *s, const resect_anatomy *a, const rs_node *n, rs_rows *out, resect_error *err)
{
        const bool gemm = rs_is_op(n, "Gemm"), conv = rs_is_op(n, "Conv");
        const rs_tensor *w = rs_anatomy_initializer(a, n, 1);
        double *v;
        if (w == NULL || w->rank < 2 || (!conv && w->rank != 2) || w->count == 0)
                return rs_fail(err, RESECT_UNSUPPORTED,
                        "%s: the classifier's weights are no plain initializer", rs_node_title(n));
        if (gemm && rs_node_int(n, "transA", 0) != 0)
                return rs_fail(
                        err, RESECT_UNSUPPORTED, "%s: a classifier with transA", rs_node_title(n));
        if (!rs_tensor_doubles(a->model, &s->arena, w, &v, err))
                return false;
        const bool rows = conv || (gemm && rs_node_int(n, "transB", 0) != 0);
        out->classes = w->dims[rows ? 0 : 1];
        out->features = (int64_t)w->count / out->classes;
        out->weight = RS_NEW(&s->arena, w->count, double, err);
        if (out->weight == NULL)
                return false;
        const double alpha = gemm ? rs_node_float(n, "alpha", 1) : 1;
        for (int64_t c = 0; c < out->classes; c++)
                for (int64_t f = 0; f < out->features; f++)
                        out->weight[c * out->features + f] =
                                alpha * v[rows ? c * out->features + f : f * out->classes + c];
        return true;
}

/* The bias, from the node's own slot or from the Add behind a MatMul; zeros when there is none. */
static bool
read_bias(rs_surgery *s, const resect_anatomy *a, const rs_node *n, rs_rows *out, resect_error *err)
{
        const rs_tensor *b = n->n_in > 2 ? rs_anatomy_initializer(a, n, 2) : NULL;
        double *v, scale = rs_is_op(n, "Gemm") ? rs_node_float(n, "beta", 1) : 1;
        const rs_link *l = rs_index_find(&a->index, n->out[0]);
        if (rs_is_op(n, "MatMul") && l != NULL && l->n_uses == 1 && rs_is_op(l->uses->node, "Add"))
                b = rs_anatomy_initializer(a, l->uses->node, 1 - l->uses->slot);
        out->bias = RS_NEW(&s->arena, (size_t)out->classes, double, err);
        if (out->bias == NULL || b == NULL)
                return out->bias != NULL;
        if (b->count != 1 && b->count != (size_t)out->classes)
                return rs_fail(err, RESECT_GRAPH, "%s: %zu biases for %lld classes",
                        rs_node_title(n), b->count, (long long)out->classes);
        if (!rs_tensor_doubles(a->model, &s->arena, b, &v, err))
                return false;
        for (int64_t c = 0; c < out->classes; c++)
                out->bias[c] = scale * v[b->count == 1 ? 0 : c];
        return true;
}

bool
rs_rows_read(rs_surgery *s, resect_model *old, rs_rows *out, resect_error *err)
{
        resect_anatomy *a = resect_anatomy_find(old, err);
        if (a == NULL)
                return false;
        const rs_nodes *affine = &a->tail.affine;
        size_t n;
        *out = (rs_rows){0};
        bool ok = true;
        if (affine->n != 1)
                ok = rs_fail(err, RESECT_GRAPH,
                        affine->n == 0 ? "the old model has no classifier to keep rows of"
                                       : "the old classifier has %zu layers; its rows do not speak "
                                         "of the features",
                        affine->n);
        ok = ok && read_rows(s, a, affine->at[0], out, err) &&
             read_bias(s, a, affine->at[0], out, err);
        if (ok) {
                const char *const *labels = resect_model_labels(old, &n);
                if (labels != NULL && n == (size_t)out->classes)
                        out->labels = labels;
        }
        resect_anatomy_free(a);
        return ok;
}

/* The number of a class: by label, else by the digits that it is. */
static bool
class_of(const char *text, const char *const *labels, int64_t n, int64_t *out)
{
        for (int64_t i = 0; labels != NULL && i < n; i++)
                if (strcmp(labels[i], text) == 0) {
                        *out = i;
                        return true;
                }
        return rs_parse_int("", text, 0, n - 1, out, NULL);
}

/* One line of the map: adds the average of the old rows to the new one. */
static bool
keep_line(rs_surgery *s, const char *file, size_t line, const char *text, const rs_rows *rows,
        const char *const *labels, const rs_head_spec *spec, bool *taken, double *weight,
        double *bias, resect_error *err)
{
        const char *tab = strchr(text, '\t');
        if (tab == NULL || tab == text || tab[1] == '\0')
                return rs_fail(err, RESECT_FORMAT, "%s:%zu: not a new label, a TAB and an old one",
                        file, line);
        const char *name = rs_arena_strndup(&s->arena, text, (size_t)(tab - text), err),
                   *from = tab + 1;
        const char **olds = &from;
        size_t n = 1;
        int64_t to, row;
        if (name == NULL)
                return false;
        if (!class_of(name, labels, spec->classes, &to))
                return rs_fail(err, RESECT_ARG, "%s:%zu: the new classifier has no class %s", file,
                        line, name);
        if (taken[to])
                return rs_fail(
                        err, RESECT_ARG, "%s:%zu: class %s stands there twice", file, line, name);
        taken[to] = true;
        if (!class_of(from, rows->labels, rows->classes, &row) &&
                !rs_split(&s->arena, "an old class", from, ',', &olds, &n, err))
                return rs_fail_at(err, "%s:%zu", file, line);
        double *w = weight + to * rows->features;
        for (size_t i = 0; i < n; i++) {
                if (!class_of(olds[i], rows->labels, rows->classes, &row))
                        return rs_fail(err, RESECT_ARG,
                                rows->labels != NULL ? "%s:%zu: the old classifier has no class %s"
                                                     : "%s:%zu: the old model has no labels, so "
                                                       "that %s must be a number below its "
                                                       "number of classes",
                                file, line, olds[i]);
                for (int64_t f = 0; f < rows->features; f++)
                        w[f] += rows->weight[row * rows->features + f] / (double)n;
                bias[to] += rows->bias[row] / (double)n;
        }
        return true;
}

bool
rs_rows_keep(rs_surgery *s, const char *map, const rs_rows *rows, const char *const *labels,
        rs_head_spec *spec, int64_t features, resect_error *err)
{
        const char **lines;
        size_t n, kept = 0;
        if (rows->features != features)
                return rs_fail(err, RESECT_GRAPH,
                        "the old classifier reads %lld features, this trunk makes %lld",
                        (long long)rows->features, (long long)features);
        if (!rs_read_lines(&s->arena, map, &lines, &n, err))
                return false;
        bool *taken = RS_NEW(&s->arena, (size_t)spec->classes, bool, err);
        double *weight = RS_NEW(&s->arena, spec->weight->count, double, err);
        double *bias = RS_NEW(&s->arena, spec->bias->count, double, err), *fresh[2];
        if (taken == NULL || weight == NULL || bias == NULL)
                return false;
        for (size_t i = 0; i < n; i++) {
                if (lines[i][0] == '\0' || lines[i][0] == '#')
                        continue;
                if (!keep_line(
                            s, map, i + 1, lines[i], rows, labels, spec, taken, weight, bias, err))
                        return false;
                kept++;
        }
        /* The others start as they would have without a map. */
        if (!rs_tensor_doubles(s->m, &s->arena, spec->weight, &fresh[0], err) ||
                !rs_tensor_doubles(s->m, &s->arena, spec->bias, &fresh[1], err))
                return false;
        for (int64_t c = 0; c < spec->classes; c++) {
                if (taken[c])
                        continue;
                memcpy(weight + c * features, fresh[0] + c * features,
                        (size_t)features * sizeof *weight);
                bias[c] = fresh[1][c];
        }
        rs_tensor_put(spec->weight, weight, spec->weight->count);
        rs_tensor_put(spec->bias, bias, spec->bias->count);
        rs_note(s, "kept rows for %zu of %lld classes", kept, (long long)spec->classes);
        return true;
}
