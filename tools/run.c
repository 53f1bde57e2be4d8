/* SPDX-License-Identifier: 0BSD */
/*
 * resect-run: runs a model on pictures or tensors. Pictures become a table of the best classes;
 * tensors become tensors. Any value in the graph can be taken out, by its name or by the name of
 * the part that makes it.
 */
#include "run.h"

#include <errno.h>
#include <fnmatch.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const resect_option options[] = {
        {"top", "K", "classes to show for a picture (default 5)"},
        {"batch", "N", "pictures to run at once (default 8; with --random all)"},
        {"input", "SPEC",
                "preprocessing, over what the model records: size=HxW resize=N mean=r,g,b "
                "std=r,g,b channels=rgb|bgr"},
        {"values", "NAME,...", "take these values out instead of the model's outputs"},
        {"dump", "GLOB=DIR",
                "write the values or parts that match (layer3.*) to DIR as .npy; may be repeated"},
        {"vectors", NULL,
                "the operands are ONNX test folders (model.onnx, test_data_set_N/): run and "
                "compare all of them"},
        {"exclude", "GLOB", "with --vectors: leave out the folders called so; may be repeated"},
        {"rtol", "X", "with --vectors: relative tolerance (default 1e-3)"},
        {"atol", "X", "with --vectors: absolute tolerance (default 1e-7)"},
        {"random", "N", "run on N random pictures and say how long it takes"},
        {"repeat", "R", "with --random: measured runs (default 5)"},
        {"profile", NULL, "with --random: a table of the time that each step takes"},
        {0},
};

static const cli_tool tool = {
        .name = "run",
        .brief = "run a model on pictures or tensors",
        .usage = "[MODEL] [INPUT ...]",
        .description = "Runs MODEL on each INPUT. Pictures (JPEG, PNG) are resized, cropped and "
                       "normalised as the model records and the best "
                       "classes are listed, with their labels when the model has them. Tensors "
                       "(.npy, .npz, or ONNX .pb) are given to the "
                       "model's inputs in order, or to the value that NAME=FILE names; the result "
                       "is summed up, or written with -o.\n\n"
                       "-o FILE writes the output as .npy; with several pictures their outputs are "
                       "stacked.\n\n"
                       "--vectors runs the folders of ONNX's backend tests and ends in a line 'N "
                       "passed, N failed'.\n\n"
                       "--random times the model without any data.",
        .examples = "resect-run model.onnx photo.jpg\n"
                    "resect-run model.onnx x.npy -o y.npy\n"
                    "resect-run model.onnx photo.jpg --dump 'layer3.*=maps'\n"
                    "resect-run --vectors /usr/share/libonnx-testdata/data/node\n"
                    "resect-run model.onnx --random 8 --repeat 10 --profile",
        .options = options,
        .common = CLI_READ | CLI_OUTPUT | CLI_JSON | CLI_RUN | CLI_SEED,
        .min_args = 0,
        .max_args = -1,
        .exit_one = "with --vectors: a test failed",
};

/* What is asked of a run: values by name, and where they go. */
struct wish {
        const char *value, *label; /* label: what the user called it ("layer3.5"), for file names */
        const char *folder;        /* of a dump, or NULL: a result */
};
struct wishes {
        struct wish *list;
        size_t n;
};

static void
wish(struct wishes *w, const char *value, const char *label, const char *folder)
{
        struct wish *list = realloc(w->list, (w->n + 1) * sizeof *list);
        if (!list)
                cli_die("out of memory");
        w->list = list;
        w->list[w->n++] = (struct wish){value, label, folder};
}

/* Adds every part and value that matches a glob. */
static void
wish_dump(struct wishes *w, resect_model *m, resect_anatomy *a, const char *spec)
{
        const char *equals = strrchr(spec, '=');
        if (!equals || equals == spec || !equals[1])
                cli_die("--dump %s: want GLOB=DIR", cli_text(spec));
        char *glob = cli_alloc(1, (size_t)(equals - spec) + 1);
        memcpy(glob, spec, (size_t)(equals - spec));
        const char *folder = equals + 1;
        size_t before = w->n;
        for (size_t i = 0; i < resect_anatomy_part_count(a); i++) {
                const resect_part *p = resect_anatomy_part(a, i);
                if (p->output && !fnmatch(glob, p->name, 0))
                        wish(w, p->output, p->name, folder);
        }
        const resect_block *b;
        for (size_t i = 0; (b = resect_anatomy_block(a, i)) != NULL; i++)
                if (b->output && !fnmatch(glob, b->name, 0))
                        wish(w, b->output, b->name, folder);
        resect_node n;
        for (size_t i = 0; resect_model_node(m, i, &n); i++)
                for (size_t j = 0; j < n.n_outputs; j++)
                        if (*n.outputs[j] && !fnmatch(glob, n.outputs[j], 0))
                                wish(w, n.outputs[j], n.outputs[j], folder);
        if (w->n == before)
                cli_die("--dump %s: no part and no value is called so; resect-info lists them",
                        cli_text(spec));
        if (mkdir(folder, 0777) != 0 && errno != EEXIST)
                cli_die("%s: %s", cli_text(folder), strerror(errno));
        free(glob);
}

static void
gather_wishes(struct wishes *w, resect_model *m, resect_anatomy *a)
{
        char *list =
                cli_value("values") ? strdup(cli_value("values")) : NULL; /* lives to the end */
        for (char *save = NULL, *name = list ? strtok_r(list, ",", &save) : NULL; name;
                name = strtok_r(NULL, ",", &save))
                wish(w, name, name, NULL);
        resect_value v;
        for (size_t i = 0; !list && resect_model_output(m, i, &v); i++)
                wish(w, v.name, v.name, NULL);
        for (int i = 0; cli_value_at("dump", i); i++)
                wish_dump(w, m, a, cli_value_at("dump", i));
}

void
run_input_shape(resect_model *m, size_t i, int64_t batch, resect_tensor *out)
{
        resect_value v;
        resect_input in;
        resect_error err;
        if (!resect_model_input(m, i, &v))
                cli_die("the model has no input");
        if (v.rank < 0)
                cli_die("input '%s' has no shape", cli_text(v.name));
        if (!resect_input_of(m, &in, NULL, &err))
                cli_fail(NULL, &err);
        *out = (resect_tensor){.dtype = v.dtype, .rank = v.rank};
        int64_t picture[4] = {batch, in.channels, in.height, in.width};
        if (in.nhwc) {
                picture[1] = in.height;
                picture[2] = in.width;
                picture[3] = in.channels;
        }
        for (int d = 0; d < v.rank; d++) {
                int64_t open = v.rank == 4 ? picture[d] : d == 0 ? batch : 1;
                out->dims[d] = v.dims[d] >= 0 ? v.dims[d] : open;
        }
}

/* A plan and exec for some inputs and the wished values. */
struct machine {
        resect_plan *plan;
        resect_exec *exec;
        resect_tensor *outputs;
};

static void
build(struct machine *k, resect_model *m, const resect_binding *inputs, size_t n,
        const struct wishes *w)
{
        resect_error err;
        const char **names = cli_alloc(w->n + 1, sizeof *names);
        for (size_t i = 0; i < w->n; i++)
                names[i] = w->list[i].value;
        resect_plan_options o = {
                .inputs = inputs, .n_inputs = n, .outputs = names, .n_outputs = w->n};
        k->plan = cli_plan(m, &o, &err);
        if (!k->plan || !(k->exec = resect_exec_make(k->plan, &err)))
                cli_fail(cli_arg(0), &err);
        k->outputs = cli_alloc(w->n + 1, sizeof *k->outputs);
        free(names);
}

static void
demolish(struct machine *k)
{
        resect_exec_free(k->exec);
        resect_plan_free(k->plan);
        free(k->outputs);
        *k = (struct machine){0};
}

static void
write_npy(const resect_tensor *t, const char *path)
{
        resect_error err;
        if (!resect_tensor_write_npy(t, path, &err))
                cli_fail(path, &err);
}

/* Writes the dumped values of one run; index counts runs, -1 when there is only one. */
static void
write_dumps(const struct machine *k, const struct wishes *w, long index)
{
        for (size_t i = 0; i < w->n; i++) {
                if (!w->list[i].folder)
                        continue;
                char label[200], path[4096];
                snprintf(label, sizeof label, "%s", w->list[i].label);
                for (char *c = label; *c; c++)
                        if (*c == '/' || (unsigned char)*c < 32)
                                *c = '_';
                if (*label == '.')
                        *label = '_';
                if (index < 0)
                        snprintf(path, sizeof path, "%s/%s.npy", w->list[i].folder, label);
                else
                        snprintf(path, sizeof path, "%s/%s.%ld.npy", w->list[i].folder, label,
                                index);
                write_npy(&k->outputs[i], path);
        }
}

/* Tensors
 * ------------------------------------------------------------------------------------------------------------------
 */

static bool
ends_with(const char *s, const char *end)
{
        size_t n = strlen(s), k = strlen(end);
        return n >= k && !strcmp(s + n - k, end);
}

/* Whether an operand is a tensor file: NAME=FILE or FILE, with FILE.npz:ARRAY for one array of
 * several. */
static bool
is_tensor_file(const char *s)
{
        return ends_with(s, ".npy") || ends_with(s, ".pb") || ends_with(s, ".npz") ||
               strstr(s, ".npz:") != NULL;
}

static void
read_tensor(resect_tensor *t, const char *path)
{
        resect_error err;
        bool ok;
        const char *colon = strstr(path, ".npz:");
        if (colon) {
                char *file = strdup(path);
                if (!file)
                        cli_die("out of memory");
                file[colon - path + 4] = '\0';
                ok = resect_tensor_read_npz(t, file, colon + 5, &err);
                free(file);
        } else if (ends_with(path, ".npz")) {
                ok = resect_tensor_read_npz(t, path, NULL, &err);
        } else {
                ok = ends_with(path, ".pb") ? resect_tensor_read_pb(t, path, NULL, 0, &err)
                                            : resect_tensor_read_npy(t, path, &err);
        }
        if (!ok)
                cli_fail(path, &err);
}

static json_t *
shape_json(const resect_tensor *t)
{
        json_t *a = json_array();
        for (int i = 0; i < t->rank; i++)
                json_array_append_new(a, json_integer(t->dims[i]));
        return a;
}

static double
element(const resect_tensor *t, int64_t i)
{
        return t->dtype == RESECT_FLOAT    ? ((const float *)t->data)[i]
               : t->dtype == RESECT_DOUBLE ? ((const double *)t->data)[i]
                                           : NAN;
}

/* A row of figures about each result. */
static void
sum_up(const struct machine *k, const struct wishes *w)
{
        static const char *const headers[] = {
                "value", "type", "shape", ">min", ">mean", ">max", NULL};
        cli_table *t = cli_json() ? NULL : cli_table_make(headers);
        json_t *all = json_array();
        for (size_t i = 0; i < w->n; i++) {
                const resect_tensor *y = &k->outputs[i];
                if (w->list[i].folder)
                        continue;
                double min = INFINITY, max = -INFINITY, sum = 0;
                int64_t n = resect_tensor_count(y);
                for (int64_t j = 0; j < n; j++) {
                        double x = element(y, j);
                        min = fmin(min, x);
                        max = fmax(max, x);
                        sum += x;
                }
                char shape[128] = "";
                for (int d = 0, at = 0; d < y->rank; d++)
                        at += snprintf(shape + at, sizeof shape - (size_t)at, "%s%lld",
                                d ? "x" : "", (long long)y->dims[d]);
                json_array_append_new(
                        all, json_pack("{s:o, s:s, s:o, s:o, s:o, s:o}", "value",
                                     cli_json_text(w->list[i].label), "type",
                                     resect_dtype_name(y->dtype), "shape", shape_json(y), "min",
                                     cli_json_real(min), "mean", cli_json_real(sum / (double)n),
                                     "max", cli_json_real(max)));
                if (!t)
                        continue;
                cli_cell(t, "%s", w->list[i].label);
                cli_cell(t, "%s", resect_dtype_name(y->dtype));
                cli_cell(t, "%s", *shape ? shape : "scalar");
                cli_cell(t, "%.6g", min);
                cli_cell(t, "%.6g", sum / (double)n);
                cli_cell(t, "%.6g", max);
        }
        if (t) {
                json_decref(all);
                cli_table_print(t);
        } else {
                cli_print_json(all);
        }
}

static int
run_tensors(resect_model *m, const struct wishes *w)
{
        resect_error err;
        size_t n = (size_t)cli_arg_count() - 1, next = 0;
        resect_binding *in = cli_alloc(n, sizeof *in);
        resect_tensor *tensors = cli_alloc(n, sizeof *tensors);
        for (size_t i = 0; i < n; i++) {
                const char *arg = cli_arg((int)i + 1), *equals = strchr(arg, '=');
                resect_value v;
                if (!is_tensor_file(arg))
                        cli_die("%s: give tensors or pictures, not both", cli_text(arg));
                if (equals) {
                        char *name = strdup(arg);
                        if (!name)
                                cli_die("out of memory");
                        name[equals - arg] = '\0';
                        in[i].name = name;
                } else if (resect_model_input(m, next++, &v)) {
                        in[i].name = v.name;
                } else {
                        cli_die("%s: the model has only %zu inputs", cli_text(arg),
                                resect_model_input_count(m));
                }
                read_tensor(&in[i].tensor, equals ? equals + 1 : arg);
                tensors[i] = in[i].tensor;
        }
        struct machine k = {0};
        build(&k, m, in, n, w);
        if (!resect_exec_run(k.exec, tensors, k.outputs, &err))
                cli_fail(cli_arg(0), &err);
        write_dumps(&k, w, -1);
        if (cli_output())
                write_npy(&k.outputs[0], cli_output());
        else
                sum_up(&k, w);
        demolish(&k);
        for (size_t i = 0; i < n; i++)
                resect_tensor_free(&tensors[i]);
        free(in);
        free(tensors);
        return 0;
}

/* Pictures
 * -----------------------------------------------------------------------------------------------------------------
 */

struct best {
        float score;
        int64_t index;
};

static int
by_score(const void *a, const void *b)
{
        const struct best *x = a, *y = b;
        return x->score != y->score ? (x->score < y->score) - (x->score > y->score)
                                    : (x->index > y->index) - (x->index < y->index);
}

/* The scores of one picture as probabilities, best first. */
static struct best *
rank(const float *scores, int64_t n, bool logits)
{
        struct best *b = cli_alloc((size_t)n, sizeof *b);
        double sum = 0, max = -INFINITY;
        for (int64_t i = 0; i < n; i++)
                max = fmax(max, scores[i]);
        for (int64_t i = 0; logits && i < n; i++)
                sum += exp(scores[i] - max);
        for (int64_t i = 0; i < n; i++)
                b[i] = (struct best){logits ? (float)(exp(scores[i] - max) / sum) : scores[i], i};
        qsort(b, (size_t)n, sizeof *b, by_score);
        return b;
}

struct report {
        cli_table *table;
        json_t *json;
        const char *const *labels;
        size_t n_labels;
        bool logits, features; /* features: there are no classes, and values are what they are */
        int64_t top;
};

static void
report_picture(struct report *r, const char *name, const float *scores, int64_t n)
{
        struct best *b = rank(scores, n, r->logits);
        json_t *top = json_array();
        for (int64_t i = 0; i < n && i < r->top; i++) {
                const char *label = (size_t)b[i].index < r->n_labels ? r->labels[b[i].index] : NULL;
                if (r->features)
                        json_array_append_new(
                                top, json_pack("{s:I, s:o}", "feature", (json_int_t)b[i].index,
                                             "value", cli_json_real(b[i].score)));
                else
                        json_array_append_new(
                                top, json_pack("{s:I, s:o, s:o}", "class", (json_int_t)b[i].index,
                                             "label", cli_json_text(label), "probability",
                                             cli_json_real(b[i].score)));
                if (!r->table)
                        continue;
                cli_cell(r->table, "%s", i ? "" : name);
                cli_cell(r->table, r->features ? "%.4g" : "%.4f", (double)b[i].score);
                cli_cell(r->table, "%lld", (long long)b[i].index);
                if (!r->features)
                        cli_cell(r->table, "%s", label ? label : "");
        }
        json_array_append_new(
                r->json, json_pack("{s:o, s:o}", "picture", cli_json_text(name), "top", top));
        free(b);
}

static int
run_pictures(resect_model *m, const struct wishes *w, resect_anatomy *a)
{
        static const char *const headers[] = {"picture", ">probability", ">class", "label", NULL},
                                 *const of_features[] = {"picture", ">value", ">feature", NULL};
        const resect_summary *s = resect_anatomy_summary(a);
        resect_error err;
        resect_input in;
        if (!resect_input_of(m, &in, NULL, &err) ||
                (cli_value("input") && !resect_input_parse(&in, cli_value("input"), &err)))
                cli_fail(NULL, &err);
        resect_value v;
        if (!resect_model_input(m, 0, &v))
                cli_die("the model has no input");
        int64_t n = cli_arg_count() - 1,
                batch = v.rank == 4 && v.dims[0] > 0 ? v.dims[0] : cli_integer("batch", 8, 1, 4096);
        size_t pixels = (size_t)in.channels * (size_t)in.height * (size_t)in.width;
        if (batch > n && !(v.rank == 4 && v.dims[0] > 0))
                batch = n;
        resect_tensor x;
        const int64_t chw[4] = {batch, in.channels, in.height, in.width},
                      hwc[4] = {batch, in.height, in.width, in.channels};
        if (!resect_tensor_make(&x, RESECT_FLOAT, 4, in.nhwc ? hwc : chw, &err))
                cli_fail(NULL, &err);
        struct machine k = {0};
        resect_binding b = {.name = v.name, .tensor = x};
        build(&k, m, &b, 1, w);
        struct report r = {.json = json_array(),
                .top = cli_integer("top", 5, 1, 1000000),
                .features = s->n_blocks && !s->has_head};
        r.logits = !s->has_softmax && !r.features;
        r.labels = resect_model_labels(m, &r.n_labels);
        resect_tensor stacked = {0};
        bool classes = true;
        for (int64_t at = 0; at < n; at += batch) {
                int64_t here = n - at < batch ? n - at : batch;
                memset(x.data, 0, x.size);
                for (int64_t i = 0; i < here; i++) {
                        const char *path = cli_arg((int)(at + i) + 1);
                        if (!resect_picture_read(
                                    path, &in, (float *)x.data + (size_t)i * pixels, &err))
                                cli_fail(path, &err);
                }
                if (!resect_exec_run(k.exec, &x, k.outputs, &err))
                        cli_fail(cli_arg(0), &err);
                write_dumps(&k, w, n > batch ? (long)(at / batch) : -1);
                const resect_tensor *y = &k.outputs[0];
                classes = y->rank == 2 && y->dims[0] == batch && y->dtype == RESECT_FLOAT;
                if (at == 0 && (classes || cli_output())) {
                        if (y->rank < 1 || y->dims[0] != batch)
                                cli_die("output '%s' has no batch of %lld to stack",
                                        cli_text(w->list[0].label), (long long)batch);
                        int64_t dims[RESECT_RANK_MAX];
                        memcpy(dims, y->dims, sizeof dims);
                        dims[0] = n;
                        if (!resect_tensor_make(&stacked, y->dtype, y->rank, dims, &err))
                                cli_fail(NULL, &err);
                        if (classes && !cli_json() && !cli_output())
                                r.table = cli_table_make(r.features ? of_features : headers);
                }
                size_t row = y->size / (size_t)(y->rank ? y->dims[0] : 1);
                if (stacked.data)
                        memcpy((char *)stacked.data + (size_t)at * row, y->data,
                                (size_t)here * row);
                for (int64_t i = 0; classes && i < here; i++)
                        report_picture(&r, cli_arg((int)(at + i) + 1),
                                (const float *)y->data + i * y->dims[1], y->dims[1]);
                cli_progress("running", (double)(at + here), (double)n, "pictures");
        }
        cli_progress_end();
        if (cli_output())
                write_npy(&stacked, cli_output());
        else if (cli_json() && classes)
                cli_print_json(json_incref(r.json));
        else if (r.table)
                cli_table_print(r.table);
        else
                sum_up(&k, w);
        json_decref(r.json);
        resect_tensor_free(&stacked);
        resect_tensor_free(&x);
        demolish(&k);
        return 0;
}

/* An option that nothing would come of is a mistake. */
static void
check_options(void)
{
        cli_belong("random", (const char *const[]){"repeat", "profile", "seed", NULL});
        cli_belong("vectors", (const char *const[]){"exclude", "rtol", "atol", NULL});
        cli_exclude("random",
                (const char *const[]){"top", "input", "values", "dump", "vectors", "output", NULL});
        cli_exclude("vectors",
                (const char *const[]){"top", "batch", "input", "values", "dump", "output", NULL});
        if (cli_given("random") && cli_arg(1))
                cli_die("--random takes no INPUT: %s has no place here", cli_text(cli_arg(1)));
        static const char *const of_pictures[] = {"top", "batch", "input", NULL};
        for (const char *const *name = of_pictures; cli_arg(1) && *name; name++)
                if (!cli_given("vectors") && cli_given(*name) && is_tensor_file(cli_arg(1)))
                        cli_die("--%s is for pictures, not for tensors", *name);
}

int
main(int argc, char **argv)
{
        resect_error err;
        cli_start(&tool, argc, argv);
        check_options();
        if (cli_given("vectors"))
                return cli_finish(run_vectors());
        resect_model *m = cli_read_model(cli_arg(0));
        int status;
        if (cli_given("random")) {
                status = run_time(m);
        } else {
                if (cli_arg_count() < 2)
                        cli_die("give pictures or tensors to run on, or --random N");
                resect_anatomy *a = resect_anatomy_find(m, &err);
                if (!a)
                        cli_fail(cli_arg(0), &err);
                struct wishes w = {0};
                gather_wishes(&w, m, a);
                status = is_tensor_file(cli_arg(1)) ? run_tensors(m, &w) : run_pictures(m, &w, a);
                free(w.list);
                resect_anatomy_free(a);
        }
        resect_model_free(m);
        return cli_finish(status);
}
