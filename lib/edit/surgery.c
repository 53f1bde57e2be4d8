/* SPDX-License-Identifier: 0BSD */
/*
 * The driver of all edits: finds one by name, checks the settings against its table, runs it, sorts
 * what it left and, when asked, has the proof checked. Nothing here knows any single edit.
 */
#include "edit/edit.h"

#include <string.h>

#define EDIT(name) extern const rs_edit rs_edit_##name;
#include "edit/list.h"
#undef EDIT

static const rs_edit *const edits[] = {
#define EDIT(name) &rs_edit_##name,
#include "edit/list.h"
#undef EDIT
};

enum { N_EDITS = sizeof edits / sizeof *edits };

const resect_edit *
resect_edit_list(size_t i)
{
        return i < N_EDITS ? &edits[i]->face : NULL;
}

static const rs_edit *
find(const char *name)
{
        for (size_t i = 0; i < N_EDITS; i++)
                if (strcmp(edits[i]->face.name, name) == 0)
                        return edits[i];
        return NULL;
}

const resect_edit *
resect_edit_find(const char *name)
{
        const rs_edit *e = find(name);
        return e != NULL ? &e->face : NULL;
}

bool
resect_edit_reports(const char *name, const resect_setting *settings, size_t n_settings)
{
        const rs_edit *e = find(name);
        return e != NULL && e->reports != NULL && e->reports(settings, n_settings);
}

/* What every edit takes beside what its own table has. */
static const resect_option everybodys[] = {{"verify", NULL, NULL}, {"threads", "N", NULL},
        {"kernels", "WHICH", NULL}, {NULL, NULL, NULL}};

static const resect_option *
in_table(const resect_option *o, const char *name)
{
        while (o->name != NULL && strcmp(o->name, name) != 0)
                o++;
        return o->name != NULL ? o : NULL;
}

/* Every setting must stand in a table, once, with a value just when the table wants one. */
static bool
settings_fit(const rs_edit *e, const resect_setting *settings, size_t n, resect_error *err)
{
        for (size_t i = 0; i < n; i++) {
                const char *name = settings[i].name;
                const resect_option *o = in_table(e->face.options, name);
                if (o == NULL && (o = in_table(everybodys, name)) == NULL)
                        return rs_fail(
                                err, RESECT_ARG, "%s has no option --%s", e->face.name, name);
                bool wants = o->arg != NULL;
                if (wants != (settings[i].value != NULL))
                        return rs_fail(err, RESECT_ARG, "--%s takes %s", name,
                                wants ? "an argument" : "no argument");
                for (size_t k = 0; k < i; k++)
                        if (strcmp(settings[k].name, name) == 0)
                                return rs_fail(err, RESECT_ARG, "--%s is given twice", name);
        }
        return true;
}

static bool
on_timing(void *ctx, size_t done, size_t total)
{
        rs_tell(ctx, "timing kernels", done, total);
        return true;
}

/* How to compute, as the settings say. */
static bool
read_how(rs_surgery *s, resect_error *err)
{
        static const char *const words[] = {[RESECT_KERNELS_AUTO] = "auto",
                [RESECT_KERNELS_FAST] = "fast",
                [RESECT_KERNELS_REFERENCE] = "reference"};
        const char *kernels = rs_setting(s, "kernels");
        int64_t threads;
        if (!rs_setting_int(s, "threads", 0, 4096, 0, &threads, err))
                return false;
        s->how.threads = (int)threads;
        s->how.progress = on_timing;
        s->how.ctx = s;
        for (int i = 0; kernels != NULL; i++) {
                if (i == sizeof words / sizeof *words)
                        return rs_fail(err, RESECT_ARG,
                                "--kernels: \"%s\" is not auto, fast or reference", kernels);
                if (strcmp(kernels, words[i]) == 0) {
                        s->how.kernels = (resect_kernels)i;
                        break;
                }
        }
        return true;
}

bool
resect_edit_run(resect_model *m, const char *name, const resect_setting *settings,
        size_t n_settings, const resect_listener *to, resect_error *err)
{
        const rs_edit *e = find(name);
        if (e == NULL)
                return rs_fail(err, RESECT_ARG, "there is no edit called %s", name);
        if (!settings_fit(e, settings, n_settings, err))
                return false;
        rs_surgery s = {.m = m,
                .edit = e,
                .settings = settings,
                .n_settings = n_settings,
                .to = to != NULL ? *to : (resect_listener){0},
                .tolerance = 1e-5};
        /* What is frozen is read now, where running out of memory can be told; a later look would
         * take it for "nothing is". */
        bool ok = read_how(&s, err) &&
                  (resect_model_meta(m, "resect.frozen") == NULL ||
                          rs_model_set_frozen(m, "", false, err)) &&
                  e->run(&s, err);
        if (ok && !resect_edit_reports(name, settings, n_settings))
                ok = rs_graph_sort(m, err) && rs_proof_check(&s, err);
        rs_proof_free(s.proof);
        rs_arena_free(&s.arena);
        return ok;
}

resect_model *
resect_edit_create(const char *name, const resect_setting *settings, size_t n_settings,
        const resect_listener *to, resect_error *err)
{
        const rs_edit *e = find(name);
        if (e == NULL || !e->face.creates)
                return RS_FAIL_NULL(err, RESECT_ARG, "%s does not make a model from nothing", name);
        resect_model *m = rs_model_new(err);
        if (m != NULL && !resect_edit_run(m, name, settings, n_settings, to, err)) {
                resect_model_free(m);
                m = NULL;
        }
        return m;
}
