/* SPDX-License-Identifier: 0BSD */
/*
 * resect-info: what is this model? A few lines of facts and a table of its parts. Nothing is
 * printed that the model does not say: a line that would be empty is left out.
 */
#include "info.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static const resect_option options[] = {
        {"tensors", NULL, "list the initializers with the part that each belongs to"},
        {"plan", NULL, "list the steps of running it on one picture, and the memory they take"},
        {"dot", NULL, "print the graph for Graphviz"},
        {0},
};

static const cli_tool tool = {
        .name = "info",
        .brief = "say what a model is",
        .usage = "[MODEL]",
        .description = "Says which residual network MODEL is, where it comes from, what it takes "
                       "and gives, and lists its stages and "
                       "blocks with their output, parameters, multiply-accumulates and activation "
                       "memory, for one picture.\n\n"
                       "Parts are found by structure and not by name: stem, layer1 and on, "
                       "layer3.5 (the sixth block of the third "
                       "stage), pool, head. Other tools take these names.",
        .examples = "resect-info resnet101.onnx\n"
                    "resect-info --tensors resnet101.onnx\n"
                    "resect-info --dot resnet18.onnx | dot -Tsvg > resnet18.svg\n"
                    "resect-info --json model.onnx | jq .family",
        .options = options,
        .common = CLI_READ | CLI_JSON | CLI_RUN,
        .max_args = 1,
};

static void line(const char *name, const char *fmt, ...) RESECT_PRINTF(2, 3);

static void
line(const char *name, const char *fmt, ...)
{
        char text[2048];
        va_list args;
        va_start(args, fmt);
        vsnprintf(text, sizeof text, fmt, args);
        va_end(args);
        printf("%-12s  %s\n", name, cli_text(text));
}

static void
print_values(const info *x)
{
        resect_value v;
        for (size_t i = 0; resect_model_input(x->m, i, &v); i++)
                line(i ? "" : "input", "%s  %s%s", v.name,
                        look_shape(v.dtype, v.rank, v.dims, v.symbols),
                        x->s->nhwc && x->s->input && !strcmp(v.name, x->s->input)
                                ? " (channels last)"
                                : "");
        for (size_t i = 0; resect_model_output(x->m, i, &v); i++)
                line(i ? "" : "output", "%s  %s", v.name,
                        look_shape(v.dtype, v.rank, v.dims, v.symbols));
}

static void
print_input(const info *x)
{
        const resect_input *in = &x->input;
        char resize[48] = "";
        if (!x->s->n_blocks && !x->recorded)
                return;
        if (in->resize)
                snprintf(resize, sizeof resize, "short side to %d, ", in->resize);
        line("pictures", "%s%dx%d, %s%s", resize, in->height, in->width,
                in->channels == 1 ? "grey"
                : in->bgr         ? "BGR"
                                  : "RGB",
                x->recorded ? "" : " (not recorded: as ImageNet's)");
        line("", "mean %.4g %.4g %.4g, std %.4g %.4g %.4g", in->mean[0], in->mean[1], in->mean[2],
                in->std[0], in->std[1], in->std[2]);
}

static void
print_head(const info *x)
{
        const resect_summary *s = x->s;
        if (s->has_head)
                line("head", "%lld features to %lld classes%s", (long long)s->n_features,
                        (long long)s->n_classes, s->has_softmax ? ", then Softmax" : ", logits");
        else if (s->n_blocks)
                line("head", "none: ends in %lld %s", (long long)s->n_features,
                        s->has_pool ? "features" : "maps");
        if (x->n_labels) {
                char text[200] = "";
                for (size_t i = 0; i < x->n_labels && strlen(text) < 60; i++)
                        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%.40s",
                                i ? ", " : "", x->labels[i]);
                line("labels", "%zu: %s%s", x->n_labels, text, strlen(text) < 60 ? "" : " ...");
        }
}

static void
print_opsets(const info *x)
{
        char text[400];
        const char *domain;
        int64_t version;
        int n = snprintf(text, sizeof text, "IR %lld", (long long)resect_model_ir_version(x->m));
        for (size_t i = 0;
                resect_model_opset(x->m, i, &domain, &version) && (size_t)n < sizeof text; i++)
                n += snprintf(text + n, sizeof text - (size_t)n, ", %s%sopset %lld", domain,
                        *domain ? " " : "", (long long)version);
        line("format", "%s", text);
}

static void
print_history(const info *x)
{
        const char *text = resect_model_meta(x->m, "resect.history");
        for (bool first = true; text && *text; first = false) {
                int n = (int)strcspn(text, "\n");
                line(first ? "history" : "", "%.*s", n, text);
                text += n + (text[n] == '\n');
        }
}

static void
print_facts(const info *x)
{
        const resect_summary *s = x->s;
        printf("%s%s%s\n\n", s->family, *s->variant ? " " : "", s->variant);
        line("made by", "%s", s->exporter);
        print_opsets(x);
        print_values(x);
        print_input(x);
        print_head(x);
        if (s->n_conv)
                line("BatchNorm", "%s",
                        s->bn_folded && s->n_bn
                                ? "folded into the convolutions but for what stands before them"
                        : s->bn_folded ? "folded into the convolutions"
                        : s->n_bn      ? "kept"
                                       : "none");
        line("trainable", "%s",
                s->trainable ? "yes" : "no: an operator on the way has no gradient");
        if (x->n_frozen)
                line("frozen", "%zu of %zu tensors", x->n_frozen, x->n_tensors);
        line("weights", "%zu tensors, %s", x->n_tensors, cli_bytes((double)x->bytes));
        print_history(x);
}

/* A part's frozen tensors: "", "part" or "all". */
static const char *
frozen(const info *x, const char *part)
{
        size_t all = 0, some = 0, n = strlen(part);
        resect_tensor_info t;
        for (size_t i = 0; x->n_frozen && resect_model_tensor(x->m, i, &t); i++) {
                const char *p = resect_anatomy_tensor_part(x->a, t.name);
                if (!p || strncmp(p, part, n) || (p[n] && p[n] != '.') ||
                        (t.dtype != RESECT_FLOAT && t.dtype != RESECT_FLOAT16))
                        continue;
                all++;
                some += t.frozen;
        }
        return !some ? "" : some == all ? "frozen" : "partly";
}

static void
cell_count(cli_table *t, uint64_t n)
{
        if (n)
                cli_cell(t, "%s", cli_count((double)n));
        else
                cli_cell(t, "-");
}

static void
row(cli_table *t, const info *x, const char *indent, const char *name, const char *kind, int64_t c,
        int64_t h, int64_t w, uint64_t parameters, uint64_t macs, uint64_t bytes)
{
        cli_cell(t, "%s%s", indent, name);
        cli_cell(t, "%s", kind);
        if (h >= 0 && w >= 0)
                cli_cell(t, "%lldx%lldx%lld", (long long)c, (long long)h, (long long)w);
        else if (c >= 0)
                cli_cell(t, "%lld", (long long)c);
        else
                cli_cell(t, "-");
        cell_count(t, parameters);
        cell_count(t, macs);
        cli_cell(t, "%s", bytes ? cli_bytes((double)bytes) : "-");
        if (x->n_frozen)
                cli_cell(t, "%s", *name ? frozen(x, name) : "");
}

static const char *
kind_of(const resect_block *b)
{
        return b->kind == RESECT_BOTTLENECK ? "bottleneck" : "basic";
}

/* What is told of a block: whether it is of another kind than the first of its stage, whose row
   says that one's, and where it changes sizes. */
static const char *
about_block(const resect_block *b, const resect_block *first)
{
        static char text[64];
        char stride[32] = "";
        const char *kind = b->kind == first->kind ? "" : kind_of(b);
        if (b->stride > 1)
                snprintf(stride, sizeof stride, "%sstride %d", *kind ? ", " : "", b->stride);
        snprintf(text, sizeof text, "%s%s%s%s", kind, stride,
                b->downsample && (*kind || *stride) ? ", " : "", b->downsample ? "projection" : "");
        return text;
}

static void
print_parts(const info *x)
{
        static const char *const plain[] = {
                "part", "", "output", ">parameters", ">MACs", ">activations", NULL};
        static const char *const with_frozen[] = {
                "part", "", "output", ">parameters", ">MACs", ">activations", "", NULL};
        cli_table *t = cli_table_make(x->n_frozen ? with_frozen : plain);
        size_t at = 0;
        for (size_t i = 0; i < resect_anatomy_part_count(x->a); i++) {
                const resect_part *p = resect_anatomy_part(x->a, i);
                char kind[32] = "";
                const resect_block *first = p->blocks ? resect_anatomy_block(x->a, at) : NULL;
                if (first)
                        snprintf(kind, sizeof kind, "%d %s block%s", p->blocks, kind_of(first),
                                p->blocks == 1 ? "" : "s");
                row(t, x, "", p->name, kind, p->channels, p->height, p->width, p->parameters,
                        p->macs, p->activation_bytes);
                for (int k = 0; k < p->blocks; k++) {
                        const resect_block *b = resect_anatomy_block(x->a, at++);
                        row(t, x, "  ", b->name, about_block(b, first), b->out_channels, b->height,
                                b->width, b->parameters, b->macs, b->activation_bytes);
                }
        }
        row(t, x, "total", "", "", -1, -1, -1, x->s->parameters, x->s->macs,
                x->s->activation_bytes);
        cli_table_print(t);
        if (x->assumed)
                printf("\n(counted for a picture of %dx%d: the model leaves its size open)\n",
                        x->input.height, x->input.width);
}

void
info_print(const info *x)
{
        print_facts(x);
        if (!resect_anatomy_part_count(x->a))
                return;
        putchar('\n');
        print_parts(x);
}

static void
look(info *x)
{
        resect_error err;
        resect_tensor_info t;
        if (!resect_input_of(x->m, &x->input, &x->recorded, &err)) {
                x->input = (resect_input){.channels = 3,
                        .height = 224,
                        .width = 224,
                        .resize = 256,
                        .std = {1, 1, 1}};
                cli_note("%s", err.msg);
        }
        x->a = resect_anatomy_find_at(x->m, x->input.height, x->input.width, &err);
        if (!x->a)
                cli_fail(cli_arg(0), &err);
        x->s = resect_anatomy_summary(x->a);
        resect_value v;
        for (size_t i = 0; x->s->input && resect_model_input(x->m, i, &v); i++)
                if (!strcmp(v.name, x->s->input))
                        x->assumed =
                                v.rank == 4 && x->s->macs &&
                                (v.dims[x->s->nhwc ? 1 : 2] < 0 || v.dims[x->s->nhwc ? 2 : 3] < 0);
        x->labels = resect_model_labels(x->m, &x->n_labels);
        for (; resect_model_tensor(x->m, x->n_tensors, &t); x->n_tensors++) {
                x->n_frozen += t.frozen;
                x->bytes += t.size;
        }
}

int
main(int argc, char **argv)
{
        cli_start(&tool, argc, argv);
        cli_belong("plan", (const char *const[]){"threads", "kernels", "precision", "exact", NULL});
        cli_exclude("dot", (const char *const[]){"json", "tensors", "plan", NULL});
        info x = {.m = cli_read_model(cli_arg(0))};
        look(&x);
        if (cli_json()) {
                json_t *all = info_json(&x);
                if (cli_given("tensors"))
                        json_object_set_new(all, "tensors", info_json_tensors(&x));
                if (cli_given("plan"))
                        json_object_set_new(all, "plan", info_json_plan(&x));
                cli_print_json(all);
        } else if (cli_given("dot")) {
                info_dot(&x);
        } else if (cli_given("tensors") || cli_given("plan")) {
                if (cli_given("tensors"))
                        info_tensors(&x);
                if (cli_given("plan"))
                        info_plan(&x);
        } else {
                info_print(&x);
        }
        resect_anatomy_free(x.a);
        resect_model_free(x.m);
        return cli_finish(0);
}
