/* SPDX-License-Identifier: 0BSD */
/*
 * freeze: which initializers training may not change. BatchNormalization's statistics go with its
 * weights, because a trunk whose statistics drift is not frozen. What is recorded are names
 * (resect.frozen), so that the payloads are not even looked at.
 */
#include "edit/edit.h"
#include "edit/parts.h"

#include <stdio.h>
#include <string.h>

/* Numbers that a training could change: floats that nodes read. Shapes and axes are not. */
static bool
is_parameter(const rs_tensor *t)
{
        return t->dtype == RESECT_FLOAT || t->dtype == RESECT_DOUBLE ||
               t->dtype == RESECT_FLOAT16 || t->dtype == RESECT_BFLOAT16;
}

/* Which tensors do the settings speak of? */
typedef struct choice {
        rs_parts parts;
        rs_part_id until;
        const char *match;
        bool all, all_but_head;
} choice;

static bool
chosen(const choice *c, const char *tensor)
{
        if (c->all)
                return true;
        if (c->match != NULL)
                return rs_parts_match(&c->parts, c->match, tensor);
        rs_part_id id;
        bool known = rs_part_of_tensor(&c->parts, tensor, &id);
        if (c->all_but_head)
                return !known || id.stage != RS_PART_HEAD;
        return known && rs_part_compare(id, c->until) <= 0;
}

static bool
choose(rs_surgery *s, choice *c, resect_error *err)
{
        const char *until = rs_setting(s, "until");
        c->match = rs_setting(s, "match");
        c->all_but_head = rs_given(s, "all-but-head");
        const int ways = (until != NULL) + (c->match != NULL) + c->all_but_head;
        if (ways > 1)
                return rs_fail(err, RESECT_ARG,
                        "--until, --all-but-head and --match each say what to freeze; give one");
        if (ways == 0 && !rs_given(s, "thaw"))
                return rs_fail(err, RESECT_ARG,
                        "freeze what? --until PART, --all-but-head or --match GLOB");
        c->all = ways == 0;
        if (c->all)
                return true;
        return rs_parts_find(s, &c->parts, err) &&
               (until == NULL || rs_part_parse(&c->parts, "--until", until, &c->until, err));
}

static bool
apply(rs_surgery *s, resect_error *err)
{
        choice c = {0};
        const rs_graph *g = &s->m->graph;
        const bool thaw = rs_given(s, "thaw");
        size_t hits = 0, frozen = 0, all = 0;
        double numbers = 0, total = 0;
        bool ok = choose(s, &c, err);
        for (size_t i = 0; ok && i < g->n_tensors; i++) {
                const rs_tensor *t = g->tensors[i];
                if (!is_parameter(t))
                        continue;
                if (chosen(&c, t->name)) {
                        hits++;
                        ok = rs_model_set_frozen(s->m, t->name, !thaw, err);
                }
                const bool is = ok && rs_model_is_frozen(s->m, t->name);
                frozen += is;
                numbers += is ? (double)t->count : 0;
                total += (double)t->count;
                all++;
        }
        const bool none = ok && hits == 0 && !c.all;
        rs_parts_free(&c.parts);
        if (none)
                return rs_fail(err, RESECT_ARG, "no initializer is meant by %s",
                        c.match != NULL  ? c.match
                        : c.all_but_head ? "--all-but-head"
                                         : rs_setting(s, "until"));
        if (!ok || !rs_model_store_frozen(s->m, err))
                return false;
        rs_note(s, "%s %zu tensor%s; frozen are now %zu of %zu (%.0f of %.0f numbers)",
                thaw ? "thawed" : "froze", hits, hits == 1 ? "" : "s", frozen, all, numbers, total);
        return true;
}

/* A name as a JSON string. */
static const char *
quoted(rs_surgery *s, const char *name, resect_error *err)
{
        rs_buf b = {0};
        rs_buf_str(&b, "\"");
        for (const unsigned char *p = (const unsigned char *)name; *p != '\0'; p++) {
                if (*p == '"' || *p == '\\')
                        rs_buf_printf(&b, "\\%c", *p);
                else if (*p < ' ' || *p == 0x7f)
                        rs_buf_printf(&b, "\\u%04x", *p);
                else
                        rs_buf_add(&b, p, 1);
        }
        rs_buf_str(&b, "\"");
        char *copy =
                b.oom ? RS_NOMEM_NULL(err) : rs_arena_strdup(&s->arena, (const char *)b.data, err);
        rs_buf_free(&b);
        return copy;
}

/* BatchNormalization's running statistics: they have no gradient, whatever is trained. */
static bool
statistics(rs_surgery *s, rs_map *out, resect_error *err)
{
        static char yes;
        rs_index ix;
        if (!rs_index_make(&ix, &s->m->graph, err))
                return false;
        bool ok = true;
        for (size_t i = 0; ok && i < s->m->graph.n_nodes; i++) {
                const rs_node *n = s->m->graph.nodes[i];
                for (size_t k = 3; ok && rs_is_op(n, "BatchNormalization") && k < n->n_in && k < 5;
                        k++) {
                        const rs_tensor *t = rs_constant(&ix, n->in[k]);
                        ok = t == NULL || rs_map_put(out, t->name, &yes, NULL, err);
                }
        }
        rs_index_free(&ix);
        return ok;
}

/* The two lists that onnxruntime.training.artifacts.generate_artifacts takes, as one JSON object. A
   list that names a running statistic among the trained is what it fails on. */
static bool
report(rs_surgery *s, resect_error *err)
{
        static const char *const titles[2] = {"requires_grad", "frozen_params"};
        rs_map stats = {0};
        const rs_graph *g = &s->m->graph;
        bool ok = statistics(s, &stats, err);
        for (int list = 0; ok && list < 2; list++) {
                const char *last = NULL;
                rs_note(s, "%s\"%s\": [", list == 0 ? "{" : " ", titles[list]);
                for (size_t i = 0; ok && i < g->n_tensors; i++) {
                        const rs_tensor *t = g->tensors[i];
                        bool frozen = rs_model_is_frozen(s->m, t->name) ||
                                      rs_map_get(&stats, t->name) != NULL;
                        if (!is_parameter(t) || frozen != (list == 1))
                                continue;
                        if (last != NULL)
                                rs_note(s, "  %s,", last);
                        last = quoted(s, t->name, err);
                        ok = last != NULL;
                }
                if (ok && last != NULL)
                        rs_note(s, "  %s", last);
                rs_note(s, " ]%s", list == 0 ? "," : "}");
        }
        rs_map_free(&stats);
        return ok;
}

static bool
for_ort(const resect_setting *settings, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (strcmp(settings[i].name, "for") == 0)
                        return true;
        return false;
}

static bool
run(rs_surgery *s, resect_error *err)
{
        const char *whom = rs_setting(s, "for");
        if (whom == NULL)
                return rs_prove_outputs(s, err) && apply(s, err);
        if (strcmp(whom, "ort") != 0)
                return rs_fail(err, RESECT_ARG, "--for: \"%s\" is not ort", whom);
        const bool changes = rs_given(s, "until") || rs_given(s, "all-but-head") ||
                             rs_given(s, "match") || rs_given(s, "thaw");
        if (changes) {
                rs_surgery quiet = *s; /* the notes are the report */
                quiet.to.note = NULL;
                bool ok = apply(&quiet, err);
                s->arena = quiet.arena;
                if (!ok)
                        return false;
        }
        return report(s, err);
}

static const resect_option options[] = {
        {"until", "PART", "from the input to the end of this part: stem, layer3, layer3.5"},
        {"all-but-head", NULL, "everything before the classifier"},
        {"match", "GLOB", "tensors whose name or part matches: 'layer1.*', '*.bn?.weight'"},
        {"thaw", NULL, "the other way round: let these (or, alone, all) be trained again"},
        {"for", "ort",
                "print the lists that ONNX Runtime training wants, as JSON, and write no model"},
        {NULL, NULL, NULL},
};

const rs_edit rs_edit_freeze = {
        .face = {.name = "freeze",
                .brief = "choose what training may not change",
                .description =
                        "Records in the model (metadata resect.frozen) which tensors resect-tune "
                        "leaves as they are. Weights and "
                        "BatchNormalization's running statistics are frozen together: a frozen "
                        "part computes the same before and after "
                        "training. Nothing else in the file changes.\n\n"
                        "Parts are found by structure, whatever the tensors are called. Freezing "
                        "adds to what is frozen already; --thaw "
                        "takes away.\n\n"
                        "--for ort prints requires_grad and frozen_params as "
                        "onnxruntime.training.artifacts.generate_artifacts takes "
                        "them; running statistics are never among those that require a gradient.",
                .example = "resect-freeze --all-but-head < model.onnx > frozen.onnx\n"
                           "resect-freeze --until layer3 model.onnx -o frozen.onnx\n"
                           "resect-freeze --for ort model.onnx > lists.json",
                .options = options},
        .run = run,
        .reports = for_ort,
};
