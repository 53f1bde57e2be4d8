/* SPDX-License-Identifier: 0BSD */
/*
 * What is frozen: initializer names in metadata (resect.frozen, one a line), held in a map while a
 * model is in memory. The map knows yes and no, since a name once put cannot be taken out;
 * rs_model_store_frozen writes the names that are yes, in the order of the initializers.
 */
#include "model/model.h"

#include <string.h>

#define KEY_FROZEN "resect.frozen"

static char yes, no;

static bool
load(resect_model *m, resect_error *err)
{
        if (m->frozen_known)
                return true;
        rs_map_free(&m->frozen);
        const char *p = resect_model_meta(m, KEY_FROZEN);
        while (p && *p) {
                size_t n = strcspn(p, "\n");
                if (n) {
                        char *name = rs_arena_strndup(&m->arena, p, n, err);
                        if (!name || !rs_map_put(&m->frozen, name, &yes, NULL, err))
                                return false;
                }
                p += n + (p[n] == '\n');
        }
        return m->frozen_known = true;
}

bool
rs_model_is_frozen(resect_model *m, const char *tensor)
{
        if (!resect_model_meta(m, KEY_FROZEN) && !m->frozen_known)
                return false;
        return load(m, NULL) && rs_map_get(&m->frozen, tensor) == &yes;
}

bool
rs_model_set_frozen(resect_model *m, const char *tensor, bool frozen, resect_error *err)
{
        if (strchr(tensor, '\n'))
                return rs_fail(err, RESECT_ARG,
                        "initializer %s has a line break in its name and cannot be frozen", tensor);
        char *name = rs_arena_strdup(&m->arena, tensor, err);
        return name && load(m, err) && rs_map_put(&m->frozen, name, frozen ? &yes : &no, NULL, err);
}

bool
rs_model_store_frozen(resect_model *m, resect_error *err)
{
        if (!load(m, err))
                return false;
        rs_buf b = {0};
        for (size_t i = 0; i < m->graph.n_tensors; i++)
                if (rs_map_get(&m->frozen, m->graph.tensors[i]->name) == &yes) {
                        rs_buf_str(&b, b.size ? "\n" : "");
                        rs_buf_str(&b, m->graph.tensors[i]->name);
                }
        bool ok = b.oom ? rs_fail_nomem(err)
                        : resect_model_set_meta(m, KEY_FROZEN, b.size ? (char *)b.data : NULL, err);
        rs_buf_free(&b);
        return ok;
}
