/* SPDX-License-Identifier: 0BSD */
/* The small steps that every source of data shares: samples, class names, notes, and where files
 * lie. */
#include "data/data.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

rs_sample *
rs_data_add(resect_data *d, resect_error *err)
{
        if (d->n_samples == d->cap_samples) {
                size_t cap = d->cap_samples ? d->cap_samples * 2 : 256;
                rs_sample *p = rs_grow(d->samples, cap, sizeof *p, err);
                if (!p)
                        return NULL;
                d->samples = p;
                d->cap_samples = cap;
        }
        rs_sample *s = &d->samples[d->n_samples++];
        *s = (rs_sample){.name = "", .split = RESECT_ALL};
        return s;
}

static bool
push(rs_arena *a, rs_line **lines, size_t *n, const char *name, const char *text, resect_error *err)
{
        if ((*n & (*n - 1)) == 0) { /* 0, 1, 2, 4 ...: full; the arena keeps the old one, half the
                                       size of the new */
                rs_line *p = RS_NEW(a, *n ? *n * 2 : 1, rs_line, err);
                if (!p)
                        return false;
                if (*n)
                        memcpy(p, *lines, *n * sizeof *p);
                *lines = p;
        }
        (*lines)[*n] = (rs_line){name, text};
        return (*n)++, true;
}

bool
rs_data_note(resect_data *d, resect_error *err, const char *fmt, ...)
{
        resect_error line; /* for its formatting, which makes names safe to print */
        va_list ap;
        va_start(ap, fmt);
        rs_vfail(&line, RESECT_OK, fmt, ap);
        va_end(ap);
        char *copy = rs_arena_strdup(&d->arena, line.msg, err);
        return copy && push(&d->arena, &d->notes, &d->n_notes, "", copy, err);
}

bool
rs_data_skip(resect_data *d, const char *name, const char *why, resect_error *err)
{
        char *text = rs_arena_strdup(&d->arena, why, err);
        return text && push(&d->arena, &d->skipped, &d->n_skipped, name, text, err);
}

bool
rs_split_parse(const char *name, resect_split *out)
{
        static const struct {
                const char *name;
                resect_split split;
        } names[] = {{"train", RESECT_TRAIN}, {"val", RESECT_VAL}, {"valid", RESECT_VAL},
                {"validation", RESECT_VAL}, {"test", RESECT_TEST}};
        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
                if (strcmp(name, names[i].name) == 0) {
                        *out = names[i].split;
                        return true;
                }
        return false;
}

bool
rs_data_name_classes(resect_data *d, const char *what, rs_span text, size_t n, resect_error *err)
{
        d->classes = RS_NEW(&d->arena, n, const char *, err);
        if (!d->classes)
                return false;
        const unsigned char *s = text.data, *end = text.data + text.size;
        for (d->n_classes = 0; s < end; d->n_classes++) {
                const unsigned char *line = memchr(s, '\n', (size_t)(end - s));
                line = line ? line : end;
                size_t len = (size_t)(line - s);
                len -= len && s[len - 1] == '\r';
                if (d->n_classes < n && !(d->classes[d->n_classes] = rs_arena_strndup(
                                                  &d->arena, (const char *)s, len, err)))
                        return false;
                s = line + (line < end);
        }
        if (d->n_classes < n)
                return rs_fail(err, RESECT_FORMAT, "%s: %zu names; labels go up to %zu", what,
                        d->n_classes, n - 1);
        if (d->n_classes > n) /* names of classes that do not occur after the last that does */
                d->n_classes = n;
        return true;
}

bool
rs_data_number_classes(resect_data *d, const char *path, size_t n, resect_error *err)
{
        char *file = rs_path_beside(&d->arena, path, "labels.txt", err);
        int64_t size, mtime;
        if (!file)
                return false;
        if (rs_file_stamp(file, &size, &mtime)) {
                rs_buf text;
                if (!rs_file_load(&text, file, 16 << 20, err))
                        return rs_fail_at(err, "%s", file);
                bool ok = rs_data_name_classes(d, file, (rs_span){text.data, text.size}, n, err);
                rs_buf_free(&text);
                return ok;
        }
        d->classes = RS_NEW(&d->arena, n, const char *, err);
        for (size_t i = 0; d->classes && i < n; i++)
                if (!(d->classes[i] = rs_arena_printf(&d->arena, err, "%zu", i)))
                        return false;
        d->n_classes = n;
        return d->classes != NULL;
}

char *
rs_path_beside(rs_arena *a, const char *path, const char *name, resect_error *err)
{
        const char *slash = strrchr(path, '/');
        return rs_arena_printf(a, err, "%.*s%s", slash ? (int)(slash - path + 1) : 0, path, name);
}
