/* SPDX-License-Identifier: 0BSD */
/*
 * A manifest: a text file with a line for each picture, path TAB label, and TAB split where the
 * writer knows it. Paths are relative to the manifest. Empty lines and lines that begin with # are
 * skipped, and a first line "path TAB label" is a heading.
 */
#include "data/data.h"

#include <string.h>

enum { MANIFEST_BYTES = 1 << 30 };

/* Cuts the next field off a line; NULL when there is none. */
static char *
field(char **line)
{
        char *s = *line, *tab;
        if (!s)
                return NULL;
        tab = strchr(s, '\t');
        if (tab)
                *tab = '\0';
        *line = tab ? tab + 1 : NULL;
        return s;
}

static bool
add_line(resect_data *d, size_t number, char *line, bool *split_seen, resect_error *err)
{
        char *path = field(&line), *label = field(&line), *split = field(&line);
        if (number == 1 && strcmp(path, "path") == 0 && label && strcmp(label, "label") == 0)
                return true;
        if (!label || !*path || !*label || line)
                return rs_fail(err, RESECT_FORMAT,
                        "%s:%zu: wants path, label and perhaps a split, with tabs between them",
                        d->path, number);
        rs_sample *s = rs_data_add(d, err);
        if (!s)
                return false;
        if (split && *split) {
                if (!rs_split_parse(split, &s->split))
                        return rs_fail(err, RESECT_FORMAT,
                                "%s:%zu: split '%s' is none of train, val, test", d->path, number,
                                split);
                *split_seen = true;
        }
        s->name = rs_arena_strdup(&d->arena, path, err);
        s->group = rs_arena_strdup(&d->arena, label, err);
        s->path = *path == '/' ? s->name : rs_path_beside(&d->arena, d->path, path, err);
        return s->name && s->group && s->path;
}

bool
rs_data_manifest(resect_data *d, resect_error *err)
{
        rs_buf text;
        if (!rs_file_load(&text, d->path, MANIFEST_BYTES, err))
                return rs_fail_at(err, "%s", d->path);
        char *s = (char *)text.data, *end = s + text.size; /* a NUL stands at end */
        size_t number = 0;
        bool ok = true, split_seen = false;
        if (memchr(s, '\0', text.size))
                ok = rs_fail(err, RESECT_FORMAT,
                        "%s: not a data set: wants a folder, a .tsv of paths and labels, IDX files "
                        "or an .npz",
                        d->path);
        while (ok && s < end) {
                char *line = s, *stop = memchr(s, '\n', (size_t)(end - s));
                stop = stop ? stop : end;
                s = stop + 1;
                if (stop > line && stop[-1] == '\r')
                        stop--;
                *stop = '\0';
                number++;
                if (*line && *line != '#')
                        ok = add_line(d, number, line, &split_seen, err);
        }
        rs_buf_free(&text);
        if (ok && d->n_samples == 0)
                ok = rs_fail(err, RESECT_FORMAT, "%s: names no pictures", d->path);
        d->presplit = split_seen;
        for (size_t i = 0; ok && split_seen && i < d->n_samples; i++)
                if (d->samples[i].split == RESECT_ALL)
                        d->samples[i].split = RESECT_TRAIN;
        return ok;
}
