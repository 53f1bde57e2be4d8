/* SPDX-License-Identifier: 0BSD */
/*
 * resect-convert: weights to and from other frameworks. Three ways through: a model's weights as a
 * file (--to), a file's weights into a model (--weights, --into), and one file as another
 * (--weights, --to). Whatever is made is read back and compared with what it was made from before
 * the tool says that it is done.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "cli.h"

static const resect_option options[] = {
        {"to", "FORMAT[:NAMES]",
                "write the weights as a file of this format (to -o FILE), under these names; see "
                "--names"},
        {"weights", "FILE",
                "take the weights of this file: a checkpoint of any format, or an ONNX model"},
        {"into", "MODEL|new",
                "put them into this model and write it; new makes the graph that fits them"},
        {"format", "FORMAT", "what --weights is, if it should not be found from its first bytes"},
        {"from-names", "NAMES", "the names in --weights, if they should not be recognised"},
        {"list", "FILE", "show what a file holds and what it is taken for"},
        {"names", NULL, "list the formats and naming schemes"},
        {"partial", NULL, "go on when tensors are unmatched or missing"},
        {"variant-from", "weights|model",
                "when strides or the first pool differ: change the model to what the weights were "
                "trained with, or leave it"},
        {"dtype", "TYPE", "write float32, float16 or bfloat16, and say how far values moved"},
        {"account", NULL,
                "say of every tensor what became of it, not only of those that were not carried "
                "over as they are"},
        {NULL, NULL, NULL},
};

static const cli_tool tool = {
        .name = "convert",
        .brief = "weights to and from other frameworks",
        .usage = "[MODEL]",
        .description =
                "Writes the weights of MODEL as a file of another framework (--to), or puts the "
                "weights of such a file into a model "
                "(--weights FILE --into MODEL), whose tensors are known by the structure of its "
                "graph, whatever they are called. With "
                "--into new the graph is made to fit: blocks, widths, groups, stem, shortcuts, "
                "strides, padding, epsilon, momentum and number of classes. With --weights and "
                "--to "
                "one file becomes another; without :NAMES its tensors keep their names.\n\n"
                "Formats and naming schemes are recognised on the way in, by magic, names, layouts "
                "and shapes together; --list shows "
                "what is seen. Kernels and dense layers are transposed, BatchNormalization is "
                "matched by name, another epsilon and "
                "biases before a BatchNormalization are absorbed exactly, a folded one is "
                "unfolded, or folded where the format has "
                "none.\n\n"
                "What a file says of its layers beside their weights is taken from it: strides, "
                "padding, "
                "epsilon, momentum and Rescaling from Keras's model_config, from the -symbol.json "
                "beside MXNet's .params, from Caffe's and ncnn's layers.\n\n"
                "Every tensor is accounted for: of the source it is used, dropped or unmatched; of "
                "the result filled, defaulted or "
                "missing. One that is unmatched or missing ends in status 1 without output, unless "
                "--partial. A classifier of another "
                "number of classes is left out, and the model's own stays.\n\n"
                "Weights fit graphs that compute something else: with a bottleneck's stride on its "
                "first 1x1 (v1) or on its 3x3 (v1.5), "
                "say. That is refused, unless --variant-from says who is right.\n\n"
                "What was written is read back and compared: bit for bit where values were only "
                "moved; with everything folded, and by "
                "running both models, where they were computed. --verify runs both in any case "
                "where "
                "the source has a graph to run.",
        .examples = "resect-convert --to safetensors resnet101.onnx -o resnet101.safetensors\n"
                    "resect-convert --to npz:torchvision -o weights.npz resnet101.onnx\n"
                    "resect-convert --weights resnet101.safetensors --into new > resnet101.onnx\n"
                    "resect-convert --weights finetuned.npz --into resnet101.onnx --partial -o "
                    "tuned.onnx\n"
                    "resect-convert --list resnet101.safetensors",
        .options = options,
        .common = CLI_READ | CLI_WRITE | CLI_JSON | CLI_VERIFY | CLI_COMPUTE,
        .max_args = 1,
        .exit_one = "tensors unmatched or missing",
};

/* The account. With --account every row is printed as it comes, with --json all are kept; else rows
   of one fate are told in one line, with the first of them. Unmatched and missing ones are told one
   by one: they are what somebody has to look at. */
static json_t *json_rows;
enum { KINDS = 64 };
static struct kind {
        bool result;
        const char *state;
        char *detail, *first;
        size_t n;
} kinds[KINDS];
static size_t n_kinds;

static void
print_row(const resect_account *a)
{
        bool plain = !strcmp(a->state, "used") || !strcmp(a->state, "filled");
        cli_note("%s %s %s%s%s", a->result ? "result:" : "source:", cli_text(a->tensor), a->state,
                !a->detail[0] ? ""
                : !plain      ? ": "
                : a->result   ? " from "
                              : " as ",
                cli_text(a->detail));
}

static void
on_account(void *ctx, const resect_account *a)
{
        (void)ctx;
        if (cli_json()) {
                json_array_append_new(json_rows,
                        json_pack("{s:s, s:o, s:s, s:o}", "side", a->result ? "result" : "source",
                                "tensor", cli_json_text(a->tensor), "state", a->state, "detail",
                                cli_json_text(a->detail)));
                return;
        }
        bool aside = !strcmp(a->state, "dropped") || !strcmp(a->state, "defaulted");
        bool plain = !strcmp(a->state, "used") || !strcmp(a->state, "filled");
        size_t k = 0;
        if (cli_given("account") || (!aside && !plain))
                print_row(a);
        if (cli_given("account") || !aside)
                return;
        while (k < n_kinds &&
                (kinds[k].result != a->result || strcmp(kinds[k].detail, a->detail) != 0))
                k++;
        if (k == n_kinds) {
                if (n_kinds == KINDS) {
                        print_row(a);
                        return;
                }
                kinds[n_kinds++] =
                        (struct kind){a->result, a->state, strdup(a->detail), strdup(a->tensor), 0};
                if (!kinds[k].detail || !kinds[k].first)
                        cli_die("out of memory");
        }
        kinds[k].n++;
}

static void
print_kinds(void)
{
        for (size_t k = 0; k < n_kinds; k++) {
                const struct kind *x = &kinds[k];
                char more[64] = "";
                if (x->n > 1)
                        snprintf(more, sizeof more, " and %zu more", x->n - 1);
                cli_note("%s: %s%s %s: %s", x->result ? "result" : "source", cli_text(x->first),
                        more, x->state, cli_text(x->detail));
                free(x->detail);
                free(x->first);
        }
        n_kinds = 0;
}

static resect_weights *
read_weights(const char *path, const char *format, const char *names)
{
        const resect_weights_options o = {
                .format = format, .names = names, .read = cli_read_options()};
        resect_error err;
        resect_weights *w = resect_weights_read(path, &o, &err);
        if (!w)
                cli_fail(path, &err);
        return w;
}

static resect_convert_options
convert_options(void)
{
        static const resect_dtype dtypes[] = {RESECT_FLOAT, RESECT_FLOAT16, RESECT_BFLOAT16};
        int dtype = cli_choice("dtype", -1, "float32|float16|bfloat16");
        int variant = cli_choice("variant-from", -1, "weights|model");
        return (resect_convert_options){.partial = cli_given("partial"),
                .variant = variant < 0    ? RESECT_VARIANT_REFUSE
                           : variant == 0 ? RESECT_VARIANT_WEIGHTS
                                          : RESECT_VARIANT_MODEL,
                .dtype = dtype < 0 ? RESECT_UNDEFINED : dtypes[dtype],
                .account = on_account,
                .note = cli_on_note};
}

/* How far two copies of the weights may be apart: not at all, or by what rounding explains. */
static double
tolerance_for(const resect_conversion *c, const resect_convert_options *o)
{
        if (c->exact)
                return 0;
        return o->dtype == RESECT_FLOAT16 ? 2e-3 : o->dtype == RESECT_BFLOAT16 ? 1e-2 : 1e-5;
}

static bool
is_model(const resect_weights *w)
{
        return !strcmp(resect_weights_info_of(w)->format, "onnx");
}

/* A copy of a model with other weights in it: what the source's graph makes of what was written. */
static resect_model *
model_with(resect_model *m, const resect_weights *w, resect_error *err)
{
        const resect_convert_options o = {.partial = true, .variant = RESECT_VARIANT_MODEL};
        resect_conversion c;
        void *bytes;
        size_t size;
        if (!resect_model_write_memory(m, &bytes, &size, err))
                return NULL;
        const resect_read_options read = {.base = ".", .skip_digest = true};
        resect_model *copy = resect_model_read_memory(bytes, size, &read, err);
        resect_free(bytes);
        if (copy && resect_weights_into(w, copy, &o, &c, err))
                return copy;
        resect_model_free(copy);
        return NULL;
}

/* What is asked of a result, and what came of it. */
struct proof {
        const resect_weights *source;
        resect_model *graph; /* the source's, where it has one */
        const resect_convert_options *o;
        bool done, run; /* tensors were compared, and outputs */
        size_t compared;
        resect_difference outputs;
        char said[256];
};

/* The proof that copy says what source says. Without it all that was made goes. */
static bool
prove(void *ctx, const resect_weights *copy, const resect_conversion *c, resect_error *err)
{
        struct proof *p = ctx;
        if (!resect_weights_prove(p->source, copy, tolerance_for(c, p->o), &p->compared, err))
                return false;
        bool run = (is_model(copy) ? is_model(p->source) : p->graph != NULL) && c->complete &&
                   (!c->exact || cli_given("verify"));
        if (run) {
                const resect_plan_options how = {.threads = cli_threads(),
                        .kernels = cli_kernels(),
                        .progress = cli_on_timing};
                double tolerance = c->rounded ? 0.1 : 1e-3;
                resect_model *m = is_model(copy) ? NULL : model_with(p->graph, copy, err);
                resect_weights *w = m ? resect_weights_of_model(m, err) : NULL;
                bool ok = (w || is_model(copy)) && resect_weights_run_both(p->source, w ? w : copy,
                                                           tolerance, &how, &p->outputs, err);
                resect_weights_free(w);
                resect_model_free(m);
                if (!ok)
                        return false;
                snprintf(p->said, sizeof p->said,
                        "%zu tensors compared; outputs differ by %.2g of their scale", p->compared,
                        p->outputs.max_rel);
        } else
                snprintf(p->said, sizeof p->said, "%zu tensors compared%s%s", p->compared,
                        c->exact ? ", bit for bit" : " with everything folded in",
                        cli_given("verify") && c->complete
                                ? "; there is no graph to run the source with"
                                : "");
        p->done = true;
        p->run = run;
        return true;
}

/* Everything that is said otherwise, as one object; output is NULL when nothing was written. */
static void
print_json(const resect_conversion *c, const struct proof *p, const char *output)
{
        const resect_weights_info *i = resect_weights_info_of(p->source);
        if (!cli_json())
                return;
        json_t *sum = json_pack("{s:o, s:o, s:o, s:i, s:i, s:i, s:i, s:i, s:i, s:b, s:b}",
                "source_format", cli_json_text(i->format), "names", cli_json_text(i->names),
                "family", cli_json_text(i->recognised ? i->family : NULL), "used", (int)c->used,
                "dropped", (int)c->dropped, "unmatched", (int)c->unmatched, "filled",
                (int)c->filled, "defaulted", (int)c->defaulted, "missing", (int)c->missing,
                "complete", c->complete, "exact", c->exact);
        json_object_set_new(sum, "rounded", json_integer((json_int_t)c->rounded));
        json_object_set_new(sum, "max_abs", cli_json_real(c->max_abs));
        json_object_set_new(sum, "max_rel", cli_json_real(c->max_rel));
        json_object_set_new(sum, "overflowed", json_integer((json_int_t)c->overflowed));
        json_object_set_new(
                sum, "compared", p->done ? json_integer((json_int_t)p->compared) : json_null());
        json_object_set_new(
                sum, "outputs_differ", p->run ? cli_json_real(p->outputs.max_rel) : json_null());
        json_object_set_new(sum, "output", cli_json_text(output));
        json_object_set_new(sum, "account", json_rows);
        cli_print_json(sum);
}

static void
print_sum(const resect_conversion *c)
{
        if (cli_json())
                return;
        print_kinds();
        cli_note("source: %zu used, %zu dropped, %zu unmatched; result: %zu filled, %zu defaulted, "
                 "%zu missing",
                c->used, c->dropped, c->unmatched, c->filled, c->defaulted, c->missing);
        if (c->rounded)
                cli_note("%zu tensors rounded: by %.3g at most, %.3g of a tensor's largest value%s",
                        c->rounded, c->max_abs, c->max_rel,
                        c->overflowed ? "; some values became infinite" : "");
}

/* Nothing is written when something is not accounted for. */
static bool
stopped(const resect_conversion *c, const struct proof *p)
{
        if (c->complete || p->o->partial)
                return false;
        print_json(c, p, NULL);
        cli_note("%zu unmatched, %zu missing: nothing was written (--partial writes all the same)",
                c->unmatched, c->missing);
        return true;
}

/* A model's or a file's weights as a file. */
static int
write_file(resect_weights *source, resect_model *graph, const resect_convert_options *o)
{
        char *format = strdup(cli_value("to"));
        if (!format)
                cli_die("out of memory");
        char *names = strchr(format, ':');
        const char *path = cli_output() ? cli_output() : "-";
        resect_conversion c;
        resect_error err;
        if (names)
                *names++ = '\0';
        if (!strcmp(path, "-") && isatty(STDOUT_FILENO) && !cli_given("force"))
                cli_die("weights are no text for a terminal: use -o FILE, or --force");
        struct proof proof = {.source = source, .graph = graph, .o = o};
        resect_convert_options own = *o;
        own.prove = prove;
        own.ctx = &proof;
        own.max_size = cli_read_options().max_size;
        if (!resect_weights_write(source, path, format, names, &own, &c, &err))
                cli_fail(NULL, &err);
        print_sum(&c);
        free(format);
        if (stopped(&c, &proof))
                return 1;
        print_json(&c, &proof, path);
        if (proof.said[0])
                cli_note("%s", proof.said);
        return 0;
}

static int
fill_model(resect_weights *source, const resect_convert_options *o)
{
        const char *into = cli_value("into");
        resect_conversion c;
        resect_error err;
        resect_model *m;
        resect_convert_options own = *o;
        if (!strcmp(into, "new")) {
                if (!(m = resect_weights_graph(source, &err)))
                        cli_fail(NULL, &err);
                own.variant = RESECT_VARIANT_WEIGHTS;
        } else
                m = cli_read_model(into);
        if (o->dtype != RESECT_UNDEFINED)
                cli_die("--dtype goes with --to; a model's own types are kept (resect-cast changes "
                        "them)");
        if (!resect_weights_into(source, m, &own, &c, &err))
                cli_fail(NULL, &err);
        print_sum(&c);
        struct proof proof = {.source = source, .o = o};
        if (stopped(&c, &proof))
                return 1;
        resect_weights *copy = resect_weights_of_model(m, &err);
        if (!copy)
                cli_fail(NULL, &err);
        if (!prove(&proof, copy, &c, &err))
                cli_die("what was made is not what it was made from, and nothing is left of it: %s",
                        err.msg);
        cli_note("%s", proof.said);
        resect_weights_free(copy);
        cli_write_model(m);
        print_json(&c, &proof, cli_output());
        resect_model_free(m);
        return 0;
}

static const char *
shape_of(const resect_tensor_info *t)
{
        static char text[256];
        size_t n = 0;
        text[0] = '\0';
        for (int i = 0; i < t->rank && n < sizeof text - 32; i++)
                n += (size_t)snprintf(
                        text + n, sizeof text - n, "%s%lld", i ? "x" : "", (long long)t->dims[i]);
        return t->rank ? text : "scalar";
}

static int
list_json(const resect_weights *w)
{
        const resect_weights_info *i = resect_weights_info_of(w);
        json_t *tensors = json_array(), *skipped = json_array(), *meta = json_object();
        const char *meaning, *name, *why;
        resect_tensor_info t;
        for (size_t k = 0; resect_weights_tensor(w, k, &t, &meaning); k++) {
                json_t *shape = json_array();
                for (int d = 0; d < t.rank; d++)
                        json_array_append_new(shape, json_integer(t.dims[d]));
                json_array_append_new(
                        tensors, json_pack("{s:o, s:s, s:o, s:o}", "name", cli_json_text(t.name),
                                         "dtype", resect_dtype_name(t.dtype), "shape", shape, "is",
                                         cli_json_text(meaning)));
        }
        for (size_t k = 0; resect_weights_skipped(w, k, &name, &why); k++)
                json_array_append_new(skipped, json_pack("{s:o, s:o}", "name", cli_json_text(name),
                                                       "why", cli_json_text(why)));
        for (size_t k = 0; resect_weights_meta(w, k, &name, &why); k++)
                json_object_set_new(meta, cli_text(name), cli_json_text(why));
        cli_print_json(json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:b, s:o, s:o, s:o, s:o}",
                "format", cli_json_text(i->format), "names", cli_json_text(i->names), "why_not",
                cli_json_text(i->why_not), "prefix", cli_json_text(i->prefix), "family",
                cli_json_text(i->recognised ? i->family : NULL), "variant",
                cli_json_text(i->recognised ? i->variant : NULL), "classes", (json_int_t)i->classes,
                "bn_folded", i->bn_folded, "input", cli_json_text(i->input), "tensors", tensors,
                "skipped", skipped, "meta", meta));
        return 0;
}

static int
list(const char *path)
{
        resect_weights *w = read_weights(path, cli_value("format"), cli_value("from-names"));
        const resect_weights_info *i = resect_weights_info_of(w);
        const char *meaning, *name, *why;
        resect_tensor_info t;
        if (cli_json()) {
                list_json(w);
                resect_weights_free(w);
                return 0;
        }
        printf("format   %s: %zu tensors, %zu other things\n", i->format, i->n_tensors,
                i->n_skipped);
        if (i->recognised) {
                printf("names    %s%s%s\n", i->names, i->prefix[0] ? ", behind " : "",
                        cli_text(i->prefix));
                printf("network  %s, %s, ", i->family, i->variant);
                if (i->classes)
                        printf("%lld classes\n", (long long)i->classes);
                else
                        printf("no classifier\n");
                if (i->input)
                        printf("input    %s\n", cli_text(i->input));
        } else
                printf("names    not recognised: %s\n", cli_text(i->why_not));
        for (size_t k = 0; resect_weights_meta(w, k, &name, &why); k++)
                printf("says     %s: %s\n", cli_text(name), cli_text(why));
        const char *const heads[] = {"tensor", "type", "shape", "is", NULL};
        cli_table *table = cli_table_make(heads);
        for (size_t k = 0; resect_weights_tensor(w, k, &t, &meaning); k++) {
                cli_cell(table, "%s", t.name);
                cli_cell(table, "%s", resect_dtype_name(t.dtype));
                cli_cell(table, "%s", shape_of(&t));
                cli_cell(table, "%s", meaning ? meaning : "-");
        }
        cli_table_print(table);
        for (size_t k = 0; resect_weights_skipped(w, k, &name, &why); k++)
                printf("left out: %s: %s\n", cli_text(name), cli_text(why));
        resect_weights_free(w);
        return 0;
}

static int
list_names(void)
{
        resect_weights_format f;
        resect_weights_names n;
        const char *const formats[] = {"format", "reads", "writes", "suffix", "", NULL},
                          *const names[] = {"names", "", NULL};
        cli_table *t = cli_table_make(formats);
        for (size_t i = 0; resect_weights_format_at(i, &f); i++) {
                cli_cell(t, "%s", f.name);
                cli_cell(t, "%s", f.reads ? "yes" : "no");
                cli_cell(t, "%s", f.writes ? "yes" : "no");
                cli_cell(t, "%s", f.suffix);
                cli_cell(t, "%s", f.help);
        }
        cli_cell(t, "onnx");
        cli_cell(t, "yes");
        cli_cell(t, "yes");
        cli_cell(t, ".onnx");
        cli_cell(t, "an ONNX model, its tensors known by the structure of its graph (written by "
                    "--into)");
        cli_table_print(t);
        printf("\n");
        t = cli_table_make(names);
        for (size_t i = 0; resect_weights_names_at(i, &n); i++) {
                cli_cell(t, "%s", n.name);
                cli_cell(t, "%s", n.help);
        }
        cli_table_print(t);
        return 0;
}

/* An option that nothing would come of is a mistake. */
static void
check_options(void)
{
        cli_exclude("names", (const char *const[]){"list", "to", "weights", "into", "format",
                                     "from-names", "partial", "variant-from", "dtype", "account",
                                     "output", "json", "verify", NULL});
        cli_exclude("list", (const char *const[]){"to", "weights", "into", "partial",
                                    "variant-from", "dtype", "account", "output", "verify", NULL});
        if (!cli_given("list"))
                cli_belong("weights", (const char *const[]){"into", "format", "from-names", NULL});
        if ((cli_given("list") || cli_given("names")) && cli_arg(0))
                cli_die("--%s takes no MODEL: %s has no place here",
                        cli_given("list") ? "list" : "names", cli_text(cli_arg(0)));
}

int
main(int argc, char **argv)
{
        cli_start(&tool, argc, argv);
        check_options();
        const char *to = cli_value("to"), *into = cli_value("into"), *from = cli_value("weights");
        resect_error err;
        resect_model *m = NULL;
        resect_weights *w;
        if (cli_given("names"))
                return cli_finish(list_names());
        if (cli_given("list"))
                return cli_finish(list(cli_value("list")));
        if (!to == !into)
                cli_die("say --to FORMAT or --into MODEL (--help tells more)");
        if (from && cli_arg(0))
                cli_die("either MODEL or --weights: %s has no place here", cli_text(cli_arg(0)));
        if (cli_json() && !cli_output())
                cli_die("--json: what is made needs a file, -o FILE");
        json_rows = json_array();
        resect_convert_options o = convert_options();
        if (from)
                w = read_weights(from, cli_value("format"), cli_value("from-names"));
        else {
                m = cli_read_model(cli_arg(0));
                if (!(w = resect_weights_of_model(m, &err)))
                        cli_fail(cli_arg(0), &err);
        }
        int status = to ? write_file(w, m, &o) : fill_model(w, &o);
        resect_weights_free(w);
        resect_model_free(m);
        return cli_finish(status);
}
