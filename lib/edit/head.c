/* SPDX-License-Identifier: 0BSD */
/* head: a classifier behind a trunk. Gemm with transB, weight [classes, C], as PyTorch's Linear
 * stores it. */
#include "edit/ends.h"

#include <string.h>

typedef struct plan {
        rs_head_spec spec;
        const char **labels; /* [spec.classes] or NULL */
        bool replace;
        const char *map; /* --keep */
        rs_rows rows;
        resect_model *old; /* --from */
} plan;

static bool
read_labels(rs_surgery *s, const char *path, plan *p, resect_error *err)
{
        static char seen;
        size_t n;
        void *old = NULL;
        rs_map names = {0};
        bool ok = rs_read_lines(&s->arena, path, &p->labels, &n, err);
        if (ok && n == 0)
                ok = rs_fail(err, RESECT_FORMAT, "%s: no labels in it", path);
        for (size_t i = 0; ok && i < n; i++) {
                if (p->labels[i][0] == '\0')
                        ok = rs_fail(err, RESECT_FORMAT, "%s:%zu: an empty label", path, i + 1);
                ok = ok && rs_map_put(&names, p->labels[i], &seen, &old, err);
                if (ok && old != NULL)
                        ok = rs_fail(err, RESECT_FORMAT, "%s:%zu: %s stands there twice", path,
                                i + 1, p->labels[i]);
        }
        rs_map_free(&names);
        if (ok && p->spec.classes != 0 && p->spec.classes != (int64_t)n)
                ok = rs_fail(err, RESECT_ARG, "%s has %zu labels, but --classes says %lld", path, n,
                        (long long)p->spec.classes);
        p->spec.classes = (int64_t)n;
        return ok;
}

static bool
read_hidden(rs_surgery *s, const char *text, rs_head_spec *spec, resect_error *err)
{
        const char **items;
        if (!rs_split(&s->arena, "--hidden", text, ',', &items, &spec->n_hidden, err))
                return false;
        int64_t *sizes = RS_NEW(&s->arena, spec->n_hidden, int64_t, err);
        for (size_t i = 0; sizes != NULL && i < spec->n_hidden; i++)
                if (!rs_parse_int("--hidden", items[i], 1, 1 << 24, &sizes[i], err))
                        return false;
        spec->hidden = sizes;
        return sizes != NULL;
}

static bool
read_settings(rs_surgery *s, plan *p, resect_error *err)
{
        int64_t seed;
        const char *labels = rs_setting(s, "labels"), *hidden = rs_setting(s, "hidden"),
                   *init = rs_setting(s, "init");
        if (!rs_setting_int(s, "classes", 1, 1 << 24, 0, &p->spec.classes, err) ||
                !rs_setting_int(s, "seed", 0, INT64_MAX, 0, &seed, err) ||
                !rs_setting_double(s, "dropout", 0, 0.999, 0, &p->spec.dropout, err) ||
                (labels != NULL && !read_labels(s, labels, p, err)) ||
                (hidden != NULL && !read_hidden(s, hidden, &p->spec, err)))
                return false;
        if (p->spec.classes == 0)
                return rs_fail(err, RESECT_ARG,
                        "how many classes? --classes N, or --labels FILE with one label a line");
        if (init != NULL && strcmp(init, "zero") != 0 && strcmp(init, "kaiming") != 0)
                return rs_fail(err, RESECT_ARG, "--init: \"%s\" is not zero or kaiming", init);
        p->spec.zero = init != NULL && strcmp(init, "zero") == 0;
        p->spec.seed = (uint64_t)seed;
        p->replace = rs_given(s, "replace");
        p->map = rs_setting(s, "keep");
        if (p->map == NULL && rs_given(s, "from"))
                return rs_fail(err, RESECT_ARG,
                        "--from OLD says where --keep MAP finds its rows; there is no --keep");
        if (p->map != NULL && !rs_given(s, "from") && !p->replace)
                return rs_fail(err, RESECT_ARG,
                        "--keep: rows of which model? --from OLD (with --replace, the model's own "
                        "serve)");
        if (p->map != NULL && p->spec.n_hidden != 0)
                return rs_fail(err, RESECT_ARG,
                        "--keep and --hidden do not go together: the old rows speak of the "
                        "features");
        return true;
}

/* The rows to keep, from OLD or from the head that is about to be replaced. */
static bool
read_old(rs_surgery *s, plan *p, resect_error *err)
{
        const char *from = rs_setting(s, "from");
        if (from != NULL && (p->old = resect_model_read(from, NULL, err)) == NULL)
                return false;
        return rs_rows_read(s, p->old != NULL ? p->old : s->m, &p->rows, err) ||
               rs_fail_at(err, "--from %s", from != NULL ? from : "(the model itself)");
}

/* Where the classifier goes: the features, or the maps, and which output it takes the place of. */
static bool
find_place(const resect_model *m, const resect_anatomy *a, bool replace, const char **value,
        const char **old, resect_error *err)
{
        const rs_atail *t = &a->tail;
        if (t->logits != NULL && !replace)
                return rs_fail(err, RESECT_GRAPH,
                        "the model has a classifier already (%s, %lld classes): --replace takes it "
                        "away, resect-strip leaves the features",
                        t->logits, (long long)a->summary.n_classes);
        *old = t->output;
        *value = t->features;
        if (*value == NULL &&
                m->graph.n_outputs ==
                        1) /* no network that the anatomy knows, but an end all the same */
                *old = *value = m->graph.outputs[0]->name;
        if (*value == NULL)
                return rs_fail(err, RESECT_GRAPH,
                        "where to? no features were found, and the model has %zu outputs",
                        m->graph.n_outputs);
        return true;
}

static bool
attach(rs_surgery *s, plan *p, resect_error *err)
{
        resect_anatomy *a = resect_anatomy_find(s->m, err);
        const char *value = NULL, *old = NULL, *features;
        int64_t channels = 0;
        bool ok = a != NULL && find_place(s->m, a, p->replace, &value, &old, err);
        const bool had = ok && a->tail.logits != NULL;
        resect_anatomy_free(a);
        /* The old head goes first, so that its names are free again; the output's own name lives
         * on. */
        ok = ok && rs_prove(s, &value, &value, 1, err);
        if (had && ok)
                ok = rs_end_at(s, old, value, err);
        p->spec.output = had ? old : "logits";
        if (ok && !had)
                ok = (p->spec.output = rs_model_fresh_name(s->m, "logits", err)) != NULL;
        features = ok ? rs_pool_and_squeeze(s, value, &channels, err) : NULL;
        ok = features != NULL && rs_head_attach(s, features, channels, &p->spec, err) &&
             (p->map == NULL || rs_rows_keep(s, p->map, &p->rows, (const char *const *)p->labels,
                                        &p->spec, channels, err)) &&
             rs_end_at(s, had ? value : old, p->spec.output, err) &&
             resect_model_set_labels(s->m, (const char *const *)p->labels,
                     p->labels != NULL ? (size_t)p->spec.classes : 0, err);
        if (ok)
                rs_note(s, "%s %lld features, %lld class%s",
                        had ? "replaced the classifier:" : "classifier:", (long long)channels,
                        (long long)p->spec.classes, p->spec.classes == 1 ? "" : "es");
        return ok;
}

static bool
run(rs_surgery *s, resect_error *err)
{
        plan p = {0};
        bool ok = read_settings(s, &p, err) && (p.map == NULL || read_old(s, &p, err)) &&
                  attach(s, &p, err);
        resect_model_free(p.old);
        return ok;
}

static const resect_option options[] = {
        {"classes", "N", "so many classes"},
        {"labels", "FILE", "one class a line; the labels are recorded in the model"},
        {"hidden", "H,...", "hidden layers of these sizes, each with a ReLU"},
        {"dropout", "P", "dropout with probability P before the last layer (in training only)"},
        {"init", "zero|kaiming",
                "the last layer starts at zero, or as PyTorch's Linear does (the default)"},
        {"seed", "N", "seed of the random weights (0)"},
        {"replace", NULL, "take away the classifier that is there"},
        {"keep", "MAP",
                "rows for classes in common: lines of new label, TAB, old label or number "
                "(several: averaged)"},
        {"from", "OLD",
                "with --keep: the model whose classifier the rows come from (with --replace: the "
                "model itself)"},
        {NULL, NULL, NULL},
};

const rs_edit rs_edit_head = {
        .face = {.name = "head",
                .brief = "attach a classifier",
                .description = "Puts a fresh classifier behind a model that ends in features (or "
                               "in maps: then with a GlobalAveragePool and a "
                               "Flatten). Its weights are fc.weight [classes, features] and "
                               "fc.bias; a model that has a classifier already is "
                               "refused unless --replace is given.\n\n"
                               "--keep carries over what the old classifier knew about classes "
                               "that stay: each line of MAP names a new class, "
                               "a TAB, and the old class whose weights it starts from, by label or "
                               "number; weights of several old classes, "
                               "separated by commas, are averaged. The other classes start fresh.",
                .example = "resect-strip < resnet101.onnx | resect-head --labels flowers.txt > "
                           "flowers.onnx\n"
                           "resect-head --replace --labels new.txt --keep map.tsv old.onnx -o "
                           "new.onnx",
                .options = options},
        .run = run,
};
