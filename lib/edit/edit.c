/* SPDX-License-Identifier: 0BSD */
/* edit: the small operations on any ONNX model, each in a file of its own (rewrite.h). They are
   applied in one fixed order, whatever the order of the options, which the man page states; the
   ones whose function differs on purpose come after the proof. */
#include "edit/rewrite.h"
#include "look/anatomy.h"

#include <string.h>

/* Softmax behind the logits, or behind the only output. */
bool
rs_add_softmax(rs_surgery *s, resect_error *err)
{
        resect_anatomy *a = resect_anatomy_find(s->m, err);
        if (a == NULL)
                return false;
        const rs_graph *g = &s->m->graph;
        const char *logits = a->tail.logits != NULL ? a->tail.logits
                             : g->n_outputs == 1    ? g->outputs[0]->name
                                                    : NULL;
        const rs_type *t = logits != NULL ? rs_types_find(&a->types, logits) : NULL;
        bool ok = true;
        if (a->tail.softmax != NULL)
                ok = rs_fail(err, RESECT_GRAPH, "--softmax: the model ends in %s already",
                        a->tail.softmax->op);
        else if (t == NULL || t->rank != 2)
                ok = rs_fail(err, RESECT_UNSUPPORTED,
                        "--softmax: no logits [N, classes] were found at the end of the model");
        resect_anatomy_free(a);
        const char *name = ok ? rs_model_fresh_name(s->m, "probabilities", err) : NULL;
        rs_node *n = name != NULL ? rs_build(s, "Softmax", name, name, err, logits, NULL) : NULL;
        const char **outputs = RS_NEW(&s->arena, g->n_outputs + 1, const char *, err);
        if (n == NULL || outputs == NULL || !rs_node_set_int(s->m, n, "axis", 1, err))
                return false;
        for (size_t i = 0; i < g->n_outputs; i++)
                outputs[i] = strcmp(g->outputs[i]->name, logits) == 0 ? name : g->outputs[i]->name;
        rs_note(s, "Softmax behind %s; the output is called %s", logits, name);
        return rs_set_outputs(s, outputs, g->n_outputs, err);
}

typedef struct wishes {
        const char *extract, *rename, *batch, *size, *preprocess, *input, *channels;
        int64_t opset; /* 0: as it is */
        bool canon, softmax, bgr, docs, bake;
} wishes;

static bool
read_wishes(rs_surgery *s, wishes *w, resect_error *err)
{
        *w = (wishes){.extract = rs_setting(s, "extract"),
                .rename = rs_setting(s, "rename"),
                .batch = rs_setting(s, "batch"),
                .size = rs_setting(s, "size"),
                .preprocess = rs_setting(s, "preprocess"),
                .input = rs_setting(s, "input"),
                .channels = rs_setting(s, "channels"),
                .canon = rs_given(s, "canon"),
                .softmax = rs_given(s, "softmax"),
                .bgr = rs_given(s, "bgr"),
                .docs = rs_given(s, "strip-docs")};
        if (s->n_settings == (size_t)rs_given(s, "verify"))
                return rs_fail(err, RESECT_ARG, "edit what? see --help");
        if (w->input != NULL && w->preprocess == NULL)
                return rs_fail(
                        err, RESECT_ARG, "--input SPEC belongs to --preprocess bake or meta");
        if (w->preprocess != NULL && strcmp(w->preprocess, "bake") != 0 &&
                strcmp(w->preprocess, "meta") != 0)
                return rs_fail(
                        err, RESECT_ARG, "--preprocess: \"%s\" is not bake or meta", w->preprocess);
        if (w->channels != NULL && strcmp(w->channels, "1") != 0 && strcmp(w->channels, "4") != 0)
                return rs_fail(err, RESECT_ARG, "--channels: \"%s\" is not 1 or 4", w->channels);
        w->bake = w->preprocess != NULL && strcmp(w->preprocess, "bake") == 0;
        if (w->preprocess != NULL && w->channels != NULL && w->channels[0] == '4')
                return rs_fail(err, RESECT_ARG,
                        "--preprocess knows pictures of three planes or one, not of four");
        return rs_setting_int(s, "opset", 7, 22, 0, &w->opset, err);
}

/* What --extract and --rename make of the outputs' names is theirs to say; the others keep all
 * outputs. */
static bool
prove(rs_surgery *s, const wishes *w, resect_error *err)
{
        if (w->channels != NULL && w->channels[0] == '1')
                rs_expect_grey(s);
        return w->extract != NULL || rs_prove_outputs(s, err);
}

static bool
run(rs_surgery *s, resect_error *err)
{
        wishes w;
        if (!read_wishes(s, &w, err) || !prove(s, &w, err))
                return false;
        if (w.opset != 0)
                s->tolerance = 1e-5;
        if ((w.extract != NULL && !rs_extract(s, w.extract, err)) ||
                (w.canon && !rs_canon(s, err)) ||
                (w.opset != 0 && !rs_set_opset(s, w.opset, err)) ||
                (w.softmax && !rs_add_softmax(s, err)) ||
                (w.rename != NULL && !rs_rename(s, w.rename, err)) ||
                (w.bgr && !rs_swap_planes(s, err)) ||
                (w.channels != NULL && !rs_set_channels(s, w.channels[0] - '0', err)))
                return false;
        if (w.preprocess != NULL && !(w.bake ? rs_bake_input : rs_record_input)(s, w.input, err))
                return false;
        if (w.docs && !rs_strip_docs(s, err))
                return false;
        if ((w.batch != NULL || w.size != NULL) &&
                (!rs_graph_sort(s->m, err) || !rs_proof_check(s, err)))
                return false;
        return (w.batch == NULL || rs_set_batch(s, w.batch, err)) &&
               (w.size == NULL || rs_set_size(s, w.size, err));
}

static const resect_option options[] = {
        {"extract", "IN,..:OUT,..",
                "the part between these values or parts (':layer3', 'layer2:layer4'); an empty "
                "side stays as it is"},
        {"canon", NULL, "one form for what exporters write in many: see above"},
        {"opset", "V", "rewrite for this version of ONNX's operators (7 to 22)"},
        {"softmax", NULL, "append a Softmax"},
        {"rename", "OLD=NEW,..", "rename values: inputs, outputs, tensors, anything between"},
        {"bgr", NULL,
                "swap the first Conv's planes: a model for red, green, blue becomes one for blue, "
                "green, red"},
        {"channels", "1|4",
                "let the first Conv read grey pictures, or a fourth plane (with weights of 0)"},
        {"preprocess", "bake|meta",
                "put mean and std in front as nodes (pixels 0 to 255 go in), or record them"},
        {"input", "SPEC",
                "with --preprocess: \"size=224x224 resize=256 mean=r,g,b std=r,g,b\", each key "
                "optional"},
        {"strip-docs", NULL, "remove doc strings and exporters' notes (stack traces, paths)"},
        {"batch", "N|sym", "fix the batch, or leave it open; proved by running the model"},
        {"size", "H[,W]", "fix the height and width of the pictures"},
        {NULL, NULL, NULL},
};

const rs_edit rs_edit_edit = {
        .face = {.name = "edit",
                .brief = "rewrite a model",
                .description = "Small operations on any ONNX model. Several may be given; they are "
                               "applied in the order of the list of options.\n\n"
                               "--canon keeps the function and changes the form: initializers are "
                               "no inputs (IR version 4), Constant nodes become "
                               "initializers, Identity goes, Sum of two is Add, zero biases that "
                               "nodes share or a BatchNormalization undoes go, "
                               "auto_pad and attributes left to defaults are written out, and "
                               "tensors and nodes get torchvision's names, by "
                               "structure.\n\n"
                               "--batch changes the first dimension from input to output. Reshape "
                               "constants with a baked batch are opened, and "
                               "the model is run with 1 and 3 pictures (or with N): each row must "
                               "be what it was.\n\n"
                               "--extract takes values or parts. An input may be any value; what "
                               "the outputs need past the cut is an error that "
                               "names the node.",
                .example = "resect-edit --canon --batch sym < exported.onnx > clean.onnx\n"
                           "resect-edit --extract :layer3 model.onnx -o trunk.onnx\n"
                           "resect-edit --rename 'input.1=input,495=logits' old.onnx -o new.onnx\n"
                           "resect-edit --preprocess bake --input 'mean=0.5,0.5,0.5 "
                           "std=0.5,0.5,0.5' m.onnx -o pixels.onnx",
                .options = options},
        .run = run,
};
