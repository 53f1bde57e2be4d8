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
        {"int8", RESECT_INT8},
};

static bool
read_wishes(rs_cast *c, resect_error *err)
{
        const rs_surgery *s = c->s;
        const char *to = rs_setting(s, "to");
        const bool data = rs_given(s, "check") || rs_given(s, "calibrate");
        c->io = rs_given(s, "io");
        c->weights_only = rs_given(s, "weights-only");
        c->keep = rs_setting(s, "keep");
        if (to == NULL)
                return rs_fail(err, RESECT_ARG, "to what? --to fp16, bf16, fp32, double or int8");
        for (size_t i = 0; i < sizeof targets / sizeof *targets; i++)
                if (strcmp(to, targets[i].name) == 0)
                        c->to = targets[i].dtype;
        const bool int8 = c->to == RESECT_INT8;
        if (c->to == 0)
                return rs_fail(err, RESECT_ARG,
                        "--to: \"%s\" is not fp16, bf16, fp32, double or int8", to);
        if (c->weights_only && c->io)
                return rs_fail(err, RESECT_ARG,
                        "--weights-only leaves inputs and outputs alone, --io casts them");
        if (c->weights_only && c->to != RESECT_FLOAT16 && c->to != RESECT_BFLOAT16)
                return rs_fail(err, RESECT_ARG, "--weights-only is for --to fp16 and bf16");
        if (c->io && int8)
                return rs_fail(
                        err, RESECT_ARG, "--io: inputs and outputs stay float32 with --to int8");
        if (int8 && !rs_given(s, "calibrate"))
                return rs_fail(err, RESECT_ARG,
                        "--to int8 needs pictures to measure ranges on: --calibrate DATA");
        if (!int8 && (rs_given(s, "calibrate") || rs_given(s, "percentile")))
                return rs_fail(err, RESECT_ARG, "--calibrate and --percentile belong to --to int8");
        if (rs_given(s, "no-report") && (rs_given(s, "check") || rs_given(s, "report")))
                return rs_fail(err, RESECT_ARG,
                        "--no-report measures nothing: leave --check and --report out");
        if (rs_given(s, "samples") && !data)
                return rs_fail(err, RESECT_ARG, "--samples belongs to --check and --calibrate");
        return true;
}

/* What --verify can promise: rounding. Eight bits are fitted to pictures, and random input is none.
 */
static bool
prove(rs_cast *c, resect_error *err)
{
        c->s->tolerance = c->to == RESECT_FLOAT16 ? 0.05 : c->to == RESECT_BFLOAT16 ? 0.3 : 1e-2;
        return c->io || c->to == RESECT_INT8 || rs_prove_outputs(c->s, err);
}

typedef struct pictures { /* both may be the same, or absent */
        rs_tour check, calibrate;
        bool has_check, has_calibrate;
} pictures;

static bool
open_pictures(rs_surgery *s, pictures *p, resect_error *err)
{
        int64_t samples;
        if (!rs_setting_int(s, "samples", 1, INT32_MAX, 256, &samples, err))
                return false;
        p->has_check = rs_given(s, "check");
        p->has_calibrate = rs_given(s, "calibrate");
        return (!p->has_check || rs_tour_open(s, &p->check, "--check", rs_setting(s, "check"),
                                         samples, err)) &&
               (!p->has_calibrate || rs_tour_open(s, &p->calibrate, "--calibrate",
                                             rs_setting(s, "calibrate"), samples, err));
}

static bool
cast(rs_cast *c, pictures *p, resect_error *err)
{
        rs_surgery *s = c->s;
        rs_cast_report *report = NULL;
        double percentile;
        bool ok = rs_setting_double(s, "percentile", 50, 100, 100, &percentile, err);
        if (ok && !rs_given(s, "no-report")) {
                report = rs_cast_report_begin(c,
                        p->has_check       ? &p->check
                        : p->has_calibrate ? &p->calibrate
                                           : NULL,
                        rs_setting(s, "report"), err);
                ok = report != NULL;
        }
        ok = ok && (c->to == RESECT_INT8 ? rs_cast_int8(c, &p->calibrate, percentile, err)
                                         : rs_cast_float(c, err));
        ok = ok && (report == NULL || rs_cast_report_end(report, err));
        if (ok && c->changed == 0)
                rs_note(s, "all is %s already", rs_cast_name(c->to));
        if (ok && c->loss.numbers > 0)
                rs_note(s,
                        "%.0f numbers cast, %.0f of them overflow to infinity, %.0f underflow to 0",
                        c->loss.numbers, c->loss.infinite, c->loss.vanished);
        rs_cast_report_free(report);
        return ok;
}

static bool
run(rs_surgery *s, resect_error *err)
{
        rs_cast c = {.s = s};
        rs_parts parts = {0};
        pictures p = {.has_check = false};
        bool ok =
                read_wishes(&c, err) && open_pictures(s, &p, err) && rs_parts_find(s, &parts, err);
        c.anatomy = parts.anatomy;
        ok = ok && rs_cast_check_keep(&c, err) && rs_cast_layers(&c, err) && prove(&c, err) &&
             cast(&c, &p, err);
        rs_tour_close(&p.check);
        rs_tour_close(&p.calibrate);
        rs_parts_free(&parts);
        return ok;
}

static const resect_option options[] = {
        {"to", "TYPE", "what to compute and store in: fp16, bf16, fp32, double or int8"},
        {"io", NULL, "inputs and outputs too; they keep their types otherwise, behind a Cast"},
        {"weights-only", NULL,
                "store what Conv, Gemm and MatMul multiply by in fp16 or bf16, and compute as "
                "before"},
        {"keep", "GLOB", "layers that stay as they are: 'head', 'layer4.*', or a node's name"},
        {"calibrate", "DATA", "with --to int8: measure the ranges of values on these pictures"},
        {"percentile", "P",
                "with --to int8: leave 100 - P percent of the values out at each end (100: none)"},
        {"check", "DATA",
                "measure the errors on these pictures (else on --calibrate's, or random input)"},
        {"samples", "N", "so many of the pictures, from all over them (256)"},
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
                               "--to int8 puts QuantizeLinear and DequantizeLinear around Conv, "
                               "Gemm, MatMul, residual sums and "
                               "pools (QDQ, which runtimes fuse): weights int8 with a scale for "
                               "each channel, activations uint8 "
                               "with the range they have on --calibrate DATA, biases int32; "
                               "outputs of the graph stay float32. "
                               "BatchNormalization is to be merged before (resect-fold --bn).\n\n"
                               "Both models are then run on --check DATA, or on random input, and "
                               "compared layer by layer: the "
                               "largest value, the largest error, and the root mean square of the "
                               "errors against that of the "
                               "values; for the outputs, how often the class on top is the same. "
                               "Numbers that fp16 cannot hold "
                               "(beyond 65504, or so small that they become 0) are counted.",
                .example = "resect-cast --to fp16 --check photos/ < trained.onnx > half.onnx\n"
                           "resect-cast --to fp16 --keep head --report errors.tsv model.onnx -o "
                           "half.onnx\n"
                           "resect-edit --opset 22 model.onnx | resect-cast --to bf16 > bf16.onnx\n"
                           "resect-cast --to fp16 --weights-only model.onnx -o small.onnx\n"
                           "resect-fold --bn < trained.onnx | resect-cast --to int8 --calibrate "
                           "photos/ > int8.onnx",
                .options = options},
        .run = run,
};
