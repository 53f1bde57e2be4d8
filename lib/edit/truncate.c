/* SPDX-License-Identifier: 0BSD */
/*
 * truncate: a shallower network. --after cuts behind a block and puts pool and classifier there. In
 * a pre-activation network (v2) a block ends in a raw sum, and every reader of it in the original
 * network normalises first: the cut is therefore behind the BatchNormalization and ReLU that follow
 * the sum, whose statistics were learnt for just this sum. --drop bypasses blocks whose shortcut is
 * the identity: the block's readers read its input.
 */
#include "edit/ends.h"
#include "edit/parts.h"

#include <stdio.h>
#include <string.h>

/* A block's short name to the list of those that can go. */
static void
list_droppable(const resect_anatomy *a, char *out, size_t size)
{
        size_t at = 0;
        out[0] = '\0';
        for (size_t i = 0; i < a->n_blocks && at < size; i++) {
                const rs_ablock *b = &a->blocks[i];
                if (!b->pub.downsample && b->shortcut_nodes.n == 0 &&
                        b->pub.in_channels == b->pub.out_channels && b->pub.stride == 1)
                        at += (size_t)snprintf(
                                out + at, size - at, "%s%s", at ? ", " : "", b->pub.name);
        }
}

static bool
can_drop(const resect_anatomy *a, const rs_ablock *b, resect_error *err)
{
        char list[320];
        if (!b->pub.downsample && b->shortcut_nodes.n == 0 &&
                b->pub.in_channels == b->pub.out_channels && b->pub.stride == 1)
                return true;
        list_droppable(a, list, sizeof list);
        return rs_fail(err, RESECT_GRAPH,
                "--drop: %s goes from %lld to %lld channels at stride %d, so that its input cannot "
                "stand in for its output; %s%s",
                b->pub.name, (long long)b->pub.in_channels, (long long)b->pub.out_channels,
                b->pub.stride, list[0] ? "these can go: " : "no block can go", list);
}

static bool
is_output(const rs_graph *g, const char *value)
{
        for (size_t i = 0; i < g->n_outputs; i++)
                if (strcmp(g->outputs[i]->name, value) == 0)
                        return true;
        return false;
}

/* From the last to the first, so that a block's input is still called what the anatomy says. */
static bool
drop(rs_surgery *s, resect_anatomy *a, const char *text, resect_error *err)
{
        const char **items;
        size_t n, dropped = 0;
        bool *gone = RS_NEW(&s->arena, a->n_blocks + 1, bool, err);
        if (gone == NULL || !rs_split(&s->arena, "--drop", text, ',', &items, &n, err))
                return false;
        for (size_t i = 0; i < n; i++) {
                const rs_ablock *b = rs_anatomy_block(a, items[i]);
                if (b == NULL)
                        return rs_fail(err, RESECT_ARG,
                                "--drop: there is no block %s (the model has %zu blocks)", items[i],
                                a->n_blocks);
                if (!can_drop(a, b, err))
                        return false;
                gone[b - a->blocks] = true;
        }
        size_t first = 0;
        while (!gone[first])
                first++;
        const char *kept = a->blocks[first].input, *after = kept, *was = NULL, *is = NULL;
        for (size_t i = first; i < a->n_blocks && gone[i]; i++)
                if (is_output(&s->m->graph,
                            a->blocks[i].output)) /* its input takes the output's name over */
                        after = a->blocks[i].output;
        if (!rs_prove(s, &kept, &after, 1, err))
                return false;
        for (size_t i = a->n_blocks; i-- > 0;) {
                if (!gone[i])
                        continue;
                const char *out = a->blocks[i].output;
                if (was != NULL && strcmp(out, was) == 0)
                        out = is;
                if (is_output(&s->m->graph, out)) {
                        was = a->blocks[i].input;
                        is = out;
                }
                if (!rs_graph_redirect(s->m, out, a->blocks[i].input, err))
                        return false;
                dropped++;
        }
        rs_note(s, "dropped %zu of %zu blocks", dropped, a->n_blocks);
        return rs_graph_prune(s->m, err);
}

/* The network's old end, as far as the new one takes after it. */
typedef struct ending {
        const char *output;
        int64_t classes;
        bool softmax;
        const char **labels;
} ending;

static bool
remember(rs_surgery *s, const resect_anatomy *a, ending *e, resect_error *err)
{
        size_t n;
        *e = (ending){.output = a->tail.output, .softmax = a->tail.softmax != NULL};
        if (a->tail.logits == NULL)
                return true;
        e->classes = a->summary.n_classes;
        if (e->classes <= 0)
                return rs_fail(err, RESECT_GRAPH,
                        "the number of the classifier's classes cannot be told; resect-strip takes "
                        "it away");
        const char *const *labels = resect_model_labels(s->m, &n);
        if (labels == NULL || n != (size_t)e->classes)
                return true;
        e->labels = RS_NEW(&s->arena, n, const char *, err);
        for (size_t i = 0; e->labels != NULL && i < n; i++)
                if ((e->labels[i] = rs_arena_strdup(&s->arena, labels[i], err)) == NULL)
                        return false;
        return e->labels != NULL;
}

/* A head like the one before, in the place of the output cut: as many classes, the same labels, the
 * same output name, fresh weights. */
static bool
regrow(rs_surgery *s, const char *cut, const char *features, int64_t channels, const ending *e,
        uint64_t seed, resect_error *err)
{
        const char *softmax = NULL;
        rs_head_spec spec = {.classes = e->classes, .seed = seed, .output = e->output};
        if (e->softmax && (spec.output = rs_model_fresh_name(s->m, "logits", err)) == NULL)
                return false;
        if (!rs_head_attach(s, features, channels, &spec, err))
                return false;
        if (e->softmax) {
                softmax = rs_model_fresh_name(s->m, "softmax", err);
                rs_node *n = softmax != NULL ? rs_build(s, "Softmax", softmax, e->output, err,
                                                       spec.output, NULL)
                                             : NULL;
                if (n == NULL || !rs_node_set_int(s->m, n, "axis", 1, err))
                        return false;
        }
        rs_note(s, "the classifier is fresh: %lld features, %lld class%s", (long long)channels,
                (long long)e->classes, e->classes == 1 ? "" : "es");
        return rs_end_at(s, cut, e->output, err);
}

static bool
after(rs_surgery *s, resect_anatomy *a, const char *part, uint64_t seed, resect_error *err)
{
        rs_parts p = {a, &a->summary};
        rs_part_id id;
        ending end;
        if (!rs_part_parse(&p, "--after", part, &id, err) || !remember(s, a, &end, err))
                return false;
        const rs_ablock *b = id.stage == RS_PART_STEM ? NULL : rs_anatomy_last_block(a, part);
        if ((b == NULL && id.stage != RS_PART_STEM) || (b == NULL && a->stem_output == NULL))
                return rs_fail(err, RESECT_ARG, "--after: %s is no stage or block", part);
        const char *value = b != NULL ? rs_anatomy_cut(a, b) : a->stem_output;
        if (end.classes == 0 && strcmp(value, end.output) == 0)
                return rs_fail(err, RESECT_ARG, "--after: the model ends behind %s already", part);
        const bool pool = a->tail.pool != NULL || end.classes != 0;
        const char *name = pool ? value : rs_output_name(s, value, "maps", err);
        if (name == NULL || !rs_prove(s, &value, &name, 1, err) ||
                !rs_graph_rename(s->m, value, name, err) || !rs_end_at(s, end.output, name, err))
                return false;
        const size_t left = s->m->graph.n_nodes;
        int64_t channels = 0;
        const char *features = pool ? rs_pool_and_squeeze(s, name, &channels, err) : name;
        if (features == NULL ||
                !(end.classes != 0 ? regrow(s, name, features, channels, &end, seed, err)
                                   : rs_end_at(s, name, features, err)))
                return false;
        rs_note(s, "cut behind %s (%s); %zu nodes of the trunk left", part, name, left);
        return resect_model_set_labels(s->m, (const char *const *)end.labels,
                end.labels != NULL ? (size_t)end.classes : 0, err);
}

static bool
run(rs_surgery *s, resect_error *err)
{
        const char *part = rs_setting(s, "after"), *blocks = rs_setting(s, "drop");
        int64_t seed;
        if ((part == NULL) == (blocks == NULL))
                return rs_fail(err, RESECT_ARG, "either --after PART or --drop BLOCK,...");
        if (!rs_setting_int(s, "seed", 0, INT64_MAX, 0, &seed, err))
                return false;
        resect_anatomy *a = resect_anatomy_find(s->m, err);
        bool ok = a != NULL;
        if (ok && a->n_blocks == 0)
                ok = rs_fail(err, RESECT_GRAPH,
                        "the model is no residual network: there are no blocks to cut between");
        ok = ok &&
             (part != NULL ? after(s, a, part, (uint64_t)seed, err) : drop(s, a, blocks, err));
        resect_anatomy_free(a);
        return ok;
}

static const resect_option options[] = {
        {"after", "PART",
                "cut behind this stage or block: layer3, layer3.10; pool and classifier are grown "
                "again to fit"},
        {"drop", "BLOCK,...", "bypass these blocks: layer3.7,layer3.12"},
        {"seed", "N", "of the new classifier's weights (0)"},
        {NULL, NULL, NULL},
};

const rs_edit rs_edit_truncate = {
        .face = {.name = "truncate",
                .brief = "make a network shallower",
                .description = "--after ends the trunk behind a stage or block and puts "
                               "GlobalAveragePool and Flatten there; when there was a "
                               "classifier, a fresh one of as many classes with the same labels "
                               "follows. In a pre-activation network the cut lies "
                               "behind the BatchNormalization and ReLU that follow the block's "
                               "sum, as every reader of the sum has it.\n\n"
                               "--drop bypasses whole residual blocks, which is possible where the "
                               "shortcut is the identity; other blocks are "
                               "refused, and the message lists those that can go. The remaining "
                               "blocks keep their tensors' names "
                               "(resect-edit --canon numbers them anew).",
                .example =
                        "resect-truncate --after layer3 resnet101.onnx -o shallow.onnx\n"
                        "resect-truncate --drop layer3.7,layer3.12 < resnet101.onnx > thinner.onnx",
                .options = options},
        .run = run,
};
