/* SPDX-License-Identifier: 0BSD */
/* strip: the network ends where its head began. Nothing before the cut is touched. */
#include "edit/ends.h"

#include <stdio.h>
#include <string.h>

typedef enum target { FEATURES, MAPS, LOGITS } target;

/* The value to end at; NULL with a reason. */
static const char *
cut(const resect_anatomy *a, target to, resect_error *err)
{
        const rs_atail *t = &a->tail;
        if (t->output == NULL)
                return RS_FAIL_NULL(
                        err, RESECT_GRAPH, "no way leads from a picture input to an output");
        switch (to) {
        case LOGITS:
                if (t->logits == NULL)
                        return RS_FAIL_NULL(err, RESECT_GRAPH,
                                "there are no logits: the model has no classifier");
                return t->logits;
        case MAPS:
                if (t->maps == NULL || (t->pool == NULL && t->logits != NULL))
                        return RS_FAIL_NULL(err, RESECT_GRAPH,
                                "there is no pool over space before which maps could be found");
                return t->maps;
        default:
                if (t->features == NULL)
                        return RS_FAIL_NULL(err, RESECT_GRAPH,
                                "no pool and classifier were found at the end of the model");
                if (t->pool == NULL && t->logits == NULL)
                        return RS_FAIL_NULL(err, RESECT_GRAPH,
                                "the model ends in maps before any pool; --to maps leaves them, "
                                "resect-head puts pool and classifier there");
                return t->features;
        }
}

static bool
is_rank4(const resect_anatomy *a, const char *value)
{
        const rs_type *t = rs_types_find(&a->types, value);
        return t != NULL && t->rank == 4;
}

/* Of 8 bits, that is: the numbers say nothing without a scale. */
static bool
is_byte(const resect_anatomy *a, const char *value)
{
        const rs_type *t = rs_types_find(&a->types, value);
        return t != NULL && (t->dtype == RESECT_UINT8 || t->dtype == RESECT_INT8);
}

static bool
strip(rs_surgery *s, target to, const resect_anatomy *a, resect_error *err)
{
        static const char *const names[] = {"features", "maps", "logits"};
        const char *value = cut(a, to, err), *old = a->tail.output;
        if (value == NULL)
                return false;
        const bool flatten = to == FEATURES && is_rank4(a, value);
        const bool quantised = strcmp(value, old) != 0 && is_byte(a, value);
        const bool classifier = a->tail.logits != NULL && to != LOGITS;
        const size_t before = s->m->graph.n_nodes;
        if (strcmp(value, old) == 0 && !flatten) {
                rs_note(s, "%s: the model ends there already", value);
                return rs_prove_outputs(s, err);
        }
        const char *name = flatten || quantised ? value : rs_output_name(s, value, names[to], err);
        if (name == NULL || !rs_prove(s, &value, &name, 1, err) ||
                !rs_graph_rename(s->m, value, name, err))
                return false;
        if (flatten) { /* a 1x1 Conv was the classifier; features are [N, C] all the same */
                const char *flat = rs_model_fresh_name(s->m, quantised ? "flat" : "features", err);
                rs_node *n =
                        flat != NULL ? rs_build(s, "Flatten", flat, flat, err, name, NULL) : NULL;
                if (n == NULL || !rs_node_set_int(s->m, n, "axis", 1, err))
                        return false;
                name = flat;
        }
        if (quantised && (name = rs_dequantised(s, name, names[to], err)) == NULL)
                return false;
        const size_t added = s->m->graph.n_nodes - before;
        if (!rs_end_at(s, old, name, err))
                return false;
        if (classifier && !resect_model_set_labels(s->m, NULL, 0, err))
                return false;
        char more[32] = "";
        if (added != 0)
                snprintf(more, sizeof more, ", and %zu added", added);
        rs_note(s, "output is now %s; %zu of %zu nodes left%s", name, s->m->graph.n_nodes - added,
                before, more);
        return true;
}

static bool
run(rs_surgery *s, resect_error *err)
{
        static const char *const words[] = {"features", "maps", "logits"};
        const char *to = rs_setting(s, "to");
        int which = to == NULL ? FEATURES : -1;
        for (int i = 0; i < 3 && to != NULL; i++)
                if (strcmp(to, words[i]) == 0)
                        which = i;
        if (which < 0)
                return rs_fail(err, RESECT_ARG, "--to: \"%s\" is not features, maps or logits", to);
        resect_anatomy *a = resect_anatomy_find(s->m, err);
        bool ok = a != NULL && strip(s, (target)which, a, err);
        resect_anatomy_free(a);
        return ok;
}

static const resect_option options[] = {
        {"to", "features|maps|logits",
                "end at the pooled features [N, C] (the default), at the maps before the pool, or "
                "at the logits"},
        {NULL, NULL, NULL},
};

const rs_edit rs_edit_strip = {
        .face = {.name = "strip",
                .brief = "remove the head",
                .description = "Ends the network before its classifier, which is found by "
                               "structure: the last reduction over space and the affine "
                               "map behind it. What only the head needed is dropped, class labels "
                               "too; all else keeps its bytes.\n\n"
                               "--to features leaves the pooled features, one row a picture "
                               "(behind a 1x1 Conv classifier, a Flatten is "
                               "added to make them so; behind nodes of 8 bits, a "
                               "DequantizeLinear). --to maps ends before the pool; --to "
                               "logits drops a Softmax only.\n\n"
                               "The output keeps the name that it had inside the graph, unless "
                               "that is one that no person would type "
                               "(\"190\", \"/Flatten_output_0\"): then it is called features, maps "
                               "or logits.",
                .example = "resect-strip < resnet101.onnx > trunk.onnx\n"
                           "resect-strip --to maps --verify resnet101.onnx -o maps.onnx",
                .options = options},
        .run = run,
};
