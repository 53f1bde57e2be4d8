/* SPDX-License-Identifier: 0BSD */
/*
 * cast: the same network in another type. The types are given in cast_float.c; what that did to
 * every layer is measured, since a network that has become wrong is as valid as any.
 */
#include "edit/cast.h"
#include "edit/parts.h"

#include <string.h>

static const struct target {
        const char *name;
        int32_t dtype;
} targets[] = {
        {"fp16", RESECT_FLOAT16},
        {"bf16", RESECT_BFLOAT16},
        {"fp32", RESECT_FLOAT},
        {"double", RESECT_DOUBLE},
};

static bool
read_wishes(rs_cast *c, resect_error *err)
{
        const rs_surgery *s = c->s;
        const char *to = rs_setting(s, "to");
        c->io = rs_given(s, "io");
        c->weights_only = rs_given(s, "weights-only");
        c->keep = rs_setting(s, "keep");
        if (to == NULL)
                return rs_fail(err, RESECT_ARG, "to what? --to fp16, bf16, fp32 or double");
        for (size_t i = 0; i < sizeof targets / sizeof *targets; i++)
                if (strcmp(to, targets[i].name) == 0)
                        c->to = targets[i].dtype;
        if (c->to == 0)
                return rs_fail(
                        err, RESECT_ARG, "--to: \"%s\" is not fp16, bf16, fp32 or double", to);
        if (c->weights_only && c->io)
                return rs_fail(err, RESECT_ARG,
                        "--weights-only leaves inputs and outputs alone, --io casts them");
        if (c->weights_only && (c->to == RESECT_FLOAT || c->to == RESECT_DOUBLE))
                return rs_fail(err, RESECT_ARG, "--weights-only is for --to fp16 and bf16");
        if (rs_given(s, "no-report") && (rs_given(s, "check") || rs_given(s, "report")))
                return rs_fail(err, RESECT_ARG,
                        "--no-report measures nothing: leave --check and --report out");
        if (rs_given(s, "samples") && !rs_given(s, "check"))
                return rs_fail(err, RESECT_ARG, "--samples belongs to --check");
        return true;
}

/* What --verify can promise: nothing for fewer bits, rounding for more. */
static bool
prove(rs_cast *c, resect_error *err)
{
        c->s->tolerance = c->to == RESECT_FLOAT16 ? 0.05 : c->to == RESECT_BFLOAT16 ? 0.3 : 1e-2;
        return c->io || rs_prove_outputs(c->s, err);
}

static bool
run(rs_surgery *s, resect_error *err)
{
        rs_cast c = {.s = s};
        rs_cast_report *report = NULL;
        rs_parts parts = {0};
        int64_t samples;
        bool ok = read_wishes(&c, err) &&
                  rs_setting_int(s, "samples", 1, INT32_MAX, 256, &samples, err) &&
                  rs_parts_find(s, &parts, err);
        c.anatomy = parts.anatomy;
        ok = ok && rs_cast_check_keep(&c, err) && rs_cast_layers(&c, err) && prove(&c, err);
        if (ok && !rs_given(s, "no-report")) {
                report = rs_cast_report_begin(&c, "--check", rs_setting(s, "check"), samples,
                        rs_setting(s, "report"), err);
                ok = report != NULL;
        }
        ok = ok && rs_cast_float(&c, err);
        ok = ok && (report == NULL || rs_cast_report_end(report, err));
        if (ok && c.changed == 0)
                rs_note(s, "all is %s already", rs_cast_name(c.to));
        if (ok && c.loss.numbers > 0)
                rs_note(s,
                        "%.0f numbers cast, %.0f of them overflow to infinity, %.0f underflow to 0",
                        c.loss.numbers, c.loss.infinite, c.loss.vanished);
        rs_cast_report_free(report);
        rs_parts_free(&parts);
        return ok;
}

static const resect_option options[] = {
        {"to", "fp16|bf16|fp32|double", "what to compute and store in"},
        {"io", NULL, "inputs and outputs too; they keep their types otherwise, behind a Cast"},
        {"weights-only", NULL,
                "store what Conv, Gemm and MatMul multiply by in fp16 or bf16, and compute as "
                "before"},
        {"keep", "GLOB", "layers that stay as they are: 'head', 'layer4.*', or a node's name"},
        {"check", "DATA", "measure the errors on these pictures (random input otherwise)"},
        {"samples", "N", "with --check: on so many pictures (256)"},
        {"report", "FILE",
                "write the table of layers there instead of printing it: JSON for a name in .json, "
                "else TSV"},
        {"no-report", NULL, "do not run the model"},
        {NULL, NULL, NULL},
};

const rs_edit rs_edit_cast = {
        .face = {.name = "cast",
                .brief = "store and compute in fewer bits, or more",
                .description = "Rounds the weights to another float type (to the nearest, ties to "
                               "even) and lets the network "
                               "compute in it. Inputs and outputs stay what they are, with a Cast "
                               "behind the one and before the "
                               "other. In fp16 and bf16 Softmax stays in fp32, and so do the "
                               "parameters of BatchNormalization: "
                               "since opset 15 they alone, before that the node, between two "
                               "Casts. What an operator does not "
                               "take in its opset stays in fp32 likewise; for bf16 in Conv the "
                               "opset must be 22, which "
                               "resect-edit --opset 22 makes it. Sizes that are computed from a "
                               "picture's shape stay as they "
                               "are.\n\n"
                               "--to fp32 is the way back: Casts that have become needless are "
                               "gone. Casting twice is casting "
                               "once.\n\n"
                               "Both models are then run on --check DATA, or on random input, and "
                               "compared layer by layer: the "
                               "largest value, the largest error, and the root mean square of the "
                               "errors against that of the "
                               "values; for the outputs, how often the class on top is the same. "
                               "Numbers that fp16 cannot hold "
                               "(beyond 65504, or so small that they become 0) are counted.",
                .example =
                        "resect-cast --to fp16 --check photos/ < trained.onnx > half.onnx\n"
                        "resect-cast --to fp16 --keep head --report errors.tsv model.onnx -o "
                        "half.onnx\n"
                        "resect-edit --opset 22 model.onnx | resect-cast --to bf16 > brain.onnx\n"
                        "resect-cast --to fp16 --weights-only model.onnx -o small.onnx",
                .options = options},
        .run = run,
};
