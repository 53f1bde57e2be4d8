/* SPDX-License-Identifier: 0BSD */
/*
 * resect-run --vectors: ONNX's own backend tests. A test is a folder with model.onnx and
 * test_data_set_N/{input,output}_I.pb; folders are searched for such. A test passes when every
 * output of every set is within tolerance, fails when one is not or running it is an error, and is
 * unsupported when the library says so in as many words.
 */
#include "run.h"

#include <dirent.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum verdict { PASSED, FAILED, UNSUPPORTED };

/* Tests of one operator: the one of a single-node model, "(several)" otherwise. */
struct tally {
        char op[64];
        int count[3];
};
struct tallies {
        struct tally *list;
        size_t n;
        int total[3], excluded;
        json_t *failures;
};

static void
count(struct tallies *t, const char *op, enum verdict v)
{
        size_t i = 0;
        while (i < t->n && strcmp(t->list[i].op, op))
                i++;
        if (i == t->n) {
                struct tally *list = realloc(t->list, (t->n + 1) * sizeof *list);
                if (!list)
                        cli_die("out of memory");
                t->list = list;
                t->list[t->n] = (struct tally){0};
                snprintf(t->list[t->n++].op, sizeof t->list->op, "%s", op);
        }
        t->list[i].count[v]++;
        t->total[v]++;
}

/* folder/name into path; a path that does not fit cannot exist. */
static bool
join(char path[PATH_MAX], const char *folder, const char *name)
{
        int n = snprintf(path, PATH_MAX, "%s/%s", folder, name);
        return n > 0 && n < PATH_MAX;
}

/* The same with a numbered name: "input_%zu.pb" has one number. */
static bool
join_number(
        char path[PATH_MAX], const char *folder, const char *stem, size_t number, const char *end)
{
        int n = snprintf(path, PATH_MAX, "%s/%s%zu%s", folder, stem, number, end);
        return n > 0 && n < PATH_MAX;
}

static bool
exists(const char *path)
{
        struct stat s;
        return stat(path, &s) == 0;
}

/* Older editions of the tests store bfloat16 in files that say uint16. */
static void
as_bfloat16(resect_tensor *t, resect_dtype wanted)
{
        if (wanted == RESECT_BFLOAT16 && t->dtype == RESECT_UINT16)
                t->dtype = RESECT_BFLOAT16;
}

struct set {
        resect_binding in[64];
        size_t n;
};

/* Reads the inputs of a data set and binds them to the graph's inputs in order. */
static bool
read_inputs(struct set *s, resect_model *m, const char *folder, resect_error *err)
{
        resect_value v;
        for (s->n = 0; s->n < 64 && resect_model_input(m, s->n, &v); s->n++) {
                char path[PATH_MAX];
                if (!join_number(path, folder, "input_", s->n, ".pb") || !exists(path))
                        break;
                if (v.dtype == RESECT_UNDEFINED || v.dtype == RESECT_STRING) {
                        err->code = RESECT_UNSUPPORTED;
                        snprintf(err->msg, sizeof err->msg, "input '%s' is not a tensor of numbers",
                                cli_text(v.name));
                        return false;
                }
                s->in[s->n].name = v.name;
                if (!resect_tensor_read_pb(&s->in[s->n].tensor, path, NULL, 0, err))
                        return false;
                as_bfloat16(&s->in[s->n].tensor, v.dtype);
        }
        return true;
}

static bool
compare_outputs(
        const resect_tensor *outputs, size_t n, const char *folder, bool *equal, resect_error *err)
{
        double rtol = cli_real("rtol", 1e-3, 0, 1e9), atol = cli_real("atol", 1e-7, 0, 1e9);
        *equal = true;
        for (size_t i = 0; i < n && *equal; i++) {
                char path[PATH_MAX];
                resect_tensor want;
                resect_difference d;
                if (!join_number(path, folder, "output_", i, ".pb") || !exists(path))
                        break;
                if (!resect_tensor_read_pb(&want, path, NULL, 0, err))
                        return false;
                /* ... and cut its bits off instead of rounding: a unit in the last place */
                bool old = want.dtype == RESECT_UINT16 && outputs[i].dtype == RESECT_BFLOAT16;
                if (old && rtol < 0x1p-7)
                        rtol = 0x1p-7;
                as_bfloat16(&want, outputs[i].dtype);
                *equal = resect_tensor_compare(&outputs[i], &want, rtol, atol, &d, err);
                if (*equal && d.unequal) {
                        *equal = false;
                        snprintf(err->msg, sizeof err->msg,
                                "output %zu: %lld of %lld elements differ, by up to %g", i,
                                (long long)d.unequal, (long long)d.count, d.max_abs);
                }
                resect_tensor_free(&want);
        }
        return true;
}

static enum verdict
run_set(resect_model *m, const char *folder, resect_error *err)
{
        struct set s = {0};
        resect_plan *p = NULL;
        resect_exec *e = NULL;
        resect_tensor in[64], *out = cli_alloc(resect_model_output_count(m) + 1, sizeof *out);
        bool equal = false;
        bool ok = read_inputs(&s, m, folder, err);
        if (ok) {
                resect_plan_options o = {.inputs = s.in, .n_inputs = s.n};
                for (size_t i = 0; i < s.n; i++)
                        in[i] = s.in[i].tensor;
                ok = (p = cli_plan(m, &o, err)) && (e = resect_exec_make(p, err)) &&
                     resect_exec_run(e, in, out, err) &&
                     compare_outputs(out, resect_plan_output_count(p), folder, &equal, err);
        }
        resect_exec_free(e);
        resect_plan_free(p);
        for (size_t i = 0; i < s.n; i++)
                resect_tensor_free(&s.in[i].tensor);
        free(out);
        return ok                                ? equal ? PASSED : FAILED
               : err->code == RESECT_UNSUPPORTED ? UNSUPPORTED
                                                 : FAILED;
}

static void
run_test(struct tallies *t, const char *folder)
{
        char path[PATH_MAX];
        const resect_read_options read = cli_read_options();
        resect_error err = {0};
        const char *op = "(unreadable)";
        enum verdict v = FAILED;
        resect_model *m =
                join(path, folder, "model.onnx") ? resect_model_read(path, &read, &err) : NULL;
        if (m) {
                resect_node node;
                op = !resect_model_node(m, 0, &node)              ? "(empty)"
                     : resect_model_node(m, 1, &(resect_node){0}) ? "(several)"
                                                                  : node.op;
                v = PASSED;
                int sets = 0;
                for (; v == PASSED; sets++) {
                        if (!join_number(path, folder, "test_data_set_", (size_t)sets, "") ||
                                !exists(path))
                                break;
                        v = run_set(m, path, &err);
                }
                if (sets == 0) {
                        v = FAILED;
                        snprintf(err.msg, sizeof err.msg, "no test_data_set_0");
                }
        }
        count(t, op, v);
        const char *base = strrchr(folder, '/') ? strrchr(folder, '/') + 1 : folder;
        if (v == FAILED) {
                json_array_append_new(
                        t->failures, json_pack("{s:o, s:o}", "test", cli_json_text(base), "why",
                                             cli_json_text(err.msg)));
                if (!cli_json())
                        printf("FAIL %s: %s\n", cli_text(base), err.msg);
        }
        resect_model_free(m);
}

/* Tests that the user leaves out by name: a Dropout in training has no right answer, say. */
static bool
is_excluded(const char *folder)
{
        const char *base = strrchr(folder, '/') ? strrchr(folder, '/') + 1 : folder;
        for (int i = 0; cli_value_at("exclude", i); i++)
                if (!fnmatch(cli_value_at("exclude", i), base, 0))
                        return true;
        return false;
}

static int
not_dot(const struct dirent *d)
{
        return d->d_name[0] != '.';
}

static void
search(struct tallies *t, const char *folder, int depth)
{
        char path[PATH_MAX];
        struct dirent **list;
        if (join(path, folder, "model.onnx") && exists(path)) {
                if (is_excluded(folder))
                        t->excluded++;
                else
                        run_test(t, folder);
                return;
        }
        int n = depth < 8 ? scandir(folder, &list, not_dot, alphasort) : -1;
        if (n < 0 && depth == 0)
                cli_die("%s: not a folder that can be read", cli_text(folder));
        for (int i = 0; i < n; i++) {
                struct stat s;
                if (join(path, folder, list[i]->d_name) && stat(path, &s) == 0 &&
                        S_ISDIR(s.st_mode))
                        search(t, path, depth + 1);
                free(list[i]);
                if (depth == 0)
                        cli_progress("testing", i + 1, n, "folders");
        }
        if (n >= 0)
                free(list);
}

static int
by_op(const void *a, const void *b)
{
        return strcmp(((const struct tally *)a)->op, ((const struct tally *)b)->op);
}

static void
print_table(const struct tallies *t)
{
        static const char *const headers[] = {"operator", ">passed", ">failed", NULL};
        cli_table *table = cli_table_make(headers);
        for (size_t i = 0; i < t->n; i++) {
                if (!t->list[i].count[PASSED] && !t->list[i].count[FAILED])
                        continue;
                cli_cell(table, "%s", t->list[i].op);
                cli_cell(table, "%d", t->list[i].count[PASSED]);
                cli_cell(table, "%d", t->list[i].count[FAILED]);
        }
        cli_table_print(table);
        if (t->total[UNSUPPORTED]) {
                printf("\nunsupported, %d tests:", t->total[UNSUPPORTED]);
                for (size_t i = 0; i < t->n; i++)
                        if (t->list[i].count[UNSUPPORTED])
                                printf(" %s (%d)", cli_text(t->list[i].op),
                                        t->list[i].count[UNSUPPORTED]);
                printf("\n");
        }
        if (t->excluded)
                printf("\nexcluded by name: %d tests\n", t->excluded);
        printf("\n%d passed, %d failed\n", t->total[PASSED], t->total[FAILED]);
}

int
run_vectors(void)
{
        struct tallies t = {.failures = json_array()};
        if (cli_arg_count() == 0)
                cli_die("--vectors: give one folder or more");
        for (int i = 0; i < cli_arg_count(); i++)
                search(&t, cli_arg(i), 0);
        cli_progress_end();
        if (!t.n && !t.excluded)
                cli_die("--vectors: no test was found: want folders with model.onnx and "
                        "test_data_set_N/");
        qsort(t.list, t.n, sizeof *t.list, by_op);
        if (cli_json()) {
                json_t *ops = json_object();
                for (size_t i = 0; i < t.n; i++)
                        json_object_set_new(ops, cli_text(t.list[i].op),
                                json_pack("{s:i, s:i, s:i}", "passed", t.list[i].count[PASSED],
                                        "failed", t.list[i].count[FAILED], "unsupported",
                                        t.list[i].count[UNSUPPORTED]));
                cli_print_json(json_pack("{s:i, s:i, s:i, s:o, s:O}", "passed", t.total[PASSED],
                        "failed", t.total[FAILED], "unsupported", t.total[UNSUPPORTED], "operators",
                        ops, "failures", t.failures));
        } else {
                print_table(&t);
        }
        json_decref(t.failures);
        free(t.list);
        return t.total[FAILED] ? 1 : 0;
}
