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

/* Every setting must stand in the table, once, with a value just when the table wants one. */
static bool
settings_fit(const rs_edit *e, const resect_setting *settings, size_t n, resect_error *err)
{
        for (size_t i = 0; i < n; i++) {
                const char *name = settings[i].name;
                const resect_option *o = e->face.options;
                while (o->name != NULL && strcmp(o->name, name) != 0)
                        o++;
                bool verify = strcmp(name, "verify") == 0;
                if (o->name == NULL && !verify)
                        return rs_fail(
                                err, RESECT_ARG, "%s has no option --%s", e->face.name, name);
                bool wants = !verify && o->arg != NULL;
                if (wants != (settings[i].value != NULL))
                        return rs_fail(err, RESECT_ARG, "--%s takes %s", name,
                                wants ? "an argument" : "no argument");
                for (size_t k = 0; k < i; k++)
                        if (strcmp(settings[k].name, name) == 0)
                                return rs_fail(err, RESECT_ARG, "--%s is given twice", name);
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
        bool ok = (resect_model_meta(m, "resect.frozen") == NULL ||
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
