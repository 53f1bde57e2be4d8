/* SPDX-License-Identifier: 0BSD */
/* ModelProto.metadata_props, and two things that travel there: the history (one line an edit) and
 * the labels (one a line). */
#include "model/model.h"

#include <string.h>

#define KEY_HISTORY "resect.history"
#define KEY_LABELS "resect.labels"
#define KEY_FROZEN "resect.frozen"

const char *
resect_model_meta(const resect_model *m, const char *key)
{
        for (size_t i = 0; i < m->n_props; i++)
                if (!strcmp(m->props[i].key, key))
                        return m->props[i].value;
        return NULL;
}

static void
forget(resect_model *m, const char *key)
{
        if (!strcmp(key, KEY_LABELS)) {
                m->labels = NULL;
                m->n_labels = 0;
        }
        if (!strcmp(key, KEY_FROZEN))
                m->frozen_known = false;
}

bool
resect_model_set_meta(resect_model *m, const char *key, const char *value, resect_error *err)
{
        size_t kept = 0;
        const char *copy = NULL;
        if (!key[0])
                return rs_fail(err, RESECT_ARG, "a metadata key cannot be empty");
        if (value && !(copy = rs_arena_strdup(&m->arena, value, err)))
                return false;
        for (size_t i = 0; i < m->n_props;
                i++) { /* the first of that key takes the value, later ones go */
                bool same = !strcmp(m->props[i].key, key);
                if (same && copy) {
                        m->props[kept] = m->props[i];
                        m->props[kept++].value = copy;
                        copy = NULL;
                } else if (!same) {
                        m->props[kept++] = m->props[i];
                }
        }
        m->n_props = kept;
        forget(m, key);
        if (!copy)
                return true;
        rs_prop *props = RS_NEW(&m->arena, kept + 1, rs_prop, err);
        char *key_copy = rs_arena_strdup(&m->arena, key, err);
        if (!props || !key_copy)
                return false;
        if (kept)
                memcpy(props, m->props, kept * sizeof *props);
        props[kept] = (rs_prop){key_copy, copy};
        m->props = props;
        m->n_props = kept + 1;
        return true;
}

bool
resect_model_add_history(resect_model *m, const char *line, resect_error *err)
{
        const char *old = resect_model_meta(m, KEY_HISTORY);
        rs_buf b = {0};
        if (old && old[0]) {
                rs_buf_str(&b, old);
                rs_buf_str(&b, "\n");
        }
        size_t start = b.size;
        rs_buf_str(&b, line);
        for (size_t i = start; !b.oom && i < b.size; i++)
                if (b.data[i] == '\n' || b.data[i] == '\r')
                        b.data[i] = ' ';
        bool ok = b.oom ? rs_fail_nomem(err)
                        : resect_model_set_meta(m, KEY_HISTORY, (char *)b.data, err);
        rs_buf_free(&b);
        return ok;
}

/* Splits the text into lines, in the model's arena. A final newline ends the last line and begins
 * none. */
static bool
split(resect_model *m, const char *text)
{
        size_t n = 0;
        for (const char *p = text; *p; n++) {
                const char *end = strchr(p, '\n');
                p = end ? end + 1 : p + strlen(p);
        }
        const char **labels = RS_NEW(&m->arena, n, const char *, NULL);
        if (!labels)
                return false;
        for (size_t i = 0; i < n; i++) {
                const char *end = strchr(text, '\n');
                size_t length = end ? (size_t)(end - text) : strlen(text);
                if (!(labels[i] = rs_arena_strndup(&m->arena, text, length, NULL)))
                        return false;
                text += length + !!end;
        }
        m->labels = labels;
        m->n_labels = n;
        return true;
}

const char *const *
resect_model_labels(const resect_model *m, size_t *count)
{
        resect_model *cache = (resect_model *)m;
        const char *text = resect_model_meta(m, KEY_LABELS);
        *count = 0;
        if (!text || !text[0] || (!m->labels && !split(cache, text)))
                return NULL;
        *count = m->n_labels;
        return m->labels;
}

bool
resect_model_set_labels(resect_model *m, const char *const *labels, size_t count, resect_error *err)
{
        rs_buf b = {0};
        bool ok = true;
        for (size_t i = 0; ok && i < count; i++) {
                if (strchr(labels[i], '\n'))
                        ok = rs_fail(err, RESECT_ARG, "label %zu has a line break in it", i);
                rs_buf_str(&b, labels[i]);
                rs_buf_str(&b, i + 1 < count ? "\n" : "");
        }
        if (ok && count &&
                !labels[count - 1][0]) /* an empty last label needs its line to end, to be there */
                rs_buf_str(&b, "\n");
        ok = ok &&
             (b.oom ? rs_fail_nomem(err)
                    : resect_model_set_meta(m, KEY_LABELS, count ? (char *)b.data : NULL, err));
        rs_buf_free(&b);
        return ok;
}
